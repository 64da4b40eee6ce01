"""Scaled dot product attention: lengths from 16 to 8192, widths from 32 to 128, all of it or causal; and the layers."""

from benchmarks import case, floats
from benchmarks.ops import with_gradient

SHAPES = (  # batch, heads, length, width
    (16, 4, 16, 64),
    (8, 8, 64, 64),
    (4, 8, 128, 32),
    (4, 8, 128, 64),
    (2, 8, 256, 64),
    (4, 12, 512, 64),
    (1, 8, 1024, 32),
    (1, 4, 1024, 128),
    (1, 2, 2048, 64),
    (1, 1, 4096, 64),
    (1, 1, 8192, 64),
)


def attention_cases(shape, causal, keys=None, key_heads=None, **options):
    b, heads, length, width = shape
    key_shape = (b, key_heads or heads, keys or length, width)
    name = "x".join(map(str, shape)) + (f" to {keys} keys" if keys else "") + (", causal" if causal else "")
    name += f", {key_heads} key heads" if key_heads else ""

    def attend(torch, grad):
        q, k, v = floats(torch, *shape, grad=grad), *(floats(torch, *key_shape, grad=grad, seed=s) for s in (1, 2))
        function = torch.nn.functional.scaled_dot_product_attention
        return (lambda: function(q, k, v, is_causal=causal, **options)), (q, k, v)

    @case(f"attention {name}, forward")
    def forward(torch):
        return attend(torch, False)[0]

    @case(f"attention {name}, forward+backward")
    def both(torch):
        function, leaves = attend(torch, True)
        return with_gradient(function, *leaves)


for shape in SHAPES:
    for causal in (False, True):
        attention_cases(shape, causal)
attention_cases((2, 8, 256, 64), False, keys=64)
attention_cases((2, 8, 256, 64), True, key_heads=2, enable_gqa=True)


@case("attention 4x8x256x64, padding mask, forward+backward")
def padded(torch):
    q, k, v = (floats(torch, 4, 8, 256, 64, grad=True, seed=s) for s in range(3))
    mask = torch.arange(256) < torch.tensor([[256], [200], [130], [60]])
    mask = mask.reshape(4, 1, 1, 256)
    return with_gradient(lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, mask), q, k, v)


@case("MultiheadAttention 256, 4 heads, 8x128, causal, forward+backward")
def multihead(torch):
    torch.manual_seed(0)
    module = torch.nn.MultiheadAttention(256, 4, batch_first=True)
    x, mask = floats(torch, 8, 128, 256, grad=True), torch.nn.Transformer.generate_square_subsequent_mask(128)
    function = with_gradient(lambda: module(x, x, x, attn_mask=mask, is_causal=True, need_weights=False)[0], x)
    return lambda: None if function() is None else None  # each library draws its own weights


@case("TransformerEncoderLayer 256, 4 heads, 8x128, forward+backward")
def encoder_layer(torch):
    torch.manual_seed(0)
    layer = torch.nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.0, batch_first=True)
    x = floats(torch, 8, 128, 256, grad=True)
    function = with_gradient(lambda: layer(x), x)
    return lambda: None if function() is None else None
