// AVX-VNNI: VPDPBUSD on 256-bit vectors, for processors without AVX-512.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/kernel.hpp"

#define PAIRDEX_VNNI

namespace pairdex {
namespace {

#include "kernels/select.inl"

constexpr std::size_t kTileQueries = 6;

#include "kernels/avx2_codes.inl"

}  // namespace

const CodeKernel kAvxVnniCodes{.enter = nothing,
                               .leave = nothing,
                               .dots = dots,
                               .pass_head = pass_head,
                               .pass_full = pass_full,
                               .bound_full = bound_full};

}  // namespace pairdex
