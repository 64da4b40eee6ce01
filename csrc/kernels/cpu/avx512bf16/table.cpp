// What AVX512_BF16 does better than avx512: matrix products and convolutions of bfloat16, whose pairs it multiplies into
// float32 sums at twice the speed of float32. gemm*.cpp and conv*.cpp are built for it once more, for that type alone;
// targets.cpp lays it over avx512's table.
#include "kernels/cpu/entries_gemm.h"

namespace tessel::avx512 {

int64_t gemm_scratch(const GemmArgs& args);
void gemm(const GemmArgs& args, void* scratch);
int64_t conv_scratch(const ConvArgs& args);
void conv(const ConvArgs& args, void* scratch);
int64_t conv_backward_data_scratch(const ConvArgs& args);
void conv_backward_data(const ConvArgs& args, void* scratch);
int64_t conv_backward_weight_scratch(const ConvArgs& args);
void conv_backward_weight(const ConvArgs& args, void* scratch);

}  // namespace tessel::avx512

namespace tessel::avx512bf16 {
namespace {

// The entry for bfloat16, and avx512's for all else.
template <auto here, auto there> struct Either;
template <class R, class Args, class... More, R (*here)(const Args&, More...), R (*there)(const Args&, More...)> struct Either<here, there> {
  static R run(const Args& args, More... more) { return args.dtype == DType::bfloat16 ? here(args, more...) : there(args, more...); }
};

}  // namespace

void lay_over(Kernels& table);

void lay_over(Kernels& table) {
  table.name = "avx512bf16";
  table.gemm_scratch = Either<gemm_scratch, avx512::gemm_scratch>::run;
  table.gemm = Either<gemm, avx512::gemm>::run;
  table.conv_scratch = Either<conv_scratch, avx512::conv_scratch>::run;
  table.conv = Either<conv, avx512::conv>::run;
  table.conv_backward_data_scratch = Either<conv_backward_data_scratch, avx512::conv_backward_data_scratch>::run;
  table.conv_backward_data = Either<conv_backward_data, avx512::conv_backward_data>::run;
  table.conv_backward_weight_scratch = Either<conv_backward_weight_scratch, avx512::conv_backward_weight_scratch>::run;
  table.conv_backward_weight = Either<conv_backward_weight, avx512::conv_backward_weight>::run;
}

}  // namespace tessel::avx512bf16
