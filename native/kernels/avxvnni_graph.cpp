// Searches of graphs with AVX-VNNI.
#include <immintrin.h>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

inline void add_products(__m256i& sums, __m256i codes, __m256i query) {
  asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(codes), "x"(query));
}

inline void add_bits(__m256i& sums, __m256i codes, __m256i query) { add_products(sums, codes, query); }

#include "kernels/avx2_graph.inl"

}  // namespace

const GraphKernel kAvxVnniGraph{.estimate = estimate, .row_dot = row_dot, .way = way, .table_dots = table_dots};

}  // namespace pairdex
