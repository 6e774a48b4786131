// Writes nodes: their rows first, then their edges.
#pragma once

#include <cstdint>
#include <span>

#include "graph/layout.hpp"
#include "graph/space.hpp"
#include "knn/blocks.hpp"

namespace pairdex::graph {

// Head and row of node `i`, whose row is `id`; `copies` is left as it is. `step`: what a whole number stands for.
// Scratch of `length` floats rounded up to whole vectors, twice.
void write_row(const WritableNodes& nodes, std::size_t i, std::uint32_t id, const Blocks& blocks, const Space& space,
               float step, const RowKernel& kernel, std::span<float> scratch);

// Of the row of node `i`, in whole numbers.
std::int32_t squared_norm(const Nodes& nodes, std::size_t i);

// Whether node `i` has these edges already.
bool has_edges(const WritableNodes& nodes, std::size_t i, std::span<const std::uint32_t> edges);

// Codes, offsets and slopes of the edges of node `i`; kNoNode where it has fewer.
void write_edges(const WritableNodes& nodes, std::size_t i, std::span<const std::uint32_t> edges, float step,
                 const GraphKernel& kernel);

}  // namespace pairdex::graph
