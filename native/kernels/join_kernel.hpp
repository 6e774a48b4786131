// Arithmetic of joins: integers only, so every kernel gives what the scalar twin gives.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pairdex {

// Groups are kGroupRows columns; dots[q * kGroupRows + c] is that of query q and column c.
struct JoinKernel {
  // Bit c of masks[q]: dots[q, c] + starts[c] >= limits[q].
  void (*reach)(const std::int32_t* dots, const std::int32_t* starts, const std::int32_t* limits, std::size_t n_queries,
                std::uint32_t* masks);
  // Where dots[q, c] + starts[c] exceeds values[q, c], writes it there, and `group` to groups[q, c].
  void (*best)(const std::int32_t* dots, const std::int32_t* starts, std::size_t n_queries, std::uint32_t group,
               std::int32_t* values, std::uint32_t* groups);
  // out[i] = query . codes of row rows[i]; rows of `length` unsigned bytes, a multiple of kCodeStep.
  void (*row_dots)(const std::int8_t* query, const std::uint8_t* codes, std::size_t length, const std::uint32_t* rows,
                   std::size_t n, std::int32_t* out);
  // The codes of kCodeStep bytes of rows `rows` as columns of groups, 128 + q: those beside the last row are any.
  void (*pack)(const std::int8_t* codes, const std::uint32_t* rows, std::size_t n, std::uint8_t* out);
};

extern const JoinKernel kScalarJoin;
#ifdef PAIRDEX_X86
extern const JoinKernel kAvx2Join, kAvxVnniJoin, kAvx512Join;
#endif
#ifdef PAIRDEX_ARM
extern const JoinKernel kNeonJoin, kNeonDotJoin;
#endif

}  // namespace pairdex
