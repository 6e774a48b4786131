#include "graph/nodes.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "ivf/half.hpp"
#include "ivf/int8.hpp"

namespace pairdex::graph {
namespace {

constexpr std::int32_t kMostCode = 127;
constexpr std::size_t kAhead = 4;  // rows of neighbours on their way from memory

// Every fourth bit of a word from bit 0 on.
std::uint8_t every_fourth(std::uint32_t bits) {
  bits &= 0x11111111u;
  bits = (bits | bits >> 3) & 0x03030303u;
  bits = (bits | bits >> 6) & 0x000f000fu;
  return static_cast<std::uint8_t>(bits | bits >> 12);
}

}  // namespace

void write_row(const WritableNodes& nodes, std::size_t i, std::uint32_t id, const Blocks& blocks, const Space& space,
               float step, const RowKernel& kernel, std::span<float> scratch) {
  const std::size_t dim = space.dim(), length = space.length();
  float* unit = scratch.data();
  float* rotated = unit + scratch.size() / 2;
  const float norm = std::sqrt(kernel.widen(blocks.row(id), dim, unit));
  for (std::size_t d = 0; d < dim; ++d) unit[d] /= norm;
  Head* head = nodes.head(i);
  head->along_mean = space.centre(unit, rotated);
  head->id = id;
  const float inverse = 1.0f / step;
  std::uint8_t* row = nodes.row(i);
  for (std::size_t d = 0; d < length; ++d) {
    const float most = static_cast<float>(kMostCode);
    const float value = std::clamp(rotated[d] * inverse, -most, most);
    row[d] = static_cast<std::uint8_t>(ivf::nearest(value) + kZero);
  }
}

std::int32_t squared_norm(const Nodes& nodes, std::size_t i) {
  const std::uint8_t* row = nodes.row(i);
  std::int32_t sum = 0;
  for (std::size_t d = 0; d < nodes.layout().length; ++d) sum += (row[d] - kZero) * (row[d] - kZero);
  return sum;
}

bool has_edges(const WritableNodes& nodes, std::size_t i, std::span<const std::uint32_t> edges) {
  return std::equal(edges.begin(), edges.end(), nodes.edges(i));
}

void write_edges(const WritableNodes& nodes, std::size_t i, std::span<const std::uint32_t> edges, float step,
                 const GraphKernel& kernel) {
  const Layout& layout = nodes.layout();
  const std::size_t pieces = layout.length / kPieceDims;
  std::uint8_t* codes = nodes.codes(i);
  std::uint32_t ups[kMaxLength / kPieceDims];
  std::memset(codes, 0, layout.length / 8 * layout.degree);
  for (std::size_t e = 0; e < layout.degree; ++e) {
    const std::uint32_t to = e < edges.size() ? edges[e] : kNoNode;
    if (e + kAhead < edges.size() && edges[e + kAhead] != kNoNode) nodes.prefetch_row(edges[e + kAhead]);
    nodes.edges(i)[e] = to;
    nodes.offsets(i)[e] = {kNowhere};
    nodes.slopes(i)[e] = {0};
    if (to == kNoNode) continue;
    const GraphWay way = kernel.way(nodes.row(i), nodes.row(to), layout.length, ups);
    const float share =
        way.length == 0 ? 0.0f : 2.0f * static_cast<float>(way.squared) / static_cast<float>(way.length);
    const float offset = nodes.head(to)->along_mean - nodes.head(i)->along_mean +
                         step * step * (static_cast<float>(way.along) - share * 0.5f * static_cast<float>(way.signs));
    nodes.offsets(i)[e] = ivf::to_half(offset);
    nodes.slopes(i)[e] = ivf::to_half(share * step / kSlopeUnit);
    for (std::size_t piece = 0; piece < pieces; ++piece) {
      std::uint8_t* four = codes + (piece * layout.degree + e) * 4;
      for (std::size_t j = 0; j < 4; ++j) four[j] = every_fourth(ups[piece] >> j);
    }
  }
}

}  // namespace pairdex::graph
