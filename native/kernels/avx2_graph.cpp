// Searches of graphs with AVX2 without VNNI; products of whole codes as in avx2_codes.cpp.
#include <immintrin.h>

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

// Two products of 128 x 127 fit into 16 bits.
inline void add_bits(__m256i& sums, __m256i codes, __m256i query) {
  const __m256i pairs = _mm256_maddubs_epi16(codes, query);
  sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

#include "kernels/avx2_graph.inl"

}  // namespace

const GraphKernel kAvx2Graph{.estimate = estimate, .row_dot = row_dot, .way = way, .table_dots = table_dots};

}  // namespace pairdex
