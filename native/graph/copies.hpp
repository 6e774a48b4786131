// Rows that are equal, byte for byte: a graph has one node for all of them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "knn/blocks.hpp"

namespace pairdex::graph {

// For each row the first row that equals it.
std::vector<std::uint32_t> first_equals(const Blocks& blocks, std::size_t n_threads, const std::atomic<bool>& stop);

}  // namespace pairdex::graph
