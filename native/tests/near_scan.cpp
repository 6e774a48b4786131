// The scans of projected spaces against brute force.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <limits>

#include "knn/bit_scan.hpp"
#include "knn/point_scan.hpp"
#include "knn/top_k.hpp"
#include "random_rows.hpp"

using namespace pairdex;

namespace {

struct Found {
  std::vector<std::int64_t> ids;
  std::vector<double> distances;
  bool operator==(const Found&) const = default;
};

// Rows in three blocks, one of them empty.
template <typename Value>
BlocksOf<Value> cut(const std::vector<Value>& rows, std::size_t dim) {
  const std::size_t n = rows.size() / dim;
  BlocksOf<Value> blocks(dim);
  blocks.add(rows.data(), n / 3);
  blocks.add(rows.data(), 0);
  blocks.add(rows.data() + n / 3 * dim, n - n / 3);
  return blocks;
}

template <typename Value, typename Scan>
Found search(const BlocksOf<Value>& blocks, const std::vector<Value>& queries, std::size_t k, std::size_t n_threads,
             std::span<const std::uint8_t> allowed, const Scan& scan) {
  const std::size_t n = queries.size() / blocks.dim();
  Found found{std::vector<std::int64_t>(n * k), std::vector<double>(n * k)};
  const RequestOf<Value> request{
      .queries = queries, .n_queries = n, .k = k, .allowed = allowed, .n_threads = n_threads};
  scan(request, Answer{found.ids, found.distances});
  return found;
}

// NaN: the row is never an answer.
template <typename Value, typename Distance>
Found brute_force(const std::vector<Value>& rows, const std::vector<Value>& queries, std::size_t dim, std::size_t k,
                  std::span<const std::uint8_t> allowed, const Distance& distance) {
  Found found;
  for (std::size_t q = 0; q * dim < queries.size(); ++q) {
    std::vector<Neighbour> all;
    for (std::size_t r = 0; r * dim < rows.size(); ++r) {
      const double one = distance(rows.data() + r * dim, queries.data() + q * dim);
      if (!std::isnan(one) && (allowed.empty() || allowed[r] != 0)) all.push_back({one, static_cast<std::int64_t>(r)});
    }
    std::sort(all.begin(), all.end());
    for (std::size_t i = 0; i < k; ++i) {
      found.ids.push_back(i < all.size() ? all[i].id : -1);
      found.distances.push_back(i < all.size() ? all[i].distance : std::numeric_limits<double>::infinity());
    }
  }
  return found;
}

const std::atomic<bool> kGoOn{false};

}  // namespace

TEST_CASE("the scan of bits is brute force, with ties, filters, threads and blocks") {
  for (const Kernel& kernel : usable_kernels()) {
    for (const std::size_t words : {1u, 3u, 16u}) {
      std::mt19937_64 random(words);
      std::vector<std::uint64_t> rows(2100 * words);
      for (auto& word : rows) word = random() & random() & random();
      for (std::size_t i = 0; i < 900 * words; ++i) rows[i + 1000 * words] = rows[i];  // ties
      for (const std::size_t n_queries : {1u, 3u, 40u}) {
        const std::vector<std::uint64_t> queries(rows.begin(),
                                                 rows.begin() + static_cast<std::ptrdiff_t>(n_queries * words));
        std::vector<std::uint8_t> some(2100);
        for (std::size_t i = 0; i < some.size(); ++i) some[i] = i % 3 == 0;
        for (const std::span<const std::uint8_t> allowed :
             {std::span<const std::uint8_t>{}, std::span<const std::uint8_t>(some)}) {
          for (const std::size_t k : {1u, 30u, 2200u}) {
            INFO(kernel.name, " words ", words, " queries ", n_queries, " k ", k, " filtered ", !allowed.empty());
            const Found expected =
                brute_force(rows, queries, words, k, allowed, [&](const auto* row, const auto* query) {
                  int bits = 0;
                  for (std::size_t i = 0; i < words; ++i) bits += std::popcount(row[i] ^ query[i]);
                  return static_cast<double>(bits);
                });
            const auto blocks = cut(rows, words);
            const Found found =
                search(blocks, queries, k, 1 + n_queries % 3, allowed,
                       [&](const auto& request, Answer answer) { scan_bits(blocks, request, kernel, kGoOn, answer); });
            CHECK(found == expected);
          }
        }
      }
    }
  }
}

TEST_CASE("the scan of floats is brute force in float64, with ties, filters, extremes and rows that are not finite") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const Kernel& kernel : usable_kernels()) {
    for (const std::size_t dim : {1u, 7u, 32u, 50u}) {
      std::vector<float> rows = random_values(2100 * dim, 1);
      for (std::size_t i = 0; i < 900 * dim; ++i) rows[i + 1000 * dim] = rows[i];  // ties
      rows[5 * dim] = std::numeric_limits<float>::quiet_NaN();
      rows[6 * dim + dim - 1] = kInfinity;
      rows[7 * dim] = -kInfinity;
      for (std::size_t i = 0; i < dim; ++i) {
        rows[8 * dim + i] = 3e38f;
        rows[9 * dim + i] = -3e38f;
        rows[10 * dim + i] = 1e-40f;
      }
      for (const std::size_t n_queries : {1u, 3u, 70u}) {
        std::vector<float> queries = random_values(n_queries * dim, 2);
        if (n_queries > 1) std::fill_n(queries.begin(), dim, 3e38f);
        if (n_queries > 2) std::fill_n(queries.begin() + static_cast<std::ptrdiff_t>(dim), dim, 1e-41f);
        if (n_queries > 3) std::copy_n(rows.begin(), dim, queries.begin() + static_cast<std::ptrdiff_t>(3 * dim));
        std::vector<std::uint8_t> some(2100);
        for (std::size_t i = 0; i < some.size(); ++i) some[i] = i % 3 != 0;
        for (const std::span<const std::uint8_t> allowed :
             {std::span<const std::uint8_t>{}, std::span<const std::uint8_t>(some)}) {
          for (const std::size_t k : {1u, 30u, 2200u}) {
            INFO(kernel.name, " dim ", dim, " queries ", n_queries, " k ", k, " filtered ", !allowed.empty());
            const Found expected = brute_force(rows, queries, dim, k, allowed, [&](const auto* row, const auto* query) {
              double sums[16] = {};
              for (std::size_t i = 0; i < dim; ++i) {
                const double gap = static_cast<double>(row[i]) - static_cast<double>(query[i]);
                sums[i % 16] += gap * gap;
              }
              for (std::size_t step = 8; step > 0; step /= 2) {
                for (std::size_t i = 0; i < step; ++i) sums[i] += sums[i + step];
              }
              return std::isfinite(sums[0]) ? sums[0] : std::numeric_limits<double>::quiet_NaN();
            });
            const auto blocks = cut(rows, dim);
            const Found found = search(
                blocks, queries, k, 1 + n_queries % 3, allowed,
                [&](const auto& request, Answer answer) { scan_points(blocks, request, kernel, kGoOn, answer); });
            CHECK(found == expected);
          }
        }
      }
    }
  }
}
