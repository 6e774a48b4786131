// The lists' centroids, and the planes halfway between them that rule pairs of rows out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "join/encode.hpp"
#include "kernels/kernel.hpp"

namespace pairdex::join {

// `groups` x kGroupRows rows packed as kernels/kernel.hpp says, with 128 added; the last are zeros.
class Columns {
 public:
  void add(const std::int8_t* code);
  // The codes of these rows instead of what there was.
  void assign(const std::int8_t* codes, std::span<const std::uint32_t> rows, const Kernel& kernel);
  std::size_t size() const { return n_; }
  std::size_t groups() const { return (n_ + kGroupRows - 1) / kGroupRows; }
  const std::uint8_t* group(std::size_t g) const { return packed_.data() + g * kGroupRows * kSmall; }

 private:
  std::size_t n_ = 0;
  std::vector<std::uint8_t> packed_;
};

// What no sum of a dot and a start reaches.
inline constexpr std::int32_t kNever = -(1 << 29);

class Planes {
 public:
  Planes(const std::int8_t* centroids, std::size_t n, const Kernel& kernel);

  std::size_t size() const { return n_; }
  std::size_t groups() const { return columns_.groups(); }
  const std::int8_t* centroid(std::size_t c) const { return centroids_ + c * kSmall; }
  const std::uint8_t* codes(std::size_t group) const { return columns_.group(group); }
  // A row's score with centroid c is x . c - half(c); its list is the one of the largest score, the first of equals.
  const std::int32_t* minus_halves(std::size_t group) const { return minus_halves_.data() + group * kGroupRows; }

  // The distances of centroid `own` from those of a group.
  std::array<double, kGroupRows> apart(std::size_t own, std::size_t group) const;

 private:
  const std::int8_t* centroids_;
  std::size_t n_;
  const Kernel& kernel_;
  Columns columns_;
  std::vector<std::int32_t> minus_halves_, squares_;
};

// For rows at most `distance` apart, in lists whose centroids are `apart`: the sum of what either's own score is above
// that with the other's centroid is at most this.
std::int32_t most_between(double apart, double distance);

std::int32_t sum_of(const std::int8_t* code);

}  // namespace pairdex::join
