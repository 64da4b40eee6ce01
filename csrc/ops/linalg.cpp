// Decompositions of small matrices, and what rests on them: singular values, inverses, norms of matrices.
#include <cmath>

#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

namespace {

void check_matrices(const char* name, const Tensor& x) {
  check(x.dim() >= 2, name, ": The input tensor A must have at least 2 dimensions.");
  check(x.dtype() == DType::float32 || x.dtype() == DType::float64, name, ": Expected a floating point tensor (float32 or float64) as input. Got ", x.dtype());
}

Tensor turned(const Tensor& x) { return transpose(x, -2, -1); }

// [..., k] as diagonal matrices [..., k, k], multiplied from either side.
Tensor times_diagonal(const Tensor& x, const Tensor& d) { return x * unsqueeze(d, -2); }
Tensor diagonal_times(const Tensor& d, const Tensor& x) { return unsqueeze(d, -1) * x; }

// dx from those of u, s and vh, each of which may be undefined. Only what does not depend on the choice of signs is meant
// to be differentiated; equal singular values have no derivative of their vectors.
Tensor svd_derivative(const Tensor& u, const Tensor& s, const Tensor& vh, const Tensor& du, const Tensor& ds, const Tensor& dvh) {
  int64_t m = u.size(-2), n = vh.size(-1), k = s.size(-1);
  if (!du.defined() && !dvh.defined()) return matmul(times_diagonal(u, ds), vh);
  Tensor v = turned(vh), one = eye(k, k, s.dtype(), s.device());
  Tensor gaps = unsqueeze(s * s, -2) - unsqueeze(s * s, -1) + one;  // s[j]^2 - s[i]^2
  auto skew = [](const Tensor& a) { return a - turned(a); };
  Tensor inside = ds.defined() ? one * unsqueeze(ds, -1) : zeros(gaps.sizes(), s.dtype(), s.device());
  if (du.defined()) inside = inside + times_diagonal(skew(matmul(turned(u), du)) / gaps, s);
  if (dvh.defined()) inside = inside + diagonal_times(s, skew(matmul(turned(v), turned(dvh))) / gaps);
  Tensor dx = matmul(matmul(u, inside), vh);
  if (du.defined() && m > k) {
    Tensor part = times_diagonal(du, reciprocal(s));
    dx = dx + matmul(part - matmul(u, matmul(turned(u), part)), vh);
  }
  if (dvh.defined() && n > k) {
    Tensor part = diagonal_times(reciprocal(s), dvh);
    dx = dx + matmul(u, part - matmul(matmul(part, v), vh));
  }
  return dx;
}

}  // namespace

Svd svd(const Tensor& x_, bool full) {
  check_matrices("svd", x_);
  bool wide = x_.size(-2) < x_.size(-1);  // then the transpose is decomposed, and u and v change places
  Tensor plain = detach(x_), x = contiguous(wide ? turned(plain) : plain);
  int64_t m = x.size(-2), n = x.size(-1);
  Dims stack(std::span(x.sizes().data(), x.dim() - 2)), u_sizes = x.sizes(), s_sizes = stack, v_sizes = stack;
  if (full) u_sizes[u_sizes.size() - 1] = m;
  s_sizes.push_back(n), v_sizes.push_back(n), v_sizes.push_back(n);
  Tensor u = empty(u_sizes, x.dtype(), x.device()), s = empty(s_sizes, x.dtype(), x.device()), v = empty(v_sizes, x.dtype(), x.device());
  SvdArgs args{x.dtype(), full, stack.numel(), m, n, x.data(), u.data(), s.data(), v.data()};
  if (m > 0 && args.batch > 0) {
    Scratch scratch(kernels(x).svd_scratch(args), x.device());
    run("svd", x, args.batch * m * n * n * 10, kernels(x).svd, args, scratch.data());
  }
  auto flipped = [](const Tensor& t) { return alias(t, turned(detach(t)).sizes(), turned(detach(t)).strides(), t.offset()); };
  Tensor ys[] = {wide ? v : u, s, wide ? flipped(u) : flipped(v)};
  if (Node* node = record("svd", ys, std::span<const Tensor>(&x_, 1))) {
    node->undefined_ok = true;
    node->backward = [u = SavedOutput(ys[0], 0), s = SavedOutput(ys[1], 1), vh = SavedOutput(ys[2], 2)](std::span<const Tensor> dys, Needs) -> Grads {
      // Columns beyond the singular values are free to turn: they have no derivative.
      int64_t k = s().size(-1);
      auto left = [k](const Tensor& t) { return t.defined() ? narrow(t, -1, 0, k) : t; };
      auto upper = [k](const Tensor& t) { return t.defined() ? narrow(t, -2, 0, k) : t; };
      return {svd_derivative(left(u()), s(), upper(vh()), left(dys[0]), dys[1], upper(dys[2]))};
    };
  }
  return {ys[0], ys[1], ys[2]};
}

// By way of the singular values: v (1 / s) u^T; its derivative needs the result alone.
Tensor inverse(const Tensor& x) {
  check_matrices("inv", x);
  check(x.size(-1) == x.size(-2), "inv: A must be batches of square matrices, but they are ", x.size(-2), " by ", x.size(-1), " matrices");
  Tensor y;
  {
    NoGrad no_grad;
    Svd parts = svd(x);
    check(parts.s.numel() == 0 || item(all(gt(parts.s, wrapped_number(0.0)))).as_int(), "inv: the inversion could not be completed because the input matrix is singular.");
    y = contiguous(matmul(times_diagonal(turned(parts.vh), reciprocal(parts.s)), turned(parts.u)));
  }
  if (Node* node = record("inv", y, {x}))
    node->backward = [y = SavedOutput(y)](const Tensor& dy, Needs) -> Grads {
      Tensor t = turned(y());
      return {-matmul(t, matmul(dy, t))};
    };
  return y;
}

// ---- norms over two dimensions

static Tensor singular_values(const char* name, const Tensor& x, int64_t row, int64_t column, std::optional<DType> dtype) {
  Tensor a = dtype ? to_dtype(x, *dtype) : x;
  check_matrices(name, a);
  return svd(movedim(a, Dims{row, column}, Dims{-2, -1})).s;
}

static Tensor put_back(Tensor y, int64_t row, int64_t column, bool keepdim) {
  if (!keepdim) return y;
  y = unsqueeze(y, std::min(row, column));
  return unsqueeze(y, std::max(row, column));
}

Tensor nuclear_norm(const Tensor& x, const Dims& dims, bool keepdim, std::optional<DType> dtype) {
  check(dims.size() == 2, "nuclear_norm: The dim argument must have two dimensions, got ", dims);
  int64_t row = wrap_dim("nuclear_norm", dims[0], x.dim()), column = wrap_dim("nuclear_norm", dims[1], x.dim());
  check(row != column, "nuclear_norm: dims must be different, got ", dims);
  return put_back(sum(singular_values("nuclear_norm", x, row, column, dtype), Dims{-1}), row, column, keepdim);
}

// 1 and -1: the largest and smallest sum of magnitudes of a column; infinite: of a row; 2 and -2: singular value.
Tensor matrix_norm(const Tensor& x, double p, const Dims& dims, bool keepdim, std::optional<DType> dtype) {
  const char* name = "matrix_norm";
  check(std::abs(p) == 1 || std::abs(p) == 2 || std::isinf(p), name, ": Order ", p, " not supported.");
  check(dims.size() == 2, name, ": dim must be a 2-tuple, got ", dims);
  int64_t row = wrap_dim(name, dims[0], x.dim()), column = wrap_dim(name, dims[1], x.dim());
  check(row != column, name, ": dims must be different, got ", dims);
  auto extreme = [p](const Tensor& t, int64_t dim) {  // the largest of nothing is 0 here
    return p < 0 ? amin(t, Dims{dim}, true) : t.size(dim) == 0 ? sum(t, Dims{dim}, true) : amax(t, Dims{dim}, true);
  };
  if (std::abs(p) == 2) return put_back(squeeze(extreme(singular_values(name, x, row, column, dtype), -1), Dims{-1}), row, column, keepdim);
  int64_t summed = std::abs(p) == 1 ? row : column, chosen = std::abs(p) == 1 ? column : row;
  Tensor y = extreme(norm(x, 1, Dims{summed}, true, dtype), chosen);
  return keepdim ? y : squeeze(y, Dims{row, column});
}

}  // namespace tessel
