"""The chart refuses a value of a setting exactly when the service would."""

import json
import re

import pytest

from docs import chart
from gateway_service.errors import ConfigurationError
from gateway_service.settings import load_options

FORMS = json.loads(chart.settings())
VALUES = {
    "GATEWAY_API_URL": ["https://discord.com/api/v10", "http://proxy:8080", "wss://x", "discord.com", "https://"],
    "GATEWAY_COMPRESSION": ["zstd-stream", "NONE", "gzip"],
    "GATEWAY_FORCE_IDENTIFY": ["yes", "No", "true", "0", "maybe"],
    "GATEWAY_IDENTIFY_RESERVE": ["0", "9", "20", "90", "91", "-1", "20%", "few"],
    "GATEWAY_INTENTS": ["ALL", "guilds | message_content", "GUILDS,", "53608447", "GUILD", ",", "GUILDS;ALL"],
    "GATEWAY_LARGE_THRESHOLD": ["49", "50", "99", "100", "199", "249", "250", "251", "many"],
    "GATEWAY_LOG_FORMAT": ["json", "Text", "xml"],
    "GATEWAY_LOG_LEVEL": ["info", "WARNING", "loud"],
    "GATEWAY_OUTBOX_MAX_BYTES": ["64MiB", "1 gib", "134217728", "64Mi", "64MB", "1.5GiB"],
    "GATEWAY_SPOOL_MAX_BYTES": ["0", "1GiB", "-1"],
    "GATEWAY_TRACING": ["1", "no", "on"],
    "GATEWAY_URL": ["wss://gateway.discord.gg", "ws://127.0.0.1:9422", "https://x", "gateway"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in VALUES.items() for value in values])
def test_a_pattern_lets_through_what_the_service_takes(name, value):
    taken = True
    try:
        load_options({}, {"DISCORD_TOKEN": "abc.def.ghi", name: value})
    except ConfigurationError:
        taken = False

    assert bool(re.fullmatch(FORMS[name]["pattern"], value)) is taken


def test_there_is_such_a_trial_of_every_pattern():
    assert {name for name, form in FORMS.items() if "pattern" in form} == VALUES.keys()
