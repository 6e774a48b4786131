// AVX2: bits are counted by looking up each half byte (W. Muła, N. Kurz, D. Lemire, "Faster Population Counts Using
// AVX2 Instructions", The Computer Journal 61, 2018).
#include <immintrin.h>

#include <array>
#include <type_traits>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

struct Isa {
  using Value = std::uint64_t;
  using Score = std::uint32_t;
  using Vector = __m256i;
  using Lane = std::uint64_t;
  static constexpr std::size_t kWidth = 4;
  static constexpr std::size_t kTileQueries = 2;
  static constexpr std::size_t kTileVectors = 2;
  static Vector zero() { return _mm256_setzero_si256(); }
  static Vector load(const Value* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }
  static Vector load_some(const Value* from, std::size_t n) {
    const auto lanes = static_cast<long long>(n);
    const __m256i mask = _mm256_cmpgt_epi64(_mm256_set1_epi64x(lanes), _mm256_set_epi64x(3, 2, 1, 0));
    return _mm256_maskload_epi64(reinterpret_cast<const long long*>(from), mask);
  }
  static Vector broadcast(Value value) { return _mm256_set1_epi64x(static_cast<long long>(value)); }
  static void store(Lane* to, Vector scores) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), scores); }
  static Vector compare(Vector sums, Vector row, Vector query) {
    const __m256i counts = _mm256_broadcastsi128_si256(_mm_set_epi8(4, 3, 3, 2, 3, 2, 2, 1, 3, 2, 2, 1, 2, 1, 1, 0));
    const __m256i halves = _mm256_set1_epi8(0x0f);
    const __m256i bits = _mm256_xor_si256(row, query);
    const __m256i low = _mm256_shuffle_epi8(counts, _mm256_and_si256(bits, halves));
    const __m256i high = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(bits, 4), halves));
    return _mm256_add_epi64(sums, _mm256_sad_epu8(_mm256_add_epi8(low, high), zero()));
  }
  static Vector multiply(Vector sums, Vector row, Vector query) { return compare(sums, row, query); }
  static Vector scores(Vector sums) { return sums; }
  static bool any_within(Vector scores, Score limit) {
    const __m256i over = _mm256_cmpgt_epi64(scores, broadcast(limit));
    return _mm256_movemask_epi8(over) != -1;
  }
  static bool within(Lane score, Score limit) { return score <= limit; }

  static Vector pairs(Vector a, Vector b) {
    return _mm256_add_epi64(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
  }
  static Vector sum(const Vector* sums) {
    const Vector a = pairs(sums[0], sums[1]);
    const Vector b = pairs(sums[2], sums[3]);
    return _mm256_add_epi64(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
  }
};

#include "kernels/near.inl"

}  // namespace

const BitKernel kAvx2Bits{.rows = near_rows, .tile = near_tile};

}  // namespace pairdex
