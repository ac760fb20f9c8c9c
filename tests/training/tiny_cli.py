"""The command line with the tiny backbone, for processes of their own: python -m tests.training.tiny_cli."""

import sys

from fer_space import cli
from fer_space.backbones.specs import BACKBONES
from tests.networks import TINY

BACKBONES[TINY.name] = TINY  # also in the processes that this one starts, which import it

if __name__ == "__main__":
    sys.exit(cli.main())
