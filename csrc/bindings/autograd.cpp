// Autograd in Python.
#include "bindings/autograd.h"

#include <pybind11/pybind11.h>

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

PyObject* wrap_node(const Ref<Node>& node) {
  if (!node) Py_RETURN_NONE;
  return py::cast(NodeHandle{node}).release().ptr();
}

void bind_autograd(PyObject* module) {
  SourceLine::install({capture_line, release_line, describe_line});
  py::module_ m = py::reinterpret_borrow<py::module_>(module);
  py::class_<NodeHandle>(m, "Node", "One step of the graph: an op and the nodes its inputs came from.")
      .def("name", [](const NodeHandle& h) { return std::string(h.node->name); })
      .def_property_readonly("next_functions", [](const NodeHandle& h) {
        py::list list;
        for (const Edge& e : h.node->edges) list.append(py::make_tuple(py::reinterpret_steal<py::object>(wrap_node(e.node)), e.output));
        return py::tuple(list);
      })
      .def("__eq__", [](const NodeHandle& a, const py::object& b) { return py::isinstance<NodeHandle>(b) && a.node == py::cast<NodeHandle&>(b).node; })
      .def("__hash__", [](const NodeHandle& h) { return reinterpret_cast<uintptr_t>(h.node.get()) >> 4; })
      .def("__repr__", [](const NodeHandle& h) { return "<" + std::string(h.node->name) + ">"; });
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
  add_op("retain_grad(Tensor input) -> None", &retain_grad, "", kMethod);
  add_op("detach_(Tensor input) -> Tensor", +[](Tensor& x) -> Tensor& { detach_(x); return x; }, "", kBoth);
}

}  // namespace tessel::python
