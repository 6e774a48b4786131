// Searches of graphs with 256-bit vectors; with or without AVX-VNNI, see avx2_products.inl.

#include "kernels/avx2_products.inl"

constexpr std::size_t kPlanes = 8;
constexpr std::size_t kEdgesHere = 8;

inline __m256i load(const void* bytes) { return _mm256_loadu_si256(static_cast<const __m256i*>(bytes)); }

// As add_products, for codes of at most 128.
inline void add_bits(__m256i& sums, __m256i codes, __m256i query) {
#ifdef PAIRDEX_VNNI
  add_products(sums, codes, query);
#else
  const __m256i pairs = _mm256_maddubs_epi16(codes, query);  // two products of 128 x 127 fit into 16 bits
  sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
}

inline __m256 wide(const Half* halves) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves)));
}

// Eight edges from `first` on.
inline __m256i sums_of(const GraphEdges& edges, const GraphQuery& query, std::size_t first) {
  __m256i sums[kPlanes];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  const std::uint8_t* codes = edges.codes + 4 * first;
  for (std::size_t i = 0; i < edges.length; i += kPieceDims, codes += 4 * edges.n) {
    const __m256i bits = load(codes);
#pragma GCC unroll 8
    for (std::size_t p = 0; p < kPlanes; ++p) {
      const __m256i plane = _mm256_set1_epi8(static_cast<char>(1u << p));
      add_bits(sums[p], _mm256_and_si256(bits, plane), four_bytes(query.codes + i + 4 * p));
    }
  }
  __m256i sum = sums[0];
#pragma GCC unroll 7
  for (int p = 1; p < static_cast<int>(kPlanes); ++p) sum = _mm256_add_epi32(sum, _mm256_srai_epi32(sums[p], p));
  return sum;
}

std::uint32_t estimate(const GraphEdges& edges, const GraphQuery& query, float base, float least, float* estimates,
                       Ahead ahead) {
  const std::size_t lines_a_step = (ahead.lines * kEdgesHere + edges.n - 1) / edges.n;
  std::size_t line = 0;
  std::uint32_t above = 0;
  for (std::size_t first = 0; first < edges.n; first += kEdgesHere) {
    for (std::size_t i = 0; i < lines_a_step && line < ahead.lines; ++i, ++line) {
      _mm_prefetch(reinterpret_cast<const char*>(ahead.bytes + line * 64), _MM_HINT_T0);
    }
    const __m256 sum = _mm256_cvtepi32_ps(sums_of(edges, query, first));
    const __m256 along = _mm256_sub_ps(_mm256_mul_ps(_mm256_set1_ps(query.scale), sum), _mm256_set1_ps(query.half_sum));
    const __m256 start = _mm256_add_ps(_mm256_set1_ps(base), wide(edges.offsets + first));
    const __m256 found = _mm256_add_ps(start, _mm256_mul_ps(wide(edges.slopes + first), along));
    _mm256_storeu_ps(estimates + first, found);
    const __m256 is_above = _mm256_cmp_ps(found, _mm256_set1_ps(least), _CMP_GT_OQ);
    above |= static_cast<std::uint32_t>(_mm256_movemask_ps(is_above)) << first;
  }
  return above;
}

std::int32_t row_dot(const std::uint8_t* row, const std::int8_t* query, std::size_t length) {
  __m256i even = _mm256_setzero_si256(), odd = even;
  for (std::size_t i = 0; i < length; i += 64) {
    add_products(even, load(row + i), load(query + i));
    add_products(odd, load(row + i + 32), load(query + i + 32));
  }
  return sum_of(_mm256_add_epi32(even, odd));
}

GraphWay way(const std::uint8_t* from, const std::uint8_t* to, std::size_t length, std::uint32_t* ups) {
  const __m256i zero = _mm256_set1_epi8(static_cast<char>(0x80)), one = _mm256_set1_epi8(1);
  __m256i lengths = _mm256_setzero_si256(), squares = lengths, products = lengths, starts = lengths;
  __m256i ahead = lengths, all = lengths;
  for (std::size_t i = 0; i < length; i += kPieceDims) {
    const __m256i a = load(from + i), b = load(to + i), own = _mm256_xor_si256(a, zero);
    const __m256i gap = _mm256_sub_epi8(_mm256_max_epu8(a, b), _mm256_min_epu8(a, b));
    const __m256i up = _mm256_cmpgt_epi8(_mm256_xor_si256(b, zero), own);
    ups[i / kPieceDims] = static_cast<std::uint32_t>(_mm256_movemask_epi8(up));
    lengths = _mm256_add_epi64(lengths, _mm256_sad_epu8(gap, _mm256_setzero_si256()));
    const __m256i even = _mm256_and_si256(gap, _mm256_set1_epi16(0xff)), odd = _mm256_srli_epi16(gap, 8);
    squares = _mm256_add_epi32(squares, _mm256_add_epi32(_mm256_madd_epi16(even, even), _mm256_madd_epi16(odd, odd)));
    add_products(products, b, own);
    add_products(starts, a, own);
    add_products(ahead, _mm256_and_si256(up, one), own);
    add_products(all, one, own);
  }
  return {sum_of(squares), sum_of(lengths), sum_of(_mm256_sub_epi32(products, starts)),
          sum_of(_mm256_sub_epi32(_mm256_add_epi32(ahead, ahead), all))};
}

void table_dots(const std::uint8_t* rows, std::size_t length, const std::int8_t* query, std::int32_t* out) {
  __m256i low = _mm256_setzero_si256(), high = low;
  for (std::size_t i = 0; i < length; i += 4, rows += 64) {
    const __m256i four = four_bytes(query + i);
    add_products(low, load(rows), four);
    add_products(high, load(rows + 32), four);
  }
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), low);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + kEdgesHere), high);
}
