#include "codes/scan.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <deque>
#include <numeric>
#include <vector>

#include "codes/candidates.hpp"
#include "codes/groups.hpp"
#include "codes/queries.hpp"
#include "knn/parallel.hpp"

namespace pairdex {
namespace {

constexpr std::size_t kPanelGroups = 8;     // groups that a chunk of queries meets while it is in the cache
constexpr std::size_t kPiecePanels = 4;     // what a thread takes at once
constexpr std::size_t kChunkQueries = 128;  // their dots with a group stay in the first-level cache
constexpr std::size_t kStateBytes = std::size_t{512} << 20;  // for the queries of one pass, if all is at its worst
constexpr std::size_t kFewQueries = 16;                      // a chunk of fewer is always tested by the heads
constexpr std::uint8_t kUntestedGroups = 63;  // not tested by their heads after one that nearly all queries passed
constexpr std::size_t kSampleStep = 32;       // a guess costs this part of a scan
constexpr std::size_t kGuessFromK = 20;       // for fewer neighbours a guess saves less than it costs
constexpr std::size_t kGuessFromRows = 64;    // times k: in fewer rows as well
// Copying the allowed rows side by side first pays if they are less than one in kGatherBelow of those in their groups,
// or for many queries, each of which saves what the rows between would have cost, less than seven in eight.
constexpr std::size_t kGatherBelow = 8;
constexpr std::size_t kManyQueries = 512;
constexpr float kFloatSlack = 1e-6f;  // more than the rounding of a cosine to float32

// What the threads share: the data, and a run of queries that is searched in one pass over the codes.
struct Pass {
  const Blocks& blocks;
  const CodePlanes& planes;
  const Kernel& kernel;
  std::span<const std::uint8_t> allowed;
  std::span<const std::size_t> picked;  // the only rows to look at; empty: all, as `allowed` says
  const CodedQueries& queries;
  std::deque<Candidates>& candidates;
  Layout layout;
  std::atomic<std::size_t> by_head{0};
  std::atomic<std::size_t> by_full{0};

  std::size_t n_groups() const { return group_count(picked.empty() ? blocks.n_rows() : picked.size()); }

  std::size_t n_panels(std::size_t step) const {
    const std::size_t panels = (n_groups() + kPanelGroups - 1) / kPanelGroups;
    return (panels + step - 1) / step;
  }

  std::size_t n_pieces(std::size_t step) const { return (n_panels(step) + kPiecePanels - 1) / kPiecePanels; }
};

// One thread's part of a pass over all panels or, as a sample, over every `step`-th.
class Worker {
 public:
  Worker(Pass& pass, std::size_t step)
      : pass_(pass),
        step_(step),
        groups_(kPanelGroups),
        terms_(kChunkQueries),
        everyone_(kChunkQueries),
        passed_(kChunkQueries),
        reached_(kChunkQueries),
        head_dots_(kChunkQueries * kGroupRows),
        rest_dots_(kChunkQueries * kGroupRows),
        gathered_(kChunkQueries * pass.layout.rest_length),
        untested_(pass.queries.size() / kChunkQueries + 1) {
    std::iota(everyone_.begin(), everyone_.end(), 0u);
  }

  void operator()(std::size_t piece) {
    const CodeKernel& codes = *pass_.kernel.codes;
    codes.enter();
    const std::size_t end = std::min((piece + 1) * kPiecePanels, pass_.n_panels(step_));
    for (std::size_t panel = piece * kPiecePanels; panel < end; ++panel) scan_panel(panel * step_);
    codes.leave();
    pass_.by_full.fetch_add(n_refined_, std::memory_order_relaxed);
    n_refined_ = 0;
  }

 private:
  void scan_panel(std::size_t panel) {
    const std::size_t first = panel * kPanelGroups;
    const std::size_t n_groups = std::min(kPanelGroups, pass_.n_groups() - first);
    std::size_t n_wanted = 0;
    for (std::size_t g = 0; g < n_groups; ++g) {
      load(groups_[g], first + g);
      n_wanted += groups_[g].wanted() != 0;
    }
    if (n_wanted == 0) return;
    for (std::size_t q = 0; q < pass_.queries.size(); q += kChunkQueries) {
      const std::size_t n = std::min(kChunkQueries, pass_.queries.size() - q);
      for (std::size_t i = 0; i < n; ++i) {
        terms_[i] = pass_.queries.terms(q + i);
        terms_[i].least = pass_.queries.least(q + i, pass_.candidates[q + i].least_cosine());
      }
      for (std::size_t g = 0; g < n_groups; ++g) {
        if (groups_[g].wanted() != 0) compare(groups_[g], q, n);
      }
    }
    pass_.by_head.fetch_add(n_wanted * kGroupRows * pass_.queries.size(), std::memory_order_relaxed);
  }

  void load(Group& group, std::size_t number) {
    const std::size_t first = number * kGroupRows;
    const LargestNorms& largest = pass_.queries.largest();
    if (!pass_.picked.empty()) {
      const std::size_t n = std::min(kGroupRows, pass_.picked.size() - first);
      group.gather(pass_.planes, pass_.layout, pass_.picked.subspan(first, n), largest);
      return;
    }
    std::uint32_t wanted = ~std::uint32_t{0};
    if (!pass_.allowed.empty()) {
      wanted = 0;
      const std::size_t n = std::min(kGroupRows, pass_.blocks.n_rows() - first);
      for (std::size_t r = 0; r < n; ++r) wanted |= std::uint32_t{pass_.allowed[first + r] != 0} << r;
    }
    group.set(pass_.planes, pass_.layout, number, wanted, largest);
  }

  // Queries first, first + 1, ... with one group.
  void compare(Group& group, std::size_t first, std::size_t n) {
    const CodeKernel& codes = *pass_.kernel.codes;
    codes.dots(group.head_codes(), pass_.layout.head_length, pass_.queries.head() + first * pass_.layout.head_length, n,
               head_dots_.data());
    std::uint8_t& untested = untested_[first / kChunkQueries];
    std::size_t n_passed = n;
    if (untested == 0) {
      n_passed = codes.pass_head(group.terms(), terms_.data(), head_dots_.data(), n, passed_.data());
      if (n_passed == 0) return;
      if (n >= kFewQueries && n_passed >= n - n / 8) untested = kUntestedGroups;
    } else {
      --untested;
    }
    if (2 * n_passed > n) {
      refine(group, first, everyone_, pass_.queries.rest() + first * pass_.layout.rest_length, n);
    } else {
      gather(first, n_passed);
      refine(group, first, passed_, gathered_.data(), n_passed);
    }
  }

  // Side by side the rest codes of the queries that passed.
  void gather(std::size_t first, std::size_t n_passed) {
    const std::size_t length = pass_.layout.rest_length;
    for (std::size_t i = 0; i < n_passed; ++i) {
      for (std::size_t at = 0; at < length; at += kCodeStep) {
        std::memcpy(gathered_.data() + query_place(i, at, length),
                    pass_.queries.rest() + query_place(first + passed_[i], at, length), kCodeStep);
      }
    }
  }

  // With all dimensions: n queries, their numbers and their rest codes.
  void refine(Group& group, std::size_t first, const std::vector<std::uint32_t>& numbers, const std::int8_t* rest_codes,
              std::size_t n) {
    const CodeKernel& codes = *pass_.kernel.codes;
    group.read_rest(pass_.queries.largest());
    codes.dots(group.rest_codes(), pass_.layout.rest_length, rest_codes, n, rest_dots_.data());
    const std::size_t n_reached = codes.pass_full(group.terms(), terms_.data(), numbers.data(), head_dots_.data(),
                                                  rest_dots_.data(), n, reached_.data());
    for (std::size_t i = 0; i < n_reached; ++i) {
      const std::size_t q = numbers[reached_[i]];
      collect(group, first + q, terms_[q], head_dots_.data() + q * kGroupRows,
              rest_dots_.data() + reached_[i] * kGroupRows);
    }
    n_refined_ += n * kGroupRows;
  }

  void collect(const Group& group, std::size_t q, QueryTerms& terms, const std::int32_t* head_dots,
               const std::int32_t* rest_dots) {
    std::array<float, kGroupRows> upper;
    const RowTerms& rows = group.terms();
    std::uint32_t reached =
        group.wanted() & pass_.kernel.codes->bound_full(rows, terms, head_dots, rest_dots, upper.data());
    if (reached == 0) return;
    found_.clear();
    for (; reached != 0; reached &= reached - 1) {
      const auto r = static_cast<std::size_t>(std::countr_zero(reached));
      const double highest = pass_.queries.upper_cosine(q, upper[r]);
      const double lowest = pass_.queries.lower_cosine(q, upper[r], rows.coded_error[r], rows.rest_error[r]);
      found_.push_back(
          {static_cast<float>(lowest) - kFloatSlack, static_cast<float>(highest) + kFloatSlack, group.id(r)});
    }
    Candidates& candidates = pass_.candidates[q];
    if (step_ > 1) {
      candidates.add_to_sample(found_);
    } else {
      candidates.add(found_, pass_.kernel, pass_.blocks);
    }
    terms.least = pass_.queries.least(q, candidates.least_cosine());
  }

  Pass& pass_;
  std::size_t step_;
  std::vector<Group> groups_;
  std::vector<QueryTerms> terms_;
  std::vector<std::uint32_t> everyone_, passed_, reached_;
  std::vector<std::int32_t> head_dots_, rest_dots_;
  std::vector<std::int8_t> gathered_;
  std::vector<std::uint8_t> untested_;  // for each chunk: groups to come that will not be tested by their heads
  std::vector<Candidate> found_;
  std::size_t n_refined_ = 0;
};

std::size_t queries_together(std::size_t k, std::size_t dim) {
  return std::max<std::size_t>(1, kStateBytes / (Candidates::most_bytes(k) + k * sizeof(Neighbour) + 2 * dim));
}

// Everything about a search but the queries at hand.
struct Search {
  const Blocks& blocks;
  const CodePlanes& planes;
  const CodedRequest& coded;
  const Kernel& kernel;
  const std::atomic<bool>& stop;
  Answer answer;
  std::size_t kept;                 // k, or all rows if they are fewer
  std::vector<std::size_t> picked;  // the allowed rows, if they are few
  ScanReport report{};
};

std::vector<double> coordinates_of(const Search& search, std::span<const std::size_t> numbers) {
  const std::size_t dim = search.blocks.dim();
  std::vector<double> coordinates;
  coordinates.reserve(numbers.size() * dim);
  for (const std::size_t number : numbers) {
    const std::span<const double> one = search.coded.coordinates.subspan(number * dim, dim);
    coordinates.insert(coordinates.end(), one.begin(), one.end());
  }
  return coordinates;
}

// Lets every query guess the cosine of its k-th nearest row from a sample of the panels: so high that few rows pass,
// so low that rarely fewer than k do.
void guess(const Search& search, Pass& pass) {
  const double expected = static_cast<double>(search.kept) / kSampleStep;
  const auto rank = static_cast<std::size_t>(expected + 4.0 * std::sqrt(expected) + 4.0);
  for (Candidates& one : pass.candidates) one.begin_sample(rank);
  for_each_piece(pass.n_pieces(kSampleStep), search.coded.request.n_threads, search.stop, Worker(pass, kSampleStep));
  for (Candidates& one : pass.candidates) one.take_guess();
}

// One pass for a few queries; returns the numbers of those whose guess was wrong.
std::vector<std::size_t> search_together(Search& search, std::span<const std::size_t> numbers, bool guessing) {
  const Request& request = search.coded.request;
  const std::size_t dim = search.blocks.dim();
  const CodedQueries queries(coordinates_of(search, numbers), dim, search.coded.slack);
  std::deque<Query> exact;
  std::deque<Candidates> candidates;
  for (const std::size_t number : numbers) {
    exact.emplace_back(request.queries.subspan(number * dim, dim), search.kept, request.limit(number));
    candidates.emplace_back(exact.back(), search.kept);
  }
  Pass pass{search.blocks, search.planes, search.kernel, request.allowed,
            search.picked, queries,       candidates,    Layout(dim)};
  if (guessing) guess(search, pass);
  for_each_piece(pass.n_pieces(1), request.n_threads, search.stop, Worker(pass, 1));
  std::vector<std::uint8_t> right(numbers.size());
  for_each_piece(numbers.size(), request.n_threads, search.stop, [&](std::size_t q) {
    right[q] = candidates[q].settle(search.kernel, search.blocks);
    write_answer(exact[q], numbers[q], request, search.answer);
  });
  search.report.by_head += pass.by_head;
  search.report.by_full += pass.by_full;
  std::vector<std::size_t> wrong;
  for (std::size_t q = 0; q < numbers.size(); ++q) {
    search.report.measured += candidates[q].measured();
    if (!right[q]) wrong.push_back(numbers[q]);
  }
  return wrong;
}

struct Wanted {
  std::size_t rows = 0;
  std::size_t in_groups = 0;  // rows of all groups that hold one of them
};

Wanted wanted_rows(const Blocks& blocks, std::span<const std::uint8_t> allowed) {
  if (allowed.empty()) return {blocks.n_rows(), blocks.n_rows()};
  Wanted wanted;
  for (std::size_t first = 0; first < allowed.size(); first += kGroupRows) {
    const auto group = allowed.subspan(first, std::min(kGroupRows, allowed.size() - first));
    const auto n = std::count_if(group.begin(), group.end(), [](auto flag) { return flag != 0; });
    wanted.rows += static_cast<std::size_t>(n);
    if (n != 0) wanted.in_groups += group.size();
  }
  return wanted;
}

bool gathering_pays(const Wanted& wanted, std::size_t n_queries) {
  if (wanted.rows * kGatherBelow < wanted.in_groups) return true;
  return n_queries >= kManyQueries && wanted.rows * 8 < wanted.in_groups * 7;
}

std::vector<std::size_t> rows_of(std::span<const std::uint8_t> allowed, std::size_t n_wanted) {
  std::vector<std::size_t> ids;
  ids.reserve(n_wanted);
  for (std::size_t id = 0; id < allowed.size(); ++id) {
    if (allowed[id] != 0) ids.push_back(id);
  }
  return ids;
}

}  // namespace

ScanReport scan_codes(const Blocks& blocks, const CodePlanes& planes, const CodedRequest& request, const Kernel& kernel,
                      const std::atomic<bool>& stop, Answer answer) {
  const std::size_t kept = std::min(request.request.k, blocks.n_rows());
  const std::span<const std::uint8_t> allowed = request.request.allowed;
  const Wanted wanted = wanted_rows(blocks, allowed);
  Search search{blocks, planes, request, kernel, stop, answer, kept, {}};
  if (gathering_pays(wanted, request.request.n_queries)) search.picked = rows_of(allowed, wanted.rows);
  const bool guessing = request.request.within >= 2.0 && request.request.limits.empty() && kept >= kGuessFromK &&
                        wanted.rows >= kGuessFromRows * kept;
  const std::size_t together = queries_together(kept, blocks.dim());
  std::vector<std::size_t> numbers(request.request.n_queries);
  std::iota(numbers.begin(), numbers.end(), std::size_t{0});
  for (std::size_t first = 0; first < numbers.size() && !stop; first += together) {
    const auto some = std::span(numbers).subspan(first, std::min(together, numbers.size() - first));
    const std::vector<std::size_t> wrong = search_together(search, some, guessing);
    if (!wrong.empty() && !stop) search_together(search, wrong, false);
  }
  return search.report;
}

}  // namespace pairdex
