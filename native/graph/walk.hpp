// The walk of one query through a graph: each step visits the best of the nodes that are known and not yet visited.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "graph/entries.hpp"
#include "graph/layout.hpp"
#include "graph/space.hpp"

namespace pairdex::graph {

// Which nodes may be answers; all if `allowed` is empty.
struct Filter {
  std::span<const std::uint8_t> allowed;  // one byte a row
  std::span<const std::uint32_t> copies;  // ids of equal rows

  bool allows_row(std::uint32_t id) const { return allowed.empty() || (id < allowed.size() && allowed[id] != 0); }
  std::span<const std::uint32_t> copies_of(const Head& head) const {
    if (head.first_copy > copies.size() || head.n_copies > copies.size() - head.first_copy) return {};
    return copies.subspan(head.first_copy, head.n_copies);
  }
  bool allows(const Head& head) const {
    if (allows_row(head.id)) return true;
    const auto equal = copies_of(head);
    return std::any_of(equal.begin(), equal.end(), [this](std::uint32_t id) { return allows_row(id); });
  }
};

class Walk {
 public:
  Walk(const Nodes& nodes, float step, const GraphKernel& kernel, const Filter& filter)
      : nodes_(nodes), step_(step), kernel_(kernel), filter_(filter) {}

  // `effort`: that many of the best nodes that are allowed are visited. The query must outlive the walk.
  void begin(const RoundedQuery& query, std::span<const Scored> seeds, std::size_t effort);
  // Visits one node; false if there is none left.
  bool go_on();
  // The nodes that were visited, with their scores, in order.
  std::span<const Scored> visited() const { return visited_; }

  // The score of a node by its own row.
  float score(std::size_t i) const;

 private:
  static constexpr std::uint32_t kSeen = 0x80000000u;  // of a node of the pool that was visited

  void offer(float score, std::uint32_t node);
  bool has(std::uint32_t node) const;  // in the pool
  std::uint32_t take_best();

  const Nodes& nodes_;
  float step_;
  const GraphKernel& kernel_;
  const Filter& filter_;
  const RoundedQuery* query_ = nullptr;
  GraphQuery edge_query_{};
  std::size_t effort_ = 0, most_ = 0;
  std::size_t first_new_ = 0;  // all nodes of the pool before it were visited
  std::size_t n_allowed_ = 0;  // of the pool
  float least_ = 0.0f;         // a node must score more
  std::uint32_t next_ = kNoNode;
  std::vector<float> scores_;  // of the pool, best first
  std::vector<std::uint32_t> pool_;
  std::vector<std::uint8_t> is_allowed_;  // of the pool; empty without a filter
  std::vector<Scored> visited_;
};

}  // namespace pairdex::graph
