// The kernels on codes against the scalar twin, and the proven bounds against float64.
#include <doctest/doctest.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "codes/encode.hpp"
#include "codes/groups.hpp"
#include "codes/queries.hpp"
#include "codes/scan.hpp"
#include "knn/float_scan.hpp"
#include "knn/query.hpp"
#include "random_rows.hpp"

using namespace pairdex;

namespace {

// The identity, as wide as encoders want it: orthonormal without an error.
std::vector<float> identity(std::size_t dim) {
  std::vector<float> basis(dim * padded(dim));
  for (std::size_t i = 0; i < dim; ++i) basis[i * padded(dim) + i] = 1.0f;
  return basis;
}

std::vector<double> unit_coordinates(const std::vector<float>& queries, std::size_t dim) {
  std::vector<double> units;
  for (std::size_t first = 0; first < queries.size(); first += dim) {
    const double norm = std::sqrt(squared_norm(std::span<const float>(queries).subspan(first, dim)));
    for (std::size_t i = 0; i < dim; ++i) units.push_back(static_cast<double>(queries[first + i]) / norm);
  }
  return units;
}

struct Coded {
  Layout layout;
  std::vector<std::uint8_t> head, rest;
};

Coded code(const std::vector<Half>& rows, std::size_t dim, const RowKernel& kernel, double row_norm = 0.0) {
  const std::vector<float> basis = identity(dim);
  const std::size_t n = rows.size() / dim;
  Coded coded{Layout(dim), {}, {}};
  coded.head.resize(group_count(n) * coded.layout.head_stride());
  coded.rest.resize(group_count(n) * coded.layout.rest_stride());
  GroupEncoder encoder({basis, dim}, kernel, row_norm);
  for (std::size_t g = 0; g < group_count(n); ++g) {
    const std::size_t first = g * kGroupRows;
    encoder.encode(rows.data() + first * dim, std::min(kGroupRows, n - first),
                   coded.head.data() + g * coded.layout.head_stride(),
                   coded.rest.data() + g * coded.layout.rest_stride());
  }
  return coded;
}

// A power of two that is at least every row's norm, for inner products.
double norm_above(const std::vector<Half>& rows, std::size_t dim) {
  const std::vector<float> none(dim);
  double above = 0x1p-30;
  for (std::size_t first = 0; first < rows.size(); first += dim) {
    const double squared = kScalarRows.exact(rows.data() + first, none.data(), dim).squared_norm;
    while (std::isfinite(squared) && above * above < squared) above *= 2.0;
  }
  return above;
}

double slack(std::size_t dim, const RowKernel& kernel) { return 1e-5 + 2 * coordinate_error(dim, kernel); }

}  // namespace

TEST_CASE("upper halves of floats are never smaller and at most a 128th larger") {
  for (const double value : {0.0, 1e-30, 1e-9, 0.1, 1.0, 1.0 + 1e-15, 1.9999999, 3.14159, 1e20}) {
    const double stored = static_cast<double>(value_of(above(value)));
    CHECK(stored >= value);
    CHECK(stored <= value * (1.0 + 1.0 / 128.0) + 1e-37);
  }
}

TEST_CASE("dots of codes have the integers of the scalar twin, at the extremes too") {
  for (const Kernel& kernel : usable_kernels()) {
    for (const std::size_t length : {0u, 64u, 128u, 448u}) {
      for (const std::size_t n : {1u, 2u, 5u, 7u, 12u, 31u, 32u, 33u, 100u}) {
        INFO(kernel.name, " length ", length, " queries ", n);
        std::mt19937 random(7);
        std::vector<std::uint8_t> codes(kGroupRows * length);
        std::vector<std::int8_t> queries(whole_blocks(n) * length);
        for (auto& one : codes) one = random() % 4 == 0 ? 255 : static_cast<std::uint8_t>(random());
        for (auto& one : queries) one = random() % 4 == 0 ? -128 : static_cast<std::int8_t>(random());
        std::vector<std::int32_t> expected(whole_blocks(n) * kGroupRows);
        std::vector<std::int32_t> found(whole_blocks(n) * kGroupRows);
        kScalarCodes.dots(codes.data(), length, queries.data(), n, expected.data());
        kernel.codes->enter();
        kernel.codes->dots(codes.data(), length, queries.data(), n, found.data());
        kernel.codes->leave();
        CHECK(std::equal(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(n * kGroupRows), expected.begin()));
      }
    }
  }
}

TEST_CASE("both bounds hold for every row and query, and the lower one too") {
  for (const Kernel& kernel : usable_kernels()) {
    for (const std::size_t sample : {1u, 2u, 3u, 40u, 130u, 131u, 300u, 1000u + 40u, 1000u + 300u}) {
      const std::size_t dim = sample % 1000;
      const bool inner_product = sample > 1000;
      INFO(kernel.name, " dim ", dim, inner_product ? " inner products" : "");
      std::vector<float> row_values = random_values(kGroupRows * dim, 3);
      for (std::size_t i = 0; inner_product && i < row_values.size(); ++i) {
        row_values[i] *= std::exp2(static_cast<float>(i / dim % 7));  // rows of many lengths
      }
      const std::vector<Half> rows = to_halves(row_values);
      const double row_norm = inner_product ? norm_above(rows, dim) : 0.0;
      std::vector<float> values = random_values(5 * dim, 4);
      for (std::size_t i = 0; i < 5; ++i) values[i * dim] += 0.01f;  // none all zero
      const Coded coded = code(rows, dim, *kernel.rows, row_norm);
      const std::vector<double> coordinates = unit_coordinates(values, dim);
      const CodedQueries queries(coordinates, dim, slack(dim, *kernel.rows));
      Group group;
      group.set({coded.head.data(), coded.rest.data()}, coded.layout, 0, ~0u, queries.largest());
      group.read_rest(queries.largest());
      std::vector<std::int32_t> head_dots(kBlockQueries * kGroupRows);
      std::vector<std::int32_t> rest_dots(kBlockQueries * kGroupRows);
      kernel.codes->enter();
      kernel.codes->dots(group.head_codes(), coded.layout.head_length, queries.head(), 5, head_dots.data());
      kernel.codes->dots(group.rest_codes(), coded.layout.rest_length, queries.rest(), 5, rest_dots.data());
      kernel.codes->leave();
      for (std::size_t q = 0; q < 5; ++q) {
        std::array<float, kGroupRows> upper;
        QueryTerms terms = queries.terms(q);
        terms.least = queries.least(q, -2.0);
        const auto* of_head = head_dots.data() + q * kGroupRows;
        const auto* of_rest = rest_dots.data() + q * kGroupRows;
        CHECK(kernel.codes->bound_full(group.terms(), terms, of_head, of_rest, upper.data()) == ~0u);
        double best = -1.0;
        for (std::size_t r = 0; r < kGroupRows; ++r) {
          const ExactDot exact = kScalarRows.exact(rows.data() + r * dim, values.data() + q * dim, dim);
          const double norm = std::sqrt(squared_norm({values.data() + q * dim, dim}));
          const double cosine = inner_product ? exact.dot / (norm * row_norm) : 1.0 - cosine_distance(exact, norm);
          const RowTerms& of_row = group.terms();
          CHECK(queries.upper_cosine(q, upper[r]) >= cosine);
          CHECK(queries.lower_cosine(q, upper[r], of_row.coded_error[r], of_row.rest_error[r]) <= cosine);
          best = std::max(best, cosine);
        }
        // A threshold at the best row's cosine must let that row pass.
        std::uint32_t passed = 0;
        terms.least = queries.least(q, best);
        CHECK(kernel.codes->pass_head(group.terms(), &terms, of_head, 1, &passed) == 1);
        const std::uint32_t zero = 0;
        CHECK(kernel.codes->pass_full(group.terms(), &terms, &zero, of_head, of_rest, 1, &passed) == 1);
        terms.least = std::numeric_limits<float>::infinity();
        CHECK(kernel.codes->pass_head(group.terms(), &terms, of_head, 1, &passed) == 0);
        CHECK(kernel.codes->pass_full(group.terms(), &terms, &zero, of_head, of_rest, 1, &passed) == 0);
      }
    }
  }
}

TEST_CASE("the scan of codes answers as the scan of floats, with and without a guess") {
  constexpr std::size_t kDim = 140;
  constexpr std::size_t kRows = 2500;
  std::vector<float> values = random_values(kRows * kDim, 1);
  for (std::size_t i = 0; i < kDim; ++i) values[7 * kDim + i] = 0.0f;
  for (std::size_t id = 100; id < kRows; id += 3) {  // copies of the first hundred
    for (std::size_t i = 0; i < kDim; ++i) values[id * kDim + i] = values[id % 100 * kDim + i];
  }
  std::vector<Half> rows = to_halves(values);
  rows[9 * kDim].bits = 0x7c00;
  const std::vector<float> queries = random_values(40 * kDim, 2);
  const std::vector<double> coordinates = unit_coordinates(queries, kDim);
  Blocks blocks(kDim);
  blocks.add(rows.data(), 1300);
  blocks.add(rows.data() + 1300 * kDim, kRows - 1300);
  for (const Kernel& kernel : usable_kernels()) {
    const double row_norm = norm_above(rows, kDim);
    for (const Measure measure : {Measure{}, Measure{.inner_product = true, .row_norm = row_norm}}) {
      const Coded coded = code(rows, kDim, *kernel.rows, measure.inner_product ? row_norm : 0.0);
      const double within = measure.inner_product ? std::numeric_limits<double>::infinity() : 2.0;
      for (const std::size_t k : {5u, 30u}) {
        INFO(kernel.name, " k ", k, measure.inner_product ? " inner products" : "");
        const Request request{.queries = queries,
                              .n_queries = 40,
                              .k = k,
                              .allowed = {},
                              .n_threads = 2,
                              .within = within,
                              .measure = measure};
        std::vector<std::int64_t> ids(40 * k), expected_ids(40 * k);
        std::vector<double> distances(40 * k), expected_distances(40 * k);
        const std::atomic<bool> stop{false};
        scan_floats(blocks, request, kernel, stop, {expected_ids, expected_distances});
        const CodedRequest by_codes{.request = request, .coordinates = coordinates, .slack = slack(kDim, *kernel.rows)};
        const CodePlanes planes{coded.head.data(), coded.rest.data()};
        scan_codes(blocks, planes, by_codes, kernel, stop, {ids, distances});
        CHECK(ids == expected_ids);
        CHECK(distances == expected_distances);
      }
    }
  }
}
