// Threads, allocator, targets, default dtype and the profiler's hook, as Python sees them.
#include <pybind11/pybind11.h>

#include "bindings/autograd.h"
#include "core/allocator.h"
#include "core/device.h"
#include "core/parallel.h"
#include "kernels/targets.h"
#include "ops/ops.h"
#include "ops/profile.h"

namespace py = pybind11;

namespace tessel::python {

static py::dict as_dict(const MemoryStats& s) {
  py::dict d;
  d["allocated_bytes"] = s.allocated, d["cached_bytes"] = s.cached, d["reserved_bytes"] = s.reserved;
  d["peak_allocated_bytes"] = s.peak_allocated, d["peak_reserved_bytes"] = s.peak_reserved;
  d["allocations"] = s.allocations, d["releases"] = s.releases, d["system_allocations"] = s.system_allocations;
  return d;
}

void bind_memory(PyObject* module) {
  py::module_ m = py::reinterpret_borrow<py::module_>(module);
  m.def("set_num_threads", [](int n) {
    check(n > 0, "set_num_threads: expects a positive integer, got ", n);
    set_num_threads(n);
  }, py::arg("int"), "How many threads kernels may use. Results never depend on it.");
  m.def("get_num_threads", [] { return num_threads(); });
  m.def("empty_cache", [] { cpu_allocator().empty_cache(); }, "Gives all cached memory back to the system.");
  m.def("memory_stats", [] { return as_dict(cpu_allocator().memory_stats()); }, "Bytes in use, cached and reserved by the CPU allocator, their peaks, and counts of calls.");
  m.def("reset_peak_memory_stats", [] { cpu_allocator().reset_peak(); });
  m.def("_set_thread_generator", [](const py::object& generator) {
    static thread_local PyObject* held = nullptr;  // counted: the generator lives as long as the thread draws from it
    py::object before = held ? py::reinterpret_steal<py::object>(held) : py::none();
    set_thread_generator(generator.is_none() ? nullptr : &to_generator(generator.ptr()));
    held = generator.is_none() ? nullptr : py::object(generator).release().ptr();
    return before;
  }, "What this thread draws random numbers from by default; gives what it was before.");
  m.def("_cpu_target", [] { return std::string(cpu_kernels().name); }, "The instruction set in use: scalar, avx2, avx512, avx512bf16 or amx.");
  m.def("_cuda_available", [] { return has_cuda(); });
  m.def("_cuda_device_count", [] { return cuda_devices(); });
  m.def("_cuda_synchronize", [] { cuda_kernels().synchronize(); });
  m.def("_cuda_empty_cache", [] { allocator(Device{DeviceType::cuda, 0}).empty_cache(); });
  m.def("_cuda_memory_stats", [] { return as_dict(allocator(Device{DeviceType::cuda, 0}).memory_stats()); });
  m.def("_cuda_reset_peak", [] { allocator(Device{DeviceType::cuda, 0}).reset_peak(); });
  m.def("_profile_start", [] { start_profile(); }, "Writes down every kernel's turn from now on.");
  m.def("_profile_stop", [] {
    py::list calls;
    for (const KernelCall& c : stop_profile()) {
      py::list sizes;
      for (int64_t n : c.sizes) sizes.append(n);
      calls.append(py::make_tuple(c.op, sizes, dtype_name(c.dtype), c.target, c.start, c.end, c.thread));
    }
    return calls;
  }, "[(op, sizes, dtype, target, start, end, thread)] since _profile_start, in nanoseconds of time.perf_counter_ns.");
  // PyTorch's programs turn parts of its script compiler off with these; here there is none, and it never was on.
  for (const char* name : {"_jit_set_profiling_executor", "_jit_set_profiling_mode", "_jit_override_can_fuse_on_cpu", "_jit_override_can_fuse_on_gpu",
                           "_jit_set_texpr_fuser_enabled", "_jit_set_nvfuser_enabled"})
    m.def(name, [](bool) { return false; }, py::arg("enabled"), "Whether it was on: False. There is no script compiler.");
  m.def("get_default_dtype", [] { return py::reinterpret_steal<py::object>(wrap(default_dtype())); });
  m.def("set_default_dtype", [](const py::object& d) {
    check_type(is_dtype(d.ptr()), "set_default_dtype: expected a dtype, got ", Py_TYPE(d.ptr())->tp_name);
    set_default_dtype(to_dtype(d.ptr()));
  }, py::arg("d"));
  m.def("_float32_precision", [] { return static_cast<int>(float32_precision()); });
  m.def("_set_float32_precision", [](int level) { set_float32_precision(static_cast<Precision>(level)); }, py::arg("level"),
        "0, 1 or 2: highest, high or medium (settings.set_float32_matmul_precision).");
}

}  // namespace tessel::python
