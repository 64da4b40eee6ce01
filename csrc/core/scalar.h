// A Python number on its way into an op.
#pragma once
#include <complex>
#include <variant>

#include "core/dtype.h"

namespace tessel {

class Scalar {
 public:
  Scalar(bool v) : v_(v) {}
  Scalar(int v) : v_(static_cast<int64_t>(v)) {}
  Scalar(int64_t v) : v_(v) {}
  Scalar(double v) : v_(v) {}
  Scalar(std::complex<double> v) : v_(v) {}

  bool is_bool() const { return v_.index() == 0; }
  bool is_integral() const { return v_.index() <= 1; }  // bool included
  bool is_floating() const { return v_.index() == 2; }
  bool is_complex() const { return v_.index() == 3; }
  double as_double() const {
    return is_bool() ? std::get<0>(v_) : is_floating() ? std::get<2>(v_) : is_complex() ? std::get<3>(v_).real() : static_cast<double>(std::get<1>(v_));
  }
  int64_t as_int() const { return std::holds_alternative<int64_t>(v_) ? std::get<1>(v_) : is_bool() ? std::get<0>(v_) : static_cast<int64_t>(as_double()); }
  std::complex<double> as_complex() const { return is_complex() ? std::get<3>(v_) : std::complex<double>(as_double()); }
  DType dtype() const {  // of the wrapped number
    constexpr DType types[] = {DType::bool_, DType::int64, DType::float64, DType::complex128};
    return types[v_.index()];
  }

 private:
  std::variant<bool, int64_t, double, std::complex<double>> v_;
};

}  // namespace tessel
