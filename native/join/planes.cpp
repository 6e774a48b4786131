#include "join/planes.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace pairdex::join {

std::int32_t sum_of(const std::int8_t* code) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < kSmall; ++i) sum += code[i];
  return sum;
}

void Columns::add(const std::int8_t* code) {
  constexpr std::uint32_t kFlip = 0x80808080u;  // adds 128 to each byte
  const std::size_t group = n_ / kGroupRows, row = n_ % kGroupRows;
  if (packed_.size() < (group + 1) * kGroupRows * kSmall) packed_.resize((2 * group + 1) * kGroupRows * kSmall);
  std::uint8_t* to = packed_.data() + group * kGroupRows * kSmall + row / kHalfRows * kHalfRows * kSmall;
  for (std::size_t i = 0; i < kSmall; i += 4) {
    std::uint32_t four;
    std::memcpy(&four, code + i, sizeof four);
    four ^= kFlip;
    std::memcpy(to + i * kHalfRows + row % kHalfRows * 4, &four, sizeof four);
  }
  ++n_;
}

void Columns::assign(const std::int8_t* codes, std::span<const std::uint32_t> rows, const Kernel& kernel) {
  n_ = rows.size();
  if (packed_.size() < groups() * kGroupRows * kSmall) packed_.resize(2 * groups() * kGroupRows * kSmall);
  kernel.joins->pack(codes, rows.data(), n_, packed_.data());
}

Planes::Planes(const std::int8_t* centroids, std::size_t n, const Kernel& kernel)
    : centroids_(centroids), n_(n), kernel_(kernel) {
  for (std::size_t c = 0; c < n; ++c) columns_.add(centroids + c * kSmall);
  minus_halves_.assign(columns_.groups() * kGroupRows, kNever);
  squares_.assign(minus_halves_.size(), 0);
  for (std::size_t c = 0; c < n; ++c) {
    for (std::size_t i = 0; i < kSmall; ++i) squares_[c] += centroids[c * kSmall + i] * centroids[c * kSmall + i];
    minus_halves_[c] = -(squares_[c] >> 1);
  }
}

std::array<double, kGroupRows> Planes::apart(std::size_t own, std::size_t group) const {
  std::array<std::int32_t, kBlockQueries * kGroupRows> dots;
  std::array<double, kGroupRows> found{};
  const std::int8_t* centroid = centroids_ + own * kSmall;
  kernel_.codes->dots(codes(group), kSmall, centroid, 1, dots.data());
  const std::int32_t offset = 128 * sum_of(centroid);
  for (std::size_t c = 0; c < kGroupRows; ++c) {
    const double squared = squares_[own] + squares_[group * kGroupRows + c] - 2.0 * (dots[c] - offset);
    found[c] = std::sqrt(std::max(squared, 0.0));  // the last group has columns without a centroid
  }
  return found;
}

std::int32_t most_between(double apart, double distance) {
  // The margin exceeds what float64 errs by in numbers below 2^25.
  return static_cast<std::int32_t>(std::floor(distance * apart + 1e-6));
}

}  // namespace pairdex::join
