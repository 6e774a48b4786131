// The nearest centroid of each row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ivf/layout.hpp"
#include "kernels/kernel.hpp"

namespace pairdex::ivf {

// `coordinates` of rows and centroids: layout.coordinates() each, along the same basis. The nearest by squared
// Euclidean distance, up to what coding loses; the first of equally near ones. Rows that are NaN belong to centroid 0.
void assign(std::span<const float> rows, std::span<const float> centroids, const Layout& layout, const Kernel& kernel,
            std::size_t n_threads, std::span<std::uint32_t> lists, std::span<float> distances);

}  // namespace pairdex::ivf
