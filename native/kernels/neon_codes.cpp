// Any arm64: products in 16 bits, added in pairs.
#include <arm_neon.h>

#include <algorithm>
#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/neon_codes.inl"
#include "kernels/select.inl"

}  // namespace

const CodeKernel kNeonCodes{.enter = nothing,
                            .leave = nothing,
                            .dots = dots,
                            .pass_head = pass_head,
                            .pass_full = pass_full,
                            .bound_full = bound_full};

}  // namespace pairdex
