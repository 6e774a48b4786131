// arm64 with the dot-product extension: SDOT.
#include <arm_neon.h>

#include <algorithm>
#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/select.inl"

inline int32x4_t add_products(int32x4_t sums, int8x16_t codes, int8x16_t query) {
  return vdotq_s32(sums, codes, query);
}

#include "kernels/neon_codes.inl"

}  // namespace

const CodeKernel kNeonDotCodes{.enter = nothing,
                               .leave = nothing,
                               .dots = dots,
                               .pass_head = pass_head,
                               .pass_full = pass_full,
                               .bound_full = bound_full};

}  // namespace pairdex
