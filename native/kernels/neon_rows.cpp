// NEON: every arm64 processor (conversion from float16 is part of the base instruction set).
#include <arm_neon.h>

#include <array>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

struct Isa {
  using Floats = float32x4_t;
  static constexpr std::size_t kWidth = 4;
  static constexpr std::size_t kTileRows = 4;
  static constexpr std::size_t kTileQueries = 4;
  static Floats zero() { return vdupq_n_f32(0.0f); }
  static Floats load(const float* from) { return vld1q_f32(from); }
  static void store(float* to, Floats values) { vst1q_f32(to, values); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return vfmaq_f32(c, a, b); }
  static float sum(Floats values) { return vaddvq_f32(values); }
  static Floats widen(const Half* from) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(reinterpret_cast<const std::uint16_t*>(from))));
  }

  struct Sixteen {
    float64x2_t pair[8];
  };
  static Sixteen no_lanes() {
    Sixteen lanes;
    for (auto& pair : lanes.pair) pair = vdupq_n_f64(0.0);
    return lanes;
  }
  static void exact_step(const Half* row, const float* query, Sixteen& dots, Sixteen& squares) {
    for (std::size_t i = 0; i < 4; ++i) {
      const float32x4_t values = widen(row + 4 * i);
      const float32x4_t factors = load(query + 4 * i);
      const float64x2_t low = vcvt_f64_f32(vget_low_f32(values));
      const float64x2_t high = vcvt_high_f64_f32(values);
      dots.pair[2 * i] = vfmaq_f64(dots.pair[2 * i], low, vcvt_f64_f32(vget_low_f32(factors)));
      dots.pair[2 * i + 1] = vfmaq_f64(dots.pair[2 * i + 1], high, vcvt_high_f64_f32(factors));
      squares.pair[2 * i] = vfmaq_f64(squares.pair[2 * i], low, low);
      squares.pair[2 * i + 1] = vfmaq_f64(squares.pair[2 * i + 1], high, high);
    }
  }
  static double sum(Sixteen lanes) {
    for (std::size_t step = 4; step > 0; step /= 2) {
      for (std::size_t i = 0; i < step; ++i) lanes.pair[i] = vaddq_f64(lanes.pair[i], lanes.pair[i + step]);
    }
    return vgetq_lane_f64(lanes.pair[0], 0) + vgetq_lane_f64(lanes.pair[0], 1);
  }
};

#include "kernels/rows.inl"

}  // namespace

const RowKernel kNeonRows{.dot_lanes = Isa::kWidth, .widen = widen, .dots = dots, .exact = exact, .near = near};

}  // namespace pairdex
