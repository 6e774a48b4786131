// Test data: the same on every machine.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "kernels/kernel.hpp"

namespace pairdex {

// Uniform in [-1, 1), exact in float16: multiples of 2^-10.
inline std::vector<float> random_values(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> values(n);
  for (float& value : values) value = static_cast<float>(static_cast<int>(random() % 2048) - 1024) * 0x1p-10f;
  return values;
}

// Exact for the values above.
inline Half to_half(float value) {
  if (value == 0.0f) return {0};
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t exponent = (bits >> 23 & 0xffu) - 112u;
  return {static_cast<std::uint16_t>((bits >> 16 & 0x8000u) | exponent << 10 | (bits >> 13 & 0x3ffu))};
}

inline std::vector<Half> to_halves(const std::vector<float>& values) {
  std::vector<Half> halves;
  for (const float value : values) halves.push_back(to_half(value));
  return halves;
}

}  // namespace pairdex
