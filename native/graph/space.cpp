#include "graph/space.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "graph/layout.hpp"
#include "ivf/int8.hpp"

namespace pairdex::graph {
namespace {

// Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators", fig. 17.
std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

using Four = float __attribute__((vector_size(16)));

Four load(const float* values) {
  Four four;
  std::memcpy(&four, values, sizeof four);
  return four;
}

void store(float* values, Four four) { std::memcpy(values, &four, sizeof four); }

// Two rounds of butterflies at once: of values `step` and 2 `step` apart.
void butterflies(float* values, std::size_t step) {
  for (std::size_t i = 0; i < step; i += 4) {
    float* v = values + i;
    const Four a = load(v), b = load(v + step), c = load(v + 2 * step), d = load(v + 3 * step);
    const Four sum = a + b, gap = a - b, next_sum = c + d, next_gap = c - d;
    store(v, sum + next_sum);
    store(v + step, gap + next_gap);
    store(v + 2 * step, sum - next_sum);
    store(v + 3 * step, gap - next_gap);
  }
}

// Walsh-Hadamard transform of n values, a power of two from 64 on, up to its scale.
void transform(float* values, std::size_t n) {
  for (float* v = values; v < values + n; v += 4) {
    const float a = v[0] + v[1], b = v[0] - v[1], c = v[2] + v[3], d = v[2] - v[3];
    store(v, Four{a + c, b + d, a - c, b - d});
  }
  std::size_t step = 4;
  for (; 4 * step <= n; step *= 4) {
    for (std::size_t at = 0; at < n; at += 4 * step) butterflies(values + at, step);
  }
  if (step == n) return;
  for (std::size_t i = 0; i < step; i += 4) {
    const Four a = load(values + i), b = load(values + step + i);
    store(values + i, a + b);
    store(values + step + i, a - b);
  }
}

}  // namespace

// A window of a power of two covers half of the dimensions or more: the first ones and the last ones take turns.
Space::Space(std::span<const float> mean, std::uint64_t seed)
    : mean_(mean),
      length_(rotated_length(mean.size())),
      window_(std::bit_floor(length_)),
      rounds_(window_ == length_ ? 2 : 4),
      signs_(rounds_ * length_) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(window_));
  for (std::size_t round = 0; round < rounds_; ++round) {
    const std::size_t first = round % 2 == 0 ? 0 : length_ - window_;
    for (std::size_t i = 0; i < length_; ++i) {
      const float sign = (next_random(seed) >> 63) != 0 ? -1.0f : 1.0f;
      signs_[round * length_ + i] = i >= first && i < first + window_ ? sign * scale : sign;
    }
  }
}

void Space::rotate(float* values) const {
  for (std::size_t round = 0; round < rounds_; ++round) {
    const float* signs = signs_.data() + round * length_;
    for (std::size_t i = 0; i < length_; ++i) values[i] *= signs[i];
    transform(values + (round % 2 == 0 ? 0 : length_ - window_), window_);
  }
}

float Space::centre(const float* unit, float* out) const {
  float along = 0.0f;
  for (std::size_t i = 0; i < dim(); ++i) {
    out[i] = unit[i] - mean_[i];
    along += mean_[i] * out[i];
  }
  std::fill(out + dim(), out + length_, 0.0f);
  rotate(out);
  return along;
}

void RoundedQuery::round(std::span<const float> values) {
  codes.resize(values.size());
  scale = ivf::int8_scale(values);
  const float inverse = 1.0f / scale;
  sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::int32_t code = ivf::nearest(values[i] * inverse);
    codes[i] = static_cast<std::int8_t>(code);
    sum += code;
  }
}

void RoundedQuery::take_row(const std::uint8_t* row, std::size_t length, float step) {
  codes.resize(length);
  scale = step;
  sum = 0;
  for (std::size_t i = 0; i < length; ++i) {
    codes[i] = static_cast<std::int8_t>(std::max(row[i] - kZero, -127));
    sum += codes[i];
  }
}

}  // namespace pairdex::graph
