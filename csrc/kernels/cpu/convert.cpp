// Conversions between arrays: eight plain types directly, the 16-bit floats by way of float.
#include "kernels/cpu/convert.h"

#include "kernels/cpu/complex.h"

namespace tessel::TESSEL_TARGET {
namespace {

template <class To, class From> To convert_one(From x) {
  if constexpr (same<From, Bool>) return convert_one<To>(x.value);
  else if constexpr (same<To, Bool>) return {uint8_t(x != From(0))};
  // By way of int32, as the processors convert: what lies outside a small type wraps.
  else if constexpr (is_real<From> && sizeof(To) < 4) return To(int32_t(x));
  else return To(x);
}

template <class To, class From> TESSEL_NOINLINE void convert_plain(void* to, const void* from, int64_t n) {
  To* y = (To*)to;
  const From* x = (const From*)from;
  TESSEL_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) y[i] = convert_one<To>(x[i]);
}

template <class Small> TESSEL_NOINLINE void widen(void* to, const void* from, int64_t n) {
  using V = Vec<float>;
  float* y = (float*)to;
  const Small* x = (const Small*)from;
  int64_t i = 0;
  for (; i + V::width <= n; i += V::width) V::load(x + i).store(y + i);
  if (i < n) V::load(x + i, int(n - i)).store(y + i, int(n - i));
}

template <class Small> TESSEL_NOINLINE void narrow(void* to, const void* from, int64_t n) {
  using V = Vec<float>;
  Small* y = (Small*)to;
  const float* x = (const float*)from;
  int64_t i = 0;
  for (; i + V::width <= n; i += V::width) V::load(x + i).store(y + i);
  if (i < n) V::load(x + i, int(n - i)).store(y + i, int(n - i));
}

// By way of a float tile, for a 16-bit float on either side.
template <Convert second, Convert first, int to_bytes, int from_bytes> void by_float(void* to, const void* from, int64_t n) {
  constexpr int tile = 256;
  float middle[tile];
  for (int64_t i = 0; i < n; i += tile) {
    int64_t part = n - i < tile ? n - i : tile;
    first(middle, (const char*)from + i * from_bytes, part);
    second((char*)to + i * to_bytes, middle, part);
  }
}

template <class From, class To> constexpr Convert pick() {
  constexpr bool small_from = same<From, Half> || same<From, BFloat>, small_to = same<To, Half> || same<To, BFloat>;
  if constexpr (same<From, To>) return nullptr;
  else if constexpr (small_from && same<To, float>) return widen<From>;
  else if constexpr (small_to && same<From, float>) return narrow<To>;
  else if constexpr (small_from && small_to) return by_float<narrow<To>, widen<From>, sizeof(To), sizeof(From)>;
  else if constexpr (small_from) return by_float<convert_plain<To, float>, widen<From>, sizeof(To), sizeof(From)>;
  else if constexpr (small_to) return by_float<narrow<To>, convert_plain<float, From>, sizeof(To), sizeof(From)>;
  else return convert_plain<To, From>;
}

struct Row { Convert to[10]; };

template <class From> constexpr Row row() {
  return {{pick<From, Bool>(), pick<From, uint8_t>(), pick<From, int8_t>(), pick<From, int16_t>(), pick<From, int32_t>(),
           pick<From, int64_t>(), pick<From, Half>(), pick<From, BFloat>(), pick<From, float>(), pick<From, double>()}};
}

constexpr Row kConvert[10] = {row<Bool>(),    row<uint8_t>(), row<int8_t>(), row<int16_t>(), row<int32_t>(),
                              row<int64_t>(), row<Half>(),    row<BFloat>(), row<float>(),   row<double>()};

// Reals become complex numbers by way of a tile of their parts' type.
template <class T, class From> void add_imaginary(void* to, const void* from, int64_t n) {
  constexpr int tile = 256;
  T middle[tile];
  Complex<T>* y = (Complex<T>*)to;
  for (int64_t i = 0; i < n; i += tile) {
    int64_t part = n - i < tile ? n - i : tile;
    const From* x = (const From*)from + i;
    if constexpr (same<T, From>) memcpy(middle, x, size_t(part) * sizeof(T));
    else pick<From, T>()(middle, x, part);
    for (int64_t k = 0; k < part; ++k) y[i + k] = {middle[k], 0};
  }
}

template <class To, class From> void convert_complex(void* to, const void* from, int64_t n) {
  Complex<To>* y = (Complex<To>*)to;
  const Complex<From>* x = (const Complex<From>*)from;
  for (int64_t i = 0; i < n; ++i) y[i] = {To(x[i].re), To(x[i].im)};
}

template <class T> constexpr Row complex_row() {
  return {{add_imaginary<T, Bool>, add_imaginary<T, uint8_t>, add_imaginary<T, int8_t>, add_imaginary<T, int16_t>, add_imaginary<T, int32_t>,
           add_imaginary<T, int64_t>, add_imaginary<T, Half>, add_imaginary<T, BFloat>, add_imaginary<T, float>, add_imaginary<T, double>}};
}

constexpr Row kToComplex[2] = {complex_row<float>(), complex_row<double>()};  // by the source

}  // namespace

Convert converter(DType to, DType from) {
  if (int(to) < 10) return int(from) < 10 ? kConvert[int(from)].to[int(to)] : nullptr;
  if (int(from) < 10) return kToComplex[int(to) - 10].to[int(from)];
  return to == from ? nullptr : to == DType::complex64 ? convert_complex<float, double> : convert_complex<double, float>;
}

}  // namespace tessel::TESSEL_TARGET
