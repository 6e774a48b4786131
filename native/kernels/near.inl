// The kernels of projected spaces for one vector instruction set, written once over its `Isa`: included by the file of
// each instruction set inside an anonymous namespace, so that no copy is shared between them.
//
// Isa: Value, Score; Vector, Lane (what a vector of scores is stored as), kWidth (values in a vector), kTileQueries,
//      kTileVectors (a register tile: that many queries with kTileVectors * kWidth rows); zero, load, load_some (the
//      first n values, zeros after them), broadcast, store;
//      compare(sums, row, query): add what one step of two rows contributes, kept apart by lane or not;
//      multiply(sums, row, query): the same for interleaved rows, lane by lane;
//      sum(kWidth sums of `compare`): their scores, one a lane; scores(sums of `multiply`);
//      any_within(scores, limit), within(lane, limit).

using Found = Near<Isa::Score>;

template <std::size_t kRows>
Isa::Vector scores_of(const Isa::Value* rows, std::size_t dim, const Isa::Value* query) {
  Isa::Vector sums[Isa::kWidth];
#pragma GCC unroll 16
  for (std::size_t r = 0; r < Isa::kWidth; ++r) sums[r] = Isa::zero();
  std::size_t i = 0;
  for (; i + Isa::kWidth <= dim; i += Isa::kWidth) {
    const Isa::Vector values = Isa::load(query + i);
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kRows; ++r) {
      // The processor does not foresee the pattern of rows this long.
      if constexpr (std::is_same_v<Isa::Value, float>) __builtin_prefetch(rows + (kRows + r) * dim + i);
      sums[r] = Isa::compare(sums[r], Isa::load(rows + r * dim + i), values);
    }
  }
  if (i < dim) {
    const Isa::Vector values = Isa::load(query + i);
#pragma GCC unroll 16
    for (std::size_t r = 0; r < kRows; ++r) {
      sums[r] = Isa::compare(sums[r], Isa::load_some(rows + r * dim + i, dim - i), values);
    }
  }
  return Isa::sum(sums);
}

std::size_t near_rows(const Isa::Value* rows, std::size_t n_rows, std::size_t dim, const Isa::Value* query,
                      Isa::Score limit, Found* found) {
  std::size_t n_found = 0;
  const auto keep = [&](Isa::Vector scores, std::size_t first, std::size_t n) {
    if (!Isa::any_within(scores, limit)) return;
    std::array<Isa::Lane, Isa::kWidth> lanes;
    Isa::store(lanes.data(), scores);
    for (std::size_t r = 0; r < n; ++r) {
      if (!Isa::within(lanes[r], limit)) continue;
      found[n_found++] = {0, static_cast<std::uint32_t>(first + r), static_cast<Isa::Score>(lanes[r])};
    }
  };
  std::size_t r = 0;
  for (; r + Isa::kWidth <= n_rows; r += Isa::kWidth) {
    keep(scores_of<Isa::kWidth>(rows + r * dim, dim, query), r, Isa::kWidth);
  }
  for (; r < n_rows; ++r) keep(scores_of<1>(rows + r * dim, dim, query), r, 1);
  return n_found;
}

// Queries first, first + 1, ... with all rows of a tile, a register tile at a time.
template <std::size_t kQueries>
std::size_t near_queries(const Isa::Value* tile, std::size_t dim, const Isa::Value* queries, std::size_t first,
                         const Isa::Score* limits, Found* found) {
  constexpr std::size_t kRows = Isa::kTileVectors * Isa::kWidth;
  static_assert(kTileRows % kRows == 0);
  std::size_t n_found = 0;
  queries += first * dim;
  for (std::size_t row = 0; row < kTileRows; row += kRows) {
    Isa::Vector sums[kQueries][Isa::kTileVectors];
    for (auto& of_query : sums) {
      for (auto& one : of_query) one = Isa::zero();
    }
    for (std::size_t i = 0; i < dim; ++i) {
      Isa::Vector values[Isa::kTileVectors];
#pragma GCC unroll 8
      for (std::size_t v = 0; v < Isa::kTileVectors; ++v) {
        values[v] = Isa::load(tile + i * kTileRows + row + v * Isa::kWidth);
      }
#pragma GCC unroll 8
      for (std::size_t q = 0; q < kQueries; ++q) {
        const Isa::Vector query = Isa::broadcast(queries[q * dim + i]);
#pragma GCC unroll 8
        for (std::size_t v = 0; v < Isa::kTileVectors; ++v) sums[q][v] = Isa::multiply(sums[q][v], values[v], query);
      }
    }
#pragma GCC unroll 8
    for (std::size_t q = 0; q < kQueries; ++q) {
#pragma GCC unroll 8
      for (std::size_t v = 0; v < Isa::kTileVectors; ++v) {
        const Isa::Vector scores = Isa::scores(sums[q][v]);
        if (!Isa::any_within(scores, limits[first + q])) continue;
        std::array<Isa::Lane, Isa::kWidth> lanes;
        Isa::store(lanes.data(), scores);
        for (std::size_t r = 0; r < Isa::kWidth; ++r) {
          if (!Isa::within(lanes[r], limits[first + q])) continue;
          found[n_found++] = {static_cast<std::uint32_t>(first + q),
                              static_cast<std::uint32_t>(row + v * Isa::kWidth + r), static_cast<Isa::Score>(lanes[r])};
        }
      }
    }
  }
  return n_found;
}

std::size_t near_tile(const Isa::Value* tile, std::size_t dim, const Isa::Value* queries, std::size_t n_queries,
                      const Isa::Score* limits, Found* found) {
  std::size_t n_found = 0;
  std::size_t q = 0;
  for (; q + Isa::kTileQueries <= n_queries; q += Isa::kTileQueries) {
    n_found += near_queries<Isa::kTileQueries>(tile, dim, queries, q, limits, found + n_found);
  }
  for (; q < n_queries; ++q) n_found += near_queries<1>(tile, dim, queries, q, limits, found + n_found);
  return n_found;
}
