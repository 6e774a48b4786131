#include "codes/layout.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace pairdex {

Above above(double value) {
  auto rounded = static_cast<float>(value);
  if (static_cast<double>(rounded) < value) rounded = std::nextafter(rounded, std::numeric_limits<float>::infinity());
  return {static_cast<std::uint16_t>((std::bit_cast<std::uint32_t>(rounded) + 0xffffu) >> 16)};
}

float value_of(Above above) { return std::bit_cast<float>(std::uint32_t{above.bits} << 16); }

namespace {
constexpr std::size_t whole_steps(std::size_t dims) { return (dims + kCodeStep - 1) / kCodeStep * kCodeStep; }
}  // namespace

Layout::Layout(std::size_t dim)
    : head_dims(std::min(dim - std::min(dim, kKept), kHeadMost)),
      rest_dims(dim - std::min(dim, kKept) - head_dims),
      head_length(whole_steps(head_dims)),
      rest_length(whole_steps(rest_dims)) {}

}  // namespace pairdex
