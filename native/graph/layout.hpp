// How the nodes of a graph lie in memory, which is how they lie in the file.
//
// A row is centred, rotated and rounded to whole numbers of 8 bits. A node has everything that a step of a walk reads:
// what is known of its row, the row itself, and one bit a dimension of the way to each of its neighbours.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernel.hpp"

namespace pairdex::graph {

inline constexpr std::uint32_t kNoNode = 0xffffffff;
inline constexpr std::size_t kLine = 64;
inline constexpr std::size_t kMaxLength = 2048;    // dimensions
inline constexpr std::int32_t kZero = 128;         // numbers are stored unsigned: that much is added
inline constexpr float kSlopeUnit = 1.0f / 64;     // slopes are stored in float16, as multiples of this
inline constexpr std::uint16_t kNowhere = 0xf0e2;  // -10000 in float16: an edge that leads nowhere

struct Head {
  float along_mean;          // mean . (row - mean)
  std::uint32_t id;          // of the row
  std::uint32_t first_copy;  // place of the ids of equal rows, and their number
  std::uint32_t n_copies;
  std::uint8_t unused[48];
};
static_assert(sizeof(Head) == kLine);

struct Layout {
  std::size_t length;  // dimensions of a rotated row, a multiple of 64
  std::size_t degree;  // edges of a node: kHalfEdges or kMaxEdges

  std::size_t codes_at() const { return sizeof(Head) + length; }
  std::size_t offsets_at() const { return codes_at() + length / 8 * degree; }
  std::size_t slopes_at() const { return offsets_at() + degree * sizeof(Half); }
  std::size_t edges_at() const { return slopes_at() + degree * sizeof(Half); }
  std::size_t stride() const { return edges_at() + degree * sizeof(std::uint32_t); }
};

constexpr std::size_t rotated_length(std::size_t dim) { return (dim + kLine - 1) / kLine * kLine; }

// Nodes in memory, one after another.
template <typename Byte>
class NodesOf {
 public:
  NodesOf(Byte* bytes, std::size_t n, const Layout& layout)
      : bytes_(bytes), n_(n), layout_(layout), stride_(layout.stride()) {}

  std::size_t size() const { return n_; }
  const Layout& layout() const { return layout_; }
  std::size_t lines() const { return stride_ / kLine; }
  Byte* node(std::size_t i) const { return bytes_ + i * stride_; }
  auto* head(std::size_t i) const { return as<Head>(node(i)); }
  Byte* row(std::size_t i) const { return node(i) + sizeof(Head); }
  Byte* codes(std::size_t i) const { return node(i) + layout_.codes_at(); }
  auto* offsets(std::size_t i) const { return as<Half>(node(i) + layout_.offsets_at()); }
  auto* slopes(std::size_t i) const { return as<Half>(node(i) + layout_.slopes_at()); }
  auto* edges(std::size_t i) const { return as<std::uint32_t>(node(i) + layout_.edges_at()); }

  // The head and the row.
  void prefetch_row(std::size_t i) const {
    for (std::size_t at = 0; at < layout_.codes_at(); at += kLine) __builtin_prefetch(node(i) + at);
  }

 private:
  template <typename T>
  static auto* as(const std::uint8_t* bytes) {
    return reinterpret_cast<const T*>(bytes);
  }
  template <typename T>
  static auto* as(std::uint8_t* bytes) {
    return reinterpret_cast<T*>(bytes);
  }

  Byte* bytes_;
  std::size_t n_;
  Layout layout_;
  std::size_t stride_;
};

using Nodes = NodesOf<const std::uint8_t>;
using WritableNodes = NodesOf<std::uint8_t>;

}  // namespace pairdex::graph
