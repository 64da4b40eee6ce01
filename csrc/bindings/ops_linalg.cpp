// Decompositions and what rests on them, in Python. LAPACK comes with numpy, so their stories are told there
// (python/tessel/_linalg.py, loaded at the first use); the signatures stand here with all others.
#include <algorithm>
#include <string_view>

#include "bindings/registry.h"

namespace tessel::python {

namespace {

// A signature as a template argument.
template <size_t n>
struct Signature {
  char text[n];
  constexpr Signature(const char (&given)[n]) { std::copy_n(given, n, text); }

  constexpr size_t name_length() const { return std::string_view(text).find('('); }
  constexpr size_t parameters() const {  // commas outside of brackets make one more; a lone * is none
    size_t count = 0;
    int depth = 0;
    bool any = false;
    for (size_t i = name_length() + 1; text[i] != ')' || depth > 0; ++i) {
      if (text[i] == '(' || text[i] == '[') ++depth;
      if (text[i] == ')' || text[i] == ']') --depth;
      if (text[i] == ',' && depth == 0) any = false;
      else if (text[i] != ' ' && !(text[i] == '*' && depth == 0) && !any) any = true, ++count;
    }
    return count;
  }
};

// The function of tessel._linalg that bears the op's name (of the older ones: after "torch_").
template <Signature signature, bool old>
PyObject* call_python(void (*)(), Arguments arguments) {
  static PyObject* function = [] {
    Object module(expect(PyImport_ImportModule("tessel._linalg")));
    std::string name((old ? "torch_" : "") + std::string(signature.text, signature.name_length()));
    return expect(PyObject_CallMethod(module.get(), "named", "s", name.c_str()));
  }();
  return expect(PyObject_Vectorcall(function, arguments, signature.parameters(), nullptr));
}

template <Signature signature>
void add_linalg(const char* doc) { add_op(signature.text, &call_python<signature, false>, nullptr, doc, kLinalg); }
template <Signature signature>
void add_also(const char* doc) { add_op(signature.text, &call_python<signature, false>, nullptr, doc, kBoth); }
// Of the top level, or an older form, where the name's arguments are others than in linalg.
template <Signature signature>
void add_torch(const char* doc, unsigned where = kBoth) { add_op(signature.text, &call_python<signature, true>, nullptr, doc, where); }

void bind_decompositions() {
  add_linalg<"cholesky(Tensor A, *, bool upper=False) -> Tensor">("The triangle L of positive definite matrices: A = L L^H, or U^H U with upper.");
  add_linalg<"cholesky_ex(Tensor A, *, bool upper=False, bool check_errors=False) -> (Tensor L, Tensor info)">("cholesky, and for each matrix 0 or the order of the leading minor that is not positive.");
  add_linalg<"qr(Tensor A, str mode='reduced') -> (Tensor Q, Tensor R)">("A = Q R, Q's columns orthonormal and R upper triangular; mode 'reduced', 'complete' or 'r'.");
  add_linalg<"eigh(Tensor A, str UPLO='L') -> (Tensor eigenvalues, Tensor eigenvectors)">("Eigenvalues of Hermitian matrices, least first, and eigenvectors as columns; only the triangle UPLO is read.");
  add_linalg<"eigvalsh(Tensor A, str UPLO='L') -> Tensor">("Eigenvalues of Hermitian matrices, least first.");
  add_linalg<"eig(Tensor A) -> (Tensor eigenvalues, Tensor eigenvectors)">("Eigenvalues (complex) of square matrices, and eigenvectors as columns.");
  add_linalg<"eigvals(Tensor A) -> Tensor">("Eigenvalues (complex) of square matrices.");
  add_linalg<"svd(Tensor A, bool full_matrices=True, *, str? driver=None) -> (Tensor U, Tensor S, Tensor Vh)">("Singular values, greatest first, and vectors: A = U diag(S) Vh.");
  add_linalg<"svdvals(Tensor A, *, str? driver=None) -> Tensor">("Singular values, greatest first.");
  add_linalg<"lu(Tensor A, *, bool pivot=True) -> (Tensor P, Tensor L, Tensor U)">("A = P L U: a permutation, a unit lower and an upper triangle.");
  add_linalg<"lu_factor(Tensor A, *, bool pivot=True) -> (Tensor LU, Tensor pivots)">("L and U in one matrix, and the row (from 1) that each row changed places with.");
  add_linalg<"lu_factor_ex(Tensor A, *, bool pivot=True, bool check_errors=False) -> (Tensor LU, Tensor pivots, Tensor info)">("lu_factor, and for each matrix 0 or the first row with a zero pivot.");
  add_linalg<"ldl_factor(Tensor A, *, bool hermitian=False) -> (Tensor LD, Tensor pivots)">("A = L D L^T of symmetric matrices, packed as LAPACK has it.");
  add_linalg<"ldl_factor_ex(Tensor A, *, bool hermitian=False, bool check_errors=False) -> (Tensor LD, Tensor pivots, Tensor info)">("ldl_factor, and for each matrix 0 or the first zero of D.");
  add_linalg<"householder_product(Tensor A, Tensor tau) -> Tensor">("The first columns of a product of reflections 1 - tau v v^H, v the columns of A below a one.");
  add_torch<"geqrf(Tensor input) -> (Tensor a, Tensor tau)">("A QR decomposition as reflections: R, below it the vectors, and their factors.");
  add_torch<"svd(Tensor input, bool some=True, bool compute_uv=True) -> (Tensor U, Tensor S, Tensor V)">("Singular values and vectors: input = U diag(S) V^H.");
  add_torch<"qr(Tensor input, bool some=True) -> (Tensor Q, Tensor R)">("input = Q R; complete without some.");
  add_torch<"cholesky(Tensor input, bool upper=False) -> Tensor">("The triangle L of positive definite matrices: input = L L^H, or U^H U with upper.");
  add_torch<"lu(Tensor input, bool pivot=True, bool get_infos=False) -> object">("(LU, pivots), and infos where asked for.");
  add_also<"lu_unpack(Tensor LU_data, Tensor LU_pivots, bool unpack_data=True, bool unpack_pivots=True) -> (Tensor P, Tensor L, Tensor U)">("What lu_factor packed, apart; empty tensors for what was not asked for.");
}

void bind_solvers() {
  add_linalg<"solve(Tensor A, Tensor B, *, bool left=True) -> Tensor">("X with A X = B, or X A = B unless left; B may hold vectors.");
  add_linalg<"solve_ex(Tensor A, Tensor B, *, bool left=True, bool check_errors=False) -> (Tensor result, Tensor info)">("solve, and for each matrix 0 or the first zero pivot.");
  add_linalg<"solve_triangular(Tensor A, Tensor B, *, bool upper, bool left=True, bool unitriangular=False) -> Tensor">("X with A X = B (X A = B unless left) of a triangle A; with unitriangular its diagonal counts as ones.");
  add_linalg<"lu_solve(Tensor LU, Tensor pivots, Tensor B, *, bool left=True, bool adjoint=False) -> Tensor">("X with A X = B of an A that lu_factor took apart.");
  add_linalg<"ldl_solve(Tensor LD, Tensor pivots, Tensor B, *, bool hermitian=False) -> Tensor">("X with A X = B of an A that ldl_factor took apart.");
  add_linalg<"inv(Tensor A) -> Tensor">("The inverses of square matrices.");
  add_linalg<"inv_ex(Tensor A, *, bool check_errors=False) -> (Tensor inverse, Tensor info)">("inv, and for each matrix 0 or the first zero pivot.");
  add_linalg<"pinv(Tensor A, *, Tensor|Scalar? atol=None, Tensor|Scalar? rtol=None, bool hermitian=False) -> Tensor">("Moore and Penrose's inverse; singular values up to max(atol, rtol * the greatest) count as zero.");
  add_torch<"pinv(Tensor A, Tensor|Scalar rcond, bool hermitian=False) -> Tensor">("", kLinalg);
  add_linalg<"lstsq(Tensor A, Tensor B, float? rcond=None, *, str? driver=None) -> (Tensor solution, Tensor residuals, Tensor rank, Tensor singular_values)">("The X of least |A X - B|, of these the smallest.");
  add_linalg<"tensorinv(Tensor A, int ind=2) -> Tensor">("The inverse under tensordot over the first ind dimensions.");
  add_linalg<"tensorsolve(Tensor A, Tensor B, int[]? dims=None) -> Tensor">("X with tensordot(A, X, X.ndim) = B.");
  add_torch<"inverse(Tensor input) -> Tensor">("The inverses of square matrices.");
  add_torch<"pinverse(Tensor input, float rcond=1e-15) -> Tensor">("Moore and Penrose's inverse.");
  add_torch<"lu_solve(Tensor input, Tensor LU_data, Tensor LU_pivots) -> Tensor">("X with A X = input of an A that lu_factor took apart.");
  add_torch<"cholesky_solve(Tensor input, Tensor L, bool upper=False) -> Tensor">("X with A X = input of an A whose triangle is L.");
  add_torch<"cholesky_inverse(Tensor L, bool upper=False) -> Tensor">("The inverse of the matrix whose triangle is L.");
  add_torch<"triangular_solve(Tensor input, Tensor A, bool upper=True, bool transpose=False, bool unitriangular=False) -> (Tensor solution, Tensor cloned_coefficient)">("X with A X = input of a triangle A.");
  add_torch<"orgqr(Tensor input, Tensor input2) -> Tensor">("linalg.householder_product.");
  add_torch<"ormqr(Tensor input, Tensor input2, Tensor input3, bool left=True, bool transpose=False) -> Tensor">("input3 multiplied with the product of the reflections that geqrf gives.");
}

void bind_matrix_functions() {
  add_linalg<"det(Tensor A) -> Tensor">("Determinants.");
  add_linalg<"slogdet(Tensor A) -> (Tensor sign, Tensor logabsdet)">("Determinants as sign * exp(logabsdet).");
  add_linalg<"matrix_rank(Tensor A, *, Tensor|Scalar? atol=None, Tensor|Scalar? rtol=None, bool hermitian=False) -> Tensor">("How many singular values exceed max(atol, rtol * the greatest).");
  add_torch<"matrix_rank(Tensor A, Tensor|Scalar tol, bool hermitian=False) -> Tensor">("", kLinalg);
  add_linalg<"matrix_exp(Tensor A) -> Tensor">("The exponential series of square matrices.");
  add_linalg<"cond(Tensor A, object p=None) -> Tensor">("norm(A, p) * norm(inv(A), p).");
  add_linalg<"vander(Tensor x, *, int? N=None) -> Tensor">("Powers 0, 1, ... of x as columns.");
  add_also<"det(Tensor input) -> Tensor">("Determinants.");
  add_also<"slogdet(Tensor input) -> (Tensor sign, Tensor logabsdet)">("Determinants as sign * exp(logabsdet).");
  add_also<"logdet(Tensor input) -> Tensor">("Logarithms of determinants; NaN where they are negative.");
  add_also<"matrix_exp(Tensor input) -> Tensor">("The exponential series of square matrices.");
}

}  // namespace

void bind_linalg() {
  bind_decompositions();
  bind_solvers();
  bind_matrix_functions();
}

}  // namespace tessel::python
