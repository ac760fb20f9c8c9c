"""A Hub image classifier as a backbone, read from the files that `fer_space.external.hub` fetched.

transformers builds it from its configuration; weights come from safetensors alone, and no code of the
repository is run. Attention maps are left out, though it is a torch network: where its last feature map lies
differs from family to family.
"""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fer_space.errors import MissingDependencyError, WeightsError
from fer_space.external.heads import ExternalNetwork


class HubBody(nn.Module):
    """Normalised pictures float (B, 3, S, S) -> rows (B, K)."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: Tensor) -> Tensor:
        """The classifier's logits."""
        logits: Tensor = self.model(pixel_values=pictures).logits
        return logits


def load_hub(folder: Path, classes: int) -> ExternalNetwork:
    """Load a classifier in evaluation mode, float32, on the CPU.

    Args:
        folder: holds config.json and model.safetensors.
        classes: number of its labels.

    Raises:
        MissingDependencyError: transformers is not installed.
        WeightsError: transformers has no such architecture, or the tensors are not exactly its own.
    """
    model, report = _loaded(folder)
    wrong = [*report["missing_keys"], *report["mismatched_keys"]]
    if wrong:
        raise WeightsError(f"The weights in {folder.name} do not fill their network: {wrong[0]} is missing.")
    if model.config.num_labels != classes:
        raise WeightsError(
            f"{folder.name} has {model.config.num_labels} labels, but its card says {classes}."
        )
    return ExternalNetwork(HubBody(model.float()), classes)


def _loaded(folder: Path) -> tuple[Any, dict[str, Any]]:
    try:
        from transformers import AutoModelForImageClassification
    except ModuleNotFoundError as error:
        raise MissingDependencyError("transformers is not installed: pip install transformers.") from error
    try:
        model, report = AutoModelForImageClassification.from_pretrained(
            folder,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    except Exception as error:  # transformers raises whatever the file makes it stumble over
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise WeightsError(f"transformers cannot read the model in {folder.name}: {reason}.") from error
    return model, report
