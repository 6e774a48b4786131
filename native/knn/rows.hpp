// Passes over stored rows that need no arithmetic.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/kernel.hpp"

namespace pairdex {

enum class RowState : std::uint8_t { kGood = 0, kZero = 1, kNotFinite = 2 };

// Writes to state[r] whether row r can be normalised.
void check_rows(const Half* rows, std::size_t dim, std::span<std::uint8_t> state);

}  // namespace pairdex
