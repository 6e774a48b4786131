// AVX2 on 4-bit codes: VPMADDUBSW cannot saturate on them, and 8 of its sums fit into 16 bits.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/avx2_products.inl"
#include "kernels/nibbles.inl"

constexpr std::size_t kFlush = 32;  // coordinates: 8 sums of two products of at most 15 x 127

// kQueries x 8 rows: a quarter of a group.
template <std::size_t kQueries>
void tile(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::int32_t* out) {
  __m256i sums[kQueries];
#pragma GCC unroll 8
  for (std::size_t q = 0; q < kQueries; ++q) sums[q] = _mm256_setzero_si256();
  const __m256i nibble = _mm256_set1_epi8(15);
  for (std::size_t i = 0; i < length; i += kCodeStep, queries += kBlockQueries * kCodeStep) {
    for (std::size_t part = 0; part < kCodeStep; part += kFlush) {
      __m256i pairs[kQueries];
#pragma GCC unroll 8
      for (std::size_t q = 0; q < kQueries; ++q) pairs[q] = _mm256_setzero_si256();
      for (std::size_t j = part; j < part + kFlush; j += 8) {
        const auto* from = reinterpret_cast<const __m256i*>(codes + (i + j) * kHalfRows / 2);
        const __m256i rows = _mm256_loadu_si256(from);
        const __m256i first = _mm256_and_si256(rows, nibble);
        const __m256i second = _mm256_and_si256(_mm256_srli_epi16(rows, 4), nibble);
#pragma GCC unroll 8
        for (std::size_t q = 0; q < kQueries; ++q) {
          const std::int8_t* query = queries + q * kCodeStep + j;
          pairs[q] = _mm256_add_epi16(pairs[q], _mm256_maddubs_epi16(first, four_bytes(query)));
          pairs[q] = _mm256_add_epi16(pairs[q], _mm256_maddubs_epi16(second, four_bytes(query + 4)));
        }
      }
#pragma GCC unroll 8
      for (std::size_t q = 0; q < kQueries; ++q) {
        sums[q] = _mm256_add_epi32(sums[q], _mm256_madd_epi16(pairs[q], _mm256_set1_epi16(1)));
      }
    }
  }
#pragma GCC unroll 8
  for (std::size_t q = 0; q < kQueries; ++q) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + q * kGroupRows), sums[q]);
  }
}

#include "kernels/blocks.inl"

void dots(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::size_t n_queries,
          std::int32_t* out) {
  const std::uint8_t* high_codes = codes + kHalfRows * length / 2;
  walk<4, 2, 1>(length, queries, n_queries, out, [=]<std::size_t kQueries>(const std::int8_t* from, std::int32_t* to) {
    tile<kQueries>(codes, length, from, to);
    tile<kQueries>(codes + 32, length, from, to + 8);
    tile<kQueries>(high_codes, length, from, to + 16);
    tile<kQueries>(high_codes + 32, length, from, to + 24);
  });
}

}  // namespace

const NibbleKernel kAvx2Nibbles{.dots = dots, .reach = reach, .best = best};

}  // namespace pairdex
