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

#include "search/float_scan.hpp"
#include "search/parallel.hpp"
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

using Rows = nb::ndarray<const pairdex::Half, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Floats = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Flags = nb::ndarray<const bool, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <typename T, std::size_t kDims>
auto owned_array(std::vector<T>&& values, const std::size_t (&shape)[kDims]) {
  auto* data = new std::vector<T>(std::move(values));
  nb::capsule owner(data, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::ndarray<nb::numpy, T>(data->data(), kDims, shape, owner);
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

Found nearest(const std::vector<Rows>& rows, Floats queries, std::size_t k, std::optional<Flags> allowed,
              std::size_t threads, std::string_view kernel_name) {
  const pairdex::Kernel& kernel = kernel_named(kernel_name);
  pairdex::Blocks blocks(queries.shape(1));
  for (const Rows& block : rows) {
    if (block.shape(1) != blocks.dim()) throw nb::value_error("blocks and queries differ in dim");
    blocks.add(block.data(), block.shape(0));
  }
  if (k == 0 || (allowed && allowed->size() != blocks.n_rows())) throw nb::value_error("bad k or allowed");
  pairdex::Request request{.queries = {queries.data(), queries.size()},
                           .n_queries = queries.shape(0),
                           .k = k,
                           .allowed = {},
                           .n_threads = threads};
  if (allowed) request.allowed = {reinterpret_cast<const std::uint8_t*>(allowed->data()), allowed->size()};
  std::vector<std::int64_t> ids(request.n_queries * k);
  std::vector<double> distances(ids.size());
  const std::size_t measured = interruptible([&](const std::atomic<bool>& stop) {
    return pairdex::scan_floats(blocks, request, kernel, stop, {ids, distances});
  });
  const std::size_t shape[2] = {request.n_queries, k};
  return Found(nb::make_tuple(owned_array(std::move(ids), shape), owned_array(std::move(distances), shape), measured));
}

nb::ndarray<nb::numpy, std::uint8_t> check_rows(Rows rows, std::size_t threads) {
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
  for (const pairdex::Kernel* kernel : pairdex::usable_kernels()) names.emplace_back(kernel->name);
  return names;
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "The compiled part of pairdex: use pairdex.knn and pairdex.codes instead.";
  m.def("kernels", &kernels, "Names of the kernels this processor can run, fastest first.");
  m.def("check_rows", &check_rows, nb::arg("rows"), nb::kw_only(), nb::arg("threads") = 1,
        "(n,) uint8: 0 a row that can be normalised, 1 all zero, 2 with an infinity or NaN.");
  m.def("nearest", &nearest, nb::arg("blocks"), nb::arg("queries"), nb::arg("k"), nb::kw_only(),
        nb::arg("allowed").none(), nb::arg("threads"), nb::arg("kernel"),
        "Exact nearest rows: ids (n, k) int64, distances (n, k) float64, pairs measured in float64.");
  m.def("touch", &touch, nb::arg("data"), nb::kw_only(), nb::arg("threads") = 1,
        "Read every byte, to warm the page cache or to measure; returns the sum of the words.");
}
