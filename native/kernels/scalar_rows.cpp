// The scalar twin: the reference for every other kernel, and the fallback on any processor.
#include <array>

#include "kernels/half_to_float.hpp"
#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

using Lanes = std::array<double, kLanes>;

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
    out[i] = i < dim ? to_float(row[i]) : 0.0f;
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
    const double value = to_float(row[i]);
    dots[i % kLanes] += value * query[i];
    squares[i % kLanes] += value * value;
  }
  return {sum(dots), sum(squares)};
}

NearDot near(const Half* row, const float* query, std::size_t dim) {
  std::array<float, kLanes> dots{};
  std::array<float, kLanes> squares{};
  for (std::size_t i = 0; i < dim; ++i) {
    const float value = to_float(row[i]);
    dots[i % kLanes] += value * query[i];
    squares[i % kLanes] += value * value;
  }
  return {sum(dots), sum(squares)};
}

}  // namespace

const RowKernel kScalarRows{.dot_lanes = kLanes, .widen = widen, .dots = dots, .exact = exact, .near = near};

}  // namespace pairdex
