// What becomes of the pairs that a join finds.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
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
  virtual bool wants(std::uint32_t x, std::uint32_t y) const = 0;
  // Called by many threads at once.
  virtual void add(std::span<const Pair> pairs) = 0;
  // Nothing more is wanted.
  virtual bool is_full() const { return false; }
};

// All pairs, up to a limit.
class AllPairs : public Sink {
 public:
  AllPairs(double within, std::size_t limit) : within_(within), limit_(limit) {}
  double cutoff(std::uint32_t) const override { return within_; }
  bool wants(std::uint32_t, std::uint32_t) const override { return true; }
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
  // By the id of x: `of` holds -1 and `distances` infinity, or what was found before.
  NearestEarlier(const CodedRows& rows, double within, std::span<std::int64_t> of, std::span<double> distances);
  double cutoff(std::uint32_t x) const override;
  bool wants(std::uint32_t x, std::uint32_t y) const override { return rows_.ranks[y] < rows_.ranks[x]; }
  void add(std::span<const Pair> pairs) override;

 private:
  static constexpr std::size_t kLocks = 1024;

  const CodedRows& rows_;
  double within_;
  std::span<std::int64_t> of_;
  std::span<double> distances_;
  std::unique_ptr<std::mutex[]> locks_;
};

}  // namespace pairdex::join
