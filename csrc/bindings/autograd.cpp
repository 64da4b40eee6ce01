// Autograd in Python.
#include "bindings/autograd.h"

#include <pybind11/pybind11.h>

#include <algorithm>
#include <map>
#include <set>

#include <cctype>

#include "bindings/registry.h"
#include "bindings/tensor.h"

namespace py = pybind11;

namespace tessel::python {

// ---- where in the user's program: code object and instruction of the running Python frame

static void* capture_line(int* instruction) {
  if (!PyGILState_Check()) return nullptr;
  PyFrameObject* frame = PyEval_GetFrame();
  if (!frame) return nullptr;
#if PY_VERSION_HEX >= 0x030B0000
  *instruction = PyFrame_GetLasti(frame);
#else
  *instruction = frame->f_lasti * (PY_VERSION_HEX >= 0x030A0000 ? 2 : 1);
#endif
  return PyFrame_GetCode(frame);
}
static void release_line(void* code) { Py_DECREF(static_cast<PyObject*>(code)); }
static std::string describe_line(void* code, int instruction) {
  auto* c = static_cast<PyCodeObject*>(code);
  return std::string(PyUnicode_AsUTF8(c->co_filename)) + ":" + std::to_string(PyCode_Addr2Line(c, instruction));
}

// ---- graph nodes

// The Python object of a node: the same for as long as somebody holds it.
struct NodeHandle {
  explicit NodeHandle(Ref<Node> n) : node(std::move(n)) {}
  NodeHandle(const NodeHandle&) = delete;
  ~NodeHandle() { node->wrapper = nullptr; }
  Ref<Node> node;
  py::dict metadata;
};

// A Python object held by C++ closures, which may be destroyed without the interpreter's lock or after its end.
class Kept {
 public:
  explicit Kept(PyObject* o) : object_(std::shared_ptr<PyObject>(Py_NewRef(o), [](PyObject* p) {
    if (!Py_IsInitialized()) return;
    PyGILState_STATE state = PyGILState_Ensure();
    Py_DECREF(p);
    PyGILState_Release(state);
  })) {}
  PyObject* get() const { return object_.get(); }

 private:
  std::shared_ptr<PyObject> object_;
};

PyObject* call(const Kept& f, std::initializer_list<PyObject*> args) {
  return expect(PyObject_Vectorcall(f.get(), const_cast<PyObject**>(args.begin()), args.size(), nullptr));
}

py::object wrapped(const Tensor& x) { return py::reinterpret_steal<py::object>(wrap(x)); }

py::tuple wrapped_list(std::span<const Tensor> list) {
  py::tuple tuple(list.size());
  for (size_t i = 0; i < list.size(); ++i) tuple[i] = wrapped(list[i]);
  return tuple;
}

// ---- hooks

struct HookHandle {  // what registering a hook gives: remove() takes it back; it keeps nothing alive
  std::weak_ptr<NodeHooks> hooks;
  int64_t id;
  void remove() {
    if (auto lists = hooks.lock()) lists->remove(id);
  }
};

int64_t next_hook = 0;

// Puts a hook into one of the node's lists.
template <class Signature, class F>
py::object add_hook(Node& node, Hooks<Signature> NodeHooks::*list, PyObject* object, uint32_t output, F&& call) {
  check_type(PyCallable_Check(object), "register_hook: expected a callable, got ", Py_TYPE(object)->tp_name);
  (node.hook_lists().*list).push_back(std::make_shared<Hook<Signature>>(Hook<Signature>{++next_hook, std::forward<F>(call), object, output}));
  return py::cast(HookHandle{node.hooks, next_hook});
}

// hook(grad) -> a replacement or None
PyObject* register_hook(PyObject* self, PyObject* hook) {
  Tensor x = to_tensor(self);
  Node& node = gradient_node("register_hook", x);
  uint32_t output = node.leaf ? 0 : x->grad->output;
  py::object handle = add_hook(node, &NodeHooks::gradient, hook, output, [hook = Kept(hook)](Tensor& dy) {
    Object given(wrap(dy)), result(call(hook, {given.get()}));
    if (result.get() == Py_None) return;
    check_type(is_tensor(result.get()), "register_hook: a hook must return a Tensor or None, got ", Py_TYPE(result.get())->tp_name);
    Tensor changed = to_tensor(result.get());
    check(changed.sizes() == dy.sizes(), "register_hook: hook has changed the size of value: ", dy.sizes(), " to ", changed.sizes());
    check(changed.dtype() == dy.dtype(), "register_hook: hook has changed the type of value: ", dy.dtype(), " to ", changed.dtype());
    dy = changed;
  });
  track(self);
  return handle.release().ptr();
}

PyObject* register_post_accumulate_grad_hook(PyObject* self, PyObject* hook) {
  Tensor x = to_tensor(self);
  check(x.is_leaf(), "register_post_accumulate_grad_hook: post accumulate grad hooks cannot be registered on non-leaf tensors");
  Node& node = gradient_node("register_post_accumulate_grad_hook", x);
  py::object handle = add_hook(node, &NodeHooks::accumulated, hook, 0, [hook = Kept(hook)](const Tensor& leaf) {
    Object given(wrap(leaf)), result(call(hook, {given.get()}));
  });
  track(self);
  return handle.release().ptr();
}

// What a hook of a node has returned, in place of `list`: a tensor or a tuple of as many as there were.
void replace(const py::object& result, std::span<Tensor> list) {
  if (result.is_none()) return;
  py::tuple values = py::isinstance<py::tuple>(result) ? py::cast<py::tuple>(result) : py::make_tuple(result);
  check(values.size() == list.size(), "register_hook: hook has returned an incorrect number of values (got ", int64_t(values.size()), ", but expected ", int64_t(list.size()), ")");
  for (size_t i = 0; i < list.size(); ++i) list[i] = Cast<Tensor>::from(py::object(values[i]).ptr());
}

py::object add_before_hook(NodeHandle& h, const py::object& hook) {
  return add_hook(*h.node, &NodeHooks::before, hook.ptr(), 0, [hook = Kept(hook.ptr())](std::span<Tensor> dys) {
    py::object given = wrapped_list({dys.data(), dys.size()});
    replace(py::reinterpret_steal<py::object>(call(hook, {given.ptr()})), dys);
  });
}
py::object add_after_hook(NodeHandle& h, const py::object& hook) {
  return add_hook(*h.node, &NodeHooks::after, hook.ptr(), 0, [hook = Kept(hook.ptr())](Grads& dxs, std::span<const Tensor> dys) {
    py::object inputs = wrapped_list({dxs.data(), dxs.size()}), outputs = wrapped_list(dys);
    replace(py::reinterpret_steal<py::object>(call(hook, {inputs.ptr(), outputs.ptr()})), {dxs.data(), dxs.size()});
  });
}

// ---- garbage collection: Python objects that a node holds and nobody else does

int visit_node(const Ref<Node>& node, visitproc visit, void* arg) {
  if (!node || node->count.load() != 1) return 0;
  Py_VISIT(static_cast<PyObject*>(node->backward.python_object()));
  if (!node->hooks || node->hooks.use_count() != 1) return 0;
  auto visit_list = [&](const auto& list) {
    for (const auto& hook : list)
      if (hook.use_count() == 1) Py_VISIT(static_cast<PyObject*>(hook->object));
    return 0;
  };
  if (int r = visit_list(node->hooks->gradient)) return r;
  if (int r = visit_list(node->hooks->before)) return r;
  if (int r = visit_list(node->hooks->after)) return r;
  return visit_list(node->hooks->accumulated);
}
void clear_node(Ref<Node>& node) {
  if (!node || node->count.load() != 1) return;
  auto hooks = std::move(node->hooks);  // outlive the calls into Python that their end makes
  if (node->backward.python_object()) node = nullptr;
}

// ---- custom functions

struct SavedHandle {  // one of ctx.saved_tensors
  Saved input;
  SavedOutput output;
  bool is_output;
  py::object unpack() const { return wrapped(is_output ? output() : input()); }
};

// The derivative of a custom function: Python's backward.
struct FunctionBackward {
  Kept run, cls, ctx;             // _run_backward, the user's class, its ctx
  bool materialize;               // gradients of outputs nobody used arrive as zeros
  size_t inputs, outputs;         // how many Python gives and gets
  size_t first;                   // the input that is edge 0: the one that was overwritten
  std::vector<size_t> places;     // of the results among the outputs
  std::vector<ResultInfo> results;

  Grads operator()(std::span<const Tensor> dys, Needs) const {
    py::tuple given(outputs);
    for (size_t i = 0; i < outputs; ++i) given[i] = py::none();
    for (size_t i = 0; i < places.size(); ++i) {
      Tensor dy = i < dys.size() ? dys[i] : Tensor();
      if (!dy.defined() && materialize) dy = zeros(results[i].sizes, results[i].dtype, results[i].device);
      given[places[i]] = wrapped(dy);
    }
    py::int_ count(inputs);
    Object found(call(run, {cls.get(), ctx.get(), given.ptr(), count.ptr()}));
    Grads grads;
    for (size_t i = 0; i < inputs; ++i) {
      size_t from = i == 0 ? first : i <= first ? i - 1 : i;
      grads.push_back(Cast<Tensor>::from(PyTuple_GET_ITEM(found.get(), from)));
    }
    return grads;
  }
  void release() const { py::handle(ctx.get()).attr("_release")(); }
  void* python_object() const { return ctx.get(); }
};

// A copy of the class's name that lives as long as the process: nodes keep a pointer.
const char* lasting(const std::string& name) {
  static std::set<std::string> names;
  return names.insert(name).first->c_str();
}

bool contains(const py::object& tuple, const py::handle& x) {
  for (py::handle item : tuple)
    if (item.is(x)) return true;
  return false;
}

// Makes the outputs of a custom function the results of a node whose derivative is Python's backward.
py::tuple record_function(const py::object& cls, const py::object& ctx, const py::tuple& args, const py::tuple& outputs, bool recording) {
  py::object dirty = ctx.attr("_dirty"), constant = ctx.attr("_non_differentiable"), to_save = ctx.attr("_to_save");
  const char* name = lasting(py::cast<std::string>(cls.attr("__name__")) + "Backward");
  py::list results;
  std::vector<Tensor> tensors;        // of the outputs that are tensors
  std::vector<size_t> places;
  for (size_t i = 0; i < outputs.size(); ++i) {
    py::object o = outputs[i];
    if (is_tensor(o.ptr())) {
      Tensor y = to_tensor(o.ptr());
      // An input that comes back unchanged is a new tensor on the same memory, so that its history stays its own.
      if (contains(args, o) && !contains(dirty, o)) o = wrapped(recording ? make_view(y, y.sizes(), y.strides(), y.offset()) : y);
      tensors.push_back(to_tensor(o.ptr()));
      places.push_back(i);
    }
    results.append(o);
  }
  std::vector<Tensor> inputs;
  for (py::handle a : args) inputs.push_back(is_tensor(a.ptr()) ? to_tensor(a.ptr()) : Tensor());
  size_t first = 0;
  for (py::handle d : dirty) {
    Tensor x = to_tensor(d.ptr());
    check(contains(outputs, d), name, ": Some elements marked as dirty during the forward method were not returned as output. The inputs that are modified inplace must all be outputs of the Function.");
    if (recording) {
      check_inplace(name, x);
      check(!x->base || tensors.size() == 1, name, ": If your Function modifies inplace an input that is a view of another Tensor, your Function cannot return more than one Tensor.");
    }
    while (first < inputs.size() && !(inputs[first].defined() && inputs[first].is_same(x))) ++first;
    check(first < inputs.size(), name, ": mark_dirty only accepts input tensors, but an argument is none of the inputs");
    x.bump_version(name);
  }
  Node* node = nullptr;
  if (recording) {
    if (py::len(dirty) == 1 && tensors.size() == 1) {
      std::rotate(inputs.begin(), inputs.begin() + first, inputs.begin() + first + 1);
      node = record_inplace(name, tensors[0], inputs);
    } else {
      first = 0;
      for (const Tensor& y : tensors)
        if (y->grad && !y->grad->node) y->grad->requires_grad = false;
      node = record(name, tensors, inputs);
    }
    for (const Tensor& y : tensors)
      if (node && y->grad && contains(constant, wrapped(y))) {
        y->grad->node = nullptr;
        y->grad->requires_grad = false;
      }
  }
  py::list saved;
  for (py::handle s : to_save) {
    if (s.is_none() || !recording) {
      saved.append(py::none());
      continue;
    }
    Tensor x = to_tensor(s.ptr());
    size_t at = 0;
    while (at < tensors.size() && !tensors[at].is_same(x)) ++at;
    bool is_output = node && at < tensors.size();
    saved.append(py::cast(is_output ? SavedHandle{Saved(), SavedOutput(x, static_cast<uint32_t>(at)), true} : SavedHandle{Saved(x), SavedOutput(), false}));
  }
  ctx.attr("_saved") = py::tuple(saved);
  ctx.attr("_to_save") = py::tuple();
  if (node) {
    node->undefined_ok = true;  // zeros are made in FunctionBackward, where ctx says so
    std::vector<ResultInfo> infos;
    for (const Tensor& y : tensors) infos.push_back({y.sizes(), y.dtype(), y.device()});
    py::object run = py::module_::import("tessel.autograd.function").attr("_run_backward");
    node->backward = FunctionBackward{Kept(run.ptr()), Kept(cls.ptr()), Kept(ctx.ptr()), py::cast<bool>(ctx.attr("_materialize")),
                                      args.size(), outputs.size(), first, std::move(places), std::move(infos)};
  }
  return py::tuple(results);
}

// As PyTorch calls nodes: mul -> MulBackward0. Nodes of other kinds keep their names.
std::string node_name(const Node& node) {
  std::string_view name(node.name);
  if (name.ends_with("Backward") || (!name.empty() && std::isupper(static_cast<unsigned char>(name[0])))) return std::string(name);
  std::string shown;
  bool begins = true;
  for (char c : name) {
    if (c == '_') {
      begins = true;
      continue;
    }
    shown += begins ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    begins = false;
  }
  return shown + "Backward0";
}

// Nodes of one name have a class of that name, as in PyTorch: type(y.grad_fn).__name__ is what people print.
PyObject* node_class(const std::string& name) {
  static auto* classes = new std::map<std::string, PyObject*>;  // they live as long as the process
  PyObject*& found = (*classes)[name];
  if (!found) {
    py::dict body;
    body["__slots__"] = py::tuple();
    body["__module__"] = "tessel.autograd";
    found = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(&PyType_Type))(name, py::make_tuple(py::type::of<NodeHandle>()), body).release().ptr();
  }
  return found;
}

PyObject* wrap_node(const Ref<Node>& node) {
  if (!node) Py_RETURN_NONE;
  if (node->wrapper) return Py_NewRef(static_cast<PyObject*>(node->wrapper));
  PyObject* handle = py::reinterpret_borrow<py::object>(node_class(node_name(*node)))(py::capsule(&node, "tessel.node")).release().ptr();
  node->wrapper = handle;
  return handle;
}

void bind_autograd(PyObject* module) {
  SourceLine::install({capture_line, release_line, describe_line});
  py::module_ m = py::reinterpret_borrow<py::module_>(module);
  py::class_<NodeHandle>(m, "Node", "One step of the graph: an op and the nodes its inputs came from.")
      .def(py::init([](const py::capsule& node) { return std::make_unique<NodeHandle>(*node.get_pointer<const Ref<Node>>()); }))
      .def("name", [](const NodeHandle& h) { return node_name(*h.node); })
      .def_property_readonly("next_functions", [](const NodeHandle& h) {
        py::list list;
        for (const Edge& e : h.node->edges) list.append(py::make_tuple(py::reinterpret_steal<py::object>(wrap_node(e.node)), e.output));
        return py::tuple(list);
      })
      .def("register_hook", &add_after_hook, py::arg("fn"), "fn(grad_inputs, grad_outputs) after the node has run; may replace grad_inputs.")
      .def("register_prehook", &add_before_hook, py::arg("fn"), "fn(grad_outputs) before the node runs; may replace them.")
      .def_property_readonly("variable", [](const NodeHandle& h) { return wrapped(Tensor::share(h.node->leaf)); }, "Of an accumulator: the leaf, or None when it is gone.")
      .def_readonly("metadata", &NodeHandle::metadata, "A dictionary for whoever walks the graph.")
      .def("_sequence_nr", [](const NodeHandle& h) { return h.node->sequence; })
      .def_property_readonly("source_line", [](const NodeHandle& h) { return h.node->line.describe(); }, "file:line that recorded the node.")
      .def("__repr__", [](const NodeHandle& h) { return "<" + node_name(*h.node) + ">"; });
  py::class_<HookHandle>(m, "RemovableHandle", "What registering a hook gives back.")
      .def("remove", &HookHandle::remove, "Takes the hook back.")
      .def_readonly("id", &HookHandle::id)
      .def("__enter__", [](py::object self) { return self; })
      .def("__exit__", [](HookHandle& h, const py::args&) { h.remove(); });
  py::class_<SavedHandle>(m, "_SavedTensor").def("unpack", &SavedHandle::unpack);
  m.def("_record_function", &record_function);
  m.def("_push_saved_tensor_hooks", [](const py::object& pack, const py::object& unpack) {
    push_saved_tensor_hooks({[pack = Kept(pack.ptr())](const Tensor& x) -> std::shared_ptr<void> {
                               Object given(wrap(x)), packed(call(pack, {given.get()}));
                               return std::make_shared<Kept>(packed.get());
                             },
                             [unpack = Kept(unpack.ptr())](const std::shared_ptr<void>& packed) {
                               Object result(call(unpack, {static_cast<Kept*>(packed.get())->get()}));
                               check_type(is_tensor(result.get()), "saved_tensors_hooks: the unpack hook must return a Tensor, got ", Py_TYPE(result.get())->tp_name);
                               return to_tensor(result.get());
                             }});
  });
  m.def("_pop_saved_tensor_hooks", &pop_saved_tensor_hooks);
  m.def("is_anomaly_enabled", &anomaly_enabled);
  m.def("is_anomaly_check_nan_enabled", &anomaly_checks_nan);
  m.def("_set_anomaly_enabled", &set_anomaly);
  m.def("is_grad_enabled", [] { return grad_enabled(); });
  m.def("_set_grad_enabled", [](bool enabled) { set_grad_enabled(enabled); });
  m.def("is_inference_mode_enabled", [] { return inference_enabled(); });
  m.def("_set_inference_enabled", [](bool enabled) { set_inference_enabled(enabled); });

  auto run_backward = +[](const std::vector<Tensor>& roots, PyObject* gradients, PyObject* inputs, bool retain_graph, bool create_graph, bool accumulate, bool allow_unused) {
    auto list = [](PyObject* o) {  // entries may be None
      std::vector<Tensor> tensors;
      for (Py_ssize_t i = 0, n = o == Py_None ? 0 : PySequence_Fast_GET_SIZE(o); i < n; ++i) tensors.push_back(Cast<Tensor>::from(PySequence_Fast_GET_ITEM(o, i)));
      return tensors;
    };
    return backward(roots, list(gradients), list(inputs), {retain_graph, create_graph, accumulate, allow_unused});
  };
  add_op("run_backward(Tensor[] tensors, object grad_tensors, object inputs, bool retain_graph, bool create_graph, bool accumulate, bool allow_unused) -> Tensor[]", run_backward, "", kPrivate);
  add_op("backward(Tensor input, Tensor? gradient=None, bool? retain_graph=None, bool create_graph=False, object inputs=None) -> None",
         +[](const Tensor& x, const Tensor& gradient, std::optional<bool> retain_graph, bool create_graph, PyObject* inputs) {
           std::vector<Tensor> wanted;
           if (is_tensor(inputs)) wanted.push_back(to_tensor(inputs));
           else if (inputs != Py_None) wanted = Cast<std::vector<Tensor>>::from(inputs);
           check(inputs == Py_None || !wanted.empty(), "backward: 'inputs' argument to backward() cannot be empty.");
           backward(std::span(&x, 1), std::span(&gradient, 1), wanted, {retain_graph.value_or(create_graph), create_graph, true, true});
         },
         "Accumulates the gradients of the leaves this tensor was computed from.", kMethod);
  add_op("requires_grad_(Tensor input, bool requires_grad=True) -> Tensor", +[](Tensor& x, bool on) -> Tensor& { set_requires_grad(x, on); return x; }, "", kMethod);
  add_op("register_hook(object input, object hook) -> object", &register_hook, "hook(grad) is called with the tensor's gradient; it may return another one.", kMethod);
  add_op("register_post_accumulate_grad_hook(object input, object hook) -> object", &register_post_accumulate_grad_hook,
         "hook(tensor) is called after the gradient was accumulated into .grad.", kMethod);
  add_op("_is_view(Tensor input) -> bool", +[](const Tensor& x) { return static_cast<bool>(x->base); }, "", kMethod);
  add_op("retain_grad(Tensor input) -> None", &retain_grad, "", kMethod);
  add_op("detach_(Tensor input) -> Tensor", +[](Tensor& x) -> Tensor& { detach_(x); return x; }, "", kBoth);
}

}  // namespace tessel::python
