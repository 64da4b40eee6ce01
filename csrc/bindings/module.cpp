// tessel._C: puts the rooms together.
#include <pybind11/pybind11.h>

#include "bindings/absent.h"
#include "bindings/autocast.h"
#include "bindings/autograd.h"
#include "bindings/interop.h"
#include "bindings/rare.h"
#include "bindings/tensor.h"
#include "bindings/types.h"
#include "ops/run.h"

namespace tessel::python {

static void install_hooks() {
  InterpreterLock::release = []() -> void* { return PyGILState_Check() ? PyEval_SaveThread() : nullptr; };
  InterpreterLock::take = [](void* state) { PyEval_RestoreThread(static_cast<PyThreadState*>(state)); };
}

}  // namespace tessel::python

PYBIND11_MODULE(_C, m) {
  using namespace tessel::python;
  try {
    install_hooks();
    bind_tensor(m.ptr());
    bind_types(m.ptr());
    bind_autograd(m.ptr());
    bind_autocast(m.ptr());
    bind_memory(m.ptr());
    bind_elementwise();
    bind_complex();
    bind_foreach();
    bind_legacy();
    bind_creation();
    bind_random();
    bind_conversions(m.ptr());
    bind_reduce();
    bind_views();
    bind_indexing();
    bind_sort();
    bind_matmul();
    bind_conv();
    bind_images();
    bind_rnn();
    bind_softmax();
    bind_attention();
    bind_norm();
    bind_linalg();
    bind_loss();
    bind_optim();
    install_ops(m.ptr());
    install_absent();
  } catch (...) {
    translate_exception();
    throw pybind11::error_already_set();
  }
}
