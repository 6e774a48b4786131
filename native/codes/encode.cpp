#include "codes/encode.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace pairdex {
namespace {

// Sums of squares in float64 and the like err by far less than this, relatively.
constexpr double kFloat64Slack = 1.0 + 1e-9;
// Keeps the scale of a row without any head or rest away from zero.
constexpr float kLeastScale = 1e-12f;

struct Coded {
  float scale;
  double coded_norm;
  double error_norm;  // of the computed coordinates; what they themselves err by is added later
};

// Codes of `dims` values into the places of row `r` of a group.
Coded code(const float* values, std::size_t dims, std::size_t length, std::size_t r, std::uint8_t* group) {
  float largest = 0.0f;
  for (std::size_t i = 0; i < dims; ++i) largest = std::max(largest, std::abs(values[i]));
  const float scale = std::max(largest / 127.0f, kLeastScale);
  const float inverse = 1.0f / scale;
  double coded = 0.0;
  double error = 0.0;
  std::uint8_t* to = group + r / kHalfRows * kHalfRows * length + r % kHalfRows * 4;
  for (std::size_t i = 0; i < dims; ++i) {
    const float number = std::clamp(std::nearbyint(values[i] * inverse), -127.0f, 127.0f);
    const double back = static_cast<double>(scale) * static_cast<double>(number);  // exact: 24 and 7 bits
    const double difference = static_cast<double>(values[i]) - back;
    coded += back * back;
    error += difference * difference;
    to[i / 4 * 4 * kHalfRows + i % 4] = static_cast<std::uint8_t>(static_cast<int>(number) + kCodeZero);
  }
  return {scale, std::sqrt(coded) * kFloat64Slack, std::sqrt(error) * kFloat64Slack};
}

double norm(std::span<const float> values) {
  double sum = 0.0;
  for (const float value : values) sum += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(sum) * kFloat64Slack;
}

}  // namespace

double coordinate_error(std::size_t dim, const RowKernel& kernel) {
  const std::size_t longest = (padded(dim) + kernel.dot_lanes - 1) / kernel.dot_lanes + 8;
  return static_cast<double>(longest + 8) * 0x1p-24;
}

GroupEncoder::GroupEncoder(Basis basis, const RowKernel& kernel, double row_norm)
    : basis_(basis),
      kernel_(kernel),
      layout_(basis.dim),
      error_(coordinate_error(basis.dim, kernel)),
      row_norm_(row_norm),
      wide_(kGroupRows * padded(basis.dim)),
      coordinates_(kGroupRows * basis.dim),
      row_(std::max(basis.dim, kKept)) {}

void GroupEncoder::encode(const Half* rows, std::size_t n_rows, std::uint8_t* head, std::uint8_t* rest) {
  const std::size_t dim = basis_.dim;
  const std::size_t stride = padded(dim);
  std::array<float, kGroupRows> inverse_norms{};
  for (std::size_t r = 0; r < n_rows; ++r) {
    const float squared = kernel_.widen(rows + r * dim, dim, wide_.data() + r * stride);
    const bool good = squared > 0.0f && squared <= std::numeric_limits<float>::max();
    float* wide = wide_.data() + r * stride;
    if (good) {
      const double norm =
          row_norm_ > 0.0 ? row_norm_ : std::sqrt(kernel_.exact(rows + r * dim, wide, dim).squared_norm);
      inverse_norms[r] = static_cast<float>(1.0 / norm);
    } else {
      std::fill_n(wide, stride, 0.0f);
    }
  }
  std::fill(wide_.begin() + static_cast<std::ptrdiff_t>(n_rows * stride), wide_.end(), 0.0f);
  kernel_.dots(wide_.data(), kGroupRows, basis_.rows.data(), dim, stride, coordinates_.data());
  std::fill_n(head, layout_.head_stride(), std::uint8_t{0});
  std::fill_n(rest, layout_.rest_stride(), std::uint8_t{0});
  std::fill_n(head + sizeof(HeadFacts), kGroupRows * layout_.head_length, kCodeZero);
  std::fill_n(rest + sizeof(RestFacts), kGroupRows * layout_.rest_length, kCodeZero);
  for (std::size_t r = 0; r < kGroupRows; ++r) code_row(r, inverse_norms[r], head, rest);
}

void GroupEncoder::code_row(std::size_t r, float inverse_norm, std::uint8_t* head, std::uint8_t* rest) {
  for (std::size_t i = 0; i < basis_.dim; ++i) row_[i] = coordinates_[i * kGroupRows + r] * inverse_norm;
  for (std::size_t i = basis_.dim; i < row_.size(); ++i) row_[i] = 0.0f;
  auto& head_facts = *reinterpret_cast<HeadFacts*>(head);
  auto& rest_facts = *reinterpret_cast<RestFacts*>(rest);
  const float* head_values = row_.data() + kKept;
  const float* rest_values = head_values + layout_.head_dims;
  const Coded of_head = code(head_values, layout_.head_dims, layout_.head_length, r, head + sizeof(HeadFacts));
  const Coded of_rest = code(rest_values, layout_.rest_dims, layout_.rest_length, r, rest + sizeof(RestFacts));
  const double head_slack = error_ * std::sqrt(static_cast<double>(layout_.head_dims));
  const double rest_slack = error_ * std::sqrt(static_cast<double>(layout_.rest_dims));
  const bool good = inverse_norm > 0.0f;
  head_facts.along_mean[r] = good ? row_[0] : std::numeric_limits<float>::quiet_NaN();
  head_facts.along_gap[r] = row_[1];
  head_facts.scale[r] = of_head.scale;
  head_facts.coded_norm[r] = above(of_head.coded_norm);
  head_facts.error_norm[r] = above(of_head.error_norm + head_slack);
  head_facts.rest_norm[r] = above(norm({rest_values, layout_.rest_dims}) + rest_slack);
  rest_facts.scale[r] = of_rest.scale;
  rest_facts.coded_norm[r] = above(of_rest.coded_norm);
  rest_facts.error_norm[r] = above(of_rest.error_norm + rest_slack);
}

}  // namespace pairdex
