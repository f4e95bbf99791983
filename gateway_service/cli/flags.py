"""The flags that mirror the settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway_service.settings import SETTINGS, Setting
from gateway_service.settings.table import CONFIG_ENV, CONFIG_FILE

_Function = TypeVar("_Function", bound=Callable[..., Any])


def setting_flags(function: _Function) -> _Function:
    """Give a command ``--config`` and one flag per setting; all arrive as texts, None where not given."""
    for setting in reversed(SETTINGS):
        if setting.flag is not None:
            function = flag_of(setting)(function)
    return config_flag(function)


def config_flag(function: _Function) -> _Function:
    """Give a command ``--config``."""
    return click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help=f"Settings in TOML.  [{CONFIG_ENV}; {CONFIG_FILE} if there is one here]",
    )(function)


def flag_of(setting: Setting) -> Callable[[_Function], _Function]:
    """Return what gives a command the flag of one setting."""
    notes = "; ".join(
        [", ".join([setting.env, *setting.fallback_envs]), *([setting.default] if setting.default else [])]
    )
    is_switch = not setting.metavar
    # Values are checked with those of all other sources, so that every fault is told at once.
    return click.option(
        str(setting.flag),
        setting.name,
        is_flag=is_switch,
        flag_value="yes" if is_switch else None,
        default=None,
        metavar=None if is_switch else "|".join(setting.choices) or setting.metavar,
        help=f"{setting.meaning}  [{notes}]",
        shell_complete=lambda _ctx, _param, typed: [word for word in setting.choices if word.startswith(typed)],
    )
