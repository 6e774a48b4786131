// Floats as whole numbers of eight bits times a scale.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>

namespace pairdex::ivf {

// The scale under which all values are at most 127.
inline float int8_scale(std::span<const float> values) {
  constexpr float kMostCode = 127.0f;
  constexpr float kLeastScale = 1e-12f;
  float largest = 0.0f;
  for (const float value : values) largest = std::max(largest, std::abs(value));
  return std::max(largest / kMostCode, kLeastScale);
}

// The nearest whole number of a value below 2^22, without a call.
inline std::int32_t nearest(float value) {
  constexpr float kRounding = 12582912.0f;  // 1.5 x 2^23: a float of this size has no fraction
  return static_cast<std::int32_t>((value + kRounding) - kRounding);
}

}  // namespace pairdex::ivf
