// Counted handles. Objects carry their own count; Ref<T> holds one of it. Used by Tensor, Storage, Node.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace tessel {

// Base of everything that is counted. `T::destroy(T*)` says what happens when the last handle goes.
struct Counted {
  mutable std::atomic<uint32_t> count{1};

  void retain() const { count.fetch_add(1, std::memory_order_relaxed); }
  // True when the caller held the last handle. A lone owner needs no locked instruction.
  bool release() const {
    if (count.load(std::memory_order_acquire) == 1) return true;
    return count.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }
};

template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  Ref(const Ref& other) : p_(other.p_) {
    if (p_) p_->retain();
  }
  Ref(Ref&& other) noexcept : p_(std::exchange(other.p_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(p_, other.p_);
    return *this;
  }
  ~Ref() { reset(); }

  static Ref adopt(T* p) {  // takes over the count that p came with
    Ref r;
    r.p_ = p;
    return r;
  }
  static Ref share(T* p) {
    if (p) p->retain();
    return adopt(p);
  }
  T* leak() { return std::exchange(p_, nullptr); }
  void reset() {
    if (T* p = std::exchange(p_, nullptr))
      if (p->release()) T::destroy(p);
  }
  T* get() const { return p_; }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  explicit operator bool() const { return p_ != nullptr; }
  bool operator==(const Ref& other) const { return p_ == other.p_; }

 private:
  T* p_ = nullptr;
};

// Memory for objects that are born and die by the million: each thread keeps a few blocks of one size.
template <size_t Bytes>
class Recycler {
 public:
  static void* get() {
    Shelf& shelf = shelf_;
    if (Block* block = shelf.head) {
      shelf.head = block->next;
      --shelf.size;
      return block;
    }
    return ::operator new(Bytes);
  }
  static void put(void* p) {
    Shelf& shelf = shelf_;
    if (shelf.size >= kKept || !shelf.open) return ::operator delete(p);
    static thread_local Closer closer;
    (void)closer;
    auto* block = static_cast<Block*>(p);
    block->next = shelf.head;
    shelf.head = block;
    ++shelf.size;
  }

 private:
  static constexpr int kKept = 256;
  struct Block { Block* next; };
  struct Shelf {
    Block* head = nullptr;
    int size = 0;
    bool open = true;
  };
  struct Closer {  // empties the shelf when the thread ends; objects that die later go to the heap
    ~Closer() {
      shelf_.open = false;
      while (Block* block = shelf_.head) {
        shelf_.head = block->next;
        ::operator delete(block);
      }
    }
  };
  static thread_local constinit inline Shelf shelf_{};
};

}  // namespace tessel
