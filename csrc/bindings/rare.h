// Rooms that are rare: complex numbers and special functions, lists of tensors, and what is kept for old programs.
#pragma once
#include "bindings/registry.h"
#include "ops/complex.h"

namespace tessel::python {

constexpr unsigned kSpecial = 64;  // beside Where: tessel._C._special.name, from which tessel.special takes it

void bind_complex();
void bind_foreach();
void bind_legacy();

}  // namespace tessel::python
