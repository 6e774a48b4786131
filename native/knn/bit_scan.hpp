// Exact nearest rows of bits: those that differ from the query in the fewest.
#pragma once

#include <atomic>
#include <cstdint>

#include "kernels/kernel.hpp"
#include "knn/blocks.hpp"
#include "knn/request.hpp"

namespace pairdex {

// Rows and queries of 1 to kMaxWords words. Distances are numbers of bits. When `stop` becomes true it returns early
// and the answer is not complete.
void scan_bits(const BlocksOf<std::uint64_t>& blocks, const RequestOf<std::uint64_t>& request, const Kernel& kernel,
               const std::atomic<bool>& stop, Answer answer);

}  // namespace pairdex
