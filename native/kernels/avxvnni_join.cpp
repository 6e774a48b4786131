// Joins with AVX-VNNI.
#include <immintrin.h>

#include <cstring>

#include "kernels/kernel.hpp"

#define PAIRDEX_VNNI

namespace pairdex {
namespace {

#include "kernels/avx2_join.inl"

}  // namespace

const JoinKernel kAvxVnniJoin{.reach = reach, .best = best, .row_dots = row_dots, .pack = pack};

}  // namespace pairdex
