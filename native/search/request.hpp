// What is asked of a search, and where its answer goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace pairdex {

struct Request {
  std::span<const float> queries;  // n_queries x dim, finite, none all zero
  std::size_t n_queries;
  std::size_t k;
  std::span<const std::uint8_t> allowed;  // one byte a row, 0 = never an answer; empty: all rows
  std::size_t n_threads;
};

// n_queries x k each, nearest first; -1 and infinity where fewer than k rows qualify.
struct Answer {
  std::span<std::int64_t> ids;
  std::span<double> distances;
};

}  // namespace pairdex
