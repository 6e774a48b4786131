// The graph of the k nearest rows of every row, approximately: rows of a list as one batch, then neighbours of
// neighbours.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "join/planes.hpp"
#include "join/rows.hpp"

namespace pairdex::join {

inline constexpr std::uint32_t kNoSlot = 0xffffffff;

// By slot: k slots, nearest first, equally near ones by slot, and their distances; kNoSlot and infinity fill up.
struct Graph {
  std::size_t k;
  std::span<std::uint32_t> slots;
  std::span<float> distances;
};

struct Effort {
  std::size_t probes;      // lists that a row is compared with
  std::size_t candidates;  // rows that the small codes leave; twice k of them are measured
};

// Compares each row with the rows of the lists nearest to it; what is in the graph already stays if it is nearer.
void by_lists(const CodedRows& rows, const Planes& planes, Effort effort, const Kernel& kernel, std::size_t n_threads,
              const std::atomic<bool>& stop, Graph graph);

// Compares each row with the neighbours of its neighbours, and of the rows whose neighbour it is.
void refine(const CodedRows& rows, const Kernel& kernel, std::size_t n_threads, const std::atomic<bool>& stop,
            Graph graph);

}  // namespace pairdex::join
