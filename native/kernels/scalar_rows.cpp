// The scalar twin: the reference for every other kernel, and the fallback on any processor.
#include <array>
#include <bit>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

using Lanes = std::array<double, kLanes>;

float widen_one(Half value) {
  const std::uint32_t magnitude = value.bits & 0x7fffu;
  // The exponent's bias differs by 112; the multiplication also makes subnormal values normal, exactly.
  const float finite = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(finite);
  const std::uint32_t special = magnitude >= 0x7c00u ? 0x7f800000u : 0u;
  return std::bit_cast<float>(bits | special | (std::uint32_t{value.bits} & 0x8000u) << 16);
}

template <typename T>
T sum(std::array<T, kLanes>& lanes) {
  for (std::size_t step = kLanes / 2; step > 0; step /= 2) {
    for (std::size_t i = 0; i < step; ++i) lanes[i] += lanes[i + step];
  }
  return lanes[0];
}

float widen(const Half* row, std::size_t dim, float* out) {
  std::array<float, kLanes> squares{};
  for (std::size_t i = 0; i < padded(dim); ++i) {
    out[i] = i < dim ? widen_one(row[i]) : 0.0f;
    squares[i % kLanes] += out[i] * out[i];
  }
  return sum(squares);
}

float dot(const float* a, const float* b, std::size_t stride) {
  std::array<float, kLanes> lanes{};
  for (std::size_t i = 0; i < stride; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += a[i + lane] * b[i + lane];
  }
  return sum(lanes);
}

void dots(const float* rows, std::size_t n_rows, const float* queries, std::size_t n_queries, std::size_t stride,
          float* out) {
  for (std::size_t q = 0; q < n_queries; ++q) {
    for (std::size_t r = 0; r < n_rows; ++r) {
      out[q * n_rows + r] = dot(rows + r * stride, queries + q * stride, stride);
    }
  }
}

ExactDot exact(const Half* row, const float* query, std::size_t dim) {
  Lanes dots{};
  Lanes squares{};
  for (std::size_t i = 0; i < dim; ++i) {
    const double value = widen_one(row[i]);
    dots[i % kLanes] += value * query[i];
    squares[i % kLanes] += value * value;
  }
  return {sum(dots), sum(squares)};
}

NearDot near(const Half* row, const float* query, std::size_t dim) {
  std::array<float, kLanes> dots{};
  std::array<float, kLanes> squares{};
  for (std::size_t i = 0; i < dim; ++i) {
    const float value = widen_one(row[i]);
    dots[i % kLanes] += value * query[i];
    squares[i % kLanes] += value * value;
  }
  return {sum(dots), sum(squares)};
}

}  // namespace

const RowKernel kScalarRows{.dot_lanes = kLanes, .widen = widen, .dots = dots, .exact = exact, .near = near};

}  // namespace pairdex
