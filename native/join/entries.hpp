// Which rows of a list may be near rows of another list: the sum rule of docs/certified.md, section 10.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "join/planes.hpp"
#include "join/rows.hpp"
#include "join/sinks.hpp"

namespace pairdex::join {

// Slots in ascending order, [first, end) of them.
struct Range {
  std::span<const std::uint32_t> slots;
  std::size_t first, end;
};

// Consecutive slots of one list, so few that their small codes stay in the second-level cache.
struct Piece {
  std::size_t list, first, end;
};

std::vector<Piece> cut(const CodedRows& rows, const Range& range);

struct ListRange {
  std::size_t first, end;
  // Bit c: list group * kGroupRows + c is one of them.
  std::uint32_t of_group(std::size_t group) const;
};

// A row of a piece that may be near a row of a certain list, and by how much.
struct Entry {
  std::uint32_t row;
  std::int32_t reach;
};
using Buckets = std::array<std::vector<Entry>, kGroupRows>;

std::int32_t best_reach(std::span<const Entry> entries);

// The small codes of a piece, side by side, and how near the rows must be to others.
class Gathered {
 public:
  void read(const CodedRows& rows, const Range& range, const Piece& piece, const Limits& limits);
  // Narrows each row's limit to what the sink still wants of it.
  void narrow(const CodedRows& rows, const Range& range, const Piece& piece, const Limits& limits, const Sink& sink);

  std::size_t size() const { return sums_.size(); }
  const std::int8_t* code(std::size_t r) const { return codes_.data() + r * kSmall; }
  // 128 x the sum of a code: what unsigned columns add to a dot.
  std::int32_t sum(std::size_t r) const { return sums_[r]; }
  // The rows' own scores, with that.
  const std::int32_t* scores() const { return scores_.data(); }
  // Its squared length less the largest squared distance of a row that is near.
  std::int32_t excess(std::size_t r) const { return norms_[r] - squared_[r]; }
  // By how much less row r reaches than a row that nothing has narrowed, with a centroid so far away.
  std::int32_t lost(std::size_t r, float apart) const { return static_cast<std::int32_t>(gaps_[r] * apart) - 1; }

 private:
  std::vector<std::int8_t> codes_;
  std::vector<std::int32_t> sums_, scores_, norms_;
  std::vector<double> within_;
  std::vector<std::int32_t> squared_;  // of small codes, at most
  std::vector<float> gaps_;            // by which the limit is smaller than that of all rows, rounded down
};

// Which rows of a piece may be near rows of other lists.
class EntryFinder {
 public:
  EntryFinder(const Planes& planes, double distance, const Kernel& kernel);

  // Fills buckets[c] for the lists group * kGroupRows + c whose bit is in `wanted`; those of the others are empty.
  void find(std::size_t list, const Gathered& rows, std::size_t group, std::uint32_t wanted, Buckets& buckets);
  // Of the last call: two rows are out if their reaches add up to less.
  std::int32_t least_sum(std::size_t c) const { return most_[c]; }

 private:
  void take(const Gathered& rows, std::size_t first, std::size_t n, Buckets& buckets);

  const Planes& planes_;
  double distance_;
  const Kernel& kernel_;
  std::array<std::int32_t, kGroupRows> most_{}, starts_{};
  std::array<float, kGroupRows> apart_{};  // rounded down
  std::vector<std::int32_t> dots_;
  std::vector<std::uint32_t> masks_;
};

}  // namespace pairdex::join
