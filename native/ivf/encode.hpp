// Rows into coordinates, coordinates into 4-bit codes, codes into groups.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ivf/layout.hpp"
#include "kernels/kernel.hpp"

namespace pairdex::ivf {

// Directions of the coordinates: kept ones first; `padded(dim)` float32 each, zeros at the end.
struct Basis {
  std::span<const float> directions;
  std::size_t dim;
  std::size_t size() const { return directions.size() / padded(dim); }
};

// Coordinates of up to kGroupRows normalised rows, basis.size() each; NaN for rows without a direction.
void coordinates_of(const Half* rows, std::size_t n_rows, const Basis& basis, const RowKernel& kernel,
                    float* coordinates);

// A row's codes, `layout.row_bytes()` of them, and along_mean, along_gap, scale.
void code_row(const float* coordinates, const Layout& layout, std::uint8_t* codes, Half* facts);

// Up to kGroupRows coded rows into one group.
void fill_group(const std::uint8_t* codes, const Half* facts, std::size_t n_rows, const Layout& layout,
                std::uint8_t* group);

}  // namespace pairdex::ivf
