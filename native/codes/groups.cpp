#include "codes/groups.hpp"

#include <cstring>

namespace pairdex {
namespace {
constexpr float kUp = 1.0f + 0x1p-20f;  // more than the roundings of the sums below

void copy_facts(const HeadFacts& from, std::size_t i, HeadFacts& to, std::size_t r) {
  to.along_mean[r] = from.along_mean[i];
  to.along_gap[r] = from.along_gap[i];
  to.scale[r] = from.scale[i];
  to.coded_norm[r] = from.coded_norm[i];
  to.error_norm[r] = from.error_norm[i];
  to.rest_norm[r] = from.rest_norm[i];
}

void copy_facts(const RestFacts& from, std::size_t i, RestFacts& to, std::size_t r) {
  to.scale[r] = from.scale[i];
  to.coded_norm[r] = from.coded_norm[i];
  to.error_norm[r] = from.error_norm[i];
}

void copy_codes(const std::uint8_t* from, std::size_t i, std::uint8_t* to, std::size_t r, std::size_t length) {
  from += i / kHalfRows * kHalfRows * length + i % kHalfRows * 4;
  to += r / kHalfRows * kHalfRows * length + r % kHalfRows * 4;
  for (std::size_t at = 0; at < length * kHalfRows; at += 4 * kHalfRows) std::memcpy(to + at, from + at, 4);
}

}  // namespace

void Group::set(const CodePlanes& planes, const Layout& layout, std::size_t number, std::uint32_t wanted,
                const LargestNorms& largest) {
  head_ = planes.head + number * layout.head_stride();
  rest_ = planes.rest + number * layout.rest_stride();
  first_id_ = number * kGroupRows;
  ids_ = {};
  wanted_ = wanted;
  if (wanted != 0) read_head(largest);
}

void Group::gather(const CodePlanes& planes, const Layout& layout, std::span<const std::size_t> ids,
                   const LargestNorms& largest) {
  gathered_head_.assign(layout.head_stride(), 0);
  gathered_rest_.assign(layout.rest_stride(), 0);
  auto& head_facts = *reinterpret_cast<HeadFacts*>(gathered_head_.data());
  auto& rest_facts = *reinterpret_cast<RestFacts*>(gathered_rest_.data());
  for (std::size_t r = 0; r < ids.size(); ++r) {
    const std::uint8_t* head = planes.head + ids[r] / kGroupRows * layout.head_stride();
    const std::uint8_t* rest = planes.rest + ids[r] / kGroupRows * layout.rest_stride();
    const std::size_t from = ids[r] % kGroupRows;
    copy_facts(*reinterpret_cast<const HeadFacts*>(head), from, head_facts, r);
    copy_facts(*reinterpret_cast<const RestFacts*>(rest), from, rest_facts, r);
    copy_codes(head + sizeof(HeadFacts), from, gathered_head_.data() + sizeof(HeadFacts), r, layout.head_length);
    copy_codes(rest + sizeof(RestFacts), from, gathered_rest_.data() + sizeof(RestFacts), r, layout.rest_length);
  }
  head_ = gathered_head_.data();
  rest_ = gathered_rest_.data();
  ids_ = ids;
  wanted_ = ids.size() == kGroupRows ? ~std::uint32_t{0} : (std::uint32_t{1} << ids.size()) - 1;
  read_head(largest);
}

void Group::read_head(const LargestNorms& largest) {
  rest_read_ = false;
  const auto& facts = *reinterpret_cast<const HeadFacts*>(head_);
  for (std::size_t r = 0; r < kGroupRows; ++r) {
    coded_error_[r] =
        kUp * (largest.head_error * value_of(facts.coded_norm[r]) + largest.head * value_of(facts.error_norm[r]));
    rest_norm_[r] = value_of(facts.rest_norm[r]);
  }
  terms_ = {.along_mean = facts.along_mean.data(),
            .along_gap = facts.along_gap.data(),
            .head_scale = facts.scale.data(),
            .rest_scale = nullptr,
            .coded_error = coded_error_.data(),
            .rest_error = nullptr,
            .rest_norm = rest_norm_.data()};
}

void Group::read_rest(const LargestNorms& largest) {
  if (rest_read_) return;
  const auto& facts = *reinterpret_cast<const RestFacts*>(rest_);
  for (std::size_t r = 0; r < kGroupRows; ++r) {
    rest_error_[r] =
        kUp * (largest.rest_error * value_of(facts.coded_norm[r]) + largest.rest * value_of(facts.error_norm[r]));
  }
  terms_.rest_scale = facts.scale.data();
  terms_.rest_error = rest_error_.data();
  rest_read_ = true;
}

}  // namespace pairdex
