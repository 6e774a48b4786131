#include "join/encode.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace pairdex::join {
namespace {

constexpr std::size_t kAtOnce = 32;          // rows that meet the basis while it is in the cache
constexpr double kFloat64Room = 1.0 + 1e-9;  // sums in float64 err by far less than this, relatively
constexpr double kLargestCode = 127.0;

// Rounds to the nearest integer, vectorised where std::nearbyint is a call.
double rounded(double value) {
  constexpr double kShift = 0x1.8p52;
  return (value + kShift) - kShift;
}

// One row's coordinates and what they may err by.
struct Coordinates {
  const double* values;
  double squared;  // |x - centre|^2, computed
  double error;    // of the squared length of x - centre
};

struct Length {
  double value, error;
};

// The length of x - centre without its first n coordinates.
Length rest_of(const Coordinates& row, std::size_t n, const Map& map) {
  double sum = 0.0;
  for (std::size_t i = 0; i < n; ++i) sum += row.values[i] * row.values[i];
  const double error = map.coordinate_error * std::sqrt(static_cast<double>(n));
  const double length = std::sqrt(sum) + error;
  const double of_squares = row.error + 2.0 * length * error + 1.001 * map.basis_error * length * length + 1e-12;
  const double squared = std::max(row.squared - sum, 0.0);
  const double value = std::sqrt(squared);
  const double root = std::sqrt(of_squares);
  return {value, (value > root ? of_squares / value : root) * kFloat64Room};
}

struct Coded {
  double squares;  // of the code
  double error;    // distance between the code and the clamped values
};

Coded code(const double* values, std::size_t n, const CodeMap& map, double* codes) {
  const double scale = kLargestCode / map.box;
  double squares = 0.0;
  double error = 0.0;
  for (std::size_t i = 0; i < n; ++i) {
    const double value = scale * std::min(std::max(values[i], -map.box), map.box);
    codes[i] = rounded(value);
    squares += codes[i] * codes[i];
    error += (codes[i] - value) * (codes[i] - value);
  }
  return {squares, std::sqrt(error) * kFloat64Room};
}

class Encoder {
 public:
  Encoder(const Map& map, const RowKernel& kernel)
      : map_(map),
        kernel_(kernel),
        stride_(padded(map.dim)),
        n_directions_(map.basis.size() / stride_),
        wide_(kAtOnce * stride_),
        dots_(n_directions_ * kAtOnce),
        values_(n_directions_ + 1),
        codes_(std::max(map.large.length, kSmall)) {}

  void widen(const Half* rows, std::size_t n) {
    for (std::size_t r = 0; r < n; ++r) {
      float* wide = wide_.data() + r * stride_;
      const float squared = kernel_.widen(rows + r * map_.dim, map_.dim, wide);
      const bool good = squared > 0.0f && squared <= std::numeric_limits<float>::max();
      inverse_[r] = good ? 1.0 / std::sqrt(kernel_.exact(rows + r * map_.dim, wide, map_.dim).squared_norm) : 0.0;
      if (!good) std::fill_n(wide, stride_, 0.0f);
    }
    kernel_.dots(wide_.data(), n, map_.basis.data(), n_directions_, stride_, dots_.data());
  }

  bool has_direction(std::size_t r) const { return inverse_[r] > 0.0; }

  // Row r of the n widened ones.
  Coordinates coordinates(std::size_t r, std::size_t n) {
    const std::size_t last = n_directions_ - 1;
    for (std::size_t i = 0; i < last; ++i) values_[i] = dots_[i * n + r] * inverse_[r] - map_.shifts[i];
    const double along_centre = dots_[last * n + r] * inverse_[r];
    return {values_.data(), 1.0 - 2.0 * along_centre + map_.centre_squared, 2.0 * map_.coordinate_error};
  }

  // Writes a code; returns its distance from what it stands for.
  template <typename Byte>
  double write(const Coordinates& row, const CodeMap& map, Byte* out, std::int32_t* norm) {
    std::size_t n = map.coordinates;
    double error = map_.coordinate_error * std::sqrt(static_cast<double>(n));
    const double next = values_[n];  // of the larger code
    if (n < map_.dim) {
      const Length rest = rest_of(row, n, map_);
      values_[n++] = rest.value - map.rest_centre;
      error += rest.error;
    }
    const Coded coded = code(values_.data(), n, map, codes_.data());
    values_[map.coordinates] = next;
    constexpr int kZero = std::is_signed_v<Byte> ? 0 : 128;
    for (std::size_t i = 0; i < map.length; ++i) {
      out[i] = static_cast<Byte>((i < n ? static_cast<int>(codes_[i]) : 0) + kZero);
    }
    *norm = static_cast<std::int32_t>(coded.squares);
    return coded.error + error * kLargestCode / map.box;
  }

 private:
  const Map& map_;
  const RowKernel& kernel_;
  std::size_t stride_, n_directions_;
  std::vector<float> wide_, dots_;
  std::vector<double> values_, codes_;
  double inverse_[kAtOnce] = {};
};

}  // namespace

CodeErrors encode(const Half* rows, std::size_t n_rows, const Map& map, const RowKernel& kernel, const Encoded& out) {
  Encoder encoder(map, kernel);
  CodeErrors largest;
  for (std::size_t first = 0; first < n_rows; first += kAtOnce) {
    const std::size_t n = std::min(kAtOnce, n_rows - first);
    encoder.widen(rows + first * map.dim, n);
    for (std::size_t r = 0; r < n; ++r) {
      const std::size_t at = first + r;
      const Coordinates row = encoder.coordinates(r, n);
      out.has_direction[at] = encoder.has_direction(r);
      const double small = encoder.write(row, map.small, out.small + at * kSmall, out.small_norms + at);
      if (encoder.has_direction(r)) largest.small = std::max(largest.small, small);
      if (map.large.length == 0) continue;
      const double large = encoder.write(row, map.large, out.large + at * map.large.length, out.large_norms + at);
      if (encoder.has_direction(r)) largest.large = std::max(largest.large, large);
    }
  }
  return largest;
}

}  // namespace pairdex::join
