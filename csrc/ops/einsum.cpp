// Products of tensors of any dimensions, all of them by way of matmul: einsum, tensordot, kron, cross, bilinear, cdist, chains
// and powers of matrices.
#include <algorithm>
#include <string>

#include "ops/ops.h"

namespace tessel {

// ---- einsum

namespace {

constexpr int kLabels = 52;                 // A-Z, a-z; behind them the dimensions of the ellipsis, from the last one on
constexpr int kAllLabels = kLabels + kMaxDims;
using Labels = std::vector<int>;

struct Term {  // a tensor and what its dimensions are called
  Tensor x;
  Labels labels;
};

bool has(const Labels& labels, int label) { return std::find(labels.begin(), labels.end(), label) != labels.end(); }

int label_of(char c) { return c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : -1; }

// The labels of one operand (or of the output) with `covered` for an ellipsis.
Labels parse(std::string_view text, int covered, const char* whose) {
  Labels labels;
  bool seen = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ') continue;
    if (text[i] == '.') {
      check(text.substr(i, 3) == "...", "einsum: found '.' for ", whose, " that is not part of any ellipsis");
      check(!seen, "einsum: found '.' for ", whose, " for which an ellipsis was already found");
      for (int d = covered - 1; d >= 0; --d) labels.push_back(kLabels + d);
      seen = true;
      i += 2;
    } else {
      int label = label_of(text[i]);
      check(label >= 0, "einsum: invalid subscript given for ", whose, ", subscripts must be in [a-zA-Z], but found '", text[i], "'");
      labels.push_back(label);
    }
  }
  return labels;
}

// x with repeated labels taken along the diagonal, and dimensions of size 1 that others stretch left out.
Term prepare(const Tensor& operand, Labels labels, const int64_t* sizes) {
  Tensor x = operand;
  for (size_t i = 0; i < labels.size(); ++i)
    for (size_t j = labels.size() - 1; j > i; --j)
      if (labels[i] == labels[j]) {
        check(x.size(i) == x.size(j), "einsum: subscript ", labels[i], " is repeated for an operand but the sizes don't match, ", x.size(j), " != ", x.size(i));
        x = movedim(diagonal(x, 0, i, j), Dims{-1}, Dims{static_cast<int64_t>(i)});
        labels.erase(labels.begin() + j);
      }
  for (size_t i = labels.size(); i-- > 0;)
    if (x.size(i) == 1 && sizes[labels[i]] != 1) {
      x = squeeze(x, Dims{static_cast<int64_t>(i)});
      labels.erase(labels.begin() + i);
    }
  return {x, labels};
}

Term arranged(const Term& term, const Labels& order) {
  Dims dims;
  for (int label : order) dims.push_back(std::find(term.labels.begin(), term.labels.end(), label) - term.labels.begin());
  return {permute(term.x, dims), order};
}

// Without the labels that nobody asks for any more. A sum of integers is int64, as everywhere.
Term summed(const Term& term, const Labels& needed) {
  Dims dims;
  Labels left;
  for (size_t i = 0; i < term.labels.size(); ++i) {
    if (has(needed, term.labels[i])) left.push_back(term.labels[i]);
    else dims.push_back(i);
  }
  return dims.empty() ? term : Term{sum(term.x, dims), left};
}

int64_t size_of(const Term& term, const Labels& labels) {
  int64_t n = 1;
  for (int label : labels) n *= term.x.size(std::find(term.labels.begin(), term.labels.end(), label) - term.labels.begin());
  return n;
}

Labels joined(std::initializer_list<const Labels*> parts) {
  Labels all;
  for (const Labels* part : parts) all.insert(all.end(), part->begin(), part->end());
  return all;
}

// a times b, summed over the labels that are not needed: one product of stacks of matrices.
Term contract(const Term& a_, const Term& b_, const Labels& needed) {
  Labels keep_a = joined({&needed, &b_.labels}), keep_b = joined({&needed, &a_.labels});
  Term a = summed(a_, keep_a), b = summed(b_, keep_b);
  if (!is_floating(a.x.dtype()) && !is_floating(b.x.dtype())) {  // one of them may have become int64
    DType type = promote(a.x.dtype(), b.x.dtype());
    a.x = to_dtype(a.x, type), b.x = to_dtype(b.x, type);
  }
  Labels batch, inner, rows, columns;
  for (int label : a.labels) (!has(b.labels, label) ? rows : has(needed, label) ? batch : inner).push_back(label);
  for (int label : b.labels)
    if (!has(a.labels, label)) columns.push_back(label);
  Labels result = joined({&batch, &rows, &columns});
  a = arranged(a, joined({&batch, &rows, &inner}));
  b = arranged(b, joined({&batch, &inner, &columns}));
  Dims sizes;
  for (int label : batch) sizes.push_back(size_of(a, {label}));
  for (int label : rows) sizes.push_back(size_of(a, {label}));
  for (int label : columns) sizes.push_back(size_of(b, {label}));
  if (inner.empty()) {  // nothing to sum: elementwise
    Dims left = Dims(std::span(sizes.data(), batch.size() + rows.size())), right = Dims(std::span(sizes.data(), batch.size()));
    for (size_t i = 0; i < columns.size(); ++i) left.push_back(1);
    for (size_t i = 0; i < rows.size(); ++i) right.push_back(1);
    for (int label : columns) right.push_back(size_of(b, {label}));
    return {reshape(a.x, left) * reshape(b.x, right), result};
  }
  int64_t n = size_of(a, batch), m = size_of(a, rows), k = size_of(a, inner), p = size_of(b, columns);
  return {reshape(bmm(reshape(a.x, {n, m, k}), reshape(b.x, {n, k, p})), sizes), result};
}

}  // namespace

Tensor einsum(std::string_view equation, Tensors xs) {
  check(!xs.empty(), "einsum: must provide at least one operand");
  size_t arrow = equation.find("->");
  std::string_view inputs = equation.substr(0, arrow);

  int covered = 0;  // the most dimensions that an ellipsis covers
  std::vector<std::string_view> texts;
  for (size_t begin = 0; begin <= inputs.size();) {
    size_t end = std::min(inputs.find(',', begin), inputs.size());
    texts.push_back(inputs.substr(begin, end - begin));
    begin = end + 1;
  }
  check(texts.size() == xs.size(), "einsum: ", texts.size() < xs.size() ? "more operands were provided than specified in the equation" : "fewer operands were provided than specified in the equation",
        " (", xs.size(), " against ", texts.size(), ")");
  std::vector<Labels> labels;
  for (size_t i = 0; i < xs.size(); ++i) {
    int named = static_cast<int>(parse(texts[i], 0, "an operand").size()), rest = static_cast<int>(xs[i].dim()) - named;
    bool open = texts[i].find("...") != std::string_view::npos;
    check(open ? rest >= 0 : rest == 0, "einsum: the number of subscripts in the equation (", named, ") does not match the number of dimensions (", xs[i].dim(), ") for operand ", i);
    labels.push_back(parse(texts[i], open ? rest : 0, "an operand"));
    if (open) covered = std::max(covered, rest);
  }

  int64_t sizes[kAllLabels];
  int uses[kAllLabels] = {};
  std::fill(sizes, sizes + kAllLabels, 1);
  for (size_t i = 0; i < xs.size(); ++i)
    for (size_t d = 0; d < labels[i].size(); ++d) {
      int label = labels[i][d];
      int64_t size = xs[i].size(d);
      ++uses[label];
      check(sizes[label] == 1 || size == 1 || sizes[label] == size, "einsum: operands do not broadcast with remapped shapes: subscript has size ", size, " for operand ", i, " which does not broadcast with previously seen size ", sizes[label]);
      if (size != 1) sizes[label] = size;
    }

  Labels output;
  if (arrow != std::string_view::npos) {
    output = parse(equation.substr(arrow + 2), covered, "the output");
    for (size_t i = 0; i < output.size(); ++i) {
      check(std::find(output.begin() + i + 1, output.end(), output[i]) == output.end(), "einsum: output subscript appears more than once in the output");
      check(uses[output[i]] > 0 || output[i] >= kLabels, "einsum: output subscript does not appear in the equation for any input operand");
    }
  } else {  // the ellipsis, then what appears once, in alphabetical order
    for (int d = covered - 1; d >= 0; --d) output.push_back(kLabels + d);
    for (int label = 0; label < kLabels; ++label)
      if (uses[label] == 1) output.push_back(label);
  }

  std::vector<Term> terms;
  for (size_t i = 0; i < xs.size(); ++i) terms.push_back(prepare(xs[i], labels[i], sizes));
  Term result = terms[0];
  for (size_t i = 1; i < terms.size(); ++i) {
    Labels needed = output;
    for (size_t j = i + 1; j < terms.size(); ++j) needed.insert(needed.end(), terms[j].labels.begin(), terms[j].labels.end());
    result = contract(result, terms[i], needed);
  }
  result = summed(result, output);
  for (int label : output)
    if (!has(result.labels, label)) {  // of size 1 everywhere it stood
      result.x = unsqueeze(result.x, 0);
      result.labels.insert(result.labels.begin(), label);
    }
  return arranged(result, output).x;
}

// ---- tensordot

Tensor tensordot(const Tensor& a, const Tensor& b, Ints a_dims, Ints b_dims) {
  check(a_dims.size() == b_dims.size(), "tensordot: both dimension lists should have same length, got ", a_dims.size(), " and ", b_dims.size());
  check(a.dtype() == b.dtype(), "tensordot: both inputs should have same dtype, got ", a.dtype(), " and ", b.dtype());
  Dims left = a_dims, right = b_dims, stretched_a, stretched_b;
  uint32_t a_mask = left.empty() ? 0 : dim_mask("tensordot", left, a.dim()), b_mask = right.empty() ? 0 : dim_mask("tensordot", right, b.dim());
  for (int i = 0; i < left.size(); ++i) {
    left[i] = wrap_dim("tensordot", left[i], a.dim()), right[i] = wrap_dim("tensordot", right[i], b.dim());
    int64_t m = a.size(left[i]), n = b.size(right[i]);
    check(m == n || m == 1 || n == 1, "tensordot: contracted dimensions need to match, but first has size ", m, " in dim ", left[i], " and second has size ", n, " in dim ", right[i]);
    if (m != 1 && n == 1) stretched_a.push_back(left[i]);
    if (n != 1 && m == 1) stretched_b.push_back(right[i]);
  }
  Tensor x = stretched_a.empty() ? a : sum(a, stretched_a, true, a.dtype()), y = stretched_b.empty() ? b : sum(b, stretched_b, true, b.dtype());
  Dims x_order, y_order = right, sizes;
  int64_t m = 1, k = 1, n = 1;
  for (int d = 0; d < x.dim(); ++d)
    if (!(a_mask >> d & 1)) x_order.push_back(d), sizes.push_back(x.size(d)), m *= x.size(d);
  for (int64_t d : left) x_order.push_back(d), k *= x.size(d);
  for (int d = 0; d < y.dim(); ++d)
    if (!(b_mask >> d & 1)) y_order.push_back(d), sizes.push_back(y.size(d)), n *= y.size(d);
  return reshape(mm(reshape(permute(x, x_order), {m, k}), reshape(permute(y, y_order), {k, n})), sizes);
}

// ---- matrices

// The order with the fewest multiplications, by dynamic programming.
Tensor chain_matmul(Tensors xs) {
  check(!xs.empty(), "chain_matmul: expected one or more matrices");
  for (const Tensor& x : xs) check(x.dim() == 2, "chain_matmul: expected matrices, got a tensor of shape ", x.sizes());
  int n = static_cast<int>(xs.size());
  std::vector<std::vector<double>> cost(n, std::vector<double>(n, 0));
  std::vector<std::vector<int>> split(n, std::vector<int>(n, 0));
  for (int length = 1; length < n; ++length)
    for (int i = 0; i + length < n; ++i) {
      int j = i + length;
      cost[i][j] = -1;
      for (int k = i; k < j; ++k) {
        double c = cost[i][k] + cost[k + 1][j] + double(xs[i].size(0)) * double(xs[k].size(1)) * double(xs[j].size(1));
        if (cost[i][j] < 0 || c < cost[i][j]) cost[i][j] = c, split[i][j] = k;
      }
    }
  auto multiply = [&](auto& self, int i, int j) -> Tensor { return i == j ? xs[i] : mm(self(self, i, split[i][j]), self(self, split[i][j] + 1, j)); };
  return multiply(multiply, 0, n - 1);
}

Tensor matrix_power(const Tensor& x, int64_t n) {
  check(x.dim() >= 2 && x.size(-1) == x.size(-2), "matrix_power: The input tensor must be batches of square matrices, but it is ", x.sizes());
  if (n < 0) return matrix_power(inverse(x), -n);
  Tensor y, square = x;
  if (n == 0) {
    y = clone(x);  // its gradient is zero, not absent
    return copy_(y, eye(x.size(-1), x.size(-1), x.dtype(), x.device()));
  }
  for (; n; n >>= 1) {
    if (n & 1) y = y.defined() ? matmul(y, square) : square;
    if (n > 1) square = matmul(square, square);
  }
  return y.is_same(x) ? clone(x) : y;
}

Tensor kron(const Tensor& a, const Tensor& b) {
  int n = static_cast<int>(std::max(a.dim(), b.dim()));
  auto size = [n](const Tensor& x, int d) { return d < n - x.dim() ? 1 : x.sizes()[d - n + x.dim()]; };
  Dims left, right, sizes;
  for (int d = 0; d < n; ++d) {
    left.push_back(size(a, d)), left.push_back(1);
    right.push_back(1), right.push_back(size(b, d));
    sizes.push_back(size(a, d) * size(b, d));
  }
  return reshape(reshape(a, left) * reshape(b, right), sizes);
}

Tensor cross(const Tensor& a, const Tensor& b, std::optional<int64_t> dim) {
  check(a.dim() == b.dim(), "cross: inputs must have the same number of dimensions, got ", a.dim(), " and ", b.dim());
  int64_t d = -1;
  if (dim) {
    d = wrap_dim("cross", *dim, a.dim());
  } else {
    for (int i = 0; i < a.dim() && d < 0; ++i)
      if (a.sizes()[i] == 3) d = i;
    check(d >= 0, "cross: no dimension of size 3 in input (it is ", a.sizes(), ")");
  }
  check(a.dim() > 0 && a.sizes()[d] == 3 && b.sizes()[d] == 3, "cross: dimension ", d, " does not have length 3: the inputs are ", a.sizes(), " and ", b.sizes());
  auto turned = [d](const Tensor& x, int64_t by) { return roll(x, Dims{-by}, Dims{d}); };
  return turned(a, 1) * turned(b, 2) - turned(a, 2) * turned(b, 1);
}

Tensor trace(const Tensor& x) {
  check(x.dim() == 2, "trace: expected a matrix, but got tensor with dim ", x.dim());
  if (x.dtype() == DType::bool_) fail<NotImplementedError>("trace: not implemented for bool");
  return sum(diagonal(x));
}

// y[o] = a w[o] b + bias[o]
Tensor bilinear(const Tensor& a, const Tensor& b, const Tensor& w, const Tensor& bias) {
  check(a.dim() == b.dim() && a.dim() > 0, "bilinear: input dimensions do not match: got ", a.dim(), " and ", b.dim());
  check(w.dim() == 3, "bilinear: weight must have 3 dimensions, but is ", w.sizes());
  for (int d = 0; d + 1 < a.dim(); ++d) check(a.sizes()[d] == b.sizes()[d], "bilinear: batch dimensions do not match at dim ", d, ": got ", a.sizes()[d], " and ", b.sizes()[d]);
  check(a.size(-1) == w.size(1), "bilinear: input1 size does not match weight size: got ", a.size(-1), " but expected ", w.size(1));
  check(b.size(-1) == w.size(2), "bilinear: input2 size does not match weight size: got ", b.size(-1), " but expected ", w.size(2));
  check(!bias.defined() || bias.size(0) == w.size(0), "bilinear: bias size does not match weight size: got ", bias.defined() ? bias.size(0) : 0, " but expected ", w.size(0));
  int64_t outputs = w.size(0), n = a.numel() / std::max<int64_t>(a.size(-1), 1);
  if (a.size(-1) == 0) n = Dims(std::span(a.sizes().data(), a.dim() - 1)).numel();
  Tensor left = mm(reshape(a, {n, a.size(-1)}), reshape(permute(w, Dims{1, 0, 2}), {w.size(1), outputs * w.size(2)}));
  Tensor y = bmm(reshape(left, {n, outputs, w.size(2)}), reshape(b, {n, b.size(-1), 1}));
  Dims sizes = a.sizes();
  sizes[sizes.size() - 1] = outputs;
  y = reshape(y, sizes);
  return bias.defined() ? y + bias : y;
}

Tensor cdist(const Tensor& a, const Tensor& b, double p) {
  check(a.dim() >= 2 && b.dim() >= 2, "cdist: X1 and X2 must be at least two-dimensional, got ", a.dim(), "D and ", b.dim(), "D");
  check(a.size(-1) == b.size(-1), "cdist: X1 and X2 must have the same number of columns. X1: ", a.size(-1), " X2: ", b.size(-1));
  check(p >= 0, "cdist: only supports non-negative p values");
  check(is_floating(a.dtype()) && is_floating(b.dtype()), "cdist: only supports floating-point dtypes, got ", a.dtype(), " and ", b.dtype());
  Tensor apart = unsqueeze(a, -2) - unsqueeze(b, -3);
  if (apart.size(-1) == 0) return sum(abs(apart), Dims{-1});
  return norm(apart, p, Dims{-1});
}

}  // namespace tessel
