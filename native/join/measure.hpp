// Pairs that the small codes leave: the large codes, float32 and at last float64 decide.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "join/rows.hpp"
#include "join/sinks.hpp"
#include "kernels/kernel.hpp"

namespace pairdex::join {

// Of one thread.
class Measure {
 public:
  Measure(const CodedRows& rows, const Limits& limits, const Kernel& kernel, Sink& sink);

  // Slot y will soon be one of the `ys`.
  void expect(std::uint32_t y) const {
    const std::size_t length = rows_.large_length;
    if (length == 0) return;
    __builtin_prefetch(rows_.large_norms + y);
    for (std::size_t i = 0; i < length; i += 64) __builtin_prefetch(rows_.large + y * length + i);
  }
  // Slot x with slots `ys`, which it leaves in another state.
  void operator()(std::uint32_t x, std::vector<std::uint32_t>& ys);
  // Hands on what was found.
  void flush();
  Counts counts;

 private:
  void by_large_codes(std::uint32_t x, std::vector<std::uint32_t>& ys);
  void prepare(std::uint32_t x);
  void exactly(std::uint32_t x, std::uint32_t y);

  const CodedRows& rows_;
  Limits limits_;
  std::int64_t large_squared_;
  const Kernel& kernel_;
  Sink& sink_;
  std::vector<std::int8_t> code_;
  std::vector<std::int32_t> dots_;
  std::vector<std::pair<std::int64_t, std::uint32_t>> left_;  // squared distances of large codes, and slots
  std::vector<float> wide_;
  double squared_norm_ = 0.0, query_norm_ = 0.0;  // of x
  std::vector<Pair> found_;
};

}  // namespace pairdex::join
