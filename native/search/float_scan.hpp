// Exact nearest rows without codes: a float32 scan proposes, float64 decides.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/kernel.hpp"
#include "search/blocks.hpp"

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

// Returns how many pairs of query and row were compared in float64. When `stop` becomes true it returns early and
// the answer is not complete.
std::size_t scan_floats(const Blocks& blocks, const Request& request, const Kernel& kernel,
                        const std::atomic<bool>& stop, Answer answer);

}  // namespace pairdex
