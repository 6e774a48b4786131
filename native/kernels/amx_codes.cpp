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

// A block of 32 queries x a group of 32 rows in tiles 0 to 3.
void block(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::int32_t* out) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  const std::uint8_t* high_codes = codes + kHalfRows * length;
  for (std::size_t i = 0; i < length; i += kCodeStep, queries += kBlockQueries * kCodeStep) {
    _tile_loadd(6, codes + i * kHalfRows, kLineBytes);
    _tile_loadd(4, queries, kLineBytes);
    _tile_dpbsud(0, 4, 6);
    _tile_loadd(7, high_codes + i * kHalfRows, kLineBytes);
    _tile_dpbsud(1, 4, 7);
    _tile_loadd(5, queries + kTileQueries * kCodeStep, kLineBytes);
    _tile_dpbsud(2, 5, 6);
    _tile_dpbsud(3, 5, 7);
  }
  constexpr int kOutBytes = kGroupRows * sizeof(std::int32_t);
  _tile_stored(0, out, kOutBytes);
  _tile_stored(1, out + kHalfRows, kOutBytes);
  _tile_stored(2, out + kTileQueries * kGroupRows, kOutBytes);
  _tile_stored(3, out + kTileQueries * kGroupRows + kHalfRows, kOutBytes);
}

void dots(const std::uint8_t* codes, std::size_t length, const std::int8_t* queries, std::size_t n_queries,
          std::int32_t* out) {
  if (n_queries < kFewQueries) return kAvx512Codes.dots(codes, length, queries, n_queries, out);
  for (std::size_t q = 0; q < n_queries; q += kBlockQueries) {
    block(codes, length, queries + q * length, out + q * kGroupRows);
  }
}

}  // namespace

const CodeKernel kAmxCodes{.enter = enter,
                           .leave = leave,
                           .dots = dots,
                           .pass_head = pass_head,
                           .pass_full = pass_full,
                           .bound_full = bound_full};

}  // namespace pairdex
