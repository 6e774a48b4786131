// Pairs of rows within a distance of each other, exactly.
#pragma once

#include <atomic>
#include <cstddef>

#include "join/entries.hpp"
#include "join/planes.hpp"
#include "join/rows.hpp"
#include "join/sinks.hpp"

namespace pairdex::join {

struct Request {
  Range x, y;
  bool is_self;  // x and y are ranges of the same slots: each pair once, its x before its y
  Limits limits;
  std::size_t n_threads;
};

// Hands all pairs of a row of x and another of y within the limits to the sink, unless it is full or `stop`.
Counts run(const CodedRows& rows, const Planes& planes, const Request& request, const Kernel& kernel,
           const std::atomic<bool>& stop, Sink& sink);

}  // namespace pairdex::join
