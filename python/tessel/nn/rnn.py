"""Recurrent layers: RNN, LSTM, GRU over sequences, and the cells that take one step."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

from .. import _C
from .._C import Tensor
from . import init
from .module import Module
from .parameter import Parameter
from .utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "RNN", "RNNBase", "RNNCell", "RNNCellBase"]

_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


class RNNBase(Module):
    """What RNN, LSTM and GRU share: `num_layers` layers, each over the outputs of the one before, in one direction or
    both.

    Shapes: input (time, batch, input_size), (batch, time, input_size) with `batch_first`, (time, input_size) of a
    single sequence, or a PackedSequence; states (num_layers * directions, batch, size). A call's `lengths`, one for
    each of a padded batch, does what packing does: states are those after each sequence's last step, and outputs behind
    it are zero. The parameters of layer k are
    weight_ih_l<k> (gates * hidden_size, input), weight_hh_l<k> (gates * hidden_size, size), bias_ih_l<k> and
    bias_hh_l<k>, those of the other direction end in _reverse; all start uniform in +-1/sqrt(hidden_size). `dropout`
    works between layers.
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if mode not in _GATES:
            raise ValueError(f"{name}: unrecognized mode {mode!r}, expected one of {', '.join(_GATES)}")
        for what, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if not isinstance(size, int):
                raise TypeError(f"{name}: {what} should be an int, got {type(size).__name__}")
        for what, size in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
            if size <= 0:
                raise ValueError(f"{name}: {what} must be greater than zero, got {size}")
        if isinstance(dropout, bool) or not isinstance(dropout, (int, float)) or not 0 <= dropout <= 1:
            raise ValueError(f"{name}: dropout should be a probability between 0 and 1, got {dropout}")
        if not 0 <= proj_size < hidden_size:
            raise ValueError(
                f"{name}: proj_size must be at least 0 and below hidden_size {hidden_size}, got {proj_size}"
            )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"{name}: dropout works between layers, so dropout={dropout} does nothing with num_layers=1",
                stacklevel=3,
            )
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._all_weights: list[list[str]] = []
        output, rows = proj_size or hidden_size, _GATES[mode] * hidden_size
        for layer in range(num_layers):
            width = input_size if layer == 0 else output * (2 if bidirectional else 1)
            for suffix in (f"_l{layer}", f"_l{layer}_reverse")[: 2 if bidirectional else 1]:
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, output)}
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    shapes |= {"weight_hr": (proj_size, hidden_size)}
                for what, shape in shapes.items():
                    self.register_parameter(what + suffix, Parameter(_C.empty(shape, device=device, dtype=dtype)))
                self._all_weights.append([what + suffix for what in shapes])
        self._flat_weights_names = [weight for weights in self._all_weights for weight in weights]
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all parameters anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Does nothing: the kernels pack the weights themselves."""

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self) -> list[Tensor]:
        parameters = self._parameters
        try:
            return [parameters[name] for name in self._flat_weights_names]  # type: ignore[misc]
        except KeyError:  # one of them is computed now
            return [getattr(self, name) for name in self._flat_weights_names]

    def _run(
        self,
        op: Callable[..., Any],
        input: Tensor | PackedSequence,
        hx: Tensor | None,
        cx: Tensor | None,
        reset_after: bool = True,
        lengths: Any = None,
    ) -> tuple[Any, Any, Any]:
        """Outputs and last states; a state that is not given is zero."""
        if lengths is not None:
            return self._run_lengths(op, input, hx, cx, reset_after, lengths)
        directions = 2 if self.bidirectional else 1
        packed = isinstance(input, PackedSequence)
        batched = True
        order = back = sizes = None
        x: Any = input
        if packed:
            x, sizes, order, back = input  # type: ignore[misc]
            batch = int(sizes[0])
        else:
            batched = x.dim() == 3
            if not batched:
                if x.dim() != 2:
                    raise ValueError(f"{type(self).__name__}: Expected input to be 2D or 3D, got {x.dim()}D instead")
                x = x.unsqueeze(0 if self.batch_first else 1)
            batch = x.shape[0 if self.batch_first else 1]
        if x.shape[-1] != self.input_size:
            raise RuntimeError(
                f"{type(self).__name__}: input.size(-1) must be equal to input_size. "
                f"Expected {self.input_size}, got {x.shape[-1]} (the input is {tuple(x.shape)})"
            )
        states = [hx, cx]
        for i, width in enumerate((self.proj_size or self.hidden_size, self.hidden_size)):
            state = states[i]
            if state is None:
                continue
            if not packed and state.dim() != (3 if batched else 2):
                raise RuntimeError(
                    f"{type(self).__name__}: For {'batched 3-D' if batched else 'unbatched 2-D'} input, the hidden "
                    f"state should also be {3 if batched else 2}-D but got {state.dim()}-D"
                )
            if not batched:
                state = state.unsqueeze(1)
            expected = (self.num_layers * directions, batch, width)
            if tuple(state.shape) != expected:
                raise RuntimeError(
                    f"{type(self).__name__}: Expected hidden{f'[{i}]' if self.mode == 'LSTM' else ''} size {expected}, "
                    f"got {tuple(state.shape)}"
                )
            states[i] = state if order is None else state.index_select(1, order)
        weights = self._flat_weights
        if x.dtype != weights[0].dtype:
            raise ValueError(
                f"{type(self).__name__}: the input is {x.dtype} but the weights are {weights[0].dtype}; "
                "convert one of them: input.to(dtype), or module.to(dtype)"
            )
        y, h, c = op(
            x,
            sizes,
            *states,
            weights,
            self.bias,
            self.num_layers,
            self.dropout,
            self.training,
            self.bidirectional,
            self.batch_first and not packed,
            reset_after,
        )
        if packed:
            if back is not None:
                h, c = h.index_select(1, back), c if c is None else c.index_select(1, back)
            return PackedSequence(y, sizes, order, back), h, c
        if not batched:
            y, h, c = y.squeeze(0 if self.batch_first else 1), h.squeeze(1), c if c is None else c.squeeze(1)
        return y, h, c

    def _run_lengths(
        self, op: Callable[..., Any], input: Any, hx: Any, cx: Any, reset_after: bool, lengths: Any
    ) -> tuple[Any, Any, Any]:
        """The same of padded sequences, of which so many steps are there: outputs behind them are zero."""
        name = type(self).__name__
        if isinstance(input, PackedSequence) or input.dim() != 3:
            raise ValueError(f"{name}: lengths are for a batch of padded sequences, a tensor of 3 dimensions")
        packed = pack_padded_sequence(input, lengths, self.batch_first, enforce_sorted=False)
        y, h, c = self._run(op, packed, hx, cx, reset_after)
        steps = input.shape[1 if self.batch_first else 0]
        return pad_packed_sequence(y, self.batch_first, total_length=steps)[0], h, c

    def extra_repr(self) -> str:
        shown = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0,
            "bidirectional": False,
        }
        more = [f"{name}={getattr(self, name)}" for name, default in shown.items() if getattr(self, name) != default]
        return ", ".join([str(self.input_size), str(self.hidden_size), *more])


class RNN(RNNBase):
    """h_t = f(x_t w_ih^T + b_ih + h_{t-1} w_hh^T + b_hh), with `nonlinearity` f = tanh or relu.

    Called with an input and, if wanted, the state to begin with; gives the outputs of the last layer (..., directions *
    hidden_size) and the last state of every layer and direction. Shapes and parameters: see RNNBase.

    Source: Elman, "Finding structure in time", 1990.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        **unknown: Any,
    ) -> None:
        _refuse(self, unknown)
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNN: unknown nonlinearity {nonlinearity!r}, select 'tanh' or 'relu'")
        mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(
            mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )
        self.nonlinearity = nonlinearity

    def forward(
        self, input: Tensor | PackedSequence, hx: Tensor | None = None, *, lengths: Any = None
    ) -> tuple[Any, Tensor]:
        op = _C._ops.rnn_tanh if self.nonlinearity == "tanh" else _C._ops.rnn_relu
        return self._run(op, input, hx, None, lengths=lengths)[:2]


class LSTM(RNNBase):
    """Long short-term memory, gates in the order i, f, g, o:

        i, f, o = sigmoid(x w_ih^T + b_ih + h w_hh^T + b_hh)    g = tanh(the same)
        c = f c + i g                                           h = o tanh(c)

    With `proj_size` h is multiplied by weight_hr^T, and so has that size. Called with an input and, if wanted, (h, c)
    to begin with; gives the outputs of the last layer and (h, c) of every layer and direction. Shapes and parameters:
    see RNNBase.

    Sources: Hochreiter and Schmidhuber, "Long short-term memory", 1997; Gers et al., "Learning to forget", 2000; the
    projection: Sak et al., 2014.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            "LSTM",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            proj_size,
            device,
            dtype,
        )

    def forward(
        self, input: Tensor | PackedSequence, hx: tuple[Tensor, Tensor] | None = None, *, lengths: Any = None
    ) -> tuple[Any, tuple[Tensor, Tensor]]:
        h, c = (None, None) if hx is None else hx
        y, h, c = self._run(_C._ops.lstm, input, h, c, lengths=lengths)
        return y, (h, c)


class GRU(RNNBase):
    """Gated recurrent units, gates in the order r, z, n:

        r, z = sigmoid(x w_ih^T + b_ih + h w_hh^T + b_hh)
        n = tanh(x w_in^T + b_in + r (h w_hn^T + b_hn))         h = (1 - z) n + z h

    Without `reset_after` the reset gate stands before the product, as in the paper: n = tanh(x w_in^T + b_in + (r h)
    w_hn^T + b_hn). Called with an input and, if wanted, the state to begin with; gives the outputs of the last layer
    and the last state of every layer and direction. Shapes and parameters: see RNNBase.

    Source: Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
    translation", 2014.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        reset_after: bool = True,
        **unknown: Any,
    ) -> None:
        _refuse(self, unknown)
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, 0, device, dtype
        )
        self.reset_after = reset_after

    def forward(
        self, input: Tensor | PackedSequence, hx: Tensor | None = None, *, lengths: Any = None
    ) -> tuple[Any, Tensor]:
        return self._run(_C._ops.gru, input, hx, None, self.reset_after, lengths)[:2]

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.reset_after else ", reset_after=False")


def _refuse(module: Module, unknown: dict[str, Any]) -> None:
    name = type(module).__name__
    if "proj_size" in unknown:
        raise ValueError(f"{name}: proj_size is an argument of LSTM only")
    if unknown:
        raise TypeError(f"{name}.__init__() got an unexpected keyword argument '{next(iter(unknown))}'")


class RNNCellBase(Module):
    """What the cells share: weight_ih (gates * hidden_size, input_size), weight_hh (gates * hidden_size,
    hidden_size), bias_ih and bias_hh (gates * hidden_size,), all uniform in +-1/sqrt(hidden_size) at first; input
    (batch, input_size) or (input_size,), states (batch, hidden_size) or (hidden_size,)."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        shapes = {
            "weight_ih": (rows, input_size),
            "weight_hh": (rows, hidden_size),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }
        for name, shape in shapes.items():
            wanted = bias or name.startswith("weight")
            self.register_parameter(name, Parameter(_C.empty(shape, device=device, dtype=dtype)) if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws all parameters anew."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _step(self, op: Callable[..., Any], input: Tensor, states: list[Tensor] | None, count: int, **more: Any) -> Any:
        """op over input and states, one sample without a batch included; states that are not given are zero."""
        name, batched = type(self).__name__, input.dim() == 2
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        if states is None:
            states = [_C.zeros((*input.shape[:-1], self.hidden_size), dtype=input.dtype, device=input.device)] * count
        for state in states:
            if state.dim() not in (1, 2):
                raise ValueError(f"{name}: Expected hidden to be 1D or 2D, got {state.dim()}D instead")
        if not batched:
            input, states = input.unsqueeze(0), [s if s.dim() == 2 else s.unsqueeze(0) for s in states]
        hx = states if count > 1 else states[0]
        y = op(input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh, **more)
        if batched:
            return y
        return tuple(s.squeeze(0) for s in y) if count > 1 else y.squeeze(0)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(RNNCellBase):
    """One step of RNN: h = f(x w_ih^T + b_ih + h w_hh^T + b_hh), with `nonlinearity` f = tanh or relu."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"RNNCell: unknown nonlinearity {self.nonlinearity!r}, select 'tanh' or 'relu'")
        op = _C.rnn_tanh_cell if self.nonlinearity == "tanh" else _C.rnn_relu_cell
        return self._step(op, input, None if hx is None else [hx], 1)

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(RNNCellBase):
    """One step of LSTM: (h, c) from x and (h, c)."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        return self._step(_C.lstm_cell, input, None if hx is None else list(hx), 2)


class GRUCell(RNNCellBase):
    """One step of GRU; `reset_after` as there."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        reset_after: bool = True,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)
        self.reset_after = reset_after

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step(_C.gru_cell, input, None if hx is None else [hx], 1, reset_after=self.reset_after)

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.reset_after else ", reset_after=False")
