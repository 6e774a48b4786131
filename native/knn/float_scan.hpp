// Exact nearest rows without codes: a float32 scan proposes, float64 decides.
#pragma once

#include <atomic>
#include <cstddef>

#include "kernels/kernel.hpp"
#include "knn/blocks.hpp"
#include "knn/request.hpp"

namespace pairdex {

// Returns how many pairs of query and row were compared in float64. When `stop` becomes true it returns early and
// the answer is not complete.
std::size_t scan_floats(const Blocks& blocks, const Request& request, const Kernel& kernel,
                        const std::atomic<bool>& stop, Answer answer);

}  // namespace pairdex
