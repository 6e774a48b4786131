#include "search/bit_scan.hpp"

#include <algorithm>
#include <limits>
#include <span>
#include <vector>

#include "search/near_scan.hpp"

namespace pairdex {
namespace {

struct BitSpace {
  using Value = std::uint64_t;
  using Score = std::uint32_t;
  static constexpr std::size_t kTileFromQueries = 16;

  BitSpace(const BitKernel& with, std::span<const Value> queries, std::size_t words)
      : kernel(with), tile_dim(words), queries_(queries), padded_(queries.size() / words * padded(words)) {
    for (std::size_t q = 0; q * words < queries.size(); ++q) {
      std::copy_n(queries.data() + q * words, words, padded_.data() + q * padded(words));
    }
  }

  const Value* row_query(std::size_t q) const { return padded_.data() + q * padded(tile_dim); }
  const Value* tile_queries() const { return queries_.data(); }
  Score row_limit(std::size_t, double farthest) const {
    constexpr Score kNone = std::numeric_limits<Score>::max();
    return farthest < static_cast<double>(kNone) ? static_cast<Score>(farthest) : kNone;
  }
  Score tile_limit(std::size_t q, double farthest) const { return row_limit(q, farthest); }
  bool place(const Value* row, Value* column) const {
    for (std::size_t i = 0; i < tile_dim; ++i) column[i * kTileRows] = row[i];
    return true;
  }
  double distance(const Value*, std::size_t, Score score) const { return score; }

  const BitKernel& kernel;
  std::size_t tile_dim;

 private:
  std::span<const Value> queries_;
  std::vector<Value> padded_;
};

}  // namespace

void scan_bits(const BlocksOf<std::uint64_t>& blocks, const RequestOf<std::uint64_t>& request, const Kernel& kernel,
               const std::atomic<bool>& stop, Answer answer) {
  const std::size_t words = blocks.dim();
  scan_near(blocks, request, stop, answer, [&](std::size_t first, std::size_t n) {
    return BitSpace(*kernel.bits, request.queries.subspan(first * words, n * words), words);
  });
}

}  // namespace pairdex
