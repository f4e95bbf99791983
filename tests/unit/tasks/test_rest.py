import json

import httpx
import pytest
from celery.exceptions import Retry

from tasks.rest import DiscordRest, Post, Refused, TryAgain, retried

POST = Post(channel_id="20", content="pong", nonce="n", reply_to="10", mentions=("30",))


class Discord:
    """Answers every request with one prepared response and keeps the requests."""

    def __init__(self, *responses: httpx.Response | Exception) -> None:
        self.responses = list(responses)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        response = self.responses.pop(0)
        if isinstance(response, Exception):
            raise response
        return response


def rest_with(*responses):
    discord = Discord(*responses)
    return DiscordRest("https://api/v10", "the.token", httpx.MockTransport(discord)), discord


def test_a_message_is_posted_with_the_token():
    rest, discord = rest_with(httpx.Response(200, json={}))

    rest.post(POST)

    [request] = discord.requests
    assert (request.method, str(request.url)) == ("POST", "https://api/v10/channels/20/messages")
    assert request.headers["Authorization"] == "Bot the.token"
    assert json.loads(request.content) == {
        "content": "pong",
        "nonce": "n",
        "enforce_nonce": True,
        "allowed_mentions": {"parse": [], "users": ["30"]},
        "message_reference": {"message_id": "10", "fail_if_not_exists": False},
    }


def test_a_deferred_interaction_is_answered_in_its_place():
    rest, discord = rest_with(httpx.Response(200, json={}))

    rest.answer("5", "secret", "pong")

    [request] = discord.requests
    assert (request.method, str(request.url)) == ("PATCH", "https://api/v10/webhooks/5/secret/messages/@original")
    assert json.loads(request.content) == {"content": "pong", "allowed_mentions": {"parse": []}}
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(
    ("response", "retry_after_s"),
    [
        (httpx.Response(429, json={"retry_after": 0.65, "global": False}, headers={"Retry-After": "1"}), 0.65),
        (httpx.Response(429, text="<html>", headers={"Retry-After": "3"}), 3.0),
        (httpx.Response(429, json=[]), 5.0),
        (httpx.Response(503, text="<html>"), 5.0),
        (httpx.ConnectError("no route"), 5.0),
        (httpx.ReadTimeout("slow"), 5.0),
    ],
)
def test_what_may_succeed_later_says_when(response, retry_after_s):
    rest, _ = rest_with(response)

    with pytest.raises(TryAgain) as refused:
        rest.post(POST)

    assert refused.value.retry_after_s == retry_after_s


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (
            httpx.Response(403, json={"code": 50001, "message": "Missing Access"}),
            "Discord refused a message: HTTP 403, 50001 Missing Access",
        ),
        (httpx.Response(404, text="<html>"), "Discord refused a message: HTTP 404, 0 Not Found"),
    ],
)
def test_what_never_succeeds_says_why(response, text):
    rest, _ = rest_with(response)

    with pytest.raises(Refused) as refused:
        rest.post(POST)

    assert str(refused.value) == text


def test_no_error_shows_the_token_of_an_interaction():
    rest, _ = rest_with(httpx.Response(404, json={"code": 10015, "message": "Unknown Webhook"}))

    with pytest.raises(Refused) as refused:
        rest.answer("5", "secret", "pong")

    assert str(refused.value) == "Discord refused the answer to an interaction: HTTP 404, 10015 Unknown Webhook"


class Task:
    """Retries as a Celery task does: by an exception."""

    def retry(self, *, exc, countdown):
        return Retry(exc=exc, when=countdown)


def test_a_handler_is_retried_when_discord_says_so():
    with pytest.raises(Retry) as retry, retried(Task()):
        raise TryAgain("a message", 1.5)

    assert retry.value.when == 1.5


def test_a_handler_is_not_retried_for_anything_else():
    with pytest.raises(KeyError), retried(Task()):
        raise KeyError
