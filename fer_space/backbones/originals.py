"""Networks of torchvision and timm whose files start a backbone here, each by an explicit mapping of names.

A file is recognised as a whole: every name and shape must be that of the network, but for its classifier,
which may have other classes or be missing. Nothing is matched by shape.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Literal

from fer_space.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

COUNTER = "num_batches_tracked"  # of a batch norm; older files have none


@dataclass(frozen=True)
class Original:
    """A network of a library, and where its tensors go in a backbone.

    Attributes:
        library, name: what builds it.
        rename: "module:function" that turns the name of its tensor into the name here, or None for what
            has no place here.
        complete: "module:function" that makes tensors which no file has, from those of the fresh backbone,
            by name; or "".
        classifier: how the names of its classifier begin, which is left.
        folded: whether it has no norms where the backbone has them, so that they want `restore_norms`.
    """

    library: Literal["torchvision", "timm"]
    name: str
    rename: str
    complete: str = ""
    classifier: tuple[str, ...] = ("classifier.",)
    folded: bool = False

    @property
    def title(self) -> str:
        """Its library and name, for people."""
        return f"{self.library}'s {self.name}"

    def mismatch(self, tensors: "Mapping[str, Tensor]") -> str:
        """Say what keeps tensors from being those of this network, or "" when they are."""
        wanted = {name: t.shape for name, t in _empty(self).state_dict().items() if not self._is_left(name)}
        given = {name: t.shape for name, t in tensors.items() if not self._is_left(name)}
        for name, shape in wanted.items():
            if name not in given and not name.endswith(COUNTER):
                return f"{name} is missing"
            if given.get(name, shape) != shape:
                return f"{name} is {tuple(given[name])} and not {tuple(shape)}"
        return next((f"it has no {name}" for name in given if name not in wanted), "")

    def places(self, tensors: "Mapping[str, Tensor]") -> dict[str, str]:
        """Names here of the tensors that have a place here, by their names in the file."""
        rename = resolve_name(self.rename)
        found = {name: rename(name) for name in tensors if not self._is_left(name)}
        return {name: here for name, here in found.items() if here}

    def _is_left(self, name: str) -> bool:
        return name.startswith(self.classifier)


@dataclass(frozen=True)
class Taken:
    """What a start took from a file: names in the file, and where they are from, for people."""

    source: str
    taken: Sequence[str]
    left: Sequence[str]
    folded: bool = False


def recognised(originals: Sequence[Original], tensors: "Mapping[str, Tensor]", where: str) -> Original:
    """Find the network that tensors are of; raises InputError that says what each candidate misses."""
    found = {original: original.mismatch(tensors) for original in originals}
    for original, problem in found.items():
        if not problem:
            return original
    said = "; ".join(f"{original.title} ({problem})" for original, problem in found.items())
    raise InputError(f"{where} holds none of these networks: {said}.")


def fill_from(backbone: "nn.Module", original: Original, tensors: "Mapping[str, Tensor]") -> Taken:
    """Fill a backbone from the tensors of an original; what it lacks stays as it is.

    Args:
        backbone: freshly built.
        original: that `recognised` found for `tensors`.
        tensors: by their names in the library.
    """
    own = backbone.state_dict()
    places = {name: here for name, here in original.places(tensors).items() if here in own}
    made = resolve_name(original.complete)(own) if original.complete else {}
    backbone.load_state_dict(own | made | {here: tensors[name] for name, here in places.items()})
    return Taken(original.title, tuple(places), tuple(sorted(tensors.keys() - places)), original.folded)


def _empty(original: Original) -> "nn.Module":
    """The network without storage, for its names and shapes."""
    import torch

    with torch.device("meta"):
        network: nn.Module
        if original.library == "timm":
            import timm

            network = timm.create_model(original.name)
        else:
            from torchvision.models import get_model

            network = get_model(original.name, weights=None)
    return network
