// Cells of Arrow's buffers as Python values. Every access is checked: damaged offsets never read other memory.
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>

#include "bindings.hpp"

namespace pairdex::bindings {
namespace {

// What returns a column's value of a row, for values that are not read here.
using Otherwise = nb::typed<nb::callable, nb::object(std::size_t)>;

// A column: its format, validity, values or offsets, the bytes of its texts. The formats are those of struct.unpack;
// "s" and "S" for texts with 32 and 64-bit offsets; "D" for 32-bit days, and "0", "3", "6" and "9" for times with as
// many decimals of seconds, both since 1970; a "Z" after these ends the text of a time.
using StoredColumn = std::tuple<std::string, std::optional<Bytes>, Bytes, Bytes, Otherwise>;
using AnyColumn = std::variant<StoredColumn, Otherwise>;

constexpr const char* kFormats = "bhiqBHIQfd?sSD0369";
constexpr std::int64_t kDaySeconds = 86'400;

bool bit(const Bytes& bits, std::size_t row) {
  if (row / 8 >= bits.size()) throw nb::index_error("index out of bounds");
  return (bits.data()[row / 8] >> (row % 8)) & 1;
}

template <typename Value>
Value value(const Bytes& values, std::size_t row) {
  if (row >= values.size() / sizeof(Value)) throw nb::index_error("index out of bounds");
  Value found;
  std::memcpy(&found, values.data() + row * sizeof(Value), sizeof(Value));
  return found;
}

PyObject* number(double found) {
  if (std::isfinite(found)) return PyFloat_FromDouble(found);
  return nb::none().release().ptr();  // JSON has neither infinities nor NaN
}

template <typename Offset>
PyObject* text(const Bytes& offsets, const Bytes& content, std::size_t row) {
  const auto begin = value<Offset>(offsets, row), end = value<Offset>(offsets, row + 1);
  if (begin < 0 || end < begin || static_cast<std::uint64_t>(end) > content.size()) {
    const std::string message = "row " + std::to_string(row) + " has text from byte " + std::to_string(begin) + " to " +
                                std::to_string(end) + " of " + std::to_string(content.size());
    throw nb::value_error(message.c_str());
  }
  const char* first = reinterpret_cast<const char*>(content.data()) + begin;
  return PyUnicode_DecodeUTF8(first, static_cast<Py_ssize_t>(end - begin), nullptr);
}

// The date of a day since 1970, as text; empty before the year 0 and after 9999.
// Source: days_from_civil's inverse of Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
std::string date(std::int64_t day) {
  constexpr std::int64_t kFirst = -719'528, kLast = 2'932'896;  // 0000-01-01, 9999-12-31
  if (day < kFirst || day > kLast) return {};
  const std::int64_t shifted = day + 719'468 + 146'097;  // days since March 1 of the year -400
  const std::int64_t era = shifted / 146'097, of_era = shifted % 146'097;
  const std::int64_t year_of_era = (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month_from_march = (5 * of_year + 2) / 153;
  const auto month = static_cast<int>(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
  const auto year = static_cast<int>(year_of_era + era * 400 - 400 + (month <= 2 ? 1 : 0));
  const auto of_month = static_cast<int>(of_year - (153 * month_from_march + 2) / 5 + 1);
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02d-%02d", year, month, of_month);
  return text.data();
}

// A time since 1970 in units of 10^-decimals seconds, as text; empty as `date`.
std::string time(std::int64_t units, int decimals) {
  std::int64_t a_second = 1;
  for (int place = 0; place < decimals; ++place) a_second *= 10;
  std::int64_t seconds = units / a_second, rest = units % a_second;
  if (rest < 0) rest += a_second, --seconds;
  std::int64_t day = seconds / kDaySeconds, of_day = seconds % kDaySeconds;
  if (of_day < 0) of_day += kDaySeconds, --day;
  const std::string found = date(day);
  if (found.empty()) return found;
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), " %02d:%02d:%02d", static_cast<int>(of_day / 3'600),
                static_cast<int>(of_day / 60 % 60), static_cast<int>(of_day % 60));
  if (decimals == 0) return found + text.data();
  std::array<char, 32> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%0*lld", decimals, static_cast<long long>(rest));
  return found + text.data() + fraction.data();
}

PyObject* time_cell(const std::string& found, std::string_view format, const Otherwise& otherwise, std::size_t row) {
  if (found.empty()) return otherwise(row).release().ptr();
  const std::string whole = found + std::string(format.substr(1));
  return PyUnicode_DecodeUTF8(whole.data(), static_cast<Py_ssize_t>(whole.size()), nullptr);
}

// A new reference, or null and a Python error.
PyObject* stored(const StoredColumn& column, std::size_t row) {
  const auto& [format, validity, values, content, otherwise] = column;
  if (validity && !bit(*validity, row)) return nb::none().release().ptr();
  switch (format[0]) {
    case 'b':
      return PyLong_FromLong(value<std::int8_t>(values, row));
    case 'h':
      return PyLong_FromLong(value<std::int16_t>(values, row));
    case 'i':
      return PyLong_FromLong(value<std::int32_t>(values, row));
    case 'q':
      return PyLong_FromLongLong(value<std::int64_t>(values, row));
    case 'B':
      return PyLong_FromLong(value<std::uint8_t>(values, row));
    case 'H':
      return PyLong_FromLong(value<std::uint16_t>(values, row));
    case 'I':
      return PyLong_FromLongLong(value<std::uint32_t>(values, row));
    case 'Q':
      return PyLong_FromUnsignedLongLong(value<std::uint64_t>(values, row));
    case 'f':
      return number(value<float>(values, row));
    case 'd':
      return number(value<double>(values, row));
    case '?':
      return PyBool_FromLong(bit(values, row));
    case 'D':
      return time_cell(date(value<std::int32_t>(values, row)), format, otherwise, row);
    case '0':
    case '3':
    case '6':
    case '9':
      return time_cell(time(value<std::int64_t>(values, row), format[0] - '0'), format, otherwise, row);
    case 's':
      return text<std::int32_t>(values, content, row);
    default:
      return text<std::int64_t>(values, content, row);
  }
}

class Cells {
 public:
  explicit Cells(std::vector<AnyColumn> columns) : columns_(std::move(columns)) {
    for (const AnyColumn& column : columns_) {
      const auto* known = std::get_if<StoredColumn>(&column);
      if (known == nullptr) continue;
      const std::string& format = std::get<0>(*known);
      const bool is_known = !format.empty() && std::strchr(kFormats, format[0]) != nullptr;
      if (!is_known || (format.size() > 1 && format.substr(1) != "Z")) throw nb::value_error("bad format");
    }
  }

  nb::typed<nb::list, nb::object> row(std::size_t row) const {
    nb::list found = nb::steal<nb::list>(PyList_New(static_cast<Py_ssize_t>(columns_.size())));
    if (!found.is_valid()) throw nb::python_error();
    for (std::size_t place = 0; place < columns_.size(); ++place) {
      const AnyColumn& column = columns_[place];
      const auto* known = std::get_if<StoredColumn>(&column);
      PyObject* cell = known != nullptr ? stored(*known, row) : std::get<Otherwise>(column)(row).release().ptr();
      if (cell == nullptr) throw nb::python_error();
      PyList_SetItem(found.ptr(), static_cast<Py_ssize_t>(place), cell);
    }
    return found;
  }

 private:
  std::vector<AnyColumn> columns_;
};

}  // namespace

void bind_cells(nb::module_& m) {
  nb::class_<Cells>(m, "Cells", "The cells of some rows of Arrow's buffers, as plain Python values.")
      .def(nb::init<std::vector<AnyColumn>>(), nb::arg("columns"))
      .def("row", &Cells::row, nb::arg("row"),
           "The values of one row, one for each column; null and numbers that are not finite as None.");
}

}  // namespace pairdex::bindings
