// Rows into integer codes whose distances bound those of the rows: docs/certified.md, section 10.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/kernel.hpp"

namespace pairdex::join {

// Bytes of a row's small code; its large code has a multiple of kCodeStep, or none.
inline constexpr std::size_t kSmall = 64;

// One of the two codes of a row: its first coordinates and, unless these are all, the length of the rest.
struct CodeMap {
  std::size_t coordinates;
  std::size_t length;  // bytes: coordinates, the rest's length, zeros
  double box;          // values are clamped to [-box, box]
  double rest_centre;  // what is subtracted from the rest's length
};

// The map of unit rows x: P (x - centre), P being `basis` without its last row, which is the centre.
struct Map {
  std::span<const float> basis;    // (coordinates of the larger code + 1) x padded(dim)
  std::span<const double> shifts;  // P centre
  std::size_t dim;
  double centre_squared;    // |centre|^2
  double basis_error;       // |P P^T - I|
  double coordinate_error;  // of x . p in float32
  CodeMap small, large;     // large.length is 0 where the small code has all coordinates
};

// Of consecutive rows; large codes are unsigned, with 128 added.
struct Encoded {
  std::int8_t* small;
  std::uint8_t* large;
  std::int32_t *small_norms, *large_norms;  // squared
  std::uint8_t* has_direction;              // 0: a row that is all zero or not finite
};

// The largest distance between a code and what it stands for, in units of the code.
struct CodeErrors {
  double small = 0, large = 0;
};

CodeErrors encode(const Half* rows, std::size_t n_rows, const Map& map, const RowKernel& kernel, const Encoded& out);

}  // namespace pairdex::join
