// The scalar twin of the graph kernels.
#include <algorithm>

#include "kernels/half_to_float.hpp"
#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

std::uint32_t estimate(const GraphEdges& edges, const GraphQuery& query, float base, float least, float* estimates,
                       Ahead ahead) {
  for (std::size_t line = 0; line < ahead.lines; ++line) __builtin_prefetch(ahead.bytes + line * 64);
  std::int32_t sums[kMaxEdges] = {};
  const std::size_t bytes = edges.n * 4;  // of all edges' pieces of the same dimensions
  for (std::size_t first = 0; first < edges.length; first += kPieceDims) {
    const std::uint8_t* piece = edges.codes + first / kPieceDims * bytes;
    for (std::size_t i = 0; i < bytes; ++i) {
      for (std::size_t p = 0; p < 8; ++p) {
        if ((piece[i] >> p & 1) != 0) sums[i / 4] += query.codes[first + 4 * p + i % 4];
      }
    }
  }
  std::uint32_t above = 0;
  for (std::size_t e = 0; e < edges.n; ++e) {
    const float along = query.scale * static_cast<float>(sums[e]) - query.half_sum;
    estimates[e] = (base + to_float(edges.offsets[e])) + to_float(edges.slopes[e]) * along;
    above |= static_cast<std::uint32_t>(estimates[e] > least) << e;
  }
  return above;
}

std::int32_t row_dot(const std::uint8_t* row, const std::int8_t* query, std::size_t length) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < length; ++i) sum += row[i] * query[i];
  return sum;
}

GraphWay way(const std::uint8_t* from, const std::uint8_t* to, std::size_t length, std::uint32_t* ups) {
  GraphWay way{};
  std::fill_n(ups, length / kPieceDims, 0u);
  for (std::size_t i = 0; i < length; ++i) {
    const std::int32_t own = from[i] - 128, step = to[i] - from[i];
    const bool is_up = step > 0;
    way.squared += step * step;
    way.length += is_up ? step : -step;
    way.along += own * step;
    way.signs += is_up ? own : -own;
    ups[i / kPieceDims] |= static_cast<std::uint32_t>(is_up) << i % kPieceDims;
  }
  return way;
}

void table_dots(const std::uint8_t* rows, std::size_t length, const std::int8_t* query, std::int32_t* out) {
  std::fill_n(out, kHalfRows, 0);
  for (std::size_t i = 0; i < length; i += 4, rows += 4 * kHalfRows) {
    for (std::size_t at = 0; at < 4 * kHalfRows; ++at) out[at / 4] += rows[at] * query[i + at % 4];
  }
}

}  // namespace

const GraphKernel kScalarGraph{.estimate = estimate, .row_dot = row_dot, .way = way, .table_dots = table_dots};

}  // namespace pairdex
