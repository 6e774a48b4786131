#include "knn/bit_scan.hpp"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "knn/near_scan.hpp"

namespace pairdex {
namespace {

struct BitSpace {
  using Value = std::uint64_t;
  using Score = std::uint32_t;
  static constexpr std::size_t kTileFromQueries = 16;

  BitSpace(const BitKernel& with, std::vector<Value> queries, std::size_t words)
      : kernel(with), tile_dim(words), queries_(std::move(queries)), padded_(queries_.size() / words * padded(words)) {
    for (std::size_t q = 0; q * words < queries_.size(); ++q) {
      std::copy_n(queries_.data() + q * words, words, padded_.data() + q * padded(words));
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
  std::vector<Value> queries_, padded_;
};

}  // namespace

void scan_bits(const BlocksOf<std::uint64_t>& blocks, const RequestOf<std::uint64_t>& request, const Kernel& kernel,
               const std::atomic<bool>& stop, Answer answer) {
  const std::size_t words = blocks.dim();
  scan_near(blocks, request, stop, answer,
            [&](std::vector<std::uint64_t>&& queries) { return BitSpace(*kernel.bits, std::move(queries), words); });
}

}  // namespace pairdex
