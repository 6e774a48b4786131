// The kernels of projected spaces against the scalar twin: bits to the bit, floats within the proven error.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>

#include "kernels/kernel.hpp"
#include "random_rows.hpp"

using namespace pairdex;

namespace {

std::vector<std::uint64_t> random_words(std::size_t n, unsigned seed) {
  std::mt19937_64 random(seed);
  std::vector<std::uint64_t> words(n);
  for (auto& word : words) word = random() % 8 == 0 ? ~std::uint64_t{0} : random();
  return words;
}

template <typename Score>
std::vector<std::tuple<std::uint32_t, std::uint32_t, Score>> sorted(const std::vector<Near<Score>>& found,
                                                                    std::size_t n) {
  std::vector<std::tuple<std::uint32_t, std::uint32_t, Score>> pairs;
  for (std::size_t i = 0; i < n; ++i) pairs.emplace_back(found[i].query, found[i].row, found[i].score);
  std::sort(pairs.begin(), pairs.end());
  return pairs;
}

}  // namespace

TEST_CASE("rows of bits within a limit are those of the scalar twin") {
  for (const Kernel& kernel : usable_kernels()) {
    for (std::size_t words = 1; words <= 20; ++words) {
      for (const std::size_t n_rows : {1u, 2u, 3u, 7u, 8u, 9u, 31u}) {
        INFO(kernel.name, " words ", words, " rows ", n_rows);
        const auto rows = random_words(n_rows * words, 1);
        auto query = random_words(words, 2);
        query.resize(padded(words));
        for (const std::uint32_t limit : {0u, static_cast<std::uint32_t>(30 * words), ~0u}) {
          std::vector<Near<std::uint32_t>> found(n_rows), expected(n_rows);
          const auto n = kernel.bits->rows(rows.data(), n_rows, words, query.data(), limit, found.data());
          const auto m = kScalarBits.rows(rows.data(), n_rows, words, query.data(), limit, expected.data());
          CHECK(sorted(found, n) == sorted(expected, m));
          if (limit == ~0u) CHECK(n == n_rows);
        }
      }
    }
  }
}

TEST_CASE("tiles of bits find what the scalar twin finds, at the most words too") {
  for (const Kernel& kernel : usable_kernels()) {
    for (const std::size_t words : {std::size_t{1}, std::size_t{3}, std::size_t{16}, std::size_t{20}, kMaxWords}) {
      for (const std::size_t n_queries : {1u, 2u, 3u, 4u, 5u, 9u}) {
        INFO(kernel.name, " words ", words, " queries ", n_queries);
        const bool most = words == kMaxWords;
        const auto tile = most ? std::vector<std::uint64_t>(kTileRows * words, 0) : random_words(kTileRows * words, 1);
        const auto queries = most ? std::vector<std::uint64_t>(n_queries * words, ~std::uint64_t{0})
                                  : random_words(n_queries * words, 2);
        std::vector<std::uint32_t> limits;
        for (std::size_t q = 0; q < n_queries; ++q) {
          limits.push_back(most ? ~0u : static_cast<std::uint32_t>((25 + 3 * q) * words));
        }
        std::vector<Near<std::uint32_t>> found(kTileRows * n_queries), expected(kTileRows * n_queries);
        const auto n = kernel.bits->tile(tile.data(), words, queries.data(), n_queries, limits.data(), found.data());
        const auto m = kScalarBits.tile(tile.data(), words, queries.data(), n_queries, limits.data(), expected.data());
        CHECK(sorted(found, n) == sorted(expected, m));
        if (most) CHECK(found[0].score == 64 * kMaxWords);
      }
    }
  }
}

TEST_CASE("squared distances and products in float32 stay within the proven error") {
  for (const Kernel& kernel : usable_kernels()) {
    for (const std::size_t dim : {1u, 2u, 3u, 4u, 5u, 15u, 16u, 17u, 32u, 33u, 96u, 97u, 768u}) {
      for (const std::size_t n_queries : {1u, 4u, 5u, 8u, 9u, 17u}) {
        INFO(kernel.name, " dim ", dim, " queries ", n_queries);
        const auto rows = random_values(kTileRows * dim, 1);
        std::vector<float> tile(kTileRows * dim);
        for (std::size_t i = 0; i < tile.size(); ++i) tile[i % dim * kTileRows + i / dim] = rows[i];
        const auto queries = random_values(n_queries * dim, 2);
        const std::vector<float> limits(n_queries, std::numeric_limits<float>::infinity());
        std::vector<Near<float>> found(kTileRows * n_queries);
        const double error = static_cast<double>(dim + 8) * 0x1p-24;
        REQUIRE(kernel.points->tile(tile.data(), dim, queries.data(), n_queries, limits.data(), found.data()) ==
                kTileRows * n_queries);
        for (const auto& one : found) {
          double product = 0.0;
          double magnitude = 0.0;
          for (std::size_t i = 0; i < dim; ++i) {
            const double term = static_cast<double>(rows[one.row * dim + i]) * queries[one.query * dim + i];
            product += term;
            magnitude += std::abs(term);
          }
          CHECK(std::abs(one.score - product) <= error * magnitude);
        }
        std::vector<float> query(queries.begin(), queries.begin() + static_cast<std::ptrdiff_t>(dim));
        query.resize(padded(dim));
        const std::size_t n_rows = 32 - n_queries;
        REQUIRE(kernel.points->rows(rows.data(), n_rows, dim, query.data(), limits[0], found.data()) == n_rows);
        for (std::size_t r = 0; r < n_rows; ++r) {
          double squares = 0.0;
          for (std::size_t i = 0; i < dim; ++i) {
            const double gap = static_cast<double>(rows[r * dim + i]) - query[i];
            squares += gap * gap;
          }
          CHECK(found[r].row == r);
          CHECK(std::abs(found[r].score - squares) <= error * squares);
        }
      }
    }
  }
}

TEST_CASE("a float limit keeps what is not above it, and NaN") {
  for (const Kernel& kernel : usable_kernels()) {
    INFO(kernel.name);
    std::vector<float> rows(kTileRows);
    for (std::size_t r = 0; r < kTileRows; ++r) rows[r] = static_cast<float>(r);
    rows[20] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> query(kLanes, 0.0f);
    std::vector<Near<float>> found(kTileRows);
    CHECK(kernel.points->rows(rows.data(), kTileRows, 1, query.data(), 9.0f, found.data()) == 5);  // 0, 1, 4, 9, NaN
    const float one = 1.0f;
    const float limit = 3.0f;
    CHECK(kernel.points->tile(rows.data(), 1, &one, 1, &limit, found.data()) == 5);
    CHECK(kernel.points->rows(rows.data(), kTileRows, 1, query.data(), -1.0f, found.data()) == 1);
  }
}
