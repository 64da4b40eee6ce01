// The one place that thinks about strides: broadcasting, merging of dimensions, layouts of results. Ops use it to make
// the Loop that kernels walk.
#pragma once
#include <initializer_list>

#include "core/tensor.h"
#include "kernels/kernels.h"

namespace tessel {

// Where an op writes: a fresh result, in place over its first input, or an `out=` tensor.
struct Into {
  enum Kind { fresh, inplace, out } kind = fresh;
  const Tensor* tensor = nullptr;

  static Into over(const Tensor& x) { return {inplace, &x}; }
  static Into given(const Tensor& x) { return {out, &x}; }
  explicit operator bool() const { return kind != fresh; }
};

Dims broadcast(const char* op, const Dims& a, const Dims& b);       // RuntimeError where they don't fit
int64_t wrap_dim(const char* op, int64_t dim, int64_t ndim);        // -1 -> ndim - 1; IndexError out of range
uint32_t dim_mask(const char* op, std::span<const int64_t> dims, int64_t ndim);  // bits of wrapped dims; empty: all

// operands[0] gives the shape; the others are broadcast to it. CPU scalars among CUDA tensors become immediates.
Loop plan(std::initializer_list<const Tensor*> operands);
// The same, with a mask of dimensions (bit d of the tensor's numbering) whose loop position is wanted: no merging across
// the border between masked and unmasked dimensions; `mask` returns in loop numbering.
Loop plan(std::initializer_list<const Tensor*> operands, uint32_t* mask);

// How a tensor's dimensions follow each other in memory. preserve: as in the tensor that is copied.
enum class MemoryFormat : uint8_t { preserve, contiguous, channels_last, channels_last_3d };
Dims format_strides(const char* op, const Dims& sizes, MemoryFormat format);  // RuntimeError unless 4 or 5 dimensions, as the format wants
bool has_format(const Tensor& x, MemoryFormat format);

// A result of these sizes in the memory order of `like` where that is dense, else in C order.
Tensor empty_result(const Dims& sizes, DType dtype, const Tensor& like);
bool dense(const Tensor& x);              // non-overlapping, no holes, any order of dimensions
bool may_overlap(const Tensor& a, const Tensor& b);   // other than being the same elements in the same order
void resize_for_out(const char* op, const Tensor& out, const Dims& sizes);  // of an out= tensor

// PyTorch's type promotion: tensors with dimensions over 0-d tensors over Python numbers.
DType result_type(std::initializer_list<const Tensor*> tensors);
DType compute_type(DType dtype);          // what kernels calculate in: float32, float64, int32, int64
bool can_cast(DType from, DType to);      // PyTorch's categories: no float -> int, nothing but bool -> bool
void check_cast(const char* op, DType result, DType out);

}  // namespace tessel
