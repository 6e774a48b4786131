#include "ivf/assign.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <vector>

#include "ivf/encode.hpp"
#include "ivf/queries.hpp"
#include "knn/parallel.hpp"

namespace pairdex::ivf {
namespace {

constexpr std::size_t kPieceGroups = 16;  // groups that a chunk of centroids meets while it is in the cache
constexpr std::size_t kChunk = 128;       // centroids: their dots with a group stay in the first-level cache

constexpr std::array<float, kGroupRows> ones() {
  std::array<float, kGroupRows> values{};
  values.fill(1.0f);
  return values;
}
constexpr std::array<float, kGroupRows> kOnes = ones();

float squared_length(const float* values, std::size_t n) {
  float squares = 0.0f;
  for (std::size_t i = 0; i < n; ++i) squares += values[i] * values[i];
  return squares;
}

// One thread's rows, a few groups at a time.
class Worker {
 public:
  Worker(const CodedRows& rows, const QueryCodes& centroids, const Layout& layout, const Kernel& kernel,
         std::span<std::uint32_t> lists, std::span<float> distances)
      : rows_(rows),
        centroids_(centroids),
        layout_(layout),
        kernel_(kernel),
        lists_(lists),
        distances_(distances),
        groups_(kPieceGroups * layout.stride()),
        wide_(kPieceGroups),
        scores_(kPieceGroups * kGroupRows),
        dots_(kChunk * kGroupRows) {}

  void operator()(std::size_t piece) {
    const std::size_t first = piece * kPieceGroups * kGroupRows;
    const std::size_t n_rows = std::min(kPieceGroups * kGroupRows, lists_.size() - first);
    const std::size_t n_groups = (n_rows + kGroupRows - 1) / kGroupRows;
    for (std::size_t g = 0; g < n_groups; ++g) read_group(first, g, n_rows);
    std::fill(scores_.begin(), scores_.end(), -std::numeric_limits<float>::infinity());
    std::array<std::uint32_t, kPieceGroups * kGroupRows> numbers{};
    const NibbleKernel& kernel = *kernel_.nibbles;
    for (std::size_t c = 0; c < centroids_.size(); c += kChunk) {
      const std::size_t n = std::min(kChunk, centroids_.size() - c);
      for (std::size_t g = 0; g < n_groups; ++g) {
        kernel.dots(codes_of(groups_.data() + g * layout_.stride()), layout_.length, centroids_.codes(c), n,
                    dots_.data());
        kernel.best(wide_[g].rows(kOnes.data()), &centroids_.terms(c), dots_.data(), n, static_cast<std::uint32_t>(c),
                    scores_.data() + g * kGroupRows, numbers.data() + g * kGroupRows);
      }
    }
    std::copy_n(numbers.begin(), n_rows, lists_.begin() + static_cast<std::ptrdiff_t>(first));
    for (std::size_t r = 0; r < n_rows; ++r) {
      const float* row = rows_.coordinates.data() + (first + r) * layout_.coordinates();
      distances_[first + r] = std::max(squared_length(row, layout_.coordinates()) - 2.0f * scores_[r], 0.0f);
    }
  }

 private:
  void read_group(std::size_t first, std::size_t g, std::size_t n_rows) {
    const std::size_t n = std::min(kGroupRows, n_rows - g * kGroupRows);
    const std::size_t row = first + g * kGroupRows;
    std::uint8_t* group = groups_.data() + g * layout_.stride();
    fill_group(rows_.codes.data() + row * layout_.row_bytes(), rows_.facts.data() + 3 * row, n, layout_, group);
    wide_[g].read(group, *kernel_.rows);
  }

  CodedRows rows_;
  const QueryCodes& centroids_;
  Layout layout_;
  const Kernel& kernel_;
  std::span<std::uint32_t> lists_;
  std::span<float> distances_;
  std::vector<std::uint8_t> groups_;
  std::vector<WideFacts> wide_;
  std::vector<float> scores_;
  std::vector<std::int32_t> dots_;
};

}  // namespace

void assign(const CodedRows& rows, std::span<const float> centroids, const Layout& layout, const Kernel& kernel,
            std::size_t n_threads, std::span<std::uint32_t> lists, std::span<float> distances) {
  QueryCodes coded(centroids, layout);
  for (std::size_t c = 0; c < coded.size(); ++c) {
    const float* centroid = centroids.data() + c * layout.coordinates();
    coded.terms(c).bonus = -0.5f * squared_length(centroid, layout.coordinates());
  }
  const std::size_t piece_rows = kPieceGroups * kGroupRows;
  for_each_piece((lists.size() + piece_rows - 1) / piece_rows, n_threads, std::atomic<bool>{false},
                 Worker(rows, coded, layout, kernel, lists, distances));
}

}  // namespace pairdex::ivf
