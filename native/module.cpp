// The Python module: checked arrays in, the interpreter lock released, one kernel called.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codes/encode.hpp"
#include "codes/scan.hpp"
#include "search/bit_scan.hpp"
#include "search/float_scan.hpp"
#include "search/parallel.hpp"
#include "search/point_scan.hpp"
#include "search/rows.hpp"

namespace nb = nanobind;

namespace nanobind::detail {
template <>
struct dtype_traits<pairdex::Half> {
  static constexpr dlpack::dtype value{static_cast<std::uint8_t>(dlpack::dtype_code::Float), 16, 1};
  static constexpr auto name = const_name("float16");
};
}  // namespace nanobind::detail

namespace {

template <typename Value>
using Matrix = nb::ndarray<const Value, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Rows = Matrix<pairdex::Half>;
using Doubles = Matrix<double>;
using Floats = Matrix<float>;
using Words = Matrix<std::uint64_t>;
using WritableBytes = nb::ndarray<std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Flags = nb::ndarray<const bool, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <typename T, std::size_t kDims>
auto owned_array(std::vector<T>&& values, const std::size_t (&shape)[kDims]) {
  auto* data = new std::vector<T>(std::move(values));
  nb::capsule owner(data, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::ndarray<nb::numpy, T, nb::ndim<kDims>>(data->data(), kDims, shape, owner);
}

// Runs work(stop) on another thread without the interpreter lock and looks for Ctrl-C meanwhile.
template <typename Work>
auto interruptible(const Work& work) {
  constexpr std::chrono::milliseconds kBetweenLooks{50};
  std::atomic<bool> stop{false};
  auto result = std::async(std::launch::async, [&] { return work(stop); });
  for (;;) {
    {
      const nb::gil_scoped_release release;
      if (result.wait_for(kBetweenLooks) == std::future_status::ready) return result.get();
    }
    if (PyErr_CheckSignals() != 0) {
      stop = true;
      const nb::gil_scoped_release release;
      result.wait();
      break;
    }
  }
  throw nb::python_error();
}

const pairdex::Kernel& kernel_named(std::string_view name) {
  const pairdex::Kernel* kernel = pairdex::find_kernel(name);
  if (kernel == nullptr) throw nb::value_error("no kernel of that name runs on this processor");
  return *kernel;
}

using FoundIds = nb::ndarray<nb::numpy, std::int64_t, nb::ndim<2>>;
using FoundDistances = nb::ndarray<nb::numpy, double, nb::ndim<2>>;
using Found = nb::typed<nb::tuple, FoundIds, FoundDistances, std::size_t>;
using FoundNear = nb::typed<nb::tuple, FoundIds, FoundDistances>;
using FoundByCodes = nb::typed<nb::tuple, FoundIds, FoundDistances, std::size_t, std::size_t, std::size_t>;

// Checked arguments of a search, and room for its answer.
template <typename Row, typename Value>
struct Search {
  pairdex::BlocksOf<Row> blocks;
  pairdex::RequestOf<Value> request;
  std::vector<std::int64_t> ids;
  std::vector<double> distances;

  Search(const std::vector<Matrix<Row>>& rows, const Matrix<Value>& queries, std::size_t k,
         const std::optional<Flags>& allowed, std::size_t threads, double within = 2.0)
      : blocks(queries.shape(1)),
        request{.queries = {queries.data(), queries.size()},
                .n_queries = queries.shape(0),
                .k = k,
                .allowed = {},
                .n_threads = threads,
                .within = within},
        ids(request.n_queries * k),
        distances(ids.size()) {
    for (const Matrix<Row>& block : rows) {
      if (block.shape(1) != blocks.dim()) throw nb::value_error("blocks and queries differ in dim");
      blocks.add(block.data(), block.shape(0));
    }
    if (k == 0 || (allowed && allowed->size() != blocks.n_rows())) throw nb::value_error("bad k or allowed");
    if (!(within >= 0.0)) throw nb::value_error("bad within");
    if (allowed) request.allowed = {reinterpret_cast<const std::uint8_t*>(allowed->data()), allowed->size()};
  }

  pairdex::Answer answer() { return {ids, distances}; }
  FoundIds found_ids() { return owned_array(std::move(ids), {request.n_queries, request.k}); }
  FoundDistances found_distances() { return owned_array(std::move(distances), {request.n_queries, request.k}); }
};

Found nearest(const std::vector<Rows>& rows, Floats queries, std::size_t k, std::optional<Flags> allowed, double within,
              std::size_t threads, std::string_view kernel_name) {
  const pairdex::Kernel& kernel = kernel_named(kernel_name);
  Search search(rows, queries, k, allowed, threads, within);
  const std::size_t measured = interruptible([&](const std::atomic<bool>& stop) {
    return pairdex::scan_floats(search.blocks, search.request, kernel, stop, search.answer());
  });
  return Found(nb::make_tuple(search.found_ids(), search.found_distances(), measured));
}

FoundNear nearest_bits(const std::vector<Words>& rows, Words queries, std::size_t k, std::optional<Flags> allowed,
                       std::size_t threads, std::string_view kernel_name) {
  const pairdex::Kernel& kernel = kernel_named(kernel_name);
  if (queries.shape(1) == 0 || queries.shape(1) > pairdex::kMaxWords) throw nb::value_error("bad number of words");
  Search search(rows, queries, k, allowed, threads);
  interruptible([&](const std::atomic<bool>& stop) {
    pairdex::scan_bits(search.blocks, search.request, kernel, stop, search.answer());
    return true;
  });
  return FoundNear(nb::make_tuple(search.found_ids(), search.found_distances()));
}

FoundNear nearest_points(const std::vector<Floats>& rows, Floats queries, std::size_t k, std::optional<Flags> allowed,
                         std::size_t threads, std::string_view kernel_name) {
  const pairdex::Kernel& kernel = kernel_named(kernel_name);
  if (queries.shape(1) == 0) throw nb::value_error("no dimensions");
  Search search(rows, queries, k, allowed, threads);
  interruptible([&](const std::atomic<bool>& stop) {
    pairdex::scan_points(search.blocks, search.request, kernel, stop, search.answer());
    return true;
  });
  return FoundNear(nb::make_tuple(search.found_ids(), search.found_distances()));
}

FoundByCodes nearest_by_codes(const std::vector<Rows>& rows, Floats queries, std::size_t k, Doubles coordinates,
                              double room, Bytes head, Bytes rest, std::optional<Flags> allowed, double within,
                              std::size_t threads, std::string_view kernel_name) {
  const pairdex::Kernel& kernel = kernel_named(kernel_name);
  Search search(rows, queries, k, allowed, threads, within);
  const pairdex::Layout layout(search.blocks.dim());
  const std::size_t n_groups = pairdex::group_count(search.blocks.n_rows());
  if (head.size() != n_groups * layout.head_stride() || rest.size() != n_groups * layout.rest_stride()) {
    throw nb::value_error("the codes are of other rows");
  }
  if (coordinates.shape(0) != queries.shape(0) || coordinates.shape(1) != queries.shape(1)) {
    throw nb::value_error("queries and their coordinates differ in shape");
  }
  const pairdex::CodedRequest request{
      .request = search.request, .coordinates = {coordinates.data(), coordinates.size()}, .room = room};
  const pairdex::ScanReport report = interruptible([&](const std::atomic<bool>& stop) {
    return pairdex::scan_codes(search.blocks, {head.data(), rest.data()}, request, kernel, stop, search.answer());
  });
  return FoundByCodes(
      nb::make_tuple(search.found_ids(), search.found_distances(), report.by_head, report.by_full, report.measured));
}

void encode_rows(Rows rows, Floats basis, WritableBytes head, WritableBytes rest, std::size_t threads,
                 std::string_view kernel_name) {
  const pairdex::Kernel& kernel = kernel_named(kernel_name);
  const std::size_t n = rows.shape(0);
  const std::size_t dim = rows.shape(1);
  const pairdex::Layout layout(dim);
  const std::size_t n_groups = pairdex::group_count(n);
  if (basis.shape(0) != dim || basis.shape(1) != pairdex::padded(dim)) throw nb::value_error("bad basis");
  if (head.size() != n_groups * layout.head_stride() || rest.size() != n_groups * layout.rest_stride()) {
    throw nb::value_error("no room for the codes");
  }
  interruptible([&](const std::atomic<bool>& stop) {
    pairdex::GroupEncoder encoder({{basis.data(), basis.size()}, dim}, *kernel.rows);
    pairdex::for_each_piece(n_groups, threads, stop, [&, encoder](std::size_t group) mutable {
      const std::size_t first = group * pairdex::kGroupRows;
      encoder.encode(rows.data() + first * dim, std::min(pairdex::kGroupRows, n - first),
                     head.data() + group * layout.head_stride(), rest.data() + group * layout.rest_stride());
    });
    return true;
  });
}

nb::typed<nb::tuple, std::size_t, std::size_t, std::size_t, std::size_t> code_layout(std::size_t dim) {
  const pairdex::Layout layout(dim);
  return nb::typed<nb::tuple, std::size_t, std::size_t, std::size_t, std::size_t>(
      nb::make_tuple(layout.head_dims, layout.rest_dims, layout.head_stride(), layout.rest_stride()));
}

double coordinate_error(std::size_t dim, std::string_view kernel_name) {
  return pairdex::coordinate_error(dim, *kernel_named(kernel_name).rows);
}

nb::ndarray<nb::numpy, std::uint8_t, nb::ndim<1>> check_rows(Rows rows, std::size_t threads) {
  constexpr std::size_t kPiece = 1024;
  const std::size_t n = rows.shape(0);
  const std::size_t dim = rows.shape(1);
  std::vector<std::uint8_t> state(n);
  {
    const nb::gil_scoped_release release;
    pairdex::for_each_piece((n + kPiece - 1) / kPiece, threads, std::atomic<bool>{false}, [&](std::size_t piece) {
      const std::size_t first = piece * kPiece;
      const std::size_t count = std::min(kPiece, n - first);
      pairdex::check_rows(rows.data() + first * dim, dim, std::span(state).subspan(first, count));
    });
  }
  return owned_array(std::move(state), {n});
}

std::uint64_t touch(Bytes bytes, std::size_t threads) {
  constexpr std::size_t kPiece = 1 << 20;
  const std::span all(bytes.data(), bytes.size());
  const nb::gil_scoped_release release;
  std::atomic<std::uint64_t> total{0};
  pairdex::for_each_piece((all.size() + kPiece - 1) / kPiece, threads, std::atomic<bool>{false}, [&](std::size_t i) {
    total += pairdex::touch(all.subspan(i * kPiece, std::min(kPiece, all.size() - i * kPiece)));
  });
  return total;
}

std::vector<std::string> kernels() {
  std::vector<std::string> names;
  for (const pairdex::Kernel& kernel : pairdex::usable_kernels()) names.emplace_back(kernel.name);
  return names;
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "The compiled part of pairdex: use pairdex.knn, pairdex.hamming, pairdex.knn_l2 and pairdex.codes instead.";
  m.def("kernels", &kernels, "Names of the kernels this processor can run, fastest first.");
  m.def("check_rows", &check_rows, nb::arg("rows"), nb::kw_only(), nb::arg("threads") = 1,
        "(n,) uint8: 0 a row that can be normalised, 1 all zero, 2 with an infinity or NaN.");
  m.def("nearest", &nearest, nb::arg("blocks"), nb::arg("queries"), nb::arg("k"), nb::kw_only(),
        nb::arg("allowed").none(), nb::arg("within") = 2.0, nb::arg("threads"), nb::arg("kernel"),
        "Exact nearest rows: ids (n, k) int64, distances (n, k) float64, pairs measured in float64.");
  m.def("nearest_bits", &nearest_bits, nb::arg("blocks"), nb::arg("queries"), nb::arg("k"), nb::kw_only(),
        nb::arg("allowed").none(), nb::arg("threads"), nb::arg("kernel"),
        "Rows that differ from the queries in the fewest bits: ids (n, k) int64, distances (n, k) float64.");
  m.def("nearest_points", &nearest_points, nb::arg("blocks"), nb::arg("queries"), nb::arg("k"), nb::kw_only(),
        nb::arg("allowed").none(), nb::arg("threads"), nb::arg("kernel"),
        "Exact nearest rows by squared Euclidean distance: ids (n, k) int64, distances (n, k) float64.");
  m.def("nearest_by_codes", &nearest_by_codes, nb::arg("blocks"), nb::arg("queries"), nb::arg("k"), nb::kw_only(),
        nb::arg("coordinates"), nb::arg("room"), nb::arg("head"), nb::arg("rest"), nb::arg("allowed").none(),
        nb::arg("within") = 2.0, nb::arg("threads"), nb::arg("kernel"),
        "Exact nearest rows by their codes: ids, distances, pairs bounded by the head, with all dimensions, measured.");
  m.def("encode_rows", &encode_rows, nb::arg("rows"), nb::arg("basis"), nb::arg("head"), nb::arg("rest"), nb::kw_only(),
        nb::arg("threads"), nb::arg("kernel"), "Write the codes of rows into both planes.");
  m.def("code_layout", &code_layout, nb::arg("dim"),
        "Coordinates in head and rest; bytes of 32 rows in the head plane and the rest plane.");
  m.def("coordinate_error", &coordinate_error, nb::arg("dim"), nb::kw_only(), nb::arg("kernel"),
        "By how much a row's coordinate in the codes' basis may be off.");
  m.def("touch", &touch, nb::arg("data"), nb::kw_only(), nb::arg("threads") = 1,
        "Read every byte, to warm the page cache or to measure; returns the sum of the words.");
}
