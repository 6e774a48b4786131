// The functions that exist once per instruction set, and the choice among them at start-up.
//
// Every implementation of `exact` adds in the same order, and every product in it is exact in float64, so that all
// instruction sets give the same bits. The other functions are approximations with a proven error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace pairdex {

// float16 as stored: the bits, never used in arithmetic.
struct Half {
  std::uint16_t bits;
};

struct ExactDot {
  double dot;           // query . row
  double squared_norm;  // row . row
};

struct Kernel {
  std::string_view name;
  // Row to float32, zeros up to `padded(dim)`; returns the squared norm (not finite if the row is not).
  float (*widen)(const Half* row, std::size_t dim, float* out);
  // out[q * n_rows + r] = queries[q] . rows[r]; all rows of `stride` floats, a multiple of kLanes.
  void (*dots)(const float* rows, std::size_t n_rows, const float* queries, std::size_t n_queries, std::size_t stride,
               float* out);
  ExactDot (*exact)(const Half* row, const float* query, std::size_t dim);
};

// Every row buffer of floats is padded to whole vectors of the widest instruction set.
inline constexpr std::size_t kLanes = 16;
constexpr std::size_t padded(std::size_t dim) { return (dim + kLanes - 1) / kLanes * kLanes; }

// Kernels this processor can run, fastest first; the last is the scalar twin.
std::span<const Kernel* const> usable_kernels();
// The kernel of that name, or the fastest for an empty name; nullptr if there is none here.
const Kernel* find_kernel(std::string_view name);

extern const Kernel kScalar;
#ifdef PAIRDEX_X86
extern const Kernel kAvx2;
extern const Kernel kAvx512;
#endif
#ifdef PAIRDEX_ARM
extern const Kernel kNeon;
#endif

}  // namespace pairdex
