#include "codes/queries.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pairdex {
namespace {

constexpr double kUp = 1.0 + 0x1p-20;      // more than the few roundings to float32 that follow
constexpr double kLeastScale = 0x1p-20;    // keeps quotients by the scale far from overflow
constexpr std::size_t kAvoidStride = 512;  // strides of whole multiples fall on few lines of the cache

std::size_t stride_of(std::size_t length) { return length % kAvoidStride == 0 ? length + kCodeStep : length; }

double norm(const double* values, std::size_t n) {
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += values[i] * values[i];
  return std::sqrt(sum) * kUp;
}

struct Coded {
  float scale;
  double error_norm;
  std::int32_t offset;
};

Coded code_values(const double* values, std::size_t n, std::int8_t* codes) {
  double largest = 127.0 * kLeastScale;
  for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(values[i]));
  const auto scale = static_cast<float>(largest / 127.0);
  double error = 0.0;
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double number = std::clamp(std::nearbyint(values[i] / static_cast<double>(scale)), -127.0, 127.0);
    const double difference = values[i] - static_cast<double>(scale) * number;
    error += difference * difference;
    codes[i] = static_cast<std::int8_t>(number);
    sum += static_cast<std::int32_t>(number);
  }
  return {scale, std::sqrt(error) * kUp, sum * kCodeZero};
}

double share(double norm, float largest) { return largest > 0.0f ? norm / static_cast<double>(largest) : 0.0; }

}  // namespace

CodedQueries::CodedQueries(std::span<const double> coordinates, std::size_t dim, double room) : dim_(dim), room_(room) {
  const Layout layout(dim);
  const std::size_t n = coordinates.size() / dim;
  const std::size_t with_room = (n + kQueryRoom - 1) / kQueryRoom * kQueryRoom;
  head_stride_ = stride_of(layout.head_length);
  rest_stride_ = stride_of(layout.rest_length);
  head_codes_.resize(with_room * head_stride_);
  rest_codes_.resize(with_room * rest_stride_);
  constants_.resize(n);
  std::vector<Norms> norms;
  for (std::size_t q = 0; q < n; ++q) {
    norms.push_back(code(coordinates.data() + q * dim, q, layout));
    largest_.head_error = std::max(largest_.head_error, static_cast<float>(norms[q].head_error));
    largest_.head = std::max(largest_.head, static_cast<float>(norms[q].head));
    largest_.rest = std::max(largest_.rest, static_cast<float>(norms[q].rest));
    largest_.rest_error = std::max(largest_.rest_error, static_cast<float>(norms[q].rest_error));
  }
  for (std::size_t q = 0; q < n; ++q) share_errors(q, norms[q]);
}

CodedQueries::Norms CodedQueries::code(const double* coordinates, std::size_t q, const Layout& layout) {
  const double* head = coordinates + std::min(dim_, kKept);
  const double* rest = head + layout.head_dims;
  const Coded of_head = code_values(head, layout.head_dims, head_codes_.data() + q * head_stride_);
  const Coded of_rest = code_values(rest, layout.rest_dims, rest_codes_.data() + q * rest_stride_);
  const auto scale = static_cast<double>(of_head.scale);
  constants_[q].scale = scale;
  constants_[q].terms = {.along_mean = static_cast<float>(coordinates[0] / scale),
                         .along_gap = dim_ > 1 ? static_cast<float>(coordinates[1] / scale) : 0.0f,
                         .head_error = 0.0f,
                         .full_error = 0.0f,
                         .rest_scale = static_cast<float>(static_cast<double>(of_rest.scale) / scale),
                         .least = 0.0f,
                         .head_offset = of_head.offset,
                         .rest_offset = of_rest.offset};
  return {of_head.error_norm, norm(head, layout.head_dims), norm(rest, layout.rest_dims), of_rest.error_norm};
}

void CodedQueries::share_errors(std::size_t q, const Norms& norms) {
  const double of_head = std::max(share(norms.head_error, largest_.head_error), share(norms.head, largest_.head));
  const double of_rest = share(norms.rest, largest_.rest);
  const double of_rest_error = share(norms.rest_error, largest_.rest_error);
  QueryTerms& terms = constants_[q].terms;
  terms.head_error = static_cast<float>(std::max(of_head, of_rest) / constants_[q].scale * kUp);
  terms.full_error = static_cast<float>(std::max({of_head, of_rest, of_rest_error}) / constants_[q].scale * kUp);
}

float CodedQueries::least(std::size_t q, double cosine) const {
  const auto rounded = static_cast<float>((cosine - room_) / constants_[q].scale);
  return std::nextafter(rounded, -std::numeric_limits<float>::infinity());
}

}  // namespace pairdex
