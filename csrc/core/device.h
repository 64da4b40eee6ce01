// Where memory lives: the CPU or a numbered CUDA device.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace tessel {

enum class DeviceType : uint8_t { cpu, cuda };

struct Device {
  DeviceType type = DeviceType::cpu;
  int8_t index = -1;  // -1: the current one

  bool operator==(const Device&) const = default;
  bool is_cpu() const { return type == DeviceType::cpu; }
  bool is_cuda() const { return type == DeviceType::cuda; }
};

Device parse_device(std::string_view text);  // "cpu", "cuda", "cuda:1"; throws RuntimeError otherwise
std::string device_name(Device device);      // "cuda:0"

}  // namespace tessel
