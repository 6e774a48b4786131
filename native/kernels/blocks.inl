// Walks over queries in blocks, in tiles of the sizes given, the largest first. Included inside an anonymous namespace.

// `tile.operator()<kQueries>(from, to)` multiplies kQueries queries of a block: `from` points at the first of them,
// `to` at its dots.
template <std::size_t... kSizes, typename Tile>
void walk(std::size_t length, const std::int8_t* queries, std::size_t n_queries, std::int32_t* out, const Tile& tile) {
  for (std::size_t first = 0; first < n_queries; first += kBlockQueries) {
    const std::int8_t* block = queries + first * length;
    const std::size_t n = std::min(kBlockQueries, n_queries - first);
    std::int32_t* to = out + first * kGroupRows;
    std::size_t q = 0;
    const auto run = [&]<std::size_t kSize>() {
      for (; q + kSize <= n; q += kSize) tile.template operator()<kSize>(block + q * kCodeStep, to + q * kGroupRows);
    };
    (run.template operator()<kSizes>(), ...);
  }
}
