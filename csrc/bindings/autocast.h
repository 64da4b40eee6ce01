// Autocast: the floating arguments of an op are brought to the precision the op is good at, before it sees them. The
// argument parser (registry.cpp) and the operator @ ask for it; nobody else knows of it.
#pragma once
#include <atomic>
#include <string_view>
#include <vector>

#include "bindings/casters.h"

namespace tessel::python {

// What an op wants its arguments to be: as they are, of the low dtype, float32, or the widest among them.
enum class Precision : uint8_t { given, low, full, widest };
Precision precision_of(std::string_view op);

// How many threads are inside an autocast: while there is none, an op pays for one load.
inline std::atomic<int> autocasting{0};

class Autocast {
 public:
  // Replaces tensors among the arguments, and in lists there; the new ones live as long as this.
  void apply(Precision wanted, PyObject** arguments, int n);

 private:
  std::vector<Object> kept_;
};

void bind_autocast(PyObject* module);

}  // namespace tessel::python
