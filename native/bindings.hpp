// What the files that bind Python share: checked arrays, arrays of our own, Ctrl-C, kernels by name.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/kernel.hpp"

namespace nb = nanobind;

namespace nanobind::detail {
template <>
struct dtype_traits<pairdex::Half> {
  static constexpr dlpack::dtype value{static_cast<std::uint8_t>(dlpack::dtype_code::Float), 16, 1};
  static constexpr auto name = const_name("float16");
};
}  // namespace nanobind::detail

namespace pairdex::bindings {

template <typename Value>
using Matrix = nb::ndarray<const Value, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Rows = Matrix<pairdex::Half>;
using Doubles = Matrix<double>;
using Floats = Matrix<float>;
using Words = Matrix<std::uint64_t>;
using WritableBytes = nb::ndarray<std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Flags = nb::ndarray<const bool, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using FloatRow = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Starts = nb::ndarray<const std::uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Ids = nb::ndarray<const std::uint32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Limits = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Within = std::variant<Limits, double>;  // one limit for each query, or one for all
using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <typename T, std::size_t kDims>
auto owned_array(std::vector<T>&& values, const std::size_t (&shape)[kDims]) {
  auto* data = new std::vector<T>(std::move(values));
  nb::capsule owner(data, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
  return nb::ndarray<nb::numpy, T, nb::ndim<kDims>>(data->data(), kDims, shape, owner);
}

// Runs work(stop) on another thread without the interpreter lock and checks for Ctrl-C meanwhile.
template <typename Work>
auto interruptible(const Work& work) {
  constexpr std::chrono::milliseconds kCheckInterval{50};
  std::atomic<bool> stop{false};
  auto result = std::async(std::launch::async, [&] { return work(stop); });
  for (;;) {
    {
      const nb::gil_scoped_release release;
      if (result.wait_for(kCheckInterval) == std::future_status::ready) return result.get();
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

inline const pairdex::Kernel& kernel_named(std::string_view name) {
  const pairdex::Kernel* kernel = pairdex::find_kernel(name);
  if (kernel == nullptr) throw nb::value_error("no kernel of that name runs on this processor");
  return *kernel;
}

// Each file binds its part.
void bind_cells(nb::module_& m);
void bind_graphs(nb::module_& m);
void bind_joins(nb::module_& m);

}  // namespace pairdex::bindings
