// Where tensors' bytes come from and go to.
#include "core/storage.h"

#include <algorithm>
#include <cstring>

#include "core/allocator.h"
#include "core/error.h"

namespace tessel {

Ref<Storage> Storage::allocate(size_t bytes, Device device) {
  void* data = bytes ? allocator(device).allocate(bytes) : nullptr;
  return Ref<Storage>::adopt(new (Recycler<sizeof(Storage)>::get()) Storage(data, bytes, device, nullptr, nullptr));
}

Ref<Storage> Storage::borrow(void* data, size_t bytes, Device device, Release release, void* owner) {
  return Ref<Storage>::adopt(new (Recycler<sizeof(Storage)>::get()) Storage(data, bytes, device, release, owner));
}

void Storage::destroy(Storage* storage) {
  if (storage->release_) storage->release_(storage->owner_);
  else if (storage->data_) allocator(storage->device_).release(storage->data_, storage->bytes_);
  storage->~Storage();
  Recycler<sizeof(Storage)>::put(storage);
}

void Storage::resize(size_t bytes) {
  check(owned() && !lent_, "resize_: memory that is shared with others (numpy, DLPack, a buffer) can't be resized");
  check(device_.is_cpu(), "resize_: only CPU storage can be resized");
  void* fresh = bytes ? allocator(device_).allocate(bytes) : nullptr;
  if (fresh && data_) std::memcpy(fresh, data_, std::min(bytes, bytes_));
  if (data_) allocator(device_).release(data_, bytes_);
  data_ = fresh;
  bytes_ = bytes;
}

}  // namespace tessel
