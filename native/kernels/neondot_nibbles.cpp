// arm64 with the dot-product extension, on 4-bit codes: SDOT.
#include <arm_neon.h>

#include <algorithm>
#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/neon_nibbles.inl"
#include "kernels/nibbles.inl"

}  // namespace

const NibbleKernel kNeonDotNibbles{.dots = dots, .reach = reach, .best = best};

}  // namespace pairdex
