"""A few steps of a tiny run, for `accelerate launch` to start: python -m tests.training.launched OUT."""

import sys
from pathlib import Path

import torch

from fer_space.training.parallel import leave, run_workers
from tests.training.test_trainer import Share

if __name__ == "__main__":
    run_workers(Share(Path(sys.argv[1])), 1, torch.device("cpu"))
    leave()
