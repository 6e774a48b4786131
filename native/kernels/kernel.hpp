// The functions that exist once per instruction set, and the choice among them at start-up.
//
// Every implementation of `exact` adds in the same order, and every product in it is exact in float64, so that all
// instruction sets give the same bits. The other functions are approximations with a proven error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/graph_kernel.hpp"
#include "kernels/join_kernel.hpp"

namespace pairdex {

// float16 as stored: the bits, never used in arithmetic.
struct Half {
  std::uint16_t bits;
};

struct ExactDot {
  double dot;           // query . row
  double squared_norm;  // row . row
};

struct NearDot {
  float dot, squared_norm;
};

// Arithmetic on the rows as stored.
struct RowKernel {
  std::size_t dot_lanes;  // `dots` adds in at least this many interleaved partial sums
  // Row to float32, zeros up to `padded(dim)`; returns the squared norm (not finite if the row is not).
  float (*widen)(const Half* row, std::size_t dim, float* out);
  // out[q * n_rows + r] = queries[q] . rows[r]; all rows of `stride` floats, a multiple of kLanes.
  void (*dots)(const float* rows, std::size_t n_rows, const float* queries, std::size_t n_queries, std::size_t stride,
               float* out);
  ExactDot (*exact)(const Half* row, const float* query, std::size_t dim);
  // The same in float32, in any order.
  NearDot (*near)(const Half* row, const float* query, std::size_t dim);
};

// What the scan of codes knows of one query, all in units of the query's head scale. See docs/certified.md.
struct QueryTerms {
  float along_mean, along_gap;            // the two directions kept exactly
  float coded_error, rest_error;          // factors of the rows' error terms
  float rest_norm;                        // of the query, for the bound by the head alone
  float rest_scale;                       // the rest's scale over the head's
  float least;                            // rows bounded below this are out
  std::int32_t head_offset, rest_offset;  // 128 x sum of the codes: what the rows' unsigned codes add to a dot
};

// The same of the rows of one group, kGroupRows values each.
struct RowTerms {
  const float *along_mean, *along_gap;
  const float *head_scale, *rest_scale;
  const float *coded_error, *rest_error;
  const float* rest_norm;
};

// Rows are coded in groups of this many; their codes lie in two halves of 16 rows, 4 bytes a row at a time.
inline constexpr std::size_t kGroupRows = 32;
inline constexpr std::size_t kHalfRows = 16;
// Lengths of code vectors are multiples of this.
inline constexpr std::size_t kCodeStep = 64;
// Codes of queries lie in blocks of this many, kCodeStep bytes a query at a time; arrays of queries and of dots
// hold whole blocks.
inline constexpr std::size_t kBlockQueries = 32;
constexpr std::size_t whole_blocks(std::size_t n) { return (n + kBlockQueries - 1) / kBlockQueries * kBlockQueries; }
constexpr std::size_t query_place(std::size_t q, std::size_t i, std::size_t length) {
  return q / kBlockQueries * kBlockQueries * length + i / kCodeStep * kCodeStep * kBlockQueries +
         q % kBlockQueries * kCodeStep + i % kCodeStep;
}

// Arithmetic on codes.
struct CodeKernel {
  // Around a run of calls of `dots` on one thread.
  void (*enter)();
  void (*leave)();
  // out[q * kGroupRows + r] = queries[q] . codes[r], exactly; codes unsigned, queries signed, of `length` bytes.
  void (*dots)(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::size_t n_queries,
               std::int32_t* out);
  // Writes the numbers of the queries with a row whose bound by the head reaches `least`; returns how many.
  std::size_t (*pass_head)(const RowTerms& rows, const QueryTerms* queries, const std::int32_t* head_dots,
                           std::size_t n_queries, std::uint32_t* passed);
  // The same with all dimensions; head_dots and queries are those of numbers[i], rest_dots those of i.
  std::size_t (*pass_full)(const RowTerms& rows, const QueryTerms* queries, const std::uint32_t* numbers,
                           const std::int32_t* head_dots, const std::int32_t* rest_dots, std::size_t n,
                           std::uint32_t* passed);
  // The bounds of one query with all dimensions; bit r of the result: row r reaches `least`.
  std::uint32_t (*bound_full)(const RowTerms& rows, const QueryTerms& query, const std::int32_t* head_dots,
                              const std::int32_t* rest_dots, float* upper);
};

// What the scan of 4-bit codes knows of the rows of one group, kGroupRows values each. `bonus` is what is added to a
// row's score, times the query's own factor. A row whose `along_mean` is NaN reaches nothing.
struct NibbleRows {
  const float *along_mean, *along_gap, *scale, *bonus;
};

// The same of one query. A score is an estimate of the cosine, plus the bonus.
struct NibbleQuery {
  float along_mean, along_gap;
  float scale;   // of its codes
  float offset;  // kNibbleZero x sum of its codes: what the rows' unsigned codes add to a dot
  float bonus;
  float least;  // rows that score less are out
};

// A code of 4 bits stands for itself less this.
inline constexpr float kNibbleZero = 7.5f;

// Arithmetic on 4-bit codes. Those of a group lie in two halves of 16 rows, 4 bytes a row at a time: byte j of a row's
// i-th four holds the coordinates 8 i + j, in its low half, and 8 i + 4 + j. `length`: coordinates, a multiple of
// kCodeStep. Queries lie as those of CodeKernel do.
struct NibbleKernel {
  // out[q * kGroupRows + r] = queries[q] . codes[r], exactly.
  void (*dots)(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::size_t n_queries,
               std::int32_t* out);
  // The scores of one query; bit r of the result: row r reaches `least`.
  std::uint32_t (*reach)(const NibbleRows& rows, const NibbleQuery& query, const std::int32_t* dots, float* scores);
  // For each row the best score among n queries, and its number counted from `first`, where it beats what is there.
  void (*best)(const NibbleRows& rows, const NibbleQuery* queries, const std::int32_t* dots, std::size_t n,
               std::uint32_t first, float* scores, std::uint32_t* numbers);
};

// A row and a query of one call whose score is within the query's limit.
template <typename Score>
struct Near {
  std::uint32_t query, row;
  Score score;
};

// Rows are compared with many queries in tiles of this many.
inline constexpr std::size_t kTileRows = 32;

// Arithmetic in a projected space. Both functions return how many pairs they found; `found` holds all pairs.
template <typename Value, typename Score>
struct NearKernel {
  // Rows of `dim` values, one after the other, with one query, zeros up to `padded(dim)`.
  std::size_t (*rows)(const Value* rows, std::size_t n_rows, std::size_t dim, const Value* query, Score limit,
                      Near<Score>* found);
  // kTileRows rows, value i of row r at tile[i * kTileRows + r], with queries of `dim` values, one after the other.
  std::size_t (*tile)(const Value* tile, std::size_t dim, const Value* queries, std::size_t n_queries,
                      const Score* limits, Near<Score>* found);
};

// Score: the bits that differ.
using BitKernel = NearKernel<std::uint64_t, std::uint32_t>;
// Score: of `rows` the squared Euclidean distance, of `tile` the inner product, summed in float32 in any order. NaN is
// within every limit.
using PointKernel = NearKernel<float, float>;
// Longer rows of bits would overflow a kernel's partial sums.
inline constexpr std::size_t kMaxWords = 4095;

struct Kernel {
  std::string_view name;
  const RowKernel* rows;
  const CodeKernel* codes;
  const NibbleKernel* nibbles;
  const BitKernel* bits;
  const PointKernel* points;
  const JoinKernel* joins;
  const GraphKernel* graphs;
};

// Every row buffer of floats is padded to whole vectors of the widest instruction set.
inline constexpr std::size_t kLanes = 16;
constexpr std::size_t padded(std::size_t dim) { return (dim + kLanes - 1) / kLanes * kLanes; }

// Kernels this processor can run, fastest first; the last is the scalar twin.
std::span<const Kernel> usable_kernels();
// The kernel of that name, or the fastest for an empty name; nullptr if there is none here.
const Kernel* find_kernel(std::string_view name);

extern const RowKernel kScalarRows;
extern const CodeKernel kScalarCodes;
extern const NibbleKernel kScalarNibbles;
extern const BitKernel kScalarBits;
extern const PointKernel kScalarPoints;
#ifdef PAIRDEX_X86
extern const RowKernel kAvx2Rows, kAvx512Rows;
extern const CodeKernel kAvx2Codes, kAvxVnniCodes, kAvx512Codes, kAmxCodes;
extern const NibbleKernel kAvx2Nibbles, kAvx512Nibbles;
extern const BitKernel kAvx2Bits, kAvx512Bits;
extern const PointKernel kAvx2Points, kAvx512Points;
#endif
#ifdef PAIRDEX_ARM
extern const RowKernel kNeonRows;
extern const CodeKernel kNeonCodes, kNeonDotCodes;
extern const NibbleKernel kNeonNibbles, kNeonDotNibbles;
extern const BitKernel kNeonBits;
extern const PointKernel kNeonPoints;
#endif

}  // namespace pairdex
