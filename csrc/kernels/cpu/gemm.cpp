// c = alpha * a @ b + beta * c (+ bias, activation), batched: matmul, linear, and through its packing conv.
// The ways of multiplying stand in kImplementations, from the most special to the blocked one that takes everything;
// the first that accepts the shape, the strides and the dtype runs.
#include "kernels/cpu/entries_gemm.h"
#include "kernels/cpu/gemm_ways.h"

namespace tessel::TESSEL_TARGET {
namespace {

struct Implementation {
  const char* name;
  bool (*accepts)(const Problem&);
  int64_t (*scratch)(const Problem&);
  void (*run)(const Problem&, char* scratch);
};

constexpr Implementation kImplementations[] = {
    {"empty", accepts_empty, empty_scratch, run_empty},
    {"integer", accepts_integer, integer_scratch, run_integer},
    {"deep", accepts_deep, deep_scratch, run_deep},
    {"vector", accepts_vector, vector_scratch, run_vector},
    {"small", accepts_small, small_scratch, run_small},
    {"rows", accepts_rows, rows_scratch, run_rows},
    {"blocked", accepts_blocked, blocked_scratch, run_blocked},
};

const Implementation& choose(const Problem& p) {
  const Implementation* x = kImplementations;
  while (!x->accepts(p)) ++x;
  return *x;
}

}  // namespace

int64_t gemm_scratch(const GemmArgs& args) {
  const Problem p = normalised(args);
  return choose(p).scratch(p);
}

void gemm(const GemmArgs& args, void* scratch) {
  const Problem p = normalised(args);
  choose(p).run(p, static_cast<char*>(scratch));
}

int64_t gemm_alone_scratch(const GemmArgs& args) {
  const Problem p = normalised(args, true);
  return choose(p).scratch(p);
}

void gemm_alone(const GemmArgs& args, void* scratch) {
  const Problem p = normalised(args, true);
  choose(p).run(p, static_cast<char*>(scratch));
}

const char* gemm_implementation(const GemmArgs& args) { return choose(normalised(args)).name; }

}  // namespace tessel::TESSEL_TARGET
