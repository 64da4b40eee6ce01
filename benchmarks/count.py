"""What a case computes and moves, counted over PyTorch's own ops while the case runs once.

The ops' operands are read once and their results written once; gathering reads what it returns; views move nothing.
Operations are those of products (matrices, convolutions, attention, recurrent layers), the rest is counted as bytes.
"""

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten

UNWRITTEN = {aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided, aten.detach}
GATHERING = {aten.embedding, aten.index, aten.gather, aten.index_select}


def attention_flops(q, k, v, dropout_p=0.0, is_causal=False, **_):
    """Two products of (queries x keys x width) for each head; a causal mask leaves (keys + 1) / (2 keys) of them."""
    (*heads, queries, width), keys = q.shape, k.shape[-2]
    share = (keys + 1) / (2 * keys) if is_causal and queries == keys else 1.0
    return 4 * share * torch.Size(heads).numel() * queries * keys * width


def attention_backward_flops(dy, q, k, v, out, logsumexp, dropout_p, is_causal, **_):
    """Five products where the forward pass has two: the scores again, and the gradients of all four factors."""
    return 2.5 * attention_flops(q, k, v, dropout_p, is_causal)


def recurrent_flops(x, weight_x, weight_h, *_, **__):
    """Both products of every step."""
    return 2 * x.shape[0] * x.shape[1] * (weight_x.numel() + weight_h.numel())


def recurrent_backward_flops(*arguments, **_):
    return 2 * recurrent_flops(*arguments)


MORE_FLOPS = {
    aten._scaled_dot_product_flash_attention_for_cpu: attention_flops,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: attention_backward_flops,
    aten.mkldnn_rnn_layer: recurrent_flops,
    aten.mkldnn_rnn_layer_backward: recurrent_backward_flops,
}


def tensors(tree):
    """The tensors in arguments or results, each once."""
    leaves = torch.utils._pytree.tree_leaves(tree)
    return list({id(leaf): leaf for leaf in leaves if isinstance(leaf, torch.Tensor)}.values())


def size(tensor):
    """Bytes behind a tensor; what broadcasting repeats is there once."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


class Counter(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.work = []  # [operations, bytes, dtype] of each op

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        results = function(*args, **kwargs)
        packet = function.overloadpacket
        if not function.is_view and packet not in UNWRITTEN:
            written = tensors(results)
            read = tensors((args, kwargs))
            moved = sum(map(size, written))
            moved += moved if packet in GATHERING else sum(map(size, read))
            flops = 0
            if packet in MORE_FLOPS:
                flops = MORE_FLOPS[packet](*args, **kwargs)
            elif packet in flop_registry:
                flops = flop_registry[packet](*args, **kwargs, out_val=results)
            dtype = next((str(x.dtype).removeprefix("torch.") for x in written), "float32")
            self.work.append([flops, moved, dtype])
        return results


def work(call):
    """[operations, bytes, dtype] of each op that the call runs."""
    with Counter() as counter:
        call()
    return counter.work
