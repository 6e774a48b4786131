// The Python module: checked arrays in, the interpreter lock released, one kernel called.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <string>
#include <vector>

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
using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <typename T, std::size_t kDims>
auto owned_array(std::vector<T>&& values, const std::size_t (&shape)[kDims]) {
  auto* data = new std::vector<T>(std::move(values));
  nb::capsule owner(data, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::ndarray<nb::numpy, T>(data->data(), kDims, shape, owner);
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
  m.def("touch", &touch, nb::arg("data"), nb::kw_only(), nb::arg("threads") = 1,
        "Read every byte, to warm the page cache or to measure; returns the sum of the words.");
}
