// Singular values and vectors by Hestenes' one-sided Jacobi method: pairs of columns are rotated until all are orthogonal.
// Their lengths are then the singular values, with high relative accuracy. Meant for small matrices: a sweep is m n^2 and
// some ten are needed. All arithmetic is in double; matrices of a stack are the parallel tasks.
#include "core/parallel.h"
#include "kernels/cpu/entries.h"
#include "kernels/cpu/rows.h"

namespace tessel::TESSEL_TARGET {
namespace {

using V = Vec<double>;

inline double dot(const double* a, const double* b, int64_t n) {
  return sum_row<double>(n, [=](int64_t i, int lanes) { return get(a + i, lanes) * get(b + i, lanes); });
}

// (a, b) = (c a - s b, s a + c b)
inline void rotate(double* a, double* b, int64_t n, double c, double s) {
  V cosine = V(c), sine = V(s);
  each<double>(n, [=](int64_t i, int lanes) {
    V x = get(a + i, lanes), y = get(b + i, lanes);
    put(cosine * x - sine * y, a + i, lanes);
    put(sine * x + cosine * y, b + i, lanes);
  });
}

// The columns of w (n rows of m: each is a column of the matrix), made orthogonal; v gathers the rotations.
void orthogonalise(double* w, double* v, int64_t m, int64_t n) {
  constexpr int kSweeps = 60;
  constexpr double kClose = 0x1p-52;
  bool rotated = true;
  for (int sweep = 0; rotated && sweep < kSweeps; ++sweep) {
    rotated = false;
    for (int64_t p = 0; p + 1 < n; ++p) {
      for (int64_t q = p + 1; q < n; ++q) {
        double *a = w + p * m, *b = w + q * m;
        double aa = dot(a, a, m), bb = dot(b, b, m), ab = dot(a, b, m);
        if (!(__builtin_fabs(ab) > kClose * __builtin_sqrt(aa * bb))) continue;
        double zeta = (bb - aa) / (2 * ab);
        double t = (zeta < 0 ? -1 : 1) / (__builtin_fabs(zeta) + __builtin_sqrt(1 + zeta * zeta));
        double c = 1 / __builtin_sqrt(1 + t * t);
        rotate(a, b, m, c, c * t);
        rotate(v + p * n, v + q * n, n, c, c * t);
        rotated = true;
      }
    }
  }
}

// Makes one of the `columns` of w a unit vector orthogonal to those that are done: what an axis keeps of itself beside them.
void complete(double* w, const bool* done, int64_t column, int64_t m, int64_t columns) {
  double* x = w + column * m;
  for (int64_t axis = 0; axis < m; ++axis) {
    memset(x, 0, size_t(m) * sizeof(double));
    x[axis] = 1;
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t k = 0; k < columns; ++k) {
        if (!done[k]) continue;
        double share = dot(x, w + k * m, m);
        for (int64_t i = 0; i < m; ++i) x[i] -= share * w[k * m + i];
      }
    }
    double length = __builtin_sqrt(dot(x, x, m));
    if (length * length * double(2 * m) < 1) continue;  // of m axes one keeps at least a share of 1 / m
    for (int64_t i = 0; i < m; ++i) x[i] /= length;
    return;
  }
}

template <class T> void decompose(const SvdArgs& args, int64_t index, double* room) {
  const int64_t m = args.m, n = args.n, columns = args.full ? m : n;
  const T* x = (const T*)args.x + index * m * n;
  T *u = (T*)args.u + index * m * columns, *s = (T*)args.s + index * n, *v = (T*)args.v + index * n * n;
  double *w = room, *rotations = w + m * columns, *lengths = rotations + n * n;
  bool* done = (bool*)(lengths + n);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) w[j * m + i] = double(x[i * n + j]);
  memset(rotations, 0, size_t(n * n) * sizeof(double));
  for (int64_t j = 0; j < n; ++j) rotations[j * n + j] = 1;
  orthogonalise(w, rotations, m, n);
  for (int64_t j = 0; j < columns; ++j) {
    double length = j < n ? __builtin_sqrt(dot(w + j * m, w + j * m, m)) : 0;
    if (j < n) lengths[j] = length;
    done[j] = length != 0;
    for (int64_t i = 0; done[j] && i < m; ++i) w[j * m + i] /= length;
  }
  for (int64_t j = 0; j < columns; ++j) {
    if (!done[j]) complete(w, done, j, m, columns);
    done[j] = true;
  }
  for (int64_t place = 0; place < columns; ++place) {  // the greatest first; a NaN is taken as it comes
    int64_t best = place < n ? -1 : place;
    for (int64_t j = 0; place < n && j < n; ++j)
      if (done[j] && (best < 0 || lengths[j] > lengths[best])) best = j;
    done[best] = false;
    for (int64_t i = 0; i < m; ++i) u[i * columns + place] = T(w[best * m + i]);
    if (place >= n) continue;
    s[place] = T(lengths[best]);
    for (int64_t i = 0; i < n; ++i) v[i * n + place] = T(rotations[best * n + i]);
  }
}

int64_t room_of(const SvdArgs& args) {  // in doubles: the columns, the rotations, their lengths, which are done
  int64_t columns = args.full ? args.m : args.n;
  return args.m * columns + args.n * args.n + args.n + columns;
}

struct Work {
  const SvdArgs* args;
  double* scratch;
};

void matrices(void* context, int64_t begin, int64_t end, int) {
  const Work& work = *(const Work*)context;
  for (int64_t i = begin; i < end; ++i) {
    double* room = work.scratch + i * room_of(*work.args);
    if (work.args->dtype == DType::float64) decompose<double>(*work.args, i, room);
    else decompose<float>(*work.args, i, room);
  }
}

}  // namespace

int64_t svd_scratch(const SvdArgs& args) { return args.batch * room_of(args) * int64_t(sizeof(double)); }

void svd(const SvdArgs& args, void* scratch) {
  Work work = {&args, (double*)scratch};
  parallel_for(args.batch, 1, matrices, &work);
}

}  // namespace tessel::TESSEL_TARGET
