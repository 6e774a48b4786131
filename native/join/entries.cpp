#include "join/entries.hpp"

#include <algorithm>
#include <bit>

namespace pairdex::join {
namespace {

constexpr std::size_t kPieceRows = 4096;
constexpr std::size_t kChunkRows = 256;  // their dots with a group stay in the first-level cache
// Exceeds what float32 rounds up in a product and its factors, relatively.
constexpr double kRoundedDown = 1.0 - 0x1p-20;

}  // namespace

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

std::uint32_t ListRange::of_group(std::size_t group) const {
  std::uint32_t mask = 0;
  for (std::size_t c = 0; c < kGroupRows; ++c) {
    const std::size_t list = group * kGroupRows + c;
    mask |= static_cast<std::uint32_t>(list >= first && list < end) << c;
  }
  return mask;
}

std::int32_t best_reach(std::span<const Entry> entries) {
  std::int32_t best = 0;
  for (const Entry& entry : entries) best = std::max(best, entry.reach);
  return best;
}

void Gathered::read(const CodedRows& rows, const Range& range, const Piece& piece, const Limits& limits) {
  const std::size_t n = piece.end - piece.first;
  codes_.resize(whole_blocks(n) * kSmall);
  sums_.resize(n);
  scores_.resize(n);
  within_.assign(n, limits.within);
  norms_.resize(n);
  squared_.assign(n, static_cast<std::int32_t>(limits.small.squared(limits.within)));
  gaps_.assign(n, 0.0f);
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t slot = range.slots[piece.first + i];
    std::copy_n(rows.small + slot * kSmall, kSmall, codes_.data() + i * kSmall);
    sums_[i] = 128 * sum_of(code(i));
    scores_[i] = rows.own[slot] + sums_[i];
    norms_[i] = rows.small_norms[slot];
  }
}

void Gathered::narrow(const CodedRows& rows, const Range& range, const Piece& piece, const Limits& limits,
                      const Sink& sink) {
  if (!sink.narrows() || rows.n == 0) return;
  const double most = limits.small.distance(limits.within);
  for (std::size_t i = 0; i < size(); ++i) {
    const double within = sink.cutoff(range.slots[piece.first + i]);
    if (within >= within_[i]) continue;
    within_[i] = within;
    squared_[i] = static_cast<std::int32_t>(limits.small.squared(within));
    gaps_[i] = static_cast<float>((most - limits.small.distance(within)) * kRoundedDown);
  }
}

EntryFinder::EntryFinder(const Planes& planes, double distance, const Kernel& kernel)
    : planes_(planes), distance_(distance), kernel_(kernel), dots_(kChunkRows * kGroupRows), masks_(kChunkRows) {}

void EntryFinder::find(std::size_t list, const Gathered& rows, std::size_t group, std::uint32_t wanted,
                       Buckets& buckets) {
  const std::array<double, kGroupRows> apart = planes_.apart(list, group);
  for (std::size_t c = 0; c < kGroupRows; ++c) {
    buckets[c].clear();
    most_[c] = most_between(apart[c], distance_);
    apart_[c] = static_cast<float>(apart[c] * kRoundedDown);
    starts_[c] = (wanted >> c & 1) != 0 ? planes_.minus_halves(group)[c] + most_[c] : kNever;
  }
  for (std::size_t first = 0; first < rows.size(); first += kChunkRows) {
    const std::size_t n = std::min(kChunkRows, rows.size() - first);
    kernel_.codes->dots(planes_.codes(group), kSmall, rows.code(first), n, dots_.data());
    kernel_.joins->reach(dots_.data(), starts_.data(), rows.scores() + first, n, masks_.data());
    take(rows, first, n, buckets);
  }
}

void EntryFinder::take(const Gathered& rows, std::size_t first, std::size_t n, Buckets& buckets) {
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t r = first + i;
    for (std::uint32_t mask = masks_[i]; mask != 0; mask &= mask - 1) {
      const auto c = static_cast<std::size_t>(std::countr_zero(mask));
      const std::int32_t reach = dots_[i * kGroupRows + c] + starts_[c] - rows.scores()[r];
      const std::int32_t left = reach - std::max(0, rows.lost(r, apart_[c]));
      if (left >= 0) buckets[c].push_back({static_cast<std::uint32_t>(r), left});
    }
  }
}

}  // namespace pairdex::join
