// A few groups of rows, with what a pass of queries needs to know of them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codes/layout.hpp"
#include "codes/queries.hpp"

namespace pairdex {

class Group {
 public:
  // Rows first_id, first_id + 1 ... as they lie in the planes; bit r of `wanted`: row r may be an answer.
  void set(const std::uint8_t* head, const std::uint8_t* rest, std::size_t first_id, std::uint32_t wanted,
           const LargestNorms& largest);

  std::uint32_t wanted() const { return wanted_; }
  std::size_t id(std::size_t r) const { return first_id_ + r; }
  const std::uint8_t* head_codes() const { return head_ + sizeof(HeadFacts); }
  const std::uint8_t* rest_codes() const { return rest_ + sizeof(RestFacts); }

  // With what the head's bound needs; the terms of the rest are there after `read_rest`.
  const RowTerms& terms() const { return terms_; }
  void read_rest(const LargestNorms& largest);

 private:
  const std::uint8_t* head_ = nullptr;
  const std::uint8_t* rest_ = nullptr;
  std::size_t first_id_ = 0;
  std::uint32_t wanted_ = 0;
  bool rest_read_ = false;
  RowTerms terms_{};
  std::array<float, kGroupRows> coded_error_{}, rest_norm_{}, rest_error_{};
};

}  // namespace pairdex
