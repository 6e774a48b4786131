// Queries into coordinates, many or one, by 8-bit products: what they round off is far below what the rows' 4 bits do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ivf/encode.hpp"
#include "kernels/kernel.hpp"

namespace pairdex::ivf {

class Rotation {
 public:
  explicit Rotation(const Basis& basis);

  // `units`: normalised queries of padded(dim) floats; `coordinates`: basis.size() each. The kept ones are those of
  // float32.
  void rotate(const float* units, std::size_t n, const Kernel& kernel, float* coordinates) const;

 private:
  // Without its kept coordinates, which are most of it, a query has finer codes.
  void code_inside(const float* unit, const float* kept, std::int8_t* block, std::size_t q, float& scale,
                   std::int32_t& sum) const;

  Basis basis_;
  std::size_t length_;               // of codes
  std::vector<std::uint8_t> codes_;  // of the directions but the kept ones, in groups as CodeKernel wants them
  std::vector<float> scales_;        // of their codes, filled up to whole groups
};

}  // namespace pairdex::ivf
