// Matrix products: everything here ends in one GEMM call with strides, so no transpose or batch is ever copied.
#include <algorithm>
#include <atomic>

#include "ops/epilogue.h"
#include "ops/complex.h"
#include "ops/run.h"

namespace tessel {

static std::atomic<Precision> precision{Precision::highest};
Precision float32_precision() { return precision.load(std::memory_order_relaxed); }
void set_float32_precision(Precision given) { precision.store(given, std::memory_order_relaxed); }

namespace {

struct Product {  // what is added to a[i] @ b[i]
  double alpha = 1, beta = 0;
  Tensor bias;
  Activation activation = Activation::none;
  Tensor before = {};  // laid out as c, for what c would be without the activation; undefined: not kept
};

// c = alpha * a @ b + beta * c (+ bias), for matrices or stacks of them whose leading sizes broadcast to c's.
void gemm(const char* name, const Tensor& c, const Tensor& a, const Tensor& b, const Product& product) {
  if (c.numel() == 0) return;
  GemmArgs g{};
  g.dtype = c.dtype(), g.precision = float32_precision();
  g.m = c.size(-2), g.n = c.size(-1), g.k = a.size(-1);
  g.a = a.data(), g.a_row = a.stride(-2), g.a_col = a.stride(-1);
  g.b = b.data(), g.b_row = b.stride(-2), g.b_col = b.stride(-1);
  g.c = c.data(), g.c_row = c.stride(-2), g.c_col = c.stride(-1);
  g.alpha = product.alpha, g.beta = product.beta;
  g.batch = 1;
  auto batch_stride = [](const Tensor& x, int64_t from_end) {
    int64_t d = x.dim() - 3 - from_end;
    return d < 0 || x.sizes()[d] == 1 ? 0 : x.strides()[d];
  };
  for (int64_t i = 0; i + 2 < c.dim(); ++i) {
    int64_t n = c.sizes()[c.dim() - 3 - i], sa = batch_stride(a, i), sb = batch_stride(b, i), sc = batch_stride(c, i);
    g.batch *= n;
    if (n == 1) continue;
    int last = g.batch_dims - 1;
    if (last >= 0 && sa == g.a_batch[last] * g.batch_sizes[last] && sb == g.b_batch[last] * g.batch_sizes[last] && sc == g.c_batch[last] * g.batch_sizes[last]) {
      g.batch_sizes[last] *= n;
    } else {
      ++last;
      g.batch_sizes[last] = n, g.a_batch[last] = sa, g.b_batch[last] = sb, g.c_batch[last] = sc;
      g.batch_dims = last + 1;
    }
  }
  // A stack of matrices against one matrix is one tall matrix.
  if (g.batch_dims == 1 && g.b_batch[0] == 0 && g.a_batch[0] == g.m * g.a_row && g.c_batch[0] == g.m * g.c_row) {
    g.m *= g.batch, g.batch = 1, g.batch_dims = 0;
  }
  if (product.bias.defined()) g.bias = product.bias.data(), g.bias_stride = product.bias.size(-1) == 1 ? 0 : product.bias.stride(-1);
  g.activation = product.activation;
  if (product.before.defined()) g.before = product.before.data();
  Scratch scratch(kernels(c).gemm_scratch(g), c.device());
  run(name, c, g.batch * g.m * g.n * std::max<int64_t>(g.k, 1) / 16, kernels(c).gemm, g, scratch.data());
}

void check_types(const char* name, const Tensor& a, const Tensor& b) {
  check(a.dtype() == b.dtype(), name, ": expected m1 and m2 to have the same dtype, but got: ", a.dtype(), " != ", b.dtype());
  check(a.device() == b.device(), name, ": Expected all tensors to be on the same device, but found at least two devices, ", device_name(a.device()), " and ", device_name(b.device()), "!");
  if (a.dtype() == DType::bool_) fail<NotImplementedError>(name, ": not implemented for bool");
}

void check_dims(const char* name, const char* which, const Tensor& x, int64_t dim) {
  check(x.dim() == dim, name, ": ", which, " must be a ", dim, "-D tensor, got ", x.dim(), "-D");
}

// A vector is a row on the left, a column on the right.
void check_fit(const char* name, const Tensor& a, const Tensor& b) {
  int64_t columns = a.size(-1), rows = b.size(b.dim() == 1 ? -1 : -2);
  check(columns == rows, name, ": mat1 and mat2 shapes cannot be multiplied (a is ", a.sizes(), ", b is ", b.sizes(), ": ", columns, " columns against ", rows, " rows)");
}

Tensor swap_last(const Tensor& x) { return transpose(x, -1, -2); }

// A stack of matrices as one tall matrix.
Tensor tall(const Tensor& x) {
  if (x.dim() == 2) return x;
  int64_t rows = 1;
  for (int d = 0; d + 1 < x.dim(); ++d) rows *= x.sizes()[d];
  return reshape(x, {rows, x.size(-1)});
}

// Of complex matrices, as one product of real ones of twice the columns: with the parts of a row of a lying side by side,
// (re a, im a) . ((re b, im b), (-im b, re b)) are the parts of a row of a b.
void complex_gemm(const char* name, const Tensor& y, const Tensor& a, const Tensor& b) {
  NoGrad no_grad;
  Dims sizes = b.sizes();
  sizes.insert(sizes.size() - 1, 2);
  sizes.push_back(2);  // [..., k, (b, i b), n, (re, im)]
  Tensor turned = empty(sizes, real_dtype(b.dtype()), b.device()), parts = alias_as_real(b);
  copy_elements(name, select(turned, -3, 0), parts);
  Tensor ib = select(turned, -3, 1);
  unary(Unary::neg, select(parts, -1, 1), {}, Into::given(select(ib, -1, 0)));
  copy_elements(name, select(ib, -1, 1), select(parts, -1, 0));
  Tensor rows = flatten(alias_as_real(a), -2, -1), columns = flatten(flatten(turned, -2, -1), -3, -2);
  gemm(name, flatten(alias_as_real(y), -2, -1), rows, columns, {});
}

// The product of two stacks of matrices (at least 2 dimensions each).
Tensor product(const char* name, const Tensor& a, const Tensor& b) {
  Dims a_batch(std::span(a.sizes().data(), a.dim() - 2)), b_batch(std::span(b.sizes().data(), b.dim() - 2));
  Dims sizes = broadcast(name, a_batch, b_batch);
  sizes.push_back(a.size(-2));
  sizes.push_back(b.size(-1));
  Tensor y = empty(sizes, a.dtype(), a.device());
  if (is_complex(a.dtype())) complex_gemm(name, y, detach(a), detach(b));
  else gemm(name, y, a, b, {});
  if (Node* node = record(name, y, {a, b}))
    node->backward = [name, a = Saved(a), b = Saved(b)](const Tensor& dy, Needs needs) -> Grads {
      Tensor da, db;
      if (needs[0]) {
        Tensor bt = swap_last(conj(b()));
        da = product(name, dy, bt);
      }
      if (needs[1]) {
        // Where a is a stack against one matrix, the sum over the stack is part of the product.
        bool one = b().dim() == 2;
        Tensor ac = conj(a());
        db = product(name, swap_last(one ? tall(ac) : ac), one ? tall(dy) : dy);
      }
      return {da, db};
    };
  return y;
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  check(a.dim() > 0 && b.dim() > 0, "matmul: both arguments to matmul need to be at least 1D, but they are ", a.dim(), "D and ", b.dim(), "D");
  check_types("matmul", a, b);
  check_fit("matmul", a, b);
  Tensor left = a.dim() == 1 ? unsqueeze(a, 0) : a;
  Tensor right = b.dim() == 1 ? unsqueeze(b, 1) : b;
  Tensor y = product("matmul", left, right);
  if (b.dim() == 1) y = squeeze(y, Dims{-1});
  if (a.dim() == 1) y = squeeze(y, Dims{b.dim() == 1 ? -1 : -2});
  return y;
}

Tensor mm(const Tensor& a, const Tensor& b) {
  check_dims("mm", "input", a, 2), check_dims("mm", "mat2", b, 2);
  check_types("mm", a, b), check_fit("mm", a, b);
  return product("mm", a, b);
}

static void check_stacks(const char* name, const Tensor& a, const Tensor& b) {
  check_dims(name, "batch1", a, 3), check_dims(name, "batch2", b, 3);
  check_types(name, a, b);
  check(a.size(0) == b.size(0), name, ": batch1 and batch2 must have same number of batches, got ", a.size(0), " and ", b.size(0));
  check_fit(name, a, b);
}

Tensor bmm(const Tensor& a, const Tensor& b) {
  check_stacks("bmm", a, b);
  return product("bmm", a, b);
}

Tensor mv(const Tensor& a, const Tensor& b) {
  check_dims("mv", "input", a, 2), check_dims("mv", "vec", b, 1);
  return matmul(a, b);
}

Tensor dot(const Tensor& a, const Tensor& b) {
  check(a.dim() == 1 && b.dim() == 1, "dot: 1D tensors expected, but got ", a.dim(), "D and ", b.dim(), "D tensors");
  check_types("dot", a, b);
  check(a.numel() == b.numel(), "dot: inconsistent tensor size, expected tensor and src to have the same number of elements, but got ", a.numel(), " and ", b.numel());
  if (is_complex(a.dtype())) return reshape(product("dot", unsqueeze(a, 0), unsqueeze(b, 1)), {});
  Tensor y = empty({}, a.dtype(), a.device());
  int64_t n = a.numel();
  gemm("dot", alias(y, {1, 1}, {1, 1}, y.offset()), alias(a, {1, n}, {0, a.strides()[0]}, a.offset()), alias(b, {n, 1}, {b.strides()[0], 0}, b.offset()), {});
  if (Node* node = record("dot", y, {a, b}))
    node->backward = [a = Saved(a), b = Saved(b)](const Tensor& dy, Needs needs) -> Grads {
      return {needs[0] ? dy * b() : Tensor(), needs[1] ? dy * a() : Tensor()};
    };
  return y;
}

Tensor outer(const Tensor& a, const Tensor& b) {
  check_dims("outer", "input", a, 1), check_dims("outer", "vec2", b, 1);
  return unsqueeze(a, 1) * b;
}

Tensor inner(const Tensor& a, const Tensor& b) {
  if (a.dim() == 0 || b.dim() == 0) return a * b;
  check(a.size(-1) == b.size(-1), "inner: the last dimension must match on both input tensors but got shapes ", a.sizes(), " and ", b.sizes());
  check_types("inner", a, b);
  return tensordot(a, b, Dims{-1}, Dims{-1});
}

// ---- products added to something

namespace {

// y = beta x + alpha a @ b of matrices or stacks of them. Among integers, as PyTorch has it, beta and alpha are cut to integers.
struct Sum {
  const char* name;
  double beta, alpha;
  Scalar given_beta, given_alpha;  // complex ones too

  Sum(const char* name, const Tensor& x, const Tensor& a, Scalar beta, Scalar alpha) : name(name), given_beta(beta), given_alpha(alpha) {
    check(x.dtype() == a.dtype(), name, ": expected input and the factors to have the same dtype, but got: ", x.dtype(), " != ", a.dtype());
    auto value = [&](Scalar s) { return is_floating(x.dtype()) ? s.as_double() : static_cast<double>(s.as_int()); };
    this->beta = value(beta), this->alpha = value(alpha);
  }
};

// Can gemm write to y: is one of the last two strides 1?
bool takes_product(const Tensor& y) {
  return (y.stride(-1) == 1 || y.size(-1) == 1) ? y.stride(-2) >= y.size(-1) || y.size(-2) == 1 : y.stride(-2) == 1 && y.stride(-1) >= y.size(-2);
}

Tensor added(const Sum& sum, const Tensor& x, const Tensor& a, const Tensor& b, const Dims& sizes, const Into& into) {
  const char* name = sum.name;
  check(broadcast(name, x.sizes(), sizes) == sizes, name, ": input of shape ", x.sizes(), " is not broadcastable to the product's shape ", sizes);
  Tensor y;
  {
    NoGrad no_grad;
    Product product{sum.alpha, sum.beta, {}, Activation::none};
    bool row = x.dim() > 0 && x.size(-1) == x.numel() && sum.beta == 1 && !into;
    if (into.kind == Into::inplace && x.sizes() == sizes && takes_product(x) && !may_overlap(x, a) && !may_overlap(x, b) && !x.is_same(a) && !x.is_same(b)) {
      y = *into.tensor;
    } else {
      y = empty(sizes, x.dtype(), x.device());
      if (row) product.bias = x, product.beta = 0;
      else if (sum.beta != 0) copy_(y, x);
    }
    gemm(name, y, a, b, product);
  }
  return y;
}

// The same as an op, in place where `into` says so.
Tensor add_product(const Sum& sum, const Tensor& x, const Tensor& a, const Tensor& b, const Dims& sizes, const Into& into) {
  bool inplace = into.kind == Into::inplace;
  if (inplace) {
    check(x.sizes() == sizes, sum.name, "_: input has shape ", x.sizes(), " but the product has shape ", sizes);
    check_inplace(sum.name, x);
  }
  if (is_complex(a.dtype())) {
    check(broadcast(sum.name, x.sizes(), sizes) == sizes, sum.name, ": input of shape ", x.sizes(), " is not broadcastable to the product's shape ", sizes);
    Tensor y = product(sum.name, a, b);
    if (sum.given_alpha.as_complex() != 1.0) y = y * wrapped_number(sum.given_alpha);
    if (sum.given_beta.as_complex() != 0.0) y = (sum.given_beta.as_complex() == 1.0 ? x : x * wrapped_number(sum.given_beta)) + y;
    Tensor target = x;
    return inplace ? copy_(target, y) : y;
  }
  Tensor y = added(sum, x, a, b, sizes, into);
  if (inplace) {
    if (!y.is_same(x)) {
      NoGrad no_grad;
      Tensor target = x;
      copy_(target, y);
      y = x;
    } else {
      x.bump_version(sum.name);
    }
  }
  Node* node = inplace ? record_inplace(sum.name, y, {x, a, b}) : record(sum.name, y, {x, a, b});
  if (node)
    node->backward = [sum, a = Saved(a), b = Saved(b)](const Tensor& dy, Needs needs) -> Grads {
      auto scaled = [](const Tensor& t, double by) { return by == 1 ? t : t * by; };
      return {needs[0] ? scaled(dy, sum.beta) : Tensor(), needs[1] ? scaled(product(sum.name, dy, swap_last(b())), sum.alpha) : Tensor(),
              needs[2] ? scaled(product(sum.name, swap_last(a()), dy), sum.alpha) : Tensor()};
    };
  return y;
}

}  // namespace

Tensor addmm(const Tensor& x, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha, const Into& into) {
  check_dims("addmm", "mat1", a, 2), check_dims("addmm", "mat2", b, 2);
  check_types("addmm", a, b), check_fit("addmm", a, b);
  return add_product({"addmm", x, a, beta, alpha}, x, a, b, {a.size(0), b.size(1)}, into);
}

Tensor baddbmm(const Tensor& x, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha, const Into& into) {
  check_stacks("baddbmm", a, b);
  return add_product({"baddbmm", x, a, beta, alpha}, x, a, b, {a.size(0), a.size(1), b.size(2)}, into);
}

// What is composed is done in place by a copy.
static Tensor delivered(const char* name, const Tensor& x, const Tensor& y, const Into& into) {
  if (into.kind != Into::inplace) return y;
  check(x.sizes() == y.sizes(), name, "_: input has shape ", x.sizes(), " but the result has shape ", y.sizes());
  Tensor target = x;
  return copy_(target, y);
}

Tensor addmv(const Tensor& x, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha, const Into& into) {
  check(x.dim() <= 1 && a.dim() == 2 && b.dim() == 1, "addmv: vector + matrix @ vector expected, got ", x.dim(), ", ", a.dim(), ", ", b.dim());
  check_types("addmv", a, b);
  check(a.size(1) == b.size(0), "addmv: size mismatch, got input ", x.sizes(), ", mat ", a.sizes(), ", vec ", b.sizes());
  check(x.numel() == 1 || x.numel() == a.size(0), "addmv: size mismatch, got input ", x.sizes(), ", mat ", a.sizes(), ", vec ", b.sizes());
  Tensor y = add_product({"addmv", x, a, beta, alpha}, x.dim() == 0 ? x : unsqueeze(x, 1), a, unsqueeze(b, 1), {a.size(0), 1}, {});
  return delivered("addmv", x, squeeze(y, Dims{1}), into);
}

// The sum of the products of a stack is one product of long rows and columns.
Tensor addbmm(const Tensor& x, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha, const Into& into) {
  check_stacks("addbmm", a, b);
  int64_t k = a.size(0) * a.size(2);
  Tensor left = reshape(permute(a, Dims{1, 0, 2}), {a.size(1), k}), right = reshape(b, {k, b.size(2)});
  return add_product({"addbmm", x, a, beta, alpha}, x, left, right, {a.size(1), b.size(2)}, into);
}

Tensor addr(const Tensor& x, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha, const Into& into) {
  check_dims("addr", "vec1", a, 1), check_dims("addr", "vec2", b, 1);
  DType type = promote(promote(a.dtype(), b.dtype()), x.dtype());
  if (type == DType::float16 || type == DType::bfloat16) {  // rounded once, at the end
    Tensor y = addr(to_dtype(x, DType::float32), to_dtype(a, DType::float32), to_dtype(b, DType::float32), beta, alpha);
    return delivered("addr", x, to_dtype(y, type), into);
  }
  for (const Scalar& s : {beta, alpha}) {
    check(is_floating(type) || is_complex(type) || s.is_integral(), "addr: For integral input tensors, argument beta and alpha must not be floating point numbers.");
    check(type == DType::bool_ || !s.is_bool(), "addr: Boolean beta and alpha only supported for Boolean results.");
  }
  Tensor y = outer(a, b);
  check(broadcast("addr", x.sizes(), y.sizes()) == y.sizes(), "addr: input of shape ", x.sizes(), " is not broadcastable to the product's shape ", y.sizes());
  if (alpha.as_complex() != 1.0) y = to_dtype(y, type) * wrapped_number(alpha);
  if (beta.as_complex() != 0.0) y = (beta.as_complex() == 1.0 ? x : to_dtype(x, type) * wrapped_number(beta)) + y;
  return delivered("addr", x, to_dtype(y, type), into);
}

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b, Activation activation, bool inplace) {
  check(w.dim() == 2 || w.dim() == 1, "linear: weight must be 1D or 2D, but it is ", w.sizes());
  check(x.dim() > 0, "linear: input must have at least one dimension");
  check_types("linear", x, w);
  if (w.dim() == 1) {
    Tensor y = matmul(x, w);
    return activated(activation, b.defined() ? add(y, b) : y, inplace);
  }
  int64_t in = w.sizes()[1], out = w.sizes()[0];
  if (is_complex(x.dtype()) && x.size(-1) == in) {
    Tensor y = matmul(x, t(w));
    return b.defined() ? add(y, b) : y;
  }
  check(x.size(-1) == in, "linear: weight expects ", in, " input features but x has ", x.size(-1), " (x is ", x.sizes(), ", weight is ", w.sizes(), ")");
  if (b.defined()) check(b.dim() <= 1 && (b.numel() == out || b.numel() == 1), "linear: bias has shape ", b.sizes(), " but the weight gives ", out, " output features");
  if (b.defined()) check(b.dtype() == x.dtype(), "linear: expected bias to have the input's dtype ", x.dtype(), ", but got ", b.dtype());
  if (!takes_along(activation, x)) return activated(activation, linear(x, w, b), inplace);
  Dims sizes = x.sizes();
  sizes[sizes.size() - 1] = out;
  Tensor y = empty(sizes, x.dtype(), x.device()), before = before_activation(activation, y, wants_grad({x, w, b}));
  Dims wt_sizes{in, out}, wt_strides{w.strides()[1], w.strides()[0]};
  Tensor wt = alias(w, wt_sizes, wt_strides, w.offset());
  auto as_row = [](const Tensor& v) { return alias(v, {1, v.numel()}, {v.numel(), v.strides()[0]}, v.offset()); };
  bool one = x.dim() == 1;
  Product product{.bias = b, .activation = activation};
  if (own_memory(before, y)) product.before = before;
  gemm("linear", one ? as_row(y) : y, one ? as_row(x) : x, wt, product);
  if (Node* node = record("linear", before, {x, w, b}))
    node->backward = [x = Saved(x), w = Saved(w)](const Tensor& dy, Needs needs) -> Grads {
      Tensor dx, dw, db;
      Tensor rows = tall(dy);
      if (needs[0]) dx = matmul(dy, w());
      if (needs[1]) dw = matmul(t(rows), tall(x()));
      if (needs[2]) db = sum(rows, Dims{0});
      return {dx, dw, db};
    };
  return record_activation(activation, before, y, inplace);
}

}  // namespace tessel
