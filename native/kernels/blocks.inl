// Walks over queries in blocks; the including file defines `tile<kQueries>(codes, length, queries, out)`, where
// `queries` points at the first of the tile's queries in its block. Included inside an anonymous namespace.

template <std::size_t kTileQueries, std::size_t kSmallTileQueries, typename Tile, typename SmallTile, typename OneTile>
void walk(std::size_t length, const std::int8_t* queries, std::size_t n_queries, std::int32_t* out, const Tile& tile,
          const SmallTile& small_tile, const OneTile& one_tile) {
  for (std::size_t first = 0; first < n_queries; first += kBlockQueries) {
    const std::int8_t* block = queries + first * length;
    const std::size_t n = std::min(kBlockQueries, n_queries - first);
    std::int32_t* to = out + first * kGroupRows;
    std::size_t q = 0;
    for (; q + kTileQueries <= n; q += kTileQueries) tile(block + q * kCodeStep, to + q * kGroupRows);
    for (; q + kSmallTileQueries <= n; q += kSmallTileQueries) small_tile(block + q * kCodeStep, to + q * kGroupRows);
    for (; q < n; ++q) one_tile(block + q * kCodeStep, to + q * kGroupRows);
  }
}
