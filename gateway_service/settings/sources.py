"""Where settings come from: flags, before the environment, before a TOML file, before the defaults."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway_service.errors import ConfigurationError
from gateway_service.settings.options import ControlOptions, GatewayOptions, WorkerOptions
from gateway_service.settings.table import CONFIG_ENV, CONFIG_FILE, SETTINGS
from gateway_service.settings.values import closest, did_you_mean

_PREFIX: Final = "GATEWAY_"
# Kubernetes puts the address of every Service into the environment of its neighbours; a Service called "gateway"
# or "gateway-service" makes such names. See Kubernetes: services-networking/service#environment-variables.
_KUBERNETES_NAME: Final = re.compile(r"GATEWAY_(.+_)?SERVICE_(HOST|PORT)(_\w+)?")
_KUBERNETES_VALUE: Final = re.compile(r"(tcp|udp|sctp)://.+")
_KUBERNETES_PORT_NAME: Final = re.compile(r"GATEWAY_(.+_)?PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?")
# A token is about 70 characters; a larger file is not one.
_MAX_TOKEN_FILE_BYTES: Final = 4096


class _Reading:
    """Settings gathered from the weakest source to the strongest, with the label each came under."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.labels: dict[str, str] = {"token": "DISCORD_TOKEN"}
        self.faults: list[str] = []
        self.has_file_failed = False

    def file_failed(self, fault: str) -> None:
        self.has_file_failed = True
        self.faults.append(fault)

    def add(self, found: Mapping[str, tuple[str, Any]]) -> None:
        """Put the values of one source, ``{name: (label, value)}``, over those of weaker ones."""
        if "token" in found and "token_file" in found:
            self.faults.append(f"{found['token'][0]} and {found['token_file'][0]} are both set; keep one")
        if "token" in found or "token_file" in found:
            self.values.pop("token", None)
            self.values.pop("token_file", None)
        for name, (label, value) in found.items():
            self.values[name], self.labels[name] = value, label


def load_options(flags: Mapping[str, Any], env: Mapping[str, str], config_file: Path | None = None) -> GatewayOptions:
    """Read every source and validate the whole.

    Args:
        flags: Values by the names of :data:`SETTINGS`; None means not given.
        env: The environment. An empty value counts as not set, as Compose files produce them.
        config_file: The TOML file; without it ``GATEWAY_CONFIG``, else ``gateway.toml`` if there is one here.

    Raises:
        ConfigurationError: With every fault of every source together; each names the flag, the variable or the
            key it is about.
    """
    reading = _gather(flags, env, config_file)
    _read_token_file(reading)
    return _validated(GatewayOptions, reading, {"token": None, **reading.values})


def load_worker_options(env: Mapping[str, str], config_file: Path | None = None) -> WorkerOptions:
    """Read what a worker needs from the same sources; a token is neither needed nor read.

    Raises:
        ConfigurationError: As of :func:`load_options`.
    """
    reading = _gather({}, env, config_file)
    needed = WorkerOptions.model_fields.keys() & reading.values.keys()
    return _validated(WorkerOptions, reading, {name: reading.values[name] for name in needed})


def load_control_options(
    flags: Mapping[str, Any], env: Mapping[str, str], config_file: Path | None = None
) -> ControlOptions:
    """Read where a running service is reached from the same sources.

    Raises:
        ConfigurationError: As of :func:`load_options`.
    """
    reading = _gather(flags, env, config_file)
    needed = ControlOptions.model_fields.keys() & reading.values.keys()
    return _validated(ControlOptions, reading, {name: reading.values[name] for name in needed})


_OptionsT = TypeVar("_OptionsT", GatewayOptions, WorkerOptions, ControlOptions)


def _validated(options_type: type[_OptionsT], reading: _Reading, values: Mapping[str, Any]) -> _OptionsT:
    try:
        options = options_type(**values)
    except ConfigurationError as exc:
        # A token may be in the file that could not be read, so its lack is no fault of its own then.
        is_token_excused = reading.has_file_failed and "token" not in reading.values
        faults = [fault for fault in exc.faults if not (is_token_excused and fault.startswith("token: "))]
        raise ConfigurationError(*reading.faults, *(_with_label(fault, reading.labels) for fault in faults)) from None
    if reading.faults:
        raise ConfigurationError(*reading.faults)
    return options


def _gather(flags: Mapping[str, Any], env: Mapping[str, str], config_file: Path | None) -> _Reading:
    env = {name: value for name, value in env.items() if value.strip()}
    reading = _Reading()
    _read_file(reading, _path_of(config_file, env))
    _read_environment(reading, env)
    _read_flags(reading, flags)
    return reading


def _path_of(config_file: Path | None, env: Mapping[str, str]) -> Path | None:
    if config_file is not None:
        return config_file
    if CONFIG_ENV in env:
        return Path(env[CONFIG_ENV])
    return Path(CONFIG_FILE) if Path(CONFIG_FILE).is_file() else None


def _read_file(reading: _Reading, path: Path | None) -> None:
    if path is None:
        return
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except OSError as exc:
        reading.file_failed(f"{path}: cannot be read: {exc.strerror}")
        return
    except UnicodeDecodeError as exc:
        reading.file_failed(f"{path}: is not UTF-8 text, at byte {exc.start + 1}")
        return
    except tomllib.TOMLDecodeError as exc:
        reading.file_failed(f"{path}: is not valid TOML: {exc}")
        return
    known = {setting.name for setting in SETTINGS}
    for key in sorted(document.keys() - known):
        reading.faults.append(f"{path}: unknown setting {key!r}{did_you_mean(key, known)}")
    reading.add({key: (f"{path}: {key}", value) for key, value in document.items() if key in known})


def _read_environment(reading: _Reading, env: Mapping[str, str]) -> None:
    found = {}
    for setting in SETTINGS:
        for name in (setting.env, *setting.fallback_envs):
            if name in env:
                found[setting.name] = (name, env[name])
                break
    reading.add(found)
    reading.faults += _unknown_variables(env)


def _unknown_variables(env: Mapping[str, str]) -> Iterator[str]:
    known = {setting.env for setting in SETTINGS} | {CONFIG_ENV}
    # Compared without the prefix, which would make every two of them alike.
    endings = {name.removeprefix(_PREFIX): name for name in known if name.startswith(_PREFIX)}
    for name, value in sorted(env.items()):
        if name.startswith(_PREFIX) and name not in known and not _is_of_kubernetes(name, value):
            close = closest(name.removeprefix(_PREFIX), endings)
            yield f"{name}: unknown setting{f'; did you mean {endings[close]!r}?' if close else ''}"


def _is_of_kubernetes(name: str, value: str) -> bool:
    return bool(
        _KUBERNETES_NAME.fullmatch(name)
        or _KUBERNETES_PORT_NAME.fullmatch(name)
        or (name.endswith("_PORT") and _KUBERNETES_VALUE.fullmatch(value))
    )


def _read_flags(reading: _Reading, flags: Mapping[str, Any]) -> None:
    names = {setting.name: setting.flag or setting.name for setting in SETTINGS}
    reading.add({name: (names[name], value) for name, value in flags.items() if value is not None})


def _read_token_file(reading: _Reading) -> None:
    path = reading.values.pop("token_file", None)
    if path is None or "token" in reading.values:
        return
    label = reading.labels["token"] = reading.labels["token_file"]
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MAX_TOKEN_FILE_BYTES)
        reading.values["token"] = content.decode().strip()
    except OSError as exc:
        reading.file_failed(f"{label}: {path} cannot be read: {exc.strerror}")
    except (UnicodeDecodeError, TypeError, ValueError):
        reading.file_failed(f"{label}: must be the path of a text file")


def _with_label(fault: str, labels: Mapping[str, str]) -> str:
    name, colon, sentence = fault.partition(": ")
    return f"{labels.get(name, name)}{colon}{sentence}"
