// AVX2 with FMA.
#include <immintrin.h>

#include <array>
#include <type_traits>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

struct Isa {
  using Value = float;
  using Score = float;
  using Vector = __m256;
  using Lane = float;
  static constexpr std::size_t kWidth = 8;
  static constexpr std::size_t kTileQueries = 5;
  static constexpr std::size_t kTileVectors = 2;
  static Vector zero() { return _mm256_setzero_ps(); }
  static Vector load(const Value* from) { return _mm256_loadu_ps(from); }
  static Vector load_some(const Value* from, std::size_t n) {
    const __m256i numbers = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    return _mm256_maskload_ps(from, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), numbers));
  }
  static Vector broadcast(Value value) { return _mm256_set1_ps(value); }
  static void store(Lane* to, Vector scores) { _mm256_storeu_ps(to, scores); }
  static Vector compare(Vector sums, Vector row, Vector query) {
    const Vector gap = _mm256_sub_ps(row, query);
    return _mm256_fmadd_ps(gap, gap, sums);
  }
  static Vector multiply(Vector sums, Vector row, Vector query) { return _mm256_fmadd_ps(row, query, sums); }
  static Vector scores(Vector sums) { return sums; }
  static bool any_within(Vector scores, Score limit) {
    return _mm256_movemask_ps(_mm256_cmp_ps(scores, broadcast(limit), _CMP_NGT_UQ)) != 0;
  }
  static bool within(Lane score, Score limit) { return !(score > limit); }

  // Of four vectors, in both halves: the sum of that half of each.
  static Vector fours(const Vector* sums) {
    return _mm256_hadd_ps(_mm256_hadd_ps(sums[0], sums[1]), _mm256_hadd_ps(sums[2], sums[3]));
  }
  static Vector sum(const Vector* sums) {
    const Vector a = fours(sums);
    const Vector b = fours(sums + 4);
    return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
  }
};

#include "kernels/near.inl"

}  // namespace

const PointKernel kAvx2Points{.rows = near_rows, .tile = near_tile};

}  // namespace pairdex
