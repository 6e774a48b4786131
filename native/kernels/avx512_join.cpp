// Joins with AVX-512 VNNI.
#include <immintrin.h>

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

}  // namespace

const JoinKernel kAvx512Join{.reach = reach, .best = best, .row_dots = row_dots};

}  // namespace pairdex
