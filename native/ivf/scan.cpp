#include "ivf/scan.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace pairdex::ivf {
namespace {

constexpr std::size_t kChunk = 128;  // queries: their dots with a group stay in the first-level cache
constexpr std::array<float, kGroupRows> kNoBonus{};

bool side_by_side(std::span<const std::uint32_t> numbers) {
  // Within one block the queries lie so already.
  return numbers.back() - numbers.front() + 1 == numbers.size() &&
         (numbers.size() == 1 || numbers.front() % kBlockQueries == 0);
}

}  // namespace

void Scanner::scan(const Groups& groups, std::size_t first, std::size_t end, const QueryCodes& queries,
                   std::span<const std::uint32_t> numbers, std::span<Best> best, const std::uint32_t* wanted) {
  for (std::size_t at = 0; at < numbers.size(); at += kChunk) {
    const auto some = numbers.subspan(at, std::min(kChunk, numbers.size() - at));
    dots_.resize(std::max(dots_.size(), whole_blocks(some.size()) * kGroupRows));
    const std::int8_t* codes = queries.codes(some.front());
    if (!side_by_side(some)) {
      queries.gather(some, gathered_);
      codes = gathered_.data();
    }
    terms_.clear();
    for (const std::uint32_t number : some) {
      terms_.push_back(queries.terms(number));
      terms_.back().least = best[number].least();
    }
    for (std::size_t g = first; g < end; ++g) {
      const std::uint32_t may = wanted == nullptr ? ~std::uint32_t{0} : wanted[g - first];
      if (may == 0) continue;
      const std::uint8_t* group = groups.data + g * layout_.stride();
      wide_.read(group, *kernel_.rows);
      kernel_.nibbles->dots(codes_of(group), layout_.length, codes, some.size(), dots_.data());
      const NibbleRows rows = wide_.rows(groups.bonus == nullptr ? kNoBonus.data() : groups.bonus + g * kGroupRows);
      for (std::size_t i = 0; i < some.size(); ++i) {
        std::array<float, kGroupRows> scores;
        const std::uint32_t reached =
            may & kernel_.nibbles->reach(rows, terms_[i], dots_.data() + i * kGroupRows, scores.data());
        if (reached == 0) continue;
        offer(reached, g, scores.data(), best[some[i]]);
        terms_[i].least = best[some[i]].least();
      }
    }
  }
}

void Scanner::offer(std::uint32_t reached, std::size_t group, const float* scores, Best& best) {
  for (; reached != 0; reached &= reached - 1) {
    const auto r = static_cast<std::size_t>(std::countr_zero(reached));
    best.offer({scores[r], static_cast<std::uint32_t>(group * kGroupRows + r)});
  }
}

}  // namespace pairdex::ivf
