"""Facial-expression backbones, read side by side.

    from fer_space import Engine, load_image

    for comparison in Engine().compare(load_image("photo.jpg")):
        print(comparison.consensus, comparison.agreement)

Names are imported when they are first used, so that `import fer_space` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fer_space.comparison import Comparison as Comparison
    from fer_space.engine import Engine as Engine
    from fer_space.model import Model as Model
    from fer_space.model import ModelOutput as ModelOutput
    from fer_space.model import load_model as load_model
    from fer_space.occlusion.cover import Cover as Cover
    from fer_space.registry import list_models as list_models
    from fer_space.types import Face as Face
    from fer_space.types import Prediction as Prediction
    from fer_space.vision.imaging import load_image as load_image

__version__ = "0.1.0"

_HOMES = {
    "Comparison": "comparison",
    "Cover": "occlusion.cover",
    "Engine": "engine",
    "Face": "types",
    "Model": "model",
    "ModelOutput": "model",
    "Prediction": "types",
    "list_models": "registry",
    "load_image": "vision.imaging",
    "load_model": "model",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
