// Joins: kernels against the scalar twin, the inequalities of docs/certified.md, section 10, and all pairs found.
#include "join/join.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <vector>

#include "join/assign.hpp"
#include "join/greedy.hpp"
#include "joined_rows.hpp"
#include "kernels/kernel.hpp"

using namespace pairdex;

namespace {

std::vector<std::int32_t> random_ints(std::size_t n, std::int32_t most, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> values(n);
  for (std::int32_t& value : values)
    value = static_cast<std::int32_t>(random() % (2u * static_cast<unsigned>(most) + 1u)) - most;
  return values;
}

std::vector<std::int8_t> random_codes(std::size_t n, unsigned seed) {
  std::vector<std::int8_t> codes;
  for (const std::int32_t value : random_ints(n, 127, seed)) codes.push_back(static_cast<std::int8_t>(value));
  return codes;
}

}  // namespace

TEST_CASE("join kernels give what the scalar twin gives") {
  const std::vector<std::int32_t> dots = random_ints(37 * kGroupRows, 1000, 1);
  const std::vector<std::int32_t> starts = random_ints(kGroupRows, 1000, 2), limits = random_ints(37, 1000, 3);
  for (const Kernel& kernel : usable_kernels()) {
    INFO(kernel.name);
    std::vector<std::uint32_t> masks(37), expected_masks(37);
    kScalarJoin.reach(dots.data(), starts.data(), limits.data(), 37, expected_masks.data());
    kernel.joins->reach(dots.data(), starts.data(), limits.data(), 37, masks.data());
    CHECK(masks == expected_masks);
    std::vector<std::int32_t> values(dots.size(), -500), expected_values = values;
    std::vector<std::uint32_t> groups(dots.size(), 9), expected_groups = groups;
    kScalarJoin.best(dots.data(), starts.data(), 37, 4, expected_values.data(), expected_groups.data());
    kernel.joins->best(dots.data(), starts.data(), 37, 4, values.data(), groups.data());
    CHECK(values == expected_values);
    CHECK(groups == expected_groups);
    for (const std::size_t length : {64u, 128u, 192u, 256u, 320u}) {
      std::vector<std::int8_t> query = random_codes(length, 4);
      std::fill_n(query.begin(), 32, std::int8_t{127});
      std::vector<std::uint8_t> codes(50 * length, 255);
      const std::vector<std::int8_t> some = random_codes(codes.size() / 2, 5);
      for (std::size_t i = 0; i < some.size(); ++i) codes[i] = static_cast<std::uint8_t>(some[i] + 128);
      const std::vector<std::uint32_t> rows = {49, 0, 3, 3, 48, 7, 20, 21, 22, 23, 24, 25};
      std::vector<std::int32_t> out(rows.size()), expected(rows.size());
      kScalarJoin.row_dots(query.data(), codes.data(), length, rows.data(), rows.size(), expected.data());
      kernel.joins->row_dots(query.data(), codes.data(), length, rows.data(), rows.size(), out.data());
      CHECK(out == expected);
    }
  }
}

TEST_CASE("join kernels pack codes as the scalar twin does") {
  const std::vector<std::int8_t> codes = random_codes(60 * join::kSmall, 8);
  for (const std::size_t n : {1u, 15u, 16u, 17u, 31u, 32u, 33u, 50u}) {
    std::vector<std::uint32_t> rows(n);
    for (std::size_t i = 0; i < n; ++i) rows[i] = static_cast<std::uint32_t>(i * 37 % 60);
    std::vector<std::uint8_t> expected(64 * kCodeStep), packed = expected;
    kScalarJoin.pack(codes.data(), rows.data(), n, expected.data());
    for (const Kernel& kernel : usable_kernels()) {
      INFO(kernel.name, " rows ", n);
      kernel.joins->pack(codes.data(), rows.data(), n, packed.data());
      CHECK(packed == expected);
    }
  }
}

TEST_CASE("codes are no farther apart than the proof says") {
  for (const Kernel& kernel : usable_kernels()) {
    for (const auto& [dim, small, large] : kMaps) {
      INFO(kernel.name, " dim ", dim);
      constexpr std::size_t kRows = 60;
      const std::vector<Half> rows = adversarial_rows(kRows, dim, std::min(small, dim), 6);
      const PlainMap plain(dim, small, large, *kernel.rows);
      const Coded coded(rows, plain.map, *kernel.rows);
      const double stretch = std::sqrt(1.0 + plain.map.basis_error);
      for (std::size_t a = 0; a < kRows; ++a) {
        for (std::size_t b = a + 1; b < kRows; ++b) {
          const double distance = true_distance(rows.data() + a * dim, rows.data() + b * dim, dim) * stretch;
          double of_small = 0, of_large = 0;
          for (std::size_t i = 0; i < join::kSmall; ++i) {
            of_small += std::pow(coded.small[a * join::kSmall + i] - coded.small[b * join::kSmall + i], 2);
          }
          const std::size_t length = plain.map.large.length;
          for (std::size_t i = 0; i < length; ++i) {
            of_large += std::pow(coded.large[a * length + i] - coded.large[b * length + i], 2);
          }
          CHECK(std::sqrt(of_small) <= 127.0 / 0.3 * distance + 2.0 * coded.errors.small);
          if (length > 0) CHECK(std::sqrt(of_large) <= 127.0 / 0.2 * distance + 2.0 * coded.errors.large);
        }
      }
    }
  }
}

TEST_CASE("the reaches of near rows in two lists add up to what the planes allow") {
  for (const Kernel& kernel : usable_kernels()) {
    INFO(kernel.name);
    constexpr std::size_t kRows = 300, kLists = 70;
    std::vector<std::int8_t> codes = random_codes(kRows * join::kSmall, 7);
    for (std::int8_t& code : codes) code = static_cast<std::int8_t>(code / 8);
    std::vector<std::int8_t> centroids(codes.begin(), codes.begin() + kLists * join::kSmall);
    std::copy_n(centroids.begin(), join::kSmall, centroids.end() - join::kSmall);  // one of them twice
    const join::Planes planes(centroids.data(), kLists, kernel);
    std::vector<std::uint32_t> lists(kRows);
    std::vector<std::int32_t> own(kRows);
    join::assign(codes, planes, kernel, 2, std::atomic<bool>{false}, lists, own);
    const auto score = [&](std::size_t r, std::size_t c) {
      std::int32_t dot = 0, squared = 0;
      for (std::size_t i = 0; i < join::kSmall; ++i) {
        dot += codes[r * join::kSmall + i] * centroids[c * join::kSmall + i];
        squared += centroids[c * join::kSmall + i] * centroids[c * join::kSmall + i];
      }
      return dot - (squared >> 1);
    };
    for (std::size_t r = 0; r < kRows; ++r) {
      std::size_t best = 0;
      for (std::size_t c = 1; c < kLists; ++c) best = score(r, c) > score(r, best) ? c : best;
      CHECK(lists[r] == best);
      CHECK(own[r] == score(r, best));
    }
    std::size_t tight = 0;
    for (std::size_t a = 0; a < kRows; ++a) {
      for (std::size_t b = 0; b < kRows; ++b) {
        double squared = 0;
        for (std::size_t i = 0; i < join::kSmall; ++i) {
          squared += std::pow(codes[a * join::kSmall + i] - codes[b * join::kSmall + i], 2);
        }
        const double apart = planes.apart(lists[a], lists[b] / kGroupRows)[lists[b] % kGroupRows];
        const std::int32_t most = join::most_between(apart, std::sqrt(squared));
        const std::int32_t sum = own[a] - score(a, lists[b]) + own[b] - score(b, lists[a]);
        CHECK(sum <= most);
        tight += sum > most / 2;
      }
    }
    CHECK(tight > 0);
  }
}

TEST_CASE("a join finds the pairs within the limit, whatever the kernel, the threads and the ranges") {
  for (const auto& map : kMaps) {
    for (const Kernel& kernel : usable_kernels()) {
      INFO(kernel.name, " dim ", map[0]);
      const Joined joined(map, 9, kernel);
      const double within = 0.1;
      const std::vector<std::uint32_t>& slots = joined.slots;
      std::map<std::pair<std::uint32_t, std::uint32_t>, double> found;
      for (const auto& [first, end] : {std::pair<std::size_t, std::size_t>{0, 170}, {170, kJoined}}) {
        for (const auto& [other, other_end] : {std::pair<std::size_t, std::size_t>{0, 300}, {300, kJoined}}) {
          join::AllPairs sink(within, 1 << 20);
          const join::Request request{{slots, first, end}, {slots, other, other_end}, true, joined.limits(within), 3};
          join::run(joined.all, joined.planes, request, kernel, std::atomic<bool>{false}, sink);
          for (const join::Pair& pair : sink.pairs()) {
            const auto key = std::minmax(joined.order[pair.x], joined.order[pair.y]);
            CHECK(found.emplace(key, pair.distance).second);
          }
        }
      }
      std::size_t expected = 0;
      for (std::uint32_t a = 0; a < kJoined; ++a) {
        for (std::uint32_t b = a + 1; b < kJoined; ++b) {
          const double d = joined.distance(a, b);
          if (d > within) continue;
          ++expected;
          const auto it = found.find({a, b});
          REQUIRE(it != found.end());
          CHECK(std::abs(it->second - d) < 1e-12);
        }
      }
      CHECK(found.size() == expected);
      CHECK(expected > 0);
    }
  }
}

TEST_CASE("the nearest earlier row is found though each row found narrows the limits") {
  for (const auto& map : kMaps) {
    for (const Kernel& kernel : usable_kernels()) {
      for (const double within : {0.1, 0.9}) {
        INFO(kernel.name, " dim ", map[0], " within ", within);
        const Joined joined(map, 40, kernel);
        std::vector<std::int64_t> of(kJoined, -1);
        std::vector<double> distances(kJoined, std::numeric_limits<double>::infinity());
        const join::Range all{joined.slots, 0, kJoined};
        join::NearestEarlier sink(joined.all, within, false, of, distances);
        const join::Request request{all, all, false, joined.limits(within), 3};
        join::run(joined.all, joined.planes, request, kernel, std::atomic<bool>{false}, sink);
        std::size_t near = 0;
        for (std::uint32_t a = 0; a < kJoined; ++a) {
          double least = std::numeric_limits<double>::infinity();
          for (std::uint32_t b = 0; b < a; ++b) least = std::min(least, joined.distance(a, b));
          if (least > within) {
            CHECK(of[a] == -1);
            continue;
          }
          ++near;
          REQUIRE(of[a] >= 0);
          CHECK(of[a] < a);
          CHECK(std::abs(distances[a] - least) < 1e-12);
          CHECK(std::abs(joined.distance(a, static_cast<std::size_t>(of[a])) - least) < 1e-12);
        }
        CHECK(near > 0);
      }
    }
  }
}

TEST_CASE("a narrowed limit leaves the rows that are near enough in reach") {
  const Kernel& kernel = usable_kernels().front();
  constexpr std::size_t kLists = 40;
  const Joined joined({300, 63, 255}, kLists, kernel);
  const join::Limits limits = joined.limits(1.0);
  const join::Range all{joined.slots, 0, kJoined};
  join::EntryFinder finder(joined.planes, limits.small.distance(1.0), kernel);
  std::size_t narrowed_away = 0;
  for (const join::Piece& piece : join::cut(joined.all, all)) {
    // Each row still wants what is as near as the row after it.
    std::vector<std::int64_t> of(kJoined, -1);
    std::vector<double> distances(kJoined);
    for (std::size_t r = 0; r < kJoined; ++r) distances[r] = joined.distance(r, (r + 1) % kJoined);
    const join::NearestEarlier sink(joined.all, 1.0, false, of, distances);
    join::Gathered gathered;
    gathered.read(joined.all, all, piece, limits);
    join::Buckets before, after;
    for (std::size_t group = 0; group < joined.planes.groups(); ++group) {
      const std::uint32_t wanted = join::ListRange{0, kLists}.of_group(group);
      gathered.read(joined.all, all, piece, limits);
      finder.find(piece.list, gathered, group, wanted, before);
      gathered.narrow(joined.all, all, piece, limits, sink);
      finder.find(piece.list, gathered, group, wanted, after);
      for (std::size_t c = 0; c < kGroupRows; ++c) {
        narrowed_away += before[c].size() - after[c].size();
        for (std::size_t y = 0; y < kJoined; ++y) {
          if (joined.lists[y] != group * kGroupRows + c) continue;
          for (const join::Entry& entry : before[c]) {
            const std::size_t row = joined.order[piece.first + entry.row];
            if (joined.order[y] != (row + 1) % kJoined || distances[row] > 1.0) continue;
            const auto kept = std::find_if(after[c].begin(), after[c].end(),
                                           [&](const join::Entry& one) { return one.row == entry.row; });
            REQUIRE(kept != after[c].end());
            const double apart = joined.planes.apart(piece.list, group)[c];
            const double u = static_cast<double>(finder.least_sum(c)) - entry.reach;
            CHECK(kept->reach <= entry.reach);
            CHECK(kept->reach >= std::floor(limits.small.distance(distances[row]) * apart - u));
          }
        }
      }
    }
  }
  CHECK(narrowed_away > 0);
}

TEST_CASE("of rows in their order those are kept that no kept row before them is near") {
  const std::vector<std::uint32_t> later = {1, 2, 3, 3, 4}, earlier = {0, 1, 0, 2, 3}, ids = {9, 8, 7, 6, 5};
  const std::vector<double> distances = {0.1, 0.1, 0.2, 0.2, 0.1};
  std::vector<std::int64_t> of(5);
  std::vector<double> nearest(5);
  join::keep_first(later, earlier, distances, ids, of, nearest);
  CHECK(of == std::vector<std::int64_t>{-1, 0, -1, 2, -1});  // of equally near ones that of the smaller id
  CHECK(nearest[3] == 0.2);
}
