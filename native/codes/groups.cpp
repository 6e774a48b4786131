#include "codes/groups.hpp"

namespace pairdex {
namespace {
constexpr float kUp = 1.0f + 0x1p-20f;  // more than the roundings of the sums below
}

void Group::set(const std::uint8_t* head, const std::uint8_t* rest, std::size_t first_id, std::uint32_t wanted,
                const LargestNorms& largest) {
  head_ = head;
  rest_ = rest;
  first_id_ = first_id;
  wanted_ = wanted;
  rest_read_ = false;
  if (wanted == 0) return;
  const auto& facts = *reinterpret_cast<const HeadFacts*>(head);
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
