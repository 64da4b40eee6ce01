"""Runs the entries of PyTorch's module database on both engines. A case is a module with its arguments, in training or
in evaluation; it passes when the keys of its state, outputs, gradients and buffers afterwards are equal."""

import traceback
import warnings
from copy import deepcopy

import torch
from torch.testing import assert_close
from torch.testing._internal.common_modules import module_db

import tessel

from .exchange import Untranslatable, copy, plain, to_tessel, to_torch
from .opdb import Score, compared, found, mapped, raises, same_form

MODULES = [info.name for info in module_db]
FALSE_GRADIENTS = {"nn.CTCLoss"}  # opdb.py says why


def score_of_module(name: str, gradients=True) -> Score:
    """All cases of one module; nothing raises, everything is told in the score."""
    score = Score()
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for info in (m for m in module_db if m.name == name):
            for training in (True, False):
                torch.manual_seed(0)
                cases = info.module_inputs_func(
                    info, device="cpu", dtype=torch.float32, requires_grad=gradients, training=training
                )
                for i, case in enumerate(cases):
                    told = f"{name} case {i}, {'training' if training else 'evaluation'}: {case.desc}"
                    try:
                        Case(info, case, training, gradients and name not in FALSE_GRADIENTS, score).run()
                    except Untranslatable as e:
                        score.skipped[f"{e} is not there yet"] += 1
                    except Exception as e:
                        last = traceback.format_exception(e)[-3:]
                        text = str(e) if isinstance(e, AssertionError) else "".join(last)
                        score.failed.append(("modules", told, text))
                    else:
                        score.passed["modules"] += 1
    return score


class Case:
    def __init__(self, info, case, training, gradients, score):
        self.info, self.case, self.training, self.gradients, self.score = info, case, training, gradients, score

    def run(self):
        args, kwargs = arguments(self.case.constructor_input)
        theirs = self.info.module_cls(*args, **kwargs).train(self.training)
        place = tessel
        for part in self.info.name.split("."):
            place = getattr(place, part)
        our_args, our_kwargs = translated((args, kwargs))
        ours = place(*our_args, **our_kwargs).train(self.training)
        if self.case.forward_input is None:
            return
        inputs = arguments(self.case.forward_input)
        if self.info.is_lazy:  # the first call makes the parameters
            theirs(*mapped(inputs[0], torch.Tensor, copy))
        keys = list(ours.state_dict())
        ours.load_state_dict(to_tessel(dict(theirs.state_dict())))
        if not self.info.is_lazy:
            assert keys == list(theirs.state_dict()), f"state_dict has {keys}, expected {list(theirs.state_dict())}"
        before = torch.get_rng_state()
        their_inputs = mapped(inputs, torch.Tensor, with_grad)
        try:
            wanted = theirs(*their_inputs[0], **their_inputs[1])
        except Exception as refusal:  # of a case of its own: then it is to be refused here too
            given = translated(inputs)
            return raises(type(refusal), lambda: ours(*given[0], **given[1]), str(refusal))
        drawn = not torch.equal(before, torch.get_rng_state())
        our_inputs = translated(inputs)
        got = ours(*our_inputs[0], **our_inputs[1])
        if drawn:
            self.score.stochastic += 1
            return same_form(to_torch(got), plain(wanted))
        compared(to_torch(got), plain(wanted), lambda: in_double(theirs, inputs))
        for key, buffer in theirs.named_buffers():
            assert_close(to_torch(dict(ours.named_buffers())[key]), buffer, equal_nan=True)
        if self.gradients:
            self.compare_gradients(theirs, ours, their_inputs, our_inputs, wanted, got)

    def compare_gradients(self, theirs, ours, their_inputs, our_inputs, wanted, got):
        outputs = [y for y in found(wanted, torch.Tensor) if y.requires_grad]
        our_outputs = [y for y in found(got, tessel.Tensor) if y.requires_grad]
        assert len(outputs) == len(our_outputs), f"{len(our_outputs)} outputs are differentiable, not {len(outputs)}"
        if not outputs:
            return
        torch.manual_seed(7)
        cotangents = [torch.randn_like(y) for y in outputs]
        torch.autograd.backward(outputs, cotangents)
        tessel.autograd.backward(our_outputs, [to_tessel(c) for c in cotangents])
        pairs = [(name, p, dict(ours.named_parameters())[name]) for name, p in theirs.named_parameters()]
        both = zip(found(their_inputs, torch.Tensor), found(our_inputs, tessel.Tensor))
        pairs += [(f"input {i}", a, b) for i, (a, b) in enumerate(both) if a.requires_grad]
        for name, a, b in pairs:
            assert (a.grad is None) == (b.grad is None), f"gradient of {name}: {b.grad}, expected {a.grad}"
            if a.grad is not None:
                told = f"gradient of {name}: "
                assert_close(to_torch(b.grad), a.grad, rtol=1e-4, atol=1e-4, equal_nan=True, msg=told.__add__)


def in_double(module, inputs):
    """The outputs in float64; None where there are none in it."""
    wide = lambda t: t.detach().double() if t.is_floating_point() else t
    try:
        args, kwargs = mapped(inputs, torch.Tensor, wide)
        return plain(deepcopy(module).double()(*args, **kwargs))
    except Exception:
        return None


def arguments(given) -> tuple[tuple, dict]:
    return (tuple(given.args), dict(given.kwargs)) if given is not None else ((), {})


def with_grad(t):
    fresh = copy(t)
    return fresh.requires_grad_(t.requires_grad)


def translated(value):
    """to_tessel, of layers too that are arguments of others."""
    if isinstance(value, torch.nn.TransformerEncoderLayer):
        return encoder_layer(value)
    if isinstance(value, (list, tuple)):
        return type(value)(map(translated, value))
    if isinstance(value, dict):
        return {k: translated(v) for k, v in value.items()}
    return to_tessel(value)


def encoder_layer(layer):
    ours = tessel.nn.TransformerEncoderLayer(
        layer.linear1.in_features,
        layer.self_attn.num_heads,
        layer.linear1.out_features,
        layer.dropout.p,
        to_tessel(layer.activation),
        layer.norm1.eps,
        layer.self_attn.batch_first,
        layer.norm_first,
        layer.linear1.bias is not None,
    )
    ours.load_state_dict(to_tessel(dict(layer.state_dict())))
    return ours
