#include "join/sinks.hpp"

#include <algorithm>
#include <tuple>

namespace pairdex::join {

void AllPairs::add(std::span<const Pair> pairs) {
  const std::lock_guard guard(lock_);
  if (pairs_.size() + pairs.size() > limit_) {
    full_ = true;
    return;
  }
  pairs_.insert(pairs_.end(), pairs.begin(), pairs.end());
}

double NearestEarlier::cutoff(std::uint32_t x) const { return std::min(within_, distances_[rows_.ids[x]]); }

void NearestEarlier::add(std::span<const Pair> pairs) {
  for (const Pair& pair : pairs) {
    const std::uint32_t id = rows_.ids[pair.x];
    const std::int64_t other = rows_.ids[pair.y];
    if (std::tie(pair.distance, other) < std::tie(distances_[id], of_[id])) {
      distances_[id] = pair.distance;
      of_[id] = other;
    }
  }
}

}  // namespace pairdex::join
