// Connectionist temporal classification (Graves et al. 2006): sequences without alignment. The kernel and its formulas: kernels.h.
#include <algorithm>

#include "ops/ops.h"
#include "ops/run.h"

namespace tessel {

namespace {

// What forward and backward share; all int64 and on the CPU.
struct Ctc {
  Tensor targets, begin, lengths, target_lengths;
  int64_t blank, places;
  bool zero_infinity;
};

CtcArgs arguments(const Ctc& c, const Tensor& x, const Tensor& alpha, const Tensor& loss) {
  CtcArgs args{};
  args.dtype = x.dtype();
  args.steps = x.sizes()[0], args.batch = x.sizes()[1], args.classes = x.sizes()[2];
  args.blank = c.blank, args.places = c.places, args.zero_infinity = c.zero_infinity;
  args.x = x.data(), args.alpha = alpha.data_as<double>(), args.loss = loss.data_as<double>();
  args.targets = c.targets.data_as<int64_t>(), args.begin = c.begin.data_as<int64_t>();
  args.lengths = c.lengths.data_as<int64_t>(), args.target_lengths = c.target_lengths.data_as<int64_t>();
  return args;
}

int64_t work_of(const CtcArgs& args) { return args.steps * args.batch * args.places * 8; }

Tensor on_host(const Tensor& x) { return contiguous(to_device(to_dtype(detach(x), DType::int64), Device{})); }

// Losses of x [steps, batch, classes], float32 or float64, in double.
Tensor ctc(const Tensor& x_, const Ctc& c) {
  Tensor x = in_order(x_), loss = empty({x.sizes()[1]}, DType::float64, x.device()), alpha = empty({x.sizes()[1], x.sizes()[0], c.places + 2}, DType::float64, x.device());
  CtcArgs args = arguments(c, x, alpha, loss);
  if (args.batch > 0) {
    Scratch scratch(kernels(x).ctc_scratch(args), x.device());
    run("ctc_loss", x, work_of(args), kernels(x).ctc, args, scratch.data());
  }
  Tensor y = clone(loss);
  if (c.zero_infinity) y = masked_fill(y, unary(Unary::isinf, y), wrapped_number(0.0));
  if (Node* node = record("ctc_loss", y, {x_}))
    node->backward = [c, x = Saved(x_), alpha, loss](const Tensor& dy_, Needs) -> Grads {
      if (grad_enabled()) fail<NotImplementedError>("ctc_loss: its gradient cannot be differentiated again");
      Tensor x_now = in_order(x()), dy = in_order(to_dtype(dy_, DType::float64)), dx = empty(x_now.sizes(), x_now.dtype(), x_now.device());
      CtcArgs args = arguments(c, x_now, alpha, loss);
      args.dloss = dy.data_as<double>(), args.dx = dx.data();
      if (dx.numel() > 0) {
        Scratch scratch(kernels(dx).ctc_scratch(args), dx.device());
        run("ctc_loss_backward", dx, work_of(args) * 2, kernels(dx).ctc_backward, args, scratch.data());
      }
      return {dx};
    };
  return y;
}

}  // namespace

Tensor ctc_loss(const Tensor& x_, const Tensor& targets, const Tensor& lengths, const Tensor& target_lengths, int64_t blank, Reduction reduction, bool zero_infinity) {
  const char* name = "ctc_loss";
  check(x_.dim() == 2 || x_.dim() == 3, name, ": log_probs must be (steps, batch, classes) or (steps, classes), but is ", x_.sizes());
  if (!is_floating(x_.dtype())) fail<NotImplementedError>(name, ": not implemented for ", x_.dtype());
  bool batched = x_.dim() == 3;
  Tensor x = batched ? x_ : unsqueeze(x_, 1);
  int64_t steps = x.sizes()[0], batch = x.sizes()[1], classes = x.sizes()[2];
  check(targets.dtype() == DType::int64 || targets.dtype() == DType::int32, name, ": Expected tensor for argument targets to have one of the following scalar types: Long, Int; but got ", targets.dtype());
  check(is_integral(lengths.dtype()), name, ": input_lengths must be integral, but are ", lengths.dtype());
  check(is_integral(target_lengths.dtype()), name, ": target_lengths must be integral, but are ", target_lengths.dtype());
  check(blank >= 0 && blank < classes, name, ": blank must be in label range, but is ", blank, " for ", classes, " classes");
  check(lengths.numel() == batch && lengths.dim() <= 1, name, ": input_lengths must be of size batch_size (", batch, "), but is ", lengths.sizes());
  check(target_lengths.numel() == batch && target_lengths.dim() <= 1, name, ": target_lengths must be of size batch_size (", batch, "), but is ", target_lengths.sizes());
  Ctc c{on_host(targets), empty({batch}, DType::int64), on_host(reshape(lengths, {batch})), on_host(reshape(target_lengths, {batch})), blank, 1, zero_infinity};
  const int64_t *length = c.lengths.data_as<int64_t>(), *target_length = c.target_lengths.data_as<int64_t>();
  int64_t *begin = c.begin.data_as<int64_t>(), longest = 0, total = 0;
  bool padded = batched && targets.dim() == 2;
  check(padded || targets.dim() <= 1, name, ": targets must be (batch, longest) or all of them in one dimension, but is ", targets.sizes());
  check(!padded || targets.sizes()[0] == batch, name, ": Expected tensor to have size ", batch, " at dimension 0, but got size ", padded ? targets.sizes()[0] : 0, " for argument targets");
  for (int64_t n = 0; n < batch; ++n) {
    check(target_length[n] >= 0, name, ": Expected target_lengths to have value at least 0, but got value ", target_length[n]);
    check(length[n] >= 0, name, ": Expected input_lengths to have value at least 0, but got value ", length[n]);
    check(length[n] <= steps, name, ": Expected input_lengths to have value at most ", steps, ", but got value ", length[n]);
    begin[n] = padded ? n * targets.sizes()[1] : total;
    longest = std::max(longest, target_length[n]);
    total += target_length[n];
  }
  if (padded) check(targets.sizes()[1] >= longest, name, ": Expected tensor to have size at least ", longest, " at dimension 1, but got size ", targets.sizes()[1], " for argument targets");
  else check(targets.numel() == total || !batched, name, ": Expected tensor to have size ", total, " at dimension 0, but got size ", targets.numel(), " for argument targets");
  check(padded || targets.numel() >= total, name, ": target_lengths (", total, ") exceed targets of ", targets.sizes());
  const int64_t* target = c.targets.data_as<int64_t>();
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t i = 0; i < target_length[n]; ++i) {
      int64_t label = target[begin[n] + i];
      check(label >= 0 && label < classes, name, ": target ", label, " of sequence ", n, " is not one of the ", classes, " classes");
    }
  c.places = 2 * longest + 1;
  if (x.device() != Device{}) for (Tensor* t : {&c.targets, &c.begin, &c.lengths, &c.target_lengths}) *t = to_device(*t, x.device());
  Tensor loss = ctc(x.dtype() == DType::float64 ? x : to_dtype(x, DType::float32), c);
  if (reduction == Reduction::mean) loss = mean(loss / to_dtype(clamp(c.target_lengths, Scalar(int64_t(1)), {}), DType::float64));
  if (reduction == Reduction::sum) loss = sum(loss);
  if (reduction == Reduction::none && !batched) loss = squeeze(loss, Dims{0});
  return to_dtype(loss, x.dtype());
}

}  // namespace tessel
