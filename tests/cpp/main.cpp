// Runs the tests whose names contain the argument, or all.
#include <cstdio>
#include <cstring>

#include "check.h"

int main(int argc, char** argv) {
  using tessel::test::Test;
  int run = 0;
  for (Test* test = Test::first; test; test = test->next) {
    if (argc > 1 && !std::strstr(test->name, argv[1])) continue;
    std::printf("%s\n", test->name);
    std::fflush(stdout);
    test->run();
    ++run;
  }
  std::printf("%d tests, %d failures\n", run, Test::failures);
  return run == 0 || Test::failures > 0;
}
