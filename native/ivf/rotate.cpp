#include "ivf/rotate.hpp"

#include <algorithm>
#include <cmath>

#include "ivf/layout.hpp"

namespace pairdex::ivf {
namespace {

constexpr float kMostCode = 127.0f;
constexpr float kLeastScale = 1e-12f;
constexpr std::int32_t kZero = 128;  // codes of directions are unsigned: that much is added

constexpr float kRounding = 12582912.0f;  // 1.5 x 2^23: adding it leaves no fraction

std::int32_t code_of(float value, float inverse_scale) {
  return static_cast<std::int32_t>((value * inverse_scale + kRounding) - kRounding);
}

float scale_for(const float* values, std::size_t n) {
  float largest = 0.0f;
  for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(values[i]));
  return std::max(largest / kMostCode, kLeastScale);
}

}  // namespace

Rotation::Rotation(const Basis& basis)
    : basis_(basis),
      length_((basis.dim + kCodeStep - 1) / kCodeStep * kCodeStep),
      codes_(group_count(basis.size() - kKept) * kGroupRows * length_, std::uint8_t{kZero}),
      scales_(group_count(basis.size() - kKept) * kGroupRows) {
  for (std::size_t d = 0; d < basis.size() - kKept; ++d) {
    const float* direction = basis.directions.data() + (kKept + d) * padded(basis.dim);
    scales_[d] = scale_for(direction, basis.dim);
    std::uint8_t* half = codes_.data() + d / kHalfRows * kHalfRows * length_ + d % kHalfRows * 4;
    for (std::size_t i = 0; i < basis.dim; ++i) {
      half[i / 4 * 4 * kHalfRows + i % 4] = static_cast<std::uint8_t>(code_of(direction[i], 1.0f / scales_[d]) + kZero);
    }
  }
}

void Rotation::rotate(const float* units, std::size_t n, const Kernel& kernel, float* coordinates) const {
  const std::size_t stride = padded(basis_.dim);
  const std::size_t size = basis_.size();
  std::vector<float> kept(n * kKept);
  kernel.rows->dots(basis_.directions.data(), kKept, units, n, stride, kept.data());
  std::vector<std::int8_t> codes(whole_blocks(n) * length_);
  std::vector<float> scales(n);
  std::vector<std::int32_t> sums(n);
  for (std::size_t q = 0; q < n; ++q) {
    code_inside(units + q * stride, kept.data() + q * kKept, codes.data(), q, scales[q], sums[q]);
    std::copy_n(kept.data() + q * kKept, kKept, coordinates + q * size);
  }
  std::vector<std::int32_t> dots(whole_blocks(n) * kGroupRows);
  kernel.codes->enter();
  for (std::size_t first = 0; first < size - kKept; first += kGroupRows) {
    kernel.codes->dots(codes_.data() + first * length_, length_, codes.data(), n, dots.data());
    const std::size_t some = std::min(kGroupRows, size - kKept - first);
    for (std::size_t q = 0; q < n; ++q) {
      float* to = coordinates + q * size + kKept + first;
      for (std::size_t i = 0; i < some; ++i) {
        to[i] = scales[q] * scales_[first + i] * static_cast<float>(dots[q * kGroupRows + i] - kZero * sums[q]);
      }
    }
  }
  kernel.codes->leave();
}

void Rotation::code_inside(const float* unit, const float* kept, std::int8_t* blocks, std::size_t q, float& scale,
                           std::int32_t& sum) const {
  const float* mean = basis_.directions.data();
  const float* gap = mean + padded(basis_.dim);
  std::vector<float> inside(basis_.dim);
  for (std::size_t i = 0; i < basis_.dim; ++i) inside[i] = unit[i] - kept[0] * mean[i] - kept[1] * gap[i];
  scale = scale_for(inside.data(), inside.size());
  sum = 0;
  for (std::size_t i = 0; i < inside.size(); ++i) {
    const std::int32_t code = code_of(inside[i], 1.0f / scale);
    blocks[query_place(q, i, length_)] = static_cast<std::int8_t>(code);
    sum += code;
  }
}

}  // namespace pairdex::ivf
