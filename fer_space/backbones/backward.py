"""The way back through layers for all classes at once, written as plain arithmetic.

Autograd goes back once a class, and what it does cannot be exported. As arithmetic the gradients of all
classes go back as one batch, and a runtime that computes a head computes its gradients as well
(`fer_space.runtime`).

    features, pull = follow(stages, features)
    pull(gradient)                      from float (B, K, h' * w', C') by what comes out to (B, K, h * w, C)

Places stand before channels in gradients: most layers multiply matrices then, and no memory is rearranged.
Layers are in evaluation mode. A family registers its own blocks: `@follow.register`.
"""

from collections.abc import Callable, Iterable
from functools import singledispatch

import torch
from torch import Tensor, nn
from torch.nn import functional

from fer_space.backbones.same import SameConv2d, same_pad

Pull = Callable[[Tensor], Tensor]
Followed = tuple[Tensor, Pull]

CEILING = 6.0  # of ReLU6


@singledispatch
def follow(module: nn.Module, features: Tensor) -> Followed:
    """Run a module and remember the way back.

    Args:
        module: a layer, a block, or an `nn.Sequential` of them.
        features: float (B, C, h, w); (B, C) for what reads vectors, (B, N, C) for what reads tokens.

    Returns:
        What the module makes of the features, and a function that brings gradients by that, float
        (B, K, h' * w', C'), to the input, (B, K, h * w, C); where every place has the
        same, 1 stands for them. Vectors have gradients (B, K, C).

    Raises:
        TypeError: nobody wrote down how gradients go back through such a module.
    """
    raise TypeError(f"Nobody wrote down how gradients go back through {type(module).__name__}.")


def chain(modules: Iterable[nn.Module], features: Tensor) -> Followed:
    """Follow modules one after the other; see `follow`."""
    pulls: list[Pull] = []
    for module in modules:
        features, pull = follow(module, features)
        pulls.append(pull)

    def back(gradient: Tensor) -> Tensor:
        for pull in reversed(pulls):
            gradient = pull(gradient)
        return gradient

    return features, back


def cells(features: Tensor) -> Tensor:
    """Features float (B, C, h, w) in the order of gradients, (B, h * w, C); vectors (B, C) as they are."""
    return features.flatten(2).transpose(1, 2) if features.ndim == 4 else features


def pointwise(out: Tensor, slope: Tensor) -> Followed:
    """What came out of a function of single numbers, and the way back: times its slope, in the same shape."""
    by_cell = cells(slope)[:, None]
    return out, lambda gradient: gradient * by_cell


def slope_of(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> Tensor:
    """Give what batch norm multiplies each channel by in evaluation mode, float (C,)."""
    assert norm.running_var is not None
    return norm.weight * torch.rsqrt(norm.running_var + norm.eps)


@follow.register
def _sequential(module: nn.Sequential, features: Tensor) -> Followed:
    return chain(module, features)


@follow.register
def _nothing(module: nn.Identity, features: Tensor) -> Followed:
    return features, lambda gradient: gradient


@follow.register
def _relu(module: nn.ReLU, features: Tensor) -> Followed:
    out = torch.relu(features)
    return pointwise(out, (out > 0.0).to(out.dtype))


@follow.register
def _relu6(module: nn.ReLU6, features: Tensor) -> Followed:
    out = functional.relu6(features)
    return pointwise(out, ((out > 0.0) & (out < CEILING)).to(out.dtype))


@follow.register
def _silu(module: nn.SiLU, features: Tensor) -> Followed:
    share = torch.sigmoid(features)
    out = features * share
    return pointwise(out, share + out * (1.0 - share))


@follow.register
def _sigmoid(module: nn.Sigmoid, features: Tensor) -> Followed:
    out = torch.sigmoid(features)
    return pointwise(out, out * (1.0 - out))


@follow.register
def _gelu(module: nn.GELU, features: Tensor) -> Followed:
    share = 0.5 * (1.0 + torch.erf(features * 0.5**0.5))  # of the normal distribution below a number
    density = torch.exp(-0.5 * features.square()) * (2.0 * torch.pi) ** -0.5
    return pointwise(features * share, share + features * density)


@follow.register
def _linear(module: nn.Linear, features: Tensor) -> Followed:
    return module(features), lambda gradient: functional.linear(gradient, module.weight.T)


@follow.register
def _layer_norm(module: nn.LayerNorm, features: Tensor) -> Followed:
    scale = torch.rsqrt(features.var(dim=-1, keepdim=True, unbiased=False) + module.eps)
    normal = (features - features.mean(dim=-1, keepdim=True)) * scale
    within, step = normal[:, None], scale[:, None]

    def back(gradient: Tensor) -> Tensor:
        by_normal = gradient * module.weight
        along = (by_normal * within).mean(dim=-1, keepdim=True)
        return (by_normal - by_normal.mean(dim=-1, keepdim=True) - within * along) * step

    return normal * module.weight + module.bias, back


@follow.register(nn.BatchNorm1d)
@follow.register(nn.BatchNorm2d)
def _norm(module: nn.BatchNorm1d | nn.BatchNorm2d, features: Tensor) -> Followed:
    return normed(module, features), lambda gradient: gradient * slope_of(module)


def normed(module: nn.BatchNorm1d | nn.BatchNorm2d, features: Tensor) -> Tensor:
    """Run batch norm as in evaluation mode."""
    return functional.batch_norm(
        features, module.running_mean, module.running_var, module.weight, module.bias, eps=module.eps
    )


@follow.register
def _convolution(module: nn.Conv2d, features: Tensor) -> Followed:
    weight = module.weight
    out: Tensor = module(features)
    if module.kernel_size == module.stride == (1, 1):
        return out, lambda gradient: functional.linear(gradient, weight.flatten(1).T)
    places = features.shape[2] * features.shape[3]
    # A runtime makes the matrix once, torch would make it for every batch.
    if module.groups == 1 and places < weight[0, 0].numel() and torch.compiler.is_exporting():
        return out, lambda gradient: _convolution_dense(module, features, gradient)
    assert not isinstance(module.padding, str)
    padding, read = module.padding, features
    if isinstance(module, SameConv2d) and module.stride[0] > 1:
        read = same_pad(features, module.kernel_size[0], module.stride[0])

    def back(gradient: Tensor) -> Tensor:
        spread = _spread(gradient, weight, read, out, module.stride, padding, module.groups)
        return spread if read is features else _inside(spread, read, features)

    return out, back


def _inside(gradient: Tensor, padded: Tensor, features: Tensor) -> Tensor:
    """Gradients float (B, K, N', C) by what was padded as "same" -> by what it had been, (B, K, N, C)."""
    height, width = features.shape[2:]
    top, left = ((longer - side) // 2 for longer, side in zip(padded.shape[2:], (height, width), strict=True))
    maps = torch.unflatten(gradient, 2, padded.shape[2:])
    return maps[:, :, top : top + height, left : left + width].flatten(2, 3)


def _spread(
    gradient: Tensor,
    weight: Tensor,
    features: Tensor,
    out: Tensor,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    groups: int,
) -> Tensor:
    """Gradients by what a filter made, float (B, K, N', O), on the places that it read, (B, K, N, C)."""
    sides = zip(features.shape[2:], out.shape[2:], weight.shape[2:], stride, padding, strict=True)
    unread = [side - ((steps - 1) * step + kernel - 2 * pad) for side, steps, kernel, step, pad in sides]
    maps = torch.unflatten(gradient.flatten(0, 1).transpose(1, 2), 2, out.shape[2:])
    spread = functional.conv_transpose2d(maps, weight, None, stride, padding, unread, groups)
    return torch.unflatten(cells(spread), 0, (-1, gradient.shape[1]))


def _convolution_dense(module: nn.Conv2d, features: Tensor, gradient: Tensor) -> Tensor:
    """Gradients by a convolution's output, as one matrix product: quicker where most taps lie outside."""
    places = features.shape[2] * features.shape[3]
    lands = landing(module, features)  # (N, taps, N')
    matrix = torch.einsum("oit,ntm->nimo", module.weight.flatten(2), lands).flatten(2).flatten(0, 1)
    return torch.unflatten(functional.linear(gradient.flatten(2), matrix), 2, (places, -1))


def landing(module: nn.Conv2d, features: Tensor) -> Tensor:
    """Say which place of a map each tap of a convolution reads.

    Args:
        module: its weights do not matter.
        features: float (B, C, h, w).

    Returns:
        float (N, taps, N'): 1 where, for an output's place, a tap reads an input's place.
    """
    height, width = features.shape[2:]
    places = torch.eye(height * width, dtype=features.dtype, device=features.device)
    taps = torch.eye(module.weight[0, 0].numel(), dtype=features.dtype, device=features.device)
    maps = _padded(module, torch.unflatten(places, 1, (height, width))[:, None])
    kernels = torch.unflatten(taps, 1, module.weight.shape[2:])[:, None]
    return functional.conv2d(maps, kernels, stride=module.stride).flatten(2)


def _padded(module: nn.Conv2d, features: Tensor) -> Tensor:
    """What a convolution reads, with the zeros that it adds around."""
    if isinstance(module, SameConv2d) and module.stride[0] > 1:
        return same_pad(features, module.kernel_size[0], module.stride[0])
    assert not isinstance(module.padding, str)
    down, across = module.padding
    return functional.pad(features, (across, across, down, down))


@follow.register
def _average_pool(module: nn.AvgPool2d, features: Tensor) -> Followed:
    out: Tensor = module(features)
    size, channels = 2, features.shape[1]
    assert (module.kernel_size, module.stride, module.padding) == (size, size, 0)
    weight = features.new_full((channels, 1, size, size), 1.0 / size**2)
    return out, lambda gradient: _spread(gradient, weight, features, out, (size, size), (0, 0), channels)
