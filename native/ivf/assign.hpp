// The nearest centroid of each row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ivf/layout.hpp"
#include "kernels/kernel.hpp"

namespace pairdex::ivf {

// Coded rows.
struct CodedRows {
  std::span<const float> coordinates;   // layout.coordinates() a row
  std::span<const std::uint8_t> codes;  // and what `code_row` makes of them
  std::span<const Half> facts;
};

// `centroids`: layout.coordinates() each, along the same basis. The nearest by squared Euclidean distance, which goes
// to `distances`, up to what coding loses; the first of equally near ones. Rows that are NaN belong to centroid 0.
void assign(const CodedRows& rows, std::span<const float> centroids, const Layout& layout, const Kernel& kernel,
            std::size_t n_threads, std::span<std::uint32_t> lists, std::span<float> distances);

}  // namespace pairdex::ivf
