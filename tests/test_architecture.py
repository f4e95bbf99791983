"""The law of imports: a module imports its own folder and lower levels, siblings never see each other.

The source is read, never imported.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = "gateway_service"
MAX_LINES: Final = 300

# Part of the package -> level. A part is a folder or a single module directly under the package.
LEVELS: Final = {
    "errors": 0,
    "amqps": 1,
    "contract": 1,
    "events": 1,
    "lifeline": 1,
    "metrics": 1,
    "refusals": 1,
    "sqlite_file": 1,
    "telemetry": 1,
    "tracing": 1,
    "waiting": 1,
    "settings": 2,
    "topology": 2,
    "unrouted": 2,
    "protocol": 3,
    "connection": 4,
    "publisher": 4,
    "state": 4,
    "ipc": 4,
    "embedded": 4,
    "shard": 5,
    "simulator": 5,
    "worker": 5,
    "testing": 6,
    "supervisor": 6,
    "control": 7,
    "celery": 8,
    "flower": 8,
    "conformance": 8,
    "doctor": 8,
    "dev": 8,
    "cli": 9,
    "__main__": 10,
}
FOUNDATION: Final = frozenset(
    {"errors", "contract", "lifeline", "telemetry", "tracing", "waiting", "metrics", "refusals", "settings"}
)
# These see less than their level allows.
ONLY: Final = {
    "events": frozenset(),
    "simulator": FOUNDATION - {"settings"},
    "embedded": FOUNDATION,
    "worker": FOUNDATION | {"amqps", "state", "topology", "unrouted"},
    "testing": frozenset({"contract", "simulator", "worker"}),
    "celery": FOUNDATION | {"worker", "control", "flower"},
    "flower": FOUNDATION | {"control"},
    "supervisor": FOUNDATION | {"protocol", "state", "ipc"},
}
# Programs that somebody else runs: `python -m gateway_service.shard`, `celery -A gateway_service`.
NEVER_IMPORTED: Final = frozenset({"shard", "celery", "__main__"})
# One module of the supervisor asks, before it starts anything, whether the broker takes us.
EXCEPTIONS: Final = frozenset({("gateway_service.supervisor.broker_check", "gateway_service.publisher")})
# Its counting handler is one that a user could have written, with the public names only.
WRITTEN_AS_BY_A_USER: Final = frozenset({"dev"})
# Discord's facts are pure data: whoever must speak of intents by name may read them from any level.
OPEN_MODULES: Final = {"gateway_service.protocol.constants": frozenset({"settings", "simulator"})}

# A third-party library stays behind the borders named here; what is not named may be used anywhere.
BORDERS: Final = {
    "websockets": {"connection", "simulator"},
    "kombu": {"amqps", "topology", "unrouted", "publisher", "worker", "celery", "control"},
    "amqp": {"publisher", "worker", "celery"},
    "celery": {"worker", "celery", "dev", "control", "flower", "testing"},
    "redis": {"publisher", "state"},
    "fastapi": {"control"},
    "starlette": {"control"},
    "uvicorn": {"control"},
    "prometheus_client": {"control", "worker"},
    "httpx": {"supervisor", "control", "worker"},
    "zstandard": {"protocol", "simulator"},
    "sqlite3": {"sqlite_file", "state", "publisher", "dev"},
    # The options of `celery worker` are click's.
    "click": {"cli", "conformance", "dev", "simulator", "worker", "control"},
    "rich": {"cli", "conformance", "dev", "simulator", "doctor"},
    "pydantic": {"settings", "ipc", "simulator", "control"},
    "flower": {"flower"},
    "tornado": {"flower", "simulator"},
    "yaml": {"simulator"},
    "opentelemetry": {"tracing", "publisher", "worker"},
    "discord": set(),
    "hikari": set(),
}
# Only here because they belong to one module of a folder.
NARROW_BORDERS: Final = {
    ("publisher", "redis"): "publisher/redis.py",
    ("publisher", "sqlite3"): "publisher/spool_file.py",
    ("supervisor", "httpx"): "supervisor/gateway_info.py",
    ("publisher", "opentelemetry"): "publisher/spans.py",
    ("worker", "opentelemetry"): "worker/spans.py",
    ("control", "httpx"): "control/client.py",
    ("worker", "httpx"): "worker/callback.py",
    ("control", "prometheus_client"): "control/metrics.py",
    ("worker", "prometheus_client"): "worker/exposition.py",
    ("control", "uvicorn"): "control/http_server.py",
    ("control", "fastapi"): "control/http_api.py",
    ("control", "starlette"): "control/http_api.py",
}
# Libraries that a declared dependency brings because we asked for it, or that are declared under another name.
COME_WITH: Final = {
    "redis": "celery[redis]",
    "billiard": "celery[redis]",
    "tornado": "flower",
    "starlette": "fastapi",
    "yaml": "pyyaml",
}
# The protocol core decides; clocks, chance, sockets and logs belong to its callers.
IMPURE: Final = frozenset(
    {"asyncio", "logging", "os", "random", "secrets", "select", "socket", "ssl", "subprocess", "threading", "time"}
)


def source_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def part_of(module: str) -> str:
    """``gateway_service.publisher.amqp`` belongs to the part ``publisher``; the package itself to ``""``."""
    return module.split(".")[1] if "." in module else ""


def module_of(path: Path) -> str:
    names = [*path.relative_to(ROOT).parts[:-1], path.stem]
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


@cache
def imports_of(path: Path) -> list[str]:
    """Every module that a file imports, anywhere in it; a module imported by ``from`` counts under its full name."""
    return list(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}:{node.lineno}: relative import"
            assert node.module is not None
            yield from (_imported(node.module, alias.name) for alias in node.names)


def _imported(module: str, name: str) -> str:
    is_module = (ROOT / Path(*module.split("."), f"{name}.py")).is_file() or (
        ROOT / Path(*module.split("."), name)
    ).is_dir()
    return f"{module}.{name}" if is_module else module


def is_allowed(importer: str, imported: str) -> bool:
    """Tell whether module ``importer`` may import module ``imported``, both of this package."""
    importing, imported_part = part_of(importer), part_of(imported)
    if (importer, imported) in EXCEPTIONS or importing == imported_part or importing in OPEN_MODULES.get(imported, ()):
        return True
    if importing == "":  # the public names; everything is imported on use
        return True
    if imported_part == "":
        return importing in WRITTEN_AS_BY_A_USER
    if imported_part in NEVER_IMPORTED:
        return False
    if importing in ONLY:
        return imported_part in ONLY[importing]
    return LEVELS[imported_part] < LEVELS[importing]


def root_of(module: str) -> str:
    return module.partition(".")[0]


def imports_in(paths: Iterable[Path]) -> list[tuple[Path, str]]:
    return [(path, name) for path in paths for name in imports_of(path)]


def of_libraries(paths: Iterable[Path], libraries: Iterable[str]) -> list[tuple[str, str]]:
    """Return which files import any of these, and what of them."""
    return [(relative(path), name) for path, name in imports_in(paths) if root_of(name) in libraries]


FILES: Final = source_files(PACKAGE)
ALL_FILES: Final = source_files(PACKAGE, "tasks", "benchmarks", "docs")


def test_every_module_belongs_to_a_part_that_has_a_level():
    assert [relative(path) for path in FILES if part_of(module_of(path)) not in {"", *LEVELS}] == []


def test_imports_point_down():
    inside = [(module_of(path), name) for path, name in imports_in(FILES) if root_of(name) == PACKAGE]

    assert [(importer, name) for importer, name in inside if not is_allowed(importer, name)] == []


def test_a_library_stays_behind_its_border():
    used = {(relative(path), part_of(module_of(path)), root_of(name)) for path, name in imports_in(FILES)}

    assert [(file, library) for file, part, library in used if part not in BORDERS.get(library, {part})] == []
    narrow = [(file, NARROW_BORDERS.get((part, library))) for file, part, library in used]
    assert [(file, border) for file, border in narrow if border and file != f"{PACKAGE}/{border}"] == []


def test_the_protocol_core_is_pure():
    assert of_libraries(source_files(f"{PACKAGE}/protocol"), IMPURE) == []


def test_the_package_never_imports_tasks_tests_or_benchmarks():
    assert of_libraries(FILES, {"tasks", "tests", "benchmarks", "docs"}) == []


def test_business_logic_sees_only_the_public_names_and_the_settings():
    public = {PACKAGE, f"{PACKAGE}.events", f"{PACKAGE}.settings"}

    assert [each for each in of_libraries(source_files("tasks"), {PACKAGE}) if each[1] not in public] == []


def test_a_file_is_about_one_noun():
    lines = {path: len(path.read_text("utf-8").splitlines()) for path in ALL_FILES}

    assert {relative(path): count for path, count in lines.items() if count > MAX_LINES} == {}


def test_a_file_is_not_named_after_nothing():
    nothing = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"}

    assert [relative(path) for path in FILES if path.stem in nothing] == []


def test_every_third_party_import_is_a_declared_dependency():
    declared = (ROOT / "pyproject.toml").read_text("utf-8").lower()
    outside = {root_of(name) for _, name in imports_in(FILES)} - set(sys.stdlib_module_names) - {PACKAGE}
    packages = {COME_WITH.get(name, name.replace("_", "-")) for name in outside}

    assert {package for package in packages if f'"{package}' not in declared} == set()


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("gateway_service.publisher.amqp", "gateway_service.publisher.outbox", True),
        ("gateway_service.publisher.amqp", "gateway_service.state", False),
        ("gateway_service.protocol.machine", "gateway_service.connection", False),
        ("gateway_service.supervisor.child", "gateway_service.shard", False),
        ("gateway_service.supervisor.child", "gateway_service.publisher", False),
        ("gateway_service.settings.values", "gateway_service.protocol.constants", True),
        ("gateway_service.settings.values", "gateway_service.protocol.session", False),
        ("gateway_service.errors", "gateway_service.telemetry", False),
        ("gateway_service.worker.strategy", "gateway_service.protocol.session", False),
        ("gateway_service.simulator.gateway", "gateway_service.protocol.constants", True),
    ],
)
def test_the_law_knows_right_from_wrong(importer, imported, allowed):
    assert is_allowed(importer, imported) is allowed
