"""The one rule for ONNX Runtime: external ONNX models and InsightFace follow it."""

import os
from typing import Any

import torch

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when the runtime is imported

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
MAX_THREADS = 4  # more gain nothing for a few faces and take the cores of others


def providers() -> list[str]:
    """Name the providers of a session: CUDA where a GPU and ONNX Runtime's build for it are, then the CPU.

    Raises:
        ModuleNotFoundError: ONNX Runtime is not installed.

    Example:
        >>> providers()[-1]
        'CPUExecutionProvider'
    """
    import onnxruntime

    usable = torch.cuda.is_available() and CUDA in onnxruntime.get_available_providers()
    return [CUDA, CPU] if usable else [CPU]


def session_options() -> Any:
    """Make a session's options: few threads that leave the cores to others, and a silent log: what
    goes wrong is said in a sentence.

    Returns:
        `onnxruntime.SessionOptions`.

    Raises:
        ModuleNotFoundError: ONNX Runtime is not installed.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(torch.get_num_threads(), MAX_THREADS)
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    return options
