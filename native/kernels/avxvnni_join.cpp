// Joins with AVX-VNNI.
#include <immintrin.h>

#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

inline void add_products(__m256i& sums, __m256i codes, __m256i query) {
  asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(codes), "x"(query));
}

#include "kernels/avx2_join.inl"

}  // namespace

const JoinKernel kAvxVnniJoin{.reach = reach, .best = best, .row_dots = row_dots, .pack = pack};

}  // namespace pairdex
