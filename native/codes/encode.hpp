// Rows into codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codes/layout.hpp"
#include "kernels/kernel.hpp"

namespace pairdex {

// The rotation, dim x padded(dim) float32 with zeros at the end of each row: the directions of the two kept
// coordinates first, then those of the head, then those of the rest.
struct Basis {
  std::span<const float> rows;
  std::size_t dim;
};

// By how much a coordinate computed in float32 may differ from the real one; see docs/certified.md.
double coordinate_error(std::size_t dim, const RowKernel& kernel);

// Codes of up to kGroupRows consecutive rows into one group of each plane; missing rows can't be an answer.
//
// Rows are divided by their own norms; or all by `row_norm`, a power of two and at least every norm, if it is not 0.
class GroupEncoder {
 public:
  GroupEncoder(Basis basis, const RowKernel& kernel, double row_norm = 0.0);
  void encode(const Half* rows, std::size_t n_rows, std::uint8_t* head, std::uint8_t* rest);

 private:
  void code_row(std::size_t r, float inverse_norm, std::uint8_t* head, std::uint8_t* rest);

  Basis basis_;
  const RowKernel& kernel_;
  Layout layout_;
  double error_;
  double row_norm_;
  std::vector<float> wide_;         // kGroupRows rows
  std::vector<float> coordinates_;  // dim x kGroupRows
  std::vector<float> row_;          // one row's coordinates
};

}  // namespace pairdex
