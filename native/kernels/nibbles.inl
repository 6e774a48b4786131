// The scores of 4-bit codes in plain loops that the compiler turns into the vectors of the instruction set the
// including file is compiled for; included inside an anonymous namespace.

inline float score_of(const NibbleRows& rows, const NibbleQuery& query, const std::int32_t* dots, std::size_t r) {
  return rows.scale[r] * (query.scale * (static_cast<float>(dots[r]) - query.offset)) +
         query.along_mean * rows.along_mean[r] + query.along_gap * rows.along_gap[r] + query.bonus * rows.bonus[r];
}

std::uint32_t reach(const NibbleRows& rows, const NibbleQuery& query, const std::int32_t* dots, float* scores) {
  const NibbleQuery terms = query;
  std::int32_t any = 0;
  for (std::size_t r = 0; r < kGroupRows; ++r) {
    scores[r] = score_of(rows, terms, dots, r);
    any |= -static_cast<std::int32_t>(scores[r] >= terms.least);
  }
  if (any == 0) return 0;
  std::uint32_t reached = 0;
  for (std::size_t r = 0; r < kGroupRows; ++r) reached |= static_cast<std::uint32_t>(scores[r] >= terms.least) << r;
  return reached;
}

void best(const NibbleRows& rows, const NibbleQuery* queries, const std::int32_t* dots, std::size_t n,
          std::uint32_t first, float* scores, std::uint32_t* numbers) {
  for (std::size_t q = 0; q < n; ++q, dots += kGroupRows) {
    const NibbleQuery terms = queries[q];
    const std::uint32_t number = first + static_cast<std::uint32_t>(q);
    for (std::size_t r = 0; r < kGroupRows; ++r) {
      const float score = score_of(rows, terms, dots, r);
      numbers[r] = score > scores[r] ? number : numbers[r];
      scores[r] = score > scores[r] ? score : scores[r];
    }
  }
}
