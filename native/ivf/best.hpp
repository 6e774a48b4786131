// The places with the highest scores so far.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace pairdex::ivf {

struct Scored {
  float score;
  std::uint32_t place;
  friend bool operator<(const Scored& a, const Scored& b) {  // better first
    return a.score > b.score || (a.score == b.score && a.place < b.place);
  }
};

// Which places are kept depends only on the scores, not on the order they come in.
class Best {
 public:
  explicit Best(std::size_t capacity) : capacity_(std::max<std::size_t>(capacity, 1)) {
    kept_.reserve(2 * capacity_ + 32);
  }

  // What scores less need not be offered.
  float least() const { return least_; }

  void offer(Scored one) {
    kept_.push_back(one);
    if (kept_.size() >= 2 * capacity_ + 16) shrink();
  }

  // The best, at most `capacity`, in no order.
  std::span<const Scored> kept() {
    if (kept_.size() > capacity_) shrink();
    return kept_;
  }

  // The same, the best first.
  std::span<const Scored> sorted() {
    kept();
    std::sort(kept_.begin(), kept_.end());
    return kept_;
  }

 private:
  void shrink() {
    std::nth_element(kept_.begin(), kept_.begin() + static_cast<std::ptrdiff_t>(capacity_ - 1), kept_.end());
    kept_.resize(capacity_);
    least_ = kept_.back().score;
  }

  std::size_t capacity_;
  float least_ = -std::numeric_limits<float>::infinity();
  std::vector<Scored> kept_;
};

}  // namespace pairdex::ivf
