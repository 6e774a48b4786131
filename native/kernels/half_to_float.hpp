// float16 to float32 in plain arithmetic, for the scalar twins and other code without an instruction set.
#pragma once

#include <bit>
#include <cstdint>

#include "kernels/kernel.hpp"

namespace pairdex {

inline float to_float(Half value) {
  const std::uint32_t magnitude = value.bits & 0x7fffu;
  // The exponent's bias differs by 112; the multiplication also makes subnormal values normal, exactly.
  const float finite = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(finite);
  const std::uint32_t special = magnitude >= 0x7c00u ? 0x7f800000u : 0u;
  return std::bit_cast<float>(bits | special | (std::uint32_t{value.bits} & 0x8000u) << 16);
}

}  // namespace pairdex
