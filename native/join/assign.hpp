// The list of each row: that of the centroid with the largest score, in integers.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "join/planes.hpp"

namespace pairdex::join {

// small: n rows of kSmall; own[r]: the row's score with its own centroid.
void assign(std::span<const std::int8_t> small, const Planes& planes, const Kernel& kernel, std::size_t n_threads,
            const std::atomic<bool>& stop, std::span<std::uint32_t> lists, std::span<std::int32_t> own);

}  // namespace pairdex::join
