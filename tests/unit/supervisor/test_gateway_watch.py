import asyncio
from contextlib import asynccontextmanager

import pytest

from gateway_service.errors import EX_CONFIG, EX_UNAVAILABLE, ApiUnavailable
from gateway_service.supervisor.gateway_info import GatewayInfo
from gateway_service.supervisor.gateway_watch import GatewayWatch

HERE = "wss://gateway.discord.gg"
THERE = "wss://elsewhere.discord.gg"
SILENCE = ApiUnavailable("https://discord.com/api/v10", "no answer")


def info(url, shards=4):
    return GatewayInfo(
        url=url,
        shards=shards,
        max_concurrency=1,
        identifies_total=1000,
        identifies_remaining=1000,
        reset_after_s=0.0,
    )


class Watched:
    """A watch with answers of a test's, and what it told."""

    def __init__(self, *answers, is_url_set=False, is_count_set=True):
        self.answers = list(answers)
        self.questions = 0
        self.urls = []
        self.refusals = []
        self.watch = GatewayWatch(
            HERE,
            4,
            self.answer if answers else None,
            is_url_set=is_url_set,
            is_count_set=is_count_set,
            use_url=self.urls.append,
            refuse_count=self.refusals.append,
        )

    async def answer(self):
        self.questions += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @asynccontextmanager
    async def running(self):
        task = asyncio.ensure_future(self.watch.run())
        yield self
        for _ in range(10):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])


async def test_a_url_that_failed_is_replaced_by_discords_answer():
    async with Watched(info(THERE)).running() as watched:
        watched.watch.url_failed()

    assert (watched.urls, watched.watch.url) == ([THERE], THERE)


async def test_all_shards_ask_once():
    async with Watched(info(HERE), info(THERE)).running() as watched:
        for _ in range(10):
            watched.watch.url_failed()
            await asyncio.sleep(0)

    assert (watched.questions, watched.urls) == (1, [])


async def test_without_an_answer_the_present_url_goes_on_to_count():
    async with Watched(SILENCE).running() as watched:
        watched.watch.url_failed()

    assert (watched.questions, watched.urls, watched.watch.url) == (1, [], HERE)


@pytest.mark.parametrize("watched", [Watched(), Watched(info(THERE), is_url_set=True)])
async def test_a_url_of_the_operators_is_kept(watched):
    async with watched.running():
        watched.watch.url_failed()

    assert (watched.questions, watched.watch.url) == (0, HERE)


async def test_an_answer_to_somebody_elses_question_is_used_too():
    async with Watched(info(THERE)).running() as watched:
        assert (await watched.watch.ask()).url == THERE

    assert watched.urls == [THERE]


@pytest.mark.parametrize(
    ("watched", "words", "exit_code"),
    [
        (Watched(info(HERE, shards=8)), "GATEWAY_SHARD_COUNT is 4; Discord recommends 8", EX_CONFIG),
        (Watched(info(HERE, shards=8), is_count_set=False), "which the next start takes", EX_UNAVAILABLE),
        (Watched(SILENCE), "GET /gateway/bot would tell", EX_CONFIG),
        (Watched(), "GET /gateway/bot would tell", EX_CONFIG),
    ],
)
async def test_a_refused_count_is_compared_with_what_discord_recommends_now(watched, words, exit_code):
    async with watched.running():
        watched.watch.count_refused(2, 4011)

    [decision] = watched.refusals
    assert words in decision.reason
    assert decision.exit_code == exit_code


async def test_a_refused_count_is_never_too_soon_to_ask():
    async with Watched(info(HERE), info(HERE)).running() as watched:
        watched.watch.url_failed()
        await asyncio.sleep(0)
        watched.watch.count_refused(2, 4010)
        watched.watch.count_refused(3, 4010)

    assert (watched.questions, len(watched.refusals)) == (2, 2)
