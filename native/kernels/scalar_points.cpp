// The scalar twin for rows of float32.
#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

std::size_t near_rows(const float* rows, std::size_t n_rows, std::size_t dim, const float* query, float limit,
                      Near<float>* found) {
  std::size_t n_found = 0;
  for (std::size_t r = 0; r < n_rows; ++r) {
    float squares = 0.0f;
    for (std::size_t i = 0; i < dim; ++i) {
      const float gap = rows[r * dim + i] - query[i];
      squares += gap * gap;
    }
    if (!(squares > limit)) found[n_found++] = {0, static_cast<std::uint32_t>(r), squares};
  }
  return n_found;
}

std::size_t near_tile(const float* tile, std::size_t dim, const float* queries, std::size_t n_queries,
                      const float* limits, Near<float>* found) {
  std::size_t n_found = 0;
  for (std::size_t q = 0; q < n_queries; ++q) {
    float products[kTileRows] = {};
    for (std::size_t i = 0; i < dim; ++i) {
      for (std::size_t r = 0; r < kTileRows; ++r) products[r] += tile[i * kTileRows + r] * queries[q * dim + i];
    }
    for (std::size_t r = 0; r < kTileRows; ++r) {
      if (!(products[r] > limits[q])) {
        found[n_found++] = {static_cast<std::uint32_t>(q), static_cast<std::uint32_t>(r), products[r]};
      }
    }
  }
  return n_found;
}

}  // namespace

const PointKernel kScalarPoints{.rows = near_rows, .tile = near_tile};

}  // namespace pairdex
