// Work shared among threads: pieces are taken in order from a counter; errors and requests to stop reach every thread.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace pairdex {

// Calls work(piece) for every piece below n_pieces unless `stop` becomes true; rethrows the first exception.
// Every thread works with its own copy of `work`, so that scratch memory may be a member of it.
template <typename Work>
void for_each_piece(std::size_t n_pieces, std::size_t n_threads, const std::atomic<bool>& stop, const Work& work) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error;
  std::mutex error_lock;
  const auto run = [&] {
    try {
      Work own = work;
      for (;;) {
        const std::size_t piece = next.fetch_add(1, std::memory_order_relaxed);
        if (piece >= n_pieces || stop.load(std::memory_order_relaxed) || failed) return;
        own(piece);
      }
    } catch (...) {
      const std::lock_guard guard(error_lock);
      if (!error) error = std::current_exception();
      failed = true;
    }
  };
  std::vector<std::jthread> threads;
  for (std::size_t i = 1; i < std::min(n_threads, n_pieces); ++i) threads.emplace_back(run);
  run();
  threads.clear();
  if (error) std::rethrow_exception(error);
}

// Calls work(i) for every i below n, `piece` of them at a time, as for_each_piece does.
template <typename Work>
void for_each_item(std::size_t n, std::size_t piece, std::size_t n_threads, const std::atomic<bool>& stop,
                   const Work& work) {
  for_each_piece((n + piece - 1) / piece, n_threads, stop, [n, piece, own = Work(work)](std::size_t number) mutable {
    for (std::size_t i = number * piece; i < std::min(n, (number + 1) * piece); ++i) own(i);
  });
}

}  // namespace pairdex
