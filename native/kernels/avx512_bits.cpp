// AVX-512 with VPOPCNTDQ: Intel since Ice Lake, AMD since Zen 4.
#include <immintrin.h>

#include <array>
#include <type_traits>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

struct Isa {
  using Value = std::uint64_t;
  using Score = std::uint32_t;
  using Vector = __m512i;
  using Lane = std::uint64_t;
  static constexpr std::size_t kWidth = 8;
  static constexpr std::size_t kTileQueries = 4;
  static constexpr std::size_t kTileVectors = 2;
  static Vector zero() { return _mm512_setzero_si512(); }
  static Vector load(const Value* from) { return _mm512_loadu_si512(from); }
  static Vector load_some(const Value* from, std::size_t n) {
    return _mm512_maskz_loadu_epi64(static_cast<__mmask8>((1u << n) - 1), from);
  }
  static Vector broadcast(Value value) { return _mm512_set1_epi64(static_cast<long long>(value)); }
  static void store(Lane* to, Vector scores) { _mm512_storeu_si512(to, scores); }
  static Vector compare(Vector sums, Vector row, Vector query) {
    return _mm512_add_epi64(sums, _mm512_popcnt_epi64(_mm512_xor_si512(row, query)));
  }
  static Vector multiply(Vector sums, Vector row, Vector query) { return compare(sums, row, query); }
  static Vector scores(Vector sums) { return sums; }
  static bool any_within(Vector scores, Score limit) { return _mm512_cmple_epu64_mask(scores, broadcast(limit)) != 0; }
  static bool within(Lane score, Score limit) { return score <= limit; }

  // Sums of neighbouring lanes, of a in the even and of b in the odd places.
  static Vector pairs(Vector a, Vector b) {
    return _mm512_add_epi64(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
  }
  // Sums of neighbouring quarters: two of a, then two of b.
  static Vector quarters(Vector a, Vector b) {
    return _mm512_add_epi64(_mm512_shuffle_i64x2(a, b, 0x88), _mm512_shuffle_i64x2(a, b, 0xdd));
  }
  static Vector sum(const Vector* sums) {
    const Vector low = quarters(pairs(sums[0], sums[1]), pairs(sums[2], sums[3]));
    const Vector high = quarters(pairs(sums[4], sums[5]), pairs(sums[6], sums[7]));
    return quarters(low, high);
  }
};

#include "kernels/near.inl"

}  // namespace

const BitKernel kAvx512Bits{.rows = near_rows, .tile = near_tile};

}  // namespace pairdex
