#include "join/greedy.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <tuple>

namespace pairdex::join {

void keep_first(std::span<const std::uint32_t> later, std::span<const std::uint32_t> earlier,
                std::span<const double> pair_distances, std::span<const std::uint32_t> ids, std::span<std::int64_t> of,
                std::span<double> distances) {
  std::fill(of.begin(), of.end(), -1);
  std::fill(distances.begin(), distances.end(), std::numeric_limits<double>::infinity());
  // Pairs of an earlier row come first, so whether that one is kept is known.
  for (std::size_t i = 0; i < later.size(); ++i) {
    const std::uint32_t row = later[i], other = earlier[i];
    if (of[other] >= 0) continue;
    const std::uint32_t best = of[row] >= 0 ? ids[static_cast<std::size_t>(of[row])] : 0;
    if (std::tie(pair_distances[i], ids[other]) < std::tie(distances[row], best)) {
      of[row] = other;
      distances[row] = pair_distances[i];
    }
  }
}

}  // namespace pairdex::join
