// The code kernels of arm64, compiled with SDOT and without it. Included inside an anonymous namespace. Flipping the
// codes' top bit makes them signed, less 128: `rest` puts that back.

#include "kernels/neon_products.inl"

inline std::int32_t sum_of(const std::int8_t* query, std::size_t length) {
  std::int32_t sum = 0;
  for (std::size_t i = 0; i < length; ++i) sum += query[query_place(0, i, length)];
  return sum;
}

// kQueries x 16 rows: a half group.
template <std::size_t kQueries>
void tile(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::int32_t* out) {
  int32x4_t sums[kQueries][4];
#pragma GCC unroll 8
  for (std::size_t q = 0; q < kQueries; ++q) {
    const int32x4_t rest = vdupq_n_s32(128 * sum_of(queries + q * kCodeStep, length));
    for (auto& four_rows : sums[q]) four_rows = rest;
  }
  for (std::size_t i = 0; i < length; i += kCodeStep, queries += kBlockQueries * kCodeStep) {
    for (std::size_t j = 0; j < kCodeStep; j += 4) {
      int8x16_t rows[4];
#pragma GCC unroll 4
      for (std::size_t part = 0; part < 4; ++part) {
        const uint8x16_t bytes = vld1q_u8(codes + (i + j) * kHalfRows + part * 16);
        rows[part] = vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(0x80)));
      }
#pragma GCC unroll 8
      for (std::size_t q = 0; q < kQueries; ++q) {
        const int8x16_t query = four_bytes(queries + q * kCodeStep + j);
#pragma GCC unroll 4
        for (std::size_t part = 0; part < 4; ++part) sums[q][part] = add_products(sums[q][part], rows[part], query);
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
  const std::uint8_t* high_codes = codes + kHalfRows * length;
  walk<4, 2, 1>(length, queries, n_queries, out, [=]<std::size_t kQueries>(const std::int8_t* from, std::int32_t* to) {
    tile<kQueries>(codes, length, from, to);
    tile<kQueries>(high_codes, length, from, to + kHalfRows);
  });
}
