#include "graph/walk.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace pairdex::graph {
namespace {

constexpr std::size_t kMostPool = 4096;        // nodes that a walk keeps, however few are allowed
constexpr std::size_t kMostVisits = 1u << 16;  // a damaged file could lead in circles

}  // namespace

void Walk::begin(const RoundedQuery& query, std::span<const Scored> seeds, std::size_t effort) {
  query_ = &query;
  edge_query_ = {.codes = query.codes.data(),
                 .scale = query.scale * kSlopeUnit,
                 .half_sum = 0.5f * static_cast<float>(query.sum) * query.scale * kSlopeUnit};
  effort_ = std::min(effort, kMostPool);
  most_ = filter_.allowed.empty() ? effort_ : kMostPool;
  first_new_ = n_allowed_ = 0;
  least_ = -std::numeric_limits<float>::infinity();
  scores_.clear();
  pool_.clear();
  is_allowed_.clear();
  visited_.clear();
  for (const Scored& seed : seeds) nodes_.prefetch_row(seed.node);
  for (const Scored& seed : seeds) offer(score(seed.node), seed.node);
  next_ = take_best();
}

bool Walk::go_on() {
  const std::uint32_t here = next_ == kNoNode ? take_best() : next_;
  if (here == kNoNode || visited_.size() >= kMostVisits) return false;
  next_ = take_best();
  const Ahead ahead{next_ == kNoNode ? nullptr : nodes_.node(next_), next_ == kNoNode ? 0 : nodes_.lines()};
  const float own = score(here);
  visited_.push_back({own, here});
  const Layout& layout = nodes_.layout();
  float estimates[kMaxEdges];
  const GraphEdges edges{nodes_.codes(here), nodes_.offsets(here), nodes_.slopes(here), layout.degree, layout.length};
  std::uint32_t above = kernel_.estimate(edges, edge_query_, own, least_, estimates, ahead);
  for (; above != 0; above &= above - 1) {
    const int e = __builtin_ctz(above);
    const std::uint32_t node = nodes_.edges(here)[e];
    if (estimates[e] > least_ && node < nodes_.size()) offer(estimates[e], node);
  }
  return true;
}

float Walk::score(std::size_t i) const {
  const std::int32_t dot = kernel_.row_dot(nodes_.row(i), query_->codes.data(), nodes_.layout().length);
  const float score =
      static_cast<float>(dot - kZero * query_->sum) * (step_ * query_->scale) + nodes_.head(i)->along_mean;
  return score == score ? score : -std::numeric_limits<float>::infinity();  // NaN in a damaged file only
}

void Walk::offer(float score, std::uint32_t node) {
  if (has(node)) return;
  std::size_t at = pool_.size();
  while (at > 0 && scores_[at - 1] < score) --at;
  const auto place = static_cast<std::ptrdiff_t>(at);
  scores_.insert(scores_.begin() + place, score);
  pool_.insert(pool_.begin() + place, node);
  first_new_ = std::min(first_new_, at);
  if (filter_.allowed.empty()) {
    n_allowed_ = pool_.size();
  } else {
    const bool is_allowed = filter_.allows(*nodes_.head(node));
    is_allowed_.insert(is_allowed_.begin() + place, is_allowed);
    n_allowed_ += is_allowed;
  }
  // Drop what comes after the last allowed node that counts.
  const auto last_counts = [&] { return filter_.allowed.empty() || is_allowed_.back() != 0; };
  while (pool_.size() > most_ || n_allowed_ - last_counts() >= effort_) {
    n_allowed_ -= last_counts();
    scores_.pop_back();
    pool_.pop_back();
    if (!is_allowed_.empty()) is_allowed_.pop_back();
  }
  first_new_ = std::min(first_new_, pool_.size());
  if (n_allowed_ >= effort_ || pool_.size() >= most_) least_ = scores_.back();
}

bool Walk::has(std::uint32_t node) const {
  using Four = std::uint32_t __attribute__((vector_size(16)));
  Four equal{};
  std::size_t i = 0;
  for (; i + 4 <= pool_.size(); i += 4) {
    Four four;
    std::memcpy(&four, pool_.data() + i, sizeof four);
    equal |= static_cast<Four>((four & ~kSeen) == node);
  }
  for (; i < pool_.size(); ++i) equal[0] |= static_cast<std::uint32_t>((pool_[i] & ~kSeen) == node);
  return (equal[0] | equal[1] | equal[2] | equal[3]) != 0;
}

std::uint32_t Walk::take_best() {
  while (first_new_ < pool_.size() && (pool_[first_new_] & kSeen) != 0) ++first_new_;
  if (first_new_ == pool_.size()) return kNoNode;
  const std::uint32_t node = pool_[first_new_];
  pool_[first_new_++] |= kSeen;
  return node;
}

}  // namespace pairdex::graph
