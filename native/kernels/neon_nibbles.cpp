// Any arm64, on 4-bit codes: products in 16 bits, added in pairs.
#include <arm_neon.h>

#include <algorithm>
#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/neon_nibbles.inl"
#include "kernels/nibbles.inl"

}  // namespace

const NibbleKernel kNeonNibbles{.dots = dots, .reach = reach, .best = best};

}  // namespace pairdex
