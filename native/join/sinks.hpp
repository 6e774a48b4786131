// What becomes of the pairs that a join finds.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "join/rows.hpp"

namespace pairdex::join {

class Sink {
 public:
  virtual ~Sink() = default;
  // Pairs of x that are farther apart are not wanted.
  virtual double cutoff(std::uint32_t x) const = 0;
  // The cutoff of x may become smaller when a pair of x is added.
  virtual bool narrows() const { return false; }
  virtual bool wants_all() const { return true; }
  virtual bool wants(std::uint32_t, std::uint32_t) const { return true; }
  // Called by many threads at once, all pairs of one x by one of them.
  virtual void add(std::span<const Pair> pairs) = 0;
  // Nothing more is wanted.
  virtual bool is_full() const { return false; }
};

// All pairs, up to a limit.
class AllPairs : public Sink {
 public:
  AllPairs(double within, std::size_t limit) : within_(within), limit_(limit) {}
  double cutoff(std::uint32_t) const override { return within_; }
  void add(std::span<const Pair> pairs) override;
  bool is_full() const override { return full_.load(std::memory_order_relaxed); }
  std::vector<Pair>& pairs() { return pairs_; }

 private:
  double within_;
  std::size_t limit_;
  std::atomic<bool> full_{false};
  std::mutex lock_;
  std::vector<Pair> pairs_;
};

// The nearest y of a smaller rank for each x; of equally near ones the one of the smallest id.
class NearestEarlier : public Sink {
 public:
  // By the id of x: `of` holds -1 and `distances` infinity, or what was found before. `all_earlier`: each y has a
  // smaller rank than each x.
  NearestEarlier(const CodedRows& rows, double within, bool all_earlier, std::span<std::int64_t> of,
                 std::span<double> distances)
      : rows_(rows), within_(within), all_earlier_(all_earlier), of_(of), distances_(distances) {}
  double cutoff(std::uint32_t x) const override;
  bool narrows() const override { return true; }
  bool wants_all() const override { return all_earlier_; }
  bool wants(std::uint32_t x, std::uint32_t y) const override { return rows_.ranks[y] < rows_.ranks[x]; }
  void add(std::span<const Pair> pairs) override;

 private:
  const CodedRows& rows_;
  double within_;
  bool all_earlier_;
  std::span<std::int64_t> of_;
  std::span<double> distances_;
};

}  // namespace pairdex::join
