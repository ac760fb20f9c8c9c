"""`fer-space app` and the Space's `app.py`: build the engine and the page, and serve them on port 7860.

HOST and PORT in the environment change the address; a Space sets GRADIO_SERVER_NAME and _PORT.
GRADIO_ROOT_PATH is the page's path behind a proxy. FER_SPACE_FETCH lists opt-in detectors and models that are
fetched first.
"""

import argparse
import os
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

from fer_space.errors import InputError
from fer_space.files import shipped


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("--host", default="", help="default: HOST, or 127.0.0.1")
    parser.add_argument("--port", default="", help="default: PORT, or 7860")


def run(args: argparse.Namespace) -> int:
    """Serve the page until it is told to end."""
    serve(
        args.host or _setting("HOST", "GRADIO_SERVER_NAME", default="127.0.0.1"),
        _port(args.port or _setting("PORT", "GRADIO_SERVER_PORT", default="7860")),
    )
    return 0


def serve(host: str, port: int) -> None:
    """Load the models, then serve the page; a taken address is said before that."""
    require_free(host, port)
    from fer_space.ui.folders import own_folder  # before anything asks where temporary files lie

    folder = own_folder()
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read once, when the first library starts OpenMP

    import spaces  # before torch, so that a lent GPU can be seen
    from spaces.config import Config

    # isort: split
    from fer_space.commands.fetch import VARIABLE, bring_all
    from fer_space.engine import Engine

    for outcome in bring_all(os.environ.get(VARIABLE, "")):
        print(outcome, flush=True)
    engine = Engine()
    if engine.device.type != "cpu":
        engine.preload()  # in this thread and now: ZeroGPU wants it so
    with ThreadPoolExecutor(1) as pool:  # models are loaded while Gradio is imported, both take seconds
        loading = pool.submit(engine.preload, maps=True)  # so that the first visitor does not wait
        from fer_space.ui.page import build_page, serving_options
    loading.result()
    for name, problem in engine.problems.items():
        print(f"fer-space: without {name}: {problem}", file=sys.stderr)
    # On ZeroGPU hardware a GPU is lent for one action at a time, and none before the page is served: until
    # then the CPU reads, with models of its own.
    lends = Config.zero_gpu
    demo = build_page(
        engine,
        lend=spaces.GPU if lends else None,
        opener=Engine(device="cpu") if lends else None,
        examples=shipped("examples"),
        results=shipped("docs") / "results.json",
    )
    engine.convert_in_background()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # end as after Ctrl-C: tidy up
    demo.launch(server_name=host, server_port=port, **serving_options(folder))


def _setting(*names: str, default: str) -> str:
    """The first of these environment variables that is set and not empty."""
    return next((value for name in names if (value := os.environ.get(name))), default)


def _port(text: str) -> int:
    """Read a port; raises InputError where it is none."""
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise InputError(f"“{text}” is no port: set --port or PORT to a number from 1 to 65535.")
    return int(text)


def require_free(host: str, port: int) -> None:
    """End in a sentence where the address is taken, before models are loaded for half a minute."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise InputError(
            f"The page cannot be served at {host}:{port}: {error.strerror}. Set HOST and PORT."
        ) from error
