// Joins on arm64 with the dot-product extension.
#include <arm_neon.h>

#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

inline int32x4_t add_products(int32x4_t sums, int8x16_t codes, int8x16_t query) {
  return vdotq_s32(sums, codes, query);
}

#include "kernels/neon_join.inl"

}  // namespace

const JoinKernel kNeonDotJoin{.reach = reach, .best = best, .row_dots = row_dots, .pack = pack};

}  // namespace pairdex
