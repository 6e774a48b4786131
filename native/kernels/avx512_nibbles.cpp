// AVX-512 VNNI on 4-bit codes: 128 of them in a register, split into two of bytes, each multiplied by VPDPBUSD.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/nibbles.inl"

// One instruction, in place: with the intrinsic gcc 12 adds a register move to each.
inline void add_products(__m512i& sums, __m512i codes, __m512i query) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(codes), "v"(query));
}

inline __m512i four_bytes(const std::int8_t* query) {
  std::int32_t word;
  std::memcpy(&word, query, sizeof word);
  return _mm512_set1_epi32(word);
}

template <std::size_t kQueries>
void tile(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::int32_t* out) {
  __m512i low[kQueries];
  __m512i high[kQueries];
#pragma GCC unroll 16
  for (std::size_t q = 0; q < kQueries; ++q) low[q] = high[q] = _mm512_setzero_si512();
  const __m512i nibble = _mm512_set1_epi8(15);
  const std::uint8_t* high_codes = codes + kHalfRows * length / 2;
  for (std::size_t i = 0; i < length; i += kCodeStep, queries += kBlockQueries * kCodeStep) {
    for (std::size_t j = 0; j < kCodeStep; j += 8) {
      const __m512i low_rows = _mm512_loadu_si512(codes + (i + j) * kHalfRows / 2);
      const __m512i high_rows = _mm512_loadu_si512(high_codes + (i + j) * kHalfRows / 2);
      const __m512i low_first = _mm512_and_si512(low_rows, nibble);
      const __m512i low_second = _mm512_and_si512(_mm512_srli_epi16(low_rows, 4), nibble);
      const __m512i high_first = _mm512_and_si512(high_rows, nibble);
      const __m512i high_second = _mm512_and_si512(_mm512_srli_epi16(high_rows, 4), nibble);
#pragma GCC unroll 16
      for (std::size_t q = 0; q < kQueries; ++q) {
        const __m512i first = four_bytes(queries + q * kCodeStep + j);
        add_products(low[q], low_first, first);
        add_products(high[q], high_first, first);
        const __m512i second = four_bytes(queries + q * kCodeStep + j + 4);
        add_products(low[q], low_second, second);
        add_products(high[q], high_second, second);
      }
    }
  }
#pragma GCC unroll 16
  for (std::size_t q = 0; q < kQueries; ++q) {
    _mm512_storeu_si512(out + q * kGroupRows, low[q]);
    _mm512_storeu_si512(out + q * kGroupRows + kHalfRows, high[q]);
  }
}

// One query: four sums, since each waits for the one before it.
template <>
void tile<1>(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::int32_t* out) {
  __m512i low_first = _mm512_setzero_si512(), low_second = low_first, high_first = low_first, high_second = low_first;
  const __m512i nibble = _mm512_set1_epi8(15);
  const std::uint8_t* high_codes = codes + kHalfRows * length / 2;
  for (std::size_t i = 0; i < length; i += kCodeStep, queries += kBlockQueries * kCodeStep) {
#pragma GCC unroll 8
    for (std::size_t j = 0; j < kCodeStep; j += 8) {
      const __m512i low_rows = _mm512_loadu_si512(codes + (i + j) * kHalfRows / 2);
      const __m512i high_rows = _mm512_loadu_si512(high_codes + (i + j) * kHalfRows / 2);
      const __m512i first = four_bytes(queries + j);
      const __m512i second = four_bytes(queries + j + 4);
      add_products(low_first, _mm512_and_si512(low_rows, nibble), first);
      add_products(high_first, _mm512_and_si512(high_rows, nibble), first);
      add_products(low_second, _mm512_and_si512(_mm512_srli_epi16(low_rows, 4), nibble), second);
      add_products(high_second, _mm512_and_si512(_mm512_srli_epi16(high_rows, 4), nibble), second);
    }
  }
  _mm512_storeu_si512(out, _mm512_add_epi32(low_first, low_second));
  _mm512_storeu_si512(out + kHalfRows, _mm512_add_epi32(high_first, high_second));
}

// The queries of a block in tiles as large as they come, so that few are multiplied one by one.
template <std::size_t... kSizes>
void tiles(const std::uint8_t* codes, std::size_t length, const std::int8_t* block, std::size_t n, std::int32_t* out) {
  std::size_t q = 0;
  const auto run = [&]<std::size_t kSize>() {
    for (; q + kSize <= n; q += kSize) tile<kSize>(codes, length, block + q * kCodeStep, out + q * kGroupRows);
  };
  (run.template operator()<kSizes>(), ...);
}

void dots(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::size_t n_queries,
          std::int32_t* out) {
  for (std::size_t first = 0; first < n_queries; first += kBlockQueries) {
    const std::size_t n = std::min(kBlockQueries, n_queries - first);
    tiles<11, 10, 6, 3, 2, 1>(codes, length, queries + first * length, n, out + first * kGroupRows);
  }
}

}  // namespace

const NibbleKernel kAvx512Nibbles{.dots = dots, .reach = reach, .best = best};

}  // namespace pairdex
