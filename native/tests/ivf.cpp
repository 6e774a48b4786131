// The inverted file: kernels against the scalar twin, and a search of everything against the truth.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "ivf/assign.hpp"
#include "ivf/encode.hpp"
#include "ivf/half.hpp"
#include "ivf/queries.hpp"
#include "ivf/search.hpp"
#include "knn/float_scan.hpp"
#include "random_rows.hpp"

using namespace pairdex;

namespace {

struct Coded {
  ivf::Layout layout;
  std::vector<std::uint8_t> codes;
  std::vector<Half> facts;
};

Coded code(const std::vector<float>& coordinates, std::size_t size) {
  Coded coded{ivf::Layout(size - ivf::kKept), {}, {}};
  const std::size_t n = coordinates.size() / size;
  coded.codes.resize(n * coded.layout.row_bytes());
  coded.facts.resize(3 * n);
  for (std::size_t r = 0; r < n; ++r) {
    ivf::code_row(coordinates.data() + r * size, coded.layout, coded.codes.data() + r * coded.layout.row_bytes(),
                  coded.facts.data() + 3 * r);
  }
  return coded;
}

// Rows of dimension `dim`, along the axes, in `n_lists` lists by turns.
struct Collection {
  std::vector<Half> rows;
  std::size_t dim;
  std::vector<float> basis;
  ivf::Layout layout;
  std::vector<std::uint8_t> groups, centroids;
  std::vector<float> spreads;
  std::vector<std::uint64_t> starts;
  std::vector<std::uint32_t> ids;

  Collection(std::size_t n_rows, std::size_t dimension, std::size_t n_lists)
      : rows(to_halves(random_values(n_rows * dimension, 1))),
        dim(dimension),
        basis(dimension * padded(dimension)),
        layout(dimension - ivf::kKept) {
    for (std::size_t i = 0; i < dim; ++i) basis[i * padded(dim) + i] = 1.0f;
    std::vector<float> coordinates(n_rows * dim);
    for (std::size_t first = 0; first < n_rows; first += kGroupRows) {
      ivf::coordinates_of(rows.data() + first * dim, std::min(kGroupRows, n_rows - first), {basis, dim}, kScalarRows,
                          coordinates.data() + first * dim);
    }
    std::vector<float> means(n_lists * dim);
    starts.push_back(0);
    for (std::size_t list = 0; list < n_lists; ++list) {
      std::vector<float> some;
      std::vector<std::uint32_t> some_ids;
      for (std::size_t r = list; r < n_rows; r += n_lists) {
        some.insert(some.end(), coordinates.begin() + static_cast<std::ptrdiff_t>(r * dim),
                    coordinates.begin() + static_cast<std::ptrdiff_t>((r + 1) * dim));
        some_ids.push_back(static_cast<std::uint32_t>(r));
        for (std::size_t i = 0; i < dim; ++i) means[list * dim + i] += coordinates[r * dim + i];
      }
      some_ids.resize(whole_blocks(some_ids.size()), ivf::kNoRow);
      ids.insert(ids.end(), some_ids.begin(), some_ids.end());
      fill(some, groups);
      starts.push_back(groups.size() / layout.stride());
    }
    fill(means, centroids);
    spreads.resize(whole_blocks(n_lists));
  }

  void fill(const std::vector<float>& coordinates, std::vector<std::uint8_t>& to) const {
    const Coded coded = code(coordinates, dim);
    const std::size_t n = coordinates.size() / dim;
    for (std::size_t first = 0; first < n; first += kGroupRows) {
      to.resize(to.size() + layout.stride());
      ivf::fill_group(coded.codes.data() + first * layout.row_bytes(), coded.facts.data() + 3 * first,
                      std::min(kGroupRows, n - first), layout, to.data() + to.size() - layout.stride());
    }
  }

  ivf::Lists lists() const {
    return {.layout = layout,
            .rotation = ivf::Rotation({basis, dim}),
            .centroids = centroids.data(),
            .spreads = spreads.data(),
            .starts = starts,
            .groups = groups.data(),
            .ids = ids.data()};
  }
};

struct Found {
  std::vector<std::int64_t> ids;
  std::vector<double> distances;
};

Found search(const Collection& collection, const std::vector<float>& queries, std::size_t k,
             std::span<const std::uint8_t> allowed, std::size_t nprobe, std::size_t n_threads, const Kernel& kernel) {
  Blocks blocks(collection.dim);
  blocks.add(collection.rows.data(), collection.rows.size() / collection.dim);
  const std::size_t n = queries.size() / collection.dim;
  const Request request{.queries = queries, .n_queries = n, .k = k, .allowed = allowed, .n_threads = n_threads};
  const ivf::Effort all{nprobe, collection.ids.size(), 0.0f};
  Found found{std::vector<std::int64_t>(n * k), std::vector<double>(n * k)};
  ivf::search(collection.lists(), blocks, request, {all, all, std::numeric_limits<float>::infinity(), false, {}},
              kernel, std::atomic<bool>{false}, {found.ids, found.distances});
  return found;
}

Found truth(const Collection& collection, const std::vector<float>& queries, std::size_t k,
            std::span<const std::uint8_t> allowed) {
  Blocks blocks(collection.dim);
  blocks.add(collection.rows.data(), collection.rows.size() / collection.dim);
  const std::size_t n = queries.size() / collection.dim;
  const Request request{.queries = queries, .n_queries = n, .k = k, .allowed = allowed, .n_threads = 1};
  Found found{std::vector<std::int64_t>(n * k), std::vector<double>(n * k)};
  scan_floats(blocks, request, usable_kernels().back(), std::atomic<bool>{false}, {found.ids, found.distances});
  return found;
}

}  // namespace

TEST_CASE("float32 becomes the nearest float16") {
  for (const auto& [value, bits] :
       std::initializer_list<std::pair<float, std::uint16_t>>{{0.0f, 0},
                                                              {1.0f, 0x3c00},
                                                              {-2.0f, 0xc000},
                                                              {65504.0f, 0x7bff},
                                                              {65520.0f, 0x7c00},
                                                              {0x1p-24f, 1},
                                                              {0x1p-25f, 0},
                                                              {0x1.8p-24f, 2},
                                                              {0x1p-14f, 0x0400},
                                                              {1.0f + 0x1p-11f, 0x3c00},
                                                              {1.0f + 0x1.8p-10f, 0x3c02},
                                                              {std::numeric_limits<float>::infinity(), 0x7c00}}) {
    CHECK(ivf::to_half(value).bits == bits);
  }
  CHECK((ivf::to_half(std::numeric_limits<float>::quiet_NaN()).bits & 0x7fff) > 0x7c00);
}

TEST_CASE("every kernel multiplies 4-bit codes as the scalar one does") {
  for (const std::size_t size : {3u, 10u, 66u, 130u, 514u}) {
    const Coded coded = code(random_values(kGroupRows * size, 3), size);
    std::vector<std::uint8_t> group(coded.layout.stride());
    ivf::fill_group(coded.codes.data(), coded.facts.data(), kGroupRows, coded.layout, group.data());
    for (const std::size_t n : {1u, 2u, 3u, 4u, 11u, 13u, 32u, 45u}) {
      const ivf::QueryCodes queries(random_values(n * size, 4), coded.layout);
      std::vector<std::int32_t> expected(whole_blocks(n) * kGroupRows), dots(expected.size());
      kScalarNibbles.dots(ivf::codes_of(group.data()), coded.layout.length, queries.codes(0), n, expected.data());
      expected.resize(n * kGroupRows);
      for (const Kernel& kernel : usable_kernels()) {
        kernel.nibbles->dots(ivf::codes_of(group.data()), coded.layout.length, queries.codes(0), n, dots.data());
        CHECK(std::equal(expected.begin(), expected.end(), dots.begin()));
      }
    }
  }
}

TEST_CASE("scores are near the cosines of the coordinates, and reach what they reach") {
  const std::size_t size = 66;
  const std::vector<float> values = random_values((kGroupRows + 1) * size, 5);
  std::vector<float> rows(values.begin(), values.end() - size), query(values.end() - size, values.end());
  const Coded coded = code(rows, size);
  std::vector<std::uint8_t> group(coded.layout.stride());
  ivf::fill_group(coded.codes.data(), coded.facts.data(), kGroupRows - 1, coded.layout, group.data());
  const ivf::QueryCodes queries(query, coded.layout);
  const std::vector<float> none(kGroupRows);
  for (const Kernel& kernel : usable_kernels()) {
    ivf::WideFacts wide;
    wide.read(group.data(), *kernel.rows);
    std::vector<std::int32_t> dots(kBlockQueries * kGroupRows);
    kernel.nibbles->dots(ivf::codes_of(group.data()), coded.layout.length, queries.codes(0), 1, dots.data());
    std::vector<float> scores(kGroupRows);
    NibbleQuery terms = queries.terms(0);
    terms.least = 0.0f;
    const std::uint32_t reached = kernel.nibbles->reach(wide.rows(none.data()), terms, dots.data(), scores.data());
    for (std::size_t r = 0; r < kGroupRows; ++r) {
      const bool is_row = r < kGroupRows - 1;
      CHECK(((reached >> r & 1u) != 0) == (is_row && scores[r] >= 0.0f));
      if (!is_row) continue;
      double dot = 0.0;
      for (std::size_t i = 0; i < size; ++i) dot += double{rows[r * size + i]} * double{query[i]};
      CHECK(scores[r] == doctest::Approx(dot).epsilon(0.0).scale(1.0).epsilon(0.6));
    }
  }
}

TEST_CASE("queries are rotated as in float64, nearly") {
  for (const std::size_t dim : {3u, 40u, 130u}) {
    // A reflection along a random direction: its rows are orthonormal.
    const std::vector<float> along = random_values(dim, 14);
    double squares = 0.0;
    for (const float value : along) squares += double{value} * double{value};
    std::vector<float> directions(dim * padded(dim));
    for (std::size_t i = 0; i < dim; ++i) {
      for (std::size_t j = 0; j < dim; ++j) {
        const double reflected = (i == j ? 1.0 : 0.0) - 2.0 * double{along[i]} * double{along[j]} / squares;
        directions[i * padded(dim) + j] = static_cast<float>(reflected);
      }
    }
    const ivf::Rotation rotation({directions, dim});
    const std::size_t n = 37;
    const std::vector<float> values = random_values(n * dim, 15);
    std::vector<float> units(n * padded(dim));
    for (std::size_t q = 0; q < n; ++q) {
      double norm = 0.0;
      for (std::size_t i = 0; i < dim; ++i) norm += double{values[q * dim + i]} * double{values[q * dim + i]};
      for (std::size_t i = 0; i < dim; ++i) {
        units[q * padded(dim) + i] = static_cast<float>(double{values[q * dim + i]} / std::sqrt(norm));
      }
    }
    for (const Kernel& kernel : usable_kernels()) {
      std::vector<float> coordinates(n * dim);
      rotation.rotate(units.data(), n, kernel, coordinates.data());
      for (std::size_t q = 0; q < n; ++q) {
        for (std::size_t i = 0; i < dim; ++i) {
          double dot = 0.0;
          for (std::size_t j = 0; j < dim; ++j) {
            dot += double{units[q * padded(dim) + j]} * double{directions[i * padded(dim) + j]};
          }
          CHECK(std::abs(double{coordinates[q * dim + i]} - dot) < (i < ivf::kKept ? 1e-5 : 0.02));
        }
      }
    }
  }
}

TEST_CASE("float32 dots are near the exact ones on every kernel") {
  for (const std::size_t dim : {1u, 7u, 16u, 100u, 512u, 770u}) {
    const std::vector<Half> row = to_halves(random_values(dim, 6));
    const std::vector<float> query = random_values(dim, 7);
    const ExactDot exact = kScalarRows.exact(row.data(), query.data(), dim);
    for (const Kernel& kernel : usable_kernels()) {
      const NearDot near = kernel.rows->near(row.data(), query.data(), dim);
      CHECK(std::abs(double{near.dot} - exact.dot) < 1e-3);
      CHECK(std::abs(double{near.squared_norm} - exact.squared_norm) < 1e-3);
    }
  }
}

TEST_CASE("rows are assigned to the nearest centroid, whatever the kernel and the threads") {
  const std::size_t size = 34, n_rows = 700, n_lists = 150;
  const std::vector<float> rows = random_values(n_rows * size, 8), centroids = random_values(n_lists * size, 9);
  const Coded coded = code(rows, size);
  for (const Kernel& kernel : usable_kernels()) {
    for (const std::size_t n_threads : {1u, 3u}) {
      std::vector<std::uint32_t> lists(n_rows);
      std::vector<float> distances(n_rows);
      ivf::assign({rows, coded.codes, coded.facts}, centroids, coded.layout, kernel, n_threads, lists, distances);
      std::size_t n_nearest = 0;
      for (std::size_t r = 0; r < n_rows; ++r) {
        const auto distance_to = [&](std::size_t c) {
          float sum = 0.0f;
          for (std::size_t i = 0; i < size; ++i) {
            const float difference = rows[r * size + i] - centroids[c * size + i];
            sum += difference * difference;
          }
          return sum;
        };
        float nearest = std::numeric_limits<float>::infinity();
        for (std::size_t c = 0; c < n_lists; ++c) nearest = std::min(nearest, distance_to(c));
        n_nearest += distance_to(lists[r]) < nearest + 1.0f;  // of about 12
        CHECK(std::abs(distances[r] - distance_to(lists[r])) < 1.5f);
      }
      CHECK(n_nearest > n_rows * 9 / 10);
    }
  }
}

TEST_CASE("a search of all lists that compares all rows is exact") {
  const Collection collection(500, 40, 7);
  for (const std::size_t n : {1u, 5u, 70u}) {
    const std::vector<float> queries = random_values(n * collection.dim, 10);
    const Found expected = truth(collection, queries, 10, {});
    for (const Kernel& kernel : usable_kernels()) {
      for (const std::size_t n_threads : {1u, 2u}) {
        const Found found = search(collection, queries, 10, {}, 7, n_threads, kernel);
        CHECK(found.ids == expected.ids);
        CHECK(found.distances == expected.distances);
      }
    }
  }
}

TEST_CASE("a filtered search goes on until it has seen enough allowed rows") {
  const Collection collection(500, 40, 7);
  std::vector<std::uint8_t> allowed(500);
  for (std::size_t id = 0; id < 500; id += 3) allowed[id] = 1;  // a third of each list
  const std::vector<float> queries = random_values(5 * collection.dim, 11);
  const Found expected = truth(collection, queries, 10, allowed);
  for (const Kernel& kernel : usable_kernels()) {
    CHECK(search(collection, queries, 10, allowed, 3, 2, kernel).ids == expected.ids);
  }
}

TEST_CASE("a filtered search gives no answer where the filter leaves out what is near") {
  const Collection collection(500, 40, 7);
  const std::vector<float> query = random_values(collection.dim, 13);
  const Kernel& kernel = usable_kernels().front();
  const std::int64_t best = search(collection, query, 1, {}, 1, 1, kernel).ids[0];
  std::vector<std::uint8_t> allowed(500);
  for (std::size_t id = 0; id < 500; ++id) allowed[id] = id % 7 != static_cast<std::size_t>(best) % 7;
  CHECK(search(collection, query, 10, allowed, 1, 1, kernel).ids[0] == -1);
}

TEST_CASE("a search finds fewer than k rows where there are fewer") {
  const Collection collection(5, 20, 2);
  const Found found = search(collection, random_values(collection.dim, 12), 8, {}, 2, 1, usable_kernels().front());
  CHECK(found.ids[4] >= 0);
  CHECK(found.ids[5] == -1);
  CHECK(std::isinf(found.distances[7]));
}
