// AVX-512 VNNI: one VPDPBUSD multiplies 4 bytes of 16 rows by 4 bytes of a query.
#include <immintrin.h>

#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/select.inl"

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
void tile(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::size_t stride,
          std::int32_t* out) {
  __m512i low[kQueries];
  __m512i high[kQueries];
#pragma GCC unroll 16
  for (std::size_t q = 0; q < kQueries; ++q) low[q] = high[q] = _mm512_setzero_si512();
  for (std::size_t i = 0; i < length; i += 4) {
    const __m512i low_rows = _mm512_loadu_si512(codes + i * kHalfRows);
    const __m512i high_rows = _mm512_loadu_si512(codes + (length + i) * kHalfRows);
#pragma GCC unroll 16
    for (std::size_t q = 0; q < kQueries; ++q) {
      const __m512i query = four_bytes(queries + q * stride + i);
      add_products(low[q], low_rows, query);
      add_products(high[q], high_rows, query);
    }
  }
#pragma GCC unroll 16
  for (std::size_t q = 0; q < kQueries; ++q) {
    _mm512_storeu_si512(out + q * kGroupRows, low[q]);
    _mm512_storeu_si512(out + q * kGroupRows + kHalfRows, high[q]);
  }
}

void dots(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::size_t stride,
          std::size_t n_queries, std::int32_t* out) {
  const auto run = [&](auto one_tile, std::size_t q) {
    one_tile(codes, length, queries + q * stride, stride, out + q * kGroupRows);
  };
  std::size_t q = 0;
  for (; q + 12 <= n_queries; q += 12) run(tile<12>, q);
  for (; q + 4 <= n_queries; q += 4) run(tile<4>, q);
  for (; q < n_queries; ++q) run(tile<1>, q);
}

}  // namespace

const CodeKernel kAvx512Codes{
    .enter = nothing, .leave = nothing, .dots = dots, .pass_head = pass_head, .bound_full = bound_full};

}  // namespace pairdex
