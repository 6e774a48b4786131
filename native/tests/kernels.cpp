// Every kernel against the scalar twin.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "kernels/kernel.hpp"
#include "random_rows.hpp"

using namespace pairdex;

namespace {
constexpr std::size_t kDims[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 64, 100, 511, 512, 513, 2048};

std::uint64_t bits(double value) { return std::bit_cast<std::uint64_t>(value); }
}  // namespace

TEST_CASE("every float16 widens to the same bits as in the scalar twin") {
  std::vector<Half> all(1 << 16);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].bits = static_cast<std::uint16_t>(i);
  std::vector<float> expected(all.size());
  kScalarRows.widen(all.data(), all.size(), expected.data());
  CHECK(expected[0x3c00] == 1.0f);
  CHECK(expected[0x8001] == -0x1p-24f);
  CHECK(expected[0x7bff] == 65504.0f);
  CHECK(std::isinf(expected[0xfc00]));
  CHECK(std::isnan(expected[0x7e00]));
  for (const Kernel& kernel : usable_kernels()) {
    INFO(kernel.name);
    std::vector<float> wide(all.size());
    kernel.rows->widen(all.data(), all.size(), wide.data());
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bool both_nan = std::isnan(wide[i]) && std::isnan(expected[i]);
      wrong += !both_nan && std::bit_cast<std::uint32_t>(wide[i]) != std::bit_cast<std::uint32_t>(expected[i]);
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("widening pads with zeros and gives the squared norm") {
  for (const Kernel& kernel : usable_kernels()) {
    for (const std::size_t dim : kDims) {
      INFO(kernel.name, " dim ", dim);
      const std::vector<Half> row = to_halves(random_values(dim, 1));
      std::vector<float> wide(padded(dim) + 1, 7.0f);
      const float squared = kernel.rows->widen(row.data(), dim, wide.data());
      float sum = 0.0f;
      for (std::size_t i = 0; i < padded(dim); ++i) sum += wide[i] * wide[i];
      CHECK(squared == doctest::Approx(sum).epsilon(1e-5));
      for (std::size_t i = dim; i < padded(dim); ++i) CHECK(wide[i] == 0.0f);
      CHECK(wide[padded(dim)] == 7.0f);
    }
  }
}

TEST_CASE("exact dots have the bits of the scalar twin") {
  for (const Kernel& kernel : usable_kernels()) {
    for (const std::size_t dim : kDims) {
      INFO(kernel.name, " dim ", dim);
      const std::vector<Half> row = to_halves(random_values(dim, 1));
      std::vector<float> query = random_values(dim, 2);
      for (float& value : query) value = value * 1.2345678f + 0x1p-20f;  // all 24 bits in use
      const ExactDot expected = kScalarRows.exact(row.data(), query.data(), dim);
      const ExactDot found = kernel.rows->exact(row.data(), query.data(), dim);
      CHECK(bits(found.dot) == bits(expected.dot));
      CHECK(bits(found.squared_norm) == bits(expected.squared_norm));
    }
  }
}

TEST_CASE("float dots stay within the proven error") {
  for (const Kernel& kernel : usable_kernels()) {
    for (const std::size_t dim : kDims) {
      for (const std::size_t n_rows : {1u, 3u, 4u, 5u, 9u}) {
        const std::size_t n_queries = 13 - n_rows;
        const std::size_t stride = padded(dim);
        INFO(kernel.name, " dim ", dim, " rows ", n_rows);
        std::vector<float> rows = random_values(n_rows * stride, 1);
        std::vector<float> queries = random_values(n_queries * stride, 2);
        std::vector<float> found(n_rows * n_queries);
        kernel.rows->dots(rows.data(), n_rows, queries.data(), n_queries, stride, found.data());
        for (std::size_t q = 0; q < n_queries; ++q) {
          for (std::size_t r = 0; r < n_rows; ++r) {
            double sum = 0.0;
            double magnitude = 0.0;
            for (std::size_t i = 0; i < stride; ++i) {
              const double product = static_cast<double>(rows[r * stride + i]) * queries[q * stride + i];
              sum += product;
              magnitude += std::abs(product);
            }
            CHECK(std::abs(found[q * n_rows + r] - sum) <= static_cast<double>(stride) * 0x1p-24 * magnitude);
          }
        }
      }
    }
  }
}
