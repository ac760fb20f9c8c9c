"""A runner computes the two halves of a network: torch's own way here, other runtimes beside it."""

from typing import Protocol

import torch
from torch import Tensor

from fer_space.backbones.base import Backbone, Output
from fer_space.explain.maps import attend


class Runner(Protocol):
    """Computes the body and the head of one network; any number of threads may use it.

    Attributes:
        name: of the runtime, as `--runtime` takes it.
        method: how it makes maps; "" where the network has none.
    """

    name: str
    method: str

    def body(self, pictures: Tensor) -> Tensor:
        """Normalised pictures float32 (B, 3, S, S) -> features float32 (B, C, h, w), on the same device."""

    def head(self, features: Tensor) -> Output:
        """Features float32 (B, C, h, w) -> what the head says; `auxiliary` may be missing."""

    def maps(self, features: Tensor) -> tuple[Output, Tensor]:
        """Features float32 (B, C, h, w) -> what `explain.maps.attend` gives."""

    def prepare_maps(self) -> None:
        """Load now what `maps` would load when it is first asked."""


class TorchRunner:
    """Runs a network in torch, channels last; on CUDA the bodies of backbones run in half precision.

    Args:
        network: filled; it is put into evaluation mode and moved.
        device: where it runs.
    """

    name = "torch"

    def __init__(self, network: Backbone, device: torch.device) -> None:
        self._network = network.eval().requires_grad_(False)
        self.method = network.head.method if network.head.has_maps else ""
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        if device.type == "cuda" and network.head.has_maps:  # external models stay as their authors left them
            network.body.half()
        self._dtype = next(network.body.parameters()).dtype

    def body(self, pictures: Tensor) -> Tensor:
        """Run the body."""
        features: Tensor = self._network.body(pictures.to(self._dtype)).float()
        return features

    def head(self, features: Tensor) -> Output:
        """Run the head."""
        output: Output = self._network.head(features)
        return output

    def maps(self, features: Tensor) -> tuple[Output, Tensor]:
        """Run the head, forwards and backwards."""
        return attend(self._network.head, features)

    def prepare_maps(self) -> None:
        """Everything is here."""
