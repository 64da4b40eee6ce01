"""Optimizer steps over few large and many small tensors, and gradient clipping. PyTorch runs with fused=True."""

from benchmarks import case, floats

SHAPES = {
    "10 tensors of 256x256": [(256, 256)] * 10,
    "300 tensors of 64x64": [(64, 64)] * 300,
    "3000 tensors of 16x16": [(16, 16)] * 3000,
    "4 tensors of 1024x1024": [(1024, 1024)] * 4,
}


def parameters(torch, shapes):
    made = []
    for i, shape in enumerate(shapes):
        p = torch.nn.Parameter(floats(torch, *shape, seed=i))
        p.grad = floats(torch, *shape, seed=i + len(shapes))
        made.append(p)
    return made


def step_case(name, make):
    for title, shapes in SHAPES.items():

        @case(f"{name}, {title}")
        def step(torch, shapes=shapes):
            optimizer = make(torch, parameters(torch, shapes))
            return lambda: optimizer.step() and None


step_case("SGD with momentum", lambda torch, p: torch.optim.SGD(p, lr=1e-5, momentum=0.9, fused=True))
step_case("Adam", lambda torch, p: torch.optim.Adam(p, lr=1e-5, fused=True))
step_case("AdamW", lambda torch, p: torch.optim.AdamW(p, lr=1e-5, fused=True))

for title, shapes in SHAPES.items():

    @case(f"clip_grad_norm_, {title}")
    def clip(torch, shapes=shapes):
        p = parameters(torch, shapes)
        return lambda: torch.nn.utils.clip_grad_norm_(p, 1e9)

    @case(f"zero_grad(set_to_none=False), {title}")
    def zero(torch, shapes=shapes):
        optimizer = torch.optim.SGD(parameters(torch, shapes), lr=0.1)
        return lambda: optimizer.zero_grad(set_to_none=False)
