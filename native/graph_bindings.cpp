// Graphs for Python.
#include <algorithm>
#include <cmath>

#include "bindings.hpp"
#include "graph/copies.hpp"
#include "graph/edges.hpp"
#include "graph/nodes.hpp"
#include "graph/search.hpp"
#include "knn/parallel.hpp"

namespace pairdex::bindings {
namespace {

template <typename Value>
using WritableMatrix = nb::ndarray<Value, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <typename Value>
using OwnedRow = nb::ndarray<nb::numpy, Value, nb::ndim<1>>;
using Norms = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Table = WritableMatrix<std::uint32_t>;
using Counts = WritableBytes;

Blocks blocks_of(const std::vector<Rows>& rows) {
  if (rows.empty()) throw nb::value_error("no blocks");
  Blocks blocks(rows.front().shape(1));
  for (const Rows& block : rows) {
    if (block.shape(1) != blocks.dim()) throw nb::value_error("blocks differ in dim");
    blocks.add(block.data(), block.shape(0));
  }
  if (blocks.n_rows() == 0 || blocks.n_rows() >= graph::kNoNode) throw nb::value_error("no rows, or too many");
  return blocks;
}

graph::Layout layout_of(std::size_t dim, std::size_t degree) {
  const graph::Layout layout{graph::rotated_length(dim), degree};
  if (dim == 0 || layout.length > graph::kMaxLength) throw nb::value_error("bad dim");
  if (degree != kHalfEdges && degree != kMaxEdges) throw nb::value_error("bad degree");
  return layout;
}

std::size_t count_of(std::size_t bytes, const graph::Layout& layout) {
  if (bytes % layout.stride() != 0) throw nb::value_error("bad nodes");
  return bytes / layout.stride();
}

graph::Codes codes_of(const Matrix<std::uint8_t>& codes, const Norms& norms) {
  if (codes.shape(0) != norms.size() || codes.shape(1) == 0 || codes.shape(1) % kCodeStep != 0) {
    throw nb::value_error("bad codes");
  }
  return {codes.data(), codes.shape(1), codes.shape(1), norms.data(), codes.shape(0)};
}

// The rows of nodes as codes.
graph::Codes codes_of(const graph::Nodes& nodes, const Norms& norms) {
  if (norms.size() != nodes.size()) throw nb::value_error("bad norms");
  return {nodes.row(0), nodes.layout().length, nodes.layout().stride(), norms.data(), nodes.size()};
}

// Edges of the last nodes of n, or of all.
graph::EdgeTable table_of(const Table& table, std::size_t n) {
  const std::size_t size = table.shape(0) * table.shape(1);
  if (table.shape(0) > n || table.shape(1) == 0) throw nb::value_error("bad edges");
  for (std::size_t i = 0; i < size; ++i) {
    if (table.data()[i] != graph::kNoNode && table.data()[i] >= n) throw nb::value_error("an edge leads nowhere");
  }
  return {{table.data(), size}, table.shape(1)};
}

graph::EdgeTable degree_table(const Table& table, std::size_t n) {
  layout_of(1, table.shape(1));
  if (table.shape(0) != n) throw nb::value_error("bad edges");
  return table_of(table, n);
}

// Of the last nodes of n, or of all.
graph::Chosen chosen_of(const Table& edges, const Counts& n_strict, std::size_t n) {
  layout_of(1, edges.shape(1));
  const graph::EdgeTable table = table_of(edges, n);
  if (n_strict.size() != table.size()) throw nb::value_error("bad counts");
  for (std::size_t i = 0; i < table.size(); ++i) {
    const std::size_t strict = n_strict.data()[i];
    if (strict > table.degree || (strict > 0 && table.of(i)[strict - 1] == graph::kNoNode)) {
      throw nb::value_error("bad counts");
    }
  }
  return {table, {n_strict.data(), table.size()}, n - table.size()};
}

OwnedRow<std::uint32_t> graph_first_equals(std::vector<Rows> rows, std::size_t threads) {
  const Blocks blocks = blocks_of(rows);
  auto first = interruptible([&](const std::atomic<bool>& stop) { return graph::first_equals(blocks, threads, stop); });
  return owned_array(std::move(first), {blocks.n_rows()});
}

void graph_write_rows(WritableBytes nodes, std::size_t degree, std::vector<Rows> rows, Ids ids, FloatRow mean,
                      std::uint64_t seed, float step, std::size_t threads, std::string_view kernel_name) {
  const Kernel& kernel = kernel_named(kernel_name);
  const Blocks blocks = blocks_of(rows);
  const graph::Layout layout = layout_of(blocks.dim(), degree);
  const std::size_t n = count_of(nodes.size(), layout);
  if (ids.size() != n || mean.size() != blocks.dim() || !(step > 0.0f)) throw nb::value_error("bad rows");
  for (std::size_t i = 0; i < n; ++i) {
    if (ids.data()[i] >= blocks.n_rows()) throw nb::value_error("bad ids");
  }
  const graph::Space space({mean.data(), mean.size()}, seed);
  const graph::WritableNodes to(nodes.data(), n, layout);
  interruptible([&](const std::atomic<bool>& stop) {
    constexpr std::size_t kPieceRows = 1024;
    for_each_item(n, kPieceRows, threads, stop,
                  [&, scratch = std::vector<float>(2 * padded(layout.length))](std::size_t i) mutable {
                    graph::write_row(to, i, ids.data()[i], blocks, space, step, *kernel.rows, scratch);
                  });
    return true;
  });
}

void graph_write_edges(WritableBytes nodes, std::size_t dim, Table edges, float step, std::size_t threads,
                       std::string_view kernel_name) {
  const Kernel& kernel = kernel_named(kernel_name);
  const graph::Layout layout = layout_of(dim, edges.shape(1));
  const std::size_t n = count_of(nodes.size(), layout);
  const graph::EdgeTable table = degree_table(edges, n);
  const graph::WritableNodes to(nodes.data(), n, layout);
  interruptible([&](const std::atomic<bool>& stop) {
    constexpr std::size_t kPieceNodes = 256;
    for_each_item(n, kPieceNodes, threads, stop, [&](std::size_t i) {
      if (!graph::has_edges(to, i, table.of(i))) {
        graph::write_edges(to, i, table.of(i), step, *kernel.graphs);
      }
    });
    return true;
  });
}

void graph_choose_edges(Matrix<std::uint8_t> codes, Norms norms, Table near, Table out, Counts n_strict,
                        std::size_t threads, std::string_view kernel_name) {
  const Kernel& kernel = kernel_named(kernel_name);
  const graph::Codes of = codes_of(codes, norms);
  const graph::EdgeTable from = table_of(near, of.n);
  const graph::Chosen to = chosen_of(out, n_strict, of.n);
  if (from.size() != to.edges.size()) throw nb::value_error("bad edges");
  interruptible([&](const std::atomic<bool>& stop) {
    graph::choose_edges(of, from, to, kernel, {threads, stop});
    return true;
  });
}

void graph_add_reverse(Matrix<std::uint8_t> codes, Norms norms, Table one_way, Counts n_strict, Table out,
                       std::size_t threads, std::string_view kernel_name) {
  const Kernel& kernel = kernel_named(kernel_name);
  const graph::Codes of = codes_of(codes, norms);
  const graph::Chosen from = chosen_of(one_way, n_strict, of.n);
  const graph::EdgeTable to = degree_table(out, of.n);
  interruptible([&](const std::atomic<bool>& stop) {
    graph::add_reverse(of, from, to, kernel, {threads, stop});
    graph::mend(to);
    return true;
  });
}

// Nodes in memory, whose rows are codes.
graph::Nodes nodes_of(const Bytes& bytes, std::size_t dim, std::size_t degree) {
  const graph::Layout layout = layout_of(dim, degree);
  return {bytes.data(), count_of(bytes.size(), layout), layout};
}

OwnedRow<std::int32_t> graph_row_norms(Bytes bytes, std::size_t dim, std::size_t degree, std::size_t threads) {
  const graph::Nodes nodes = nodes_of(bytes, dim, degree);
  const std::size_t n = nodes.size();
  std::vector<std::int32_t> norms(n);
  interruptible([&](const std::atomic<bool>& stop) {
    constexpr std::size_t kPieceRows = 4096;
    for_each_item(n, kPieceRows, threads, stop, [&](std::size_t i) { norms[i] = graph::squared_norm(nodes, i); });
    return true;
  });
  return owned_array(std::move(norms), {n});
}

void graph_insert_reverse(Bytes bytes, std::size_t dim, Norms norms, Table one_way, Counts n_strict, Table edges,
                          std::size_t threads, std::string_view kernel_name) {
  const Kernel& kernel = kernel_named(kernel_name);
  const graph::Codes of = codes_of(nodes_of(bytes, dim, edges.shape(1)), norms);
  const graph::EdgeTable to = degree_table(edges, of.n);
  const graph::Chosen from = chosen_of(one_way, n_strict, of.n);
  if (from.edges.degree != to.degree) throw nb::value_error("bad edges");
  interruptible([&](const std::atomic<bool>& stop) {
    graph::add_reverse(of, from, to, kernel, {threads, stop});
    graph::mend(to);
    return true;
  });
}

OwnedRow<std::uint32_t> graph_more_entries(Table edges, Ids entries) {
  const graph::EdgeTable table = table_of(edges, edges.shape(0));
  std::vector<std::uint32_t> more = graph::more_entries(table, {entries.data(), entries.size()});
  const std::size_t n = more.size();
  return owned_array(std::move(more), {n});
}

// Codes and one float for each of their places.
using TableArrays = std::tuple<Bytes, FloatRow>;
using FoundNodes = nb::typed<nb::tuple, nb::ndarray<nb::numpy, std::int64_t, nb::ndim<2>>,
                             nb::ndarray<nb::numpy, double, nb::ndim<2>>, std::uint64_t, std::uint64_t>;

// A graph in memory, with the rows that it indexes.
class Graph {
 public:
  Graph(std::vector<Rows> rows, Bytes nodes, std::size_t degree, FloatRow mean, std::uint64_t seed, float step,
        TableArrays basis, TableArrays groups, float group_scale, TableArrays entries, float entry_scale,
        Ids entry_nodes, Ids copies)
      : rows_(std::move(rows)),
        nodes_(nodes),
        mean_(mean),
        arrays_{basis, groups, entries},
        entry_nodes_(entry_nodes),
        copies_(copies),
        blocks_(blocks_of(rows_)),
        layout_(layout_of(blocks_.dim(), degree)),
        step_(step),
        space_(checked_mean(), seed),
        tables_{table(basis, 1.0f, layout_.length),
                table(groups, group_scale, std::get<1>(basis).size()),
                table(entries, entry_scale, std::get<1>(basis).size()),
                {entry_nodes_.data(), entry_nodes_.size()}} {
    check();
  }

  FoundNodes search(Floats queries, std::size_t k, std::size_t visits, std::size_t compared, std::size_t groups,
                    std::size_t seeds, std::optional<Flags> allowed, std::size_t threads,
                    std::string_view kernel_name) {
    const Kernel& kernel = kernel_named(kernel_name);
    if (queries.shape(1) != blocks_.dim() || k == 0) throw nb::value_error("bad queries or k");
    if (groups == 0 || seeds == 0) throw nb::value_error("bad effort");
    if (allowed && allowed->size() != blocks_.n_rows()) throw nb::value_error("bad allowed");
    Request request{.queries = {queries.data(), queries.size()},
                    .n_queries = queries.shape(0),
                    .k = k,
                    .allowed = {},
                    .n_threads = threads};
    if (allowed) request.allowed = {reinterpret_cast<const std::uint8_t*>(allowed->data()), allowed->size()};
    std::vector<std::int64_t> ids(request.n_queries * k);
    std::vector<double> distances(ids.size());
    const auto work = [&](const std::atomic<bool>& stop) {
      return graph::search(index(), request, {visits, compared, groups, seeds}, kernel, stop, {ids, distances});
    };
    graph::Report report;
    if (request.n_queries <= kFewQueries) {  // done before anyone could interrupt it
      const nb::gil_scoped_release release;
      report = work(std::atomic<bool>{false});
    } else {
      report = interruptible(work);
    }
    return FoundNodes(nb::make_tuple(owned_array(std::move(ids), {request.n_queries, k}),
                                     owned_array(std::move(distances), {request.n_queries, k}), report.visited,
                                     report.compared));
  }

  // The same for the last nodes, as many as `out` has, by the nodes' own rows.
  void choose_new_edges(Norms norms, Table near, Table out, Counts n_strict, std::size_t visits, std::size_t groups,
                        std::size_t seeds, std::size_t threads, std::string_view kernel_name) {
    choose(codes_of(index().nodes, norms), near, out, n_strict, {visits, groups, seeds}, threads, kernel_name);
  }

  void refill(Norms norms, Table edges, std::size_t visits, std::size_t groups, std::size_t seeds, std::size_t threads,
              std::string_view kernel_name) {
    const Kernel& kernel = kernel_named(kernel_name);
    const graph::Index whole = index();
    const graph::Codes codes = codes_of(whole.nodes, norms);
    const graph::EdgeTable table = degree_table(edges, codes.n);
    if (groups == 0 || seeds == 0) throw nb::value_error("bad effort");
    interruptible([&](const std::atomic<bool>& stop) {
      graph::refill(codes, whole.nodes, tables_, step_, {visits, groups, seeds}, table, kernel, {threads, stop});
      return true;
    });
  }

  void choose_edges(Matrix<std::uint8_t> codes, Norms norms, Table near, Table out, Counts n_strict, std::size_t visits,
                    std::size_t groups, std::size_t seeds, std::size_t threads, std::string_view kernel_name) {
    if (out.shape(0) != codes.shape(0)) throw nb::value_error("bad edges");
    choose(codes_of(codes, norms), near, out, n_strict, {visits, groups, seeds}, threads, kernel_name);
  }

 private:
  void choose(const graph::Codes& codes, const Table& near, const Table& out, const Counts& n_strict,
              const graph::Refinement& effort, std::size_t threads, std::string_view kernel_name) {
    const Kernel& kernel = kernel_named(kernel_name);
    const graph::Index whole = index();
    if (codes.n != whole.nodes.size() || effort.groups == 0 || effort.seeds == 0) {
      throw nb::value_error("bad codes or effort");
    }
    const graph::EdgeTable from = table_of(near, codes.n);
    const graph::Chosen to = chosen_of(out, n_strict, codes.n);
    if (from.size() != to.edges.size()) throw nb::value_error("bad edges");
    interruptible([&](const std::atomic<bool>& stop) {
      graph::choose_edges_by_walks(codes, whole.nodes, tables_, step_, from, effort, to, kernel, {threads, stop});
      return true;
    });
  }

  static constexpr std::size_t kFewQueries = 64;

  graph::Index index() const {
    const std::size_t n = nodes_.size() / layout_.stride();
    return {graph::Nodes(nodes_.data(), n, layout_), blocks_, space_, step_, tables_, {copies_.data(), copies_.size()}};
  }

  std::span<const float> checked_mean() const {
    if (mean_.size() != blocks_.dim()) throw nb::value_error("bad mean");
    return {mean_.data(), mean_.size()};
  }

  static graph::Table table(const TableArrays& arrays, float scale, std::size_t length) {
    const auto& [codes, biases] = arrays;
    if (length == 0 || length % kCodeStep != 0 || length > graph::kMaxLength || biases.size() % kHalfRows != 0 ||
        codes.size() != biases.size() * length) {
      throw nb::value_error("bad table");
    }
    return {{codes.data(), codes.size()}, {biases.data(), biases.size()}, scale, length};
  }

  // Whatever the arrays hold, a search stays within them. Of the nodes it checks what it reads, when it reads it.
  void check() const {
    const std::size_t n = count_of(nodes_.size(), layout_);
    if (n == 0 || n >= 0x80000000u) throw nb::value_error("no nodes, or too many");
    const std::size_t places = tables_.groups.blocks() * kHalfRows;
    if (tables_.rows.blocks() > places * graph::kGroupBlocks || tables_.rows.blocks() % graph::kGroupBlocks != 0 ||
        entry_nodes_.size() != tables_.rows.biases.size()) {
      throw nb::value_error("bad entries");
    }
    const std::size_t groups = tables_.rows.blocks() / graph::kGroupBlocks;
    for (std::size_t i = 0; i < places; ++i) {
      if (i >= groups && std::isfinite(tables_.groups.biases[i])) throw nb::value_error("bad groups");
    }
    for (std::size_t i = 0; i < entry_nodes_.size(); ++i) {
      if (entry_nodes_.data()[i] >= n) throw nb::value_error("bad entries");
    }
  }

  std::vector<Rows> rows_;
  Bytes nodes_;
  FloatRow mean_;
  std::tuple<TableArrays, TableArrays, TableArrays> arrays_;
  Ids entry_nodes_, copies_;
  Blocks blocks_;
  graph::Layout layout_;
  float step_;
  graph::Space space_;
  graph::Entries tables_;
};

}  // namespace

void bind_graphs(nb::module_& m) {
  m.def(
      "graph_node_bytes", [](std::size_t dim, std::size_t degree) { return layout_of(dim, degree).stride(); },
      nb::arg("dim"), nb::arg("degree"), "Bytes of a node.");
  m.def("graph_first_equals", &graph_first_equals, nb::arg("blocks"), nb::kw_only(), nb::arg("threads"),
        "For each row the first row that equals it byte for byte, (n,) uint32.");
  m.def("graph_write_rows", &graph_write_rows, nb::arg("nodes"), nb::kw_only(), nb::arg("degree"), nb::arg("blocks"),
        nb::arg("ids"), nb::arg("mean"), nb::arg("seed"), nb::arg("step"), nb::arg("threads"), nb::arg("kernel"),
        "Write the rows of the nodes.");
  m.def("graph_write_edges", &graph_write_edges, nb::arg("nodes"), nb::kw_only(), nb::arg("dim"), nb::arg("edges"),
        nb::arg("step"), nb::arg("threads"), nb::arg("kernel"),
        "Write the edges of the nodes, whose rows are written.");
  m.def("graph_choose_edges", &graph_choose_edges, nb::arg("codes"), nb::arg("norms"), nb::kw_only(), nb::arg("near"),
        nb::arg("out"), nb::arg("n_strict"), nb::arg("threads"), nb::arg("kernel"),
        "Choose edges among the nearest rows.");
  m.def("graph_add_reverse", &graph_add_reverse, nb::arg("codes"), nb::arg("norms"), nb::kw_only(), nb::arg("one_way"),
        nb::arg("n_strict"), nb::arg("out"), nb::arg("threads"), nb::arg("kernel"),
        "Add the edges back, and others where there is place.");
  m.def("graph_row_norms", &graph_row_norms, nb::arg("nodes"), nb::kw_only(), nb::arg("dim"), nb::arg("degree"),
        nb::arg("threads"), "Squared lengths of the rows of the nodes, in whole numbers, (n,) int32.");
  m.def("graph_insert_reverse", &graph_insert_reverse, nb::arg("nodes"), nb::kw_only(), nb::arg("dim"),
        nb::arg("norms"), nb::arg("one_way"), nb::arg("n_strict"), nb::arg("edges"), nb::arg("threads"),
        nb::arg("kernel"), "Add the edges of the last nodes to those of all, and lead them back.");
  m.def("graph_more_entries", &graph_more_entries, nb::arg("edges"), nb::arg("entries"),
        "Nodes that are needed to reach all others, (n,) uint32.");
  nb::class_<Graph>(m, "Graph", "A graph in memory, with the rows that it indexes.")
      .def(nb::init<std::vector<Rows>, Bytes, std::size_t, FloatRow, std::uint64_t, float, TableArrays, TableArrays,
                    float, TableArrays, float, Ids, Ids>(),
           nb::arg("blocks"), nb::kw_only(), nb::arg("nodes"), nb::arg("degree"), nb::arg("mean"), nb::arg("seed"),
           nb::arg("step"), nb::arg("basis"), nb::arg("groups"), nb::arg("group_scale"), nb::arg("entries"),
           nb::arg("entry_scale"), nb::arg("entry_nodes"), nb::arg("copies"))
      .def("search", &Graph::search, nb::arg("queries"), nb::arg("k"), nb::kw_only(), nb::arg("visits"),
           nb::arg("compared"), nb::arg("groups"), nb::arg("seeds"), nb::arg("allowed").none(), nb::arg("threads"),
           nb::arg("kernel"), "Nearest rows, approximately: ids, distances, nodes visited, rows compared.")
      .def("choose_edges", &Graph::choose_edges, nb::arg("codes"), nb::arg("norms"), nb::kw_only(), nb::arg("near"),
           nb::arg("out"), nb::arg("n_strict"), nb::arg("visits"), nb::arg("groups"), nb::arg("seeds"),
           nb::arg("threads"), nb::arg("kernel"), "Choose edges among the nodes that walks visit.")
      .def("choose_new_edges", &Graph::choose_new_edges, nb::arg("norms"), nb::kw_only(), nb::arg("near"),
           nb::arg("out"), nb::arg("n_strict"), nb::arg("visits"), nb::arg("groups"), nb::arg("seeds"),
           nb::arg("threads"), nb::arg("kernel"), "Choose edges of the last nodes among the nodes that walks visit.")
      .def("refill", &Graph::refill, nb::arg("norms"), nb::kw_only(), nb::arg("edges"), nb::arg("visits"),
           nb::arg("groups"), nb::arg("seeds"), nb::arg("threads"), nb::arg("kernel"),
           "Fill free places with nodes that walks visit.");
}

}  // namespace pairdex::bindings
