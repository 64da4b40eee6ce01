// Vectors of the target: Vec<float> and Vec<double> as wide as its registers, Vec<int32_t> and Vec<int64_t> of one lane
// (their arithmetic wraps; the compiler vectorises the loops), and the 16-bit floats, which exist only at load and store.
// vec_scalar.h is the one-lane model; vec_avx2.h and vec_avx512.h bear the same names. math.h and functions.h use them.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/dtype.h"

#ifndef TESSEL_TARGET
#error "kernels are compiled once per target: define TESSEL_TARGET"
#endif

#define TESSEL_NOINLINE __attribute__((noinline))
#if defined(__clang__)
#define TESSEL_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define TESSEL_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace tessel::TESSEL_TARGET {

struct Half { uint16_t bits; };    // IEEE binary16
struct BFloat { uint16_t bits; };  // the upper half of a float
struct Bool { uint8_t value; };    // 0 or 1

template <class A, class B> constexpr bool same = false;
template <class A> constexpr bool same<A, A> = true;
template <bool first, class A, class B> struct Choose { using type = A; };
template <class A, class B> struct Choose<false, A, B> { using type = B; };
template <class T> constexpr bool is_real = same<T, float> || same<T, double>;

template <class To, class From> inline To bit_cast(From x) { return __builtin_bit_cast(To, x); }

// A bfloat16 is a float without its lower half, rounded to nearest even; a NaN stays one.
inline float to_float(BFloat x) { return bit_cast<float>(uint32_t(x.bits) << 16); }
inline BFloat to_bfloat(float x) {
  uint32_t bits = bit_cast<uint32_t>(x);
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return {uint16_t((bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16 | 0x40) : rounded)};
}

// A half's exponent and fraction, moved to a float's place, read 2^112 too small, which an addition to the exponent repairs. A
// subnormal half is what its fraction adds to 2^-14: no subnormal float comes up, which the norms would flush. The way back
// lets the float adder round: adding 2^(e + 13) leaves exactly the 11 bits that a half keeps.
inline float to_float(Half x) {
  uint32_t magnitude = uint32_t(x.bits & 0x7fff) << 13;
  float subnormal = bit_cast<float>(magnitude + (113u << 23)) - 0x1p-14f;
  uint32_t finite = magnitude < (1u << 23) ? bit_cast<uint32_t>(subnormal) : magnitude + (112u << 23);
  uint32_t bits = magnitude >= 0x0f800000 ? (magnitude | 0x7f800000) : finite;
  return bit_cast<float>(bits | uint32_t(x.bits & 0x8000) << 16);
}
inline Half to_half(float x) {
  uint32_t bits = bit_cast<uint32_t>(x), sign = bits >> 16 & 0x8000;
  bits &= 0x7fffffff;
  if (bits > 0x7f800000) return {uint16_t(sign | 0x7e00 | (bits >> 13 & 0x3ff))};
  if (bits >= 0x477ff000) return {uint16_t(sign | 0x7c00)};  // 65520 and above
  uint32_t least = 113u << 23;                               // 2^-14, the smallest normal half
  uint32_t exponent = (bits > least ? bits : least) & 0x7f800000;
  float shift = bit_cast<float>(exponent + (13u << 23));
  uint32_t digits = bit_cast<uint32_t>(bit_cast<float>(bits) + shift) - bit_cast<uint32_t>(shift);
  return {uint16_t(sign | (digits + ((exponent - least) >> 13)))};
}

}  // namespace tessel::TESSEL_TARGET

#include "kernels/cpu/vec_scalar.h"

#define TESSEL_QUOTE(path) #path
#define TESSEL_HEADER(path) TESSEL_QUOTE(path)
#define TESSEL_JOIN(a, b) a##b
#define TESSEL_VEC(target) TESSEL_JOIN(kernels/cpu/vec_, target).h
#include TESSEL_HEADER(TESSEL_VEC(TESSEL_TARGET))

namespace tessel::TESSEL_TARGET {

// ---- what follows from the primitives, at any width

template <class V> inline auto is_nan(V a) { return ne(a, a); }
template <class V> inline V min(V a, V b) { return select(is_nan(a), a, least(a, b)); }  // a NaN wins
template <class V> inline V max(V a, V b) { return select(is_nan(a), a, greatest(a, b)); }

// The first n lanes of a, and after them those of rest.
template <class T> inline Vec<T> first_of(Vec<T> a, int n, Vec<T> rest) {
  T lanes[Vec<T>::width];
  rest.store(lanes);
  a.store(lanes, n);
  return Vec<T>::load(lanes);
}

// The lanes folded into one by f, a function of two vectors, always in the same tree: half upon half.
template <int half, class V, class F> inline V fold_halves(V a, F f) {
  if constexpr (half == 0) return a;
  else return fold_halves<half / 2>(f(a, V::template trade<half>(a)), f);
}
template <class T, class F> inline T fold(Vec<T> a, F f) {
  T lanes[Vec<T>::width];
  fold_halves<Vec<T>::width / 2>(a, f).store(lanes);
  return lanes[0];
}

// f, a function of Vec<double>, applied to floats: half of the lanes at a time.
template <class F, class... A> inline Vec<float> in_double(F f, A... a) {
  if constexpr (Vec<float>::width == 1) return Vec<float>::of(float(f(Vec<double>(a.v)...).v));
  else return narrow(f(lower(a)...), f(upper(a)...));
}

// f, a function of doubles, one lane at a time: for functions that are rare or need the C library.
template <class T, class F> TESSEL_NOINLINE inline Vec<T> per_lane(F f, Vec<T> a) {
  T lanes[Vec<T>::width];
  a.store(lanes);
  for (T& lane : lanes) lane = T(f(double(lane)));
  return Vec<T>::load(lanes);
}
template <class T, class F> TESSEL_NOINLINE inline Vec<T> per_lane(F f, Vec<T> a, Vec<T> b) {
  T lanes[Vec<T>::width], others[Vec<T>::width];
  a.store(lanes);
  b.store(others);
  for (int i = 0; i < Vec<T>::width; ++i) lanes[i] = T(f(double(lanes[i]), double(others[i])));
  return Vec<T>::load(lanes);
}

}  // namespace tessel::TESSEL_TARGET
