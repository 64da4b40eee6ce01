// What tessel throws: one exception for each Python type that PyTorch raises, and the one-line checks that throw them.
//   check(c == n, "conv2d: weight expects ", c, " input channels but x has ", n, " (x is ", x.sizes(), ")");
// Used by core, autograd, ops and bindings; kernels never check.
#pragma once
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/dtype.h"

namespace tessel {

// The Python exception that the bindings raise.
enum class PythonError : uint8_t { runtime, value, type, index, not_implemented, memory };

class Error : public std::runtime_error {
 public:
  Error(PythonError python, const std::string& message) : std::runtime_error(message), python_(python) {}
  PythonError python() const noexcept { return python_; }

 private:
  PythonError python_;
};

template <PythonError kPython>
class ErrorOf : public Error {
 public:
  explicit ErrorOf(const std::string& message) : Error(kPython, message) {}
};

using RuntimeError = ErrorOf<PythonError::runtime>;
using ValueError = ErrorOf<PythonError::value>;
using TypeError = ErrorOf<PythonError::type>;
using IndexError = ErrorOf<PythonError::index>;
using NotImplementedError = ErrorOf<PythonError::not_implemented>;
using OutOfMemory = ErrorOf<PythonError::memory>;

// One piece of a message: text, a number as Python writes it, a dtype's name, sizes as (2, 8, 32). It refers to what
// it was made from, and is read before that dies.
class Part {
 public:
  Part(std::string_view text) : kind_(Kind::text), text_(text) {}
  Part(const std::string& text) : Part(std::string_view(text)) {}
  Part(const char* text) : Part(std::string_view(text)) {}
  Part(const char& letter) : Part(std::string_view(&letter, 1)) {}
  Part(bool value) : Part(value ? "True" : "False") {}
  Part(DType dtype) : Part(dtype_name(dtype)) {}
  Part(std::signed_integral auto value) : kind_(Kind::integer), integer_(value) {}
  Part(std::unsigned_integral auto value) : kind_(Kind::natural), natural_(value) {}
  Part(std::floating_point auto value) : kind_(Kind::real), real_(static_cast<double>(value)) {}
  template <class Sizes>
    requires std::convertible_to<const Sizes&, std::span<const int64_t>>
  Part(const Sizes& sizes) : kind_(Kind::sizes), sizes_(sizes) {}

  void append_to(std::string& message) const;

 private:
  enum class Kind : uint8_t { text, integer, natural, real, sizes };

  Kind kind_;
  union {
    std::string_view text_;
    int64_t integer_;
    uint64_t natural_;
    double real_;
    std::span<const int64_t> sizes_;
  };
};

std::string join(std::initializer_list<Part> parts);

template <class E, class... Parts>
[[noreturn, gnu::cold, gnu::noinline]] void fail(const Parts&... parts) {
  throw E(join({Part(parts)...}));
}

// The parts are formatted only when the condition is false.
template <class... Parts>
void check(bool condition, const Parts&... parts) {
  if (!condition) [[unlikely]] fail<RuntimeError>(parts...);
}

template <class... Parts>
void check_value(bool condition, const Parts&... parts) {
  if (!condition) [[unlikely]] fail<ValueError>(parts...);
}

template <class... Parts>
void check_type(bool condition, const Parts&... parts) {
  if (!condition) [[unlikely]] fail<TypeError>(parts...);
}

template <class... Parts>
void check_index(bool condition, const Parts&... parts) {
  if (!condition) [[unlikely]] fail<IndexError>(parts...);
}

}  // namespace tessel
