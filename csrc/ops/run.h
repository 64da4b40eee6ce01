// The one door to kernels: every kernel call of every op passes through run(). Here stand the verbose print and the
// interpreter lock, later the profiler and the replay.
#pragma once
#include <type_traits>
#include <utility>

#include "core/tensor.h"
#include "kernels/targets.h"

namespace tessel {

// Python's lock is let go while a kernel runs that is long enough to pay for it (a release and take is about 100 ns).
struct InterpreterLock {
  using Release = void* (*)();
  using Take = void (*)(void* token);
  static constinit inline Release release = nullptr;  // installed by bindings; gives null where it was not held
  static constinit inline Take take = nullptr;
};

// Elements of work (roughly nanoseconds on one core) from which the lock is released.
constexpr int64_t kLongWork = 100'000;

class Unlocked {
 public:
  explicit Unlocked(int64_t work) : token_(work >= kLongWork && InterpreterLock::release ? InterpreterLock::release() : nullptr) {}
  ~Unlocked() {
    if (token_) InterpreterLock::take(token_);
  }
  Unlocked(const Unlocked&) = delete;

 private:
  void* token_;
};

bool verbose();  // TESSEL_VERBOSE=1
class VerboseTimer {
 public:
  VerboseTimer(const char* op, const char* target, const Tensor& shape);
  ~VerboseTimer();

 private:
  const char* op_;
  const char* target_;
  Dims sizes_;
  DType dtype_;
  int64_t start_;
};

// Kernels of the tensor's device.
inline const Kernels& kernels(const Tensor& x) { return x.device().is_cpu() ? cpu_kernels() : cuda_kernels(); }

// run("softmax", y, work, kernels(x).softmax, args): `shown` is the tensor whose shape the verbose line tells.
template <class Kernel, class... Args>
inline void run(const char* op, const Tensor& shown, int64_t work, Kernel kernel, Args&&... args) {
  if constexpr (std::is_pointer_v<Kernel>)  // else a function of the op's own that calls one
    if (!kernel) [[unlikely]] fail<NotImplementedError>(op, ": not there yet for tensors on ", device_name(shown.device()));
  if (verbose()) [[unlikely]] {
    VerboseTimer timer(op, kernels(shown).name, shown);
    kernel(args...);
    return;
  }
  Unlocked unlocked(work);
  kernel(args...);
}

// Memory a kernel asks for while it runs.
class Scratch {
 public:
  Scratch(int64_t bytes, Device device) : storage_(bytes > 0 ? Storage::allocate(bytes, device) : Ref<Storage>()) {}
  void* data() const { return storage_ ? storage_->data() : nullptr; }

 private:
  Ref<Storage> storage_;
};

}  // namespace tessel
