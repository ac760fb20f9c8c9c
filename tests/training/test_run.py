"""Whole runs: from pictures on the disk, in several processes, by the command line and by accelerate."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fer_space import cli
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError, TrainingError
from fer_space.training.data import read_faces
from fer_space.training.initialise import preprocess_for
from fer_space.training.parallel import Worker, run_workers
from fer_space.training.trainer import Trainer
from fer_space.vision.imaging import encode_png
from tests.networks import striped_faces
from tests.training.test_trainer import CONFIG, Share


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def launch(module: str, *words: str) -> None:
    """Run a module in two processes on the CPU, as a user would."""
    how = "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1"
    quiet = f"--main_process_port {free_port()} --mixed_precision no --dynamo_backend no"
    subprocess.run(
        [sys.executable, *how.split(), *quiet.split(), "-m", module, *words],
        check=True,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        timeout=900,
    )


def write_folder(folder: Path) -> None:
    for split in ("train", "valid"):
        faces = striped_faces(32, seed=len(split))
        for i, (picture, label) in enumerate(zip(faces.pictures, faces.labels, strict=True)):
            path = folder / split / EMOTIONS[int(label)] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(np.repeat(picture.numpy().transpose(1, 2, 0), 3, axis=2)))


def test_two_processes_stopped_and_resumed_end_like_an_unbroken_run(tmp_path: Path):
    write_folder(tmp_path / "faces")
    data = f"folder:{tmp_path / 'faces'}"
    helpers = {"mix": "attentive-cutmix", "teachers": "efficientnet_lite0"}  # go to both
    config = CONFIG.changed(backbone="efficientnet_lite0", data=data, epochs=2, processes=2, **helpers)
    Trainer(config, tmp_path / "whole", device="cpu").run()
    Trainer(config, tmp_path / "broken", device="cpu", stop_after=1).run()
    Trainer(config, tmp_path / "broken", device="cpu", resume=True).run()
    whole, broken = (load_file(tmp_path / out / "best.safetensors") for out in ("whole", "broken"))
    for name, tensor in whole.items():
        assert torch.equal(tensor, broken[name]), name
    own = config.changed(init=str(tmp_path / "whole/best.safetensors"))
    with pytest.raises(InputError, match="own folder"):
        Trainer(own, tmp_path / "whole", device="cpu").run()
    with pytest.raises(InputError, match="cannot be read"):
        Trainer(config.changed(init=str(tmp_path / "faces")), tmp_path / "other", device="cpu").run()


def test_a_run_of_the_command_line_under_accelerate_is_one_with_two_processes(tmp_path: Path, tiny: str):
    """Both see the same halves of every batch, so that running statistics agree too."""
    write_folder(tmp_path / "faces")
    words = ["train", "--backbone", tiny, "--data", f"folder:{tmp_path / 'faces'}"]
    words += ["--init", "none", "--epochs", "1", "--batch-size", "16"]
    words += ["--size", "12", "--native-size", "12", "--device", "cpu"]
    assert cli.main([*words, "--processes", "2", "--out", str(tmp_path / "two")]) == 0
    launch("tests.training.tiny_cli", *words, "--out", str(tmp_path / "launched"))
    two, launched = (load_file(tmp_path / out / "best.safetensors") for out in ("two", "launched"))
    for name, tensor in two.items():
        torch.testing.assert_close(tensor, launched[name], rtol=1e-4, atol=1e-6, msg=name)
    cards = [json.loads((tmp_path / out / "card.json").read_text()) for out in ("two", "launched")]
    assert [card["validation"]["plain"]["n"] for card in cards] == [32, 32]


def test_accelerate_launch_takes_the_same_steps_as_one_process(tmp_path: Path):
    alone, launched = tmp_path / "alone.safetensors", tmp_path / "launched.safetensors"
    run_workers(Share(alone), 1, torch.device("cpu"))
    launch("tests.training.launched", str(launched))
    one, two = load_file(alone), load_file(launched)
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=1e-4, atol=1e-6, msg=name)


def test_faces_that_cannot_be_used_are_refused_or_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], tiny: str
):
    write_folder(tmp_path / "faces")
    config = CONFIG.changed(data=f"folder:{tmp_path / 'faces'}")
    preprocess = preprocess_for(config)
    with pytest.raises(InputError, match="no valence and arousal"):
        read_faces(config.changed(affect_weight=1.0), preprocess)
    with pytest.raises(InputError, match="fewer pictures in a split than"):
        read_faces(config.changed(limit=1, processes=2), preprocess)
    assert "valid faces too" not in capsys.readouterr().err
    read_faces(config.changed(data=f"folder:{tmp_path / 'faces' / 'train'}"), preprocess)
    assert "32 training faces are valid faces too" in capsys.readouterr().err


@dataclass(frozen=True)
class Doomed:
    """A job whose second process says what is wrong, or dies."""

    sentence: str

    def __call__(self, worker: Worker) -> None:
        if worker.rank == 1 and self.sentence:
            raise InputError(self.sentence)
        if worker.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)


@pytest.mark.parametrize(("sentence", "words"), [("It is wrong.", "It is wrong."), ("", "lost.*SIGKILL")])
def test_a_lost_process_ends_the_run_in_a_sentence(sentence: str, words: str):
    with pytest.raises(TrainingError, match=words):
        run_workers(Doomed(sentence), 2, torch.device("cpu"))


@contextlib.contextmanager
def training_in_two_processes(folder: Path, moment: str, *prefix: str) -> Iterator[subprocess.Popen[str]]:
    """A run of the command line in a group of its own, from the moment that a file of its folder exists."""
    write_folder(folder / "faces")
    run = folder / "run"
    words = "train --backbone tiny --init none --epochs 4000 --batch-size 8 --size 12 --native-size 12"
    words += f" --device cpu --data folder:{folder / 'faces'} --out {run} --processes 2"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(folder)}
    with subprocess.Popen(
        [*prefix, sys.executable, "-m", "tests.training.tiny_cli", *words.split()],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            wait_until((run / moment).exists)
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def wait_until(holds: Callable[[], bool], seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert holds()


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize(
    ("moment", "sent"),
    [("config.json", "SIGINT"), ("history.csv", "SIGINT"), ("history.csv", "SIGHUP")],
    ids=["starting", "training", "a closed terminal"],
)
def test_ctrl_c_stops_all_processes_without_a_word_and_leaves_nothing_half_written(
    moment: str, sent: str, tmp_path: Path
):
    """As in a terminal: the parent and its processes all get the signal, wherever they are."""
    run = tmp_path / "run"
    with training_in_two_processes(tmp_path, moment) as process:
        os.killpg(process.pid, getattr(signal, sent))
        _, said = process.communicate(timeout=240)
    assert process.returncode == 130
    assert said.rstrip().endswith("fer-space: stopped")
    assert "Traceback" not in said
    assert (run / moment).exists()
    assert not list(run.glob(".*"))
    left = {
        path.name for path in tmp_path.iterdir() if not path.name.startswith("torchinductor")
    }  # its cache
    assert left == {"faces", "run"}


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_a_parent_that_is_told_to_end_tells_its_processes_at_once(tmp_path: Path):
    """`kill PID`: the parent alone gets the signal."""
    history = tmp_path / "run" / "history.csv"
    with training_in_two_processes(tmp_path, "history.csv") as process:
        before = len(history.read_text().splitlines())
        os.kill(process.pid, signal.SIGTERM)
        _, said = process.communicate(timeout=240)
    assert len(history.read_text().splitlines()) < before + 4, "it is not the time of grace that ends them"
    assert process.returncode == 130
    assert said.rstrip().endswith("fer-space: stopped")
    assert "Traceback" not in said
    assert not list((tmp_path / "run").glob(".*"))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells a process that its parent died")
def test_processes_end_with_a_parent_that_was_killed_in_the_background(tmp_path: Path):
    """In a script, `fer-space train … &` starts with Ctrl-C ignored, and so do its processes."""
    ignoring = ["sh", "-c", "trap '' INT; exec \"$@\"", "sh"]

    def gone() -> bool:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    with training_in_two_processes(tmp_path, "history.csv", *ignoring) as process:
        process.kill()
        process.wait()
        wait_until(gone)
