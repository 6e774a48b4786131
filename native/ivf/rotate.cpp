#include "ivf/rotate.hpp"

#include <algorithm>

#include "ivf/int8.hpp"
#include "ivf/layout.hpp"

namespace pairdex::ivf {
namespace {

constexpr std::int32_t kZero = 128;  // codes of directions are unsigned: that much is added

}  // namespace

Rotation::Rotation(const Basis& basis)
    : basis_(basis),
      length_((basis.dim + kCodeStep - 1) / kCodeStep * kCodeStep),
      codes_(group_count(basis.size() - kKept) * kGroupRows * length_, std::uint8_t{kZero}),
      scales_(group_count(basis.size() - kKept) * kGroupRows) {
  for (std::size_t d = 0; d < basis.size() - kKept; ++d) {
    const float* direction = basis.directions.data() + (kKept + d) * padded(basis.dim);
    scales_[d] = int8_scale({direction, basis.dim});
    const float inverse = 1.0f / scales_[d];
    std::uint8_t* half = codes_.data() + d / kHalfRows * kHalfRows * length_ + d % kHalfRows * 4;
    for (std::size_t i = 0; i < basis.dim; ++i) {
      half[i / 4 * 4 * kHalfRows + i % 4] = static_cast<std::uint8_t>(nearest(direction[i] * inverse) + kZero);
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
  scale = int8_scale(inside);
  const float inverse = 1.0f / scale;
  sum = 0;
  for (std::size_t i = 0; i < inside.size(); ++i) {
    const std::int32_t code = nearest(inside[i] * inverse);
    blocks[query_place(q, i, length_)] = static_cast<std::int8_t>(code);
    sum += code;
  }
}

}  // namespace pairdex::ivf
