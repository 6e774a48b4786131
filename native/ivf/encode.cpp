#include "ivf/encode.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ivf/half.hpp"

namespace pairdex::ivf {
namespace {

constexpr float kMostNibble = 15.5f;  // becomes 15
constexpr float kLeastScale = 1e-7f;  // of a row without any coded coordinate; a normal float16 would do as well
// The largest coordinate need not be reached: with a somewhat smaller scale all others are distinguished better.
constexpr std::array<float, 4> kScales{1.0f, 0.9f, 0.8f, 0.7f};

// The code of a coordinate: rounded, since what is cut off is not negative.
std::int32_t number_of(float value, float inverse_scale) {
  return static_cast<std::int32_t>(std::clamp(value * inverse_scale + (kNibbleZero + 0.5f), 0.0f, kMostNibble));
}

// The scale under which the codes lose least, and then the one that keeps the row's length along its codes.
float scale_of(std::span<const float> values) {
  float largest = 0.0f;
  for (const float value : values) largest = std::max(largest, std::abs(value));
  float best = kLeastScale;
  float best_left = -1.0f;
  for (const float part : kScales) {
    const float scale = std::max(largest / kNibbleZero * part, kLeastScale);
    const float inverse = 1.0f / scale;
    float products = 0.0f;
    float squares = 0.0f;
    for (const float value : values) {
      const float number = static_cast<float>(number_of(value, inverse)) - kNibbleZero;
      products += value * number;
      squares += number * number;
    }
    const float kept = products * products / squares;  // of the squared length, with the best factor to the codes
    if (kept > best_left) {
      best_left = kept;
      best = scale;
    }
  }
  return best;
}

}  // namespace

void coordinates_of(const Half* rows, std::size_t n_rows, const Basis& basis, const RowKernel& kernel,
                    float* coordinates) {
  const std::size_t stride = padded(basis.dim);
  std::vector<float> wide(kGroupRows * stride);
  std::array<float, kGroupRows> inverse_norms{};
  for (std::size_t r = 0; r < n_rows; ++r) {
    const float squared = kernel.widen(rows + r * basis.dim, basis.dim, wide.data() + r * stride);
    const bool good = squared > 0.0f && squared <= std::numeric_limits<float>::max();
    inverse_norms[r] = good ? 1.0f / std::sqrt(squared) : std::numeric_limits<float>::quiet_NaN();
  }
  // The directions act as the queries: there are many of them, and the rows stay in the cache.
  const std::size_t size = basis.size();
  std::vector<float> rotated(size * kGroupRows);
  kernel.dots(wide.data(), n_rows, basis.directions.data(), size, stride, rotated.data());
  for (std::size_t r = 0; r < n_rows; ++r) {
    for (std::size_t i = 0; i < size; ++i) coordinates[r * size + i] = rotated[i * n_rows + r] * inverse_norms[r];
  }
}

void code_row(const float* coordinates, const Layout& layout, std::uint8_t* codes, Half* facts) {
  const std::span values(coordinates + kKept, layout.coded);
  std::fill_n(codes, layout.row_bytes(), std::uint8_t{0});
  if (std::isnan(coordinates[0])) {
    facts[0] = facts[1] = facts[2] = kNotANumber;
    return;
  }
  const float inverse = 1.0f / scale_of(values);
  float products = 0.0f;
  float squares = 0.0f;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::int32_t number = number_of(values[i], inverse);
    const float stands_for = static_cast<float>(number) - kNibbleZero;
    products += values[i] * stands_for;
    squares += stands_for * stands_for;
    const auto nibble = static_cast<unsigned>(number) << (i % 8 < 4 ? 0 : 4);
    codes[i / 8 * 4 + i % 4] = static_cast<std::uint8_t>(codes[i / 8 * 4 + i % 4] | nibble);
  }
  facts[0] = to_half(coordinates[0]);
  facts[1] = to_half(coordinates[1]);
  facts[2] = to_half(squares > 0.0f ? products / squares : 0.0f);
}

void fill_group(const std::uint8_t* codes, const Half* facts, std::size_t n_rows, const Layout& layout,
                std::uint8_t* group) {
  std::fill_n(group, layout.stride(), std::uint8_t{0});
  auto& to = *reinterpret_cast<GroupFacts*>(group);
  to.along_mean.fill(kNotANumber);
  std::uint8_t* all_codes = group + sizeof(GroupFacts);
  for (std::size_t r = 0; r < n_rows; ++r) {
    to.along_mean[r] = facts[3 * r];
    to.along_gap[r] = facts[3 * r + 1];
    to.scale[r] = facts[3 * r + 2];
    std::uint8_t* half = all_codes + r / kHalfRows * kHalfRows * layout.row_bytes() + r % kHalfRows * 4;
    for (std::size_t i = 0; i < layout.row_bytes(); i += 4) {
      std::copy_n(codes + r * layout.row_bytes() + i, 4, half + i * kHalfRows);
    }
  }
}

}  // namespace pairdex::ivf
