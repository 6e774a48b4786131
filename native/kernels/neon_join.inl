// Joins on arm64; the including file defines `add_products(sums, codes, query)` as neon_codes.inl wants it.

#include "kernels/join.inl"

void reach(const std::int32_t* dots, const std::int32_t* starts, const std::int32_t* limits, std::size_t n_queries,
           std::uint32_t* masks) {
  constexpr std::uint32_t kBits[4] = {1, 2, 4, 8};
  const uint32x4_t bits = vld1q_u32(kBits);
  for (std::size_t q = 0; q < n_queries; ++q, dots += kGroupRows) {
    const int32x4_t limit = vdupq_n_s32(limits[q]);
    std::uint32_t mask = 0;
    for (std::size_t c = 0; c < kGroupRows; c += 4) {
      const uint32x4_t reached = vcgeq_s32(vaddq_s32(vld1q_s32(dots + c), vld1q_s32(starts + c)), limit);
      mask |= vaddvq_u32(vandq_u32(reached, bits)) << c;
    }
    masks[q] = mask;
  }
}

void row_dots(const std::int8_t* query, const std::uint8_t* codes, std::size_t length, const std::uint32_t* rows,
              std::size_t n, std::int32_t* out) {
  std::int32_t rest = 0;  // what flipping the codes' top bit takes away
  for (std::size_t i = 0; i < length; ++i) rest += 128 * query[i];
  for (std::size_t r = 0; r < n; ++r) {
    if (r + kRowsAhead < n) prefetch_row(codes + rows[r + kRowsAhead] * length, length);
    const std::uint8_t* row = codes + rows[r] * length;
    int32x4_t sums = vdupq_n_s32(0);
    for (std::size_t i = 0; i < length; i += 16) {
      const uint8x16_t flipped = veorq_u8(vld1q_u8(row + i), vdupq_n_u8(0x80));
      sums = add_products(sums, vreinterpretq_s8_u8(flipped), vld1q_s8(query + i));
    }
    out[r] = vaddvq_s32(sums) + rest;
  }
}
