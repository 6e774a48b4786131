#include "join/measure.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "knn/query.hpp"

namespace pairdex::join {
namespace {

constexpr std::size_t kFoundAtOnce = 256;
constexpr std::size_t kAhead = 4;  // rows on their way from memory

void prefetch(const Half* row, std::size_t dim) {
  const auto* bytes = reinterpret_cast<const char*>(row);
  for (std::size_t i = 0; i < dim * sizeof(Half); i += 64) __builtin_prefetch(bytes + i);
}

// The norm that the search computes of a query, from the squared norm that it computes of the same row. Float16
// values are multiples of 2^-24: up to 32 no sum of their squares is rounded, whatever the order.
double query_norm(const RowKernel& kernel, const Half* row, std::size_t dim, double squared, std::vector<float>& wide) {
  if (squared <= 32.0) return std::sqrt(squared);
  wide.resize(padded(dim));
  kernel.widen(row, dim, wide.data());
  return std::sqrt(pairdex::squared_norm({wide.data(), dim}));
}

// Writes an unsigned code with 128 subtracted, and returns the sum of that.
std::int32_t make_signed(const std::uint8_t* from, std::size_t length, std::int8_t* to) {
  constexpr std::uint64_t kFlip = 0x8080808080808080u, kEven = 0x00ff00ff00ff00ffu, kLanes = 0x0001000100010001u;
  std::int32_t sum = 0;
  for (std::size_t step = 0; step < length; step += kCodeStep) {
    std::uint64_t sums = 0;  // four of 16 bits, at most 8 x 510 each
    for (std::size_t i = step; i < step + kCodeStep; i += sizeof sums) {
      std::uint64_t eight;
      std::memcpy(&eight, from + i, sizeof eight);
      sums += (eight & kEven) + (eight >> 8 & kEven);
      eight ^= kFlip;
      std::memcpy(to + i, &eight, sizeof eight);
    }
    sum += static_cast<std::int32_t>(sums * kLanes >> 48) - 128 * static_cast<std::int32_t>(kCodeStep);
  }
  return sum;
}

}  // namespace

Measure::Measure(const CodedRows& rows, const Limits& limits, const Kernel& kernel, Sink& sink)
    : rows_(rows),
      limits_(limits),
      large_squared_(limits.large.squared(limits.within)),
      kernel_(kernel),
      sink_(sink),
      code_(rows.large_length) {}

void Measure::operator()(std::uint32_t x, std::vector<std::uint32_t>& ys) {
  if (!sink_.wants_all()) std::erase_if(ys, [&](std::uint32_t y) { return !sink_.wants(x, y); });
  if (ys.empty()) return;
  if (rows_.large_length > 0) by_large_codes(x, ys);
  if (ys.empty()) return;
  const std::size_t dim = rows_.blocks.dim();
  for (std::size_t i = 0; i < std::min(kAhead, ys.size()); ++i) prefetch(rows_.blocks.row(rows_.ids[ys[i]]), dim);
  prepare(x);
  counts.near += ys.size();
  for (std::size_t i = 0; i < ys.size(); ++i) {
    if (i + kAhead < ys.size()) prefetch(rows_.blocks.row(rows_.ids[ys[i + kAhead]]), dim);
    const NearDot near = kernel_.rows->near(rows_.blocks.row(rows_.ids[ys[i]]), wide_.data(), dim);
    const double cosine = near.dot / std::sqrt(static_cast<double>(near.squared_norm) * squared_norm_);
    if (1.0 - cosine <= sink_.cutoff(x) + limits_.near_error) exactly(x, ys[i]);
  }
  if (found_.size() >= kFoundAtOnce) flush();
}

void Measure::by_large_codes(std::uint32_t x, std::vector<std::uint32_t>& ys) {
  const std::size_t length = rows_.large_length;
  const std::int32_t sum = make_signed(rows_.large + x * length, length, code_.data());
  dots_.resize(ys.size());
  kernel_.joins->row_dots(code_.data(), rows_.large, length, ys.data(), ys.size(), dots_.data());
  counts.large += ys.size();
  const double cutoff = sink_.cutoff(x);
  const std::int64_t most = cutoff < limits_.within ? limits_.large.squared(cutoff) : large_squared_;
  left_.clear();
  for (std::size_t i = 0; i < ys.size(); ++i) {
    const std::int64_t dot = dots_[i] - 128 * sum;
    const std::int64_t squared = rows_.large_norms[x] + std::int64_t{rows_.large_norms[ys[i]]} - 2 * dot;
    if (squared <= most) left_.emplace_back(squared, ys[i]);
  }
  // The nearest first: what is found may narrow the limit for the others.
  if (sink_.narrows()) std::sort(left_.begin(), left_.end());
  ys.resize(left_.size());
  std::transform(left_.begin(), left_.end(), ys.begin(), [](const auto& one) { return one.second; });
}

void Measure::prepare(std::uint32_t x) {
  const std::size_t dim = rows_.blocks.dim();
  const Half* row = rows_.blocks.row(rows_.ids[x]);
  wide_.resize(padded(dim));
  kernel_.rows->widen(row, dim, wide_.data());
  squared_norm_ = kernel_.rows->exact(row, wide_.data(), dim).squared_norm;
  query_norm_ = squared_norm_ <= 32.0 ? std::sqrt(squared_norm_) : std::sqrt(squared_norm({wide_.data(), dim}));
}

void Measure::exactly(std::uint32_t x, std::uint32_t y) {
  const std::size_t dim = rows_.blocks.dim();
  const Half* row = rows_.blocks.row(rows_.ids[y]);
  ExactDot exact = kernel_.rows->exact(row, wide_.data(), dim);
  ++counts.exact;
  double norm = query_norm_;
  if (rows_.ranks[y] > rows_.ranks[x]) {  // y is the query: the products are the same, added in the same order
    std::vector<float> wide;
    norm = query_norm(*kernel_.rows, row, dim, exact.squared_norm, wide);
    exact.squared_norm = squared_norm_;
  }
  const double distance = cosine_distance(exact, norm);
  if (distance > sink_.cutoff(x)) return;
  found_.push_back({x, y, distance});
  if (sink_.narrows()) flush();
}

void Measure::flush() {
  if (!found_.empty()) sink_.add(found_);
  found_.clear();
}

}  // namespace pairdex::join
