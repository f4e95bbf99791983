"""The faults by name, as scenario files and the control port write them."""

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from gateway_service.simulator import faults

VERBS: Final[Mapping[str, type[faults.Fault]]] = {
    "op7": faults.AskReconnect,
    "op9": faults.InvalidateSession,
    "close": faults.CloseWith,
    "abort": faults.Abort,
    "end-stream": faults.EndStream,
    "freeze": faults.Freeze,
    "stall-close": faults.StallClose,
    "withhold-acks": faults.WithholdAcks,
    "delay-acks": faults.DelayAcks,
    "ask-heartbeats": faults.AskHeartbeats,
    "say-nothing": faults.SayNothing,
    "send-text": faults.SendText,
    "garble": faults.Garble,
    "limit-bandwidth": faults.LimitBandwidth,
    "fill-buffer": faults.FillBuffer,
    "lose-intents": faults.LoseIntents,
    "skip-seqs": faults.SkipSeqs,
    "repeat": faults.Repeat,
    "flap-guilds": faults.FlapGuilds,
    "dispatch": faults.Dispatch,
    "move-resume-url": faults.MoveResumeUrl,
    "set-remaining": faults.SetRemaining,
    "set-max-concurrency": faults.SetMaxConcurrency,
    "recommend-shards": faults.RecommendShards,
    "reset-token": faults.ResetToken,
    "refuse-upgrade": faults.RefuseUpgrade,
    "withhold-guilds": faults.WithholdGuilds,
    "pad-guilds": faults.PadGuilds,
    "limit-request": faults.LimitRequest,
    "cut-chunks": faults.CutChunks,
}


def fault_of(verb: str, arguments: Mapping[str, Any]) -> faults.Fault:
    """Return the fault that ``verb`` names.

    Raises:
        ValueError: There is no such fault, or its arguments are wrong; the message is one sentence.
    """
    kind = VERBS.get(verb)
    if kind is None:
        raise ValueError(f"unknown fault {verb!r}{suggestion(verb, VERBS)}")
    known = [field.name for field in fields(kind)]
    for name in arguments:
        if name not in known:
            takes = f"takes {', '.join(known)}" if known else "takes nothing"
            raise ValueError(f"{verb} has no {name!r}{suggestion(name, known)}; it {takes}")
    try:
        return TypeAdapter[faults.Fault](kind).validate_python(dict(arguments))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{verb}: {'.'.join(map(str, first['loc']))}: {first['msg'].lower()}") from None


def suggestion(word: str, known: Any) -> str:
    """Return how a sentence about a mistyped word goes on."""
    return f"; did you mean {near[0]!r}?" if (near := get_close_matches(word, known, 1)) else ""
