// Searches of graphs on arm64 with the dot-product extension.
#include <arm_neon.h>

#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/neon_graph.inl"

}  // namespace

const GraphKernel kNeonDotGraph{.estimate = estimate, .row_dot = row_dot, .way = way, .table_dots = table_dots};

}  // namespace pairdex
