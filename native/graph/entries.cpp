#include "graph/entries.hpp"

#include <algorithm>
#include <cmath>

#include "graph/layout.hpp"

namespace pairdex::graph {
namespace {

// Takes a seed if it is among the best n.
void offer(std::vector<Scored>& best, std::size_t n, const Scored& seed) {
  if (best.size() == n && !is_better(seed, best.back())) return;
  if (best.size() == n) best.pop_back();
  best.insert(std::upper_bound(best.begin(), best.end(), seed, is_better), seed);
}

}  // namespace

Chooser::Chooser(const Entries& entries, const GraphKernel& kernel)
    : entries_(entries), kernel_(kernel), along_(entries.basis.biases.size()) {}

std::span<const Scored> Chooser::choose(const RoundedQuery& query, std::size_t n_groups, std::size_t n_seeds) {
  project(query);
  score(entries_.groups, 0, entries_.groups.blocks(), scores_);
  groups_.clear();
  for (std::size_t i = 0; i < scores_.size(); ++i) {
    if (std::isfinite(scores_[i])) offer(groups_, n_groups, {scores_[i], static_cast<std::uint32_t>(i)});
  }
  seeds_.clear();
  for (const Scored& group : groups_) {
    const std::size_t first = group.node * kGroupBlocks;
    score(entries_.rows, first, first + kGroupBlocks, scores_);
    for (std::size_t i = 0; i < scores_.size(); ++i) {
      if (std::isfinite(scores_[i])) offer(seeds_, n_seeds, {scores_[i], entries_.nodes[first * kHalfRows + i]});
    }
  }
  return seeds_;
}

void Chooser::project(const RoundedQuery& query) {
  const Table& basis = entries_.basis;
  std::int32_t dots[kHalfRows];
  for (std::size_t block = 0; block < basis.blocks(); ++block) {
    kernel_.table_dots(basis.codes.data() + block * kHalfRows * basis.length, basis.length, query.codes.data(), dots);
    for (std::size_t i = 0; i < kHalfRows; ++i) {
      const std::size_t at = block * kHalfRows + i;
      along_[at] = static_cast<float>(dots[i] - kZero * query.sum) * (basis.biases[at] * query.scale);
    }
  }
  projected_.round(along_);
}

void Chooser::score(const Table& table, std::size_t first, std::size_t end, std::vector<float>& scores) {
  scores.resize((end - first) * kHalfRows);
  std::int32_t dots[kHalfRows];
  const float scale = table.scale * projected_.scale;
  for (std::size_t block = first; block < end; ++block) {
    kernel_.table_dots(table.codes.data() + block * kHalfRows * table.length, table.length, projected_.codes.data(),
                       dots);
    for (std::size_t i = 0; i < kHalfRows; ++i) {
      scores[(block - first) * kHalfRows + i] =
          static_cast<float>(dots[i] - kZero * projected_.sum) * scale + table.biases[block * kHalfRows + i];
    }
  }
}

}  // namespace pairdex::graph
