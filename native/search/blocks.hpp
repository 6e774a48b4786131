// Rows in several blocks of memory under one run of ids.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/kernel.hpp"

namespace pairdex {

class Blocks {
 public:
  explicit Blocks(std::size_t dim) : dim_(dim) {}

  void add(const Half* rows, std::size_t n_rows) {
    if (n_rows == 0) return;
    first_.push_back(n_rows_);
    data_.push_back(rows);
    n_rows_ += n_rows;
  }

  std::size_t n_rows() const { return n_rows_; }
  std::size_t dim() const { return dim_; }

  const Half* row(std::size_t id) const {
    const auto block =
        static_cast<std::size_t>(std::upper_bound(first_.begin(), first_.end(), id) - first_.begin()) - 1;
    return data_[block] + (id - first_[block]) * dim_;
  }

 private:
  std::size_t dim_;
  std::size_t n_rows_ = 0;
  std::vector<std::size_t> first_;  // id of each block's first row
  std::vector<const Half*> data_;
};

}  // namespace pairdex
