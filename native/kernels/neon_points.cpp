// NEON: every arm64 processor.
#include <arm_neon.h>

#include <array>
#include <type_traits>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

struct Isa {
  using Value = float;
  using Score = float;
  using Vector = float32x4_t;
  using Lane = float;
  static constexpr std::size_t kWidth = 4;
  static constexpr std::size_t kTileQueries = 4;
  static constexpr std::size_t kTileVectors = 4;
  static Vector zero() { return vdupq_n_f32(0.0f); }
  static Vector load(const Value* from) { return vld1q_f32(from); }
  static Vector load_some(const Value* from, std::size_t n) {
    std::array<float, kWidth> some{};
    for (std::size_t i = 0; i < n; ++i) some[i] = from[i];
    return load(some.data());
  }
  static Vector broadcast(Value value) { return vdupq_n_f32(value); }
  static void store(Lane* to, Vector scores) { vst1q_f32(to, scores); }
  static Vector compare(Vector sums, Vector row, Vector query) {
    const Vector gap = vsubq_f32(row, query);
    return vfmaq_f32(sums, gap, gap);
  }
  static Vector multiply(Vector sums, Vector row, Vector query) { return vfmaq_f32(sums, row, query); }
  static Vector scores(Vector sums) { return sums; }
  static bool any_within(Vector scores, Score limit) { return vminvq_u32(vcgtq_f32(scores, broadcast(limit))) == 0; }
  static bool within(Lane score, Score limit) { return !(score > limit); }
  static Vector sum(const Vector* sums) {
    return vpaddq_f32(vpaddq_f32(sums[0], sums[1]), vpaddq_f32(sums[2], sums[3]));
  }
};

#include "kernels/near.inl"

}  // namespace

const PointKernel kNeonPoints{.rows = near_rows, .tile = near_tile};

}  // namespace pairdex
