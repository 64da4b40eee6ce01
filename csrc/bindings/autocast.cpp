// Which ops autocast touches, the state of a thread, and the casts.
#include "bindings/autocast.h"

#include <pybind11/pybind11.h>

#include <algorithm>
#include <unordered_map>

#include "bindings/types.h"

namespace py = pybind11;

namespace tessel::python {

namespace {

// PyTorch's lists for the CPU, by the names that the ops bear here; composite ones stand with what they are made of.
constexpr std::string_view kLow[] = {
    "addbmm", "addmm", "baddbmm", "bmm", "chain_matmul", "conv1d", "conv2d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "einsum", "gru", "gru_cell", "linalg_multi_dot", "linalg_vecdot", "linear", "lstm", "lstm_cell", "matmul", "mm", "multi_dot",
    "prelu", "rnn", "rnn_cell", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell", "scaled_dot_product_attention", "tensordot", "vecdot"};
constexpr std::string_view kFull[] = {
    "adaptive_avg_pool3d", "adaptive_max_pool3d", "avg_pool3d", "binary_cross_entropy", "binary_cross_entropy_with_logits", "cdist",
    "cholesky", "cholesky_inverse", "cholesky_solve", "cosine_embedding_loss", "cross_entropy", "ctc_loss", "fractional_max_pool2d",
    "fractional_max_pool3d", "geqrf", "grid_sample", "hinge_embedding_loss", "huber_loss", "inverse", "kl_div", "l1_loss", "linalg_cholesky",
    "linalg_cholesky_ex", "linalg_cond", "linalg_eig", "linalg_eigh", "linalg_eigvals", "linalg_eigvalsh", "linalg_householder_product",
    "linalg_inv", "linalg_inv_ex", "linalg_lstsq", "linalg_matrix_rank", "linalg_qr", "linalg_solve", "linalg_svd", "linalg_svdvals",
    "linalg_tensorinv", "linalg_tensorsolve", "lu_solve", "margin_ranking_loss", "max_pool3d", "max_unpool2d", "max_unpool3d", "mse_loss",
    "multi_margin_loss", "multilabel_margin_loss", "nanquantile", "nll_loss", "orgqr", "ormqr", "pinverse", "poisson_nll_loss", "polar", "prod",
    "qr", "quantile", "reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d", "replication_pad3d", "smooth_l1_loss",
    "soft_margin_loss", "stft", "svd", "trace", "triangular_solve", "triplet_margin_loss", "view_as_complex"};
constexpr std::string_view kWidest[] = {"cat", "concat", "concatenate", "index_copy", "stack"};

struct State {
  bool enabled[2] = {false, false};  // for tensors on the CPU, and on CUDA
  DType dtype[2] = {DType::bfloat16, DType::float16};
  bool caches = true;
  int nesting = 0;
  bool active() const { return enabled[0] || enabled[1]; }
};
thread_local State state;

// Weights are cast once for all their uses within the outermost autocast. The weight is held too: so its address is its own.
struct Entry {
  Tensor weight, cast;
  uint32_t version;
};
thread_local std::unordered_map<const TensorImpl*, Entry> weights;

int place(const Tensor& x) { return x.device().is_cpu() ? 0 : 1; }

bool touched(const Tensor& x) { return is_floating(x.dtype()) && x.dtype() != DType::float64 && state.enabled[place(x)]; }

Tensor cast(const Tensor& x, DType dtype) {
  bool is_weight = state.caches && state.nesting > 0 && dtype != DType::float32 && x.dtype() == DType::float32 && x.requires_grad() && x.is_leaf() && grad_enabled();
  if (!is_weight) return to(x, dtype, x.device());
  auto [at, fresh] = weights.try_emplace(x.impl());
  Entry& entry = at->second;
  if (fresh || entry.version != x.version() || entry.cast.dtype() != dtype) entry = {x, to(x, dtype, x.device()), x.version()};
  return entry.cast;
}

PyObject* recast(PyObject* o, Precision wanted, DType widest) {  // a new reference, or null where it stays as it is
  Tensor x = to_tensor(o);
  if (!touched(x)) return nullptr;
  DType dtype = wanted == Precision::low ? state.dtype[place(x)] : wanted == Precision::full ? DType::float32 : widest;
  return x.dtype() == dtype ? nullptr : wrap(cast(x, dtype));
}

bool is_list(PyObject* o) { return o && (PyList_CheckExact(o) || PyTuple_CheckExact(o)); }

template <class F> void each_tensor(PyObject** arguments, int n, F f) {
  for (int i = 0; i < n; ++i) {
    PyObject* o = arguments[i];
    if (o && is_tensor(o)) f(o);
    if (!is_list(o)) continue;
    for (Py_ssize_t k = 0; k < PySequence_Fast_GET_SIZE(o); ++k)
      if (PyObject* entry = PySequence_Fast_GET_ITEM(o, k); is_tensor(entry)) f(entry);
  }
}

template <size_t n> bool has(const std::string_view (&list)[n], std::string_view name) { return std::binary_search(list, list + n, name); }

void set(int which, bool enabled, DType dtype) {
  bool before = state.active();
  state.enabled[which] = enabled, state.dtype[which] = dtype;
  autocasting += int(state.active()) - int(before);
}

}  // namespace

Precision precision_of(std::string_view op) {
  return has(kLow, op) ? Precision::low : has(kFull, op) ? Precision::full : has(kWidest, op) ? Precision::widest : Precision::given;
}

void Autocast::apply(Precision wanted, PyObject** arguments, int n) {
  if (!state.active()) return;  // another thread is in an autocast
  DType widest = state.dtype[0];
  if (wanted == Precision::widest)
    each_tensor(arguments, n, [&](PyObject* o) {
      if (Tensor x = to_tensor(o); touched(x)) widest = x.dtype() == DType::float32 || widest == DType::float32 ? DType::float32 : state.dtype[place(x)];
    });
  for (int i = 0; i < n; ++i) {
    PyObject* o = arguments[i];
    if (o && is_tensor(o)) {
      if (PyObject* made = recast(o, wanted, widest)) arguments[i] = kept_.emplace_back(made).get();
    } else if (is_list(o)) {
      Object list(expect(PySequence_Tuple(o)));
      bool changed = false;
      if (list.get() == o) list = Object(expect(PyTuple_GetSlice(o, 0, PyTuple_GET_SIZE(o))));
      Object copy(expect(PyTuple_New(PyTuple_GET_SIZE(list.get()))));
      for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(list.get()); ++k) {
        PyObject* entry = PyTuple_GET_ITEM(list.get(), k);
        PyObject* made = is_tensor(entry) ? recast(entry, wanted, widest) : nullptr;
        changed |= made != nullptr;
        PyTuple_SET_ITEM(copy.get(), k, made ? made : Py_NewRef(entry));
      }
      if (changed) arguments[i] = kept_.emplace_back(std::move(copy)).get();
    }
  }
}

void bind_autocast(PyObject* module) {
  static_assert(std::ranges::is_sorted(kLow) && std::ranges::is_sorted(kFull) && std::ranges::is_sorted(kWidest));
  py::module_ m = py::reinterpret_borrow<py::module_>(module);
  m.def("_autocast_state", [](bool cuda) { return py::make_tuple(state.enabled[cuda], py::reinterpret_steal<py::object>(wrap(state.dtype[cuda]))); },
        py::arg("cuda"), "(enabled, dtype) of this thread.");
  m.def("_set_autocast_state", [](bool cuda, bool enabled, const py::object& dtype) {
    check_type(is_dtype(dtype.ptr()), "set_autocast_dtype: expected a dtype, got ", Py_TYPE(dtype.ptr())->tp_name);
    set(cuda, enabled, to_dtype(dtype.ptr()));
  }, py::arg("cuda"), py::arg("enabled"), py::arg("dtype"));
  m.def("_autocast_nesting", [](int change) {
    state.nesting += change;
    if (state.nesting == 0) weights.clear();
    return state.nesting;
  }, py::arg("change"), "How many autocasts this thread is in after it; when it leaves the last one, cast weights are forgotten.");
  m.def("_autocast_caches", [] { return state.caches; });
  m.def("_set_autocast_caches", [](bool caches) { state.caches = caches; }, py::arg("caches"));
  m.def("_clear_autocast_cache", [] { weights.clear(); });
}

}  // namespace tessel::python
