#include "codes/candidates.hpp"

#include <algorithm>
#include <functional>

namespace pairdex {
namespace {

constexpr std::size_t kAtOnce = 16;       // rows on their way from memory while others are measured
constexpr double kFloat64Margin = 1e-11;  // more than float64 cosines and 1 - distance err by

void prefetch(const Half* row, std::size_t dim) {
  const auto* bytes = reinterpret_cast<const char*>(row);
  for (std::size_t i = 0; i < dim * sizeof(Half); i += 64) __builtin_prefetch(bytes + i);
}

float rounded_down(double cosine) { return static_cast<float>(cosine - 1e-6); }

}  // namespace

void Candidates::add_to_sample(std::span<const Candidate> found) {
  const std::lock_guard guard(lock_);
  for (const Candidate& candidate : found) raise(candidate.lower);
}

void Candidates::take_guess() {
  guess_ = least_cosine();
  n_lower_ = k_;
  best_lower_.clear();
}

void Candidates::add(std::span<const Candidate> found, const Kernel& kernel, const Blocks& blocks) {
  const std::lock_guard guard(lock_);
  for (const Candidate& candidate : found) {
    pending_.push_back(candidate);
    raise(candidate.lower);
  }
  if (pending_.size() >= drop_at_) drop_ruled_out();
  if (pending_.size() >= limit_) decide(kernel, blocks);
}

bool Candidates::settle(const Kernel& kernel, const Blocks& blocks) {
  const std::lock_guard guard(lock_);
  decide(kernel, blocks);
  return query_.reaches(guess_);
}

void Candidates::raise(float lower) {
  if (best_lower_.size() == n_lower_) {
    if (lower <= best_lower_.front()) return;
    std::pop_heap(best_lower_.begin(), best_lower_.end(), std::greater<>());
    best_lower_.pop_back();
  }
  best_lower_.push_back(lower);
  std::push_heap(best_lower_.begin(), best_lower_.end(), std::greater<>());
  if (best_lower_.size() == n_lower_) query_.raise_least_cosine(static_cast<double>(best_lower_.front()));
}

void Candidates::drop_ruled_out() {
  const double least = least_cosine();
  std::erase_if(pending_, [&](const Candidate& one) { return static_cast<double>(one.upper) < least; });
  drop_at_ = std::min(limit_, 64 + 2 * pending_.size());
}

void Candidates::decide(const Kernel& kernel, const Blocks& blocks) {
  drop_ruled_out();
  std::sort(pending_.begin(), pending_.end(), [](const Candidate& a, const Candidate& b) { return a.upper > b.upper; });
  std::vector<Neighbour> exact;
  for (std::size_t first = 0; first < pending_.size(); first += kAtOnce) {
    if (static_cast<double>(pending_[first].upper) < least_cosine() - kFloat64Margin) break;
    const std::size_t end = std::min(first + kAtOnce, pending_.size());
    for (std::size_t i = first; i < end; ++i) prefetch(blocks.row(pending_[i].id), blocks.dim());
    exact.clear();
    for (std::size_t i = first; i < end; ++i) {
      exact.push_back(query_.measure(kernel, blocks.row(pending_[i].id), pending_[i].id));
    }
    query_.offer(exact);
    measured_ += exact.size();
  }
  pending_.clear();
  best_lower_.clear();
  for (const Neighbour& kept : query_.kept()) best_lower_.push_back(rounded_down(query_.cosine_of(kept.distance)));
  std::make_heap(best_lower_.begin(), best_lower_.end(), std::greater<>());
}

}  // namespace pairdex
