// The space of a graph: vectors are centred and rotated at random, so that every dimension holds as much of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace pairdex::graph {

class Space {
 public:
  // `mean`: dim floats. The seed decides the rotation.
  Space(std::span<const float> mean, std::uint64_t seed);

  std::size_t dim() const { return mean_.size(); }
  std::size_t length() const { return length_; }
  std::span<const float> mean() const { return mean_; }

  // Rotates `length` floats in place; what lies beyond dim should be zero.
  void rotate(float* values) const;
  // The unit vector `unit`, `dim` floats, less the mean, rotated: `length` floats. Returns mean . (unit - mean).
  float centre(const float* unit, float* out) const;

 private:
  std::span<const float> mean_;
  std::size_t length_, window_;
  std::size_t rounds_;
  std::vector<float> signs_;  // +-1 / sqrt(window) within the round's window, +-1 outside; one row a round
};

// A query of whole numbers; value i is `scale` times codes[i].
struct RoundedQuery {
  std::vector<std::int8_t> codes;
  float scale = 0.0f;
  std::int32_t sum = 0;

  void round(std::span<const float> values);
  // A node's own row as a query.
  void take_row(const std::uint8_t* row, std::size_t length, float step);
};

}  // namespace pairdex::graph
