// AVX2 without VNNI.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/select.inl"

constexpr std::size_t kTileQueries = 4;

#include "kernels/avx2_codes.inl"

}  // namespace

const CodeKernel kAvx2Codes{.enter = nothing,
                            .leave = nothing,
                            .dots = dots,
                            .pass_head = pass_head,
                            .pass_full = pass_full,
                            .bound_full = bound_full};

}  // namespace pairdex
