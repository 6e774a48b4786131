// The rows that take part in a join, in the order of their lists: the number of a row in it is its slot.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include "join/encode.hpp"
#include "knn/blocks.hpp"

namespace pairdex::join {

struct CodedRows {
  const Blocks& blocks;
  std::size_t n;
  const std::int8_t* small;
  const std::uint8_t* large;
  std::size_t large_length;
  const std::int32_t *small_norms, *large_norms;
  const std::uint32_t* lists;
  const std::int32_t* own;     // score with the own centroid
  const std::uint32_t* ids;    // of the row in the blocks
  const std::uint32_t* ranks;  // of two rows, the one of the larger rank is the query of the search that measures them
};

// How far apart the codes of near rows are at most; docs/certified.md, (15).
struct CodeLimit {
  double scale;  // units of the code for a distance of 1
  double error;  // of both codes
  // For rows with 1 - cos of at most `within`, in units of the code.
  double distance(double within) const {
    constexpr double kShiftMargin = 3e-11;  // of a squared distance, for what float64 errs by
    constexpr double kFarthest = 8192.0;    // no two codes are farther apart
    return std::min(scale * std::sqrt(2.0 * within + kShiftMargin) + error, kFarthest);
  }
  std::int64_t squared(double within) const {
    const double most = distance(within);
    return static_cast<std::int64_t>(most * most);
  }
};

// What pairs must satisfy.
struct Limits {
  double within;  // largest 1 - cos
  CodeLimit small, large;
  double near_error;  // of 1 - cos computed in float32
};

// A pair of slots that are measured.
struct Pair {
  std::uint32_t x, y;
  double distance;
};

struct Counts {
  std::uint64_t small = 0, large = 0, near = 0, exact = 0;  // pairs compared by each
  void add(const Counts& other) {
    small += other.small;
    large += other.large;
    near += other.near;
    exact += other.exact;
  }
};

}  // namespace pairdex::join
