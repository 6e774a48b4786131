#include "ivf/search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#ifdef __unix__
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "ivf/best.hpp"
#include "ivf/queries.hpp"
#include "ivf/scan.hpp"
#include "knn/parallel.hpp"
#include "knn/query.hpp"

namespace pairdex::ivf {
namespace {

constexpr std::size_t kOnTheirWay = 256;     // rows that a thread reads from disk at once: 1 MB of pages
constexpr std::size_t kMostTogether = 4096;  // queries of one pass: the more, the fewer times a list is read
constexpr std::size_t kFirstLists = 4;       // of each query, scanned before the others
constexpr float kNearSlack = 1e-5f;          // more than a cosine in float32 errs by
constexpr std::size_t kDeeper = 8;           // times as many lists are ranked where a filter leaves too few rows
constexpr double kLeastNear = 0.5;  // of the allowed rows that the best lists hold by chance: with fewer, no answer
constexpr std::size_t kAhead = 4;   // rows that are fetched ahead of the one that is compared

struct Work {
  const Lists& lists;
  const Blocks& blocks;
  const Request& request;
  const Efforts& efforts;
  const Kernel& kernel;
  Answer answer;
  std::size_t together;
  double allowed_share;  // of all rows
  std::atomic<std::size_t> scanned{0}, compared{0};
};

double share_of(std::span<const std::uint8_t> allowed) {
  if (allowed.empty()) return 1.0;
  const auto n = std::count_if(allowed.begin(), allowed.end(), [](auto flag) { return flag != 0; });
  return static_cast<double>(n) / static_cast<double>(allowed.size());
}

// Advice to the system about the pages of mapped files.
enum class Advice { kWillNeed, kDoneWith };

// `rows` in the order in which they lie. Advice: that it fails changes no answer.
void advise(std::span<const Half* const> rows, std::size_t row_bytes, Advice advice) {
#ifdef __unix__
#ifdef MADV_COLD
  constexpr int kDoneWith = MADV_COLD;  // the first to go when memory is short, before codes that are used again
#else
  constexpr int kDoneWith = MADV_NORMAL;
#endif
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  std::uintptr_t advised = 0;  // up to here
  for (const Half* row : rows) {
    const auto at = reinterpret_cast<std::uintptr_t>(row);
    const std::uintptr_t first = std::max(advised, at / page * page);
    const std::uintptr_t end = (at + row_bytes + page - 1) / page * page;
    if (first >= end) continue;
    madvise(reinterpret_cast<void*>(first), end - first, advice == Advice::kWillNeed ? MADV_WILLNEED : kDoneWith);
    advised = end;
  }
#else
  (void)rows, (void)row_bytes, (void)advice;
#endif
}

struct Visit {
  std::uint32_t list, query;
};

// One thread's queries, some at a time.
class Pass {
 public:
  explicit Pass(Work& work) : work_(work), scanner_(work.lists.layout, work.kernel) {}

  void operator()(std::size_t piece) {
    first_ = piece * work_.together;
    const std::size_t n = std::min(work_.together, work_.request.n_queries - first_);
    const QueryCodes queries = code_queries(n);
    rank(queries);
    scan(queries);
    if (work_.efforts.from_disk || work_.efforts.need) {
      compare_from_disk(n);
    } else {
      for (std::size_t q = 0; q < n; ++q) compare(q);
    }
  }

 private:
  std::span<const float> query(std::size_t q) const {
    const std::size_t dim = work_.blocks.dim();
    return work_.request.queries.subspan((first_ + q) * dim, dim);
  }

  QueryCodes code_queries(std::size_t n) {
    const std::size_t dim = work_.blocks.dim();
    const std::size_t stride = padded(dim);
    units_.assign(n * stride, 0.0f);
    for (std::size_t q = 0; q < n; ++q) {
      const auto factor = static_cast<float>(1.0 / std::sqrt(squared_norm(query(q))));
      for (std::size_t i = 0; i < dim; ++i) units_[q * stride + i] = query(q)[i] * factor;
    }
    std::vector<float> coordinates(n * work_.lists.layout.coordinates());
    work_.lists.rotation.rotate(units_.data(), n, work_.kernel, coordinates.data());
    QueryCodes queries(coordinates, work_.lists.layout);
    efforts_.clear();
    for (std::size_t q = 0; q < n; ++q) {
      const bool is_other = queries.terms(q).along_gap >= work_.efforts.other_from;
      efforts_.push_back(is_other ? &work_.efforts.other : &work_.efforts.own);
      queries.terms(q).bonus = efforts_.back()->spread_weight;
    }
    return queries;
  }

  void rank(const QueryCodes& queries) {
    everyone_.resize(queries.size());
    std::iota(everyone_.begin(), everyone_.end(), 0u);
    ranked_.clear();
    for (const Effort* effort : efforts_) ranked_.emplace_back(std::min(effort->nprobe, work_.lists.size()));
    const std::size_t n_groups = group_count(work_.lists.size());
    scanner_.scan({work_.lists.centroids, work_.lists.spreads}, 0, n_groups, queries, everyone_, ranked_);
  }

  void scan(const QueryCodes& queries) {
    found_.clear();
    for (const Effort* effort : efforts_) found_.emplace_back(effort->rerank);
    std::size_t scanned = 0;
    if (!work_.request.allowed.empty()) {
      scanned = scan_allowed(queries);
    } else if (queries.size() == 1) {  // the best list first
      for (const Scored& list : ranked_[0].sorted()) scanned += scan_list(list.place, queries, everyone_, nullptr);
    } else {
      // What the best lists hold rules most of the others' rows out.
      scanned += scan_together(queries, 0, kFirstLists) + scan_together(queries, kFirstLists, work_.lists.size());
    }
    work_.scanned.fetch_add(scanned * kGroupRows, std::memory_order_relaxed);
  }

  // Returns how many groups the list has.
  std::size_t scan_list(std::size_t list, const QueryCodes& queries, std::span<const std::uint32_t> numbers,
                        const std::uint32_t* wanted) {
    const std::size_t from = work_.lists.starts[list];
    const std::size_t to = work_.lists.starts[list + 1];
    scanner_.scan({work_.lists.groups, nullptr}, from, to, queries, numbers, found_, wanted);
    return to - from;
  }

  // Every query scans lists, its best first, until it has seen as many allowed rows as it would see of all rows
  // without a filter. Where its best lists hold far fewer of them than others do, the filter leaves out what is near,
  // and how far to look is not known: such a query gets no answer.
  std::size_t scan_allowed(const QueryCodes& queries) {
    std::size_t scanned = 0;
    for (std::uint32_t q = 0; q < queries.size(); ++q) {
      std::size_t done = ranked_[q].kept().size();
      const auto target = static_cast<double>(done * (work_.blocks.n_rows() / work_.lists.size() + 1));
      double seen = scan_until(queries, q, 0, target, scanned);
      if (seen < kLeastNear * work_.allowed_share * target) {
        found_[q] = Best(1);
        continue;
      }
      while (seen < target && done < work_.lists.size()) {
        rank_deeper(queries, q, done * kDeeper);
        seen += scan_until(queries, q, done, target - seen, scanned);
        done = ranked_[q].kept().size();
      }
    }
    return scanned;
  }

  // Scans the ranked lists of a query from the `first` on until `target` allowed rows are seen; returns how many were.
  double scan_until(const QueryCodes& queries, std::uint32_t q, std::size_t first, double target,
                    std::size_t& scanned) {
    double seen = 0.0;
    const auto lists = ranked_[q].sorted();
    for (std::size_t i = first; i < lists.size() && seen < target; ++i) {
      seen += static_cast<double>(want(lists[i].place));
      scanned += scan_list(lists[i].place, queries, {&q, 1}, wanted_.data());
    }
    return seen;
  }

  // Marks the allowed rows of a list; returns how many there are.
  std::size_t want(std::size_t list) {
    const std::size_t from = work_.lists.starts[list];
    const std::size_t n_groups = work_.lists.starts[list + 1] - from;
    wanted_.assign(n_groups, 0);
    std::size_t n = 0;
    for (std::size_t i = 0; i < n_groups * kGroupRows; ++i) {
      const std::uint32_t id = work_.lists.ids[from * kGroupRows + i];
      const bool may = id != kNoRow && work_.request.allowed[id] != 0;
      wanted_[i / kGroupRows] |= std::uint32_t{may} << i % kGroupRows;
      n += may;
    }
    return n;
  }

  void rank_deeper(const QueryCodes& queries, std::uint32_t q, std::size_t n_lists) {
    ranked_[q] = Best(std::min(n_lists, work_.lists.size()));
    scanner_.scan({work_.lists.centroids, work_.lists.spreads}, 0, group_count(work_.lists.size()), queries, {&q, 1},
                  ranked_);
  }

  // Scans each query's lists from its `first` best on, every list once for all queries that want it.
  std::size_t scan_together(const QueryCodes& queries, std::size_t first, std::size_t end) {
    order_by_list(first, end);
    std::size_t scanned = 0;
    for (std::size_t at = 0; at < visits_.size();) {
      const std::uint32_t list = visits_[at].list;
      numbers_.clear();
      for (; at < visits_.size() && visits_[at].list == list; ++at) numbers_.push_back(visits_[at].query);
      scanned += scan_list(list, queries, numbers_, nullptr) * numbers_.size();
    }
    return scanned;
  }

  void order_by_list(std::size_t first, std::size_t end) {
    const auto some = [&](Best& best) {
      const auto lists = best.sorted();
      const std::size_t from = std::min(first, lists.size());
      return lists.subspan(from, std::min(end, lists.size()) - from);
    };
    starts_.assign(work_.lists.size() + 1, 0);
    for (Best& lists : ranked_) {
      for (const Scored& list : some(lists)) ++starts_[list.place + 1];
    }
    std::partial_sum(starts_.begin(), starts_.end(), starts_.begin());
    visits_.resize(starts_.back());
    for (std::size_t q = 0; q < ranked_.size(); ++q) {
      for (const Scored& list : some(ranked_[q])) {
        visits_[starts_[list.place]++] = {list.place, static_cast<std::uint32_t>(q)};
      }
    }
  }

  // The ids of the rows that were found by codes.
  std::span<const std::uint32_t> candidates(std::size_t q) {
    candidates_.clear();
    for (const Scored& one : found_[q].kept()) {
      const std::uint32_t id = work_.lists.ids[one.place];
      if (id != kNoRow) candidates_.push_back(id);  // a place without a row is found in a damaged file only
    }
    return candidates_;
  }

  // Some queries at a time: while their rows are compared, those of the next are read.
  void compare_from_disk(std::size_t n) {
    std::size_t asked = ask_for_rows(0, n);
    for (std::size_t q = 0; q < n;) {
      const std::size_t end = asked;
      here_.swap(coming_);
      asked = ask_for_rows(end, n);
      for (; q < end; ++q) compare(q);
      advise(here_, work_.blocks.dim() * sizeof(Half), Advice::kDoneWith);
    }
  }

  // Has the system begin to read the rows of queries from `first` on, as many as may be on their way, in the order in
  // which they lie; returns the first query whose rows are not among them.
  std::size_t ask_for_rows(std::size_t first, std::size_t n) {
    coming_.clear();
    std::size_t q = first;
    for (; q < n && coming_.size() < kOnTheirWay; ++q) {
      for (const std::uint32_t id : candidates(q)) {
        coming_.push_back(work_.blocks.row(id));
        needed_.push_back(id);
      }
    }
    if (work_.efforts.need && !needed_.empty()) work_.efforts.need(needed_);
    needed_.clear();
    std::sort(coming_.begin(), coming_.end());
    advise(coming_, work_.blocks.dim() * sizeof(Half), Advice::kWillNeed);
    return q;
  }

  void fetch(std::size_t id) const {
    const auto* row = reinterpret_cast<const char*>(work_.blocks.row(id));
    for (std::size_t at = 0; at < work_.blocks.dim() * sizeof(Half); at += 64) __builtin_prefetch(row + at);
  }

  // The rows that were found by codes, as they are stored: first in float32, then those that matter in float64.
  void compare(std::size_t q) {
    const std::span<const std::uint32_t> found = candidates(q);
    const float* unit = units_.data() + q * padded(work_.blocks.dim());
    near_.clear();
    for (std::size_t i = 0; i < found.size() + kAhead; ++i) {
      if (i < found.size()) fetch(found[i]);
      if (i < kAhead) continue;
      const std::uint32_t id = found[i - kAhead];
      const NearDot near = work_.kernel.rows->near(work_.blocks.row(id), unit, work_.blocks.dim());
      near_.push_back({near.dot / std::sqrt(near.squared_norm), id});
    }
    work_.compared.fetch_add(near_.size(), std::memory_order_relaxed);
    float least = -std::numeric_limits<float>::infinity();
    const std::size_t k = work_.request.k;
    if (near_.size() > k) {
      std::nth_element(near_.begin(), near_.begin() + static_cast<std::ptrdiff_t>(k - 1), near_.end());
      least = near_[k - 1].score - kNearSlack;
    }
    Query exact(query(q), k, work_.request.within);
    measured_.clear();
    for (const Scored& one : near_) {
      if (one.score >= least) measured_.push_back(exact.measure(work_.kernel, work_.blocks.row(one.place), one.place));
    }
    exact.offer(measured_);
    write_answer(exact, first_ + q, work_.request, work_.answer);
  }

  Work& work_;
  Scanner scanner_;
  std::size_t first_ = 0;  // number of this pass's first query
  std::vector<float> units_;
  std::vector<const Effort*> efforts_;
  std::vector<std::uint32_t> everyone_, numbers_, wanted_;
  std::vector<Best> ranked_, found_;
  std::vector<std::size_t> starts_;
  std::vector<Visit> visits_;
  std::vector<std::uint32_t> candidates_, needed_;
  std::vector<const Half*> here_, coming_;  // rows from disk
  std::vector<Scored> near_;
  std::vector<Neighbour> measured_;
};

}  // namespace

Report search(const Lists& lists, const Blocks& blocks, const Request& request, const Efforts& efforts,
              const Kernel& kernel, const std::atomic<bool>& stop, Answer answer) {
  const std::size_t a_thread = (request.n_queries + request.n_threads - 1) / request.n_threads;
  Work work{lists,
            blocks,
            request,
            efforts,
            kernel,
            answer,
            std::clamp<std::size_t>(a_thread, 1, kMostTogether),
            share_of(request.allowed)};
  for_each_piece((request.n_queries + work.together - 1) / work.together, request.n_threads, stop, Pass(work));
  return {work.scanned, work.compared};
}

}  // namespace pairdex::ivf
