"""Batch norms that were folded into constants, put back without changing what the network computes.

A published network often holds scale and shift alone: the mean and variance by which its norms once
normalised are gone. Trained as it is, a norm in training mode would subtract what it was never meant to.
"""

import torch
from torch import Tensor, nn

BATCH = 64  # pictures at a time


@torch.no_grad()
def set_affine(norm: nn.BatchNorm2d, scale: Tensor, shift: Tensor) -> None:
    """Make a norm multiply by `scale` and add `shift` in evaluation mode.

    Args:
        norm: its running mean becomes 0 and its running variance 1; `restore_norms` gives it better ones.
        scale: float (C,).
        shift: float (C,).
    """
    norm.reset_running_stats()
    assert norm.running_var is not None
    norm.weight.copy_(scale * torch.sqrt(norm.running_var + norm.eps))
    norm.bias.copy_(shift)


@torch.no_grad()
def restore_norms(network: nn.Module, pictures: Tensor) -> None:
    """Give each norm the statistics that it sees, without changing the function.

    Every `BatchNorm2d` gets the mean and variance of its input as running statistics, and the weight and
    bias that undo them. In evaluation mode the network answers as before; in training mode a batch of such
    pictures is answered nearly so, and the network can be trained on from where it is.

    Args:
        network: any, on any device; its mode is restored.
        pictures: normalised float (N, 3, S, S), a few hundred faces as training will show them.

    Example:
        load_hse(backbone, Path("package/models"))
        restore_norms(backbone, preprocess.normalise(faces[:512]))
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    seen = {norm: _Moments(norm) for norm in norms}
    hooks = [norm.register_forward_pre_hook(moments) for norm, moments in seen.items()]
    was_training = network.training
    device = next(network.parameters()).device
    # As the function stays, one pass shows every norm what it will see when all are back.
    try:
        network.eval()
        for batch in torch.split(pictures, BATCH):
            network(batch.to(device))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    for norm, moments in seen.items():
        _recentre(norm, *moments.result())


class _Moments:
    """Sums of what a norm sees, in double precision: a forward pre-hook."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        self.sums = norm.weight.new_zeros((2, norm.num_features), dtype=torch.float64)
        self.count = 0

    def __call__(self, _: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].double()
        self.count += values.numel() // values.shape[1]
        self.sums += torch.stack([values.sum(dim=(0, 2, 3)), values.square().sum(dim=(0, 2, 3))])

    def result(self) -> tuple[Tensor, Tensor]:
        """Mean and variance, float64 (C,)."""
        mean, square = self.sums / self.count
        return mean, (square - mean.square()).clamp(min=0.0)


def _recentre(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    """Exchange a norm's statistics for others; weight and bias make up for it."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    slope = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = norm.bias.double() - norm.running_mean.double() * slope
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
    norm.weight.copy_(slope * torch.sqrt(variance + norm.eps))
    norm.bias.copy_(shift + mean * slope)
