// How the codes of a collection lie in memory, which is how they lie in the file.
//
// A row is rotated into `dim` coordinates. The first two are kept as they are; of the others the first kHeadMost are
// the head, what follows is the rest. Groups of 32 rows are stored one after another in two planes, so that a scan of
// the heads alone reads nothing else:
//   head plane, a group: HeadFacts, then the 32 rows' head codes
//   rest plane, a group: RestFacts, then the 32 rows' rest codes
// Codes of a group are packed as kernels/kernel.hpp says: two halves of 16 rows, 4 bytes a row at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/kernel.hpp"

namespace pairdex {

inline constexpr std::size_t kKept = 2;         // coordinates that are not coded
inline constexpr std::size_t kHeadMost = 128;   // measured: docs/decisions/head-of-128.md
inline constexpr std::uint8_t kCodeZero = 128;  // codes are stored with this added

// The upper half of a float32, rounded up: for what may only be too large.
struct Above {
  std::uint16_t bits;
};
Above above(double value);  // value finite, >= 0
float value_of(Above above);

struct HeadFacts {
  std::array<float, kGroupRows> along_mean, along_gap;  // NaN in rows that can't be an answer
  std::array<float, kGroupRows> scale;
  std::array<Above, kGroupRows> coded_norm, error_norm, rest_norm;
};

struct RestFacts {
  std::array<float, kGroupRows> scale;
  std::array<Above, kGroupRows> coded_norm, error_norm;
};

struct Layout {
  explicit Layout(std::size_t dim);

  std::size_t head_dims, rest_dims;      // coordinates
  std::size_t head_length, rest_length;  // bytes of a row's codes: coordinates, then zeros up to kCodeStep

  std::size_t head_stride() const { return sizeof(HeadFacts) + kGroupRows * head_length; }
  std::size_t rest_stride() const { return sizeof(RestFacts) + kGroupRows * rest_length; }
};

// The codes of all rows, in the order of their ids.
struct CodePlanes {
  const std::uint8_t* head;
  const std::uint8_t* rest;
};

constexpr std::size_t group_count(std::size_t n_rows) { return (n_rows + kGroupRows - 1) / kGroupRows; }

}  // namespace pairdex
