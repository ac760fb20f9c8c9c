"""An ONNX graph as a backbone, computed by ONNX Runtime. A graph holds no code of its authors."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fer_space.errors import MissingDependencyError, WeightsError
from fer_space.external.heads import ExternalNetwork
from fer_space.runtime.onnx import providers, session_options


class OnnxBody(nn.Module):
    """Normalised pictures float (B, 3, S, S) on any device -> rows float32 (B, outputs) on the same.

    Args:
        session: of ONNX Runtime, with one input float32 (B, 3, S, S); its first output is read.
    """

    def __init__(self, session: Any) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(0), requires_grad=False)  # says where pictures are sent
        self.session = session
        self.input_name = str(session.get_inputs()[0].name)
        self.one_by_one = session.get_inputs()[0].shape[0] == 1

    def forward(self, pictures: Tensor) -> Tensor:
        """Run the graph; a graph made for one picture gets them one after the other."""
        batch = np.ascontiguousarray(pictures.detach().float().cpu().numpy())
        parts = np.split(batch, len(batch)) if self.one_by_one else [batch]
        rows = np.concatenate([self._run(part) for part in parts])
        return torch.from_numpy(rows).to(pictures.device)

    def _run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = self.session.run(None, {self.input_name: batch})[0]
        return np.asarray(rows, dtype=np.float32).reshape(len(batch), -1)


def load_onnx(path: Path, classes: int, affect: bool, input_size: int) -> ExternalNetwork:
    """Load a graph.

    Args:
        path: of the .onnx file.
        classes: number of emotions among its outputs.
        affect: whether valence and arousal are the last two.
        input_size: side in pixels of its input.

    Raises:
        MissingDependencyError: ONNX Runtime is not installed.
        WeightsError: ONNX Runtime cannot read the file, or it gives another number of outputs.
    """
    body = OnnxBody(_session(path))
    try:
        outputs = body(torch.zeros(1, 3, input_size, input_size)).shape[1]
    except Exception as error:  # ONNX Runtime's own exceptions have no common class
        raise WeightsError(f"{path.name} cannot read colour pictures of {input_size} px: {error}") from error
    wanted = classes + 2 * affect
    if outputs != wanted:
        raise WeightsError(f"{path.name} gives {outputs} outputs, but its card says {wanted}.")
    return ExternalNetwork(body, classes, affect)


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "ONNX Runtime is not installed: pip install 'fer-space[onnx]', or onnxruntime alone."
        ) from error
    try:
        return onnxruntime.InferenceSession(str(path), session_options(), providers=providers())
    except Exception as error:  # as above
        raise WeightsError(f"{path.name} is no ONNX graph that ONNX Runtime reads.") from error
