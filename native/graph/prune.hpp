// Chooses the edges of a node: near ones, but none towards a row that lies behind another neighbour.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/kernel.hpp"

namespace pairdex::graph {

// Rows as whole numbers of 8 bits, stored with 128 added; their distances are those of the numbers.
struct Codes {
  const std::uint8_t* codes;
  std::size_t length, stride;  // bytes of a row, a multiple of kCodeStep; from a row to the next
  const std::int32_t* norms;   // squared
  std::size_t n;

  const std::uint8_t* row(std::size_t i) const { return codes + i * stride; }
};

struct Candidate {
  std::int32_t distance;  // squared
  std::uint32_t node;
  friend bool operator<(const Candidate& a, const Candidate& b) {
    return a.distance < b.distance || (a.distance == b.distance && a.node < b.node);
  }
};

class Pruner {
 public:
  Pruner(const Codes& codes, const Kernel& kernel) : codes_(codes), kernel_(*kernel.graphs), query_(codes.length) {}

  // Some nodes as candidates of `node`, the nearest first, without the node itself, kNoNode and repetitions.
  void measure(std::uint32_t node, std::span<const std::uint32_t> others, std::vector<Candidate>& candidates);
  // Appends candidates to `kept` until it has `most`. It leaves out those that are nearer to one of `kept` than to the
  // node, by the factor `slack`.
  void select(std::span<const Candidate> candidates, float slack, std::size_t most, std::vector<Candidate>& kept);

 private:
  // Squared distances from a node to each of `nodes_`.
  void measure_from(std::uint32_t node);
  void prefetch(std::uint32_t node) const;
  void hide(const Candidate& by, std::span<const Candidate> candidates, std::size_t from, float slack_squared);

  Codes codes_;
  const GraphKernel& kernel_;
  std::vector<std::int8_t> query_;
  std::vector<std::uint32_t> nodes_, places_;
  std::vector<std::int32_t> distances_;
  std::vector<std::uint8_t> is_out_;
};

}  // namespace pairdex::graph
