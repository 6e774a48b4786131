// arm64 with the dot-product extension, on 4-bit codes: SDOT.
#include <arm_neon.h>

#include <algorithm>
#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/nibbles.inl"

inline int32x4_t add_products(int32x4_t sums, int8x16_t codes, int8x16_t query) {
  return vdotq_s32(sums, codes, query);
}

#include "kernels/neon_nibbles.inl"

}  // namespace

const NibbleKernel kNeonDotNibbles{.dots = dots, .reach = reach, .best = best};

}  // namespace pairdex
