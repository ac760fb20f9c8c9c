"""Every command in README and docs is one: the real parsers take it, options and all."""

import argparse
import re
import runpy
import sys
from importlib import import_module
from pathlib import Path

import pytest

from fer_space import cli
from fer_space.training.config import TrainConfig
from tests.docs.reading import PAGES, ROOT, commands, spans, text_of

BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))
ALL = [(page, words) for page in PAGES for words in commands(page)]
# Options of other programs that the pages name.
FOREIGN = {"--multi_gpu", "--num_processes", "--index-url"}


class ParsedError(Exception):
    """Thrown where a program has understood its words, before it does anything."""


def words_of(case: tuple[Path, list[str]]) -> str:
    return f"{case[0].name}: {' '.join(case[1])}"[:120]


def parser_of(command: str) -> argparse.ArgumentParser:
    return cli.build_parser(command, import_module(f"fer_space.commands.{command}"))


def run_to_the_parser(path: Path, words: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """Run a script until it has parsed its words."""
    parse = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, *given: object) -> argparse.Namespace:
        raise ParsedError(parse(parser, *given))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(sys, "argv", [str(path), *words])
    with pytest.raises(ParsedError) as caught:
        runpy.run_path(str(path), run_name="__main__")
    return caught.value.args[0]


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    """All option strings of a parser and of its sub-commands."""
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                found |= options_of(sub)
    return found


def test_there_are_commands():
    assert {words[0] for _, words in ALL} == {"fer-space", "python", "make"}
    assert len(ALL) > 25


@pytest.mark.parametrize("case", [case for case in ALL if case[1][0] == "fer-space"], ids=words_of)
def test_fer_space_understands(case: tuple[Path, list[str]]):
    words = case[1][1:]
    module = import_module(f"fer_space.commands.{words[0]}")
    args = parser_of(words[0]).parse_args(words)
    if words[0] == "train":
        TrainConfig(**{name: getattr(args, name) for name in TrainConfig.model_fields})
    elif hasattr(module, "check"):
        module.check(args)


@pytest.mark.parametrize("case", [case for case in ALL if case[1][0] == "python"], ids=words_of)
def test_python_understands(case: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch):
    program, *words = case[1][1:]
    if program == "-m":
        program, *words = words
        program = f"{program.replace('.', '/')}.py"
    run_to_the_parser(ROOT / program, words, monkeypatch)


def test_make_has_every_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    named = {words[1] for _, words in ALL if words[0] == "make"}
    named |= {span.split()[1] for page in PAGES for span in spans(page) if span.startswith("make ")}
    assert named <= targets
    assert targets <= set(re.search(r"\.PHONY: (.*)", makefile)[1].split())


def test_make_calls_what_is_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lines = re.findall(r"\$\(BIN\)/fer-space (test[^;|\n]*)", makefile)
    assert len(lines) > 4
    for line in lines:
        words = re.sub(r"\$\(\w+\)", "DIR", line.replace("$$kind", "surgical")).split()
        args = parser_of("test").parse_args(words)
        import_module("fer_space.commands.test").check(args)


def test_every_option_that_is_named_exists():
    known = set(FOREIGN).union(*(options_of(parser_of(command)) for command in cli.COMMANDS))
    known |= {option for path in [*BENCHMARKS, ROOT / "docs" / "tables.py"] for option in mentioned(path)}
    for page in PAGES:
        for span in spans(page):
            assert set(re.findall(r"(?<![\w-])--[a-z][\w-]*", span)) <= known, f"{page.name}: {span}"


def mentioned(path: Path) -> set[str]:
    """Options that a script adds to its parser."""
    return set(re.findall(r'"(--[\w-]+)"', path.read_text(encoding="utf-8")))


def test_commands_of_the_terminal_that_are_named_exist():
    for page in PAGES:
        assert set(re.findall(r"fer-space ([a-z]+)\b(?! is| lies)", text_of(page))) <= set(cli.COMMANDS)


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_benchmarks_import_and_say_what_they_do(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(path), run_name="__main__")
    assert end.value.code == 0
    assert path.name in capsys.readouterr().out
