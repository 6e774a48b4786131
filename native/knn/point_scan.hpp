// Exact nearest rows of float32 by squared Euclidean distance: a float32 scan proposes, float64 decides.
#pragma once

#include <atomic>

#include "kernels/kernel.hpp"
#include "knn/blocks.hpp"
#include "knn/request.hpp"

namespace pairdex {

// Rows that are not finite are never found; queries are finite. When `stop` becomes true it returns early and the
// answer is not complete.
void scan_points(const BlocksOf<float>& blocks, const RequestOf<float>& request, const Kernel& kernel,
                 const std::atomic<bool>& stop, Answer answer);

}  // namespace pairdex
