#include "graph/edges.hpp"

#include <algorithm>

#include "graph/walk.hpp"
#include "knn/parallel.hpp"

namespace pairdex::graph {
namespace {

constexpr std::size_t kPieceNodes = 512;
constexpr float kPlain = 1.0f;
constexpr float kSlacks[] = {1.1f, 1.25f};  // of edges that fill up
constexpr std::size_t kMostReverse = 128;   // of a node, the nearest; others are not looked at
constexpr std::uint32_t kEnoughWays = 2;    // to a node, of which one may go

template <typename Work>
void for_each_node(std::size_t n, Threads threads, const Work& work) {
  for_each_item(n, kPieceNodes, threads.n, threads.stop,
                [own = Work(work)](std::size_t i) mutable { own(static_cast<std::uint32_t>(i)); });
}

void write(std::span<const Candidate> kept, std::span<std::uint32_t> out) {
  for (std::size_t e = 0; e < out.size(); ++e) out[e] = e < kept.size() ? kept[e].node : kNoNode;
}

struct Choosing {
  Pruner pruner;
  const EdgeTable& near;
  const Chosen& out;
  std::vector<Candidate> candidates, kept;

  void operator()(std::uint32_t node) { choose(node, near.of(node)); }

  void choose(std::uint32_t node, std::span<const std::uint32_t> others) {
    pruner.measure(node, others, candidates);
    kept.clear();
    pruner.select(candidates, kPlain, out.edges.degree, kept);
    out.n_strict[node] = static_cast<std::uint8_t>(kept.size());
    for (const float slack : kSlacks) pruner.select(candidates, slack, out.edges.degree, kept);
    write(kept, out.edges.of(node));
  }
};

struct Walking {
  Choosing choosing;
  const Nodes& nodes;
  const Entries& entries;
  const Kernel& kernel;
  float step;
  Refinement effort;
  Filter filter;
  Walk walk;
  Chooser chooser;
  RoundedQuery query;
  std::vector<std::uint32_t> others;

  Walking(const Choosing& choose, const Nodes& of, const Entries& from, float unit, const Refinement& how,
          const Kernel& by)
      : choosing(choose),
        nodes(of),
        entries(from),
        kernel(by),
        step(unit),
        effort(how),
        walk(nodes, step, *kernel.graphs, filter),
        chooser(entries, *kernel.graphs) {}
  Walking(const Walking& other)
      : Walking(other.choosing, other.nodes, other.entries, other.step, other.effort, other.kernel) {}

  void operator()(std::uint32_t node) {
    query.take_row(nodes.row(node), nodes.layout().length, step);
    walk.begin(query, chooser.choose(query, effort.groups, effort.seeds), effort.visits);
    while (walk.go_on()) {
    }
    const auto present = choosing.near.of(node);
    others.assign(present.begin(), present.end());
    for (const Scored& one : walk.visited()) others.push_back(one.node);
    choosing.choose(node, others);
  }
};

// The nodes that have a node as neighbour, those of which it is an earlier neighbour first.
class Reverse {
 public:
  explicit Reverse(const Chosen& chosen) : firsts_(chosen.edges.size() + 1) {
    const std::size_t n = chosen.edges.size();
    for (std::size_t i = 0; i < n; ++i) {
      for (const std::uint32_t to : chosen.edges.of(i).first(chosen.n_strict[i])) ++firsts_[to + 1];
    }
    for (std::size_t i = 0; i < n; ++i) firsts_[i + 1] += firsts_[i];
    from_.resize(firsts_.back());
    std::vector<std::size_t> at(firsts_.begin(), firsts_.end() - 1);
    for (std::size_t e = 0; e < chosen.edges.degree; ++e) {
      for (std::size_t i = 0; i < n; ++i) {
        if (e < chosen.n_strict[i]) from_[at[chosen.edges.of(i)[e]]++] = static_cast<std::uint32_t>(i);
      }
    }
  }
  std::span<const std::uint32_t> of(std::size_t node) const {
    const std::size_t n = firsts_[node + 1] - firsts_[node];
    return {from_.data() + firsts_[node], std::min(n, kMostReverse)};
  }

 private:
  std::vector<std::size_t> firsts_;
  std::vector<std::uint32_t> from_;
};

// Edges both ways.
struct Adding {
  Pruner pruner;
  const Chosen& one_way;
  const Reverse& reverse;
  const EdgeTable& out;
  std::vector<std::uint32_t> others;
  std::vector<Candidate> candidates, kept;

  void operator()(std::uint32_t node) {
    const std::span<const std::uint32_t> all = one_way.edges.of(node), back = reverse.of(node);
    const std::span<const std::uint32_t> own = all.first(one_way.n_strict[node]), more = all.subspan(own.size());
    others.assign(own.begin(), own.end());
    others.insert(others.end(), back.begin(), back.end());
    pruner.measure(node, others, candidates);
    kept.clear();
    if (candidates.size() > out.degree) {
      pruner.select(candidates, kPlain, out.degree, kept);
      for (const float slack : kSlacks) pruner.select(candidates, slack, out.degree, kept);
      fill(candidates);
    } else {
      kept = candidates;
      pruner.measure(node, more, candidates);
      for (const float slack : kSlacks) pruner.select(candidates, slack, out.degree, kept);
    }
    add_random(node);
    write(kept, out.of(node));
  }

  bool has(std::uint32_t node) const {
    return std::any_of(kept.begin(), kept.end(), [node](const Candidate& one) { return one.node == node; });
  }

  void fill(std::span<const Candidate> from) {
    for (const Candidate& one : from) {
      if (kept.size() >= out.degree) return;
      if (!has(one.node)) kept.push_back(one);
    }
  }

  // A few more ways out of a region; tries are limited, for there may be fewer nodes than places.
  void add_random(std::uint32_t node) {
    std::uint64_t state = node;
    for (std::size_t tries = 0; tries < 2 * out.degree && kept.size() < out.degree; ++tries) {
      state = (state ^ (state >> 31)) * 0x9e3779b97f4a7c15u + 0xbf58476d1ce4e5b9u;
      const auto other = static_cast<std::uint32_t>((state >> 32) % out.size());
      if (other != node && !has(other)) kept.push_back({0, other});
    }
  }
};

}  // namespace

void choose_edges(const Codes& codes, const EdgeTable& near, const Chosen& out, const Kernel& kernel, Threads threads) {
  for_each_node(out.edges.size(), threads, Choosing{Pruner(codes, kernel), near, out, {}, {}});
}

void choose_edges_by_walks(const Codes& codes, const Nodes& nodes, const Entries& entries, float step,
                           const EdgeTable& near, const Refinement& effort, const Chosen& out, const Kernel& kernel,
                           Threads threads) {
  const Choosing choosing{Pruner(codes, kernel), near, out, {}, {}};
  for_each_node(out.edges.size(), threads, Walking(choosing, nodes, entries, step, effort, kernel));
}

void add_reverse(const Codes& codes, const Chosen& one_way, const EdgeTable& out, const Kernel& kernel,
                 Threads threads) {
  const Reverse reverse(one_way);
  for_each_node(out.size(), threads, Adding{Pruner(codes, kernel), one_way, reverse, out, {}, {}, {}});
}

void mend(const EdgeTable& edges) {
  std::vector<std::uint32_t> ways(edges.size());
  for (const std::uint32_t to : edges.nodes) {
    if (to != kNoNode) ++ways[to];
  }
  for (std::size_t i = 0; i < edges.size(); ++i) {
    if (ways[i] != 0) continue;
    for (const std::uint32_t near : edges.of(i)) {
      if (near == kNoNode || near == i) continue;
      const auto theirs = edges.of(near);
      const auto spare = std::find_if(theirs.rbegin(), theirs.rend(),
                                      [&](std::uint32_t to) { return to == kNoNode || ways[to] > kEnoughWays; });
      if (spare == theirs.rend()) continue;
      if (*spare != kNoNode) --ways[*spare];
      *spare = static_cast<std::uint32_t>(i);
      ways[i] = 1;
      break;
    }
  }
}

std::vector<std::uint32_t> more_entries(const EdgeTable& edges, std::span<const std::uint32_t> entries) {
  std::vector<std::uint8_t> is_reached(edges.size());
  std::vector<std::uint32_t> waiting, more;
  const auto reach = [&](std::uint32_t node) {
    if (node >= edges.size() || is_reached[node] != 0) return;
    is_reached[node] = 1;
    waiting.push_back(node);
  };
  const auto go = [&] {
    while (!waiting.empty()) {
      const std::uint32_t node = waiting.back();
      waiting.pop_back();
      for (const std::uint32_t to : edges.of(node)) reach(to);
    }
  };
  for (const std::uint32_t entry : entries) reach(entry);
  go();
  for (std::size_t i = 0; i < edges.size(); ++i) {
    if (is_reached[i] != 0) continue;
    more.push_back(static_cast<std::uint32_t>(i));
    reach(static_cast<std::uint32_t>(i));
    go();
  }
  return more;
}

}  // namespace pairdex::graph
