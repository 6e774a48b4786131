// Arithmetic of searches of a graph: integers, and float32 in one order, so every kernel gives what the scalar twin
// gives.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pairdex {

struct Half;

// A node's edges are coded in halves of this many.
inline constexpr std::size_t kHalfEdges = 16;
inline constexpr std::size_t kMaxEdges = 32;
// Dimensions of one 64-byte piece of codes: bit p of byte 4 e + j is that of edge e and dimension 4 p + j.
inline constexpr std::size_t kPieceDims = 32;

// The edges of a node: pieces of codes, those of all halves for the first dimensions first.
struct GraphEdges {
  const std::uint8_t* codes;
  const Half *offsets, *slopes;  // one for each edge
  std::size_t n;                 // kHalfEdges or kMaxEdges
  std::size_t length;            // dimensions, a multiple of 64
};

struct GraphQuery {
  const std::int8_t* codes;  // -127 to 127
  float scale;               // of a sum of codes, in units of the slopes
  float half_sum;            // half of the sum of all codes, times `scale`
};

// Memory that is needed next.
struct Ahead {
  const std::uint8_t* bytes;
  std::size_t lines;  // of 64 bytes
};

// The way from a row to another, in whole numbers.
struct GraphWay {
  std::int32_t squared, length;  // sums of squares and of absolute values of the way
  std::int32_t along, signs;  // the first row times the way; times the way's signs, -1 where it does not lead upwards
};

struct GraphKernel {
  // estimates[e] = (base + offsets[e]) + slopes[e] (scale sum[e] - half_sum), where sum[e] adds the query's codes of
  // the dimensions whose bit is set. Bit e of the result: the estimate exceeds `least`. Prefetches `ahead` meanwhile.
  std::uint32_t (*estimate)(const GraphEdges& edges, const GraphQuery& query, float base, float least, float* estimates,
                            Ahead ahead);
  // row . query, unsigned and signed bytes; `length` a multiple of 64.
  std::int32_t (*row_dot)(const std::uint8_t* row, const std::int8_t* query, std::size_t length);
  // Rows with 128 added; `length` a multiple of 64, at most 2,048. Bit i of `ups`: the way leads upwards in dimension
  // i.
  GraphWay (*way)(const std::uint8_t* from, const std::uint8_t* to, std::size_t length, std::uint32_t* ups);
  // out[r] = rows[r] . query for 16 rows, 4 bytes a row at a time.
  void (*table_dots)(const std::uint8_t* rows, std::size_t length, const std::int8_t* query, std::int32_t* out);
};

extern const GraphKernel kScalarGraph;
#ifdef PAIRDEX_X86
extern const GraphKernel kAvx2Graph, kAvxVnniGraph, kAvx512Graph;
#endif
#ifdef PAIRDEX_ARM
extern const GraphKernel kNeonGraph, kNeonDotGraph;
#endif

}  // namespace pairdex
