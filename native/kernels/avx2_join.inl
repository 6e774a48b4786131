// Joins with 256-bit vectors; with or without AVX-VNNI, see avx2_products.inl.

#include "kernels/avx2_products.inl"
#include "kernels/join.inl"

void reach(const std::int32_t* dots, const std::int32_t* starts, const std::int32_t* limits, std::size_t n_queries,
           std::uint32_t* masks) {
  constexpr std::size_t kLanesHere = 8;
  for (std::size_t q = 0; q < n_queries; ++q, dots += kGroupRows) {
    const __m256i limit = _mm256_set1_epi32(limits[q]);
    std::uint32_t below = 0;
    for (std::size_t c = 0; c < kGroupRows; c += kLanesHere) {
      const __m256i some = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(dots + c));
      const __m256i start = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(starts + c));
      const __m256i is_below = _mm256_cmpgt_epi32(limit, _mm256_add_epi32(some, start));
      below |= static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(is_below))) << c;
    }
    masks[q] = ~below;
  }
}

void row_dots(const std::int8_t* query, const std::uint8_t* codes, std::size_t length, const std::uint32_t* rows,
              std::size_t n, std::int32_t* out) {
  constexpr std::size_t kBytesHere = 32;
  for (std::size_t r = 0; r < n; ++r) {
    if (r + kRowsAhead < n) prefetch_row(codes + rows[r + kRowsAhead] * length, length);
    const std::uint8_t* row = codes + rows[r] * length;
    __m256i sums = _mm256_setzero_si256();
    for (std::size_t i = 0; i < length; i += kBytesHere) {
      add_products(sums, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row + i)),
                   _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query + i)));
    }
    out[r] = sum_of(sums);
  }
}
