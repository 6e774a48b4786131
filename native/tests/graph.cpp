// Graphs: every kernel against the scalar twin; rotations keep lengths; walks over damaged nodes end.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "graph/edges.hpp"
#include "graph/nodes.hpp"
#include "graph/search.hpp"
#include "graph/walk.hpp"
#include "ivf/half.hpp"
#include "random_rows.hpp"

using namespace pairdex;

namespace {

std::vector<std::uint8_t> random_bytes(std::size_t n, std::uint64_t state) {
  std::vector<std::uint8_t> bytes(n);
  for (auto& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<std::uint8_t>(state >> 56);
  }
  return bytes;
}

std::vector<std::int8_t> random_query(std::size_t n) {
  std::vector<std::int8_t> query(n);
  const auto bytes = random_bytes(n, 5);
  for (std::size_t i = 0; i < n; ++i) query[i] = static_cast<std::int8_t>(std::max(bytes[i] - 128, -127));
  query[0] = 127;
  query[n - 1] = -127;
  return query;
}

const std::size_t kLengths[] = {64, 128, 192, 512, 576, 2048};

}  // namespace

TEST_CASE("graph kernels give what the scalar twin gives") {
  for (const Kernel& kernel : usable_kernels()) {
    for (const std::size_t length : kLengths) {
      CAPTURE(kernel.name);
      CAPTURE(length);
      const auto query = random_query(length);
      for (const std::size_t n : {kHalfEdges, kMaxEdges}) {
        auto codes = random_bytes(length / 8 * n, 1);
        std::fill_n(codes.begin(), 64, std::uint8_t{0xff});
        std::vector<Half> offsets(n), slopes(n);
        for (std::size_t e = 0; e < n; ++e) {
          offsets[e] = ivf::to_half(static_cast<float>(e) * 0.01f - 0.1f);
          slopes[e] = ivf::to_half(static_cast<float>(e) * 0.2f);
        }
        offsets[3] = {graph::kNowhere};
        offsets[5] = {0x7e00};  // NaN
        const GraphEdges edges{codes.data(), offsets.data(), slopes.data(), n, length};
        const GraphQuery asked{query.data(), 0.0013f, 0.4f};
        const Ahead ahead{codes.data(), codes.size() / 64};
        float wanted[kMaxEdges], got[kMaxEdges];
        const auto mask = kScalarGraph.estimate(edges, asked, 0.2f, 0.05f, wanted, ahead);
        CHECK(kernel.graphs->estimate(edges, asked, 0.2f, 0.05f, got, ahead) == mask);
        CHECK(mask != 0);
        CHECK((mask >> 5 & 1) == 0);
        for (std::size_t e = 0; e < n; ++e)
          CHECK((got[e] == wanted[e] || (got[e] != got[e] && wanted[e] != wanted[e])));
      }
      auto row = random_bytes(length, 2), other = random_bytes(length, 3);
      row[0] = 0, other[0] = 255, row[1] = 255, other[1] = 0, row[2] = other[2];
      CHECK(kernel.graphs->row_dot(row.data(), query.data(), length) ==
            kScalarGraph.row_dot(row.data(), query.data(), length));
      std::vector<std::uint32_t> ups(length / kPieceDims), twin_ups(ups);
      const GraphWay way = kernel.graphs->way(row.data(), other.data(), length, ups.data());
      const GraphWay twin = kScalarGraph.way(row.data(), other.data(), length, twin_ups.data());
      CHECK(ups == twin_ups);
      CHECK(way.squared == twin.squared);
      CHECK(way.length == twin.length);
      CHECK(way.along == twin.along);
      CHECK(way.signs == twin.signs);
      const auto table = random_bytes(length * kHalfRows, 4);
      std::int32_t dots[kHalfRows], twin_dots[kHalfRows];
      kernel.graphs->table_dots(table.data(), length, query.data(), dots);
      kScalarGraph.table_dots(table.data(), length, query.data(), twin_dots);
      for (std::size_t r = 0; r < kHalfRows; ++r) CHECK(dots[r] == twin_dots[r]);
    }
  }
}

TEST_CASE("rotations keep lengths and products, whatever the dimension") {
  for (const std::size_t dim : {1, 63, 64, 100, 192, 512, 768, 1000, 2048}) {
    CAPTURE(dim);
    const std::vector<float> mean(dim);
    const graph::Space space(mean, 7);
    const auto a = random_values(dim, 1), b = random_values(dim, 2);
    std::vector<float> x(space.length()), y(space.length());
    space.centre(a.data(), x.data());
    space.centre(b.data(), y.data());
    double before = 0, after = 0, length = 0, rotated = 0;
    for (std::size_t i = 0; i < dim; ++i) before += a[i] * b[i], length += a[i] * a[i];
    for (std::size_t i = 0; i < x.size(); ++i) after += x[i] * y[i], rotated += x[i] * x[i];
    CHECK(after == doctest::Approx(before).epsilon(1e-3));
    CHECK(rotated == doctest::Approx(length).epsilon(1e-4));
  }
}

TEST_CASE("a walk over nodes of random bytes ends, and stays among them") {
  const graph::Layout layout{128, kMaxEdges};
  constexpr std::size_t kNodes = 50;
  const auto bytes = random_bytes(layout.stride() * kNodes, 9);
  const graph::Nodes nodes(bytes.data(), kNodes, layout);
  std::vector<std::uint8_t> allowed(20, 1);
  for (const bool has_filter : {false, true}) {
    const graph::Filter filter{has_filter ? std::span<const std::uint8_t>(allowed) : std::span<const std::uint8_t>(),
                               {}};
    graph::Walk walk(nodes, 0.01f, kScalarGraph, filter);
    graph::RoundedQuery query;
    query.round(random_values(layout.length, 3));
    const graph::Scored seed{0.0f, 7};
    walk.begin(query, {&seed, 1}, 30);
    while (walk.go_on()) {
    }
    CHECK(!walk.visited().empty());
    for (const graph::Scored& one : walk.visited()) CHECK(one.node < kNodes);
  }
}

TEST_CASE("nodes that others do not reach become entries") {
  std::vector<std::uint32_t> edges(6 * kHalfEdges, graph::kNoNode);
  const graph::EdgeTable table{edges, kHalfEdges};
  table.of(0)[0] = 1;
  table.of(2)[0] = 3;
  table.of(3)[0] = 2;
  const std::uint32_t entry = 0;
  CHECK(graph::more_entries(table, {&entry, 1}) == std::vector<std::uint32_t>{2, 4, 5});
}

TEST_CASE("a node that no other knows gets a place among those of its neighbour") {
  std::vector<std::uint32_t> edges(4 * kHalfEdges, graph::kNoNode);
  const graph::EdgeTable table{edges, kHalfEdges};
  table.of(0)[0] = 1;
  table.of(1)[0] = 0;
  table.of(2)[0] = 0;
  graph::mend(table);
  const auto theirs = table.of(0);
  CHECK(std::find(theirs.begin(), theirs.end(), 2u) != theirs.end());
  CHECK(theirs[0] == 1);
}

TEST_CASE("nodes of random rows are inserted, led back to, and refilled after others went") {
  const graph::Layout layout{64, kHalfEdges};
  constexpr std::uint32_t kNodes = 300, kOld = 200;
  std::vector<std::uint8_t> bytes(layout.stride() * kNodes);
  const graph::WritableNodes nodes(bytes.data(), kNodes, layout);
  std::vector<std::int32_t> norms(kNodes);
  const graph::Nodes seen(bytes.data(), kNodes, layout);
  for (std::size_t i = 0; i < kNodes; ++i) {
    const auto row = random_bytes(layout.length, i + 1);
    std::copy(row.begin(), row.end(), nodes.row(i));
    norms[i] = graph::squared_norm(seen, i);
  }
  const graph::Codes codes{seen.row(0), layout.length, layout.stride(), norms.data(), kNodes};
  std::vector<std::uint32_t> edges(kNodes * kHalfEdges, graph::kNoNode);
  const graph::EdgeTable table{edges, kHalfEdges};
  for (std::uint32_t i = 0; i < kOld; ++i) {
    for (std::uint32_t e = 0; e < kHalfEdges; ++e) table.of(i)[e] = (i + e * e + 1) % kOld;
  }
  const std::atomic<bool> stop{false};
  const Kernel& kernel = *find_kernel("");
  std::vector<std::uint32_t> near(100 * 8), found(100 * kHalfEdges, graph::kNoNode);
  for (std::uint32_t i = 0; i < near.size(); ++i) near[i] = (7 * i) % kNodes;
  std::vector<std::uint8_t> n_strict(100);
  const graph::Chosen chosen{{found, kHalfEdges}, n_strict, kOld};
  const graph::EdgeTable from{near, 8};
  graph::choose_edges(codes, from, chosen, kernel, {2, stop});
  graph::add_reverse(codes, chosen, table, kernel, {2, stop});
  graph::mend(table);
  const auto is_known = [&](std::uint32_t node) { return std::count(edges.begin(), edges.end(), node) > 0; };
  for (std::uint32_t node = 0; node < kNodes; ++node) CHECK(is_known(node));
  for (std::uint32_t& to : edges) {
    if (to == 5) to = graph::kNoNode;
  }
  std::fill(table.of(5).begin(), table.of(5).end(), graph::kNoNode);
  for (std::size_t i = 0; i < kNodes; ++i) graph::write_edges(nodes, i, table.of(i), 0.01f, *kernel.graphs);
  const std::vector<std::uint8_t> basis(64 * kHalfRows, 130), group(kHalfRows * kHalfRows, 128);
  const std::vector<float> scales(kHalfRows, 0.01f), biases(graph::kGroupBlocks * kHalfRows, 0.0f);
  std::vector<float> one(kHalfRows, -std::numeric_limits<float>::infinity());
  one[0] = 0.0f;
  const std::vector<std::uint8_t> rows(graph::kGroupBlocks * kHalfRows * kHalfRows, 128);
  std::vector<std::uint32_t> entry(graph::kGroupBlocks * kHalfRows, 17);
  const graph::Entries entries{
      {basis, scales, 1.0f, 64}, {group, one, 1.0f, kHalfRows}, {rows, biases, 1.0f, kHalfRows}, entry};
  graph::refill(codes, seen, entries, 0.01f, {16, 1, 1}, table, kernel, {2, stop});
  CHECK(!is_known(5));
  for (std::uint32_t node = 0; node < kNodes; ++node) CHECK((node == 5 || is_known(node)));
}
