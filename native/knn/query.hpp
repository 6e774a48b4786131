// One query on its way through a search, shared by all threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <limits>
#include <mutex>
#include <span>

#include "kernels/kernel.hpp"
#include "knn/request.hpp"
#include "knn/top_k.hpp"

namespace pairdex {

inline double squared_norm(std::span<const float> query) {
  double sum = 0.0;
  for (const float value : query) sum += static_cast<double>(value) * value;
  return sum;
}

// 1 - cos in [0, 2] between a query of norm `query_norm` and a row that can be normalised.
inline double cosine_distance(ExactDot exact, double query_norm) {
  return std::clamp(1.0 - exact.dot / (query_norm * std::sqrt(exact.squared_norm)), 0.0, 2.0);
}

class Query {
 public:
  // Rows farther than `within` need not be looked at.
  Query(std::span<const float> values, std::size_t k, double within = 2.0)
      : values_(values), norm_(std::sqrt(squared_norm(values))), nearest_(k) {
    constexpr double kFloat64Margin = 1e-11;  // more than float64 cosines and 1 - distance err by
    if (within < 2.0) raise_least_cosine(1.0 - within - kFloat64Margin);
  }

  std::span<const float> values() const { return values_; }
  double norm() const { return norm_; }

  // A row whose cosine is surely below this is left out: it can't be among the k nearest, unless the caller raised
  // this by a guess.
  double least_cosine() const { return least_cosine_.load(std::memory_order_relaxed); }

  Neighbour measure(const Kernel& kernel, const Half* row, std::size_t id) const {
    const ExactDot exact = kernel.rows->exact(row, values_.data(), values_.size());
    return {cosine_distance(exact, norm_), static_cast<std::int64_t>(id)};
  }

  void offer(std::span<const Neighbour> candidates) {
    const std::lock_guard guard(lock_);
    for (const Neighbour& candidate : candidates) nearest_.offer(candidate);
    // 1 - distance and the clipping to [0, 2] are both off by less than the scans' margins.
    const double worst = nearest_.worst();
    if (worst < 2.0) raise_least_cosine(1.0 - worst);
  }

  // Only one thread at a time may call this or `offer`.
  void raise_least_cosine(double cosine) {
    if (cosine > least_cosine()) least_cosine_.store(cosine, std::memory_order_relaxed);
  }

  // k rows are kept, all of at least this cosine.
  bool reaches(double cosine) const { return 1.0 - nearest_.worst() >= cosine; }

  std::span<const Neighbour> kept() const { return nearest_.kept(); }

  std::vector<Neighbour> take_sorted() { return nearest_.take_sorted(); }

 private:
  std::span<const float> values_;
  double norm_;
  std::mutex lock_;
  TopK nearest_;
  std::atomic<double> least_cosine_{-std::numeric_limits<double>::infinity()};
};

inline void write_answer(Query& query, std::size_t number, const Request& request, Answer answer) {
  std::vector<Neighbour> sorted = query.take_sorted();
  while (!sorted.empty() && sorted.back().distance > request.limit(number)) sorted.pop_back();
  write_answer(sorted, number, request.k, answer);
}

}  // namespace pairdex
