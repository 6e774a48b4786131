// AVX-VNNI: VPDPBUSD on 256-bit vectors, for processors without AVX-512.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/select.inl"

constexpr std::size_t kTileQueries = 6;

// One instruction, in place: with the intrinsic gcc 12 adds a register move to each.
inline void add_products(__m256i& sums, __m256i codes, __m256i query) {
  asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(codes), "x"(query));
}

#include "kernels/avx2_codes.inl"

}  // namespace

const CodeKernel kAvxVnniCodes{.enter = nothing,
                               .leave = nothing,
                               .dots = dots,
                               .pass_head = pass_head,
                               .pass_full = pass_full,
                               .bound_full = bound_full};

}  // namespace pairdex
