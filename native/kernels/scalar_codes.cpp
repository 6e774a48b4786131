// The scalar twin of the code kernels.
#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/select.inl"

void dots(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::size_t n_queries,
          std::int32_t* out) {
  for (std::size_t q = 0; q < n_queries; ++q) {
    for (std::size_t r = 0; r < kGroupRows; ++r) {
      const std::uint8_t* row = codes + r / kHalfRows * kHalfRows * length + r % kHalfRows * 4;
      std::int32_t sum = 0;
      for (std::size_t i = 0; i < length; ++i) {
        sum += row[i / 4 * 4 * kHalfRows + i % 4] * queries[query_place(q, i, length)];
      }
      out[q * kGroupRows + r] = sum;
    }
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
