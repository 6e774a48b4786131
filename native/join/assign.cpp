#include "join/assign.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "knn/parallel.hpp"

namespace pairdex::join {
namespace {

constexpr std::size_t kPieceRows = 256;

class Worker {
 public:
  Worker(std::span<const std::int8_t> small, const Planes& planes, const Kernel& kernel, std::span<std::uint32_t> lists,
         std::span<std::int32_t> own)
      : small_(small),
        planes_(planes),
        kernel_(kernel),
        lists_(lists),
        own_(own),
        dots_(kPieceRows * kGroupRows),
        values_(kPieceRows * kGroupRows),
        groups_(kPieceRows * kGroupRows),
        rows_(kPieceRows * kSmall) {}

  void operator()(std::size_t piece) {
    const std::size_t first = piece * kPieceRows;
    const std::size_t n = std::min(kPieceRows, lists_.size() - first);
    std::copy_n(small_.data() + first * kSmall, n * kSmall, rows_.data());
    std::fill(values_.begin(), values_.end(), std::numeric_limits<std::int32_t>::min());
    kernel_.codes->enter();
    for (std::size_t g = 0; g < planes_.groups(); ++g) {
      kernel_.codes->dots(planes_.codes(g), kSmall, rows_.data(), n, dots_.data());
      kernel_.joins->best(dots_.data(), planes_.minus_halves(g), n, static_cast<std::uint32_t>(g), values_.data(),
                          groups_.data());
    }
    kernel_.codes->leave();
    for (std::size_t r = 0; r < n; ++r) decide(first, r);
  }

 private:
  void decide(std::size_t first, std::size_t r) {
    const std::int32_t* values = values_.data() + r * kGroupRows;
    const std::uint32_t* groups = groups_.data() + r * kGroupRows;
    const auto number = [&](std::size_t c) { return groups[c] * kGroupRows + c; };
    std::size_t best = 0;
    for (std::size_t c = 1; c < kGroupRows; ++c) {
      if (values[c] > values[best] || (values[c] == values[best] && number(c) < number(best))) best = c;
    }
    lists_[first + r] = static_cast<std::uint32_t>(number(best));
    own_[first + r] = values[best] - 128 * sum_of(rows_.data() + r * kSmall);
  }

  std::span<const std::int8_t> small_;
  const Planes& planes_;
  const Kernel& kernel_;
  std::span<std::uint32_t> lists_;
  std::span<std::int32_t> own_;
  std::vector<std::int32_t> dots_, values_;
  std::vector<std::uint32_t> groups_;
  std::vector<std::int8_t> rows_;  // whole blocks of them
};

}  // namespace

void assign(std::span<const std::int8_t> small, const Planes& planes, const Kernel& kernel, std::size_t n_threads,
            const std::atomic<bool>& stop, std::span<std::uint32_t> lists, std::span<std::int32_t> own) {
  const std::size_t n_pieces = (lists.size() + kPieceRows - 1) / kPieceRows;
  for_each_piece(n_pieces, n_threads, stop, Worker(small, planes, kernel, lists, own));
}

}  // namespace pairdex::join
