// Joins for Python.
#include <algorithm>
#include <mutex>

#include "bindings.hpp"
#include "codes/encode.hpp"
#include "join/assign.hpp"
#include "join/encode.hpp"
#include "join/graph.hpp"
#include "join/greedy.hpp"
#include "join/join.hpp"
#include "knn/parallel.hpp"

namespace pairdex::bindings {
namespace {

template <typename Value>
using Row = nb::ndarray<const Value, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <typename Value>
using WritableRow = nb::ndarray<Value, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
template <typename Value>
using WritableMatrix = nb::ndarray<Value, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
template <typename Value>
using OwnedRow = nb::ndarray<nb::numpy, Value, nb::ndim<1>>;

using CodeNumbers = std::tuple<std::size_t, double, double>;  // coordinates, box, centre of the rest's length

join::CodeMap code_map(const CodeNumbers& numbers, std::size_t length, std::size_t dim) {
  const auto [coordinates, box, rest_centre] = numbers;
  if (coordinates > dim || coordinates + (coordinates < dim) > length) throw nb::value_error("bad coordinates");
  return {coordinates, length, box, rest_centre};
}

nb::typed<nb::tuple, double, double> join_encode(
    Rows rows, Floats basis, Row<double> shifts, double centre_squared, double basis_error, CodeNumbers small,
    CodeNumbers large, WritableMatrix<std::int8_t> small_codes, WritableMatrix<std::uint8_t> large_codes,
    WritableRow<std::int32_t> small_norms, WritableRow<std::int32_t> large_norms,
    WritableRow<std::uint8_t> has_direction, std::size_t threads, std::string_view kernel_name) {
  const Kernel& kernel = kernel_named(kernel_name);
  const std::size_t n = rows.shape(0), dim = rows.shape(1), length = large_codes.shape(1);
  if (basis.shape(0) != shifts.size() + 1 || basis.shape(1) != padded(dim)) throw nb::value_error("bad basis");
  if (small_codes.shape(0) != n || small_codes.shape(1) != join::kSmall || large_codes.shape(0) != n ||
      length % kCodeStep != 0 || small_norms.size() != n || large_norms.size() != n || has_direction.size() != n) {
    throw nb::value_error("bad codes");
  }
  const join::Map map{.basis = {basis.data(), basis.size()},
                      .shifts = {shifts.data(), shifts.size()},
                      .dim = dim,
                      .centre_squared = centre_squared,
                      .basis_error = basis_error,
                      .coordinate_error = coordinate_error(dim, *kernel.rows),
                      .small = code_map(small, join::kSmall, dim),
                      .large = length == 0 ? join::CodeMap{} : code_map(large, length, dim)};
  if (std::max(map.small.coordinates, map.large.coordinates) != shifts.size()) throw nb::value_error("bad shifts");
  join::CodeErrors largest;
  std::mutex lock;
  interruptible([&](const std::atomic<bool>& stop) {
    constexpr std::size_t kPiece = 1024;
    for_each_piece((n + kPiece - 1) / kPiece, threads, stop, [&](std::size_t piece) {
      const std::size_t first = piece * kPiece;
      const join::Encoded out{small_codes.data() + first * join::kSmall, large_codes.data() + first * length,
                              small_norms.data() + first, large_norms.data() + first, has_direction.data() + first};
      const join::CodeErrors errors =
          join::encode(rows.data() + first * dim, std::min(kPiece, n - first), map, *kernel.rows, out);
      const std::lock_guard guard(lock);
      largest = {std::max(largest.small, errors.small), std::max(largest.large, errors.large)};
    });
    return true;
  });
  return nb::typed<nb::tuple, double, double>(nb::make_tuple(largest.small, largest.large));
}

nb::typed<nb::tuple, OwnedRow<std::uint32_t>, OwnedRow<std::int32_t>> join_assign(Matrix<std::int8_t> small,
                                                                                  Matrix<std::int8_t> centroids,
                                                                                  std::size_t threads,
                                                                                  std::string_view kernel_name) {
  const Kernel& kernel = kernel_named(kernel_name);
  const std::size_t n = small.shape(0);
  if (small.shape(1) != join::kSmall || centroids.shape(1) != join::kSmall || centroids.shape(0) == 0) {
    throw nb::value_error("bad codes");
  }
  std::vector<std::uint32_t> lists(n);
  std::vector<std::int32_t> own(n);
  interruptible([&](const std::atomic<bool>& stop) {
    const join::Planes planes(centroids.data(), centroids.shape(0), kernel);
    join::assign({small.data(), small.size()}, planes, kernel, threads, stop, lists, own);
    return true;
  });
  return nb::typed<nb::tuple, OwnedRow<std::uint32_t>, OwnedRow<std::int32_t>>(
      nb::make_tuple(owned_array(std::move(lists), {n}), owned_array(std::move(own), {n})));
}

using Slots = Row<std::uint32_t>;
using Span = std::tuple<std::size_t, std::size_t>;
using CodeLimitNumbers = std::tuple<double, double>;
using LimitNumbers = std::tuple<double, CodeLimitNumbers, CodeLimitNumbers, double>;
using PairArrays = nb::typed<nb::tuple, OwnedRow<std::uint32_t>, OwnedRow<std::uint32_t>, OwnedRow<double>>;

// The coded rows of a join, with the lists that they lie in.
class JoinRows {
 public:
  JoinRows(std::vector<Rows> rows, Matrix<std::int8_t> small, Matrix<std::uint8_t> large, Row<std::int32_t> small_norms,
           Row<std::int32_t> large_norms, Slots lists, Row<std::int32_t> own, Slots ids, Slots ranks,
           Matrix<std::int8_t> centroids)
      : rows_(std::move(rows)),
        small_(small),
        large_(large),
        small_norms_(small_norms),
        large_norms_(large_norms),
        lists_(lists),
        own_(own),
        ids_(ids),
        ranks_(ranks),
        centroids_(centroids),
        blocks_(rows_.empty() ? 0 : rows_.front().shape(1)) {
    for (const Rows& block : rows_) {
      if (block.shape(1) != blocks_.dim()) throw nb::value_error("blocks differ in dim");
      blocks_.add(block.data(), block.shape(0));
    }
    check();
  }

  // None if there are more pairs than `limit`.
  std::optional<PairArrays> pairs(Slots x, Span x_range, Slots y, Span y_range, bool is_self, LimitNumbers limits,
                                  std::size_t limit, std::size_t threads, std::string_view kernel_name) {
    join::AllPairs sink(std::get<0>(limits), limit);
    run(range(x, x_range), range(y, y_range), is_self, limits, threads, kernel_name, sink);
    if (sink.is_full()) return std::nullopt;
    const std::size_t n = sink.pairs().size();
    std::vector<std::uint32_t> xs(n), ys(n);
    std::vector<double> distances(n);
    for (std::size_t i = 0; i < n; ++i) {
      const join::Pair& pair = sink.pairs()[i];
      xs[i] = pair.x;
      ys[i] = pair.y;
      distances[i] = pair.distance;
    }
    return PairArrays(nb::make_tuple(owned_array(std::move(xs), {n}), owned_array(std::move(ys), {n}),
                                     owned_array(std::move(distances), {n})));
  }

  void nearest_earlier(Slots x, Span x_range, Slots y, Span y_range, LimitNumbers limits, WritableRow<std::int64_t> of,
                       WritableRow<double> distances, std::size_t threads, std::string_view kernel_name) {
    if (of.size() < blocks_.n_rows() || distances.size() < blocks_.n_rows()) throw nb::value_error("bad answer");
    const join::Range rows = range(x, x_range), others = range(y, y_range);
    const join::CodedRows all = coded();
    join::NearestEarlier sink(all, std::get<0>(limits), all_earlier(others, rows), {of.data(), of.size()},
                              {distances.data(), distances.size()});
    run(rows, others, false, limits, threads, kernel_name, sink);
  }

  void graph_by_lists(WritableMatrix<std::uint32_t> slots, WritableMatrix<float> distances, std::size_t probes,
                      std::size_t candidates, std::size_t threads, std::string_view kernel_name) {
    const Kernel& kernel = kernel_named(kernel_name);
    const join::Graph graph = graph_of(slots, distances);
    if (probes == 0 || candidates == 0) throw nb::value_error("bad effort");
    interruptible([&](const std::atomic<bool>& stop) {
      const join::Planes planes(centroids_.data(), centroids_.shape(0), kernel);
      join::by_lists(coded(), planes, {probes, candidates}, kernel, threads, stop, graph);
      return true;
    });
  }

  void refine_graph(WritableMatrix<std::uint32_t> slots, WritableMatrix<float> distances, std::size_t threads,
                    std::string_view kernel_name) {
    const Kernel& kernel = kernel_named(kernel_name);
    const join::Graph graph = graph_of(slots, distances);
    interruptible([&](const std::atomic<bool>& stop) {
      join::refine(coded(), kernel, threads, stop, graph);
      return true;
    });
  }

  nb::typed<nb::tuple, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t> counts() const {
    return nb::typed<nb::tuple, std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t>(
        nb::make_tuple(counts_.small, counts_.large, counts_.near, counts_.exact));
  }

 private:
  join::CodedRows coded() const {
    return {blocks_,         small_.shape(0),     small_.data(),       large_.data(),
            large_.shape(1), small_norms_.data(), large_norms_.data(), lists_.data(),
            own_.data(),     ids_.data(),         ranks_.data()};
  }

  join::Graph graph_of(const WritableMatrix<std::uint32_t>& slots, const WritableMatrix<float>& distances) const {
    const std::size_t n = small_.shape(0), k = slots.shape(1);
    if (slots.shape(0) != n || distances.shape(0) != n || distances.shape(1) != k || k == 0) {
      throw nb::value_error("bad graph");
    }
    for (std::size_t i = 0; i < n * k; ++i) {
      if (slots.data()[i] != join::kNoSlot && slots.data()[i] >= n) throw nb::value_error("bad slots");
    }
    return {k, {slots.data(), n * k}, {distances.data(), n * k}};
  }

  join::Range range(const Slots& slots, Span span) const {
    const auto [first, end] = span;
    if (first > end || end > slots.size()) throw nb::value_error("bad range");
    for (std::size_t i = first; i < end; ++i) {
      if (slots.data()[i] >= small_.shape(0) || (i > first && slots.data()[i] <= slots.data()[i - 1])) {
        throw nb::value_error("slots do not ascend");
      }
    }
    return {{slots.data(), slots.size()}, first, end};
  }

  // Whether each of some rows has a smaller rank than each of others.
  bool all_earlier(const join::Range& some, const join::Range& others) const {
    const auto rank = [this](std::uint32_t slot) { return ranks_.data()[slot]; };
    const auto of = [](const join::Range& range) { return range.slots.subspan(range.first, range.end - range.first); };
    const auto last = std::ranges::max_element(of(some), {}, rank);
    const auto first = std::ranges::min_element(of(others), {}, rank);
    return some.first == some.end || others.first == others.end || rank(*last) < rank(*first);
  }

  void run(const join::Range& x, const join::Range& y, bool is_self, const LimitNumbers& limits, std::size_t threads,
           std::string_view kernel_name, join::Sink& sink) {
    const Kernel& kernel = kernel_named(kernel_name);
    const auto& [within, small, large, near_error] = limits;
    const join::Request request{.x = x,
                                .y = y,
                                .is_self = is_self,
                                .limits = {within, std::make_from_tuple<join::CodeLimit>(small),
                                           std::make_from_tuple<join::CodeLimit>(large), near_error},
                                .n_threads = threads};
    const join::CodedRows rows = coded();
    counts_.add(interruptible([&](const std::atomic<bool>& stop) {
      const join::Planes planes(centroids_.data(), centroids_.shape(0), kernel);
      return join::run(rows, planes, request, kernel, stop, sink);
    }));
  }

  // Whatever the arrays hold, a join stays within them.
  void check() const {
    const std::size_t n = small_.shape(0);
    if (small_.shape(1) != join::kSmall || centroids_.shape(1) != join::kSmall || large_.shape(0) != n ||
        large_.shape(1) % kCodeStep != 0) {
      throw nb::value_error("bad codes");
    }
    for (const std::size_t size :
         {small_norms_.size(), large_norms_.size(), lists_.size(), own_.size(), ids_.size(), ranks_.size()}) {
      if (size != n) throw nb::value_error("arrays differ in length");
    }
    for (std::size_t i = 0; i < n; ++i) {
      if (ids_.data()[i] >= blocks_.n_rows() || lists_.data()[i] >= centroids_.shape(0) ||
          (i > 0 && lists_.data()[i] < lists_.data()[i - 1])) {
        throw nb::value_error("bad ids or lists");
      }
    }
  }

  std::vector<Rows> rows_;
  Matrix<std::int8_t> small_;
  Matrix<std::uint8_t> large_;
  Row<std::int32_t> small_norms_, large_norms_;
  Slots lists_;
  Row<std::int32_t> own_;
  Slots ids_, ranks_;
  Matrix<std::int8_t> centroids_;
  Blocks blocks_;
  join::Counts counts_;
};

nb::typed<nb::tuple, OwnedRow<std::int64_t>, OwnedRow<double>> join_keep_first(Slots later, Slots earlier,
                                                                               Row<double> distances, Slots ids) {
  const std::size_t n = ids.size();
  if (earlier.size() != later.size() || distances.size() != later.size()) throw nb::value_error("bad pairs");
  for (std::size_t i = 0; i < later.size(); ++i) {
    if (later.data()[i] >= n || earlier.data()[i] >= later.data()[i] ||
        (i > 0 && later.data()[i] < later.data()[i - 1])) {
      throw nb::value_error("pairs are out of order");
    }
  }
  std::vector<std::int64_t> of(n);
  std::vector<double> nearest(n);
  join::keep_first({later.data(), later.size()}, {earlier.data(), earlier.size()}, {distances.data(), distances.size()},
                   {ids.data(), n}, of, nearest);
  return nb::typed<nb::tuple, OwnedRow<std::int64_t>, OwnedRow<double>>(
      nb::make_tuple(owned_array(std::move(of), {n}), owned_array(std::move(nearest), {n})));
}

}  // namespace

void bind_joins(nb::module_& m) {
  m.def("join_encode", &join_encode, nb::arg("rows"), nb::arg("basis"), nb::arg("shifts"), nb::kw_only(),
        nb::arg("centre_squared"), nb::arg("basis_error"), nb::arg("small"), nb::arg("large"), nb::arg("small_codes"),
        nb::arg("large_codes"), nb::arg("small_norms"), nb::arg("large_norms"), nb::arg("has_direction"),
        nb::arg("threads"), nb::arg("kernel"),
        "Write both integer codes of rows; returns the largest distance of either from what it stands for.");
  m.def("join_assign", &join_assign, nb::arg("small"), nb::arg("centroids"), nb::kw_only(), nb::arg("threads"),
        nb::arg("kernel"), "The list of each code, that of the best centroid, and its score with that one.");
  m.def("join_keep_first", &join_keep_first, nb::arg("later"), nb::arg("earlier"), nb::arg("distances"), nb::arg("ids"),
        "Of rows in the order of their visit, the nearest kept one before each, -1 if it is kept, and the distance.");
  nb::class_<JoinRows>(m, "JoinRows", "Rows with integer codes, in the order of their lists.")
      .def(nb::init<std::vector<Rows>, Matrix<std::int8_t>, Matrix<std::uint8_t>, Row<std::int32_t>, Row<std::int32_t>,
                    Slots, Row<std::int32_t>, Slots, Slots, Matrix<std::int8_t>>(),
           nb::arg("blocks"), nb::kw_only(), nb::arg("small"), nb::arg("large"), nb::arg("small_norms"),
           nb::arg("large_norms"), nb::arg("lists"), nb::arg("own"), nb::arg("ids"), nb::arg("ranks"),
           nb::arg("centroids"))
      .def("pairs", &JoinRows::pairs, nb::arg("x"), nb::arg("x_range"), nb::arg("y"), nb::arg("y_range"), nb::kw_only(),
           nb::arg("is_self"), nb::arg("limits"), nb::arg("limit"), nb::arg("threads"), nb::arg("kernel"),
           "Pairs within the limits: slots, slots, distances; None if they are more than `limit`.")
      .def("nearest_earlier", &JoinRows::nearest_earlier, nb::arg("x"), nb::arg("x_range"), nb::arg("y"),
           nb::arg("y_range"), nb::kw_only(), nb::arg("limits"), nb::arg("of"), nb::arg("distances"),
           nb::arg("threads"), nb::arg("kernel"),
           "For each row of x, by id, the nearest row of y of a smaller rank, where it is nearer than what is there.")
      .def("graph_by_lists", &JoinRows::graph_by_lists, nb::arg("slots"), nb::arg("distances"), nb::kw_only(),
           nb::arg("probes"), nb::arg("candidates"), nb::arg("threads"), nb::arg("kernel"),
           "Fill the graph of nearest rows from the lists nearest to each row.")
      .def("refine_graph", &JoinRows::refine_graph, nb::arg("slots"), nb::arg("distances"), nb::kw_only(),
           nb::arg("threads"), nb::arg("kernel"), "Compare each row with the neighbours of its neighbours.")
      .def("counts", &JoinRows::counts,
           "Pairs compared so far by the small codes, the large codes, in float32 and in float64.");
}

}  // namespace pairdex::bindings
