// AVX-512 VNNI: one VPDPBUSD multiplies 4 bytes of 16 rows by 4 bytes of a query.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/select.inl"

constexpr std::size_t kFours = 1;

inline void unpack(__m512i codes, __m512i (&fours)[kFours]) { fours[0] = codes; }

#include "kernels/avx512_codes.inl"

void dots(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::size_t n_queries,
          std::int32_t* out) {
  walk<11, 10, 1>(length, queries, n_queries, out,
                  [=]<std::size_t kQueries>(const std::int8_t* from, std::int32_t* to) {
                    tile<kQueries>(codes, length, from, to);
                  });
}

}  // namespace

const CodeKernel kAvx512Codes{.enter = nothing,
                              .leave = nothing,
                              .dots = dots,
                              .pass_head = pass_head,
                              .pass_full = pass_full,
                              .bound_full = bound_full};

}  // namespace pairdex
