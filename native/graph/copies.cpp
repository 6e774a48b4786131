#include "graph/copies.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "knn/parallel.hpp"

namespace pairdex::graph {
namespace {

std::uint64_t hash(const Half* row, std::size_t dim) {
  constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15u;
  std::uint64_t state = dim;
  for (std::size_t i = 0; i < dim; i += 4) {
    std::uint64_t word = 0;
    std::memcpy(&word, row + i, std::min<std::size_t>(4, dim - i) * sizeof(Half));
    state = (state ^ word) * kFactor;
    state ^= state >> 29;
  }
  return state;
}

}  // namespace

std::vector<std::uint32_t> first_equals(const Blocks& blocks, std::size_t n_threads, const std::atomic<bool>& stop) {
  constexpr std::size_t kPieceRows = 4096;
  const std::size_t n = blocks.n_rows(), dim = blocks.dim();
  std::vector<std::uint64_t> hashes(n);
  for_each_item(n, kPieceRows, n_threads, stop, [&](std::size_t i) { hashes[i] = hash(blocks.row(i), dim); });
  std::vector<std::uint32_t> order(n), first(n);
  std::iota(order.begin(), order.end(), 0u);
  std::iota(first.begin(), first.end(), 0u);
  std::sort(order.begin(), order.end(),
            [&](std::uint32_t a, std::uint32_t b) { return hashes[a] != hashes[b] ? hashes[a] < hashes[b] : a < b; });
  for (std::size_t i = 1; i < n; ++i) {
    const std::uint32_t before = first[order[i - 1]], row = order[i];
    // Two different rows of one hash only cost a node more.
    if (hashes[before] == hashes[row] && std::memcmp(blocks.row(before), blocks.row(row), dim * sizeof(Half)) == 0) {
      first[row] = before;
    }
  }
  return first;
}

}  // namespace pairdex::graph
