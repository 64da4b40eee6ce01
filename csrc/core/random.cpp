// The generators share one lock: a draw is taken once per op, and one lock is easily carried across fork().
#include "core/random.h"

#include <pthread.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <random>

#include "core/error.h"

namespace tessel {
namespace {

// Held while forking, so that a child never inherits a lock whose holder does not exist there.
constinit std::mutex mutex;
[[maybe_unused]] const int registered =
    pthread_atfork([] { mutex.lock(); }, [] { mutex.unlock(); }, [] { mutex.unlock(); });

// 53 bits, so that a double (JSON, JavaScript, Lua) carries the seed unharmed.
uint64_t seed_from_system() {
  std::random_device device;
  const uint64_t high = device(), low = device();
  return (high << 32 | low) & ((uint64_t{1} << 53) - 1);
}

void store_little_endian(uint8_t* bytes, uint64_t value) {
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<uint8_t>(value >> (8 * i));
}

uint64_t load_little_endian(const uint8_t* bytes) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value |= uint64_t{bytes[i]} << (8 * i);
  return value;
}

}  // namespace

void Generator::manual_seed(uint64_t seed) {
  std::lock_guard lock(mutex);
  seed_ = seed;
  offset_ = 0;
}

uint64_t Generator::initial_seed() const {
  std::lock_guard lock(mutex);
  return seed_;
}

uint64_t Generator::seed() {
  const uint64_t fresh = seed_from_system();
  manual_seed(fresh);
  return fresh;
}

Draw Generator::draw() {
  std::lock_guard lock(mutex);
  return {seed_, offset_++};
}

Generator::State Generator::get_state() const {
  std::lock_guard lock(mutex);
  State state;
  store_little_endian(state.data(), seed_);
  store_little_endian(state.data() + 8, offset_);
  return state;
}

void Generator::set_state(std::span<const uint8_t> state) {
  check_value(state.size() == kStateBytes, "set_state: a generator's state has ", kStateBytes, " bytes but got ",
              state.size());
  std::lock_guard lock(mutex);
  seed_ = load_little_endian(state.data());
  offset_ = load_little_endian(state.data() + 8);
}

// Never destroyed: generators may be used until the very end of the process.
static thread_local constinit Generator* thread_generator = nullptr;

void set_thread_generator(Generator* generator) { thread_generator = generator; }

Generator& default_generator() {
  if (thread_generator) return *thread_generator;
  static constinit std::atomic<Generator*> shared{nullptr};
  Generator* found = shared.load(std::memory_order_acquire);
  if (found) return *found;
  auto made = std::make_unique<Generator>(seed_from_system());
  return shared.compare_exchange_strong(found, made.get()) ? *made.release() : *found;
}

}  // namespace tessel
