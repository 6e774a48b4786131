// AVX-512 VNNI on 4-bit codes: 128 of them in a register, split into two of bytes, each multiplied by VPDPBUSD.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/nibbles.inl"

constexpr std::size_t kFours = 2;

inline void unpack(__m512i codes, __m512i (&fours)[kFours]) {
  const __m512i nibble = _mm512_set1_epi8(15);
  fours[0] = _mm512_and_si512(codes, nibble);
  fours[1] = _mm512_and_si512(_mm512_srli_epi16(codes, 4), nibble);
}

#include "kernels/avx512_codes.inl"

// One query: four sums, since each waits for the one before it.
template <>
void tile<1>(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::int32_t* out) {
  __m512i low_first = _mm512_setzero_si512(), low_second = low_first, high_first = low_first, high_second = low_first;
  const std::uint8_t* high_codes = codes + kHalfRows * length / 2;
  for (std::size_t i = 0; i < length; i += kCodeStep, queries += kBlockQueries * kCodeStep) {
#pragma GCC unroll 8
    for (std::size_t j = 0; j < kCodeStep; j += 8) {
      __m512i low_rows[kFours];
      __m512i high_rows[kFours];
      unpack(_mm512_loadu_si512(codes + (i + j) * kHalfRows / 2), low_rows);
      unpack(_mm512_loadu_si512(high_codes + (i + j) * kHalfRows / 2), high_rows);
      const __m512i first = four_bytes(queries + j);
      const __m512i second = four_bytes(queries + j + 4);
      add_products(low_first, low_rows[0], first);
      add_products(high_first, high_rows[0], first);
      add_products(low_second, low_rows[1], second);
      add_products(high_second, high_rows[1], second);
    }
  }
  _mm512_storeu_si512(out, _mm512_add_epi32(low_first, low_second));
  _mm512_storeu_si512(out + kHalfRows, _mm512_add_epi32(high_first, high_second));
}

// Tiles as large as they come, so that few queries are multiplied one by one.
void dots(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::size_t n_queries,
          std::int32_t* out) {
  walk<11, 10, 6, 3, 2, 1>(length, queries, n_queries, out,
                           [=]<std::size_t kQueries>(const std::int8_t* from, std::int32_t* to) {
                             tile<kQueries>(codes, length, from, to);
                           });
}

}  // namespace

const NibbleKernel kAvx512Nibbles{.dots = dots, .reach = reach, .best = best};

}  // namespace pairdex
