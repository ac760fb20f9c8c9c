"""README and docs as tests read them: blocks of code, and the commands in them."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
TOOLS = ("fer-space", "python", "make")

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
_ASSIGNMENT = re.compile(r"^[A-Z_]+=\S+ ")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [body for kind, body in _BLOCK.findall(text_of(page)) if kind == language]


def spans(page: Path) -> list[str]:
    """What stands between single backticks, outside blocks."""
    return [" ".join(span.split()) for span in _SPAN.findall(_BLOCK.sub("", text_of(page)))]


def commands(page: Path) -> list[list[str]]:
    """The words of every whole command in the shell blocks of a page, and in its text."""
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    lines += [span for span in spans(page) if span.startswith(("python benchmarks/", "python -m"))]
    found = []
    for line in lines:
        line = _ASSIGNMENT.sub("", line.strip())
        if line.split(" ")[0] in TOOLS:
            found.append(shlex.split(line, comments=True))
    return found
