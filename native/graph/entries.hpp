// Where walks begin: rows in groups, of which a query looks at those that are nearest.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/space.hpp"
#include "kernels/kernel.hpp"

namespace pairdex::graph {

// Vectors of whole numbers, 16 a block as GraphKernel::table_dots wants them. The score of a vector is its product with
// a query, times `scale`, plus its bias; a place without a vector has a bias of minus infinity.
struct Table {
  std::span<const std::uint8_t> codes;
  std::span<const float> biases;  // one a place
  float scale;
  std::size_t length;  // of a vector

  std::size_t blocks() const { return biases.size() / kHalfRows; }
};

struct Entries {
  Table basis;                           // directions in the rotated space; the biases are their scales
  Table groups;                          // means of groups
  Table rows;                            // four blocks for each group
  std::span<const std::uint32_t> nodes;  // of each place of `rows`
};

inline constexpr std::size_t kGroupBlocks = 4;

// A node, or a group, with its score for a query.
struct Scored {
  float score;
  std::uint32_t node;
};

inline bool is_better(const Scored& a, const Scored& b) {
  return a.score > b.score || (a.score == b.score && a.node < b.node);
}

// Scratch of one thread.
class Chooser {
 public:
  Chooser(const Entries& entries, const GraphKernel& kernel);

  // The best `n_seeds` rows of the best `n_groups` groups, the best first.
  std::span<const Scored> choose(const RoundedQuery& query, std::size_t n_groups, std::size_t n_seeds);

 private:
  void project(const RoundedQuery& query);
  // Scores of blocks first, first + 1, ... end - 1 of a table.
  void score(const Table& table, std::size_t first, std::size_t end, std::vector<float>& scores);

  const Entries& entries_;
  const GraphKernel& kernel_;
  std::vector<float> along_, scores_;
  RoundedQuery projected_;
  std::vector<Scored> groups_, seeds_;
};

}  // namespace pairdex::graph
