// Joins with AVX2 without VNNI; products as in avx2_codes.cpp.
#include <immintrin.h>

#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

inline void add_products(__m256i& sums, __m256i codes, __m256i query) {
  const __m256i even_codes = _mm256_and_si256(codes, _mm256_set1_epi16(0x00ff));
  const __m256i odd_codes = _mm256_srli_epi16(codes, 8);
  const __m256i even_query = _mm256_srai_epi16(_mm256_slli_epi16(query, 8), 8);
  const __m256i odd_query = _mm256_srai_epi16(query, 8);
  sums = _mm256_add_epi32(sums, _mm256_madd_epi16(even_codes, even_query));
  sums = _mm256_add_epi32(sums, _mm256_madd_epi16(odd_codes, odd_query));
}

#include "kernels/avx2_join.inl"

}  // namespace

const JoinKernel kAvx2Join{.reach = reach, .best = best, .row_dots = row_dots, .pack = pack};

}  // namespace pairdex
