// The scan of groups of 4-bit codes: every row is scored against some queries, each keeps its best.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "ivf/best.hpp"
#include "ivf/layout.hpp"
#include "ivf/queries.hpp"
#include "kernels/kernel.hpp"

namespace pairdex::ivf {

// Groups of rows one after another; row r of group g has the place g * kGroupRows + r.
struct Groups {
  const std::uint8_t* data;
  const float* bonus;  // one a place, or nullptr: none
};

class Scanner {
 public:
  Scanner(const Layout& layout, const Kernel& kernel) : layout_(layout), kernel_(kernel) {}

  // Offers the rows of groups first, first + 1, ... end - 1 to the best of the queries of these numbers.
  // `wanted`: nullptr, or for each group from `first` on the rows that may be offered, a bit each.
  void scan(const Groups& groups, std::size_t first, std::size_t end, const QueryCodes& queries,
            std::span<const std::uint32_t> numbers, std::span<Best> best, const std::uint32_t* wanted = nullptr);

 private:
  static void offer(std::uint32_t reached, std::size_t group, const float* scores, Best& best);

  Layout layout_;
  const Kernel& kernel_;
  WideFacts wide_;
  std::vector<std::int8_t> gathered_;
  std::vector<std::int32_t> dots_;
  std::vector<NibbleQuery> terms_;
};

}  // namespace pairdex::ivf
