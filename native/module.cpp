// The Python module: checked arrays in, the interpreter lock released, one kernel called.
#include <algorithm>
#include <atomic>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bindings.hpp"
#include "codes/encode.hpp"
#include "codes/scan.hpp"
#include "files/faults.hpp"
#include "ivf/assign.hpp"
#include "ivf/encode.hpp"
#include "ivf/search.hpp"
#include "knn/bit_scan.hpp"
#include "knn/float_scan.hpp"
#include "knn/parallel.hpp"
#include "knn/point_scan.hpp"
#include "knn/rows.hpp"

namespace {

namespace nb = nanobind;
using namespace pairdex::bindings;

using FoundIds = nb::ndarray<nb::numpy, std::int64_t, nb::ndim<2>>;
using FoundDistances = nb::ndarray<nb::numpy, double, nb::ndim<2>>;
using Found = nb::typed<nb::tuple, FoundIds, FoundDistances, std::size_t>;
using FoundNear = nb::typed<nb::tuple, FoundIds, FoundDistances>;
using FoundByCodes = nb::typed<nb::tuple, FoundIds, FoundDistances, std::size_t, std::size_t, std::size_t>;

// Checked arguments of a search, and the arrays that its answer is written to.
template <typename Row, typename Value>
struct Search {
  pairdex::BlocksOf<Row> blocks;
  pairdex::RequestOf<Value> request;
  std::vector<std::int64_t> ids;
  std::vector<double> distances;

  Search(const std::vector<Matrix<Row>>& rows, const Matrix<Value>& queries, std::size_t k,
         const std::optional<Flags>& allowed, std::size_t threads, const Within& within = 2.0,
         pairdex::Measure measure = {})
      : blocks(queries.shape(1)),
        request{.queries = {queries.data(), queries.size()},
                .n_queries = queries.shape(0),
                .k = k,
                .allowed = {},
                .n_threads = threads,
                .measure = measure},
        ids(request.n_queries * k),
        distances(ids.size()) {
    for (const Matrix<Row>& block : rows) {
      if (block.shape(1) != blocks.dim()) throw nb::value_error("blocks and queries differ in dim");
      blocks.add(block.data(), block.shape(0));
    }
    if (k == 0 || (allowed && allowed->size() != blocks.n_rows())) throw nb::value_error("bad k or allowed");
    if (const double* limit = std::get_if<double>(&within)) {
      if (!(*limit >= 0.0)) throw nb::value_error("bad within");
      request.within = *limit;
    } else {
      const Limits& limits = std::get<Limits>(within);
      if (limits.size() != request.n_queries) throw nb::value_error("not one limit for each query");
      request.limits = {limits.data(), limits.size()};
    }
    if (allowed) request.allowed = {reinterpret_cast<const std::uint8_t*>(allowed->data()), allowed->size()};
  }

  pairdex::Answer answer() { return {ids, distances}; }
  FoundIds found_ids() { return owned_array(std::move(ids), {request.n_queries, request.k}); }
  FoundDistances found_distances() { return owned_array(std::move(distances), {request.n_queries, request.k}); }
};

Found nearest(const std::vector<Rows>& rows, Floats queries, std::size_t k, std::optional<Flags> allowed,
              const Within& within, bool inner_product, std::size_t threads, std::string_view kernel_name) {
  const pairdex::Kernel& kernel = kernel_named(kernel_name);
  Search search(rows, queries, k, allowed, threads, within, {.inner_product = inner_product});
  const std::size_t measured = interruptible([&](const std::atomic<bool>& stop) {
    return pairdex::scan_floats(search.blocks, search.request, kernel, stop, search.answer());
  });
  return Found(nb::make_tuple(search.found_ids(), search.found_distances(), measured));
}

FoundNear nearest_bits(const std::vector<Words>& rows, Words queries, std::size_t k, std::optional<Flags> allowed,
                       std::size_t threads, std::string_view kernel_name) {
  const pairdex::Kernel& kernel = kernel_named(kernel_name);
  if (queries.shape(1) == 0 || queries.shape(1) > pairdex::kMaxWords) throw nb::value_error("bad number of words");
  Search search(rows, queries, k, allowed, threads);
  interruptible([&](const std::atomic<bool>& stop) {
    pairdex::scan_bits(search.blocks, search.request, kernel, stop, search.answer());
    return true;
  });
  return FoundNear(nb::make_tuple(search.found_ids(), search.found_distances()));
}

FoundNear nearest_points(const std::vector<Floats>& rows, Floats queries, std::size_t k, std::optional<Flags> allowed,
                         std::size_t threads, std::string_view kernel_name) {
  const pairdex::Kernel& kernel = kernel_named(kernel_name);
  if (queries.shape(1) == 0) throw nb::value_error("no dimensions");
  Search search(rows, queries, k, allowed, threads);
  interruptible([&](const std::atomic<bool>& stop) {
    pairdex::scan_points(search.blocks, search.request, kernel, stop, search.answer());
    return true;
  });
  return FoundNear(nb::make_tuple(search.found_ids(), search.found_distances()));
}

FoundByCodes nearest_by_codes(const std::vector<Rows>& rows, Floats queries, std::size_t k, Doubles coordinates,
                              double slack, Bytes head, Bytes rest, std::optional<Flags> allowed, const Within& within,
                              double row_norm, std::size_t threads, std::string_view kernel_name) {
  const pairdex::Kernel& kernel = kernel_named(kernel_name);
  if (!(row_norm >= 0.0)) throw nb::value_error("bad row_norm");
  const pairdex::Measure measure =
      row_norm > 0.0 ? pairdex::Measure{.inner_product = true, .row_norm = row_norm} : pairdex::Measure{};
  Search search(rows, queries, k, allowed, threads, within, measure);
  const pairdex::Layout layout(search.blocks.dim());
  const std::size_t n_groups = pairdex::group_count(search.blocks.n_rows());
  if (head.size() != n_groups * layout.head_stride() || rest.size() != n_groups * layout.rest_stride()) {
    throw nb::value_error("the codes are of other rows");
  }
  if (coordinates.shape(0) != queries.shape(0) || coordinates.shape(1) != queries.shape(1)) {
    throw nb::value_error("queries and their coordinates differ in shape");
  }
  const pairdex::CodedRequest request{
      .request = search.request, .coordinates = {coordinates.data(), coordinates.size()}, .slack = slack};
  const pairdex::ScanReport report = interruptible([&](const std::atomic<bool>& stop) {
    return pairdex::scan_codes(search.blocks, {head.data(), rest.data()}, request, kernel, stop, search.answer());
  });
  return FoundByCodes(
      nb::make_tuple(search.found_ids(), search.found_distances(), report.by_head, report.by_full, report.measured));
}

void encode_rows(Rows rows, Floats basis, WritableBytes head, WritableBytes rest, double row_norm, std::size_t threads,
                 std::string_view kernel_name) {
  const pairdex::Kernel& kernel = kernel_named(kernel_name);
  const std::size_t n = rows.shape(0);
  const std::size_t dim = rows.shape(1);
  const pairdex::Layout layout(dim);
  const std::size_t n_groups = pairdex::group_count(n);
  if (basis.shape(0) != dim || basis.shape(1) != pairdex::padded(dim)) throw nb::value_error("bad basis");
  if (head.size() != n_groups * layout.head_stride() || rest.size() != n_groups * layout.rest_stride()) {
    throw nb::value_error("the planes are not as long as the codes");
  }
  interruptible([&](const std::atomic<bool>& stop) {
    pairdex::GroupEncoder encoder({{basis.data(), basis.size()}, dim}, *kernel.rows, row_norm);
    pairdex::for_each_piece(n_groups, threads, stop, [&, encoder](std::size_t group) mutable {
      const std::size_t first = group * pairdex::kGroupRows;
      encoder.encode(rows.data() + first * dim, std::min(pairdex::kGroupRows, n - first),
                     head.data() + group * layout.head_stride(), rest.data() + group * layout.rest_stride());
    });
    return true;
  });
}

nb::typed<nb::tuple, std::size_t, std::size_t, std::size_t, std::size_t> code_layout(std::size_t dim) {
  const pairdex::Layout layout(dim);
  return nb::typed<nb::tuple, std::size_t, std::size_t, std::size_t, std::size_t>(
      nb::make_tuple(layout.head_dims, layout.rest_dims, layout.head_stride(), layout.rest_stride()));
}

double coordinate_error(std::size_t dim, std::string_view kernel_name) {
  return pairdex::coordinate_error(dim, *kernel_named(kernel_name).rows);
}

nb::ndarray<nb::numpy, std::uint8_t, nb::ndim<1>> check_rows(Rows rows, std::size_t threads) {
  constexpr std::size_t kPiece = 1024;
  const std::size_t n = rows.shape(0);
  const std::size_t dim = rows.shape(1);
  std::vector<std::uint8_t> state(n);
  {
    const nb::gil_scoped_release release;
    pairdex::for_each_piece((n + kPiece - 1) / kPiece, threads, std::atomic<bool>{false}, [&](std::size_t piece) {
      const std::size_t first = piece * kPiece;
      const std::size_t count = std::min(kPiece, n - first);
      pairdex::check_rows(rows.data() + first * dim, dim, std::span(state).subspan(first, count));
    });
  }
  return owned_array(std::move(state), {n});
}

// Rows one after the other, `work(first, n)` for up to kGroupRows of them.
template <typename GroupWork>
void for_each_group(std::size_t n_rows, std::size_t threads, const GroupWork& work) {
  const nb::gil_scoped_release release;
  pairdex::for_each_piece(pairdex::group_count(n_rows), threads, std::atomic<bool>{false}, [&](std::size_t group) {
    const std::size_t first = group * pairdex::kGroupRows;
    work(first, std::min(pairdex::kGroupRows, n_rows - first));
  });
}

nb::ndarray<nb::numpy, float, nb::ndim<2>> ivf_coordinates(Rows rows, Floats basis, std::size_t threads,
                                                           std::string_view kernel_name) {
  const pairdex::Kernel& kernel = kernel_named(kernel_name);
  const std::size_t dim = rows.shape(1);
  if (basis.shape(1) != pairdex::padded(dim)) throw nb::value_error("bad basis");
  const pairdex::ivf::Basis directions{{basis.data(), basis.size()}, dim};
  std::vector<float> coordinates(rows.shape(0) * directions.size());
  for_each_group(rows.shape(0), threads, [&](std::size_t first, std::size_t n) {
    pairdex::ivf::coordinates_of(rows.data() + first * dim, n, directions, *kernel.rows,
                                 coordinates.data() + first * directions.size());
  });
  return owned_array(std::move(coordinates), {rows.shape(0), directions.size()});
}

pairdex::ivf::Layout layout_of(std::size_t coordinates) {
  if (coordinates <= pairdex::ivf::kKept) throw nb::value_error("too few coordinates");
  return pairdex::ivf::Layout(coordinates - pairdex::ivf::kKept);
}

nb::typed<nb::tuple, nb::ndarray<nb::numpy, std::uint8_t, nb::ndim<2>>,
          nb::ndarray<nb::numpy, std::uint16_t, nb::ndim<2>>>
ivf_code(Floats coordinates, std::size_t threads) {
  const std::size_t n = coordinates.shape(0);
  const pairdex::ivf::Layout layout = layout_of(coordinates.shape(1));
  std::vector<std::uint8_t> codes(n * layout.row_bytes());
  std::vector<std::uint16_t> facts(3 * n);
  for_each_group(n, threads, [&](std::size_t first, std::size_t count) {
    for (std::size_t r = first; r < first + count; ++r) {
      pairdex::ivf::code_row(coordinates.data() + r * layout.coordinates(), layout,
                             codes.data() + r * layout.row_bytes(),
                             reinterpret_cast<pairdex::Half*>(facts.data() + 3 * r));
    }
  });
  return nb::make_tuple(owned_array(std::move(codes), {n, layout.row_bytes()}), owned_array(std::move(facts), {n, 3}));
}

using Places = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

void ivf_group(Matrix<std::uint8_t> codes, Matrix<std::uint16_t> facts, Places rows, std::size_t coordinates,
               WritableBytes groups, std::size_t threads) {
  const pairdex::ivf::Layout layout = layout_of(coordinates);
  if (codes.shape(1) != layout.row_bytes() || facts.shape(0) != codes.shape(0) || facts.shape(1) != 3 ||
      rows.size() % pairdex::kGroupRows != 0 || groups.size() != rows.size() / pairdex::kGroupRows * layout.stride()) {
    throw nb::value_error("the groups are not as long as the rows");
  }
  const auto n_rows = static_cast<std::int64_t>(codes.shape(0));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows.data()[i] >= n_rows) throw nb::value_error("no such row");
  }
  for_each_group(rows.size(), threads, [&](std::size_t first, std::size_t n) {
    std::vector<std::uint8_t> some_codes(n * layout.row_bytes());
    std::vector<pairdex::Half> some_facts(3 * n, pairdex::ivf::kNotANumber);
    for (std::size_t r = 0; r < n; ++r) {
      const std::int64_t row = rows.data()[first + r];
      if (row < 0) continue;  // an empty place
      std::copy_n(codes.data() + row * layout.row_bytes(), layout.row_bytes(),
                  some_codes.data() + r * layout.row_bytes());
      for (std::size_t i = 0; i < 3; ++i) some_facts[3 * r + i] = {facts.data()[3 * row + i]};
    }
    pairdex::ivf::fill_group(some_codes.data(), some_facts.data(), n, layout,
                             groups.data() + first / pairdex::kGroupRows * layout.stride());
  });
}

nb::typed<nb::tuple, nb::ndarray<nb::numpy, std::uint32_t, nb::ndim<1>>, nb::ndarray<nb::numpy, float, nb::ndim<1>>>
ivf_assign(Floats rows, Matrix<std::uint8_t> codes, Matrix<std::uint16_t> facts, Floats centroids, std::size_t threads,
           std::string_view kernel_name) {
  const pairdex::Kernel& kernel = kernel_named(kernel_name);
  if (rows.shape(1) != centroids.shape(1) || centroids.shape(0) == 0) throw nb::value_error("bad centroids");
  const pairdex::ivf::Layout layout = layout_of(rows.shape(1));
  if (codes.shape(0) != rows.shape(0) || codes.shape(1) != layout.row_bytes() || facts.shape(0) != rows.shape(0) ||
      facts.shape(1) != 3) {
    throw nb::value_error("bad codes");
  }
  const pairdex::ivf::CodedRows coded{.coordinates = {rows.data(), rows.size()},
                                      .codes = {codes.data(), codes.size()},
                                      .facts = {reinterpret_cast<const pairdex::Half*>(facts.data()), facts.size()}};
  std::vector<std::uint32_t> lists(rows.shape(0));
  std::vector<float> distances(lists.size());
  {
    const nb::gil_scoped_release release;
    pairdex::ivf::assign(coded, {centroids.data(), centroids.size()}, layout, kernel, threads, lists, distances);
  }
  return nb::make_tuple(owned_array(std::move(lists), {rows.shape(0)}),
                        owned_array(std::move(distances), {rows.shape(0)}));
}

using FoundLists = nb::typed<nb::tuple, FoundIds, FoundDistances, std::size_t, std::size_t>;
using EffortNumbers = std::tuple<std::size_t, std::size_t, float>;

// An inverted file in memory, with the rows that it indexes.
class InvertedFile {
 public:
  InvertedFile(std::vector<Rows> rows, Floats basis, Bytes centroids, FloatRow spreads, Starts starts, Bytes groups,
               Ids ids)
      : rows_(std::move(rows)),
        basis_(basis),
        centroids_(centroids),
        spreads_(spreads),
        starts_(starts),
        groups_(groups),
        ids_(ids),
        blocks_(rows_.empty() ? 0 : rows_.front().shape(1)),
        lists_{.layout = layout_of(basis.shape(0)),
               .rotation = pairdex::ivf::Rotation(basis_of()),
               .centroids = centroids.data(),
               .spreads = spreads.data(),
               .starts = {starts.data(), starts.size()},
               .groups = groups.data(),
               .ids = ids.data()} {
    for (const Rows& block : rows_) {
      if (block.shape(1) != blocks_.dim()) throw nb::value_error("blocks differ in dim");
      blocks_.add(block.data(), block.shape(0));
    }
    check();
  }

  FoundLists search(Floats queries, std::size_t k, EffortNumbers own, EffortNumbers other, float other_from,
                    std::optional<Flags> allowed, bool from_disk, std::size_t threads, std::string_view kernel_name,
                    nb::object need) const {
    const pairdex::Kernel& kernel = kernel_named(kernel_name);
    if (queries.shape(1) != blocks_.dim() || k == 0) throw nb::value_error("bad queries or k");
    if (allowed && allowed->size() != blocks_.n_rows()) throw nb::value_error("bad allowed");
    pairdex::Request request{.queries = {queries.data(), queries.size()},
                             .n_queries = queries.shape(0),
                             .k = k,
                             .allowed = {},
                             .n_threads = threads};
    if (allowed) request.allowed = {reinterpret_cast<const std::uint8_t*>(allowed->data()), allowed->size()};
    const pairdex::ivf::Efforts efforts{effort(own), effort(other), other_from, from_disk, asking(need)};
    std::vector<std::int64_t> ids(request.n_queries * k);
    std::vector<double> distances(ids.size());
    const auto work = [&](const std::atomic<bool>& stop) {
      return pairdex::ivf::search(lists_, blocks_, request, efforts, kernel, stop, {ids, distances});
    };
    pairdex::ivf::Report report;
    if (request.n_queries <= kFewQueries) {  // done before anyone could interrupt it
      const nb::gil_scoped_release release;
      report = work(std::atomic<bool>{false});
    } else {
      report = interruptible(work);
    }
    return FoundLists(nb::make_tuple(owned_array(std::move(ids), {request.n_queries, k}),
                                     owned_array(std::move(distances), {request.n_queries, k}), report.scanned,
                                     report.compared));
  }

 private:
  static constexpr std::size_t kFewQueries = 64;

  // The threads of a search call it without the lock of Python's interpreter.
  static pairdex::ivf::NeedRows asking(const nb::object& need) {
    if (need.is_none()) return {};
    return [&need](std::span<const std::uint32_t> ids) {
      const nb::gil_scoped_acquire locked;
      need(owned_array(std::vector<std::int64_t>(ids.begin(), ids.end()), {ids.size()}));
    };
  }

  static pairdex::ivf::Effort effort(const EffortNumbers& numbers) {
    return {std::max<std::size_t>(std::get<0>(numbers), 1), std::max<std::size_t>(std::get<1>(numbers), 1),
            std::get<2>(numbers)};
  }

  pairdex::ivf::Basis basis_of() const {
    if (basis_.shape(1) != pairdex::padded(blocks_.dim())) throw nb::value_error("bad basis");
    return {{basis_.data(), basis_.size()}, blocks_.dim()};
  }

  // Whatever the arrays hold, a search stays within them.
  void check() const {
    const std::size_t stride = lists_.layout.stride();
    const std::size_t n_groups = groups_.size() / stride;
    if (blocks_.n_rows() == 0 || starts_.size() < 2) throw nb::value_error("no rows or no lists");
    const std::size_t centroid_groups = pairdex::group_count(lists_.size());
    if (centroids_.size() != centroid_groups * stride || spreads_.size() != centroid_groups * pairdex::kGroupRows) {
      throw nb::value_error("bad centroids");
    }
    if (groups_.size() % stride != 0 || ids_.size() != n_groups * pairdex::kGroupRows)
      throw nb::value_error("bad groups");
    const std::span<const std::uint64_t> starts = lists_.starts;
    if (starts.front() != 0 || starts.back() != n_groups || !std::is_sorted(starts.begin(), starts.end())) {
      throw nb::value_error("bad starts");
    }
    for (std::size_t i = 0; i < ids_.size(); ++i) {
      if (ids_.data()[i] != pairdex::ivf::kNoRow && ids_.data()[i] >= blocks_.n_rows())
        throw nb::value_error("bad ids");
    }
  }

  std::vector<Rows> rows_;
  Floats basis_;
  Bytes centroids_;
  FloatRow spreads_;
  Starts starts_;
  Bytes groups_;
  Ids ids_;
  pairdex::Blocks blocks_;
  pairdex::ivf::Lists lists_;
};

std::vector<std::string> kernels() {
  std::vector<std::string> names;
  for (const pairdex::Kernel& kernel : pairdex::usable_kernels()) names.emplace_back(kernel.name);
  return names;
}

}  // namespace

NB_MODULE(_native, m) {
  nb::set_leak_warnings(false);  // what is still open when Python ends is no leak
  m.doc() = "The compiled part of pairdex: use pairdex.knn and pairdex.ivf instead.";
  m.def("survive_faults", &pairdex::survive_faults,
        "Read pages that a mapped file has lost as zeros, and count them, instead of ending by SIGBUS.");
  m.def("fault_count", &pairdex::fault_count, "Number of lost pages that were read so far.");
  m.def("kernels", &kernels, "Names of the kernels that this processor can run, fastest first.");
  m.def("check_rows", &check_rows, nb::arg("rows"), nb::kw_only(), nb::arg("threads") = 1,
        "(n,) uint8: 0 a row that can be normalised, 1 all zero, 2 with an infinity or NaN.");
  m.def("nearest", &nearest, nb::arg("blocks"), nb::arg("queries"), nb::arg("k"), nb::kw_only(),
        nb::arg("allowed").none(), nb::arg("within") = 2.0, nb::arg("inner_product") = false, nb::arg("threads"),
        nb::arg("kernel"),
        "Exact nearest rows: ids (n, k) int64, distances (n, k) float64, pairs measured in float64.");
  m.def("nearest_bits", &nearest_bits, nb::arg("blocks"), nb::arg("queries"), nb::arg("k"), nb::kw_only(),
        nb::arg("allowed").none(), nb::arg("threads"), nb::arg("kernel"),
        "Rows that differ from the queries in the fewest bits: ids (n, k) int64, distances (n, k) float64.");
  m.def("nearest_points", &nearest_points, nb::arg("blocks"), nb::arg("queries"), nb::arg("k"), nb::kw_only(),
        nb::arg("allowed").none(), nb::arg("threads"), nb::arg("kernel"),
        "Exact nearest rows by squared Euclidean distance: ids (n, k) int64, distances (n, k) float64.");
  m.def("nearest_by_codes", &nearest_by_codes, nb::arg("blocks"), nb::arg("queries"), nb::arg("k"), nb::kw_only(),
        nb::arg("coordinates"), nb::arg("slack"), nb::arg("head"), nb::arg("rest"), nb::arg("allowed").none(),
        nb::arg("within") = 2.0, nb::arg("row_norm") = 0.0, nb::arg("threads"), nb::arg("kernel"),
        "Exact nearest rows by their codes: ids, distances, pairs bounded by the head, with all dimensions, measured.");
  m.def("encode_rows", &encode_rows, nb::arg("rows"), nb::arg("basis"), nb::arg("head"), nb::arg("rest"), nb::kw_only(),
        nb::arg("row_norm") = 0.0, nb::arg("threads"), nb::arg("kernel"),
        "Write the codes of rows into both planes; of rows divided by row_norm, if it is not 0.");
  m.def("code_layout", &code_layout, nb::arg("dim"),
        "Coordinates in head and rest; bytes of 32 rows in the head plane and the rest plane.");
  m.def("coordinate_error", &coordinate_error, nb::arg("dim"), nb::kw_only(), nb::arg("kernel"),
        "The largest error of a row's coordinate in the codes' basis.");
  m.def("ivf_coordinates", &ivf_coordinates, nb::arg("rows"), nb::arg("basis"), nb::kw_only(), nb::arg("threads"),
        nb::arg("kernel"),
        "Coordinates (n, len(basis)) float32 of the normalised rows; NaN for a row without a direction.");
  m.def("ivf_code", &ivf_code, nb::arg("coordinates"), nb::kw_only(), nb::arg("threads"),
        "4-bit codes of coordinates, (n, bytes) uint8, and (n, 3) float16 bits: along mean, along gap, scale.");
  m.def("ivf_group", &ivf_group, nb::arg("codes"), nb::arg("facts"), nb::arg("rows"), nb::kw_only(),
        nb::arg("coordinates"), nb::arg("groups"), nb::arg("threads"),
        "Write coded rows, by number, into groups of 32; a negative number leaves its place empty.");
  m.def("ivf_assign", &ivf_assign, nb::arg("rows"), nb::arg("codes"), nb::arg("facts"), nb::arg("centroids"),
        nb::kw_only(), nb::arg("threads"), nb::arg("kernel"),
        "The nearest centroid of each coded row, (n,) uint32, and its squared distance; rows and centroids as "
        "coordinates.");
  nb::class_<InvertedFile>(m, "InvertedFile", "An inverted file in memory, with the rows that it indexes.")
      .def(nb::init<std::vector<Rows>, Floats, Bytes, FloatRow, Starts, Bytes, Ids>(), nb::arg("blocks"), nb::kw_only(),
           nb::arg("basis"), nb::arg("centroids"), nb::arg("spreads"), nb::arg("starts"), nb::arg("groups"),
           nb::arg("ids"))
      .def("search", &InvertedFile::search, nb::arg("queries"), nb::arg("k"), nb::kw_only(), nb::arg("own"),
           nb::arg("other"), nb::arg("other_from"), nb::arg("allowed").none(), nb::arg("from_disk"), nb::arg("threads"),
           nb::arg("kernel"), nb::arg("need") = nb::none(),
           "Nearest rows, approximately: ids, distances, pairs scored by codes, pairs compared.");
  bind_cells(m);
  bind_graphs(m);
  bind_joins(m);
}
