// The float kernels of one vector instruction set, written once over its `Isa`: included by the file of each
// instruction set inside an anonymous namespace, so that no copy is shared between them.
//
// Isa: Floats, kWidth, zero, load, store, multiply_add, sum, widen (kWidth values);
//      Sixteen (16 float64 lanes), exact_step (16 products of each kind, fused or not: they are exact), sum.

float widen(const Half* row, std::size_t dim, float* out) {
  Isa::Floats squares = Isa::zero();
  const auto step = [&](const Half* from, float* to) {
    const Isa::Floats values = Isa::widen(from);
    Isa::store(to, values);
    squares = Isa::multiply_add(values, values, squares);
  };
  const std::size_t whole = dim / Isa::kWidth * Isa::kWidth;
  for (std::size_t i = 0; i < whole; i += Isa::kWidth) step(row + i, out + i);
  if (whole < padded(dim)) {
    std::array<Half, kLanes> tail{};
    for (std::size_t i = whole; i < dim; ++i) tail[i - whole] = row[i];
    for (std::size_t i = whole; i < padded(dim); i += Isa::kWidth) step(tail.data() + (i - whole), out + i);
  }
  return Isa::sum(squares);
}

// A register tile: each loaded vector is used kRows or kQueries times.
template <std::size_t kRows, std::size_t kQueries>
void dots_tile(const float* rows, const float* queries, std::size_t stride, std::size_t n_rows, float* out) {
  Isa::Floats sums[kQueries][kRows];
  for (auto& of_query : sums) {
    for (auto& one : of_query) one = Isa::zero();
  }
  for (std::size_t i = 0; i < stride; i += Isa::kWidth) {
    Isa::Floats values[kRows];
#pragma GCC unroll 8
    for (std::size_t r = 0; r < kRows; ++r) values[r] = Isa::load(rows + r * stride + i);
#pragma GCC unroll 8
    for (std::size_t q = 0; q < kQueries; ++q) {
      const Isa::Floats query = Isa::load(queries + q * stride + i);
#pragma GCC unroll 8
      for (std::size_t r = 0; r < kRows; ++r) sums[q][r] = Isa::multiply_add(values[r], query, sums[q][r]);
    }
  }
  for (std::size_t q = 0; q < kQueries; ++q) {
    for (std::size_t r = 0; r < kRows; ++r) out[q * n_rows + r] = Isa::sum(sums[q][r]);
  }
}

template <std::size_t kQueries>
void dots_of_queries(const float* rows, std::size_t n_rows, const float* queries, std::size_t stride, float* out) {
  std::size_t r = 0;
  for (; r + Isa::kTileRows <= n_rows; r += Isa::kTileRows) {
    dots_tile<Isa::kTileRows, kQueries>(rows + r * stride, queries, stride, n_rows, out + r);
  }
  for (; r < n_rows; ++r) dots_tile<1, kQueries>(rows + r * stride, queries, stride, n_rows, out + r);
}

void dots(const float* rows, std::size_t n_rows, const float* queries, std::size_t n_queries, std::size_t stride,
          float* out) {
  std::size_t q = 0;
  for (; q + Isa::kTileQueries <= n_queries; q += Isa::kTileQueries) {
    dots_of_queries<Isa::kTileQueries>(rows, n_rows, queries + q * stride, stride, out + q * n_rows);
  }
  for (; q < n_queries; ++q) dots_of_queries<1>(rows, n_rows, queries + q * stride, stride, out + q * n_rows);
}

ExactDot exact(const Half* row, const float* query, std::size_t dim) {
  Isa::Sixteen dots = Isa::no_lanes();
  Isa::Sixteen squares = Isa::no_lanes();
  const std::size_t whole = dim / kLanes * kLanes;
  for (std::size_t i = 0; i < whole; i += kLanes) Isa::exact_step(row + i, query + i, dots, squares);
  if (whole < dim) {
    std::array<Half, kLanes> row_tail{};
    std::array<float, kLanes> query_tail{};
    for (std::size_t i = whole; i < dim; ++i) {
      row_tail[i - whole] = row[i];
      query_tail[i - whole] = query[i];
    }
    Isa::exact_step(row_tail.data(), query_tail.data(), dots, squares);
  }
  return {Isa::sum(dots), Isa::sum(squares)};
}

NearDot near(const Half* row, const float* query, std::size_t dim) {
  constexpr std::size_t kSums = 4;
  constexpr std::size_t kStep = kSums * Isa::kWidth;
  Isa::Floats dots[kSums];
  Isa::Floats squares[kSums];
  for (std::size_t i = 0; i < kSums; ++i) dots[i] = squares[i] = Isa::zero();
  const auto step = [&](const Half* halves, const float* floats, std::size_t i) {
    const Isa::Floats values = Isa::widen(halves);
    dots[i] = Isa::multiply_add(values, Isa::load(floats), dots[i]);
    squares[i] = Isa::multiply_add(values, values, squares[i]);
  };
  const std::size_t whole = dim / kStep * kStep;
  for (std::size_t at = 0; at < whole; at += kStep) {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kSums; ++i) step(row + at + i * Isa::kWidth, query + at + i * Isa::kWidth, i);
  }
  if (whole < dim) {
    std::array<Half, kStep> row_tail{};
    std::array<float, kStep> query_tail{};
    for (std::size_t at = whole; at < dim; ++at) {
      row_tail[at - whole] = row[at];
      query_tail[at - whole] = query[at];
    }
    for (std::size_t i = 0; i < kSums; ++i) {
      step(row_tail.data() + i * Isa::kWidth, query_tail.data() + i * Isa::kWidth, i);
    }
  }
  float dot = 0.0f;
  float square = 0.0f;
  for (std::size_t i = 0; i < kSums; ++i) {
    dot += Isa::sum(dots[i]);
    square += Isa::sum(squares[i]);
  }
  return {dot, square};
}
