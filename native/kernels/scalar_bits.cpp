// The scalar twin for rows of bits.
#include <bit>

#include "kernels/kernel.hpp"

namespace pairdex {
namespace {

std::size_t near_rows(const std::uint64_t* rows, std::size_t n_rows, std::size_t words, const std::uint64_t* query,
                      std::uint32_t limit, Near<std::uint32_t>* found) {
  std::size_t n_found = 0;
  for (std::size_t r = 0; r < n_rows; ++r) {
    int differing = 0;
    for (std::size_t i = 0; i < words; ++i) differing += std::popcount(rows[r * words + i] ^ query[i]);
    const auto score = static_cast<std::uint32_t>(differing);
    if (score <= limit) found[n_found++] = {0, static_cast<std::uint32_t>(r), score};
  }
  return n_found;
}

std::size_t near_tile(const std::uint64_t* tile, std::size_t words, const std::uint64_t* queries, std::size_t n_queries,
                      const std::uint32_t* limits, Near<std::uint32_t>* found) {
  std::size_t n_found = 0;
  for (std::size_t q = 0; q < n_queries; ++q) {
    for (std::size_t r = 0; r < kTileRows; ++r) {
      int differing = 0;
      for (std::size_t i = 0; i < words; ++i)
        differing += std::popcount(tile[i * kTileRows + r] ^ queries[q * words + i]);
      const auto score = static_cast<std::uint32_t>(differing);
      if (score <= limits[q]) found[n_found++] = {static_cast<std::uint32_t>(q), static_cast<std::uint32_t>(r), score};
    }
  }
  return n_found;
}

}  // namespace

const BitKernel kScalarBits{.rows = near_rows, .tile = near_tile};

}  // namespace pairdex
