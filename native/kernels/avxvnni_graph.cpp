// Searches of graphs with AVX-VNNI.
#include <immintrin.h>

#include <cstring>

#include "kernels/kernel.hpp"

#define PAIRDEX_VNNI

namespace pairdex {
namespace {

#include "kernels/avx2_graph.inl"

}  // namespace

const GraphKernel kAvxVnniGraph{.estimate = estimate, .row_dot = row_dot, .way = way, .table_dots = table_dots};

}  // namespace pairdex
