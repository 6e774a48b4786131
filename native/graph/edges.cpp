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

  void operator()(std::uint32_t i) { choose(i, near.of(i)); }

  void choose(std::uint32_t i, std::span<const std::uint32_t> others) {
    pruner.measure(out.node(i), others, candidates);
    kept.clear();
    pruner.select(candidates, kPlain, out.edges.degree, kept);
    out.n_strict[i] = static_cast<std::uint8_t>(kept.size());
    for (const float slack : kSlacks) pruner.select(candidates, slack, out.edges.degree, kept);
    write(kept, out.edges.of(i));
  }
};

// Walks to nodes, by their rows.
class Walker {
 public:
  Walker(const Nodes& nodes, const Entries& entries, float step, const Refinement& effort, const Kernel& kernel)
      : nodes_(nodes),
        entries_(entries),
        kernel_(kernel),
        step_(step),
        effort_(effort),
        walk_(nodes_, step_, *kernel.graphs, filter_),
        chooser_(entries_, *kernel.graphs) {}
  Walker(const Walker& other) : Walker(other.nodes_, other.entries_, other.step_, other.effort_, other.kernel_) {}

  // Appends the nodes that a walk to a node visits.
  void visit(std::uint32_t node, std::vector<std::uint32_t>& visited) {
    query_.take_row(nodes_.row(node), nodes_.layout().length, step_);
    walk_.begin(query_, chooser_.choose(query_, effort_.groups, effort_.seeds), effort_.visits);
    while (walk_.go_on()) {
    }
    for (const Scored& one : walk_.visited()) visited.push_back(one.node);
  }

 private:
  const Nodes& nodes_;
  const Entries& entries_;
  const Kernel& kernel_;
  float step_;
  Refinement effort_;
  Filter filter_;
  Walk walk_;
  Chooser chooser_;
  RoundedQuery query_;
};

struct Walking {
  Choosing choosing;
  Walker walker;
  std::vector<std::uint32_t> others;

  void operator()(std::uint32_t i) {
    const auto present = choosing.near.of(i);
    others.assign(present.begin(), present.end());
    walker.visit(choosing.out.node(i), others);
    choosing.choose(i, others);
  }
};

// The nodes that have a node as neighbour, those of which it is an earlier neighbour first.
class Reverse {
 public:
  // `n`: the number of all nodes.
  Reverse(const Chosen& chosen, std::size_t n) : firsts_(n + 1) {
    const std::size_t n_chosen = chosen.edges.size();
    for (std::size_t i = 0; i < n_chosen; ++i) {
      for (const std::uint32_t to : chosen.edges.of(i).first(chosen.n_strict[i])) ++firsts_[to + 1];
    }
    for (std::size_t i = 0; i < n; ++i) firsts_[i + 1] += firsts_[i];
    from_.resize(firsts_.back());
    std::vector<std::size_t> at(firsts_.begin(), firsts_.end() - 1);
    for (std::size_t e = 0; e < chosen.edges.degree; ++e) {
      for (std::size_t i = 0; i < n_chosen; ++i) {
        if (e < chosen.n_strict[i]) from_[at[chosen.edges.of(i)[e]]++] = chosen.node(i);
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

// Fills the places of a node.
struct Filling {
  Pruner pruner;
  const EdgeTable& out;
  std::vector<Candidate> candidates, kept;
  std::span<const float> slacks = kSlacks;

  // All of `others`, as many as there is place for; then of `more`.
  void choose(std::uint32_t node, std::span<const std::uint32_t> others, std::span<const std::uint32_t> more) {
    pruner.measure(node, others, candidates);
    kept.clear();
    if (candidates.size() > out.degree) {
      pruner.select(candidates, kPlain, out.degree, kept);
      for (const float slack : slacks) pruner.select(candidates, slack, out.degree, kept);
      fill(candidates);
    } else {
      kept = candidates;
      pruner.measure(node, more, candidates);
      for (const float slack : kSlacks) pruner.select(candidates, slack, out.degree, kept);
    }
  }

  // All of `own`, then of `others`.
  void add(std::uint32_t node, std::span<const std::uint32_t> own, std::span<const std::uint32_t> others) {
    pruner.measure(node, own, kept);
    pruner.measure(node, others, candidates);
    pruner.select(candidates, kPlain, out.degree, kept);
    for (const float slack : slacks) pruner.select(candidates, slack, out.degree, kept);
    fill(candidates);
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

// Edges both ways.
struct Adding {
  Filling filling;
  const Chosen& one_way;
  const Reverse& reverse;
  std::vector<std::uint32_t> others;

  void operator()(std::uint32_t node) {
    const bool is_chosen = node >= one_way.first;
    const std::span<const std::uint32_t> back = reverse.of(node);
    const std::size_t i = node - one_way.first;
    const std::span<const std::uint32_t> all = is_chosen ? one_way.edges.of(i) : filling.out.of(node);
    const std::span<const std::uint32_t> own = is_chosen ? all.first(one_way.n_strict[i]) : all;
    others.assign(own.begin(), own.end());
    others.insert(others.end(), back.begin(), back.end());
    if (!is_chosen && knows(all, back)) return;
    filling.slacks = is_chosen ? std::span<const float>(kSlacks) : std::span<const float>();
    filling.choose(node, others, all.subspan(own.size()));
    filling.add_random(node);
    write(filling.kept, filling.out.of(node));
  }

  static bool knows(std::span<const std::uint32_t> own, std::span<const std::uint32_t> others) {
    return std::all_of(others.begin(), others.end(),
                       [own](std::uint32_t other) { return std::find(own.begin(), own.end(), other) != own.end(); });
  }
};

// Nodes that have some edges, and places for more.
std::vector<std::uint32_t> with_free_places(const EdgeTable& edges) {
  std::vector<std::uint32_t> some;
  for (std::size_t i = 0; i < edges.size(); ++i) {
    const auto own = edges.of(i);
    const auto n_free = std::count(own.begin(), own.end(), kNoNode);
    if (n_free > 0 && n_free < std::ssize(own)) some.push_back(static_cast<std::uint32_t>(i));
  }
  return some;
}

struct Refilling {
  Filling filling;
  const Chosen& chosen;

  void operator()(std::uint32_t i) {
    const std::span<std::uint32_t> own = filling.out.of(chosen.node(i));
    filling.add(chosen.node(i), own, chosen.edges.of(i));
    write(filling.kept, own);
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
  for_each_node(out.edges.size(), threads, Walking{choosing, Walker(nodes, entries, step, effort, kernel), {}});
}

void add_reverse(const Codes& codes, const Chosen& one_way, const EdgeTable& out, const Kernel& kernel,
                 Threads threads) {
  const Reverse reverse(one_way, out.size());
  for_each_node(out.size(), threads, Adding{{Pruner(codes, kernel), out, {}, {}}, one_way, reverse, {}});
}

void refill(const Codes& codes, const Nodes& nodes, const Entries& entries, float step, const Refinement& effort,
            const EdgeTable& edges, const Kernel& kernel, Threads threads) {
  const std::vector<std::uint32_t> some = with_free_places(edges);
  std::vector<std::uint32_t> present, found(some.size() * edges.degree, kNoNode);
  for (const std::uint32_t node : some) present.insert(present.end(), edges.of(node).begin(), edges.of(node).end());
  std::vector<std::uint8_t> n_strict(some.size());
  const Chosen chosen{{found, edges.degree}, n_strict, edges.size(), some};
  choose_edges_by_walks(codes, nodes, entries, step, {present, edges.degree}, effort, chosen, kernel, threads);
  for_each_node(some.size(), threads, Refilling{{Pruner(codes, kernel), edges, {}, {}}, chosen});
  add_reverse(codes, chosen, edges, kernel, threads);
  mend(edges);
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
