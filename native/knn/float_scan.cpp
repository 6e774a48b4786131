#include "knn/float_scan.hpp"

#include <cmath>
#include <deque>
#include <limits>
#include <vector>

#include "knn/parallel.hpp"
#include "knn/query.hpp"

namespace pairdex {
namespace {

constexpr std::size_t kPieceRows = 1024;                     // what a thread takes at once
constexpr std::size_t kTileBytes = 128 << 10;                // widened rows: stay in the second-level cache
constexpr std::size_t kChunkQueries = 24;                    // queries per call: their scores stay in the first level
constexpr std::size_t kStateBytes = std::size_t{256} << 20;  // memory for the queries searched together

// With unit roundoff u = 2^-24, summing dim products in any order errs by at most dim u |q| |x| (1 + small), the
// squared norm by dim u relative and its inverse root by half of that; rounding the query, the root, the division
// and the product add less than 8 u. Twice dim + 16 covers all of it, and the float64 side's 1e-12, amply.
double margin(std::size_t dim) { return static_cast<double>(2 * dim + 16) * 0x1p-24; }

// Rows widened to float32, side by side, whatever was left out between them.
class Tile {
 public:
  explicit Tile(std::size_t stride)
      : stride_(stride), capacity_(std::clamp<std::size_t>(kTileBytes / (stride * sizeof(float)), 8, 256)) {
    values_.resize(capacity_ * stride);
  }

  bool full() const { return ids_.size() == capacity_; }
  bool empty() const { return ids_.empty(); }
  std::size_t size() const { return ids_.size(); }
  const float* values() const { return values_.data(); }
  std::size_t id(std::size_t r) const { return ids_[r]; }
  float inverse_norm(std::size_t r) const { return inverse_norms_[r]; }

  void clear() {
    ids_.clear();
    inverse_norms_.clear();
  }

  // Leaves out rows without a direction: all zero, or not finite.
  void add(const Kernel& kernel, const Half* row, std::size_t dim, std::size_t id) {
    const float squared = kernel.rows->widen(row, dim, values_.data() + ids_.size() * stride_);
    if (!(squared > 0.0f && squared <= std::numeric_limits<float>::max())) return;
    ids_.push_back(id);
    inverse_norms_.push_back(1.0f / std::sqrt(squared));
  }

 private:
  std::size_t stride_;
  std::size_t capacity_;
  std::vector<float> values_;
  std::vector<std::size_t> ids_;
  std::vector<float> inverse_norms_;
};

// What the threads share: the data, and a group of queries that is searched in one pass over the rows.
struct Pass {
  const Blocks& blocks;
  const Kernel& kernel;
  std::span<const std::uint8_t> allowed;
  std::deque<Query>& queries;
  std::vector<float> unit_queries;  // rounded to float32, padded
  std::size_t stride;
  std::atomic<std::size_t> measured{0};
};

class Worker {
 public:
  explicit Worker(Pass& pass) : pass_(pass), tile_(pass.stride) {}

  void operator()(std::size_t piece) {
    const std::size_t end = std::min((piece + 1) * kPieceRows, pass_.blocks.n_rows());
    for (std::size_t id = piece * kPieceRows; id < end; ++id) {
      if (!pass_.allowed.empty() && pass_.allowed[id] == 0) continue;
      tile_.add(pass_.kernel, pass_.blocks.row(id), pass_.blocks.dim(), id);
      if (tile_.full()) compare();
    }
    compare();
  }

 private:
  void compare() {
    if (tile_.empty()) return;
    const std::size_t n_queries = pass_.queries.size();
    for (std::size_t first = 0; first < n_queries; first += kChunkQueries) {
      const std::size_t n = std::min(kChunkQueries, n_queries - first);
      scores_.resize(n * tile_.size());
      pass_.kernel.rows->dots(tile_.values(), tile_.size(), pass_.unit_queries.data() + first * pass_.stride, n,
                              pass_.stride, scores_.data());
      for (std::size_t q = 0; q < n; ++q) measure(pass_.queries[first + q], scores_.data() + q * tile_.size());
    }
    tile_.clear();
  }

  void measure(Query& query, const float* scores) {
    found_.clear();
    const double slack = margin(pass_.blocks.dim());
    const double least = query.least_cosine() - slack;
    for (std::size_t r = 0; r < tile_.size(); ++r) {
      if (static_cast<double>(scores[r] * tile_.inverse_norm(r)) < least) continue;
      found_.push_back(query.measure(pass_.kernel, pass_.blocks.row(tile_.id(r)), tile_.id(r)));
    }
    if (found_.empty()) return;
    query.offer(found_);
    pass_.measured.fetch_add(found_.size(), std::memory_order_relaxed);
  }

  Pass& pass_;
  Tile tile_;
  std::vector<float> scores_;
  std::vector<Neighbour> found_;
};

std::vector<float> unit_queries(const std::deque<Query>& queries, std::size_t stride) {
  std::vector<float> units(queries.size() * stride);
  for (std::size_t q = 0; q < queries.size(); ++q) {
    const std::span<const float> values = queries[q].values();
    for (std::size_t i = 0; i < values.size(); ++i) {
      units[q * stride + i] = static_cast<float>(values[i] / queries[q].norm());
    }
  }
  return units;
}

}  // namespace

std::size_t scan_floats(const Blocks& blocks, const Request& request, const Kernel& kernel,
                        const std::atomic<bool>& stop, Answer answer) {
  const std::size_t dim = blocks.dim();
  const std::size_t kept = std::min(request.k, blocks.n_rows());
  const std::size_t stride = padded(dim);
  const std::size_t together =
      std::max<std::size_t>(1, kStateBytes / (kept * sizeof(Neighbour) + stride * sizeof(float)));
  std::size_t measured = 0;
  for (std::size_t first = 0; first < request.n_queries; first += together) {
    std::deque<Query> queries;
    for (std::size_t q = first; q < std::min(first + together, request.n_queries); ++q) {
      queries.emplace_back(request.queries.subspan(q * dim, dim), kept, request.limit(q));
    }
    Pass pass{blocks, kernel, request.allowed, queries, unit_queries(queries, stride), stride};
    for_each_piece((blocks.n_rows() + kPieceRows - 1) / kPieceRows, request.n_threads, stop, Worker(pass));
    for (std::size_t q = 0; q < queries.size(); ++q) write_answer(queries[q], first + q, request, answer);
    measured += pass.measured;
  }
  return measured;
}

}  // namespace pairdex
