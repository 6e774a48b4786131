// Rows coded for a join, and their true distances.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "codes/encode.hpp"
#include "join/assign.hpp"
#include "join/entries.hpp"
#include "kernels/kernel.hpp"
#include "random_rows.hpp"

namespace pairdex {

// A map of the first coordinates: its basis is exactly orthonormal.
struct PlainMap {
  std::vector<float> basis;
  std::vector<double> shifts;
  join::Map map;

  PlainMap(std::size_t dim, std::size_t small, std::size_t large, const RowKernel& kernel)
      : basis((large + 1) * padded(dim)), shifts(large) {
    for (std::size_t i = 0; i < large; ++i) basis[i * padded(dim) + i] = 1.0f;
    double squared = 0.0;
    for (std::size_t i = 0; i < dim; ++i) {
      basis[large * padded(dim) + i] = i % 3 == 0 ? 0.05f : -0.01f;
      squared += std::pow(static_cast<double>(basis[large * padded(dim) + i]), 2);
    }
    for (std::size_t i = 0; i < large; ++i) shifts[i] = basis[large * padded(dim) + i];
    map = {.basis = basis,
           .shifts = shifts,
           .dim = dim,
           .centre_squared = squared,
           .basis_error = 1e-9,
           .coordinate_error = coordinate_error(dim, kernel),
           .small = {small, join::kSmall, 0.3, small < dim ? 0.2 : 0.0},
           .large = small == dim ? join::CodeMap{} : join::CodeMap{large, (large + 64) / 64 * 64, 0.2, 0.1}};
    if (large == dim && small != dim) map.large.length = (large + 63) / 64 * 64;
  }
};

struct Coded {
  std::vector<std::int8_t> small;
  std::vector<std::uint8_t> large;
  std::vector<std::int32_t> small_norms, large_norms;
  std::vector<std::uint8_t> has_direction;
  join::CodeErrors errors;

  Coded(const std::vector<Half>& rows, const join::Map& map, const RowKernel& kernel)
      : small(rows.size() / map.dim * join::kSmall),
        large(rows.size() / map.dim * map.large.length),
        small_norms(rows.size() / map.dim),
        large_norms(small_norms.size()),
        has_direction(small_norms.size()) {
    errors = join::encode(rows.data(), small_norms.size(), map, kernel,
                          {small.data(), large.data(), small_norms.data(), large_norms.data(), has_direction.data()});
  }
};

inline double true_distance(const Half* a, const Half* b, std::size_t dim) {
  std::vector<float> x(padded(dim)), y(padded(dim));
  kScalarRows.widen(a, dim, x.data());
  kScalarRows.widen(b, dim, y.data());
  double xx = 0, yy = 0, squared = 0;
  for (std::size_t i = 0; i < dim; ++i) xx += double{x[i]} * x[i], yy += double{y[i]} * y[i];
  for (std::size_t i = 0; i < dim; ++i) squared += std::pow(x[i] / std::sqrt(xx) - y[i] / std::sqrt(yy), 2);
  return std::sqrt(squared);
}

// Pairs near each other, pairs along one axis, pairs with nearly no rest, and others.
inline std::vector<Half> adversarial_rows(std::size_t n, std::size_t dim, std::size_t small, unsigned seed) {
  std::vector<float> values = random_values(n * dim, seed);
  for (std::size_t r = 1; r < n; r += 2) {
    float* row = values.data() + r * dim;
    if (r % 8 < 4) {
      for (std::size_t i = 0; i < dim; ++i) row[i] = row[i - dim] + (i == r % dim ? 0x1p-8f : 0.0f);
    }
  }
  for (std::size_t r = 0; r < n; r += 5) std::fill_n(values.data() + r * dim + small, dim - small, 0.0f);
  for (std::size_t r = 0; r < n; r += 7) {
    std::fill_n(values.data() + r * dim, dim, 0.0f);
    values[r * dim + r % dim] = 1.0f;
  }
  return to_halves(values);
}

inline constexpr std::array<std::array<std::size_t, 3>, 5> kMaps = {
    {{16, 16, 16}, {64, 64, 64}, {65, 63, 65}, {100, 63, 100}, {300, 63, 255}}};

inline constexpr std::size_t kJoined = 500;

// Adversarial rows coded and in the order of their lists; ids and ranks are their numbers.
struct Joined {
  std::vector<Half> rows;
  PlainMap plain;
  Coded coded;
  std::vector<std::int8_t> centroids, small;
  std::vector<std::uint8_t> large;
  join::Planes planes;
  std::vector<std::uint32_t> order, lists, slots;
  std::vector<std::int32_t> own, small_norms, large_norms;
  Blocks blocks;
  join::CodedRows all;

  Joined(const std::array<std::size_t, 3>& map, std::size_t n_lists, const Kernel& kernel)
      : rows(adversarial_rows(kJoined, map[0], std::min(map[1], map[0]), 8)),
        plain(map[0], map[1], map[2], *kernel.rows),
        coded(rows, plain.map, *kernel.rows),
        centroids(coded.small.begin(), coded.small.begin() + static_cast<std::ptrdiff_t>(n_lists * join::kSmall)),
        small(coded.small.size()),
        large(coded.large.size()),
        planes(centroids.data(), n_lists, kernel),
        order(kJoined),
        lists(kJoined),
        slots(kJoined),
        own(kJoined),
        small_norms(kJoined),
        large_norms(kJoined),
        blocks(map[0]),
        all{blocks,
            kJoined,
            small.data(),
            large.data(),
            plain.map.large.length,
            small_norms.data(),
            large_norms.data(),
            lists.data(),
            own.data(),
            order.data(),
            order.data()} {
    std::vector<std::uint32_t> unsorted(kJoined);
    std::vector<std::int32_t> scores(kJoined);
    join::assign(coded.small, planes, kernel, 2, std::atomic<bool>{false}, unsorted, scores);
    std::iota(slots.begin(), slots.end(), 0u);
    std::iota(order.begin(), order.end(), 0u);
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return unsorted[a] < unsorted[b]; });
    const std::size_t length = plain.map.large.length;
    for (std::size_t i = 0; i < kJoined; ++i) {
      const std::size_t r = order[i];
      lists[i] = unsorted[r], own[i] = scores[r];
      small_norms[i] = coded.small_norms[r], large_norms[i] = coded.large_norms[r];
      std::copy_n(coded.small.data() + r * join::kSmall, join::kSmall, small.data() + i * join::kSmall);
      std::copy_n(coded.large.data() + r * length, length, large.data() + i * length);
    }
    blocks.add(rows.data(), kJoined);
  }

  join::Limits limits(double within) const {
    const double near_error = 4.0 * static_cast<double>(plain.map.dim + 4) * 0x1p-24;
    return {within, {127.0 / 0.3, 2 * coded.errors.small}, {127.0 / 0.2, 2 * coded.errors.large}, near_error};
  }

  double distance(std::size_t a, std::size_t b) const {
    const std::size_t dim = plain.map.dim;
    return std::pow(true_distance(rows.data() + a * dim, rows.data() + b * dim, dim), 2) / 2;
  }
};

}  // namespace pairdex
