// AVX-512 (F, BW, VL, DQ).
#include <immintrin.h>

#include <array>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

struct Isa {
  using Floats = __m512;
  static constexpr std::size_t kWidth = 16;
  static constexpr std::size_t kTileRows = 4;
  static constexpr std::size_t kTileQueries = 6;
  static Floats zero() { return _mm512_setzero_ps(); }
  static Floats load(const float* from) { return _mm512_loadu_ps(from); }
  static void store(float* to, Floats values) { _mm512_storeu_ps(to, values); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static float sum(Floats values) { return _mm512_reduce_add_ps(values); }
  static Floats widen(const Half* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }

  struct Sixteen {
    __m512d low, high;
  };
  static Sixteen no_lanes() { return {_mm512_setzero_pd(), _mm512_setzero_pd()}; }
  static void exact_step(const Half* row, const float* query, Sixteen& dots, Sixteen& squares) {
    const __m512 values = widen(row);
    const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(values));
    const __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(values, 1));
    dots.low = _mm512_fmadd_pd(low, _mm512_cvtps_pd(_mm256_loadu_ps(query)), dots.low);
    dots.high = _mm512_fmadd_pd(high, _mm512_cvtps_pd(_mm256_loadu_ps(query + 8)), dots.high);
    squares.low = _mm512_fmadd_pd(low, low, squares.low);
    squares.high = _mm512_fmadd_pd(high, high, squares.high);
  }
  static double sum(Sixteen lanes) {
    const __m512d eight = _mm512_add_pd(lanes.low, lanes.high);
    const __m256d four = _mm256_add_pd(_mm512_castpd512_pd256(eight), _mm512_extractf64x4_pd(eight, 1));
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(two) + _mm_cvtsd_f64(_mm_unpackhi_pd(two, two));
  }
};

#include "kernels/rows.inl"

}  // namespace

const RowKernel kAvx512Rows{.dot_lanes = Isa::kWidth, .widen = widen, .dots = dots, .exact = exact, .near = near};

}  // namespace pairdex
