#include "join/graph.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <numeric>
#include <vector>

#include "knn/parallel.hpp"
#include "knn/query.hpp"

namespace pairdex::join {
namespace {

constexpr std::size_t kPieceRows = 1024;
constexpr std::size_t kListsLooked = 96;  // nearest to a list: among them each of its rows chooses
constexpr std::size_t kAhead = 4;         // rows on their way from memory while others are measured
constexpr std::size_t kMeasured = 12;     // of the neighbours of neighbours, those that are nearest by the large codes

struct Scored {
  std::int32_t score;  // larger is nearer
  std::uint32_t slot;
  bool operator<(const Scored& other) const { return score != other.score ? score > other.score : slot < other.slot; }
};

void prefetch(const Half* row, std::size_t dim) {
  const auto* bytes = reinterpret_cast<const char*>(row);
  for (std::size_t i = 0; i < dim * sizeof(Half); i += 64) __builtin_prefetch(bytes + i);
}

void keep_best(std::vector<Scored>& some, std::size_t n) {
  if (some.size() <= n) return;
  std::nth_element(some.begin(), some.begin() + static_cast<std::ptrdiff_t>(n), some.end());
  some.resize(n);
}

// Measures candidates of one row after the other and merges them into the graph.
class Merger {
 public:
  Merger(const CodedRows& rows, const Kernel& kernel, Graph graph)
      : rows_(rows), kernel_(kernel), graph_(graph), code_(rows.large_length) {}

  // Leaves the n best candidates by the large codes; without these all of them.
  void choose(std::uint32_t x, std::vector<Scored>& candidates, std::size_t n) {
    if (rows_.large_length == 0) return;
    score(x, candidates);
    keep_best(candidates, n);
  }

  void merge(std::uint32_t x, const std::vector<Scored>& candidates) {
    const std::size_t dim = rows_.blocks.dim();
    const std::size_t at = x * graph_.k;
    found_.clear();
    for (std::size_t i = 0; i < graph_.k && graph_.slots[at + i] != kNoSlot; ++i) {
      found_.push_back({graph_.distances[at + i], graph_.slots[at + i]});
    }
    const std::size_t n_known = found_.size();
    const Half* row = rows_.blocks.row(rows_.ids[x]);
    wide_.resize(padded(dim));
    kernel_.rows->widen(row, dim, wide_.data());
    const double norm = std::sqrt(kernel_.rows->exact(row, wide_.data(), dim).squared_norm);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const Scored& candidate = candidates[i];
      if (i + kAhead < candidates.size()) prefetch(rows_.blocks.row(rows_.ids[candidates[i + kAhead].slot]), dim);
      const auto is_it = [&](const auto& known) { return known.second == candidate.slot; };
      if (std::any_of(found_.begin(), found_.begin() + static_cast<std::ptrdiff_t>(n_known), is_it)) continue;
      const Half* other = rows_.blocks.row(rows_.ids[candidate.slot]);
      const double distance = cosine_distance(kernel_.rows->exact(other, wide_.data(), dim), norm);
      found_.push_back({static_cast<float>(distance), candidate.slot});
    }
    std::sort(found_.begin(), found_.end());
    found_.resize(std::min(found_.size(), graph_.k));
    for (std::size_t i = 0; i < found_.size(); ++i) {
      graph_.distances[at + i] = found_[i].first;
      graph_.slots[at + i] = found_[i].second;
    }
  }

 private:
  void score(std::uint32_t x, std::vector<Scored>& candidates) {
    const std::size_t length = rows_.large_length;
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < length; ++i) {
      code_[i] = static_cast<std::int8_t>(rows_.large[x * length + i] ^ 0x80);
      sum += code_[i];
    }
    slots_.resize(candidates.size());
    dots_.resize(candidates.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) slots_[i] = candidates[i].slot;
    kernel_.joins->row_dots(code_.data(), rows_.large, length, slots_.data(), slots_.size(), dots_.data());
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      candidates[i].score = 2 * (dots_[i] - 128 * sum) - rows_.large_norms[slots_[i]];
    }
  }

  const CodedRows& rows_;
  const Kernel& kernel_;
  Graph graph_;
  std::vector<std::int8_t> code_;
  std::vector<std::uint32_t> slots_;
  std::vector<std::int32_t> dots_;
  std::vector<float> wide_;
  std::vector<std::pair<float, std::uint32_t>> found_;
};

// The small codes of all lists as columns.
struct PackedLists {
  std::vector<std::size_t> firsts;  // slot of each list's first row
  std::vector<Columns> columns;
  std::vector<std::vector<std::int32_t>> starts;

  PackedLists(const CodedRows& rows, std::size_t n_lists) : firsts(n_lists + 1), columns(n_lists), starts(n_lists) {
    for (std::size_t slot = 0; slot < rows.n; ++slot) {
      const std::size_t list = rows.lists[slot];
      ++firsts[list + 1];
      columns[list].add(rows.small + slot * kSmall);
      starts[list].push_back(-(rows.small_norms[slot] >> 1));
    }
    for (std::size_t list = 0; list < n_lists; ++list) {
      firsts[list + 1] += firsts[list];
      starts[list].resize(columns[list].groups() * kGroupRows, kNever);
    }
  }
};

struct Piece {
  std::size_t list, first, end;
};

class ListWorker {
 public:
  ListWorker(const CodedRows& rows, const Planes& planes, const PackedLists& lists, const std::vector<Piece>& pieces,
             Effort effort, const Kernel& kernel, Graph graph)
      : rows_(rows),
        planes_(planes),
        lists_(lists),
        pieces_(pieces),
        effort_(effort),
        kernel_(kernel),
        graph_(graph),
        merger_(rows, kernel, graph) {}

  void operator()(std::size_t number) {
    const Piece& piece = pieces_[number];
    const std::size_t n = piece.end - piece.first;
    codes_.assign(rows_.small + piece.first * kSmall, rows_.small + piece.end * kSmall);
    codes_.resize(whole_blocks(n) * kSmall);
    sums_.resize(n);
    limits_.assign(n, std::numeric_limits<std::int32_t>::min());
    for (std::size_t r = 0; r < n; ++r) sums_[r] = 128 * sum_of(codes_.data() + r * kSmall);
    if (best_.size() < n) best_.resize(n);
    kernel_.codes->enter();
    choose_lists(piece);
    for (std::size_t i = 0; i < near_.size(); ++i) compare(piece, near_[i], wanting_[i]);
    kernel_.codes->leave();
    for (std::size_t r = 0; r < n; ++r) {
      keep_best(best_[r], effort_.candidates);
      const auto slot = static_cast<std::uint32_t>(piece.first + r);
      merger_.choose(slot, best_[r], 2 * graph_.k);
      merger_.merge(slot, best_[r]);
      best_[r].clear();
    }
  }

 private:
  // The lists near this one, and for each the rows that want it.
  void choose_lists(const Piece& piece) {
    const auto centroid = planes_.centroid(piece.list);
    std::vector<Scored> lists;
    dots_.resize(whole_blocks(std::max(piece.end - piece.first, kBlockQueries)) * kGroupRows);
    for (std::size_t g = 0; g < planes_.groups(); ++g) {
      kernel_.codes->dots(planes_.codes(g), kSmall, centroid, 1, dots_.data());
      for (std::size_t c = 0; c < kGroupRows && g * kGroupRows + c < planes_.size(); ++c) {
        lists.push_back({dots_[c] + planes_.minus_halves(g)[c], static_cast<std::uint32_t>(g * kGroupRows + c)});
      }
    }
    keep_best(lists, std::max(kListsLooked, effort_.probes * 3 / 2));
    std::sort(lists.begin(), lists.end());
    near_.clear();
    Columns columns;
    std::vector<std::int32_t> starts;
    for (const Scored& list : lists) {
      near_.push_back(list.slot);
      columns.add(planes_.centroid(list.slot));
      starts.push_back(planes_.minus_halves(list.slot / kGroupRows)[list.slot % kGroupRows]);
    }
    wanting_.assign(near_.size(), {});
    std::vector<std::int32_t> scores(near_.size());
    const std::size_t n = piece.end - piece.first;
    std::vector<std::int32_t> all(columns.groups() * whole_blocks(n) * kGroupRows);
    for (std::size_t g = 0; g < columns.groups(); ++g) {
      kernel_.codes->dots(columns.group(g), kSmall, codes_.data(), n, all.data() + g * whole_blocks(n) * kGroupRows);
    }
    for (std::size_t r = 0; r < n; ++r) {
      lists.clear();
      for (std::size_t i = 0; i < near_.size(); ++i) {
        const std::size_t g = i / kGroupRows;
        const std::int32_t dot = all[(g * whole_blocks(n) + r) * kGroupRows + i % kGroupRows];
        lists.push_back({dot + starts[i], static_cast<std::uint32_t>(i)});
      }
      keep_best(lists, effort_.probes);
      for (const Scored& list : lists) wanting_[list.slot].push_back(static_cast<std::uint32_t>(r));
    }
  }

  void compare(const Piece& piece, std::size_t list, const std::vector<std::uint32_t>& wanting) {
    const Columns& columns = lists_.columns[list];
    for (std::size_t first = 0; first < wanting.size(); first += kBlockQueries) {
      const std::size_t n = std::min(kBlockQueries, wanting.size() - first);
      const std::uint32_t* rows = wanting.data() + first;
      for (std::size_t i = 0; i < n; ++i) {
        std::copy_n(codes_.data() + rows[i] * kSmall, kSmall, block_.data() + i * kSmall);
      }
      for (std::size_t g = 0; g < columns.groups(); ++g) {
        const std::int32_t* starts = lists_.starts[list].data() + g * kGroupRows;
        for (std::size_t i = 0; i < n; ++i) block_limits_[i] = limits_[rows[i]];
        kernel_.codes->dots(columns.group(g), kSmall, block_.data(), n, dots_.data());
        kernel_.joins->reach(dots_.data(), starts, block_limits_.data(), n, masks_.data());
        for (std::size_t i = 0; i < n; ++i)
          take(piece, list, rows[i], g, masks_[i], dots_.data() + i * kGroupRows, starts);
      }
    }
  }

  void take(const Piece& piece, std::size_t list, std::uint32_t r, std::size_t g, std::uint32_t mask,
            const std::int32_t* dots, const std::int32_t* starts) {
    std::vector<Scored>& best = best_[r];
    const std::size_t first = lists_.firsts[list] + g * kGroupRows, end = lists_.firsts[list + 1];
    for (; mask != 0; mask &= mask - 1) {
      const auto c = static_cast<std::size_t>(std::countr_zero(mask));
      const std::size_t slot = first + c;
      if (slot >= end || slot == piece.first + r) continue;
      best.push_back({dots[c] + starts[c] - sums_[r], static_cast<std::uint32_t>(slot)});
    }
    if (best.size() < 4 * effort_.candidates) return;
    keep_best(best, effort_.candidates);
    const auto worst = std::max_element(best.begin(), best.end());  // of the smallest score
    limits_[r] = worst->score + sums_[r];
  }

  const CodedRows& rows_;
  const Planes& planes_;
  const PackedLists& lists_;
  const std::vector<Piece>& pieces_;
  Effort effort_;
  const Kernel& kernel_;
  Graph graph_;
  Merger merger_;
  std::vector<std::int8_t> codes_;
  std::vector<std::int32_t> sums_, limits_, dots_;
  std::vector<std::vector<Scored>> best_;
  std::vector<std::uint32_t> near_;
  std::vector<std::vector<std::uint32_t>> wanting_;
  std::array<std::int8_t, kBlockQueries * kSmall> block_{};
  std::array<std::int32_t, kBlockQueries> block_limits_{};
  std::array<std::uint32_t, kBlockQueries> masks_{};
};

// A copy of the graph that stays as it is, with the rows that have a row as neighbour, at most k.
struct Frozen {
  std::size_t k;
  std::vector<std::uint32_t> slots, reverse;
  std::span<const std::uint32_t> forward(std::size_t x) const { return {slots.data() + x * k, k}; }
  std::span<const std::uint32_t> backward(std::size_t x) const { return {reverse.data() + x * k, k}; }

  Frozen(const Graph& graph, std::size_t n)
      : k(graph.k), slots(graph.slots.begin(), graph.slots.end()), reverse(n * k, kNoSlot) {
    std::vector<std::uint32_t> counts(n);
    for (std::size_t i = 0; i < k; ++i) {  // nearest neighbours first
      for (std::size_t x = 0; x < n; ++x) {
        const std::uint32_t y = slots[x * k + i];
        if (y != kNoSlot && counts[y] < k) reverse[y * k + counts[y]++] = static_cast<std::uint32_t>(x);
      }
    }
  }
};

class RefineWorker {
 public:
  RefineWorker(const CodedRows& rows, const Frozen& frozen, const Kernel& kernel, Graph graph)
      : rows_(rows), frozen_(frozen), graph_(graph), merger_(rows, kernel, graph) {}

  void operator()(std::size_t piece) {
    seen_.resize(rows_.n);
    const std::size_t end = std::min(rows_.n, (piece + 1) * kPieceRows);
    for (std::size_t x = piece * kPieceRows; x < end; ++x) row(static_cast<std::uint32_t>(x));
  }

 private:
  void row(std::uint32_t x) {
    candidates_.clear();
    ++stamp_;
    seen_[x] = stamp_;
    for (const std::uint32_t y : frozen_.forward(x)) {
      if (y != kNoSlot) seen_[y] = stamp_;
    }
    for (const std::uint32_t y : frozen_.backward(x)) add(y);
    for (const std::uint32_t y : frozen_.forward(x)) add_neighbours(y);
    for (const std::uint32_t y : frozen_.backward(x)) add_neighbours(y);
    merger_.choose(x, candidates_, kMeasured);
    merger_.merge(x, candidates_);
  }

  void add_neighbours(std::uint32_t y) {
    if (y == kNoSlot) return;
    for (const std::uint32_t z : frozen_.forward(y)) add(z);
  }

  void add(std::uint32_t y) {
    if (y == kNoSlot || seen_[y] == stamp_) return;
    seen_[y] = stamp_;
    candidates_.push_back({0, y});
  }

  const CodedRows& rows_;
  const Frozen& frozen_;
  Graph graph_;
  Merger merger_;
  std::vector<std::uint32_t> seen_;
  std::uint32_t stamp_ = 0;
  std::vector<Scored> candidates_;
};

}  // namespace

void by_lists(const CodedRows& rows, const Planes& planes, Effort effort, const Kernel& kernel, std::size_t n_threads,
              const std::atomic<bool>& stop, Graph graph) {
  const PackedLists lists(rows, planes.size());
  std::vector<Piece> pieces;
  for (std::size_t list = 0; list < planes.size(); ++list) {
    for (std::size_t first = lists.firsts[list]; first < lists.firsts[list + 1]; first += kPieceRows) {
      pieces.push_back({list, first, std::min(first + kPieceRows, lists.firsts[list + 1])});
    }
  }
  for_each_piece(pieces.size(), n_threads, stop, ListWorker(rows, planes, lists, pieces, effort, kernel, graph));
}

void refine(const CodedRows& rows, const Kernel& kernel, std::size_t n_threads, const std::atomic<bool>& stop,
            Graph graph) {
  const Frozen frozen(graph, rows.n);
  for_each_piece((rows.n + kPieceRows - 1) / kPieceRows, n_threads, stop, RefineWorker(rows, frozen, kernel, graph));
}

}  // namespace pairdex::join
