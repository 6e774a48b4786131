// The scalar twin of the code kernels.
#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/select.inl"

// One query and the 16 rows of a half group.
void half_dots(const std::uint8_t* codes, std::size_t length, const std::int8_t* query, std::int32_t* out) {
  std::int32_t sums[kHalfRows] = {};
  for (std::size_t i = 0; i < length; i += 4) {
    const std::int8_t* four = query + query_place(0, i, length);
    const std::uint8_t* rows = codes + i * kHalfRows;
    for (std::size_t r = 0; r < kHalfRows; ++r) {
      for (std::size_t j = 0; j < 4; ++j) sums[r] += rows[4 * r + j] * four[j];
    }
  }
  for (std::size_t r = 0; r < kHalfRows; ++r) out[r] = sums[r];
}

void dots(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::size_t n_queries,
          std::int32_t* out) {
  for (std::size_t q = 0; q < n_queries; ++q, out += kGroupRows) {
    const std::int8_t* query = queries + query_place(q, 0, length);
    half_dots(codes, length, query, out);
    half_dots(codes + kHalfRows * length, length, query, out + kHalfRows);
  }
}

}  // namespace

const CodeKernel kScalarCodes{.enter = nothing,
                              .leave = nothing,
                              .dots = dots,
                              .pass_head = pass_head,
                              .pass_full = pass_full,
                              .bound_full = bound_full};

}  // namespace pairdex
