// Comparing whole tensors: equal, isclose, allclose.
#include "ops/ops.h"

namespace tessel {

static void check_devices(const char* op, const Tensor& a, const Tensor& b) {
  check(a.device() == b.device(), op, ": Expected all tensors to be on the same device, but found ",
        device_name(a.device()), " and ", device_name(b.device()));
}

bool equal(const Tensor& a, const Tensor& b) {
  check_devices("equal", a, b);
  if (!(a.sizes() == b.sizes())) return false;
  NoGrad no_grad;
  return a.numel() == 0 || item(all(eq(a, b))).as_int() != 0;
}

Tensor isclose(const Tensor& a_, const Tensor& b_, double rtol, double atol, bool equal_nan) {
  check_devices("isclose", a_, b_);
  check(a_.dtype() == b_.dtype(), "isclose: Expected both tensors to have the same dtype, but got ", a_.dtype(),
        " and ", b_.dtype());
  check(rtol >= 0, "isclose: rtol must be greater than or equal to zero, but got ", rtol);
  check(atol >= 0, "isclose: atol must be greater than or equal to zero, but got ", atol);
  NoGrad no_grad;
  Tensor close = eq(a_, b_);
  if (equal_nan && (is_floating(a_.dtype()) || is_complex(a_.dtype())))
    close = binary(Binary::logical_or, close, binary(Binary::logical_and, isnan(a_), isnan(b_)));
  if (rtol == 0 && atol == 0) return close;
  const bool exact = is_floating(a_.dtype()) || is_complex(a_.dtype());
  Tensor a = exact ? a_ : to_dtype(a_, DType::float64), b = exact ? b_ : to_dtype(b_, DType::float64);
  Tensor allowed = add(abs(mul(b, Scalar(rtol))), Scalar(atol)), actual = abs(sub(a, b));
  return binary(Binary::logical_or, close,
                binary(Binary::logical_and, unary(Unary::isfinite, actual), le(actual, allowed)));
}

bool allclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  Tensor close = isclose(a, b, rtol, atol, equal_nan);
  return close.numel() == 0 || item(all(close)).as_int() != 0;
}

}  // namespace tessel
