// Rows in several blocks of memory under one run of ids.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/kernel.hpp"

namespace pairdex {

template <typename Value>
class BlocksOf {
 public:
  explicit BlocksOf(std::size_t dim) : dim_(dim) {}

  void add(const Value* rows, std::size_t n_rows) {
    if (n_rows == 0) return;
    first_.push_back(n_rows_);
    data_.push_back(rows);
    n_rows_ += n_rows;
  }

  std::size_t n_rows() const { return n_rows_; }
  std::size_t dim() const { return dim_; }

  const Value* row(std::size_t id) const {
    const std::size_t block = block_of(id);
    return data_[block] + (id - first_[block]) * dim_;
  }

  // Whether rows first, first + 1, ... end - 1 (at least one) lie side by side.
  bool in_one_block(std::size_t first, std::size_t end) const { return block_of(first) == block_of(end - 1); }

 private:
  std::size_t block_of(std::size_t id) const {
    return static_cast<std::size_t>(std::upper_bound(first_.begin(), first_.end(), id) - first_.begin()) - 1;
  }

  std::size_t dim_;
  std::size_t n_rows_ = 0;
  std::vector<std::size_t> first_;  // id of each block's first row
  std::vector<const Value*> data_;
};

using Blocks = BlocksOf<Half>;

}  // namespace pairdex
