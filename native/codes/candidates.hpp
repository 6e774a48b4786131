// The rows of one query that the codes could not rule out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>
#include <span>
#include <vector>

#include "knn/blocks.hpp"
#include "knn/query.hpp"

namespace pairdex {

// A row with what its codes say of its cosine.
struct Candidate {
  float lower, upper;
  std::size_t id;
};

// Keeps candidates until float64 has decided about them. The k-th largest of the lower bounds is a cosine that k rows
// surely reach: rows bounded below it are out without ever being read.
//
// A search may begin with a guess at that cosine, from a sample of the rows. `settle` returns whether the guess was
// right; if not, rows may be missing and the query must be searched again without one.
class Candidates {
 public:
  Candidates(Query& query, std::size_t k) : query_(query), k_(k), limit_(kExtra + 4 * k), n_lower_(k) {}

  static std::size_t most_bytes(std::size_t k) { return (kExtra + 4 * k) * sizeof(Candidate) + k * sizeof(float); }

  double least_cosine() const { return query_.least_cosine(); }

  // Until `take_guess`, candidates are only a sample of which the `rank`-th best matters.
  void begin_sample(std::size_t rank) { n_lower_ = rank; }
  void add_to_sample(std::span<const Candidate> found);
  void take_guess();

  void add(std::span<const Candidate> found, const Kernel& kernel, const Blocks& blocks);
  // Decides about everything that is pending; false: the guess was too high.
  bool settle(const Kernel& kernel, const Blocks& blocks);
  std::size_t measured() const { return measured_; }

 private:
  static constexpr std::size_t kExtra = 4096;  // candidates kept besides 4 k: 64 KB a query

  void raise(float lower);
  void drop_ruled_out();
  void decide(const Kernel& kernel, const Blocks& blocks);

  Query& query_;
  std::size_t k_, limit_;
  std::size_t n_lower_;       // as many lower bounds are kept
  std::size_t drop_at_ = 64;  // pending candidates that make looking for ruled out ones worthwhile
  std::size_t measured_ = 0;
  double guess_ = -std::numeric_limits<double>::infinity();
  std::mutex lock_;
  std::vector<Candidate> pending_;
  std::vector<float> best_lower_;  // heap, smallest in front, of the largest lower bounds of distinct rows
};

}  // namespace pairdex
