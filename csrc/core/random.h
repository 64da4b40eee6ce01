// The random stream's place: a seed and the number of draws taken from it. An op takes one draw, and its kernel makes
// element i of that draw from (seed, offset, i) alone (kernels/philox.h), so the values never depend on who computes.
#pragma once
#include <array>
#include <cstdint>
#include <span>

namespace tessel {

struct Draw {
  uint64_t seed, offset;
};

// Every member may be called from any thread, and after fork().
class Generator {
 public:
  static constexpr uint64_t kDefaultSeed = 67280421310721;  // PyTorch's for torch.Generator()
  static constexpr size_t kStateBytes = 16;                 // seed, then offset, little endian
  using State = std::array<uint8_t, kStateBytes>;

  explicit Generator(uint64_t seed = kDefaultSeed) : seed_(seed) {}
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  void manual_seed(uint64_t seed);  // and begins the stream anew
  uint64_t initial_seed() const;    // what the generator was last seeded with
  uint64_t seed();                  // seeds from the operating system and returns the seed, below 2^53
  Draw draw();                      // takes the next draw

  State get_state() const;
  void set_state(std::span<const uint8_t> state);  // ValueError unless kStateBytes long

 private:
  uint64_t seed_;
  uint64_t offset_ = 0;
};

Generator& default_generator();  // this thread's, if it was given one; else the process's, seeded by the system at first use
void set_thread_generator(Generator* generator);  // what this thread draws from by default (a DataLoader's workers); null: no more

}  // namespace tessel
