// Which of rows that are visited one after the other are kept, from the pairs of them that are near each other.
#pragma once

#include <cstdint>
#include <span>

namespace pairdex::join {

// Pairs by ascending `later`, the numbers of rows in the order of their visit; ids[i]: of row i. Writes to of[i] the
// nearest kept row before row i, -1 if i is kept; of equally near ones that of the smallest id.
void keep_first(std::span<const std::uint32_t> later, std::span<const std::uint32_t> earlier,
                std::span<const double> pair_distances, std::span<const std::uint32_t> ids, std::span<std::int64_t> of,
                std::span<double> distances);

}  // namespace pairdex::join
