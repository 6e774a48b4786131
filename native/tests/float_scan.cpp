// The float scan against brute force with the scalar twin's exact distances.
#include "knn/float_scan.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "knn/query.hpp"
#include "random_rows.hpp"

using namespace pairdex;

namespace {

struct Found {
  std::vector<std::int64_t> ids;
  std::vector<double> distances;
};

Found scan(const Blocks& blocks, const std::vector<float>& queries, std::size_t k, const Kernel& kernel,
           std::size_t n_threads, std::span<const std::uint8_t> allowed = {}) {
  const std::size_t n = queries.size() / blocks.dim();
  Found found{std::vector<std::int64_t>(n * k), std::vector<double>(n * k)};
  const Request request{.queries = queries, .n_queries = n, .k = k, .allowed = allowed, .n_threads = n_threads};
  scan_floats(blocks, request, kernel, std::atomic<bool>{false}, {found.ids, found.distances});
  return found;
}

Found brute_force(const Blocks& blocks, const std::vector<float>& queries, std::size_t k) {
  Found found;
  for (std::size_t first = 0; first < queries.size(); first += blocks.dim()) {
    Query query(std::span<const float>(queries).subspan(first, blocks.dim()), k);
    for (std::size_t id = 0; id < blocks.n_rows(); ++id) {
      const Neighbour one[] = {query.measure(usable_kernels().back(), blocks.row(id), id)};
      query.offer(one);
    }
    for (const Neighbour& neighbour : query.take_sorted()) {
      found.ids.push_back(neighbour.id);
      found.distances.push_back(neighbour.distance);
    }
  }
  return found;
}

}  // namespace

TEST_CASE("kernels, threads and blocks give one answer, ties by smaller id") {
  constexpr std::size_t kDim = 35;
  constexpr std::size_t kRows = 2100;
  std::vector<float> values = random_values(kRows * kDim, 1);
  for (std::size_t id = 100; id < kRows; id += 3) {  // copies of the first hundred
    for (std::size_t i = 0; i < kDim; ++i) values[id * kDim + i] = values[id % 100 * kDim + i];
  }
  const std::vector<Half> rows = to_halves(values);
  const std::vector<float> queries = random_values(30 * kDim, 2);
  Blocks whole(kDim);
  whole.add(rows.data(), kRows);
  Blocks cut(kDim);
  cut.add(rows.data(), 1);
  cut.add(rows.data(), 0);
  cut.add(rows.data() + kDim, 1300);
  cut.add(rows.data() + 1301 * kDim, kRows - 1301);
  const Found expected = brute_force(whole, queries, 60);
  for (const Kernel& kernel : usable_kernels()) {
    for (const std::size_t n_threads : {1u, 3u}) {
      INFO(kernel.name, " threads ", n_threads);
      const Found found = scan(cut, queries, 60, kernel, n_threads);
      CHECK(found.ids == expected.ids);
      CHECK(found.distances == expected.distances);
    }
  }
}

TEST_CASE("only allowed rows are found and missing ones are padded") {
  const std::vector<Half> rows = to_halves(random_values(3000 * 4, 1));
  Blocks blocks(4);
  blocks.add(rows.data(), 3000);
  std::vector<std::uint8_t> allowed(3000, 0);
  allowed[17] = allowed[2999] = 1;
  const Found found = scan(blocks, random_values(4, 2), 3, usable_kernels().front(), 2, allowed);
  CHECK(found.ids[0] + found.ids[1] == 17 + 2999);
  CHECK(found.ids[2] == -1);
  CHECK(found.distances[2] == std::numeric_limits<double>::infinity());
}

TEST_CASE("a stopped search returns") {
  const std::vector<Half> rows = to_halves(random_values(3000 * 4, 1));
  Blocks blocks(4);
  blocks.add(rows.data(), 3000);
  const std::vector<float> query = random_values(4, 2);
  std::int64_t id = 0;
  double distance = 0;
  const Request request{.queries = query, .n_queries = 1, .k = 1, .allowed = {}, .n_threads = 2};
  CHECK(scan_floats(blocks, request, usable_kernels().back(), std::atomic<bool>{true}, {{&id, 1}, {&distance, 1}}) ==
        0);
}
