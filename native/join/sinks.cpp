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

NearestEarlier::NearestEarlier(const CodedRows& rows, double within, std::span<std::int64_t> of,
                               std::span<double> distances)
    : rows_(rows), within_(within), of_(of), distances_(distances), locks_(std::make_unique<std::mutex[]>(kLocks)) {}

double NearestEarlier::cutoff(std::uint32_t x) const {
  const std::uint32_t id = rows_.ids[x];
  const std::lock_guard guard(locks_[id % kLocks]);
  return std::min(within_, distances_[id]);
}

void NearestEarlier::add(std::span<const Pair> pairs) {
  for (const Pair& pair : pairs) {
    const std::uint32_t id = rows_.ids[pair.x];
    const std::int64_t other = rows_.ids[pair.y];
    const std::lock_guard guard(locks_[id % kLocks]);
    if (std::tie(pair.distance, other) < std::tie(distances_[id], of_[id])) {
      distances_[id] = pair.distance;
      of_[id] = other;
    }
  }
}

}  // namespace pairdex::join
