"""What follows from what happens to a shard process. Pure: times are monotonic seconds and come in as arguments."""

import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from gateway_service.errors import EX_CONFIG, EX_SOFTWARE, EX_UNAVAILABLE, FatalClose
from gateway_service.protocol.constants import FATAL_CLOSE_MEANINGS, CloseCode
from gateway_service.supervisor.silence import MIN_HISTORY, SURPRISE

# Token, API version and intents are the same for every shard of a bot, so each further shard would only spend an
# IDENTIFY on the same answer. See protocol §9, state STOPPED.
WHOLE_BOT_CLOSE_CODES: Final = frozenset(
    {
        CloseCode.AUTHENTICATION_FAILED,
        CloseCode.INVALID_API_VERSION,
        CloseCode.INVALID_INTENTS,
        CloseCode.DISALLOWED_INTENTS,
    }
)

# All shards share their count, too; but those that have a session go on with it.
SHARD_COUNT_CLOSE_CODES: Final = frozenset({CloseCode.INVALID_SHARD, CloseCode.SHARDING_REQUIRED})

# timeout(1) and whoever stops a container by its process group hand one signal over twice within milliseconds. A person
# presses Ctrl-C again no faster than this; another signal is a second wish only when some time lies in between.
SAME_CTRL_C_S: Final = 0.25
SAME_SIGNAL_S: Final = 2.0

# Where a person sets what Discord refused.
_SETTING_OF: Final[Mapping[int, str]] = {
    CloseCode.AUTHENTICATION_FAILED: "DISCORD_TOKEN",
    CloseCode.INVALID_INTENTS: "GATEWAY_INTENTS",
    CloseCode.DISALLOWED_INTENTS: "GATEWAY_INTENTS",
}

_MAX_DOUBLINGS: Final = 64  # what a float can hold; any back-off has met its limit long before


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When shard processes are started again, given up, and killed."""

    first_backoff_s: float = 0.25
    """Before the first restart of a window; doubles with each exit, so that one crash costs next to no time."""
    max_backoff_s: float = 16.0
    max_exits: int = 8
    """This many exits of one process inside ``window_s`` are one fault too many to cure by restarts."""
    window_s: float = 60.0

    ping_interval_s: float = 2.0
    max_unanswered_pings: int = 5
    """Pings are counted, not seconds: a pause of this process or the whole machine must not look like a hung child."""
    start_timeout_s: float = 60.0
    """From spawning to the first report. Far above any real start: killing a slow starter only makes it slower."""

    pulse_timeout_s: float = 60.0
    """A worker without a sign of life for so long hangs. Three times what its longest wait for the broker may take."""

    silence_window_s: float = 30.0
    """A shard that hears nothing for some such windows, while it usually does, is deaf; see supervisor/silence.py."""
    silence_min_history: int = MIN_HISTORY
    """Windows that must be known of a shard before it is judged."""
    silence_surprise: float = SURPRISE
    """How unlikely a run of silent windows must be: minus the logarithm of its probability."""

    drain_timeout_s: float = 6.0
    """How long a child may take to publish what it has."""
    kill_after_s: float = 9.0
    """From the beginning of a drain; leaves a second of the promised ten for reaping."""


@dataclass(frozen=True, slots=True)
class Restart:
    """Start the process again, not before this moment."""

    not_before: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Never start the process again."""

    reason: str
    exit_code: int
    """EX_CONFIG when no restart can help; else the service ends so that whatever supervises it may try."""


def after_exit(code: int, exits: Sequence[float], now: float, policy: Policy) -> Restart | GiveUp:
    """Decide what follows an exit that nobody asked for.

    Args:
        code: As of ``subprocess``: negative for a signal.
        exits: When this process exited so far, this time included.
        now: The present moment.
        policy: The limits.
    """
    if code == EX_CONFIG:
        return GiveUp("its configuration was refused, which a restart cannot change", EX_CONFIG)
    recent = sum(now - exited_at < policy.window_s for exited_at in exits)
    # Where something outside does not answer, the end of the other processes would be no cure.
    if recent >= policy.max_exits and code != EX_UNAVAILABLE:
        return GiveUp(f"it ended {recent} times within {policy.window_s:g} s", EX_SOFTWARE)
    doublings = min(max(recent, 1) - 1, _MAX_DOUBLINGS)
    return Restart(now + min(policy.max_backoff_s, policy.first_backoff_s * 2.0**doublings))


def has_no_pulse(silent_looks: int, policy: Policy) -> bool:
    """Tell whether a worker must be killed that gave no sign of life at this many looks, ``ping_interval_s`` apart."""
    return silent_looks * policy.ping_interval_s > policy.pulse_timeout_s


def is_hung(unanswered_pings: int, policy: Policy) -> bool:
    """Tell whether a running child that owes this many pongs must be killed."""
    return unanswered_pings >= policy.max_unanswered_pings


def has_failed_to_start(ticks: int, policy: Policy) -> bool:
    """Tell whether a child that has not reported after this many ping intervals must be killed."""
    return ticks * policy.ping_interval_s >= policy.start_timeout_s


def is_insisting(number: signal.Signals, after_s: float) -> bool:
    """Tell whether a signal so long after the first one asks for an end without a drain."""
    return after_s >= (SAME_CTRL_C_S if number is signal.SIGINT else SAME_SIGNAL_S)


def stops_whole_bot(close_code: int | None) -> bool:
    """Tell whether the other shards would meet the same refusal as the one that was closed with this code."""
    return close_code in WHOLE_BOT_CLOSE_CODES


def fatal_close(shard_id: int, close_code: int | None, reason: str) -> FatalClose:
    """Return the error that says why a shard stopped for good; ``reason`` is for codes without a known meaning."""
    code = close_code or 0
    meaning, setting = FATAL_CLOSE_MEANINGS.get(code, reason), _SETTING_OF.get(code)
    return FatalClose(shard_id, code, f"{meaning} ({setting})" if setting else meaning)


def after_refused_count(shard_id: int, close_code: int, *, used: int, is_set: bool, recommended: int | None) -> GiveUp:
    """Decide what follows when Discord refuses a shard because of the shard count, if no other shard has a session.

    Args:
        shard_id: The shard that was closed with ``close_code``, one of :data:`SHARD_COUNT_CLOSE_CODES`.
        close_code: Discord's.
        used: The shard count.
        is_set: Whether an operator set it; else it is what Discord recommended at the start.
        recommended: What Discord recommends now; None when it does not say.
    """
    exit_code = EX_CONFIG
    facts = f"GATEWAY_SHARD_COUNT is {used}" if is_set else f"GATEWAY_SHARD_COUNT is auto, which gave {used}"
    if recommended is None:
        facts += "; GET /gateway/bot would tell what Discord recommends"
    else:
        facts += f"; Discord recommends {recommended} now"
        if not is_set and recommended != used:
            facts += ", which the next start takes"
            exit_code = EX_UNAVAILABLE
    return GiveUp(str(FatalClose(shard_id, close_code, f"{FATAL_CLOSE_MEANINGS[close_code]} ({facts})")), exit_code)


def exit_meaning(code: int) -> str:
    """Return words for an exit code as of ``subprocess``."""
    if code < 0:
        with suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
        return f"killed by signal {-code}"
    return f"exit code {code}"
