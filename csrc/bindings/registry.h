// One line per op. A signature is text in PyTorch's style; it is parsed at the op's first call, and serves the argument
// parser, the error messages, the docs and the stubs alike:
//
//   add_op("softmax(Tensor input, int dim, dtype? dtype=None) -> Tensor", &softmax, "softmax along dim ...");
//
// Types: Tensor, Tensor? , Tensor|Scalar, Tensor[], Scalar, int, int[], int[N] (an int stands for N of them), int[*] and
// Tensor[*] (may be given as separate arguments), float, float[], bool, str, dtype, device, Generator, object, object[*] (all
// positional arguments, as a tuple); a trailing ? allows None. `*` begins keyword-only arguments.
// `-> (Tensor values, Tensor indices)` makes a named tuple. Lines with one name are overloads: the first whose types fit is called. Where to find the op in Python: see Where.
#pragma once
#include <array>
#include <span>
#include <string_view>
#include <type_traits>

#include "bindings/casters.h"

namespace tessel::python {

enum Where : unsigned {
  kFunction = 1,   // tessel.name
  kMethod = 2,     // Tensor.name, whose first argument is the tensor
  kNN = 4,         // tessel._C._nn.name, from which tessel.nn.functional takes it
  kPrivate = 8,    // tessel._C._ops.name, for tessel's own Python code
  kLinalg = 16,    // tessel._C._linalg.name, from which tessel.linalg takes it
  kOptim = 32,     // tessel._C._optim.name, for tessel.optim and clipping
  kBoth = kFunction | kMethod,
};

// The arguments of a call in the order of the signature; null where the default holds.
using Arguments = PyObject* const*;
using Caller = PyObject* (*)(void (*function)(), Arguments arguments);

void add_op(const char* signature, Caller caller, void (*function)(), const char* doc, unsigned where);

// ---- from the C++ function's type to a caller

template <class T>
struct Cast;  // static T from(PyObject*): null means "not given"

template <> struct Cast<Tensor> {
  static Tensor from(PyObject* o) {
    if (!o || o == Py_None) return Tensor();
    return is_tensor(o) ? to_tensor(o) : tensor_or_number(o);
  }
};
template <> struct Cast<Scalar> { static Scalar from(PyObject* o) { return o ? to_scalar(o) : Scalar(1); } };
template <> struct Cast<int64_t> { static int64_t from(PyObject* o) { return o ? to_int(o) : 0; } };
template <> struct Cast<double> { static double from(PyObject* o) { return o ? to_double(o) : 0; } };
template <> struct Cast<bool> { static bool from(PyObject* o) { return o && PyObject_IsTrue(o) == 1; } };
template <> struct Cast<DType> { static DType from(PyObject* o) { return to_dtype(o); } };
template <> struct Cast<Device> { static Device from(PyObject* o) { return o && o != Py_None ? to_device(o) : Device{}; } };
template <> struct Cast<PyObject*> { static PyObject* from(PyObject* o) { return o; } };
template <> struct Cast<Dims> { static Dims from(PyObject* o); };             // a sequence of ints, or one int
template <> struct Cast<std::string> { static std::string from(PyObject* o); };
template <> struct Cast<Activation> { static Activation from(PyObject* o); };  // its name
template <> struct Cast<std::vector<Tensor>> { static std::vector<Tensor> from(PyObject* o); };
template <> struct Cast<std::vector<int64_t>> { static std::vector<int64_t> from(PyObject* o); };
template <> struct Cast<std::vector<double>> { static std::vector<double> from(PyObject* o); };
template <> struct Cast<Generator*> { static Generator* from(PyObject* o) { return o && o != Py_None ? &to_generator(o) : &default_generator(); } };
template <class T> struct Cast<std::optional<T>> {
  static std::optional<T> from(PyObject* o) {
    if (!o || o == Py_None) return std::nullopt;
    return Cast<T>::from(o);
  }
};

PyObject* wrap_tuple(std::span<PyObject* const> items);  // takes the references
PyObject* wrap(const std::vector<Tensor>& list);         // a tuple
inline PyObject* wrap_one(const Tensor& x) { return wrap(x); }
template <class T> PyObject* wrap_one(const T& x) { return wrap(x); }
template <class... T> PyObject* wrap_one(const std::tuple<T...>& t) {
  return std::apply([](const auto&... x) {
    PyObject* items[] = {wrap_one(x)...};
    return wrap_tuple(items);
  }, t);
}

// `Tensor? out=None` of an op that writes there itself. Functions without it get an `out=` that copies.
struct HeldInto {
  Tensor tensor;
  operator Into() const { return tensor.defined() ? Into::given(tensor) : Into{}; }
};
template <> struct Cast<HeldInto> { static HeldInto from(PyObject* o) { return {Cast<Tensor>::from(o)}; } };

// How a parameter type is held while the call runs: spans are held as what they point into.
template <class P> struct Held { using type = std::remove_cvref_t<P>; };
template <> struct Held<const Into&> { using type = HeldInto; };
template <> struct Held<Ints> { using type = Dims; };
template <> struct Held<Tensors> { using type = std::vector<Tensor>; };

// A parameter may stand for several slots in a row (the options of creation ops): its Cast then takes their address.
template <class H> constexpr size_t kSlots = 1;
template <class... H> constexpr auto kFirstSlot = [] {
  std::array<size_t, sizeof...(H) + 1> first{};
  size_t i = 0;
  ((first[i + 1] = first[i] + kSlots<H>, ++i), ...);
  return first;
}();
template <class H> H held_from(Arguments slots) {
  if constexpr (kSlots<H> == 1) return Cast<H>::from(slots[0]);
  else return Cast<H>::from(slots);
}

template <class R, class... P, size_t... I>
PyObject* call_with(R (*function)(P...), Arguments arguments, std::index_sequence<I...>) {
  std::tuple<typename Held<P>::type...> held{held_from<typename Held<P>::type>(arguments + kFirstSlot<typename Held<P>::type...>[I])...};
  if constexpr (std::is_void_v<R>) {
    function(std::get<I>(held)...);
    Py_RETURN_NONE;
  } else if constexpr (std::is_same_v<R, Tensor&>) {
    function(std::get<I>(held)...);
    Py_INCREF(arguments[0]);  // in-place: the tensor that was given
    return arguments[0];
  } else {
    return wrap_one(function(std::get<I>(held)...));
  }
}

template <class R, class... P>
void add_op(const char* signature, R (*function)(P...), const char* doc = "", unsigned where = kBoth) {
  add_op(signature, [](void (*f)(), Arguments arguments) -> PyObject* {
    return call_with(reinterpret_cast<R (*)(P...)>(f), arguments, std::index_sequence_for<P...>());
  }, reinterpret_cast<void (*)()>(function), doc, where);
}
// A lambda without captures, for lines that adapt an op: add_op("...", +[](const Tensor& x) { ... }).

// "transpose: Dimension out of range" of a call of swapaxes becomes "swapaxes: ...": an error begins with the op that was
// called. Running a graph backwards is no such call: its errors name the op they come from.
std::string named_after(const std::string& op, const std::string& message);

// ---- the rooms: each binds its family (ops_<room>.cpp)
void bind_elementwise();
void bind_creation();
void bind_random();
void bind_reduce();
void bind_views();
void bind_indexing();
void bind_sort();
void bind_matmul();
void bind_conv();
void bind_images();
void bind_rnn();
void bind_softmax();
void bind_attention();
void bind_norm();
void bind_linalg();
void bind_loss();
void bind_optim();

// Makes the Python objects: functions into `module`, methods into Tensor.
void install_ops(PyObject* module);

}  // namespace tessel::python
