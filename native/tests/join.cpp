// Joins: kernels against the scalar twin, the inequalities of docs/certified.md, section 10, and all pairs found.
#include "join/join.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <vector>

#include "codes/encode.hpp"
#include "join/assign.hpp"
#include "join/greedy.hpp"
#include "kernels/kernel.hpp"
#include "random_rows.hpp"

using namespace pairdex;

namespace {

std::vector<std::int32_t> random_ints(std::size_t n, std::int32_t most, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> values(n);
  for (std::int32_t& value : values)
    value = static_cast<std::int32_t>(random() % (2u * static_cast<unsigned>(most) + 1u)) - most;
  return values;
}

std::vector<std::int8_t> random_codes(std::size_t n, unsigned seed) {
  std::vector<std::int8_t> codes;
  for (const std::int32_t value : random_ints(n, 127, seed)) codes.push_back(static_cast<std::int8_t>(value));
  return codes;
}

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

double true_distance(const Half* a, const Half* b, std::size_t dim) {
  std::vector<float> x(padded(dim)), y(padded(dim));
  kScalarRows.widen(a, dim, x.data());
  kScalarRows.widen(b, dim, y.data());
  double xx = 0, yy = 0, squared = 0;
  for (std::size_t i = 0; i < dim; ++i) xx += double{x[i]} * x[i], yy += double{y[i]} * y[i];
  for (std::size_t i = 0; i < dim; ++i) squared += std::pow(x[i] / std::sqrt(xx) - y[i] / std::sqrt(yy), 2);
  return std::sqrt(squared);
}

// Pairs near each other, pairs along one axis, pairs with nearly no rest, and others.
std::vector<Half> adversarial_rows(std::size_t n, std::size_t dim, std::size_t small, unsigned seed) {
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

constexpr std::array<std::array<std::size_t, 3>, 5> kMaps = {
    {{16, 16, 16}, {64, 64, 64}, {65, 63, 65}, {100, 63, 100}, {300, 63, 255}}};

}  // namespace

TEST_CASE("join kernels give what the scalar twin gives") {
  const std::vector<std::int32_t> dots = random_ints(37 * kGroupRows, 1000, 1);
  const std::vector<std::int32_t> starts = random_ints(kGroupRows, 1000, 2), limits = random_ints(37, 1000, 3);
  for (const Kernel& kernel : usable_kernels()) {
    INFO(kernel.name);
    std::vector<std::uint32_t> masks(37), expected_masks(37);
    kScalarJoin.reach(dots.data(), starts.data(), limits.data(), 37, expected_masks.data());
    kernel.joins->reach(dots.data(), starts.data(), limits.data(), 37, masks.data());
    CHECK(masks == expected_masks);
    std::vector<std::int32_t> values(dots.size(), -500), expected_values = values;
    std::vector<std::uint32_t> groups(dots.size(), 9), expected_groups = groups;
    kScalarJoin.best(dots.data(), starts.data(), 37, 4, expected_values.data(), expected_groups.data());
    kernel.joins->best(dots.data(), starts.data(), 37, 4, values.data(), groups.data());
    CHECK(values == expected_values);
    CHECK(groups == expected_groups);
    for (const std::size_t length : {64u, 128u, 192u, 256u, 320u}) {
      std::vector<std::int8_t> query = random_codes(length, 4);
      std::fill_n(query.begin(), 32, std::int8_t{127});
      std::vector<std::uint8_t> codes(50 * length, 255);
      const std::vector<std::int8_t> some = random_codes(codes.size() / 2, 5);
      for (std::size_t i = 0; i < some.size(); ++i) codes[i] = static_cast<std::uint8_t>(some[i] + 128);
      const std::vector<std::uint32_t> rows = {49, 0, 3, 3, 48, 7, 20, 21, 22, 23, 24, 25};
      std::vector<std::int32_t> out(rows.size()), expected(rows.size());
      kScalarJoin.row_dots(query.data(), codes.data(), length, rows.data(), rows.size(), expected.data());
      kernel.joins->row_dots(query.data(), codes.data(), length, rows.data(), rows.size(), out.data());
      CHECK(out == expected);
    }
  }
}

TEST_CASE("join kernels pack codes as the scalar twin does") {
  const std::vector<std::int8_t> codes = random_codes(60 * join::kSmall, 8);
  for (const std::size_t n : {1u, 15u, 16u, 17u, 31u, 32u, 33u, 50u}) {
    std::vector<std::uint32_t> rows(n);
    for (std::size_t i = 0; i < n; ++i) rows[i] = static_cast<std::uint32_t>(i * 37 % 60);
    std::vector<std::uint8_t> expected(64 * kCodeStep), packed = expected;
    kScalarJoin.pack(codes.data(), rows.data(), n, expected.data());
    for (const Kernel& kernel : usable_kernels()) {
      INFO(kernel.name, " rows ", n);
      kernel.joins->pack(codes.data(), rows.data(), n, packed.data());
      CHECK(packed == expected);
    }
  }
}

TEST_CASE("codes are no farther apart than the proof says") {
  for (const Kernel& kernel : usable_kernels()) {
    for (const auto& [dim, small, large] : kMaps) {
      INFO(kernel.name, " dim ", dim);
      constexpr std::size_t kRows = 60;
      const std::vector<Half> rows = adversarial_rows(kRows, dim, std::min(small, dim), 6);
      const PlainMap plain(dim, small, large, *kernel.rows);
      const Coded coded(rows, plain.map, *kernel.rows);
      const double stretch = std::sqrt(1.0 + plain.map.basis_error);
      for (std::size_t a = 0; a < kRows; ++a) {
        for (std::size_t b = a + 1; b < kRows; ++b) {
          const double distance = true_distance(rows.data() + a * dim, rows.data() + b * dim, dim) * stretch;
          double of_small = 0, of_large = 0;
          for (std::size_t i = 0; i < join::kSmall; ++i) {
            of_small += std::pow(coded.small[a * join::kSmall + i] - coded.small[b * join::kSmall + i], 2);
          }
          const std::size_t length = plain.map.large.length;
          for (std::size_t i = 0; i < length; ++i) {
            of_large += std::pow(coded.large[a * length + i] - coded.large[b * length + i], 2);
          }
          CHECK(std::sqrt(of_small) <= 127.0 / 0.3 * distance + 2.0 * coded.errors.small);
          if (length > 0) CHECK(std::sqrt(of_large) <= 127.0 / 0.2 * distance + 2.0 * coded.errors.large);
        }
      }
    }
  }
}

TEST_CASE("the reaches of near rows in two lists add up to what the planes allow") {
  for (const Kernel& kernel : usable_kernels()) {
    INFO(kernel.name);
    constexpr std::size_t kRows = 300, kLists = 70;
    std::vector<std::int8_t> codes = random_codes(kRows * join::kSmall, 7);
    for (std::int8_t& code : codes) code = static_cast<std::int8_t>(code / 8);
    std::vector<std::int8_t> centroids(codes.begin(), codes.begin() + kLists * join::kSmall);
    std::copy_n(centroids.begin(), join::kSmall, centroids.end() - join::kSmall);  // one of them twice
    const join::Planes planes(centroids.data(), kLists, kernel);
    std::vector<std::uint32_t> lists(kRows);
    std::vector<std::int32_t> own(kRows);
    join::assign(codes, planes, kernel, 2, std::atomic<bool>{false}, lists, own);
    const auto score = [&](std::size_t r, std::size_t c) {
      std::int32_t dot = 0, squared = 0;
      for (std::size_t i = 0; i < join::kSmall; ++i) {
        dot += codes[r * join::kSmall + i] * centroids[c * join::kSmall + i];
        squared += centroids[c * join::kSmall + i] * centroids[c * join::kSmall + i];
      }
      return dot - (squared >> 1);
    };
    for (std::size_t r = 0; r < kRows; ++r) {
      std::size_t best = 0;
      for (std::size_t c = 1; c < kLists; ++c) best = score(r, c) > score(r, best) ? c : best;
      CHECK(lists[r] == best);
      CHECK(own[r] == score(r, best));
    }
    std::size_t tight = 0;
    for (std::size_t a = 0; a < kRows; ++a) {
      for (std::size_t b = 0; b < kRows; ++b) {
        double squared = 0;
        for (std::size_t i = 0; i < join::kSmall; ++i) {
          squared += std::pow(codes[a * join::kSmall + i] - codes[b * join::kSmall + i], 2);
        }
        const auto most = planes.most(lists[a], lists[b] / kGroupRows, std::sqrt(squared));
        const std::int32_t sum = own[a] - score(a, lists[b]) + own[b] - score(b, lists[a]);
        CHECK(sum <= most[lists[b] % kGroupRows]);
        tight += sum > most[lists[b] % kGroupRows] / 2;
      }
    }
    CHECK(tight > 0);
  }
}

TEST_CASE("a join finds the pairs within the limit, whatever the kernel, the threads and the ranges") {
  constexpr std::size_t kRows = 500, kLists = 9;
  for (const auto& [dim, small, large] : kMaps) {
    const std::vector<Half> rows = adversarial_rows(kRows, dim, std::min(small, dim), 8);
    for (const Kernel& kernel : usable_kernels()) {
      INFO(kernel.name, " dim ", dim);
      const PlainMap plain(dim, small, large, *kernel.rows);
      const Coded coded(rows, plain.map, *kernel.rows);
      std::vector<std::int8_t> centroids(coded.small.begin(), coded.small.begin() + kLists * join::kSmall);
      const join::Planes planes(centroids.data(), kLists, kernel);
      std::vector<std::uint32_t> unsorted(kRows), order(kRows), lists(kRows);
      std::vector<std::int32_t> own(kRows), sorted_own(kRows), small_norms(kRows), large_norms(kRows);
      join::assign(coded.small, planes, kernel, 2, std::atomic<bool>{false}, unsorted, own);
      std::iota(order.begin(), order.end(), 0u);
      std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return unsorted[a] < unsorted[b]; });
      std::vector<std::int8_t> small_codes(coded.small.size());
      std::vector<std::uint8_t> large_codes(coded.large.size());
      const std::size_t length = plain.map.large.length;
      for (std::size_t i = 0; i < kRows; ++i) {
        const std::size_t r = order[i];
        lists[i] = unsorted[r], sorted_own[i] = own[r];
        small_norms[i] = coded.small_norms[r], large_norms[i] = coded.large_norms[r];
        std::copy_n(coded.small.data() + r * join::kSmall, join::kSmall, small_codes.data() + i * join::kSmall);
        std::copy_n(coded.large.data() + r * length, length, large_codes.data() + i * length);
      }
      Blocks blocks(dim);
      blocks.add(rows.data(), kRows);
      const join::CodedRows all{blocks,
                                kRows,
                                small_codes.data(),
                                large_codes.data(),
                                length,
                                small_norms.data(),
                                large_norms.data(),
                                lists.data(),
                                sorted_own.data(),
                                order.data(),
                                order.data()};
      const double within = 0.1;
      const double distance = std::sqrt(2 * within + 3e-11);
      const double of_small = 127.0 / 0.3 * distance + 2 * coded.errors.small;
      const double of_large = 127.0 / 0.2 * distance + 2 * coded.errors.large;
      const join::Limits limits{within, of_small, static_cast<std::int64_t>(of_small * of_small),
                                static_cast<std::int64_t>(of_large * of_large), 4.0 * (dim + 4) * 0x1p-24};
      std::vector<std::uint32_t> slots(kRows);
      std::iota(slots.begin(), slots.end(), 0u);
      std::map<std::pair<std::uint32_t, std::uint32_t>, double> found;
      for (const auto& [first, end] : {std::pair<std::size_t, std::size_t>{0, 170}, {170, kRows}}) {
        for (const auto& [other, other_end] : {std::pair<std::size_t, std::size_t>{0, 300}, {300, kRows}}) {
          join::AllPairs sink(within, 1 << 20);
          const join::Request request{{slots, first, end}, {slots, other, other_end}, true, limits, 3};
          join::run(all, planes, request, kernel, std::atomic<bool>{false}, sink);
          for (const join::Pair& pair : sink.pairs()) {
            const auto key = std::minmax(order[pair.x], order[pair.y]);
            CHECK(found.emplace(key, pair.distance).second);
          }
        }
      }
      std::size_t expected = 0;
      for (std::uint32_t a = 0; a < kRows; ++a) {
        for (std::uint32_t b = a + 1; b < kRows; ++b) {
          const double d = std::pow(true_distance(rows.data() + a * dim, rows.data() + b * dim, dim), 2) / 2;
          if (d > within) continue;
          ++expected;
          const auto it = found.find({a, b});
          REQUIRE(it != found.end());
          CHECK(std::abs(it->second - d) < 1e-12);
        }
      }
      CHECK(found.size() == expected);
      CHECK(expected > 0);
    }
  }
}

TEST_CASE("of rows in their order those are kept that no kept row before them is near") {
  const std::vector<std::uint32_t> later = {1, 2, 3, 3, 4}, earlier = {0, 1, 0, 2, 3}, ids = {9, 8, 7, 6, 5};
  const std::vector<double> distances = {0.1, 0.1, 0.2, 0.2, 0.1};
  std::vector<std::int64_t> of(5);
  std::vector<double> nearest(5);
  join::keep_first(later, earlier, distances, ids, of, nearest);
  CHECK(of == std::vector<std::int64_t>{-1, 0, -1, 2, -1});  // of equally near ones that of the smaller id
  CHECK(nearest[3] == 0.2);
}
