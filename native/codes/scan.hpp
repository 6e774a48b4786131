// Exact nearest rows by their codes: integer arithmetic rules rows out by a proven bound, float64 decides the rest.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "codes/layout.hpp"
#include "kernels/kernel.hpp"
#include "knn/blocks.hpp"
#include "knn/request.hpp"

namespace pairdex {

struct CodedRequest {
  Request request;
  std::span<const double> coordinates;  // n_queries x dim: unit queries along the basis of the codes
  double slack;                         // what every bound must add, see docs/certified.md, section 5
};

struct ScanReport {
  std::size_t by_head = 0;   // pairs of query and row bounded by the head
  std::size_t by_full = 0;   // of them, those bounded again with all dimensions
  std::size_t measured = 0;  // of them, those compared in float64
};

// As scan_floats.
ScanReport scan_codes(const Blocks& blocks, const CodePlanes& planes, const CodedRequest& request, const Kernel& kernel,
                      const std::atomic<bool>& stop, Answer answer);

}  // namespace pairdex
