// Joins with AVX-512 VNNI.
#include <immintrin.h>

#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/join.inl"

inline __mmask16 reach_sixteen(const std::int32_t* dots, __m512i starts, __m512i limit) {
  const __m512i sums = _mm512_add_epi32(_mm512_loadu_si512(dots), starts);
  return _mm512_cmpge_epi32_mask(sums, limit);
}

void reach(const std::int32_t* dots, const std::int32_t* starts, const std::int32_t* limits, std::size_t n_queries,
           std::uint32_t* masks) {
  const __m512i low = _mm512_loadu_si512(starts);
  const __m512i high = _mm512_loadu_si512(starts + kHalfRows);
  for (std::size_t q = 0; q < n_queries; ++q, dots += kGroupRows) {
    const __m512i limit = _mm512_set1_epi32(limits[q]);
    const __mmask16 of_low = reach_sixteen(dots, low, limit), of_high = reach_sixteen(dots + kHalfRows, high, limit);
    // Not `low | high << 16`: where gcc 12 spills a mask of 16 bits, it reads 32 bits back.
    masks[q] = _cvtmask32_u32(_mm512_kunpackw(of_high, of_low));
  }
}

// kSteps x kCodeStep bytes a row.
template <std::size_t kSteps>
void some_row_dots(const std::int8_t* query, const std::uint8_t* codes, const std::uint32_t* rows, std::size_t n,
                   std::int32_t* out) {
  constexpr std::size_t kLength = kSteps * kCodeStep;
  __m512i own[kSteps];
#pragma GCC unroll 4
  for (std::size_t i = 0; i < kSteps; ++i) own[i] = _mm512_loadu_si512(query + i * kCodeStep);
  for (std::size_t r = 0; r < n; ++r) {
    if (r + kRowsAhead < n) prefetch_row(codes + rows[r + kRowsAhead] * kLength, kLength);
    const std::uint8_t* row = codes + rows[r] * kLength;
    __m512i sums = _mm512_setzero_si512();
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kSteps; ++i) {
      sums = _mm512_dpbusd_epi32(sums, _mm512_loadu_si512(row + i * kCodeStep), own[i]);
    }
    out[r] = _mm512_reduce_add_epi32(sums);
  }
}

void row_dots(const std::int8_t* query, const std::uint8_t* codes, std::size_t length, const std::uint32_t* rows,
              std::size_t n, std::int32_t* out) {
  switch (length / kCodeStep) {
    case 1:
      return some_row_dots<1>(query, codes, rows, n, out);
    case 2:
      return some_row_dots<2>(query, codes, rows, n, out);
    case 3:
      return some_row_dots<3>(query, codes, rows, n, out);
    case 4:
      return some_row_dots<4>(query, codes, rows, n, out);
    default:
      return kScalarJoin.row_dots(query, codes, length, rows, n, out);
  }
}

// Sixteen rows of sixteen times four bytes, transposed.
inline void transpose(__m512i (&rows)[kHalfRows]) {
  __m512i some[kHalfRows];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < kHalfRows; i += 2) {
    some[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    some[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
#pragma GCC unroll 4
  for (std::size_t i = 0; i < kHalfRows; i += 4) {  // then lane l of rows[i + j] has column 4 l + j of four rows
    rows[i] = _mm512_unpacklo_epi64(some[i], some[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(some[i], some[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(some[i + 1], some[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(some[i + 1], some[i + 3]);
  }
#pragma GCC unroll 4
  for (std::size_t j = 0; j < 4; ++j) {
    const __m512i even_low = _mm512_shuffle_i32x4(rows[j], rows[4 + j], 0x88);
    const __m512i odd_low = _mm512_shuffle_i32x4(rows[j], rows[4 + j], 0xdd);
    const __m512i even_high = _mm512_shuffle_i32x4(rows[8 + j], rows[12 + j], 0x88);
    const __m512i odd_high = _mm512_shuffle_i32x4(rows[8 + j], rows[12 + j], 0xdd);
    rows[j] = _mm512_shuffle_i32x4(even_low, even_high, 0x88);
    rows[4 + j] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
    rows[8 + j] = _mm512_shuffle_i32x4(even_low, even_high, 0xdd);
    rows[12 + j] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd);
  }
}

void pack_sixteen_at_once(const std::int8_t* codes, const std::uint32_t* rows, std::size_t n, std::uint8_t* out) {
  std::size_t r = 0;
  for (; r + kHalfRows <= n; r += kHalfRows) {
    __m512i some[kHalfRows];
#pragma GCC unroll 16
    for (std::size_t i = 0; i < kHalfRows; ++i) {
      const __m512i code = _mm512_loadu_si512(codes + rows[r + i] * kCodeStep);
      some[i] = _mm512_xor_si512(code, _mm512_set1_epi32(static_cast<int>(kFlip)));
    }
    transpose(some);
#pragma GCC unroll 16
    for (std::size_t i = 0; i < kHalfRows; ++i) _mm512_storeu_si512(out + (r + i) * kCodeStep, some[i]);
  }
  for (; r < n; ++r) pack_column(codes + rows[r] * kCodeStep, r, out);
}

}  // namespace

const JoinKernel kAvx512Join{.reach = reach, .best = best, .row_dots = row_dots, .pack = pack_sixteen_at_once};

}  // namespace pairdex
