// Queries (or centroids) in the form that the kernels on 4-bit codes take.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ivf/layout.hpp"
#include "kernels/kernel.hpp"

namespace pairdex::ivf {

class QueryCodes {
 public:
  // `coordinates`: layout.coordinates() a query.
  QueryCodes(std::span<const float> coordinates, const Layout& layout);

  std::size_t size() const { return terms_.size(); }
  // Of queries first, first + 1, ... to the end of their block.
  const std::int8_t* codes(std::size_t first) const { return codes_.data() + query_place(first, 0, length_); }
  NibbleQuery& terms(std::size_t q) { return terms_[q]; }
  const NibbleQuery& terms(std::size_t q) const { return terms_[q]; }
  // The codes of some queries, side by side in blocks of their own.
  void gather(std::span<const std::uint32_t> numbers, std::vector<std::int8_t>& codes) const;

 private:
  std::size_t length_;
  std::vector<std::int8_t> codes_;
  std::vector<NibbleQuery> terms_;
};

}  // namespace pairdex::ivf
