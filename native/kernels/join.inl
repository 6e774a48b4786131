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

inline constexpr std::uint32_t kFlip = 0x80808080u;  // adds 128 to each byte

// Column `n` of a group and of those after it.
inline void pack_column(const std::int8_t* code, std::size_t n, std::uint8_t* out) {
  std::uint8_t* to = out + n / kHalfRows * kHalfRows * kCodeStep + n % kHalfRows * 4;
  for (std::size_t i = 0; i < kCodeStep; i += 4) {
    std::uint32_t four;
    std::memcpy(&four, code + i, sizeof four);
    four ^= kFlip;
    std::memcpy(to + i * kHalfRows, &four, sizeof four);
  }
}

[[maybe_unused]] void pack(const std::int8_t* codes, const std::uint32_t* rows, std::size_t n, std::uint8_t* out) {
  for (std::size_t r = 0; r < n; ++r) pack_column(codes + rows[r] * kCodeStep, r, out);
}

// The codes of a row that is read soon come from memory meanwhile.
constexpr std::size_t kRowsAhead = 8;

inline void prefetch_row(const std::uint8_t* row, std::size_t length) {
  for (std::size_t i = 0; i < length; i += 64) __builtin_prefetch(row + i);
}
