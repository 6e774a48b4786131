// Searches a graph: a walk for each query, then the best nodes by their rows as stored.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "graph/entries.hpp"
#include "graph/layout.hpp"
#include "graph/space.hpp"
#include "knn/blocks.hpp"
#include "knn/request.hpp"

namespace pairdex::graph {

struct Index {
  Nodes nodes;
  const Blocks& blocks;
  const Space& space;
  float step;  // what a whole number of a row stands for
  Entries entries;
  std::span<const std::uint32_t> copies;
};

struct Effort {
  std::size_t visits;    // nodes that are visited at least, and allowed
  std::size_t compared;  // of these, nodes whose rows are compared as stored
  std::size_t groups, seeds;
};

struct Report {
  std::uint64_t visited = 0, compared = 0;
};

// A query's answer depends on nothing but the query.
Report search(const Index& index, const Request& request, const Effort& effort, const Kernel& kernel,
              const std::atomic<bool>& stop, Answer answer);

}  // namespace pairdex::graph
