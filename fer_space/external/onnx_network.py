"""An ONNX graph as a backbone, computed by ONNX Runtime. A graph holds no code of its authors."""

from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fer_space.errors import MissingDependencyError, WeightsError
from fer_space.external.heads import ExternalNetwork
from fer_space.runtime.onnx import providers, session_options

SECONDS = 20.0  # and SECONDS_A_FACE for each; a graph may loop for ever
SECONDS_A_FACE = 2.0
_TENSORS_FOLDER = "session.model_external_initializers_file_folder_path"


class OnnxBody(nn.Module):
    """Normalised pictures float (B, 3, S, S) on any device -> rows float32 (B, outputs) on the same.

    Args:
        session: of ONNX Runtime, with one input float32 (B, 3, S, S); its first output is read.
    """

    def __init__(self, session: Any) -> None:
        super().__init__()
        self.anchor = nn.Parameter(torch.zeros(0), requires_grad=False)  # says where pictures are sent
        self.session = session
        (self.input_name,) = (str(given.name) for given in session.get_inputs())
        self.one_by_one = session.get_inputs()[0].shape[:1] == [1]

    def forward(self, pictures: Tensor) -> Tensor:
        """Run the graph; a graph made for one picture gets them one after the other.

        Raises:
            WeightsError: it takes too long, or gives no row a picture.
        """
        batch = np.ascontiguousarray(pictures.detach().float().cpu().numpy())
        parts = np.split(batch, len(batch)) if self.one_by_one else [batch]
        rows = np.concatenate([self._run(part) for part in parts])
        return torch.from_numpy(rows).to(pictures.device)

    def _run(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        from onnxruntime import RunOptions

        options = RunOptions()
        clock = Timer(SECONDS + SECONDS_A_FACE * len(batch), setattr, (options, "terminate", True))
        clock.start()
        try:
            rows = np.asarray(self.session.run(None, {self.input_name: batch}, options)[0], dtype=np.float32)
        except Exception as error:  # ONNX Runtime's own exceptions have no common class
            why = "takes too long" if options.terminate else f"fails on {len(batch)} pictures"
            raise WeightsError(f"An ONNX graph {why}.") from error
        finally:
            clock.cancel()
        if rows.ndim == 0 or len(rows) != len(batch):
            raise WeightsError(
                f"An ONNX graph gives {rows.shape} for {len(batch)} pictures, and not a row each."
            )
        return rows.reshape(len(batch), -1)


def load_onnx(path: Path, classes: int, affect: bool, input_size: int) -> ExternalNetwork:
    """Load a graph.

    Args:
        path: of the .onnx file.
        classes: number of emotions among its outputs.
        affect: whether valence and arousal are the last two.
        input_size: side in pixels of its input.

    Raises:
        MissingDependencyError: ONNX Runtime is not installed.
        WeightsError: ONNX Runtime cannot read the file, its tensors lie in another one, it takes too long,
            gives another number of outputs, or ignores which picture of several it is asked about.
    """
    size = f"colour pictures of {input_size} px"
    try:
        body = OnnxBody(_session(path))
        pictures = torch.stack([torch.full((3, input_size, input_size), value) for value in (-0.5, 0.5)])
        rows, alone = body(pictures), body(pictures[1:])
    except WeightsError as error:
        raise WeightsError(f"{path.name} cannot read {size}: {error}") from error
    except (TypeError, ValueError) as error:  # no input, or several; an output that is none
        raise WeightsError(f"{path.name} does not take {size} and give numbers.") from error
    wanted = classes + 2 * affect
    if rows.shape[1] != wanted:
        raise WeightsError(f"{path.name} gives {rows.shape[1]} outputs, but its card says {wanted}.")
    if not torch.allclose(rows[1:], alone, rtol=1e-2, atol=1e-2, equal_nan=True):
        raise WeightsError(f"{path.name} answers differently for a picture alone and one of two.")
    return ExternalNetwork(body, classes, affect)


def _session(path: Path) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "ONNX Runtime is not installed: pip install 'fer-space[onnx]', or onnxruntime alone."
        ) from error
    options = session_options()
    # Tensors in files of their own are covered by no sha256: they are looked for where there are none.
    options.add_session_config_entry(_TENSORS_FOLDER, str(path.parent / "no other file is read"))
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers())
    except Exception as error:  # as above
        if "External data" in str(error):
            raise WeightsError(
                f"{path.name} keeps its tensors in another file: save it as one file."
            ) from error
        raise WeightsError(f"{path.name} is no ONNX graph that ONNX Runtime reads.") from error
