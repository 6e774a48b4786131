// Searches of graphs on arm64; the products of neon_products.inl are with or without the dot-product extension.

#include "kernels/neon_products.inl"

constexpr std::size_t kPlanes = 8;
constexpr std::size_t kLanes = 4;
constexpr std::size_t kBytes = 16;  // of a vector: four edges, or four rows of a table
constexpr std::size_t kVectors = 4;

// Unsigned bytes less 128: products are of signed ones.
inline int8x16_t less(const std::uint8_t* bytes) {
  return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(bytes), vdupq_n_u8(0x80)));
}

inline float32x4_t wide(const Half* halves) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(reinterpret_cast<const std::uint16_t*>(halves))));
}

// Minus the sums of kHalfEdges edges from `first` on: a bit that is set becomes -1.
inline void negative_sums(const GraphEdges& edges, const GraphQuery& query, std::size_t first,
                          int32x4_t (&sums)[kVectors]) {
  for (int32x4_t& sum : sums) sum = vdupq_n_s32(0);
  const std::uint8_t* codes = edges.codes + 4 * first;
  for (std::size_t i = 0; i < edges.length; i += kPieceDims, codes += 4 * edges.n) {
    uint8x16_t bits[kVectors];
    for (std::size_t v = 0; v < kVectors; ++v) bits[v] = vld1q_u8(codes + kBytes * v);
#pragma GCC unroll 8
    for (std::size_t p = 0; p < kPlanes; ++p) {
      const uint8x16_t plane = vdupq_n_u8(static_cast<std::uint8_t>(1u << p));
      const int8x16_t four = four_bytes(query.codes + i + 4 * p);
      for (std::size_t v = 0; v < kVectors; ++v) {
        sums[v] = add_products(sums[v], vreinterpretq_s8_u8(vtstq_u8(bits[v], plane)), four);
      }
    }
  }
}

std::uint32_t estimate(const GraphEdges& edges, const GraphQuery& query, float base, float least, float* estimates,
                       Ahead ahead) {
  constexpr std::uint32_t kBits[kLanes] = {1, 2, 4, 8};
  const uint32x4_t bits = vld1q_u32(kBits);
  const std::size_t lines_a_step = (ahead.lines * kHalfEdges + edges.n - 1) / edges.n;
  std::size_t line = 0;
  std::uint32_t above = 0;
  for (std::size_t first = 0; first < edges.n; first += kHalfEdges) {
    for (std::size_t i = 0; i < lines_a_step && line < ahead.lines; ++i, ++line) {
      __builtin_prefetch(ahead.bytes + line * 64);
    }
    int32x4_t sums[kVectors];
    negative_sums(edges, query, first, sums);
    for (std::size_t v = 0; v < kVectors; ++v) {
      const std::size_t at = first + kLanes * v;
      const float32x4_t sum = vcvtq_f32_s32(vnegq_s32(sums[v]));
      const float32x4_t along = vsubq_f32(vmulq_f32(vdupq_n_f32(query.scale), sum), vdupq_n_f32(query.half_sum));
      const float32x4_t start = vaddq_f32(vdupq_n_f32(base), wide(edges.offsets + at));
      const float32x4_t found = vaddq_f32(start, vmulq_f32(wide(edges.slopes + at), along));
      vst1q_f32(estimates + at, found);
      above |= vaddvq_u32(vandq_u32(vcgtq_f32(found, vdupq_n_f32(least)), bits)) << at;
    }
  }
  return above;
}

std::int32_t row_dot(const std::uint8_t* row, const std::int8_t* query, std::size_t length) {
  int32x4_t sums = vdupq_n_s32(0), rest = sums;  // rest: what `less` takes away, divided by 128
  for (std::size_t i = 0; i < length; i += kBytes) {
    const int8x16_t some = vld1q_s8(query + i);
    sums = add_products(sums, less(row + i), some);
    rest = add_products(rest, vdupq_n_s8(1), some);
  }
  return vaddvq_s32(sums) + 128 * vaddvq_s32(rest);
}

// Bit i: byte i is set.
inline std::uint32_t mask_of(uint8x16_t is_set) {
  constexpr std::uint8_t kBits[kBytes] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint8x16_t bits = vandq_u8(is_set, vld1q_u8(kBits));
  return vaddv_u8(vget_low_u8(bits)) | static_cast<std::uint32_t>(vaddv_u8(vget_high_u8(bits))) << 8;
}

GraphWay way(const std::uint8_t* from, const std::uint8_t* to, std::size_t length, std::uint32_t* ups) {
  uint32x4_t lengths = vdupq_n_u32(0), squares = lengths;
  int32x4_t products = vdupq_n_s32(0), starts = products, ahead = products, all = products;
  for (std::size_t i = 0; i < length; i += kBytes) {
    const uint8x16_t a = vld1q_u8(from + i), b = vld1q_u8(to + i), gap = vabdq_u8(a, b), up = vcgtq_u8(b, a);
    const int8x16_t own = less(from + i);
    if (i % kPieceDims == 0) ups[i / kPieceDims] = 0;
    ups[i / kPieceDims] |= mask_of(up) << i % kPieceDims;
    lengths = vpadalq_u16(lengths, vpaddlq_u8(gap));
    squares = vpadalq_u16(squares, vmull_u8(vget_low_u8(gap), vget_low_u8(gap)));
    squares = vpadalq_u16(squares, vmull_high_u8(gap, gap));
    products = add_products(products, less(to + i), own);
    starts = add_products(starts, own, own);
    ahead = add_products(ahead, vreinterpretq_s8_u8(up), own);  // -1 where the way leads upwards
    all = add_products(all, vdupq_n_s8(1), own);
  }
  return {static_cast<std::int32_t>(vaddvq_u32(squares)), static_cast<std::int32_t>(vaddvq_u32(lengths)),
          vaddvq_s32(products) - vaddvq_s32(starts), -2 * vaddvq_s32(ahead) - vaddvq_s32(all)};
}

void table_dots(const std::uint8_t* rows, std::size_t length, const std::int8_t* query, std::int32_t* out) {
  int32x4_t sums[kVectors], rest = vdupq_n_s32(0);
  for (int32x4_t& sum : sums) sum = rest;
  for (std::size_t i = 0; i < length; i += 4, rows += kBytes * kVectors) {
    const int8x16_t four = four_bytes(query + i);
    for (std::size_t v = 0; v < kVectors; ++v) sums[v] = add_products(sums[v], less(rows + kBytes * v), four);
    rest = add_products(rest, vdupq_n_s8(1), four);
  }
  for (std::size_t v = 0; v < kVectors; ++v) vst1q_s32(out + kLanes * v, vaddq_s32(sums[v], vshlq_n_s32(rest, 7)));
}
