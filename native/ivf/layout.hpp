// How the rows of an inverted file lie in memory, which is how they lie in the file.
//
// A row is rotated into coordinates along a basis: two that are kept, then those that are coded in 4 bits each; what is
// left of the row is not there. The rows of a list lie in groups of 32, one after another:
//   a group: GroupFacts, then the codes as NibbleKernel wants them
// A list begins with a new group; its last group is filled up with rows that can't be found. The lists' centroids lie
// in groups of the same form.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "kernels/kernel.hpp"

namespace pairdex::ivf {

inline constexpr std::size_t kKept = 2;
inline constexpr Half kNotANumber{0x7e00};
inline constexpr std::uint32_t kNoRow = 0xffffffffu;

struct GroupFacts {
  std::array<Half, kGroupRows> along_mean, along_gap, scale;  // NaN along the mean: no row
};
static_assert(sizeof(GroupFacts) == 3 * kGroupRows * sizeof(Half));

struct Layout {
  explicit Layout(std::size_t coded) : coded(coded), length((coded + kCodeStep - 1) / kCodeStep * kCodeStep) {}

  std::size_t coded;   // coordinates in 4 bits
  std::size_t length;  // the same with zeros up to kCodeStep

  std::size_t coordinates() const { return kKept + coded; }
  std::size_t row_bytes() const { return length / 2; }
  std::size_t stride() const { return sizeof(GroupFacts) + kGroupRows * row_bytes(); }
};

// A group's facts as the kernels want them.
class WideFacts {
 public:
  void read(const std::uint8_t* group, const RowKernel& kernel) {
    kernel.widen(reinterpret_cast<const Half*>(group), values_.size(), values_.data());
  }
  NibbleRows rows(const float* bonus) const {
    return {values_.data(), values_.data() + kGroupRows, values_.data() + 2 * kGroupRows, bonus};
  }

 private:
  alignas(64) std::array<float, 3 * kGroupRows> values_;
};

constexpr std::size_t group_count(std::size_t n_rows) { return (n_rows + kGroupRows - 1) / kGroupRows; }

inline const std::uint8_t* codes_of(const std::uint8_t* group) { return group + sizeof(GroupFacts); }

}  // namespace pairdex::ivf
