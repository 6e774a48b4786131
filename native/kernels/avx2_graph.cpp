// Searches of graphs with AVX2 without VNNI.
#include <immintrin.h>

#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/avx2_graph.inl"

}  // namespace

const GraphKernel kAvx2Graph{.estimate = estimate, .row_dot = row_dot, .way = way, .table_dots = table_dots};

}  // namespace pairdex
