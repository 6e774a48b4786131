// The scalar twin of the kernels on 4-bit codes.
#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/nibbles.inl"

// One query and the 16 rows of a half group.
void half_dots(const std::uint8_t* codes, std::size_t length, const std::int8_t* query, std::int32_t* out) {
  std::int32_t sums[kHalfRows] = {};
  for (std::size_t i = 0; i < length; i += 8, codes += 4 * kHalfRows) {
    const std::int8_t* eight = query + query_place(0, i, length);
    for (std::size_t r = 0; r < kHalfRows; ++r) {
      for (std::size_t j = 0; j < 4; ++j) {
        const std::uint8_t byte = codes[4 * r + j];
        sums[r] += (byte & 15) * eight[j] + (byte >> 4) * eight[4 + j];
      }
    }
  }
  for (std::size_t r = 0; r < kHalfRows; ++r) out[r] = sums[r];
}

void dots(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::size_t n_queries,
          std::int32_t* out) {
  for (std::size_t q = 0; q < n_queries; ++q, out += kGroupRows) {
    const std::int8_t* query = queries + query_place(q, 0, length);
    half_dots(codes, length, query, out);
    half_dots(codes + kHalfRows * length / 2, length, query, out + kHalfRows);
  }
}

}  // namespace

const NibbleKernel kScalarNibbles{.dots = dots, .reach = reach, .best = best};

}  // namespace pairdex
