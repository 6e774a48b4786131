// The edges of all nodes, made in passes. A pass depends only on what was there before it, not on threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "graph/entries.hpp"
#include "graph/layout.hpp"
#include "graph/prune.hpp"

namespace pairdex::graph {

// n nodes with `degree` neighbours each, kNoNode for none.
struct EdgeTable {
  std::span<std::uint32_t> nodes;
  std::size_t degree;

  std::size_t size() const { return nodes.size() / degree; }
  std::span<std::uint32_t> of(std::size_t node) const { return nodes.subspan(node * degree, degree); }
};

struct Threads {
  std::size_t n;
  const std::atomic<bool>& stop;
};

// Edges that lead one way, of node `first` and all after it, or of `some` nodes. The first ones of a node, `n_strict`
// of them, are also led back; the others may fill up.
struct Chosen {
  EdgeTable edges;
  std::span<std::uint8_t> n_strict;  // one a node
  std::size_t first = 0;
  std::span<const std::uint32_t> some = {};

  std::uint32_t node(std::size_t i) const { return some.empty() ? static_cast<std::uint32_t>(first + i) : some[i]; }
};

// Edges of each chosen node towards some of `near`, its nearest nodes: `near`, too, begins with the first chosen one.
void choose_edges(const Codes& codes, const EdgeTable& near, const Chosen& out, const Kernel& kernel, Threads threads);

struct Refinement {
  std::size_t visits, groups, seeds;
};

// The same, towards nodes that a walk to the node itself visits, and those that `near` has.
void choose_edges_by_walks(const Codes& codes, const Nodes& nodes, const Entries& entries, float step,
                           const EdgeTable& near, const Refinement& effort, const Chosen& out, const Kernel& kernel,
                           Threads threads);

// Adds the strict edges back, as many as there is place for; then the other ones, at last random ones. Nodes before the
// first chosen one have edges in `out`: each of them to which edges lead chooses again among all.
void add_reverse(const Codes& codes, const Chosen& one_way, const EdgeTable& out, const Kernel& kernel,
                 Threads threads);

// Nodes of which some places are free fill them with nodes that a walk to them visits, and lead edges back. Those
// without any edge are gone.
void refill(const Codes& codes, const Nodes& nodes, const Entries& entries, float step, const Refinement& effort,
            const EdgeTable& edges, const Kernel& kernel, Threads threads);

// Gives each node that no other has as neighbour a place among those of its neighbours.
void mend(const EdgeTable& edges);

// Nodes from which, and from `entries`, all others can be reached.
std::vector<std::uint32_t> more_entries(const EdgeTable& edges, std::span<const std::uint32_t> entries);

}  // namespace pairdex::graph
