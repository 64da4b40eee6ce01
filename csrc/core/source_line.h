// A place in the user's program, remembered by nodes and by in-place writes so that an error can name both lines.
// The core does not know Python: bindings install the hooks.
#pragma once
#include <string>
#include <utility>

namespace tessel {

class SourceLine {
 public:
  struct Hooks {
    void* (*capture)(int* instruction);  // a counted handle of the running code, or null
    void (*release)(void* code);
    std::string (*describe)(void* code, int instruction);  // "train.py:12"
  };
  static void install(const Hooks& hooks) { hooks_ = hooks; }

  SourceLine() = default;
  static SourceLine here() {
    SourceLine line;
    if (hooks_.capture) line.code_ = hooks_.capture(&line.instruction_);
    return line;
  }
  SourceLine(SourceLine&& o) noexcept : code_(std::exchange(o.code_, nullptr)), instruction_(o.instruction_) {}
  SourceLine& operator=(SourceLine&& o) noexcept {
    std::swap(code_, o.code_);
    std::swap(instruction_, o.instruction_);
    return *this;
  }
  ~SourceLine() {
    if (code_) hooks_.release(code_);
  }
  std::string describe() const { return code_ ? hooks_.describe(code_, instruction_) : std::string(); }

 private:
  static constinit inline Hooks hooks_{};
  void* code_ = nullptr;
  int instruction_ = 0;
};

}  // namespace tessel
