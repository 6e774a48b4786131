// Joins with AVX2 without VNNI.
#include <immintrin.h>

#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/avx2_join.inl"

}  // namespace

const JoinKernel kAvx2Join{.reach = reach, .best = best, .row_dots = row_dots, .pack = pack};

}  // namespace pairdex
