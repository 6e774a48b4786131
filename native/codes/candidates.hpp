// The rows of one query that the codes could not rule out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "search/blocks.hpp"
#include "search/query.hpp"

namespace pairdex {

// A row with what its codes say of its cosine.
struct Candidate {
  float lower, upper;
  std::size_t id;
};

// Keeps candidates until float64 has decided about them. The k-th largest of the lower bounds is a cosine that k rows
// surely reach: rows bounded below it are out without ever being read.
class Candidates {
 public:
  Candidates(Query& query, std::size_t k) : query_(query), k_(k), limit_(kRoom + 4 * k) {}

  static std::size_t most_bytes(std::size_t k) { return (kRoom + 4 * k) * sizeof(Candidate) + k * sizeof(float); }

  double least_cosine() const { return query_.least_cosine(); }

  void add(std::span<const Candidate> found, const Kernel& kernel, const Blocks& blocks);
  // Decides about everything that is pending.
  void settle(const Kernel& kernel, const Blocks& blocks);
  std::size_t measured() const { return measured_; }

 private:
  static constexpr std::size_t kRoom = 4096;  // candidates kept besides 4 k: 64 KB a query

  void raise(float lower);
  void drop_ruled_out();

  Query& query_;
  std::size_t k_, limit_;
  std::size_t drop_at_ = 64;  // pending candidates that make looking for ruled out ones worthwhile
  std::size_t measured_ = 0;
  std::mutex lock_;
  std::vector<Candidate> pending_;
  std::vector<float> best_lower_;  // heap, smallest in front, of the k largest lower bounds of distinct rows
};

}  // namespace pairdex
