#include "codes/queries.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pairdex {
namespace {

constexpr double kUp = 1.0 + 0x1p-20;    // more than the few roundings to float32 that follow
constexpr double kLeastScale = 0x1p-20;  // keeps quotients by the scale far from overflow
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

// Into the places of query `q`.
Coded code_values(const double* values, std::size_t n, std::size_t length, std::size_t q, std::int8_t* codes) {
  double largest = 127.0 * kLeastScale;
  for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(values[i]));
  const auto scale = static_cast<float>(largest / 127.0);
  double error = 0.0;
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double number = std::clamp(std::nearbyint(values[i] / static_cast<double>(scale)), -127.0, 127.0);
    const double difference = values[i] - static_cast<double>(scale) * number;
    error += difference * difference;
    codes[query_place(q, i, length)] = static_cast<std::int8_t>(number);
    sum += static_cast<std::int32_t>(number);
  }
  return {scale, std::sqrt(error) * kUp, sum * kCodeZero};
}

double share(double norm, float largest) { return largest > 0.0f ? norm / static_cast<double>(largest) : 0.0; }

}  // namespace

CodedQueries::CodedQueries(std::span<const double> coordinates, std::size_t dim, double slack)
    : dim_(dim), slack_(slack) {
  const Layout layout(dim);
  const std::size_t n = coordinates.size() / dim;
  head_codes_.resize(whole_blocks(n) * layout.head_length);
  rest_codes_.resize(whole_blocks(n) * layout.rest_length);
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
  const Coded of_head = code_values(head, layout.head_dims, layout.head_length, q, head_codes_.data());
  const Coded of_rest = code_values(rest, layout.rest_dims, layout.rest_length, q, rest_codes_.data());
  const auto scale = static_cast<double>(of_head.scale);
  constants_[q].scale = scale;
  constants_[q].terms = {.along_mean = static_cast<float>(coordinates[0] / scale),
                         .along_gap = dim_ > 1 ? static_cast<float>(coordinates[1] / scale) : 0.0f,
                         .coded_error = 0.0f,
                         .rest_error = 0.0f,
                         .rest_norm = 0.0f,
                         .rest_scale = static_cast<float>(static_cast<double>(of_rest.scale) / scale),
                         .least = 0.0f,
                         .head_offset = of_head.offset,
                         .rest_offset = of_rest.offset};
  return {of_head.error_norm, norm(head, layout.head_dims), norm(rest, layout.rest_dims), of_rest.error_norm};
}

void CodedQueries::share_errors(std::size_t q, const Norms& norms) {
  const double of_head = std::max(share(norms.head_error, largest_.head_error), share(norms.head, largest_.head));
  const double of_rest = std::max(share(norms.rest_error, largest_.rest_error), share(norms.rest, largest_.rest));
  QueryTerms& terms = constants_[q].terms;
  terms.coded_error = static_cast<float>(of_head / constants_[q].scale * kUp);
  terms.rest_error = static_cast<float>(of_rest / constants_[q].scale * kUp);
  terms.rest_norm = static_cast<float>(norms.rest / constants_[q].scale * kUp);
}

float CodedQueries::least(std::size_t q, double cosine) const {
  const auto rounded = static_cast<float>((cosine - slack_) / constants_[q].scale);
  return std::nextafter(rounded, -std::numeric_limits<float>::infinity());
}

double CodedQueries::lower_cosine(std::size_t q, float bound, float coded_error, float rest_error) const {
  const QueryTerms& terms = constants_[q].terms;
  const double error = static_cast<double>(terms.coded_error) * static_cast<double>(coded_error) +
                       static_cast<double>(terms.rest_error) * static_cast<double>(rest_error);
  return (static_cast<double>(bound) - 2.0 * error) * constants_[q].scale - slack_;
}

}  // namespace pairdex
