"""The generated pages of docs/ say what the code says."""

import re

import pytest

from docs import generate
from docs.reference import EXIT_CODES
from gateway_service import errors
from gateway_service.contract import GAP_EVENT
from gateway_service.settings import SETTINGS, load_options
from gateway_service.telemetry import LogEvent


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_is_what_the_code_says(name):
    assert (generate.DOCS / name).read_text("utf-8") == generate.PAGES[name](), "run ./run docs"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_documented_under_all_its_names(setting):
    (row,) = [line for line in generate.PAGES["settings.md"]().splitlines() if f"| `{setting.name}` |" in line]

    assert f"`{setting.env}`" in row
    assert setting.flag is None or f"`{setting.flag}`" in row


def test_the_example_of_a_settings_file_is_one(tmp_path):
    (example,) = re.findall(r"```toml\n(.*?)```", generate.PAGES["settings.md"](), re.DOTALL)
    (tmp_path / "gateway.toml").write_text(example)

    options = load_options({}, {"DISCORD_TOKEN": "abc.def.ghi"}, tmp_path / "gateway.toml")

    assert options.shards == (0, 1, 2, 3, 8, 9)


def test_every_log_event_is_written_somewhere():
    package = generate.DOCS.parent / "gateway_service"
    written = {name for path in package.rglob("*.py") for name in re.findall(r"LogEvent\.([A-Z_]+)", path.read_text())}

    assert set(LogEvent.__members__) == written


def test_every_exit_code_is_documented():
    codes = {code for name, code in vars(errors).items() if name.startswith("EX_")}

    assert set(EXIT_CODES) == codes


def test_the_readmes_settings_are_settings():
    readme = (generate.DOCS.parent / "README.md").read_text("utf-8")
    known = {name for setting in SETTINGS for name in (setting.env, *setting.fallback_envs)} | {"GATEWAY_CONFIG"}
    known.add(GAP_EVENT)  # a dispatch

    assert set(re.findall(r"\b(?:GATEWAY_|DISCORD_)[A-Z_]+\b", readme)) <= known
