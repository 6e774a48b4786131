// The nearest rows of an inverted file, approximately: the lists that promise most are scanned by 4-bit codes, the best
// rows of them are compared as they are stored.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "ivf/encode.hpp"
#include "ivf/layout.hpp"
#include "ivf/rotate.hpp"
#include "kernels/kernel.hpp"
#include "knn/blocks.hpp"
#include "knn/request.hpp"

namespace pairdex::ivf {

// An inverted file as it lies in memory.
struct Lists {
  Layout layout;
  Rotation rotation;
  const std::uint8_t* centroids;  // groups, one row a list
  const float* spreads;  // of each list, filled up to whole groups: its rows' root mean square distance from their mean
  std::span<const std::uint64_t> starts;  // the first group of each list, and the end of the last
  const std::uint8_t* groups;
  const std::uint32_t* ids;  // of each place, kNoRow where there is none

  std::size_t size() const { return starts.size() - 1; }
};

// How much is done for a query.
struct Effort {
  std::size_t nprobe;   // lists that are scanned
  std::size_t rerank;   // rows that are compared as stored
  float spread_weight;  // what a list's spread counts beside its centroid's score
};

// Called with the ids of rows before they are compared, several queries' at once; it may throw.
using NeedRows = std::function<void(std::span<const std::uint32_t>)>;

struct Efforts {
  Effort own, other;
  float other_from;  // along the gap: queries from here on are of the other kind: texts among images
  bool from_disk;    // the rows are in mapped files that may not be in memory: ask for many at once before reading
  NeedRows need;     // has the rows, which may not be there; empty if all are
};

struct Report {
  std::size_t scanned = 0;   // pairs of query and row that were scored by codes
  std::size_t compared = 0;  // pairs that were compared as stored
};

Report search(const Lists& lists, const Blocks& blocks, const Request& request, const Efforts& efforts,
              const Kernel& kernel, const std::atomic<bool>& stop, Answer answer);

}  // namespace pairdex::ivf
