#include "graph/search.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "graph/walk.hpp"
#include "knn/parallel.hpp"
#include "knn/query.hpp"

namespace pairdex::graph {
namespace {

constexpr std::size_t kTogether = 4;  // queries that walk by turns: each reads while the others compute
constexpr std::size_t kPieceQueries = 32;
constexpr std::size_t kRowsAhead = 4;

struct Work {
  const Index& index;
  const Request& request;
  const Effort& effort;
  const Kernel& kernel;
  Answer answer;
  Filter filter;
  std::atomic<std::uint64_t> visited{0}, compared{0};
};

class Worker {
 public:
  explicit Worker(Work& work)
      : work_(work),
        chooser_(work.index.entries, *work.kernel.graphs),
        unit_(padded(work.index.blocks.dim())),
        rotated_(work.index.space.length()) {
    for (auto& lane : lanes_)
      lane.walk.emplace(work_.index.nodes, work_.index.step, *work_.kernel.graphs, work_.filter);
  }
  Worker(const Worker& other) : Worker(other.work_) {}

  void operator()(std::size_t piece) {
    const std::size_t end = std::min(work_.request.n_queries, (piece + 1) * kPieceQueries);
    std::size_t next = piece * kPieceQueries;
    for (Lane& lane : lanes_) {
      lane.is_busy = next < end;
      if (lane.is_busy) begin(lane, next++);
    }
    for (bool is_busy = true; is_busy;) {
      is_busy = false;
      for (Lane& lane : lanes_) {
        if (!lane.is_busy) continue;
        is_busy = true;
        if (lane.walk->go_on()) continue;
        finish(lane);
        lane.is_busy = next < end;
        if (lane.is_busy) begin(lane, next++);
      }
    }
  }

 private:
  struct Lane {
    bool is_busy = false;
    std::size_t number = 0;
    double norm = 0.0;  // of the query
    RoundedQuery query;
    std::optional<Walk> walk;
  };

  std::span<const float> query(std::size_t number) const {
    return work_.request.queries.subspan(number * work_.index.blocks.dim(), work_.index.blocks.dim());
  }

  void begin(Lane& lane, std::size_t number) {
    lane.number = number;
    const auto values = query(number);
    lane.norm = std::sqrt(squared_norm(values));
    const float inverse = 1.0f / static_cast<float>(lane.norm);
    for (std::size_t i = 0; i < values.size(); ++i) unit_[i] = values[i] * inverse;
    work_.index.space.centre(unit_.data(), rotated_.data());
    lane.query.round(rotated_);
    lane.walk->begin(lane.query, chooser_.choose(lane.query, work_.effort.groups, work_.effort.seeds),
                     std::max(work_.effort.visits, work_.request.k));
  }

  void finish(Lane& lane) {
    const auto visited = lane.walk->visited();
    work_.visited.fetch_add(visited.size(), std::memory_order_relaxed);
    best_.clear();
    for (const Scored& one : visited) {
      if (work_.filter.allows(*work_.index.nodes.head(one.node))) best_.push_back(one);
    }
    const std::size_t n = std::min(best_.size(), std::max(work_.effort.compared, work_.request.k));
    std::partial_sort(best_.begin(), best_.begin() + static_cast<std::ptrdiff_t>(n), best_.end(), is_better);
    best_.resize(n);
    compare(lane.number, lane.norm);
  }

  void compare(std::size_t number, double norm) {
    const Blocks& blocks = work_.index.blocks;
    const auto values = query(number);
    TopK nearest(work_.request.k);
    for (std::size_t i = 0; i < best_.size() + kRowsAhead; ++i) {
      if (i < best_.size()) prefetch(*work_.index.nodes.head(best_[i].node));
      if (i < kRowsAhead) continue;
      const Head& head = *work_.index.nodes.head(best_[i - kRowsAhead].node);
      if (head.id >= blocks.n_rows()) continue;  // in a damaged file only
      const double distance =
          cosine_distance(work_.kernel.rows->exact(blocks.row(head.id), values.data(), values.size()), norm);
      offer(head, distance, nearest);
    }
    work_.compared.fetch_add(best_.size(), std::memory_order_relaxed);
    write_answer(nearest.take_sorted(), number, work_.request.k, work_.answer);
  }

  // A node's rows are equally far. Their ids ascend: more than k are not needed.
  void offer(const Head& head, double distance, TopK& nearest) const {
    std::size_t left = work_.request.k;
    if (work_.filter.allows_row(head.id)) {
      nearest.offer({distance, head.id});
      --left;
    }
    for (const std::uint32_t id : work_.filter.copies_of(head)) {
      if (left == 0) return;
      if (id >= work_.index.blocks.n_rows() || !work_.filter.allows_row(id)) continue;
      nearest.offer({distance, id});
      --left;
    }
  }

  void prefetch(const Head& head) const {
    if (head.id >= work_.index.blocks.n_rows()) return;
    const auto* bytes = reinterpret_cast<const char*>(work_.index.blocks.row(head.id));
    for (std::size_t at = 0; at < work_.index.blocks.dim() * sizeof(Half); at += kLine) __builtin_prefetch(bytes + at);
  }

  Work& work_;
  Chooser chooser_;
  std::vector<float> unit_, rotated_;
  std::array<Lane, kTogether> lanes_;
  std::vector<Scored> best_;
};

}  // namespace

Report search(const Index& index, const Request& request, const Effort& effort, const Kernel& kernel,
              const std::atomic<bool>& stop, Answer answer) {
  Work work{index, request, effort, kernel, answer, {request.allowed, index.copies}};
  for_each_piece((request.n_queries + kPieceQueries - 1) / kPieceQueries, request.n_threads, stop, Worker(work));
  return {work.visited, work.compared};
}

}  // namespace pairdex::graph
