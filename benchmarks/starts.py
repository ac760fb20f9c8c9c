"""How long a start takes: `python benchmarks/starts.py [--rounds N]`.

New processes in turns: `import torch`; `fer-space predict` of one photo by one backbone; and the page, from
its start until it is served, and then until it has answered that photo by the backbone for a program.
Prints one JSON line each, medians of the rounds: seconds, how often the time of `import torch` in the same
round that is, and the most memory that the process held, in MB. Models are taken as they lie: `fer-space
models --compile` first shows later starts, an empty folder in HF_ASSETS_CACHE a first one.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[1]
PHOTO = ROOT / "examples" / "astronaut.jpg"
BACKBONE = "efficientnet_lite0"
PREDICT = ["-m", "fer_space.cli", "predict", str(PHOTO), "--backbones", BACKBONE]
Figure = tuple[float, float]  # seconds, MB


def finished(command: list[str]) -> Figure:
    """Run Python to its end."""
    started = time.perf_counter()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, *command],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def page(log: Path) -> dict[str, Figure]:
    """Start the page, wait until it is served, and ask it for one answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, environment = f"http://127.0.0.1:{port}", os.environ | {"HOST": "127.0.0.1", "PORT": str(port)}
    photo = f"data:image/jpeg;base64,{b64encode(PHOTO.read_bytes()).decode()}"
    question = {"data": [{"url": photo}, [BACKBONE], "libfacedetection", "none", "none", False]}
    started = time.perf_counter()
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=output, stderr=output
        ) as app,
    ):
        try:
            while True:
                with suppress(httpx.TransportError):
                    httpx.get(url, timeout=60).raise_for_status()
                    break
                if app.poll() is not None:
                    sys.exit(f"The page does not start: {log.read_text()[-2000:]}")
                time.sleep(0.02)
            served, memory = time.perf_counter() - started, peak(app.pid)
            started = time.perf_counter()
            httpx.post(f"{url}/gradio_api/run/predict", json=question, timeout=60).raise_for_status()
            return {
                "page, served": (served, memory),
                "page, first answer": (time.perf_counter() - started, peak(app.pid)),
            }
        finally:
            app.send_signal(signal.SIGTERM)


def peak(pid: int) -> float:
    """The most MB that a running process has held."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def main() -> None:
    """Measure every kind of start in each round."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    args = parser.parse_args()
    figures: dict[str, list[Figure]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(args.rounds):
            figures["import torch"].append(finished(["-c", "import torch"]))
            figures["predict"].append(finished(PREDICT))
            for kind, figure in page(Path(folder) / "log").items():
                figures[kind].append(figure)
    torch_s = [seconds for seconds, _ in figures["import torch"]]
    for kind, rows in figures.items():
        ratios = [seconds / of_torch for (seconds, _), of_torch in zip(rows, torch_s, strict=True)]
        line = {"start": kind, "seconds": round(statistics.median(seconds for seconds, _ in rows), 2)}
        line |= {"times_import_torch": round(statistics.median(ratios), 2)}
        line |= {"peak_memory_mb": round(statistics.median(mb for _, mb in rows))}
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
