// The scan of a projected space, written once for rows of bits and of float32.
//
// A Space holds the queries of one pass as its kernel wants them:
//   Value, Score; kernel: a NearKernel;
//   kTileFromQueries: for fewer queries, making tiles costs more than it saves;
//   tile_dim: values of a row in a tile;
//   row_query(q), tile_queries(): queries for `kernel.rows` and for `kernel.tile`;
//   row_limit(q, farthest), tile_limit(q, farthest): scores above it are surely of rows farther than `farthest`;
//   place(row, column): writes a row into its column of a tile; false: it is never an answer;
//   distance(row, q, score): the exact distance; NaN: the row is never an answer.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <deque>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "kernels/kernel.hpp"
#include "knn/blocks.hpp"
#include "knn/nearest.hpp"
#include "knn/parallel.hpp"
#include "knn/request.hpp"

namespace pairdex {

template <typename Space>
class NearScan {
 public:
  using Value = typename Space::Value;
  using Score = typename Space::Score;

  NearScan(const BlocksOf<Value>& blocks, std::span<const std::uint8_t> allowed, const Space& space,
           std::deque<Nearest>& nearest)
      : blocks_(blocks),
        allowed_(allowed),
        space_(space),
        nearest_(nearest),
        panel_rows_(std::clamp(kPanelBytes / (blocks.dim() * sizeof(Value)) / kTileRows * kTileRows, kTileRows,
                               kMostPanelRows)),
        limits_(kChunkQueries),
        found_(std::max(panel_rows_, kChunkQueries * kTileRows)) {}

  std::size_t n_pieces() const {
    const std::size_t piece_rows = kPiecePanels * panel_rows_;
    return (blocks_.n_rows() + piece_rows - 1) / piece_rows;
  }

  void operator()(std::size_t piece) {
    const std::size_t end = std::min((piece + 1) * kPiecePanels * panel_rows_, blocks_.n_rows());
    for (std::size_t first = piece * kPiecePanels * panel_rows_; first < end; first += panel_rows_) {
      compare(first, std::min(first + panel_rows_, end));
    }
  }

  // The same for a sample of the rows: one tile in kSampleStep.
  std::size_t n_samples() const { return (blocks_.n_rows() + kSampleRows - 1) / kSampleRows; }
  void sample(std::size_t number) {
    const std::size_t first = number * kSampleRows;
    compare(first, std::min(first + kTileRows, blocks_.n_rows()));
  }
  static constexpr std::size_t kSampleStep = 32;

 private:
  static constexpr std::size_t kSampleRows = kSampleStep * kTileRows;
  static constexpr std::size_t kPanelBytes = 32 << 10;  // rows at hand: stay in the first-level cache
  static constexpr std::size_t kMostPanelRows = 1024;   // limits are renewed after this many rows
  static constexpr std::size_t kPiecePanels = 8;        // what a thread takes at once
  static constexpr std::size_t kChunkQueries = 64;      // that meet a panel's tiles together

  void compare(std::size_t first, std::size_t end) {
    take(first, end);
    if (nearest_.size() < Space::kTileFromQueries) {
      compare_rows();
    } else {
      make_tiles();
      compare_tiles();
    }
  }

  // The allowed ones of rows first, ..., end - 1, side by side: where they are, or copied.
  void take(std::size_t first, std::size_t end) {
    ids_.clear();
    first_ = first;
    if (allowed_.empty() && blocks_.in_one_block(first, end)) {
      rows_ = blocks_.row(first);
      n_rows_ = end - first;
      return;
    }
    const std::size_t dim = blocks_.dim();
    copied_.resize(panel_rows_ * dim);
    for (std::size_t id = first; id < end; ++id) {
      if (!allowed_.empty() && allowed_[id] == 0) continue;
      std::copy_n(blocks_.row(id), dim, copied_.data() + ids_.size() * dim);
      ids_.push_back(id);
    }
    rows_ = copied_.data();
    n_rows_ = ids_.size();
  }

  void compare_rows() {
    for (std::size_t q = 0; q < nearest_.size(); ++q) {
      const Score limit = space_.row_limit(q, nearest_[q].farthest());
      const std::size_t n =
          space_.kernel.rows(rows_, n_rows_, blocks_.dim(), space_.row_query(q), limit, found_.data());
      for (std::size_t i = 0; i < n; ++i) offer(q, found_[i].row, found_[i].score);
    }
  }

  // Rows that are never an answer leave their column to the next one.
  void make_tiles() {
    const std::size_t tile_size = kTileRows * space_.tile_dim;
    tiles_.resize(panel_rows_ * space_.tile_dim);
    std::size_t n = 0;
    for (std::size_t r = 0; r < n_rows_; ++r) {
      Value* column = tiles_.data() + n / kTileRows * tile_size + n % kTileRows;
      if (!space_.place(rows_ + r * blocks_.dim(), column)) continue;
      numbers_[n] = static_cast<std::uint32_t>(r);
      ++n;
    }
    n_placed_ = n;
  }

  void compare_tiles() {
    for (std::size_t first = 0; first < nearest_.size(); first += kChunkQueries) {
      const std::size_t n_queries = std::min(kChunkQueries, nearest_.size() - first);
      for (std::size_t q = 0; q < n_queries; ++q) {
        limits_[q] = space_.tile_limit(first + q, nearest_[first + q].farthest());
      }
      for (std::size_t row = 0; row < n_placed_; row += kTileRows) {
        const std::size_t n = space_.kernel.tile(tiles_.data() + row * space_.tile_dim, space_.tile_dim,
                                                 space_.tile_queries() + first * space_.tile_dim, n_queries,
                                                 limits_.data(), found_.data());
        for (std::size_t i = 0; i < n; ++i) {
          const std::size_t placed = row + found_[i].row;
          if (placed < n_placed_) offer(first + found_[i].query, numbers_[placed], found_[i].score);
        }
      }
    }
  }

  void offer(std::size_t q, std::size_t r, Score score) {
    const double distance = space_.distance(rows_ + r * blocks_.dim(), q, score);
    const std::size_t id = ids_.empty() ? first_ + r : ids_[r];
    if (distance <= nearest_[q].farthest()) nearest_[q].offer({distance, static_cast<std::int64_t>(id)});
  }

  const BlocksOf<Value>& blocks_;
  std::span<const std::uint8_t> allowed_;
  const Space& space_;
  std::deque<Nearest>& nearest_;
  std::size_t panel_rows_;
  std::vector<Score> limits_;
  std::vector<Near<Score>> found_;
  // The panel at hand: rows side by side, with their ids or, if there are none, that of the first.
  const Value* rows_ = nullptr;
  std::size_t n_rows_ = 0;
  std::size_t first_ = 0;
  std::vector<std::size_t> ids_;
  std::vector<Value> copied_, tiles_;
  std::array<std::uint32_t, kMostPanelRows> numbers_{};  // which of the panel's rows lies in which column
  std::size_t n_placed_ = 0;
};

// Queries `numbers` of a request, one after the other.
template <typename Value>
std::vector<Value> queries_of(const RequestOf<Value>& request, std::span<const std::size_t> numbers) {
  const std::size_t dim = request.queries.size() / request.n_queries;
  std::vector<Value> queries;
  queries.reserve(numbers.size() * dim);
  for (const std::size_t number : numbers) {
    const std::span<const Value> one = request.queries.subspan(number * dim, dim);
    queries.insert(queries.end(), one.begin(), one.end());
  }
  return queries;
}

// The distance of each query's k-th nearest row, guessed from a sample: so far that rarely fewer than k rows are
// nearer, so near that few more are.
template <typename Space, typename Value>
std::vector<double> guess_farthest(const BlocksOf<Value>& blocks, const RequestOf<Value>& request,
                                   const std::atomic<bool>& stop, const Space& space, std::size_t n, std::size_t k) {
  const double expected = static_cast<double>(k) / NearScan<Space>::kSampleStep;
  const auto rank = static_cast<std::size_t>(expected + 4.0 * std::sqrt(expected) + 4.0);
  std::deque<Nearest> nearest;
  for (std::size_t q = 0; q < n; ++q) nearest.emplace_back(rank);
  NearScan<Space> scan(blocks, request.allowed, space, nearest);
  for_each_piece(scan.n_samples(), request.n_threads, stop, [scan](std::size_t i) mutable { scan.sample(i); });
  std::vector<double> farthest;
  for (const Nearest& one : nearest) farthest.push_back(one.farthest());
  return farthest;
}

// One pass for some queries; returns the numbers of those whose guess was wrong.
template <typename Space, typename Value>
std::vector<std::size_t> scan_together(const BlocksOf<Value>& blocks, const RequestOf<Value>& request,
                                       const std::atomic<bool>& stop, Answer answer, const Space& space,
                                       std::span<const std::size_t> numbers, bool guessing) {
  const std::size_t kept = std::min(request.k, blocks.n_rows());
  std::vector<double> guesses(numbers.size(), std::numeric_limits<double>::infinity());
  if (guessing) guesses = guess_farthest(blocks, request, stop, space, numbers.size(), kept);
  std::deque<Nearest> nearest;
  for (const double guess : guesses) nearest.emplace_back(kept, guess);
  const NearScan<Space> scan(blocks, request.allowed, space, nearest);
  for_each_piece(scan.n_pieces(), request.n_threads, stop, scan);
  std::vector<std::size_t> wrong;
  for (std::size_t q = 0; q < numbers.size(); ++q) {
    if (!nearest[q].is_complete()) wrong.push_back(numbers[q]);
    write_answer(nearest[q].take_sorted(), numbers[q], request.k, answer);
  }
  return wrong;
}

// Searches in passes of as many queries as memory is given for; make_space(queries) prepares those of a pass.
template <typename Value, typename MakeSpace>
void scan_near(const BlocksOf<Value>& blocks, const RequestOf<Value>& request, const std::atomic<bool>& stop,
               Answer answer, const MakeSpace& make_space) {
  constexpr std::size_t kStateBytes = std::size_t{256} << 20;
  constexpr std::size_t kGuessFromK = 20;  // for fewer neighbours, or queries, a guess saves less than it costs
  constexpr std::size_t kGuessFromQueries = 16;
  constexpr std::size_t kGuessFromRows = 64;  // times k: in fewer rows as well
  if (blocks.n_rows() == 0) {
    for (std::size_t q = 0; q < request.n_queries; ++q) write_answer({}, q, request.k, answer);
    return;
  }
  const bool guessing = request.k >= kGuessFromK && request.n_queries >= kGuessFromQueries &&
                        blocks.n_rows() / kGuessFromRows >= request.k;
  const std::size_t kept = std::min(request.k, blocks.n_rows());
  const std::size_t query_bytes = 2 * kept * sizeof(Neighbour) + 3 * padded(blocks.dim() + 1) * sizeof(Value);
  const std::size_t together = std::max<std::size_t>(1, kStateBytes / query_bytes);
  std::vector<std::size_t> numbers(request.n_queries);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  for (std::size_t first = 0; first < numbers.size() && !stop; first += together) {
    std::span<const std::size_t> some = std::span(numbers).subspan(first, std::min(together, numbers.size() - first));
    const std::vector<std::size_t> wrong =
        scan_together(blocks, request, stop, answer, make_space(queries_of(request, some)), some, guessing);
    if (wrong.empty() || stop) continue;
    scan_together(blocks, request, stop, answer, make_space(queries_of(request, std::span(wrong))), wrong, false);
  }
}

}  // namespace pairdex
