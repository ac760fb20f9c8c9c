"""The frame around all commands: errors, help, what is not installed."""

import os
import resource
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from fer_space import __version__, cli
from tests.running import run

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "numpy", "pydantic", "PIL")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["predict", "gone.png"], "gone.png"),
        (["predict", "x.png", "--backbones", "enormous"], "enormous"),
        (["test", "--backbone", "all", "--data", "ferplus"], "KIND:PATH"),
        (["predict", "http://127.0.0.1/a.png"], "127.0.0.1"),
        (["predict", "x.png", "--explain", "fear"], "--cam"),
        (["predict", "x.png", "--method", "grad-cam"], "--cam"),
    ],
    ids=[
        "missing file",
        "unknown backbone",
        "bad data",
        "private address",
        "map without folder",
        "method without folder",
    ],
)
def test_errors_are_one_line_on_stderr_and_status_2(
    words: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    run(*words, status=2)
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert sentence in err


@pytest.mark.parametrize("words", [["--help"], ["--version"]])
def test_help_is_quick_and_loads_nothing_heavy(words: list[str]):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = (
        f"import sys; from fer_space.cli import main\ntry: main({words})\nfinally: print(sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (__version__ if words == ["--version"] else "predict") in done.stdout
    assert not [module for module in HEAVY if f"'{module}'" in done.stdout]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 1.5  # alone it takes a quarter of a second


def test_the_decoder_starts_before_torch_is_imported():
    code = (
        "import sys; from fer_space import cli; from fer_space.vision import pool\n"
        "pool.warm_up = lambda: print('torch' in sys.modules)\n"
        "assert cli.main(['predict', 'gone.png']) == 2"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "False"


def test_no_command_shows_them_all(capsys: pytest.CaptureFixture[str]):
    run(status=2)
    out = capsys.readouterr().out
    assert all(name in out for name in cli.COMMANDS)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: fer-space {command}")
    assert import_module(f"fer_space.commands.{command}").__doc__


@pytest.mark.parametrize(
    ("missing", "how"),
    [
        ("sklearn", "pip install 'fer-space[train]'"),
        ("accelerate", "pip install 'fer-space[scale]'"),
        ("onnxruntime.capi", "pip install 'fer-space[onnx]'"),
        ("spaces", "pip install 'fer-space[app]'"),
        ("torch", "pip install fer-space"),
    ],
)
def test_a_missing_module_is_answered_with_what_brings_it(
    missing: str, how: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name=missing)

    monkeypatch.setattr(cli, "import_module", absent)
    run("models", status=2)
    assert capsys.readouterr().err == f"fer-space: {missing} is not installed: {how}\n"


WRITING = """
import os, signal, sys, types
from pathlib import Path
from fer_space import cli
from fer_space.files import replacing

# As in a terminal, however the tests were started.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
sent, ignored = (getattr(signal, name, None) for name in sys.argv[1:])
if ignored:
    signal.signal(ignored, signal.SIG_IGN)

def run(args):
    with replacing(Path("table")) as temporary:
        temporary.write_text("half")
        os.kill(os.getpid(), sent)
        temporary.write_text("whole")
    return 0

cli.import_module = lambda name: types.SimpleNamespace(add_arguments=lambda parser: None, run=run)
sys.argv = ["fer-space", "models"]
sys.exit(cli.main())
"""


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize(
    ("sent", "ignored", "stops"),
    [
        ("SIGINT", "", True),
        ("SIGTERM", "", True),
        ("SIGTERM", "SIGINT", True),  # a script's `fer-space … &`, and kill
        ("SIGHUP", "", True),
        ("SIGHUP", "SIGHUP", False),  # nohup
    ],
)
def test_a_command_that_is_told_to_end_leaves_nothing_half_written(
    sent: str, ignored: str, stops: bool, tmp_path: Path
):
    done = subprocess.run(
        [sys.executable, "-c", WRITING, sent, ignored],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == (130 if stops else 0)
    assert done.stderr == ("fer-space: stopped\n" if stops else "")
    assert [path.name for path in tmp_path.iterdir()] == ([] if stops else ["table"])


PRINTING = """
import sys, types
from pathlib import Path
from fer_space import cli
from fer_space.files import replacing

def run(args):
    with replacing(Path("table")) as temporary:
        temporary.write_text("new")
        for number in range(100_000):
            print(number)
    return 0

cli.import_module = lambda name: types.SimpleNamespace(add_arguments=lambda parser: None, run=run)
sys.argv = ["fer-space", "models"]
sys.exit(cli.main())
"""


@pytest.mark.skipif(os.name != "posix", reason="closes a pipe")
def test_a_closed_pipe_is_not_done_and_no_fault_of_a_file(tmp_path: Path):
    (tmp_path / "table").write_text("old")
    with subprocess.Popen(
        [sys.executable, "-c", PRINTING],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (141, b"")
    assert [path.name for path in tmp_path.iterdir()] == ["table"]
    assert (tmp_path / "table").read_text() == "old"


def test_a_typo_of_ours_is_a_bug_and_shows_as_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(cli.COMMANDS, "nonsense", "a command without a file")
    with pytest.raises(ModuleNotFoundError, match=r"fer_space\.commands\.nonsense"):
        cli.main(["nonsense"])


def test_extras_are_those_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    offered = project["optional-dependencies"]
    names = {"scikit-learn": "sklearn", "grad-cam": "pytorch_grad_cam"}
    for module, extra in cli.EXTRAS.items():
        brought = [Requirement(line).name for line in offered[extra]]
        modules = {names.get(name, name.replace("-", "_")) for name in brought}
        assert module in modules, f"{extra} does not bring {module}"
