// The bounds of docs/certified.md in plain loops that the compiler turns into the vectors of the instruction set the
// including file is compiled for; included inside an anonymous namespace.

inline float head_bound(const RowTerms& rows, const QueryTerms& query, const std::int32_t* dots, std::size_t r) {
  return rows.head_scale[r] * static_cast<float>(dots[r] - query.head_offset) + query.along_mean * rows.along_mean[r] +
         query.along_gap * rows.along_gap[r];
}

std::size_t pass_head(const RowTerms& rows, const QueryTerms* queries, const std::int32_t* head_dots,
                      std::size_t n_queries, std::uint32_t* passed) {
  std::size_t n_passed = 0;
  for (std::size_t q = 0; q < n_queries; ++q) {
    const QueryTerms query = queries[q];
    const std::int32_t* dots = head_dots + q * kGroupRows;
    std::int32_t any = 0;
    for (std::size_t r = 0; r < kGroupRows; ++r) {
      const float bound = head_bound(rows, query, dots, r) + query.head_error * rows.head_error[r];
      any |= -static_cast<std::int32_t>(bound >= query.least);
    }
    passed[n_passed] = static_cast<std::uint32_t>(q);
    n_passed += any != 0;
  }
  return n_passed;
}

std::uint32_t bound_full(const RowTerms& rows, const QueryTerms& query, const std::int32_t* head_dots,
                         const std::int32_t* rest_dots, float* upper) {
  std::int32_t any = 0;
  for (std::size_t r = 0; r < kGroupRows; ++r) {
    const float rest = rows.rest_scale[r] * static_cast<float>(rest_dots[r] - query.rest_offset);
    upper[r] = head_bound(rows, query, head_dots, r) + query.rest_scale * rest + query.full_error * rows.full_error[r];
    any |= -static_cast<std::int32_t>(upper[r] >= query.least);
  }
  std::uint32_t reached = 0;
  if (any == 0) return reached;
  for (std::size_t r = 0; r < kGroupRows; ++r) reached |= static_cast<std::uint32_t>(upper[r] >= query.least) << r;
  return reached;
}

[[maybe_unused]] void nothing() {}
