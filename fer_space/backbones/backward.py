"""The way back through layers for all classes at once, written as plain arithmetic.

Autograd goes back once a class, and what it does cannot be exported. As arithmetic the gradients of all
classes go back as one batch, and a runtime that computes a head computes its gradients as well
(`fer_space.runtime`). Grad-CAM wants no more than their sum over the places, so that the last step, through
the first layer, costs next to nothing.

    features, pull = follow(stages, features)
    pull(gradient)                      from float (B, K, C', h', w') by what comes out to (B, K, C, h, w)

Layers are in evaluation mode. A family registers its own blocks: `@follow.register`.
"""

from collections.abc import Callable, Iterable
from functools import singledispatch

import torch
from timm.layers.norm_act import BatchNormAct2d
from timm.models._efficientnet_blocks import InvertedResidual, SqueezeExcite
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.resnet import BasicBlock

Pull = Callable[[Tensor], Tensor]
Followed = tuple[Tensor, Pull]

CEILING = 6.0  # of ReLU6


@singledispatch
def follow(module: nn.Module, features: Tensor, *, summed: bool = False) -> Followed:
    """Run a module and remember the way back.

    Args:
        module: a layer, a block, or an `nn.Sequential` of them.
        features: float (B, C, h, w), or (B, C) for what reads vectors.
        summed: whether the gradients are summed over the places of the input.

    Returns:
        What the module makes of the features, and a function that brings gradients by that, float
        (B, K, C', h', w'), to the input, (B, K, C, h, w), or (B, K, C, 1, 1) when summed.

    Raises:
        TypeError: nobody wrote down how gradients go back through such a module.
    """
    raise TypeError(f"Nobody wrote down how gradients go back through {type(module).__name__}.")


def chain(modules: Iterable[nn.Module], features: Tensor, *, summed: bool = False) -> Followed:
    """Follow modules one after the other; see `follow`."""
    pulls: list[Pull] = []
    for module in modules:
        features, pull = follow(module, features, summed=summed and not pulls)
        pulls.append(pull)

    def back(gradient: Tensor) -> Tensor:
        for pull in reversed(pulls):
            gradient = pull(gradient)
        return gradient

    return features, back


def total(gradient: Tensor, *, summed: bool) -> Tensor:
    """Sum gradients float (B, K, C, h, w) over the places if that is wanted."""
    return gradient.sum(dim=(3, 4), keepdim=True) if summed else gradient


def pointwise(out: Tensor, slope: Tensor, *, summed: bool = False) -> Followed:
    """What came out of a function of single numbers, and the way back: times its slope, in the same shape."""
    return out, lambda gradient: total(gradient * slope[:, None], summed=summed)


def slope_of(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> Tensor:
    """Give what batch norm multiplies each channel by in evaluation mode, float (C,)."""
    assert norm.running_var is not None
    return norm.weight * torch.rsqrt(norm.running_var + norm.eps)


@follow.register
def _sequential(module: nn.Sequential, features: Tensor, *, summed: bool = False) -> Followed:
    return chain(module, features, summed=summed)


@follow.register
def _nothing(module: nn.Identity, features: Tensor, *, summed: bool = False) -> Followed:
    return features, lambda gradient: total(gradient, summed=summed)


@follow.register
def _relu(module: nn.ReLU, features: Tensor, *, summed: bool = False) -> Followed:
    out = torch.relu(features)
    return pointwise(out, (out > 0.0).to(out.dtype), summed=summed)


@follow.register
def _relu6(module: nn.ReLU6, features: Tensor, *, summed: bool = False) -> Followed:
    out = functional.relu6(features)
    return pointwise(out, ((out > 0.0) & (out < CEILING)).to(out.dtype), summed=summed)


@follow.register
def _silu(module: nn.SiLU, features: Tensor, *, summed: bool = False) -> Followed:
    share = torch.sigmoid(features)
    out = features * share
    return pointwise(out, share + out * (1.0 - share), summed=summed)


@follow.register
def _sigmoid(module: nn.Sigmoid, features: Tensor, *, summed: bool = False) -> Followed:
    out = torch.sigmoid(features)
    return pointwise(out, out * (1.0 - out), summed=summed)


@follow.register
def _linear(module: nn.Linear, features: Tensor, *, summed: bool = False) -> Followed:
    return module(features), lambda gradient: gradient @ module.weight


@follow.register(nn.BatchNorm1d)
@follow.register(nn.BatchNorm2d)
def _norm(
    module: nn.BatchNorm1d | nn.BatchNorm2d, features: Tensor, *, summed: bool = False
) -> Followed:
    slope = slope_of(module).view(-1, *[1] * (features.ndim - 2))
    out = functional.batch_norm(
        features, module.running_mean, module.running_var, module.weight, module.bias, eps=module.eps
    )
    return out, lambda gradient: total(gradient * slope, summed=summed)


@follow.register
def _norm_and_activation(module: BatchNormAct2d, features: Tensor, *, summed: bool = False) -> Followed:
    out, before = _norm(module, features, summed=summed)
    out, after = follow(module.act, out)
    return out, lambda gradient: before(after(gradient))


@follow.register
def _convolution(module: nn.Conv2d, features: Tensor, *, summed: bool = False) -> Followed:
    if summed:
        return module(features), lambda gradient: _convolution_summed(module, features, gradient)
    assert module.stride == (1, 1)

    def back(gradient: Tensor) -> Tensor:
        spread = functional.conv_transpose2d(
            gradient.flatten(0, 1), module.weight, padding=module.padding, groups=module.groups
        )
        return torch.unflatten(spread, 0, (-1, gradient.shape[1]))

    return module(features), back


def _convolution_summed(module: nn.Conv2d, features: Tensor, gradient: Tensor) -> Tensor:
    """Gradients (B, K, O, h', w') by a convolution's output, summed over its input: (B, K, C, 1, 1).

    A place of the output counts with those taps of the kernel that lie inside the input.
    """
    outputs, inputs, height, width = module.weight.shape
    taps = torch.eye(height * width, dtype=features.dtype, device=features.device)
    inside = functional.conv2d(  # (1, taps, h', w')
        _padded(module, torch.ones_like(features[:1, :1])),
        taps.view(-1, 1, height, width),
        stride=module.stride,
    )
    by_tap = gradient.flatten(3) @ inside.flatten(2).transpose(1, 2)  # (B, K, O, taps)
    if module.groups > 1:
        reached = (by_tap * module.weight.flatten(1)).sum(dim=3)
    else:
        reached = by_tap.flatten(2) @ module.weight.flatten(2).transpose(1, 2).flatten(0, 1)
    return reached[..., None, None]


def _padded(module: nn.Conv2d, features: Tensor) -> Tensor:
    """What a convolution reads, with the zeros that it adds around."""
    down, across = module.padding
    return functional.pad(features, (across, across, down, down))


@follow.register
def _squeeze_excite(module: SqueezeExcite, features: Tensor, *, summed: bool = False) -> Followed:
    pooled = features.mean(dim=(2, 3), keepdim=True)
    parts = (module.conv_reduce, module.act1, module.conv_expand, module.gate)
    gate, pull = chain(parts, pooled)
    places = features.shape[2] * features.shape[3]

    def back(gradient: Tensor) -> Tensor:
        by_gate = (gradient * features[:, None]).sum(dim=(3, 4), keepdim=True)
        return total(gradient * gate[:, None] + pull(by_gate) / places, summed=summed)

    return features * gate, back


@follow.register
def _inverted_residual(module: InvertedResidual, features: Tensor, *, summed: bool = False) -> Followed:
    layers = (module.conv_pw, module.bn1, module.conv_dw, module.bn2, module.se, module.conv_pwl, module.bn3)
    out, pull = chain(layers, features, summed=summed)
    if not module.has_skip:
        return out, pull
    return out + features, lambda gradient: pull(gradient) + total(gradient, summed=summed)


@follow.register
def _basic_block(module: BasicBlock, features: Tensor, *, summed: bool = False) -> Followed:
    layers = (module.conv1, module.bn1, nn.ReLU(), module.conv2, module.bn2)
    out, pull = chain(layers, features, summed=summed)
    shortcut = nn.Identity() if module.downsample is None else module.downsample
    beside, pull_beside = follow(shortcut, features, summed=summed)
    out, rectified = follow(nn.ReLU(), out + beside)

    def back(gradient: Tensor) -> Tensor:
        gradient = rectified(gradient)
        return pull(gradient) + pull_beside(gradient)

    return out, back
