// What is asked of a search, and where its answer goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "knn/top_k.hpp"

namespace pairdex {

template <typename Value>
struct RequestOf {
  std::span<const Value> queries;  // n_queries x dim
  std::size_t n_queries;
  std::size_t k;
  std::span<const std::uint8_t> allowed;  // one byte a row, 0 = never an answer; empty: all rows
  std::size_t n_threads;
  double within = 2.0;  // of cosine distances: rows farther than this are never an answer; 2 is the largest
  std::span<const double> limits = {};  // the same for each query; empty: `within` for all

  double limit(std::size_t query) const { return limits.empty() ? within : limits[query]; }
};

using Request = RequestOf<float>;

// n_queries x k each, nearest first; -1 and infinity where fewer than k rows qualify.
struct Answer {
  std::span<std::int64_t> ids;
  std::span<double> distances;
};

// Query `number`'s neighbours, nearest first.
inline void write_answer(std::span<const Neighbour> sorted, std::size_t number, std::size_t k, Answer answer) {
  for (std::size_t i = 0; i < k; ++i) {
    answer.ids[number * k + i] = i < sorted.size() ? sorted[i].id : -1;
    answer.distances[number * k + i] = i < sorted.size() ? sorted[i].distance : std::numeric_limits<double>::infinity();
  }
}

}  // namespace pairdex
