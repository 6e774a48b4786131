// NEON: bits are counted byte by byte and added in pairs; kMaxWords keeps the 16-bit sums from overflowing.
#include <arm_neon.h>

#include <array>
#include <type_traits>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

struct Isa {
  using Value = std::uint64_t;
  using Score = std::uint32_t;
  using Vector = uint64x2_t;
  using Lane = std::uint64_t;
  static constexpr std::size_t kWidth = 2;
  static constexpr std::size_t kTileQueries = 4;
  static constexpr std::size_t kTileVectors = 4;
  static Vector zero() { return vdupq_n_u64(0); }
  static Vector load(const Value* from) { return vld1q_u64(from); }
  static Vector load_some(const Value* from, std::size_t) { return vcombine_u64(vld1_u64(from), vdup_n_u64(0)); }
  static Vector broadcast(Value value) { return vdupq_n_u64(value); }
  static void store(Lane* to, Vector scores) { vst1q_u64(to, scores); }
  static Vector compare(Vector sums, Vector row, Vector query) {
    const uint8x16_t counts = vcntq_u8(vreinterpretq_u8_u64(veorq_u64(row, query)));
    return vreinterpretq_u64_u16(vpadalq_u8(vreinterpretq_u16_u64(sums), counts));
  }
  static Vector multiply(Vector sums, Vector row, Vector query) { return compare(sums, row, query); }
  static Vector scores(Vector sums) { return vpaddlq_u32(vpaddlq_u16(vreinterpretq_u16_u64(sums))); }
  static bool any_within(Vector scores, Score limit) {
    return vmaxvq_u32(vreinterpretq_u32_u64(vcleq_u64(scores, broadcast(limit)))) != 0;
  }
  static bool within(Lane score, Score limit) { return score <= limit; }
  static Vector sum(const Vector* sums) { return vpaddq_u64(scores(sums[0]), scores(sums[1])); }
};

#include "kernels/near.inl"

}  // namespace

const BitKernel kNeonBits{.rows = near_rows, .tile = near_tile};

}  // namespace pairdex
