"""README.md and docs/ show code that compiles, commands that parse and links that lead somewhere."""

import ast
import importlib
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from gateway_service.cli.main import cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
RUN_COMMANDS = set(re.findall(r"^  (\w+)\)", (ROOT / "run").read_text("utf-8"), re.MULTILINE))


def blocks(*languages):
    """Return every fenced block in one of the languages, each with an id for pytest."""
    fence = re.compile(rf"^( *)```(?:{'|'.join(languages)})\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
    for document in DOCUMENTS:
        for found in fence.finditer(text := document.read_text("utf-8")):
            line = text.count("\n", 0, found.start()) + 1
            yield pytest.param(found[2], id=f"{document.name}:{line}")


def commands():
    """Return every line that runs one of our programs, without prompt and comment."""
    for block in blocks("sh", "console"):
        for line in block.values[0].replace("\\\n", " ").splitlines():
            command = line.strip().removeprefix("$ ")
            if command.startswith(("gateway-service ", "./run ")):
                words = shlex.split(command, comments=True)
                yield pytest.param(words, id=" ".join(words))


def links():
    for document in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
            yield pytest.param(document.parent / target, id=f"{document.name}: {target}")


def parse(group, words):
    """Let click read the arguments of a command, without running it."""
    command = group.get_command(click.Context(group), words[0])
    assert command is not None, f"there is no command {words[0]!r}"
    command.make_context(words[0], words[1:])


@pytest.mark.parametrize("block", [*blocks("sh")])
def test_what_is_to_be_typed_is_understood_by_any_shell(block):
    read = subprocess.run(["sh", "-n"], input=block, text=True, capture_output=True, check=False)

    assert (read.returncode, read.stderr) == (0, "")


@pytest.mark.parametrize("code", [*blocks("python")])
def test_python_compiles_and_its_imports_resolve(code):
    tree = ast.parse(code)

    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name), f"{node.module} has no {alias.name}"


@pytest.mark.parametrize("words", [*commands()])
def test_a_command_takes_the_arguments_shown(words):
    program, name, *arguments = words
    if program == "gateway-service":
        parse(cli, [name, *arguments])
        return
    assert name in RUN_COMMANDS
    if name == "dev":
        parse(cli, [name, *arguments])
    elif name == "bench":
        from benchmarks.__main__ import main as benchmarks  # imports half of the package

        parse(benchmarks, arguments or ["gateway"])


@pytest.mark.parametrize("path", [*links()])
def test_a_link_leads_to_a_file(path):
    assert path.exists()


def test_every_page_is_linked_from_the_readme():
    readme = DOCUMENTS[0].read_text("utf-8")

    assert [page.name for page in DOCUMENTS[1:] if f"(docs/{page.name})" not in readme] == []
