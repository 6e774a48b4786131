// The k nearest of the rows offered so far, in the order (distance, id).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace pairdex {

struct Neighbour {
  double distance;
  std::int64_t id;
  friend bool operator<(const Neighbour& a, const Neighbour& b) {
    return a.distance < b.distance || (a.distance == b.distance && a.id < b.id);
  }
};

class TopK {
 public:
  explicit TopK(std::size_t k) : k_(k) {}  // k > 0

  void offer(Neighbour candidate) {
    if (heap_.size() < k_) {
      heap_.push_back(candidate);
      std::push_heap(heap_.begin(), heap_.end());
    } else if (candidate < heap_.front()) {
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.back() = candidate;
      std::push_heap(heap_.begin(), heap_.end());
    }
  }

  // No row farther than this can enter.
  double worst() const { return heap_.size() < k_ ? std::numeric_limits<double>::infinity() : heap_.front().distance; }

  std::span<const Neighbour> kept() const { return heap_; }  // in no order

  // Nearest first; the object is empty afterwards.
  std::vector<Neighbour> take_sorted() {
    std::sort_heap(heap_.begin(), heap_.end());
    return std::move(heap_);
  }

 private:
  std::size_t k_;
  std::vector<Neighbour> heap_;  // the worst kept one in front
};

}  // namespace pairdex
