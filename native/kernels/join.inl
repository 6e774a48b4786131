// Parts of the join kernels in plain loops that the compiler turns into vectors; included inside an anonymous
// namespace.

void best(const std::int32_t* dots, const std::int32_t* starts, std::size_t n_queries, std::uint32_t group,
          std::int32_t* values, std::uint32_t* groups) {
  for (std::size_t q = 0; q < n_queries; ++q) {
    for (std::size_t c = 0; c < kGroupRows; ++c) {
      const std::size_t at = q * kGroupRows + c;
      const std::int32_t value = dots[at] + starts[c];
      const bool is_better = value > values[at];
      values[at] = is_better ? value : values[at];
      groups[at] = is_better ? group : groups[at];
    }
  }
}

// The codes of a row that is read soon come from memory meanwhile.
constexpr std::size_t kRowsAhead = 8;

inline void prefetch_row(const std::uint8_t* row, std::size_t length) {
  for (std::size_t i = 0; i < length; i += 64) __builtin_prefetch(row + i);
}
