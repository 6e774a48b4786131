// Queries as the scan of codes wants them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "codes/layout.hpp"
#include "kernels/kernel.hpp"

namespace pairdex {

// The largest norms among the queries of one pass. With them the two parts of a row's error terms are summed once
// for all queries; each query scales the sums by its own shares (docs/certified.md, section 4).
struct LargestNorms {
  float head_error = 0, head = 0, rest_error = 0, rest = 0;
};

class CodedQueries {
 public:
  // `coordinates`: n x dim, of unit queries along the basis, in float64. `slack`: what every bound must add for
  // arithmetic and for the basis.
  CodedQueries(std::span<const double> coordinates, std::size_t dim, double slack);

  std::size_t size() const { return constants_.size(); }
  const std::int8_t* head() const { return head_codes_.data(); }  // in blocks, as kernels/kernel.hpp says
  const std::int8_t* rest() const { return rest_codes_.data(); }
  const LargestNorms& largest() const { return largest_; }

  // Everything but `least`.
  const QueryTerms& terms(std::size_t q) const { return constants_[q].terms; }
  // A bound in units of the head scale below which a row's cosine is surely below `cosine`.
  float least(std::size_t q, double cosine) const;
  double upper_cosine(std::size_t q, float bound) const { return bound * constants_[q].scale + slack_; }
  // The cosine is at least this; errors are the row's.
  double lower_cosine(std::size_t q, float bound, float coded_error, float rest_error) const;

 private:
  struct Constants {
    QueryTerms terms;
    double scale;
  };
  struct Norms {
    double head_error, head, rest, rest_error;
  };
  Norms code(const double* coordinates, std::size_t q, const Layout& layout);
  void share_errors(std::size_t q, const Norms& norms);

  std::size_t dim_;
  double slack_;
  std::vector<std::int8_t> head_codes_, rest_codes_;
  std::vector<Constants> constants_;
  LargestNorms largest_;
};

}  // namespace pairdex
