// Searches of graphs on arm64.
#include <arm_neon.h>

#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/neon_graph.inl"

}  // namespace

const GraphKernel kNeonGraph{.estimate = estimate, .row_dot = row_dot, .way = way, .table_dots = table_dots};

}  // namespace pairdex
