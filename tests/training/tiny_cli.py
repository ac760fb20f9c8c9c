"""The command line with the tiny backbone, for processes of their own: python -m tests.training.tiny_cli."""

import signal
import sys

from fer_space import cli
from fer_space.backbones.specs import BACKBONES
from tests.networks import TINY

BACKBONES[TINY.name] = TINY  # also in the processes that this one starts, which import it

if __name__ == "__main__":
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # tests may run under nohup, which a run respects
    sys.exit(cli.main())
