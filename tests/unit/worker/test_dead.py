from datetime import UTC, datetime

import pytest
from celery.exceptions import MaxRetriesExceededError, Reject

from gateway_service.worker.dead import reason_of
from gateway_service.worker.dead_letters import DeadLetter, matching


@pytest.mark.parametrize(
    ("error", "retries", "reason"),
    [
        (ValueError("what somebody wrote"), 0, "raised ValueError"),
        (KeyError("x"), 1, "raised KeyError after a retry"),
        (MaxRetriesExceededError(), 3, "raised MaxRetriesExceededError after 3 retries"),
        (Reject("x"), 0, "rejected by its handler"),
        (None, 0, "rejected by its handler"),
    ],
)
def test_a_reason_names_the_error_and_never_its_text(error, retries, reason):
    assert reason_of(error, retries) == reason


def letter(**headers):
    return DeadLetter(headers, b"", "application/json", "utf-8", remove=list)


OURS = letter(id="a", task="bot.greet", queue="shop.v2.MESSAGE_CREATE", reason="raised ValueError", died_at=5.0)
RABBITMQS = letter(
    id="b",
    task="gateway.DEADLY",
    **{
        "x-first-death-reason": "delivery_limit",
        "x-first-death-queue": "default.DEADLY",
        "x-death": [{"time": datetime.fromtimestamp(7, UTC), "reason": "delivery_limit"}],
    },
)


def test_what_we_buried_and_what_rabbitmq_buried_reads_alike():
    assert (OURS.reason, OURS.queue, OURS.group, OURS.died_at) == (
        "raised ValueError",
        "shop.v2.MESSAGE_CREATE",
        "shop.v2",
        5.0,
    )
    assert (RABBITMQS.reason, RABBITMQS.queue, RABBITMQS.group, RABBITMQS.died_at) == (
        "its worker was lost 4 times",
        "default.DEADLY",
        "default",
        7.0,
    )


@pytest.mark.parametrize(
    ("rabbitmqs", "ours"),
    [
        ("expired", "it waited longer than its queue keeps messages"),
        ("maxlen", "its queue was full"),
        ("rejected", "rejected, and its worker could not write why; its log says it"),
        ("a word of tomorrow", "a word of tomorrow"),
    ],
)
def test_rabbitmqs_reasons_are_told_in_our_words(rabbitmqs, ours):
    assert letter(**{"x-first-death-reason": rabbitmqs}).reason == ours


def test_a_letter_without_anything_is_still_shown():
    assert (letter().id, letter().reason, letter().queue, letter().group, letter().died_at) == (
        "None",
        "unknown",
        None,
        None,
        None,
    )


def test_a_new_life_begins_without_the_marks_of_death():
    assert RABBITMQS.requeued_headers() == {"id": "b", "task": "gateway.DEADLY", "retries": 0, "requeues": 1}
    assert letter(requeues=1, retries=3, eta="x", reason="x").requeued_headers() == {"retries": 0, "requeues": 2}


def test_filters_are_parts_of_texts_in_any_case():
    both = [OURS, RABBITMQS]

    assert list(matching(both, {"reason": "valueerror", "task": None})) == [OURS]
    assert list(matching(both, {"group": "default", "reason": "lost"})) == [RABBITMQS]
    assert list(matching(both, {})) == both
