// The k nearest rows found so far of one query, shared by all threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <limits>
#include <mutex>
#include <vector>

#include "knn/top_k.hpp"

namespace pairdex {

// Keeps up to 2 k rows and then drops the farther half: cheaper than a heap that is put in order for every row.
//
// A search may begin with a guess of the k-th distance: rows farther than it need not be offered. In the end
// `is_complete` returns whether the guess was right; if not, rows may be missing.
class Nearest {
 public:
  explicit Nearest(std::size_t k, double guess = kNoGuess) : k_(k), guessed_(guess < kNoGuess), farthest_(guess) {}

  // No row farther than this can be among the k nearest; a row as far as this may be, if its id is smaller.
  double farthest() const { return farthest_.load(std::memory_order_relaxed); }

  bool is_complete() const { return full_ || !guessed_; }

  void offer(Neighbour row) {
    const std::lock_guard guard(lock_);
    if (full_ && !(row < last_)) return;
    kept_.push_back(row);
    if (kept_.size() == (full_ ? 2 * k_ : k_)) drop_farther();
  }

  // The k nearest, or all that were offered, nearest first; the object is empty afterwards.
  std::vector<Neighbour> take_sorted() {
    std::sort(kept_.begin(), kept_.end());
    kept_.resize(std::min(k_, kept_.size()));
    return std::move(kept_);
  }

 private:
  static constexpr double kNoGuess = std::numeric_limits<double>::infinity();

  void drop_farther() {
    const auto last = kept_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
    std::nth_element(kept_.begin(), last, kept_.end());
    kept_.resize(k_);
    last_ = kept_.back();
    full_ = true;
    farthest_.store(last_.distance, std::memory_order_relaxed);
  }

  std::size_t k_;  // > 0
  bool guessed_;
  std::mutex lock_;
  std::vector<Neighbour> kept_;
  bool full_ = false;  // k rows have been found, `last_` is the last of them
  Neighbour last_{};
  std::atomic<double> farthest_;
};

}  // namespace pairdex
