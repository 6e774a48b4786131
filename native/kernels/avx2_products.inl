// Products of 256-bit vectors, for codes of 8 and of 4 bits. Included inside an anonymous namespace, after
// `#define PAIRDEX_VNNI` if the processor has AVX-VNNI.

inline __m256i four_bytes(const std::int8_t* query) {
  std::int32_t word;
  std::memcpy(&word, query, sizeof word);
  return _mm256_set1_epi32(word);
}

// Adds to each of 8 sums the 4 products of unsigned code bytes and signed query bytes.
inline void add_products(__m256i& sums, __m256i codes, __m256i query) {
#ifdef PAIRDEX_VNNI
  // One instruction, in place: with the intrinsic gcc 12 adds a register move to each.
  asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sums) : "x"(codes), "x"(query));
#else
  // VPMADDUBSW would saturate its 16-bit sums of full-range bytes; splitting the code bytes into even and odd ones as
  // 16-bit numbers keeps every sum exact.
  const __m256i even_codes = _mm256_and_si256(codes, _mm256_set1_epi16(0x00ff));
  const __m256i odd_codes = _mm256_srli_epi16(codes, 8);
  const __m256i even_query = _mm256_srai_epi16(_mm256_slli_epi16(query, 8), 8);
  const __m256i odd_query = _mm256_srai_epi16(query, 8);
  sums = _mm256_add_epi32(sums, _mm256_madd_epi16(even_codes, even_query));
  sums = _mm256_add_epi32(sums, _mm256_madd_epi16(odd_codes, odd_query));
#endif
}

inline std::int32_t sum_of(__m256i values) {
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}
