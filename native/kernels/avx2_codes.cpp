// AVX2 without VNNI. VPMADDUBSW would saturate its 16-bit sums of full-range bytes; splitting the code bytes into
// even and odd ones as 16-bit numbers keeps every sum exact.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/select.inl"

constexpr std::size_t kTileQueries = 4;

inline void add_products(__m256i& sums, __m256i codes, __m256i query) {
  const __m256i even_codes = _mm256_and_si256(codes, _mm256_set1_epi16(0x00ff));
  const __m256i odd_codes = _mm256_srli_epi16(codes, 8);
  const __m256i even_query = _mm256_srai_epi16(_mm256_slli_epi16(query, 8), 8);
  const __m256i odd_query = _mm256_srai_epi16(query, 8);
  sums = _mm256_add_epi32(sums, _mm256_madd_epi16(even_codes, even_query));
  sums = _mm256_add_epi32(sums, _mm256_madd_epi16(odd_codes, odd_query));
}

#include "kernels/avx2_codes.inl"

}  // namespace

const CodeKernel kAvx2Codes{.enter = nothing,
                            .leave = nothing,
                            .dots = dots,
                            .pass_head = pass_head,
                            .pass_full = pass_full,
                            .bound_full = bound_full};

}  // namespace pairdex
