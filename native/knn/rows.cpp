#include "knn/rows.hpp"

namespace pairdex {
namespace {

constexpr std::int16_t kInfinity = 0x7c00;

RowState state_of(const Half* row, std::size_t dim) {
  std::int16_t any = 0;
  std::int16_t special = 0;
  for (std::size_t i = 0; i < dim; ++i) {
    const auto magnitude = static_cast<std::int16_t>(row[i].bits & 0x7fff);
    any = static_cast<std::int16_t>(any | magnitude);
    special = static_cast<std::int16_t>(special | -static_cast<int>(magnitude >= kInfinity));
  }
  if (special != 0) return RowState::kNotFinite;
  return any == 0 ? RowState::kZero : RowState::kGood;
}

}  // namespace

void check_rows(const Half* rows, std::size_t dim, std::span<std::uint8_t> state) {
  for (std::size_t r = 0; r < state.size(); ++r) state[r] = static_cast<std::uint8_t>(state_of(rows + r * dim, dim));
}

}  // namespace pairdex
