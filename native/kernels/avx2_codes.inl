// The code kernels with 256-bit vectors; with or without AVX-VNNI, see avx2_products.inl.

#include "kernels/avx2_products.inl"

// kQueries x 16 rows: a half group.
template <std::size_t kQueries>
void tile(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::int32_t* out) {
  __m256i sums[kQueries][2];
#pragma GCC unroll 8
  for (std::size_t q = 0; q < kQueries; ++q) sums[q][0] = sums[q][1] = _mm256_setzero_si256();
  for (std::size_t i = 0; i < length; i += kCodeStep, queries += kBlockQueries * kCodeStep) {
    for (std::size_t j = 0; j < kCodeStep; j += 4) {
      const auto* rows = reinterpret_cast<const __m256i*>(codes + (i + j) * kHalfRows);
      const __m256i low_rows = _mm256_loadu_si256(rows);
      const __m256i high_rows = _mm256_loadu_si256(rows + 1);
#pragma GCC unroll 8
      for (std::size_t q = 0; q < kQueries; ++q) {
        const __m256i query = four_bytes(queries + q * kCodeStep + j);
        add_products(sums[q][0], low_rows, query);
        add_products(sums[q][1], high_rows, query);
      }
    }
  }
#pragma GCC unroll 8
  for (std::size_t q = 0; q < kQueries; ++q) {
    auto* to = reinterpret_cast<__m256i*>(out + q * kGroupRows);
    _mm256_storeu_si256(to, sums[q][0]);
    _mm256_storeu_si256(to + 1, sums[q][1]);
  }
}

#include "kernels/blocks.inl"

void dots(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::size_t n_queries,
          std::int32_t* out) {
  const std::uint8_t* high_codes = codes + kHalfRows * length;
  walk<kTileQueries, 2, 1>(length, queries, n_queries, out,
                           [=]<std::size_t kQueries>(const std::int8_t* from, std::int32_t* to) {
                             tile<kQueries>(codes, length, from, to);
                             tile<kQueries>(high_codes, length, from, to + kHalfRows);
                           });
}
