"""What the Helm chart knows of settings, so that it refuses a wrong one before any pod starts."""  # noqa: INP001

import json
from typing import Final

from gateway_service.protocol.constants import Intents
from gateway_service.settings import SETTINGS, Setting
from gateway_service.settings.table import CONFIG_ENV

_INTENT: Final = "|".join(("ALL", "PRIVILEGED", "UNPRIVILEGED", "NONE", *Intents.__members__))

# By a setting's name, or by what its value is called: a pattern of the whole text, of Go and of Python, and what the
# text must be.
_FORMS: Final = {
    "": ("(?i)(yes|no|true|false|1|0)", "yes or no"),
    "large_threshold": ("[5-9][0-9]|1[0-9]{2}|2[0-4][0-9]|250", "a whole number from 50 to 250"),
    "identify_reserve": ("[0-9]|[1-8][0-9]|90", "a whole number from 0 to 90"),
    "SIZE": ("(?i) *[0-9]{1,15} *(B|KiB|MiB|GiB)? *", "a number of bytes such as 64MiB"),
    "api_url": ("(?i)https?://[^/ ]+.*", "a URL such as https://discord.com/api/v10"),
    "url": ("(?i)wss?://[^/ ]+.*", "a URL such as wss://gateway.discord.gg"),
    "NAMES|NUMBER": (
        f"(?i)[0-9]+|[,| ]*({_INTENT})([,| ]+({_INTENT}))*[,| ]*",
        "names of intents such as UNPRIVILEGED,MESSAGE_CONTENT (docs/settings.md), or a number",
    ),
}


def settings() -> str:
    """Return the variables that the service knows, as JSON: ``{name: {default, pattern, must_be}}``."""
    known: dict[str, dict[str, str]] = {setting.env: _form(setting) for setting in SETTINGS}
    return json.dumps(known | {CONFIG_ENV: {}}, indent=2, sort_keys=True) + "\n"


def _form(setting: Setting) -> dict[str, str]:
    if setting.choices and setting.metavar:
        form = (f"(?i)({'|'.join(setting.choices)})", f"one of {', '.join(setting.choices)}")
    elif setting.name in _FORMS or setting.metavar in _FORMS:
        form = _FORMS.get(setting.name) or _FORMS[setting.metavar]
    else:
        return {"default": setting.default}
    return {"default": setting.default, "pattern": form[0], "must_be": form[1]}
