// The dots of AVX-512 VNNI, for codes of 8 and of 4 bits. The including file defines `kFours`, how many times 4 bytes a
// row a register of codes holds, and `unpack(codes, fours)`, which takes them apart. Included inside an anonymous
// namespace.

// One instruction, in place: with the intrinsic gcc 12 adds a register move to each.
inline void add_products(__m512i& sums, __m512i codes, __m512i query) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sums) : "v"(codes), "v"(query));
}

inline __m512i four_bytes(const std::int8_t* query) {
  std::int32_t word;
  std::memcpy(&word, query, sizeof word);
  return _mm512_set1_epi32(word);
}

// kQueries x 32 rows: a group.
template <std::size_t kQueries>
void tile(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::int32_t* out) {
  __m512i low[kQueries];
  __m512i high[kQueries];
#pragma GCC unroll 16
  for (std::size_t q = 0; q < kQueries; ++q) low[q] = high[q] = _mm512_setzero_si512();
  const std::uint8_t* high_codes = codes + kHalfRows * length / kFours;
  for (std::size_t i = 0; i < length; i += kCodeStep, queries += kBlockQueries * kCodeStep) {
    for (std::size_t j = 0; j < kCodeStep; j += 4 * kFours) {
      __m512i low_rows[kFours];
      __m512i high_rows[kFours];
      unpack(_mm512_loadu_si512(codes + (i + j) * kHalfRows / kFours), low_rows);
      unpack(_mm512_loadu_si512(high_codes + (i + j) * kHalfRows / kFours), high_rows);
#pragma GCC unroll 16
      for (std::size_t q = 0; q < kQueries; ++q) {
#pragma GCC unroll 2
        for (std::size_t four = 0; four < kFours; ++four) {
          const __m512i query = four_bytes(queries + q * kCodeStep + j + 4 * four);
          add_products(low[q], low_rows[four], query);
          add_products(high[q], high_rows[four], query);
        }
      }
    }
  }
#pragma GCC unroll 16
  for (std::size_t q = 0; q < kQueries; ++q) {
    _mm512_storeu_si512(out + q * kGroupRows, low[q]);
    _mm512_storeu_si512(out + q * kGroupRows + kHalfRows, high[q]);
  }
}

#include "kernels/blocks.inl"
