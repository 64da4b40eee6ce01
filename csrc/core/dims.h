// Sizes, strides and lists of dimensions: up to eight int64 inline, no heap.
#pragma once
#include <cstring>
#include <initializer_list>
#include <span>

#include "core/dtype.h"
#include "core/error.h"

namespace tessel {

class Dims {
 public:
  Dims() = default;
  Dims(std::initializer_list<int64_t> values) : Dims(std::span<const int64_t>(values.begin(), values.size())) {}
  Dims(std::span<const int64_t> values) {
    check(values.size() <= kMaxDims, "tensor: at most ", kMaxDims, " dimensions are supported, got ", values.size());
    n_ = static_cast<int>(values.size());
    for (int i = 0; i < n_; ++i) v_[i] = values[i];
  }
  Dims(const Dims& o) : n_(o.n_) { for (int i = 0; i < n_; ++i) v_[i] = o.v_[i]; }
  Dims& operator=(const Dims& o) {
    n_ = o.n_;
    for (int i = 0; i < n_; ++i) v_[i] = o.v_[i];
    return *this;
  }
  static Dims filled(int n, int64_t value) {
    check(n <= kMaxDims, "tensor: at most ", kMaxDims, " dimensions are supported, got ", n);
    Dims d;
    d.n_ = n;
    for (int i = 0; i < n; ++i) d.v_[i] = value;
    return d;
  }

  int size() const { return n_; }
  bool empty() const { return n_ == 0; }
  int64_t& operator[](int64_t i) { return v_[i]; }
  int64_t operator[](int64_t i) const { return v_[i]; }
  const int64_t* begin() const { return v_; }
  const int64_t* end() const { return v_ + n_; }
  int64_t* begin() { return v_; }
  int64_t* end() { return v_ + n_; }
  const int64_t* data() const { return v_; }
  int64_t back() const { return v_[n_ - 1]; }
  operator std::span<const int64_t>() const { return {v_, static_cast<size_t>(n_)}; }

  void push_back(int64_t value) {
    check(n_ < kMaxDims, "tensor: at most ", kMaxDims, " dimensions are supported");
    v_[n_++] = value;
  }
  void insert(int64_t at, int64_t value) {
    push_back(value);
    for (int i = n_ - 1; i > at; --i) v_[i] = v_[i - 1];
    v_[at] = value;
  }
  void erase(int64_t at) {
    for (int i = static_cast<int>(at); i + 1 < n_; ++i) v_[i] = v_[i + 1];
    --n_;
  }
  int64_t numel() const {  // product; 1 for a scalar
    int64_t n = 1;
    for (int i = 0; i < n_; ++i) n *= v_[i];
    return n;
  }
  bool operator==(const Dims& o) const {
    if (n_ != o.n_) return false;
    for (int i = 0; i < n_; ++i)
      if (v_[i] != o.v_[i]) return false;
    return true;
  }

 private:
  int n_ = 0;
  int64_t v_[kMaxDims];
};

Dims contiguous_strides(const Dims& sizes);

}  // namespace tessel
