// The C++ tests' only tools: TEST(name) { ... } registers a test, CHECK(condition) counts and reports a failure, and
// CHECK_THROWS wants an exception. main.cpp runs them.
#pragma once
#include <cstdio>

namespace tessel::test {

struct Test {
  const char* name;
  void (*run)();
  Test* next;
  static inline Test* first = nullptr;
  static inline int failures = 0;

  Test(const char* name, void (*run)()) : name(name), run(run), next(first) { first = this; }
};

inline bool expect(bool condition, const char* text, const char* file, int line) {
  if (!condition) {
    std::printf("%s:%d: failed: %s\n", file, line, text);
    ++Test::failures;
  }
  return condition;
}

}  // namespace tessel::test

#define TEST(name)                                            \
  static void name();                                         \
  static ::tessel::test::Test registered_##name(#name, name); \
  static void name()

#define CHECK(...) ::tessel::test::expect(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

#define CHECK_THROWS(Exception, ...)                                                        \
  do {                                                                                      \
    bool thrown = false;                                                                    \
    try {                                                                                   \
      __VA_ARGS__;                                                                          \
    } catch (const Exception&) { thrown = true; }                                           \
    ::tessel::test::expect(thrown, #__VA_ARGS__ " throws " #Exception, __FILE__, __LINE__); \
  } while (false)

// How much forking a build bears: 0 none (ThreadSanitizer), 1 while no other thread runs (the sanitizers' malloc takes
// no care of its locks), 2 at any time.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TESSEL_FORK 0
#elif __has_feature(address_sanitizer)
#define TESSEL_FORK 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define TESSEL_FORK 0
#elif defined(__SANITIZE_ADDRESS__)
#define TESSEL_FORK 1
#elif !defined(TESSEL_FORK)
#define TESSEL_FORK 2
#endif
