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
  // Group `number` as it lies in the planes; bit r of `wanted`: its row r may be an answer.
  void set(const CodePlanes& planes, const Layout& layout, std::size_t number, std::uint32_t wanted,
           const LargestNorms& largest);
  // Up to kGroupRows rows from anywhere in the planes, copied side by side.
  void gather(const CodePlanes& planes, const Layout& layout, std::span<const std::size_t> ids,
              const LargestNorms& largest);

  std::uint32_t wanted() const { return wanted_; }
  std::size_t id(std::size_t r) const { return ids_.empty() ? first_id_ + r : ids_[r]; }
  const std::uint8_t* head_codes() const { return head_ + sizeof(HeadFacts); }
  const std::uint8_t* rest_codes() const { return rest_ + sizeof(RestFacts); }

  // With what the head's bound needs; the terms of the rest are there after `read_rest`.
  const RowTerms& terms() const { return terms_; }
  void read_rest(const LargestNorms& largest);

 private:
  void read_head(const LargestNorms& largest);

  const std::uint8_t* head_ = nullptr;
  const std::uint8_t* rest_ = nullptr;
  std::size_t first_id_ = 0;
  std::span<const std::size_t> ids_;  // of gathered rows
  std::vector<std::uint8_t> gathered_head_, gathered_rest_;
  std::uint32_t wanted_ = 0;
  bool rest_read_ = false;
  RowTerms terms_{};
  std::array<float, kGroupRows> coded_error_{}, rest_norm_{}, rest_error_{};
};

}  // namespace pairdex
