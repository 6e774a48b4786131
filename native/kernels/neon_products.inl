// Products of NEON, for codes of 8 and of 4 bits. Included inside an anonymous namespace.

inline int8x16_t four_bytes(const std::int8_t* query) {
  std::int32_t word;
  std::memcpy(&word, query, sizeof word);
  return vreinterpretq_s8_s32(vdupq_n_s32(word));
}

// Adds to each of 4 sums the 4 products of signed bytes.
inline int32x4_t add_products(int32x4_t sums, int8x16_t codes, int8x16_t query) {
#ifdef __ARM_FEATURE_DOTPROD
  return vdotq_s32(sums, codes, query);
#else
  const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(codes), vget_low_s8(query)));
  const int32x4_t high = vpaddlq_s16(vmull_high_s8(codes, query));
  return vaddq_s32(sums, vpaddq_s32(low, high));
#endif
}
