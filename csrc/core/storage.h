// Bytes on a device, counted, with the version of what they hold.
#pragma once
#include "core/device.h"
#include "core/ref.h"
#include "core/source_line.h"

namespace tessel {

// How often memory was written in place, and who wrote last. Shared by a tensor, its views and detach().
struct Version : Counted {
  std::atomic<uint32_t> value{0};
  const char* writer = nullptr;  // the op's name
  SourceLine line;

  static void destroy(Version* v) { delete v; }
};

class Storage : public Counted {
 public:
  using Release = void (*)(void* owner);

  static Ref<Storage> allocate(size_t bytes, Device device);  // throws OutOfMemory
  // Memory that somebody else owns: release(owner) is called when the last tensor on it dies.
  static Ref<Storage> borrow(void* data, size_t bytes, Device device, Release release, void* owner);
  static void destroy(Storage* storage);

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  bool owned() const { return release_ == nullptr; }
  void lend() { lent_ = true; }  // others hold the address from now on (numpy, DLPack, a buffer): it no longer moves
  void resize(size_t bytes);  // keeps the contents; throws on borrowed and lent memory

  Version version;  // most tensors' version; `.data` makes one of its own (its count is not used here)

 private:
  Storage(void* data, size_t bytes, Device device, Release release, void* owner)
      : data_(data), bytes_(bytes), device_(device), release_(release), owner_(owner) {}
  void* data_;
  size_t bytes_;
  Device device_;
  Release release_;
  void* owner_;
  bool lent_ = false;
};

}  // namespace tessel
