#include "join/join.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <mutex>
#include <vector>

#include "join/measure.hpp"
#include "knn/parallel.hpp"

namespace pairdex::join {
namespace {

constexpr std::size_t kPieceRows = 4096;  // their small codes stay in the second-level cache
constexpr std::size_t kChunkRows = 256;   // their dots with a group stay in the first-level cache
constexpr int kBins = 32;

// Consecutive slots of one list, at most kPieceRows.
struct Piece {
  std::size_t list, first, end;
};

std::vector<Piece> cut(const CodedRows& rows, const Range& range) {
  std::vector<Piece> pieces;
  for (std::size_t at = range.first; at < range.end; ++at) {
    const std::size_t list = rows.lists[range.slots[at]];
    if (pieces.empty() || pieces.back().list != list || at - pieces.back().first == kPieceRows) {
      pieces.push_back({list, at, at});
    }
    pieces.back().end = at + 1;
  }
  return pieces;
}

// A row of a piece that may be near a row of a certain list, and by how much.
struct Entry {
  std::uint32_t row;
  std::int32_t reach;
};
using Buckets = std::array<std::vector<Entry>, kGroupRows>;

// The small codes of a piece, side by side.
struct Gathered {
  std::vector<std::int8_t> codes;
  std::vector<std::int32_t> sums;    // 128 x the sum of a code: what unsigned columns add to a dot
  std::vector<std::int32_t> limits;  // the row's own score, with that
  std::size_t n = 0;

  void read(const CodedRows& rows, const Range& range, const Piece& piece) {
    n = piece.end - piece.first;
    codes.resize(whole_blocks(n) * kSmall);
    sums.resize(n);
    limits.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t slot = range.slots[piece.first + i];
      std::copy_n(rows.small + slot * kSmall, kSmall, codes.data() + i * kSmall);
      sums[i] = 128 * sum_of(codes.data() + i * kSmall);
      limits[i] = rows.own[slot] + sums[i];
    }
  }
};

// Which rows of a piece may be near rows of other lists.
class EntryFinder {
 public:
  EntryFinder(const Planes& planes, double distance, const Kernel& kernel)
      : planes_(planes), distance_(distance), kernel_(kernel), dots_(kChunkRows * kGroupRows), masks_(kChunkRows) {}

  // Fills buckets[c] for the lists group * kGroupRows + c whose bit is in `wanted`; those of the others are empty.
  void find(std::size_t list, const Gathered& rows, std::size_t group, std::uint32_t wanted, Buckets& buckets) {
    most_ = planes_.most(list, group, distance_);
    std::array<std::int32_t, kGroupRows> starts;
    for (std::size_t c = 0; c < kGroupRows; ++c) {
      buckets[c].clear();
      starts[c] = (wanted >> c & 1) != 0 ? planes_.minus_halves(group)[c] + most_[c] : kNever;
    }
    for (std::size_t first = 0; first < rows.n; first += kChunkRows) {
      const std::size_t n = std::min(kChunkRows, rows.n - first);
      const std::int32_t* limits = rows.limits.data() + first;
      kernel_.codes->dots(planes_.codes(group), kSmall, rows.codes.data() + first * kSmall, n, dots_.data());
      kernel_.joins->reach(dots_.data(), starts.data(), limits, n, masks_.data());
      for (std::size_t r = 0; r < n; ++r) {
        for (std::uint32_t mask = masks_[r]; mask != 0; mask &= mask - 1) {
          const auto c = static_cast<std::size_t>(std::countr_zero(mask));
          const std::int32_t reach = dots_[r * kGroupRows + c] + starts[c] - limits[r];
          buckets[c].push_back({static_cast<std::uint32_t>(first + r), reach});
        }
      }
    }
  }

  // Of the last call: two rows are out if their reaches add up to less.
  std::int32_t least_sum(std::size_t c) const { return most_[c]; }

 private:
  const Planes& planes_;
  double distance_;
  const Kernel& kernel_;
  std::array<std::int32_t, kGroupRows> most_{};
  std::vector<std::int32_t> dots_;
  std::vector<std::uint32_t> masks_;
};

struct ListRange {
  std::size_t first, end;
  std::uint32_t of_group(std::size_t group) const {
    std::uint32_t mask = 0;
    for (std::size_t c = 0; c < kGroupRows; ++c) {
      const std::size_t list = group * kGroupRows + c;
      mask |= static_cast<std::uint32_t>(list >= first && list < end) << c;
    }
    return mask;
  }
};

ListRange lists_of(const std::vector<Piece>& pieces) { return {pieces.front().list, pieces.back().list + 1}; }

// The entries of a piece of y, list after list of x.
struct Held {
  std::vector<Entry> entries;
  std::vector<std::size_t> ends;
  std::vector<std::int32_t> bests;  // the largest reach of each list's entries
  std::span<const Entry> of(std::size_t i) const {
    const std::size_t first = i == 0 ? 0 : ends[i - 1];
    return {entries.data() + first, ends[i] - first};
  }
};

std::int32_t best_reach(std::span<const Entry> entries) {
  std::int32_t best = 0;
  for (const Entry& entry : entries) best = std::max(best, entry.reach);
  return best;
}

class Holder {
 public:
  Holder(const CodedRows& rows, const Planes& planes, const Request& request, ListRange x_lists, const Kernel& kernel,
         const std::vector<Piece>& pieces, std::vector<Held>& held)
      : rows_(rows),
        request_(request),
        x_lists_(x_lists),
        kernel_(kernel),
        pieces_(pieces),
        held_(held),
        finder_(planes, request.limits.small_distance, kernel) {}

  void operator()(std::size_t number) {
    const Piece& piece = pieces_[number];
    gathered_.read(rows_, request_.y, piece);
    ListRange wanted = x_lists_;
    if (request_.is_self) wanted.end = std::min(wanted.end, piece.list + 1);
    Held& held = held_[number];
    held.ends.assign(x_lists_.end - x_lists_.first, 0);
    held.bests.assign(x_lists_.end - x_lists_.first, 0);
    kernel_.codes->enter();
    for (std::size_t group = x_lists_.first / kGroupRows; group * kGroupRows < wanted.end; ++group) {
      finder_.find(piece.list, gathered_, group, wanted.of_group(group), buckets_);
      for (std::size_t c = 0; c < kGroupRows; ++c) {
        const std::size_t list = group * kGroupRows + c;
        if (list < x_lists_.first || list >= x_lists_.end) continue;
        held.entries.insert(held.entries.end(), buckets_[c].begin(), buckets_[c].end());
        held.ends[list - x_lists_.first] = held.entries.size();
        held.bests[list - x_lists_.first] = best_reach(buckets_[c]);
      }
    }
    kernel_.codes->leave();
    for (std::size_t i = 1; i < held.ends.size(); ++i) held.ends[i] = std::max(held.ends[i], held.ends[i - 1]);
    held.entries.shrink_to_fit();
  }

 private:
  const CodedRows& rows_;
  const Request& request_;
  ListRange x_lists_;
  const Kernel& kernel_;
  const std::vector<Piece>& pieces_;
  std::vector<Held>& held_;
  EntryFinder finder_;
  Gathered gathered_;
  Buckets buckets_;
};

// Those that reach at least `least`, in bins of descending reach: a full sort would cost half of the join.
void take_sorted(std::span<const Entry> from, std::int32_t least, std::int32_t best, std::vector<Entry>& to) {
  std::array<std::uint32_t, kBins + 1> starts{};
  // The order decides how much is compared, not what is found: float32, which is not exact, divides faster.
  const float scale = kBins / static_cast<float>(best - least + 1);
  const auto bin = [&](const Entry& entry) {
    return std::min(kBins - 1, static_cast<int>(static_cast<float>(best - entry.reach) * scale));
  };
  for (const Entry& entry : from) {
    if (entry.reach >= least) ++starts[bin(entry) + 1];
  }
  for (int i = 0; i < kBins; ++i) starts[i + 1] += starts[i];
  to.resize(starts[kBins]);
  for (const Entry& entry : from) {
    if (entry.reach >= least) to[starts[bin(entry)]++] = entry;
  }
}

// The rows of one piece of x with all of y.
class Worker {
 public:
  Worker(const CodedRows& rows, const Planes& planes, const Request& request, const Kernel& kernel,
         const std::vector<Piece>& x_pieces, const std::vector<Piece>& y_pieces, const std::vector<Held>& held,
         Sink& sink, Counts& counts, std::mutex& counts_lock)
      : rows_(rows),
        request_(request),
        kernel_(kernel),
        x_pieces_(x_pieces),
        y_pieces_(y_pieces),
        held_(held),
        sink_(sink),
        counts_(counts),
        counts_lock_(counts_lock),
        finder_(planes, request.limits.small_distance, kernel),
        measure_(rows, request.limits, kernel, sink),
        dots_(kBlockQueries * kGroupRows),
        candidates_(kBlockQueries) {}

  void operator()(std::size_t number) {
    const Piece& piece = x_pieces_[number];
    gathered_.read(rows_, request_.x, piece);
    ListRange wanted = lists_of(y_pieces_);
    if (request_.is_self) wanted.first = std::max(wanted.first, piece.list);
    auto y = std::lower_bound(y_pieces_.begin(), y_pieces_.end(), wanted.first,
                              [](const Piece& one, std::size_t list) { return one.list < list; });
    kernel_.codes->enter();
    while (y != y_pieces_.end() && !sink_.is_full()) {
      const std::size_t group = y->list / kGroupRows;
      finder_.find(piece.list, gathered_, group, wanted.of_group(group), buckets_);
      for (; y != y_pieces_.end() && y->list / kGroupRows == group && !sink_.is_full(); ++y) {
        meet(piece, static_cast<std::size_t>(y - y_pieces_.begin()));
      }
    }
    kernel_.codes->leave();
    measure_.flush();
    const std::lock_guard guard(counts_lock_);
    counts_.add(measure_.counts);
    measure_.counts = {};
  }

 private:
  void meet(const Piece& x, std::size_t y_number) {
    const Piece& y = y_pieces_[y_number];
    if (request_.is_self && y.end <= x.first) return;
    const std::size_t c = y.list % kGroupRows;
    const std::size_t i = x.list - x_pieces_.front().list;
    const std::span<const Entry> of_x = buckets_[c], of_y = held_[y_number].of(i);
    if (of_x.empty() || of_y.empty()) return;
    const std::int32_t least_sum = finder_.least_sum(c);
    const std::int32_t best_x = best_reach(of_x), best_y = held_[y_number].bests[i];
    if (best_x + best_y < least_sum) return;
    take_sorted(of_x, least_sum - best_y, best_x, xs_);
    take_sorted(of_y, least_sum - best_x, best_y, ys_);
    if (xs_.empty() || ys_.empty()) return;
    gather_rows(x);
    gather_columns(y);
    for (std::size_t first = 0; first < xs_.size() && !sink_.is_full(); first += kBlockQueries) {
      const std::size_t n = std::min(kBlockQueries, xs_.size() - first);
      const std::int32_t least = least_sum - best_reach({xs_.data() + first, n});
      std::size_t n_groups = columns_.groups();
      while (n_groups > 0 && group_reach_[n_groups - 1] < least) --n_groups;
      compare(x, y, first, n, n_groups);
    }
  }

  void gather_rows(const Piece& x) {
    row_codes_.resize(whole_blocks(xs_.size()) * kSmall);
    row_limits_.resize(xs_.size());
    for (std::size_t i = 0; i < xs_.size(); ++i) {
      const std::size_t r = xs_[i].row;
      std::copy_n(gathered_.codes.data() + r * kSmall, kSmall, row_codes_.data() + i * kSmall);
      const std::int64_t norm = rows_.small_norms[request_.x.slots[x.first + r]];
      // Rounded down, as the columns' halves are: no pair within the limit is lost.
      row_limits_[i] = static_cast<std::int32_t>((norm - request_.limits.small_squared) >> 1) + gathered_.sums[r];
    }
  }

  void gather_columns(const Piece& y) {
    slots_.resize(ys_.size());
    for (std::size_t i = 0; i < ys_.size(); ++i) slots_[i] = request_.y.slots[y.first + ys_[i].row];
    columns_.assign(rows_.small, slots_, kernel_);
    starts_.assign((ys_.size() + kGroupRows - 1) / kGroupRows * kGroupRows, kNever);
    group_reach_.assign(starts_.size() / kGroupRows, 0);
    for (std::size_t i = 0; i < ys_.size(); ++i) {
      starts_[i] = -(rows_.small_norms[slots_[i]] >> 1);
      group_reach_[i / kGroupRows] = std::max(group_reach_[i / kGroupRows], ys_[i].reach);
    }
    for (std::size_t g = group_reach_.size(); g-- > 1;) {  // the best of this and all later groups
      group_reach_[g - 1] = std::max(group_reach_[g - 1], group_reach_[g]);
    }
  }

  void compare(const Piece& x, const Piece& y, std::size_t first, std::size_t n, std::size_t n_groups) {
    const bool same_list = request_.is_self && x.list == y.list;
    measure_.counts.small += n * n_groups * kGroupRows;
    for (std::size_t g = 0; g < n_groups; ++g) {
      kernel_.codes->dots(columns_.group(g), kSmall, row_codes_.data() + first * kSmall, n, dots_.data());
      kernel_.joins->reach(dots_.data(), starts_.data() + g * kGroupRows, row_limits_.data() + first, n, masks_.data());
      for (std::size_t r = 0; r < n; ++r) {
        for (std::uint32_t mask = masks_[r]; mask != 0; mask &= mask - 1) {
          const std::size_t at = g * kGroupRows + static_cast<std::size_t>(std::countr_zero(mask));
          const std::size_t place = y.first + ys_[at].row;
          if (same_list && place <= x.first + xs_[first + r].row) continue;
          candidates_[r].push_back(request_.y.slots[place]);
        }
      }
    }
    for (std::size_t r = 0; r < n; ++r) {
      if (candidates_[r].empty()) continue;
      measure_(request_.x.slots[x.first + xs_[first + r].row], candidates_[r]);
      candidates_[r].clear();
    }
  }

  const CodedRows& rows_;
  const Request& request_;
  const Kernel& kernel_;
  const std::vector<Piece>&x_pieces_, &y_pieces_;
  const std::vector<Held>& held_;
  Sink& sink_;
  Counts& counts_;
  std::mutex& counts_lock_;
  EntryFinder finder_;
  Measure measure_;
  Gathered gathered_;
  Buckets buckets_;
  std::vector<Entry> xs_, ys_;
  std::vector<std::uint32_t> slots_;  // of ys_
  std::vector<std::int8_t> row_codes_;
  std::vector<std::int32_t> row_limits_;
  Columns columns_;
  std::vector<std::int32_t> starts_, group_reach_;
  std::vector<std::int32_t> dots_;
  std::array<std::uint32_t, kBlockQueries> masks_{};
  std::vector<std::vector<std::uint32_t>> candidates_;
};

}  // namespace

Counts run(const CodedRows& rows, const Planes& planes, const Request& request, const Kernel& kernel,
           const std::atomic<bool>& stop, Sink& sink) {
  Counts counts;
  const std::vector<Piece> x_pieces = cut(rows, request.x), y_pieces = cut(rows, request.y);
  if (x_pieces.empty() || y_pieces.empty()) return counts;
  std::vector<Held> held(y_pieces.size());
  for_each_piece(y_pieces.size(), request.n_threads, stop,
                 Holder(rows, planes, request, lists_of(x_pieces), kernel, y_pieces, held));
  std::mutex counts_lock;
  for_each_piece(x_pieces.size(), request.n_threads, stop,
                 Worker(rows, planes, request, kernel, x_pieces, y_pieces, held, sink, counts, counts_lock));
  return counts;
}

}  // namespace pairdex::join
