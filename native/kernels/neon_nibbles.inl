// The kernels of arm64 on 4-bit codes, compiled with SDOT and without it. Included inside an anonymous namespace.

#include "kernels/neon_products.inl"

// kQueries x 16 rows: a half group.
template <std::size_t kQueries>
void tile(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::int32_t* out) {
  int32x4_t sums[kQueries][4];
  for (auto& of_query : sums) {
    for (auto& four_rows : of_query) four_rows = vdupq_n_s32(0);
  }
  for (std::size_t i = 0; i < length; i += kCodeStep, queries += kBlockQueries * kCodeStep) {
    for (std::size_t j = 0; j < kCodeStep; j += 8) {
#pragma GCC unroll 4
      for (std::size_t part = 0; part < 4; ++part) {
        const uint8x16_t rows = vld1q_u8(codes + (i + j) * kHalfRows / 2 + part * 16);
        const int8x16_t first = vreinterpretq_s8_u8(vandq_u8(rows, vdupq_n_u8(15)));
        const int8x16_t second = vreinterpretq_s8_u8(vshrq_n_u8(rows, 4));
#pragma GCC unroll 4
        for (std::size_t q = 0; q < kQueries; ++q) {
          const std::int8_t* query = queries + q * kCodeStep + j;
          sums[q][part] = add_products(sums[q][part], first, four_bytes(query));
          sums[q][part] = add_products(sums[q][part], second, four_bytes(query + 4));
        }
      }
    }
  }
  for (std::size_t q = 0; q < kQueries; ++q) {
    for (std::size_t part = 0; part < 4; ++part) vst1q_s32(out + q * kGroupRows + part * 4, sums[q][part]);
  }
}

#include "kernels/blocks.inl"

void dots(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::size_t n_queries,
          std::int32_t* out) {
  const std::uint8_t* high_codes = codes + kHalfRows * length / 2;
  walk<4, 2, 1>(length, queries, n_queries, out, [=]<std::size_t kQueries>(const std::int8_t* from, std::int32_t* to) {
    tile<kQueries>(codes, length, from, to);
    tile<kQueries>(high_codes, length, from, to + kHalfRows);
  });
}
