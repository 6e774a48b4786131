// AMX: tiles of 16 queries x 64 bytes times 64 bytes x 16 rows; a half group is such a tile as it lies in memory.
#include <immintrin.h>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

#include "kernels/select.inl"

constexpr std::size_t kTileQueries = 16;
constexpr int kLineBytes = 64;
constexpr std::size_t kFewQueries = 6;  // fewer leave most of a tile empty: VPDPBUSD is faster then

struct alignas(64) TileShapes {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t bytes_per_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};  // of the eight tiles there are
};

// Not on the stack: gcc 12 thinks that the instruction reads 8 bytes of it, and leaves the others unwritten.
constinit const TileShapes kShapes;

void enter() { _tile_loadconfig(&kShapes); }

void leave() { _tile_release(); }

// 32 queries x 32 rows in tiles 0 to 3.
void tile_32(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::size_t stride,
             std::int32_t* out) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (std::size_t i = 0; i < length; i += kCodeStep) {
    _tile_loadd(4, queries + i, stride);
    _tile_loadd(5, queries + kTileQueries * stride + i, stride);
    _tile_loadd(6, codes + i * kHalfRows, kLineBytes);
    _tile_loadd(7, codes + (length + i) * kHalfRows, kLineBytes);
    _tile_dpbsud(0, 4, 6);
    _tile_dpbsud(1, 4, 7);
    _tile_dpbsud(2, 5, 6);
    _tile_dpbsud(3, 5, 7);
  }
  constexpr int kOutBytes = kGroupRows * sizeof(std::int32_t);
  _tile_stored(0, out, kOutBytes);
  _tile_stored(1, out + kHalfRows, kOutBytes);
  _tile_stored(2, out + kTileQueries * kGroupRows, kOutBytes);
  _tile_stored(3, out + kTileQueries * kGroupRows + kHalfRows, kOutBytes);
}

void dots(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::size_t stride,
          std::size_t n_queries, std::int32_t* out) {
  if (n_queries < kFewQueries) return kAvx512Codes.dots(codes, length, queries, stride, n_queries, out);
  for (std::size_t q = 0; q < n_queries; q += 2 * kTileQueries) {
    tile_32(codes, length, queries + q * stride, stride, out + q * kGroupRows);
  }
}

}  // namespace

const CodeKernel kAmxCodes{
    .enter = enter, .leave = leave, .dots = dots, .pass_head = pass_head, .bound_full = bound_full};

}  // namespace pairdex
