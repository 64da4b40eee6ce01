#include "ops/plan.h"

#include <algorithm>
#include <cstring>

#include "ops/ops.h"

namespace tessel {

Dims broadcast(const char* op, const Dims& a, const Dims& b) {
  if (a == b) return a;
  const Dims& longer = a.size() >= b.size() ? a : b;
  const Dims& shorter = a.size() >= b.size() ? b : a;
  Dims sizes = longer;
  int shift = longer.size() - shorter.size();
  for (int d = 0; d < shorter.size(); ++d) {
    int64_t m = longer[d + shift], n = shorter[d];
    check(m == n || m == 1 || n == 1, op, ": The size of tensor a (", a[d + a.size() - shorter.size()], ") must match the size of tensor b (",
          b[d + b.size() - shorter.size()], ") at non-singleton dimension ", d + shift, " (a is ", a, ", b is ", b, ")");
    if (m == 1) sizes[d + shift] = n;
  }
  return sizes;
}

int64_t wrap_dim(const char* op, int64_t dim, int64_t ndim) {
  int64_t n = std::max<int64_t>(ndim, 1);
  check_index(dim >= -n && dim < n, op, ": Dimension out of range (expected to be in range of [", -n, ", ", n - 1, "], but got ", dim, ")");
  return dim < 0 ? dim + n : dim;
}

uint32_t dim_mask(const char* op, std::span<const int64_t> dims, int64_t ndim) {
  if (dims.empty()) return (1u << ndim) - 1;
  uint32_t mask = 0;
  for (int64_t dim : dims) {
    uint32_t bit = 1u << wrap_dim(op, dim, ndim);
    check(!(mask & bit), op, ": dim ", dim, " appears multiple times in the list of dims");
    mask |= bit;
  }
  return ndim == 0 ? 0 : mask;
}

static void set_operand(Operand& operand, const Tensor& x, bool target_is_cuda) {
  operand.dtype = x.dtype();
  if (target_is_cuda && x.device().is_cpu()) {
    operand.data = nullptr;
    std::memcpy(operand.immediate, x.data(), x.item_size());
  } else {
    operand.data = x.data();
  }
}

Loop plan(std::initializer_list<const Tensor*> operands) { return plan(operands, nullptr); }

Loop plan(std::initializer_list<const Tensor*> operands, uint32_t* mask) {
  const Tensor& shape = **operands.begin();
  bool cuda = shape.device().is_cuda();
  Loop loop;
  loop.numel = shape.numel();
  loop.operands = 0;

  // The common case: everything of one shape in C order, or a single element.
  bool flat = mask == nullptr;
  for (const Tensor* x : operands) {
    set_operand(loop.operand[loop.operands++], *x, cuda);
    flat = flat && x->is_contiguous() && (x->sizes() == shape.sizes() || x->numel() == 1);
  }
  if (flat) {
    loop.ndim = loop.numel == 1 ? 0 : 1;
    loop.sizes[0] = loop.numel;
    int i = 0;
    for (const Tensor* x : operands) loop.operand[i++].strides[0] = x->numel() == 1 && loop.numel != 1 ? 0 : x->item_size();
    return loop;
  }

  // Dimensions innermost first, ordered by the result's strides (by the first operand in which they differ).
  int n = static_cast<int>(shape.dim());
  int64_t strides[kMaxOperands][kMaxDims];
  int k = 0;
  for (const Tensor* x : operands) {
    int shift = n - static_cast<int>(x->dim());
    for (int d = 0; d < n; ++d) strides[k][d] = d < shift || x->sizes()[d - shift] == 1 ? 0 : x->strides()[d - shift] * x->item_size();
    ++k;
  }
  int order[kMaxDims];
  for (int d = 0; d < n; ++d) order[d] = n - 1 - d;
  auto before = [&](int a, int b) {  // should a be further in than b?
    for (int i = 0; i < k; ++i) {
      int64_t sa = std::abs(strides[i][a]), sb = std::abs(strides[i][b]);
      if (sa == 0 || sb == 0 || sa == sb) continue;
      return sa < sb;
    }
    return false;
  };
  for (int i = 1; i < n; ++i)  // insertion sort: stable, and the relation is only partial
    for (int j = i; j > 0 && before(order[j], order[j - 1]); --j) std::swap(order[j], order[j - 1]);

  loop.ndim = 0;
  uint32_t loop_mask = 0;
  for (int i = 0; i < n; ++i) {
    int d = order[i];
    int64_t size = shape.sizes()[d];
    bool masked = mask && (*mask >> d & 1);
    if (mask) {  // reductions: the loop's sizes are the input's, operand 1
      auto it = operands.begin() + 1;
      size = (*it)->sizes()[d];
    }
    if (size == 1) continue;
    int last = loop.ndim - 1;
    bool merges = last >= 0 && masked == static_cast<bool>(loop_mask >> last & 1);
    for (int j = 0; merges && j < k; ++j) merges = strides[j][d] == loop.operand[j].strides[last] * loop.sizes[last];
    if (merges) {
      loop.sizes[last] *= size;
    } else {
      loop.sizes[loop.ndim] = size;
      for (int j = 0; j < k; ++j) loop.operand[j].strides[loop.ndim] = strides[j][d];
      if (masked) loop_mask |= 1u << loop.ndim;
      ++loop.ndim;
    }
  }
  loop.numel = 1;
  for (int d = 0; d < loop.ndim; ++d) loop.numel *= loop.sizes[d];
  if (mask) *mask = loop_mask;
  return loop;
}

// ---- layouts

// Dimensions of x from the innermost in memory outwards.
static void memory_order(const Tensor& x, int* order) {
  int n = static_cast<int>(x.dim());
  for (int d = 0; d < n; ++d) order[d] = n - 1 - d;
  std::stable_sort(order, order + n, [&](int a, int b) { return x.strides()[a] < x.strides()[b]; });
}

bool dense(const Tensor& x) {
  if (x.is_contiguous()) return true;
  int order[kMaxDims];
  memory_order(x, order);
  int64_t step = 1;
  for (int i = 0; i < x.dim(); ++i) {
    if (x.sizes()[order[i]] == 1) continue;
    if (x.strides()[order[i]] != step) return false;
    step *= x.sizes()[order[i]];
  }
  return true;
}

Tensor empty_result(const Dims& sizes, DType dtype, const Tensor& like) {
  if (like.is_contiguous() || !(like.sizes() == sizes) || !dense(like)) return empty(sizes, dtype, like.device());
  int order[kMaxDims];
  memory_order(like, order);
  Dims strides = sizes;
  int64_t step = 1;
  for (int i = 0; i < sizes.size(); ++i) {
    strides[order[i]] = step;
    step *= std::max<int64_t>(sizes[order[i]], 1);
  }
  return empty_strided(sizes, strides, dtype, like.device());
}

Dims format_strides(const char* op, const Dims& sizes, MemoryFormat format) {
  if (format == MemoryFormat::contiguous || format == MemoryFormat::preserve) return contiguous_strides(sizes);
  const int rank = format == MemoryFormat::channels_last ? 4 : 5;
  check(sizes.size() == rank, op, ": required rank ", rank, " tensor to use ", rank == 4 ? "channels_last" : "channels_last_3d", " format, got ", sizes);
  Dims strides = sizes;
  int64_t step = 1;
  auto lay = [&](int d) { strides[d] = step, step *= std::max<int64_t>(sizes[d], 1); };
  lay(1);
  for (int d = rank - 1; d >= 2; --d) lay(d);
  lay(0);
  return strides;
}

bool has_format(const Tensor& x, MemoryFormat format) {
  if (format == MemoryFormat::contiguous) return x.is_contiguous();
  if (format == MemoryFormat::preserve) return dense(x);
  if (x.dim() != (format == MemoryFormat::channels_last ? 4 : 5)) return false;
  const Dims strides = format_strides("is_contiguous", x.sizes(), format);
  for (int d = 0; d < x.dim(); ++d)
    if (x.sizes()[d] != 1 && x.strides()[d] != strides[d]) return false;
  return true;
}

bool may_overlap(const Tensor& a, const Tensor& b) {
  if (a->storage.get() != b->storage.get() || a.numel() == 0 || b.numel() == 0) return false;
  if (a.offset() == b.offset() && a.sizes() == b.sizes() && a.strides() == b.strides() && a.dtype() == b.dtype()) return false;
  auto range = [](const Tensor& x, const char*& low, const char*& high) {
    low = high = x.data();
    for (int d = 0; d < x.dim(); ++d) (x.strides()[d] < 0 ? low : high) += (x.sizes()[d] - 1) * x.strides()[d] * x.item_size();
    high += x.item_size();
  };
  const char *a0, *a1, *b0, *b1;
  range(a, a0, a1);
  range(b, b0, b1);
  if (!(a0 < b1 && b0 < a1)) return false;
  // Interleaved parts of one block (columns of a matrix): same steps, bases apart by less than a step, never meeting.
  if (a.dim() == b.dim() && a.strides() == b.strides() && a.item_size() == b.item_size()) {
    int64_t apart = std::abs(a.data() - b.data());
    int64_t inner = 0, smallest = INT64_MAX;
    for (int d = 0; d < a.dim(); ++d) {
      int64_t step = std::abs(a.strides()[d]) * a.item_size();
      if (step == 0 || step <= apart) inner += step * (std::max(a.sizes()[d], b.sizes()[d]) - 1);
      else smallest = std::min(smallest, step);
    }
    if (apart > inner && apart + inner + a.item_size() <= smallest) return false;
  }
  return true;
}

void resize_for_out(const char* op, const Tensor& out, const Dims& sizes) {
  (void)op;
  if (out.sizes() == sizes) return;
  size_t bytes = (out.offset() + sizes.numel()) * out.item_size();
  if (out->storage->bytes() < bytes) out->storage->resize(bytes);
  out->sizes = sizes;
  out->strides = contiguous_strides(sizes);
  out->update_layout();
}

// ---- types

DType result_type(std::initializer_list<const Tensor*> tensors) {
  // Categories in rising priority; a lower one matters only by its kind (bool < integer < float < complex).
  DType types[3];
  bool seen[3] = {};
  for (const Tensor* x : tensors) {
    int category = (*x)->wrapped_number ? 0 : x->dim() == 0 ? 1 : 2;
    types[category] = seen[category] ? promote(types[category], x->dtype()) : x->dtype();
    seen[category] = true;
  }
  auto kind = [](DType t) { return is_complex(t) ? 3 : is_floating(t) ? 2 : t == DType::bool_ ? 0 : 1; };
  if (seen[0]) {  // a Python float is the default dtype, a Python complex its complex
    if (is_floating(types[0])) types[0] = default_dtype();
    else if (is_complex(types[0])) types[0] = default_dtype() == DType::float64 ? DType::complex128 : DType::complex64;
  }
  auto combine = [&](DType high, DType low) { return kind(low) > kind(high) ? promote(high, low) : high; };
  if (!seen[2] && !seen[1]) return types[0];
  DType type = seen[2] ? types[2] : types[1];
  if (seen[2] && seen[1]) type = combine(type, types[1]);
  if (seen[0]) type = combine(type, types[0]);
  return type;
}

DType compute_type(DType dtype) {
  switch (dtype) {
    case DType::float64: return DType::float64;
    case DType::float32: case DType::float16: case DType::bfloat16: return DType::float32;
    case DType::int64: return DType::int64;
    default: return is_complex(dtype) ? dtype : DType::int32;
  }
}

bool can_cast(DType from, DType to) {
  if (is_complex(from) && !is_complex(to)) return false;
  if (is_floating(from) && !is_floating(to) && !is_complex(to)) return false;
  return from == DType::bool_ || to != DType::bool_;
}

void check_cast(const char* op, DType result, DType out) {
  check(can_cast(result, out), op, ": result type ", result, " can't be cast to the desired output type ", out);
}

}  // namespace tessel
