"""Networks are converted by a child process, so that a page that starts has its time for visitors."""

import atexit
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import constants

from fer_space.files import search_path

log = logging.getLogger(__name__)


def converting(weights_dir: Path) -> Iterator[str]:
    """Run `fer-space models --compile` with the lowest priority and follow it.

    Args:
        weights_dir: holds the weights and cards of shipped backbones.

    Yields:
        The name of each model, when it has been converted or is left in torch; none for one that cannot be
        loaded. The child ends with the iterator, or with this process.
    """
    command = [sys.executable, "-m", "fer_space.cli", "models", "--compile"]
    if (nice := shutil.which("nice")) is not None:
        command = [nice, "-n", "19", *command]
    environment = os.environ | {
        "FER_SPACE_WEIGHTS": str(weights_dir),
        "HF_ASSETS_CACHE": constants.HF_ASSETS_CACHE,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": search_path(),
    }
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as child:
        atexit.register(child.terminate)  # a thread that is a daemon is not asked to leave
        try:
            assert child.stdout is not None
            for line in child.stdout:
                yield line.rpartition(":")[0]  # a name may be hub:OWNER/NAME
            if child.wait():
                log.warning("Some models were not converted: `fer-space models --compile` says why.")
        finally:
            child.terminate()
            atexit.unregister(child.terminate)
