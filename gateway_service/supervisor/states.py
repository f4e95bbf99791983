"""The states of a shard process and every way from one to another: one literal table.

The words and their meaning are supervisord's. A pair that is not in the table does not exist.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class ProcessState(StrEnum):
    """Where a planned shard process is."""

    STOPPED = "STOPPED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    BACKOFF = "BACKOFF"
    STOPPING = "STOPPING"
    EXITED = "EXITED"
    FATAL = "FATAL"


class ProcessTrigger(StrEnum):
    """What makes a shard process leave a state."""

    SPAWN = "spawn"
    ANSWER = "answer"
    STOP = "stop"
    EXIT = "exit"
    GIVE_UP = "give_up"


STATE_MEANINGS: Final[Mapping[ProcessState, str]] = {
    ProcessState.STOPPED: "not started, or stopped because we asked",
    ProcessState.STARTING: "spawned; it has not reported its shards yet, which may take long on a busy machine",
    ProcessState.RUNNING: "it reported its shards; from here on it must answer pings",
    ProcessState.BACKOFF: "it ended before it ran; a timer runs until the next start",
    ProcessState.STOPPING: "told to drain, or killed because it had nothing to drain",
    ProcessState.EXITED: "it ended after it ran; a timer runs until the next start",
    ProcessState.FATAL: "not started again; a person must act",
}

TRANSITIONS: Final[Mapping[tuple[ProcessState, ProcessTrigger], ProcessState]] = {
    (ProcessState.STOPPED, ProcessTrigger.SPAWN): ProcessState.STARTING,
    (ProcessState.STOPPED, ProcessTrigger.STOP): ProcessState.STOPPED,
    (ProcessState.STARTING, ProcessTrigger.ANSWER): ProcessState.RUNNING,
    (ProcessState.STARTING, ProcessTrigger.STOP): ProcessState.STOPPING,
    (ProcessState.STARTING, ProcessTrigger.EXIT): ProcessState.BACKOFF,
    (ProcessState.RUNNING, ProcessTrigger.STOP): ProcessState.STOPPING,
    (ProcessState.RUNNING, ProcessTrigger.EXIT): ProcessState.EXITED,
    (ProcessState.BACKOFF, ProcessTrigger.SPAWN): ProcessState.STARTING,
    (ProcessState.BACKOFF, ProcessTrigger.STOP): ProcessState.STOPPED,
    (ProcessState.BACKOFF, ProcessTrigger.GIVE_UP): ProcessState.FATAL,
    (ProcessState.STOPPING, ProcessTrigger.STOP): ProcessState.STOPPING,
    (ProcessState.STOPPING, ProcessTrigger.EXIT): ProcessState.STOPPED,
    (ProcessState.EXITED, ProcessTrigger.SPAWN): ProcessState.STARTING,
    (ProcessState.EXITED, ProcessTrigger.STOP): ProcessState.STOPPED,
    (ProcessState.EXITED, ProcessTrigger.GIVE_UP): ProcessState.FATAL,
    (ProcessState.FATAL, ProcessTrigger.STOP): ProcessState.FATAL,
}


def advance(state: ProcessState, trigger: ProcessTrigger) -> ProcessState:
    """Return the next state; a pair that is not in the table is a fault of ours."""
    try:
        return TRANSITIONS[state, trigger]
    except KeyError:
        raise AssertionError(f"{trigger} while {state}") from None
