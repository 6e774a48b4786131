#include "graph/prune.hpp"

#include <algorithm>

#include "graph/layout.hpp"

namespace pairdex::graph {
namespace {

constexpr std::size_t kAhead = 4;  // rows on their way from memory

}  // namespace

void Pruner::measure_from(std::uint32_t node) {
  const std::uint8_t* code = codes_.row(node);
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < codes_.length; ++i) {
    query_[i] = static_cast<std::int8_t>(code[i] - kZero);
    sum += query_[i];
  }
  distances_.resize(nodes_.size());
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (i + kAhead < nodes_.size()) prefetch(nodes_[i + kAhead]);
    const std::int32_t dot = kernel_.row_dot(codes_.row(nodes_[i]), query_.data(), codes_.length) - kZero * sum;
    distances_[i] = codes_.norms[node] + codes_.norms[nodes_[i]] - 2 * dot;
  }
}

void Pruner::prefetch(std::uint32_t node) const {
  const std::uint8_t* row = codes_.row(node);
  for (std::size_t at = 0; at < codes_.length; at += kLine) __builtin_prefetch(row + at);
}

void Pruner::measure(std::uint32_t node, std::span<const std::uint32_t> others, std::vector<Candidate>& candidates) {
  nodes_.clear();
  for (const std::uint32_t other : others) {
    if (other != kNoNode && other != node) nodes_.push_back(other);
  }
  std::sort(nodes_.begin(), nodes_.end());
  nodes_.erase(std::unique(nodes_.begin(), nodes_.end()), nodes_.end());
  measure_from(node);
  candidates.clear();
  for (std::size_t i = 0; i < nodes_.size(); ++i) candidates.push_back({distances_[i], nodes_[i]});
  std::sort(candidates.begin(), candidates.end());
}

void Pruner::select(std::span<const Candidate> candidates, float slack, std::size_t most,
                    std::vector<Candidate>& kept) {
  is_out_.assign(candidates.size(), 0);
  for (const Candidate& one : kept) hide(one, candidates, 0, slack * slack);
  for (std::size_t i = 0; i < candidates.size() && kept.size() < most; ++i) {
    if (is_out_[i] != 0) continue;
    kept.push_back(candidates[i]);
    if (kept.size() < most) hide(candidates[i], candidates, i + 1, slack * slack);
  }
}

// Only of candidates that are kept the distances to others are needed: about ten of hundreds.
void Pruner::hide(const Candidate& by, std::span<const Candidate> candidates, std::size_t from, float slack_squared) {
  nodes_.clear();
  places_.clear();
  for (std::size_t i = from; i < candidates.size(); ++i) {
    if (candidates[i].node == by.node) is_out_[i] = 1;
    if (is_out_[i] != 0) continue;
    nodes_.push_back(candidates[i].node);
    places_.push_back(static_cast<std::uint32_t>(i));
  }
  measure_from(by.node);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (static_cast<float>(distances_[i]) * slack_squared <= static_cast<float>(candidates[places_[i]].distance)) {
      is_out_[places_[i]] = 1;
    }
  }
}

}  // namespace pairdex::graph
