// How messages read, and that a check that holds formats nothing.
#include "core/error.h"

#include <vector>

#include "check.h"
#include "core/dims.h"

using namespace tessel;

namespace {

template <class... Parts> std::string message(const Parts&... parts) { return join({Part(parts)...}); }

struct Unprintable {
  operator std::span<const int64_t>() const {
    ++formatted;
    return {};
  }
  static inline int formatted = 0;
};

}  // namespace

TEST(error_parts) {
  CHECK(message("conv2d: weight expects ", 16, " input channels but x has ", int64_t{8}) ==
        "conv2d: weight expects 16 input channels but x has 8");
  CHECK(message(Dims{2, 8, 32}, std::vector<int64_t>{5}, Dims{}) == "(2, 8, 32)(5,)()");
  CHECK(message(0.5, " ", 3.0, " ", -1e-7, " ", 1e22, " ", 0.1f + 0.2f) == "0.5 3.0 -1e-07 1e+22 0.30000001192092896");
  CHECK(message(1.0 / 0.0, " ", -1.0 / 0.0) == "inf -inf");
  CHECK(message(DType::bfloat16, ' ', true, ' ', uint8_t{7}, ' ', UINT64_MAX, ' ', INT64_MIN) ==
        "bfloat16 True 7 18446744073709551615 -9223372036854775808");
  CHECK(message(std::string("text"), std::string_view(" and "), "more") == "text and more");
}

TEST(error_types) {
  CHECK_THROWS(RuntimeError, check(false, "x"));
  CHECK_THROWS(ValueError, check_value(false, "x"));
  CHECK_THROWS(TypeError, check_type(false, "x"));
  CHECK_THROWS(IndexError, check_index(false, "x"));
  CHECK_THROWS(NotImplementedError, fail<NotImplementedError>("x"));
  try {
    fail<OutOfMemory>("needs ", 3, " bytes");
  } catch (const Error& error) {
    CHECK(error.python() == PythonError::memory && std::string(error.what()) == "needs 3 bytes");
  }
}

TEST(error_check_that_holds_formats_nothing) {
  check(true, Unprintable());
  CHECK(Unprintable::formatted == 0);
  CHECK_THROWS(RuntimeError, check(false, Unprintable()));
  CHECK(Unprintable::formatted == 1);
}
