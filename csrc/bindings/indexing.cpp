// x[key] and x[key] = value: from Python's keys to select, slice, index and index_put_.
#include "bindings/tensor.h"

namespace tessel::python {

Tensor index_get(const Tensor& x, PyObject* key) {
  if (PyLong_Check(key) && !PyBool_Check(key)) return select(x, 0, to_int(key));
  fail<NotImplementedError>("index");
}
void index_set(const Tensor& x, PyObject* key, PyObject* value) {
  (void)x, (void)key, (void)value;
  fail<NotImplementedError>("index");
}

}  // namespace tessel::python
