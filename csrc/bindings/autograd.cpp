// Autograd in Python.
#include "bindings/autograd.h"

#include <pybind11/pybind11.h>

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

struct NodeHandle {
  Ref<Node> node;
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

// ---- hooks

// hook(grad) -> a replacement or None
Grad::Hook tensor_hook(PyObject* hook) {
  return [hook = Kept(hook)](Tensor& dy) {
    Object given(wrap(dy)), result(call(hook, {given.get()}));
    if (result.get() == Py_None) return;
    check_type(is_tensor(result.get()), "register_hook: a hook must return a Tensor or None, got ", Py_TYPE(result.get())->tp_name);
    Tensor changed = to_tensor(result.get());
    check(changed.sizes() == dy.sizes(), "register_hook: hook has changed the size of value: ", dy.sizes(), " to ", changed.sizes());
    dy = changed;
  };
}

struct HookHandle {  // what registering a hook gives: remove() takes it back
  std::function<void()> remover;
  int64_t id;
  void remove() {
    if (remover) std::exchange(remover, nullptr)();
  }
};

int64_t next_node_hook = 0;

py::object wrapped(const Tensor& x) { return py::reinterpret_steal<py::object>(wrap(x)); }

py::tuple wrapped_list(std::span<const Tensor> list) {
  py::tuple tuple(list.size());
  for (size_t i = 0; i < list.size(); ++i) tuple[i] = wrapped(list[i]);
  return tuple;
}

HookHandle add_node_hook(NodeHandle& h, const py::object& hook, bool before) {
  Ref<Node> node = h.node;
  if (!node->hooks) node->hooks = std::make_unique<NodeHooks>();
  int64_t id = ++next_node_hook;
  auto replace = [](const py::object& result, auto&& list) {
    if (result.is_none()) return;
    py::tuple values = py::isinstance<py::tuple>(result) ? py::cast<py::tuple>(result) : py::make_tuple(result);
    for (size_t i = 0; i < values.size() && i < list.size(); ++i) list[i] = Cast<Tensor>::from(py::object(values[i]).ptr());
  };
  if (before) {
    node->hooks->pre.emplace_back(id, [hook = Kept(hook.ptr()), replace](std::span<Tensor> dys) {
      py::object given = wrapped_list({dys.data(), dys.size()});
      replace(py::reinterpret_steal<py::object>(call(hook, {given.ptr()})), dys);
    });
  } else {
    node->hooks->post.emplace_back(id, [hook = Kept(hook.ptr()), replace](Grads& dxs, std::span<const Tensor> dys) {
      py::object inputs = wrapped_list({dxs.data(), dxs.size()}), outputs = wrapped_list(dys);
      replace(py::reinterpret_steal<py::object>(call(hook, {inputs.ptr(), outputs.ptr()})), std::span<Tensor>(dxs.data(), dxs.size()));
    });
  }
  return {[node, id, before] {
    auto same = [id](const auto& entry) { return entry.first == id; };
    if (!node->hooks) return;
    if (before) std::erase_if(node->hooks->pre, same);
    else std::erase_if(node->hooks->post, same);
  }, id};
}

// ---- custom functions

struct SavedHandle {  // one of ctx.saved_tensors
  Saved input;
  SavedOutput output;
  bool is_output;
  py::object unpack() const { return wrapped(is_output ? output() : input()); }
};

// Makes the outputs of a custom function the results of a node whose derivative is Python's backward.
py::tuple record_function(const py::object& cls, const py::object& ctx, const py::tuple& args, const py::tuple& outputs, bool recording) {
  auto contains = [](const py::object& tuple, const py::handle& x) {
    for (py::handle item : tuple)
      if (item.is(x)) return true;
    return false;
  };
  py::object dirty = ctx.attr("_dirty"), constant = ctx.attr("_non_differentiable"), to_save = ctx.attr("_to_save");
  std::string name = py::cast<std::string>(cls.attr("__name__")) + "Backward";
  py::list results;
  std::vector<Tensor> tensors;        // of the outputs that are tensors
  std::vector<size_t> places;
  for (size_t i = 0; i < outputs.size(); ++i) {
    py::object o = outputs[i];
    if (is_tensor(o.ptr())) {
      // An input that comes back unchanged is a new tensor on the same memory, so that its history stays its own.
      if (contains(args, o) && !contains(dirty, o)) o = wrapped(recording ? make_view(to_tensor(o.ptr()), to_tensor(o.ptr()).sizes(), to_tensor(o.ptr()).strides(), to_tensor(o.ptr()).offset()) : to_tensor(o.ptr()));
      tensors.push_back(to_tensor(o.ptr()));
      places.push_back(i);
    }
    results.append(o);
  }
  for (py::handle d : dirty) {
    Tensor x = to_tensor(d.ptr());
    if (recording) check_inplace(name.c_str(), x);
    x.bump_version(name.c_str());
  }
  Node* node = nullptr;
  if (recording) {
    static std::vector<std::unique_ptr<std::string>> names;  // nodes keep a pointer
    const char* kept = nullptr;
    for (auto& n : names)
      if (*n == name) kept = n->c_str();
    if (!kept) kept = names.emplace_back(std::make_unique<std::string>(name))->c_str();
    std::vector<Tensor> inputs;
    for (py::handle a : args) inputs.push_back(is_tensor(a.ptr()) ? to_tensor(a.ptr()) : Tensor());
    bool overwrites = py::len(dirty) > 0 && tensors.size() == 1;
    std::vector<Tensor> differentiable;
    for (const Tensor& y : tensors) differentiable.push_back(contains(constant, wrapped(y)) ? Tensor() : y);
    if (overwrites && is_tensor(args.size() ? py::object(args[0]).ptr() : Py_None) && tensors[0].is_same(inputs[0])) {
      node = record_inplace(kept, tensors[0], inputs);
    } else {
      for (const Tensor& y : tensors)
        if (y->grad) y->grad->requires_grad = false;
      node = record(kept, tensors, inputs);
      if (node)
        for (size_t i = 0; i < tensors.size(); ++i)
          if (!differentiable[i].defined() && tensors[i]->grad) {
            tensors[i]->grad->node = nullptr;
            tensors[i]->grad->requires_grad = false;
          }
    }
  }
  py::list saved;
  for (py::handle s : to_save) {
    if (s.is_none()) {
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
    node->undefined_ok = true;  // zeros are made here, where ctx says so
    bool materialize = py::cast<bool>(ctx.attr("_materialize"));
    py::object run = py::module_::import("tessel.autograd.function").attr("_run_backward");
    size_t count = args.size(), all = outputs.size();
    std::vector<ResultInfo> infos;
    for (const Tensor& y : tensors) infos.push_back({y.sizes(), y.dtype(), y.device()});
    node->backward = [run = Kept(run.ptr()), cls = Kept(cls.ptr()), ctx = Kept(ctx.ptr()), materialize, count, all, places, infos](std::span<const Tensor> dys, Needs) -> Grads {
      py::tuple given(all);
      for (size_t i = 0; i < all; ++i) given[i] = py::none();
      for (size_t i = 0; i < places.size(); ++i) {
        Tensor dy = i < dys.size() ? dys[i] : Tensor();
        if (!dy.defined() && materialize) dy = zeros(infos[i].sizes, infos[i].dtype, infos[i].device);
        given[places[i]] = wrapped(dy);
      }
      py::object n = py::int_(count);
      Object result(call(run, {cls.get(), ctx.get(), given.ptr(), n.ptr()}));
      Grads grads;
      for (size_t i = 0; i < count; ++i) grads.push_back(Cast<Tensor>::from(PyTuple_GET_ITEM(result.get(), i)));
      return grads;
    };
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

PyObject* wrap_node(const Ref<Node>& node) {
  if (!node) Py_RETURN_NONE;
  return py::cast(NodeHandle{node}).release().ptr();
}

void bind_autograd(PyObject* module) {
  SourceLine::install({capture_line, release_line, describe_line});
  py::module_ m = py::reinterpret_borrow<py::module_>(module);
  py::class_<NodeHandle>(m, "Node", "One step of the graph: an op and the nodes its inputs came from.")
      .def("name", [](const NodeHandle& h) { return node_name(*h.node); })
      .def_property_readonly("next_functions", [](const NodeHandle& h) {
        py::list list;
        for (const Edge& e : h.node->edges) list.append(py::make_tuple(py::reinterpret_steal<py::object>(wrap_node(e.node)), e.output));
        return py::tuple(list);
      })
      .def("register_hook", [](NodeHandle& h, const py::object& hook) { return add_node_hook(h, hook, false); }, py::arg("fn"), "fn(grad_inputs, grad_outputs) after the node has run; may replace grad_inputs.")
      .def("register_prehook", [](NodeHandle& h, const py::object& hook) { return add_node_hook(h, hook, true); }, py::arg("fn"), "fn(grad_outputs) before the node runs; may replace them.")
      .def_property_readonly("source_line", [](const NodeHandle& h) { return h.node->line.describe(); }, "file:line that recorded the node.")
      .def("__eq__", [](const NodeHandle& a, const py::object& b) { return py::isinstance<NodeHandle>(b) && a.node == py::cast<NodeHandle&>(b).node; })
      .def("__hash__", [](const NodeHandle& h) { return reinterpret_cast<uintptr_t>(h.node.get()) >> 4; })
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
  add_op("register_hook(Tensor input, object hook) -> object", +[](const Tensor& x, PyObject* hook) {
    int64_t id = add_tensor_hook(x, tensor_hook(hook));
    return py::cast(HookHandle{[x, id] { remove_tensor_hook(x, id); }, id}).release().ptr(); }, "hook(grad) is called with the tensor's gradient; it may return another one.", kMethod);
  add_op("register_post_accumulate_grad_hook(Tensor input, object hook) -> object", +[](const Tensor& x, PyObject* hook) {
    check(x.is_leaf(), "register_post_accumulate_grad_hook: post accumulate grad hooks cannot be registered on non-leaf tensors");
    check(x.requires_grad(), "register_post_accumulate_grad_hook: cannot register a hook on a tensor that doesn't require gradient");
    int64_t id = ++next_node_hook;
    TensorImpl* impl = x.impl();  // the hook lives in the tensor: no counted handle, which would be a cycle
    x.autograd().after_accumulate.emplace_back(id, [hook = Kept(hook), impl] {
      Object given(wrap(Tensor::share(impl)));
      Object result(call(hook, {given.get()}));
    });
    return py::cast(HookHandle{[x, id] { std::erase_if(x.autograd().after_accumulate, [id](const auto& entry) { return entry.first == id; }); }, id}).release().ptr(); },
         "hook(tensor) is called after the gradient was accumulated into .grad.", kMethod);
  add_op("retain_grad(Tensor input) -> None", &retain_grad, "", kMethod);
  add_op("detach_(Tensor input) -> Tensor", +[](Tensor& x) -> Tensor& { detach_(x); return x; }, "", kBoth);
}

}  // namespace tessel::python
