#include "ivf/queries.hpp"

#include <cstring>
#include <limits>

#include "ivf/int8.hpp"

namespace pairdex::ivf {

QueryCodes::QueryCodes(std::span<const float> coordinates, const Layout& layout) : length_(layout.length) {
  const std::size_t n = coordinates.size() / layout.coordinates();
  codes_.resize(whole_blocks(n) * length_);
  for (std::size_t q = 0; q < n; ++q) {
    const float* one = coordinates.data() + q * layout.coordinates();
    const std::span values(one + kKept, layout.coded);
    const float scale = int8_scale(values);
    const float inverse = 1.0f / scale;
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const auto code = static_cast<std::int8_t>(nearest(values[i] * inverse));
      codes_[query_place(q, i, length_)] = code;
      sum += code;
    }
    terms_.push_back({.along_mean = one[0],
                      .along_gap = one[1],
                      .scale = scale,
                      .offset = kNibbleZero * static_cast<float>(sum),
                      .bonus = 0.0f,
                      .least = -std::numeric_limits<float>::infinity()});
  }
}

void QueryCodes::gather(std::span<const std::uint32_t> numbers, std::vector<std::int8_t>& codes) const {
  codes.resize(whole_blocks(numbers.size()) * length_);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    for (std::size_t at = 0; at < length_; at += kCodeStep) {
      std::memcpy(codes.data() + query_place(i, at, length_), codes_.data() + query_place(numbers[i], at, length_),
                  kCodeStep);
    }
  }
}

}  // namespace pairdex::ivf
