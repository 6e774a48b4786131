// Joins on any arm64; products as in neon_codes.cpp.
#include <arm_neon.h>

#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

inline int32x4_t add_products(int32x4_t sums, int8x16_t codes, int8x16_t query) {
  const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(codes), vget_low_s8(query)));
  const int32x4_t high = vpaddlq_s16(vmull_high_s8(codes, query));
  return vaddq_s32(sums, vpaddq_s32(low, high));
}

#include "kernels/neon_join.inl"

}  // namespace

const JoinKernel kNeonJoin{.reach = reach, .best = best, .row_dots = row_dots, .pack = pack};

}  // namespace pairdex
