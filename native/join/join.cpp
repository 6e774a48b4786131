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

constexpr int kBins = 32;

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
        finder_(planes, request.limits.small.distance(request.limits.within), kernel) {}

  void operator()(std::size_t number) {
    const Piece& piece = pieces_[number];
    gathered_.read(rows_, request_.y, piece, request_.limits);
    ListRange wanted = x_lists_;
    if (request_.is_self) wanted.end = std::min(wanted.end, piece.list + 1);
    Held& held = held_[number];
    held.ends.assign(x_lists_.end - x_lists_.first, 0);
    held.bests.assign(x_lists_.end - x_lists_.first, 0);
    entries_.clear();
    kernel_.codes->enter();
    for (std::size_t group = x_lists_.first / kGroupRows; group * kGroupRows < wanted.end; ++group) {
      finder_.find(piece.list, gathered_, group, wanted.of_group(group), buckets_);
      for (std::size_t c = 0; c < kGroupRows; ++c) {
        const std::size_t list = group * kGroupRows + c;
        if (list < x_lists_.first || list >= x_lists_.end) continue;
        entries_.insert(entries_.end(), buckets_[c].begin(), buckets_[c].end());
        held.ends[list - x_lists_.first] = entries_.size();
        held.bests[list - x_lists_.first] = best_reach(buckets_[c]);
      }
    }
    kernel_.codes->leave();
    for (std::size_t i = 1; i < held.ends.size(); ++i) held.ends[i] = std::max(held.ends[i], held.ends[i - 1]);
    held.entries = entries_;
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
  std::vector<Entry> entries_;
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
        finder_(planes, request.limits.small.distance(request.limits.within), kernel),
        measure_(rows, request.limits, kernel, sink),
        dots_(kBlockQueries * kGroupRows),
        candidates_(kBlockQueries) {}

  void operator()(std::size_t number) {
    const Piece& piece = x_pieces_[number];
    gathered_.read(rows_, request_.x, piece, request_.limits);
    kernel_.codes->enter();
    meet_own_list(piece);
    meet_other_lists(piece);
    kernel_.codes->leave();
    measure_.flush();
    const std::lock_guard guard(counts_lock_);
    counts_.add(measure_.counts);
    measure_.counts = {};
  }

 private:
  using Place = std::vector<Piece>::const_iterator;

  Place first_of(std::size_t list) const {
    return std::lower_bound(y_pieces_.begin(), y_pieces_.end(), list,
                            [](const Piece& one, std::size_t wanted) { return one.list < wanted; });
  }

  // Most near rows lie in the own list: what is found there narrows the limits with the others.
  void meet_own_list(const Piece& x) {
    narrow(x);
    all_.resize(gathered_.size());
    for (std::size_t r = 0; r < all_.size(); ++r) all_[r] = {static_cast<std::uint32_t>(r), 0};
    for (Place y = first_of(x.list); y != y_pieces_.end() && y->list == x.list && !sink_.is_full(); ++y) {
      meet(x, y, all_, 0);
    }
  }

  void meet_other_lists(const Piece& x) {
    ListRange wanted = lists_of(y_pieces_);
    if (request_.is_self) wanted.first = std::max(wanted.first, x.list);
    Place y = first_of(wanted.first);
    while (y != y_pieces_.end() && !sink_.is_full()) {
      const std::size_t group = y->list / kGroupRows;
      narrow(x);
      finder_.find(x.list, gathered_, group, wanted.of_group(group), buckets_);
      for (; y != y_pieces_.end() && y->list / kGroupRows == group && !sink_.is_full(); ++y) {
        const std::size_t c = y->list % kGroupRows;
        if (y->list != x.list) meet(x, y, buckets_[c], finder_.least_sum(c));
      }
    }
  }

  void narrow(const Piece& x) { gathered_.narrow(rows_, request_.x, x, request_.limits, sink_); }

  void meet(const Piece& x, Place y, std::span<const Entry> of_x, std::int32_t least_sum) {
    if (request_.is_self && y->end <= x.first) return;
    const Held& held = held_[static_cast<std::size_t>(y - y_pieces_.begin())];
    const std::size_t i = x.list - x_pieces_.front().list;
    const std::span<const Entry> of_y = held.of(i);
    if (of_x.empty() || of_y.empty()) return;
    const std::int32_t best_x = best_reach(of_x), best_y = held.bests[i];
    if (best_x + best_y < least_sum) return;
    take_sorted(of_x, least_sum - best_y, best_x, xs_);
    take_sorted(of_y, least_sum - best_x, best_y, ys_);
    if (xs_.empty() || ys_.empty()) return;
    gather_rows();
    gather_columns(*y);
    for (std::size_t first = 0; first < xs_.size() && !sink_.is_full(); first += kBlockQueries) {
      const std::size_t n = std::min(kBlockQueries, xs_.size() - first);
      const std::int32_t least = least_sum - best_reach({xs_.data() + first, n});
      std::size_t n_groups = columns_.groups();
      while (n_groups > 0 && group_reach_[n_groups - 1] < least) --n_groups;
      compare(x, x.list == y->list, first, n, n_groups);
    }
  }

  void gather_rows() {
    row_codes_.resize(whole_blocks(xs_.size()) * kSmall);
    row_limits_.resize(xs_.size());
    for (std::size_t i = 0; i < xs_.size(); ++i) {
      const std::size_t r = xs_[i].row;
      std::copy_n(gathered_.code(r), kSmall, row_codes_.data() + i * kSmall);
      // Rounded down, as the columns' halves are: no pair within the limit is lost.
      row_limits_[i] = static_cast<std::int32_t>(gathered_.excess(r) >> 1) + gathered_.sum(r);
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

  void compare(const Piece& x, bool same_list, std::size_t first, std::size_t n, std::size_t n_groups) {
    measure_.counts.small += n * n_groups * kGroupRows;
    for (std::size_t g = 0; g < n_groups; ++g) {
      kernel_.codes->dots(columns_.group(g), kSmall, row_codes_.data() + first * kSmall, n, dots_.data());
      kernel_.joins->reach(dots_.data(), starts_.data() + g * kGroupRows, row_limits_.data() + first, n, masks_.data());
      for (std::size_t r = 0; r < n; ++r) {
        for (std::uint32_t mask = masks_[r]; mask != 0; mask &= mask - 1) {
          const std::uint32_t slot = slots_[g * kGroupRows + static_cast<std::size_t>(std::countr_zero(mask))];
          measure_.expect(slot);
          candidates_[r].push_back(slot);
        }
      }
    }
    for (std::size_t r = 0; r < n; ++r) {
      if (candidates_[r].empty()) continue;
      const std::uint32_t slot = request_.x.slots[x.first + xs_[first + r].row];
      // Each pair once: the slots of both are the same ones.
      if (request_.is_self && same_list) std::erase_if(candidates_[r], [&](std::uint32_t y) { return y <= slot; });
      measure_(slot, candidates_[r]);
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
  std::vector<Entry> all_, xs_, ys_;
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
