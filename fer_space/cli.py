"""The command line `fer-space`. A command's module is imported only when the command is used.

Exit status: 0 done; 1 some of several sources failed; 2 nothing could be done, with one line on stderr.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from types import ModuleType

from fer_space.errors import FerSpaceError

COMMANDS: dict[str, str] = {
    "predict": "read the faces in pictures: files, folders, - or URLs",
    "models": "list the backbones with size, licence and measured results",
    "train": "train a backbone",
    "test": "measure backbones on a data set",
    "plot": "draw stored predictions, training runs and data sets",
    "prepare": "write a data set as one manifest with a report of what is in it",
    "export": "copy a finished run into the folder of weights",
    "fetch": "download an opt-in model from its source",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name need not be valid text
    chosen = next((word for word in words if word in COMMANDS), None)
    try:
        module = import_module(f"fer_space.commands.{chosen}") if chosen else None
        args = build_parser(chosen, module).parse_args(words)
        if module is None:
            build_parser(None, None).print_help()
            return 2
        status: int = module.run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _fail("stopped", status=130)
    except BrokenPipeError:  # the reader has seen enough; nothing may be written at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        return _fail(f"{error.name} is not installed: pip install 'fer-space[train]'")
    except (FerSpaceError, OSError) as error:
        return _fail(str(error))
    return status


def _fail(sentence: str, status: int = 2) -> int:
    print(f"fer-space: {sentence}", file=sys.stderr)
    return status


def build_parser(chosen: str | None, module: ModuleType | None) -> argparse.ArgumentParser:
    """The parser with every command's name and help, and the arguments of the chosen one."""
    parser = argparse.ArgumentParser(
        prog="fer-space", description="Facial-expression backbones, read side by side."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == chosen and module is not None:
            module.add_arguments(command)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
