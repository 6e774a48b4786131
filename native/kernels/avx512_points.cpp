// AVX-512 (F, DQ).
#include <immintrin.h>

#include <array>
#include <type_traits>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

struct Isa {
  using Value = float;
  using Score = float;
  using Vector = __m512;
  using Lane = float;
  static constexpr std::size_t kWidth = 16;
  static constexpr std::size_t kTileQueries = 8;
  static constexpr std::size_t kTileVectors = 2;
  static Vector zero() { return _mm512_setzero_ps(); }
  static Vector load(const Value* from) { return _mm512_loadu_ps(from); }
  static Vector load_some(const Value* from, std::size_t n) {
    return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), from);
  }
  static Vector broadcast(Value value) { return _mm512_set1_ps(value); }
  static void store(Lane* to, Vector scores) { _mm512_storeu_ps(to, scores); }
  static Vector compare(Vector sums, Vector row, Vector query) {
    const Vector gap = _mm512_sub_ps(row, query);
    return _mm512_fmadd_ps(gap, gap, sums);
  }
  static Vector multiply(Vector sums, Vector row, Vector query) { return _mm512_fmadd_ps(row, query, sums); }
  static Vector scores(Vector sums) { return sums; }
  static bool any_within(Vector scores, Score limit) {
    return _mm512_cmp_ps_mask(scores, broadcast(limit), _CMP_NGT_UQ) != 0;
  }
  static bool within(Lane score, Score limit) { return !(score > limit); }

  // Of four vectors, in every quarter: the sum of that quarter of each.
  static Vector fours(const Vector* sums) {
    const Vector low = _mm512_add_ps(_mm512_unpacklo_ps(sums[0], sums[1]), _mm512_unpackhi_ps(sums[0], sums[1]));
    const Vector high = _mm512_add_ps(_mm512_unpacklo_ps(sums[2], sums[3]), _mm512_unpackhi_ps(sums[2], sums[3]));
    const __m512d a = _mm512_castps_pd(low);
    const __m512d b = _mm512_castps_pd(high);
    return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
  }
  // Sums of neighbouring quarters: two of a, then two of b.
  static Vector quarters(Vector a, Vector b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
  }
  static Vector sum(const Vector* sums) {
    return quarters(quarters(fours(sums), fours(sums + 4)), quarters(fours(sums + 8), fours(sums + 12)));
  }
};

#include "kernels/near.inl"

}  // namespace

const PointKernel kAvx512Points{.rows = near_rows, .tile = near_tile};

}  // namespace pairdex
