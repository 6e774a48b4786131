// The bounds of docs/certified.md in plain loops that the compiler turns into the vectors of the instruction set the
// including file is compiled for; included inside an anonymous namespace.

// What both bounds have in common.
inline float head_part(const RowTerms& rows, const QueryTerms& query, const std::int32_t* dots, std::size_t r) {
  return rows.head_scale[r] * static_cast<float>(dots[r] - query.head_offset) + query.along_mean * rows.along_mean[r] +
         query.along_gap * rows.along_gap[r] + query.coded_error * rows.coded_error[r];
}

inline float full_bound(const RowTerms& rows, const QueryTerms& query, const std::int32_t* head_dots,
                        const std::int32_t* rest_dots, std::size_t r) {
  const float rest = rows.rest_scale[r] * static_cast<float>(rest_dots[r] - query.rest_offset);
  return head_part(rows, query, head_dots, r) + query.rest_scale * rest + query.rest_error * rows.rest_error[r];
}

std::size_t pass_head(const RowTerms& rows, const QueryTerms* queries, const std::int32_t* head_dots,
                      std::size_t n_queries, std::uint32_t* passed) {
  std::size_t n_passed = 0;
  for (std::size_t q = 0; q < n_queries; ++q) {
    const QueryTerms query = queries[q];
    const std::int32_t* dots = head_dots + q * kGroupRows;
    std::int32_t any = 0;
    for (std::size_t r = 0; r < kGroupRows; ++r) {
      const float bound = head_part(rows, query, dots, r) + query.rest_norm * rows.rest_norm[r];
      any |= -static_cast<std::int32_t>(bound >= query.least);
    }
    passed[n_passed] = static_cast<std::uint32_t>(q);
    n_passed += any != 0;
  }
  return n_passed;
}

std::size_t pass_full(const RowTerms& rows, const QueryTerms* queries, const std::uint32_t* numbers,
                      const std::int32_t* head_dots, const std::int32_t* rest_dots, std::size_t n,
                      std::uint32_t* passed) {
  std::size_t n_passed = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const QueryTerms query = queries[numbers[i]];
    const std::int32_t* of_head = head_dots + numbers[i] * kGroupRows;
    const std::int32_t* of_rest = rest_dots + i * kGroupRows;
    std::int32_t any = 0;
    for (std::size_t r = 0; r < kGroupRows; ++r) {
      any |= -static_cast<std::int32_t>(full_bound(rows, query, of_head, of_rest, r) >= query.least);
    }
    passed[n_passed] = static_cast<std::uint32_t>(i);
    n_passed += any != 0;
  }
  return n_passed;
}

std::uint32_t bound_full(const RowTerms& rows, const QueryTerms& query, const std::int32_t* head_dots,
                         const std::int32_t* rest_dots, float* upper) {
  for (std::size_t r = 0; r < kGroupRows; ++r) upper[r] = full_bound(rows, query, head_dots, rest_dots, r);
  std::uint32_t reached = 0;
  for (std::size_t r = 0; r < kGroupRows; ++r) reached |= static_cast<std::uint32_t>(upper[r] >= query.least) << r;
  return reached;
}

[[maybe_unused]] void nothing() {}
