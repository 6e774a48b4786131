#include "knn/point_scan.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "knn/near_scan.hpp"

namespace pairdex {
namespace {

constexpr std::size_t kSums = 16;       // partial sums of every sum of squares, each of every 16th dimension
constexpr double kLargeNorm = 0x1p120;  // of squared norms: no partial sum of smaller ones overflows float32

// What float32 sums of dim terms may be off by, relative to the sum of their magnitudes; twice what is proven in
// docs/certified.md, section 9.
double slack(std::size_t dim) { return static_cast<double>(2 * dim + 32) * 0x1p-24; }
// The same in absolute terms, where products are so small that float32 loses them.
double least_gap(std::size_t dim) { return static_cast<double>(dim + 16) * 0x1p-147; }

float rounded_up(double value) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (value >= static_cast<double>(std::numeric_limits<float>::max())) return kInfinity;
  return std::nextafter(static_cast<float>(value), kInfinity);
}

template <typename T>
T added(std::array<T, kSums>& sums) {
  for (std::size_t step = kSums / 2; step > 0; step /= 2) {
    for (std::size_t i = 0; i < step; ++i) sums[i] += sums[i + step];
  }
  return sums[0];
}

// The distance that decides: the same additions in the same order for every row, kernel and number of queries.
double squared_distance(const float* row, const float* query, std::size_t dim) {
  std::array<double, kSums> sums{};
  const auto step = [&](std::size_t first, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
      const double gap = static_cast<double>(row[first + i]) - static_cast<double>(query[first + i]);
      sums[i] += gap * gap;
    }
  };
  const std::size_t whole = dim / kSums * kSums;
  for (std::size_t first = 0; first < whole; first += kSums) step(first, kSums);
  step(whole, dim - whole);
  return added(sums);
}

float squared_norm_float(const float* row, std::size_t dim) {
  std::array<float, kSums> sums{};
  const std::size_t whole = dim / kSums * kSums;
  for (std::size_t first = 0; first < whole; first += kSums) {
    for (std::size_t i = 0; i < kSums; ++i) sums[i] += row[first + i] * row[first + i];
  }
  for (std::size_t i = whole; i < dim; ++i) sums[i - whole] += row[i] * row[i];
  return added(sums);
}

// In tiles a row has one more value, in front: its squared norm, somewhat less. Queries have a 1 there and then -2
// times their values, so that the inner product is |row|^2 - 2 row.query.
struct PointSpace {
  using Value = float;
  using Score = float;
  static constexpr std::size_t kTileFromQueries = 48;

  PointSpace(const PointKernel& with, std::span<const float> queries, std::size_t dim)
      : kernel(with), tile_dim(dim + 1), dim_(dim), slack_(slack(dim)) {
    const std::size_t n = queries.size() / dim;
    padded_.resize(n * padded(dim));
    for (std::size_t q = 0; q < n; ++q) {
      const float* query = queries.data() + q * dim;
      std::copy_n(query, dim, padded_.data() + q * padded(dim));
      multiplied_.push_back(1.0f);
      for (std::size_t i = 0; i < dim; ++i) multiplied_.push_back(-2.0f * query[i]);
      const std::vector<float> origin(dim);
      squared_norms_.push_back(squared_distance(query, origin.data(), dim));
    }
  }

  const float* row_query(std::size_t q) const { return padded_.data() + q * padded(dim_); }
  const float* tile_queries() const { return multiplied_.data(); }
  float row_limit(std::size_t, double farthest) const {
    return rounded_up(farthest * (1.0 + slack_) + least_gap(dim_));
  }
  float tile_limit(std::size_t q, double farthest) const {
    if (squared_norms_[q] > kLargeNorm) return std::numeric_limits<float>::infinity();
    return rounded_up(farthest - squared_norms_[q] * (1.0 - slack_) + least_gap(dim_));
  }
  bool place(const float* row, float* column) const {
    const float squared = squared_norm_float(row, dim_);
    if (!(squared <= static_cast<float>(kLargeNorm))) {
      if (!std::all_of(row, row + dim_, [](float value) { return std::isfinite(value); })) return false;
      column[0] = -std::numeric_limits<float>::infinity();  // within every limit: float64 decides
    } else {
      column[0] = squared * static_cast<float>(1.0 - 4.0 * slack_);
    }
    for (std::size_t i = 0; i < dim_; ++i) column[(i + 1) * kTileRows] = row[i];
    return true;
  }
  double distance(const float* row, std::size_t q, float) const {
    const double exact = squared_distance(row, row_query(q), dim_);
    return std::isfinite(exact) ? exact : std::numeric_limits<double>::quiet_NaN();
  }

  const PointKernel& kernel;
  std::size_t tile_dim;

 private:
  std::size_t dim_;
  double slack_;
  std::vector<float> padded_, multiplied_;
  std::vector<double> squared_norms_;
};

}  // namespace

void scan_points(const BlocksOf<float>& blocks, const RequestOf<float>& request, const Kernel& kernel,
                 const std::atomic<bool>& stop, Answer answer) {
  const std::size_t dim = blocks.dim();
  scan_near(blocks, request, stop, answer,
            [&](const std::vector<float>& queries) { return PointSpace(*kernel.points, queries, dim); });
}

}  // namespace pairdex
