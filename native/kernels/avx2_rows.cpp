// AVX2 with FMA and F16C: every x86-64 server since 2013.
#include <immintrin.h>

#include <array>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

struct Isa {
  using Floats = __m256;
  static constexpr std::size_t kWidth = 8;
  static constexpr std::size_t kTileRows = 3;
  static constexpr std::size_t kTileQueries = 4;
  static Floats zero() { return _mm256_setzero_ps(); }
  static Floats load(const float* from) { return _mm256_loadu_ps(from); }
  static void store(float* to, Floats values) { _mm256_storeu_ps(to, values); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static float sum(Floats values) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
  }
  static Floats widen(const Half* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }

  struct Sixteen {
    __m256d quarter[4];
  };
  static Sixteen no_lanes() {
    const __m256d zero = _mm256_setzero_pd();
    return {{zero, zero, zero, zero}};
  }
  static void exact_step(const Half* row, const float* query, Sixteen& dots, Sixteen& squares) {
    for (std::size_t i = 0; i < 4; ++i) {
      const __m128i halves = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(row + 4 * i));
      const __m256d values = _mm256_cvtps_pd(_mm_cvtph_ps(halves));
      const __m256d factors = _mm256_cvtps_pd(_mm_loadu_ps(query + 4 * i));
      dots.quarter[i] = _mm256_fmadd_pd(values, factors, dots.quarter[i]);
      squares.quarter[i] = _mm256_fmadd_pd(values, values, squares.quarter[i]);
    }
  }
  static double sum(Sixteen lanes) {
    const __m256d four = _mm256_add_pd(_mm256_add_pd(lanes.quarter[0], lanes.quarter[2]),
                                       _mm256_add_pd(lanes.quarter[1], lanes.quarter[3]));
    const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(four), _mm256_extractf128_pd(four, 1));
    return _mm_cvtsd_f64(two) + _mm_cvtsd_f64(_mm_unpackhi_pd(two, two));
  }
};

#include "kernels/rows.inl"

}  // namespace

const RowKernel kAvx2Rows{.dot_lanes = Isa::kWidth, .widen = widen, .dots = dots, .exact = exact, .near = near};

}  // namespace pairdex
