// The scalar twin of the join kernels.
#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/join.inl"

void reach(const std::int32_t* dots, const std::int32_t* starts, const std::int32_t* limits, std::size_t n_queries,
           std::uint32_t* masks) {
  for (std::size_t q = 0; q < n_queries; ++q) {
    std::uint32_t mask = 0;
    for (std::size_t c = 0; c < kGroupRows; ++c) {
      mask |= static_cast<std::uint32_t>(dots[q * kGroupRows + c] + starts[c] >= limits[q]) << c;
    }
    masks[q] = mask;
  }
}

void row_dots(const std::int8_t* query, const std::uint8_t* codes, std::size_t length, const std::uint32_t* rows,
              std::size_t n, std::int32_t* out) {
  for (std::size_t r = 0; r < n; ++r) {
    const std::uint8_t* row = codes + rows[r] * length;
    if (r + kRowsAhead < n) prefetch_row(codes + rows[r + kRowsAhead] * length, length);
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < length; ++i) sum += query[i] * row[i];
    out[r] = sum;
  }
}

}  // namespace

const JoinKernel kScalarJoin{.reach = reach, .best = best, .row_dots = row_dots, .pack = pack};

}  // namespace pairdex
