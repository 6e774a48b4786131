// Searches of graphs with AVX-512 VNNI.
#include <immintrin.h>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

constexpr std::size_t kPlanes = 8;

inline __m512i four_codes(const std::int8_t* codes) {
  std::int32_t four;
  __builtin_memcpy(&four, codes, sizeof four);
  return _mm512_set1_epi32(four);
}

inline __m512 wide(const Half* halves) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(halves)));
}

template <std::size_t kHalves>
std::uint32_t estimate_halves(const GraphEdges& edges, const GraphQuery& query, float base, float least,
                              float* estimates, Ahead ahead) {
  const std::size_t pieces = edges.length / kPieceDims;
  const std::size_t lines_a_piece = (ahead.lines + pieces - 1) / pieces;
  const std::uint8_t* next = ahead.bytes;
  const std::uint8_t* next_end = next + ahead.lines * 64;
  __m512i sums[kHalves][kPlanes];
#pragma GCC unroll 2
  for (auto& half : sums) {
#pragma GCC unroll 8
    for (__m512i& sum : half) sum = _mm512_setzero_si512();
  }
  const std::uint8_t* codes = edges.codes;
  for (std::size_t piece = 0; piece < pieces; ++piece) {
    for (std::size_t i = 0; i < lines_a_piece && next < next_end; ++i, next += 64) {
      _mm_prefetch(reinterpret_cast<const char*>(next), _MM_HINT_T0);
    }
    const std::int8_t* own = query.codes + piece * kPieceDims;
    __m512i bits[kHalves];
#pragma GCC unroll 2
    for (std::size_t h = 0; h < kHalves; ++h, codes += 64) bits[h] = _mm512_loadu_si512(codes);
#pragma GCC unroll 8
    for (std::size_t p = 0; p < kPlanes; ++p) {
      const __m512i plane = _mm512_set1_epi8(static_cast<char>(1u << p));
      const __m512i four = four_codes(own + 4 * p);
#pragma GCC unroll 2
      for (std::size_t h = 0; h < kHalves; ++h) {
        sums[h][p] = _mm512_dpbusd_epi32(sums[h][p], _mm512_and_si512(bits[h], plane), four);
      }
    }
  }
  std::uint32_t above = 0;
#pragma GCC unroll 2
  for (std::size_t h = 0; h < kHalves; ++h) {
    __m512i sum = sums[h][0];
#pragma GCC unroll 7
    for (unsigned p = 1; p < kPlanes; ++p) sum = _mm512_add_epi32(sum, _mm512_srai_epi32(sums[h][p], p));
    const __m512 along = _mm512_sub_ps(_mm512_mul_ps(_mm512_set1_ps(query.scale), _mm512_cvtepi32_ps(sum)),
                                       _mm512_set1_ps(query.half_sum));
    const __m512 start = _mm512_add_ps(_mm512_set1_ps(base), wide(edges.offsets + h * kHalfEdges));
    const __m512 found = _mm512_add_ps(start, _mm512_mul_ps(wide(edges.slopes + h * kHalfEdges), along));
    _mm512_storeu_ps(estimates + h * kHalfEdges, found);
    const __mmask16 mask = _mm512_cmp_ps_mask(found, _mm512_set1_ps(least), _CMP_GT_OQ);
    above |= _cvtmask16_u32(mask) << (h * kHalfEdges);
  }
  return above;
}

std::uint32_t estimate(const GraphEdges& edges, const GraphQuery& query, float base, float least, float* estimates,
                       Ahead ahead) {
  return edges.n == kHalfEdges ? estimate_halves<1>(edges, query, base, least, estimates, ahead)
                               : estimate_halves<2>(edges, query, base, least, estimates, ahead);
}

std::int32_t row_dot(const std::uint8_t* row, const std::int8_t* query, std::size_t length) {
  __m512i even = _mm512_setzero_si512(), odd = even;
  for (std::size_t i = 0; i + 64 < length; i += 128) {
    even = _mm512_dpbusd_epi32(even, _mm512_loadu_si512(row + i), _mm512_loadu_si512(query + i));
    odd = _mm512_dpbusd_epi32(odd, _mm512_loadu_si512(row + i + 64), _mm512_loadu_si512(query + i + 64));
  }
  if (length % 128 != 0) {
    even = _mm512_dpbusd_epi32(even, _mm512_loadu_si512(row + length - 64), _mm512_loadu_si512(query + length - 64));
  }
  return _mm512_reduce_add_epi32(_mm512_add_epi32(even, odd));
}

GraphWay way(const std::uint8_t* from, const std::uint8_t* to, std::size_t length, std::uint32_t* ups) {
  const __m512i zero = _mm512_set1_epi8(static_cast<char>(0x80)), one = _mm512_set1_epi8(1);
  __m512i lengths = _mm512_setzero_si512(), squares = lengths, products = lengths, starts = lengths;
  __m512i ahead = lengths, all = lengths;
  for (std::size_t i = 0; i < length; i += 64) {
    const __m512i a = _mm512_loadu_si512(from + i), b = _mm512_loadu_si512(to + i);
    const __m512i own = _mm512_xor_si512(a, zero);
    const __m512i high = _mm512_max_epu8(a, b), low = _mm512_min_epu8(a, b), gap = _mm512_sub_epi8(high, low);
    const __mmask64 up = _mm512_cmpgt_epu8_mask(b, a);
    const std::uint64_t bits = _cvtmask64_u64(up);
    __builtin_memcpy(ups + i / kPieceDims, &bits, sizeof bits);
    lengths = _mm512_add_epi64(lengths, _mm512_sad_epu8(gap, _mm512_setzero_si512()));
    const __m512i even = _mm512_and_si512(gap, _mm512_set1_epi16(0xff)), odd = _mm512_srli_epi16(gap, 8);
    squares = _mm512_dpwssd_epi32(_mm512_dpwssd_epi32(squares, even, even), odd, odd);
    products = _mm512_dpbusd_epi32(products, b, own);
    starts = _mm512_dpbusd_epi32(starts, a, own);
    ahead = _mm512_dpbusd_epi32(ahead, _mm512_maskz_mov_epi8(up, one), own);
    all = _mm512_dpbusd_epi32(all, one, own);
  }
  return {_mm512_reduce_add_epi32(squares), static_cast<std::int32_t>(_mm512_reduce_add_epi64(lengths)),
          _mm512_reduce_add_epi32(_mm512_sub_epi32(products, starts)),
          _mm512_reduce_add_epi32(_mm512_sub_epi32(_mm512_add_epi32(ahead, ahead), all))};
}

void table_dots(const std::uint8_t* rows, std::size_t length, const std::int8_t* query, std::int32_t* out) {
  __m512i sums[4];
#pragma GCC unroll 4
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  for (std::size_t i = 0; i < length; i += 16) {
#pragma GCC unroll 4
    for (std::size_t j = 0; j < 4; ++j, rows += 64) {
      sums[j] = _mm512_dpbusd_epi32(sums[j], _mm512_loadu_si512(rows), four_codes(query + i + 4 * j));
    }
  }
  _mm512_storeu_si512(out, _mm512_add_epi32(_mm512_add_epi32(sums[0], sums[1]), _mm512_add_epi32(sums[2], sums[3])));
}

}  // namespace

const GraphKernel kAvx512Graph{.estimate = estimate, .row_dot = row_dot, .way = way, .table_dots = table_dots};

}  // namespace pairdex
