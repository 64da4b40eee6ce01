// A complex number in memory. convert.cpp makes them of reals, complex.cpp computes with them.
#pragma once

namespace tessel::TESSEL_TARGET {

template <class T> struct Complex { T re, im; };

}  // namespace tessel::TESSEL_TARGET
