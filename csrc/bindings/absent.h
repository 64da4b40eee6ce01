// Names that tessel's tensors lack; module.cpp has them put in when all others are there.
#pragma once

namespace tessel::python {

void install_absent();

}  // namespace tessel::python
