// Denormals are flushed to zero while a Flush lives, on the thread that made it: GEMM, conv, rnn, attention and norms
// make one at the head of each piece of parallel work, so that denormal data costs no more than any other. Within, a Gradual
// brings them back for as long as it lives: an activation behind a product gives what it gives anywhere else.
#pragma once
#include <stdint.h>

namespace tessel::TESSEL_TARGET {

class Flush {
 public:
#if defined(__x86_64__)
  Flush() : saved_(__builtin_ia32_stmxcsr()) { __builtin_ia32_ldmxcsr(static_cast<uint32_t>(saved_) | 0x8040); }  // FTZ and DAZ
  ~Flush() { __builtin_ia32_ldmxcsr(static_cast<uint32_t>(saved_)); }
#elif defined(__aarch64__)
  Flush() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved_));
    __asm__ volatile("msr fpcr, %0" : : "r"(saved_ | uint64_t{1} << 24));  // FZ
  }
  ~Flush() { __asm__ volatile("msr fpcr, %0" : : "r"(saved_)); }
#else
  Flush() : saved_(0) {}
#endif
  Flush(const Flush&) = delete;
  Flush& operator=(const Flush&) = delete;

 private:
  uint64_t saved_;
};

class Gradual {
 public:
#if defined(__x86_64__)
  Gradual() : saved_(__builtin_ia32_stmxcsr()) { __builtin_ia32_ldmxcsr(static_cast<uint32_t>(saved_) & ~uint32_t{0x8040}); }
  ~Gradual() { __builtin_ia32_ldmxcsr(static_cast<uint32_t>(saved_)); }
#elif defined(__aarch64__)
  Gradual() {
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved_));
    __asm__ volatile("msr fpcr, %0" : : "r"(saved_ & ~(uint64_t{1} << 24)));
  }
  ~Gradual() { __asm__ volatile("msr fpcr, %0" : : "r"(saved_)); }
#else
  Gradual() : saved_(0) {}
#endif
  Gradual(const Gradual&) = delete;
  Gradual& operator=(const Gradual&) = delete;

 private:
  uint64_t saved_;
};

}  // namespace tessel::TESSEL_TARGET
