"""The Shards page in a real Flower, used by a real browser: clicks, and what the simulator saw of them."""

import json
import socket
from functools import partial
from pathlib import Path

import httpx
import pytest
from tornado.web import create_signed_value

from gateway_service.protocol.constants import Opcode
from tests.support.connection import application_on
from tests.support.control_stack import ON_ANY_BROKER
from tests.support.flower import (
    BASIC_AUTH,
    CREDENTIALS,
    OUR_ACTION,
    oldest_flower,
    running_browser,
    running_flower,
    take_picture,
)
from tests.support.secrecy import seen
from tests.support.waiting import TIMEOUT_S, wait_until

pytestmark = pytest.mark.slow

NASTY = """<b id="evil">"quoted"</b> & 'tags' \\ </script>"""
BROWSER_TIMEOUT_MS = 1000 * TIMEOUT_S


@pytest.fixture
def flower(stack, flowers):
    return flowers(stack.broker_url)


@pytest.fixture(scope="module")
def browser():
    with running_browser() as browser:
        yield browser


@pytest.fixture
def opened(browser):
    """Return a function that opens the page; every fault of its script fails the test."""
    contexts, pages, faults = [], [], []

    def open_page(flower, *, width=1440, height=1000, scheme="light", cookies=()):
        context = browser.new_context(
            http_credentials={"username": CREDENTIALS[0], "password": CREDENTIALS[1]},
            viewport={"width": width, "height": height},
            color_scheme=scheme,
        )
        context.set_default_timeout(BROWSER_TIMEOUT_MS)
        context.add_cookies([*cookies])
        contexts.append(context)
        page = context.new_page()
        pages.append(page)
        page.add_init_script(RECORD_TOASTS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{flower.url}/shards")
        page.wait_for_selector("#gw-rows tr")
        return page

    yield open_page
    for page in pages:
        seen(page.content())
    for context in contexts:
        context.close()
    assert faults == []


# A message that is no error stays for five seconds only, and a busy machine may not look at the page for so long.
RECORD_TOASTS = """
    window.toasts = [];
    new MutationObserver((changes) => {
      for (const { addedNodes } of changes)
        for (const node of addedNodes) if (node.classList?.contains("gw-toast")) window.toasts.push(node.innerText);
    }).observe(document, { childList: true, subtree: true });
"""


def wait_for_toast(page, text):
    """Wait for the next message of the page; it must hold ``text``."""
    page.wait_for_function("window.toasts.length > 0")
    assert text in page.evaluate("window.toasts.shift()")


def all_live(page):
    page.wait_for_function("document.querySelectorAll('#gw-rows tr[data-tone=good]').length === 8")


def column(page, key):
    return page.eval_on_selector_all(f"#gw-rows td[data-key={key}]", "cells => cells.map(cell => cell.textContent)")


def test_selected_shards_of_two_hosts_resume(stack, flower, opened):
    page = opened(flower)
    all_live(page)
    resumes = len(stack.simulator.transcript.payloads(Opcode.RESUME))

    page.get_by_label("Select shard 2").check()
    page.get_by_label("Select shard 5").check()
    page.get_by_role("button", name="Resume", exact=True).click()

    wait_for_toast(page, "2 shards asked to resume.")
    wait_until(lambda: len(stack.simulator.transcript.payloads(Opcode.RESUME)) == resumes + 2)
    all_live(page)
    page.get_by_text("of 1,000").first.wait_for()
    take_picture(page, "shards-light", full_page=True)


def by_the_button(page, shard_id):
    page.get_by_label(f"Select shard {shard_id}").set_checked(checked=True)
    page.get_by_role("button", name="Identify anew…").click()


def by_the_form(page, shard_id):
    page.locator("[name=operation]").select_option("restart_shard")
    page.locator("[name='argument:shard_id']").fill(str(shard_id))
    page.locator("[name='argument:mode']").select_option("identify")
    page.get_by_role("button", name="Run", exact=True).click()


# A shard of its own for each: the breaker lets none IDENTIFY a third time at once.
@ON_ANY_BROKER
@pytest.mark.parametrize(
    ("ask", "done"),
    [
        (partial(by_the_button, shard_id=6), "1 shard asked to identify."),
        (partial(by_the_form, shard_id=7), "restart_shard: done."),
    ],
    ids=["by_the_button", "by_the_form"],
)
def test_identify_asks_first(stack, flower, opened, ask, done):
    page = opened(flower)
    all_live(page)
    identifies = len(stack.simulator.transcript.payloads(Opcode.IDENTIFY))

    ask(page)
    page.get_by_text("1 session will end, and 1 of today's IDENTIFYs will be spent.").wait_for()
    take_picture(page, "shards-confirm")
    page.get_by_role("button", name="Cancel").click()
    ask(page)
    page.get_by_role("button", name="Identify anew", exact=True).click()

    wait_for_toast(page, done)
    wait_until(lambda: len(stack.simulator.transcript.payloads(Opcode.IDENTIFY)) == identifies + 1)
    all_live(page)


def test_a_presence_with_quotes_and_tags_arrives_as_it_was_typed(stack, flower, opened):
    page = opened(flower, scheme="dark")
    all_live(page)

    page.get_by_label("Select shard 1").check()
    page.get_by_label("Text").fill(NASTY)
    page.locator("[name=status]").select_option("dnd")
    page.get_by_label("the 1 selected").check()
    assert page.locator("#gw-preview-text").inner_text() == f"Playing {NASTY}"
    page.get_by_role("button", name="Set presence").click()
    wait_for_toast(page, "Presence set for 1 shard.")

    def told():
        presences = [record.data for record in stack.simulator.transcript.payloads(Opcode.PRESENCE_UPDATE)]
        return [each for each in presences if [activity["name"] for activity in each["activities"]] == [NASTY]]

    assert wait_until(told)[0]["status"] == "dnd"
    assert page.locator("#evil").count() == 0
    take_picture(page, "shards-dark", full_page=True)


@ON_ANY_BROKER
def test_every_other_operation_has_a_form(stack, flower, opened):
    page = opened(flower)
    all_live(page)
    guild_id, channel_id = stack.guild_of(5), 123456789012345678

    def run(operation, **texts):
        page.locator("[name=operation]").select_option(operation)
        for name, text in texts.items():
            page.locator(f"[name='argument:{name}']").fill(str(text))
        page.get_by_role("button", name="Run", exact=True).click()

    def answer():
        page.locator("#gw-operation-answer").wait_for()
        return json.loads(page.locator("#gw-operation-answer").inner_text())

    run("update_voice_state", guild_id=guild_id, channel_id=channel_id)
    assert [*answer().values()] == [{"shard_id": 5}]
    wait_until(lambda: stack.simulator.hub.voice_channels.get(guild_id) == channel_id)
    page.locator("[name='argument:channel_id']").fill("")
    page.get_by_role("button", name="Run", exact=True).click()
    assert [*answer().values()] == [{"shard_id": 5}]
    wait_until(lambda: stack.simulator.hub.voice_channels.get(guild_id) is None)
    run("request_guild_members", guild_id=guild_id, user_ids='["1"]', timeout_s=30)
    [members] = answer().values()
    assert (members["shard_id"], members["not_found"]) == (5, ["1"])
    run("reload_routes")
    assert len(answer()) == 2
    take_picture(page, "shards-operations", full_page=True)

    page.locator("[name=operation]").select_option("drain")
    page.locator("[name=host]").select_option(index=1)
    second = page.locator("[name=host]").input_value()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_text(f"drain on {second}?").wait_for()
    page.get_by_role("button", name="Cancel").click()
    run("identify_budget")
    assert [*answer()] == [second]
    body = {"operation": "drain", "host": "", "arguments": {}}
    refused = flower.request("POST", "/shards/operation", json=body, **OUR_ACTION)
    assert refused.json()["failures"][0]["message"] == "drain: concerns one host; choose it"


@ON_ANY_BROKER
def test_rows_are_sorted_filtered_and_selected(flower, opened):
    page = opened(flower)
    all_live(page)

    page.locator("#gw-columns").get_by_role("button", name="Shard").click()
    assert column(page, "shard") == [str(shard_id) for shard_id in reversed(range(8))]
    page.locator("#gw-host").select_option(index=2)
    assert sorted(column(page, "shard")) == ["4", "5", "6", "7"]
    page.get_by_label("Filter shards").fill("live 6")
    assert column(page, "shard") == ["6"]
    page.get_by_label("Select every shard shown").check()
    assert page.locator("#gw-count").inner_text() == "1 of 8 shards, 1 selected"
    assert page.get_by_label("All shown").is_hidden()
    page.get_by_label("Filter shards").fill("nothing like this")
    assert page.locator("#gw-empty").inner_text() == "No shard matches this filter."


@ON_ANY_BROKER
@pytest.mark.parametrize("width", [911, 1091, 1341])
def test_no_column_is_cut_off(flower, opened, width):
    page = opened(flower, width=width)

    assert (
        page.evaluate(
            "(({scrollWidth, clientWidth}) => scrollWidth - clientWidth)(document.querySelector('.gw-scroll'))"
        )
        == 0
    )


@ON_ANY_BROKER
def test_a_phone_shows_cards_and_does_not_scroll_sideways(flower, opened):
    page = opened(flower, width=390, height=844)
    all_live(page)

    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.get_by_role("button", name="Ascending").click()
    assert column(page, "shard") == [str(shard_id) for shard_id in reversed(range(8))]
    page.get_by_label("Filter shards").fill("6")
    page.get_by_label("All shown").check()
    page.get_by_label("Filter shards").fill("")
    assert page.locator("#gw-count").inner_text() == "8 shards, 1 selected"
    assert page.get_by_label("All shown").evaluate("box => box.indeterminate")
    page.locator("#gw-order").select_option("guilds")
    assert page.get_by_role("button", name="Descending").is_visible()
    take_picture(page, "shards-phone")


def test_a_rolling_restart_shows_how_far_it_is(stack, flower, opened):
    page = opened(flower)
    all_live(page)
    identifies = len(stack.simulator.transcript.payloads(Opcode.IDENTIFY))
    closes = len(stack.simulator.transcript.closes())

    page.get_by_role("button", name="Rolling restart…").click()
    page.get_by_role("button", name="Rolling restart", exact=True).click()
    page.locator("#gw-roll").wait_for()
    take_picture(page, "shards-rolling")

    page.wait_for_function(
        "[...document.querySelectorAll('#gw-roll .gw-badge')].map(b => b.textContent).join() === 'done,done'"
    )
    assert page.locator("#gw-roll").inner_text().count("identifies used: 0, dispatches lost: 0") == 2
    assert len(stack.simulator.transcript.payloads(Opcode.IDENTIFY)) == identifies
    left = [record.shard_id for record in stack.simulator.transcript.closes()[closes:]]
    assert [*map(sorted, (left[:4], left[4:]))] == [[0, 1, 2, 3], [4, 5, 6, 7]]  # one host after the other
    stack.wait_until_live()


@ON_ANY_BROKER
def test_a_host_whose_turn_comes_is_shown_as_waiting(flower, opened):
    page = opened(flower)
    facts = {
        "processes": 2,
        "processes_done": 2,
        "identifies_used": 0,
        "dispatches_lost": 0,
        "reason": None,
        "then": [],
        "began_at": 2.0,
    }
    rolls = [
        {"host": "gateway@a", "state": "rolling", **facts, "then": ["gateway@b"]},
        {"host": "gateway@b", "state": "done", **facts, "began_at": 1.0},  # of a roll before
        {"host": "gateway@c", "state": "halted", **facts, "reason": "it broke", "then": ["gateway@d", "gateway@e"]},
        {"host": "gateway@d", "state": "done", **facts, "began_at": 1.0},  # of a roll before
        {"host": "gateway@e", "state": "done", **facts, "began_at": 3.0},  # of one that somebody began later
    ]

    shown = page.evaluate(
        """async (rolls) => {
            const script = document.querySelector('script[type=module]').src.replace('shards.js', 'panels.js');
            const { showRolls } = await import(script);
            showRolls(rolls);
            return [...document.querySelectorAll('#gw-roll .gw-roll-line')].map((line) => line.innerText);
        }""",
        rolls,
    )

    states = [line.split()[:2] for line in shown]
    assert states == [["a", "rolling"], ["b", "waiting"], ["c", "halted"], ["e", "done"]]
    assert "it broke; d stays as it is" in shown[2]


@ON_ANY_BROKER
def test_the_words_of_a_supervisor_are_shown(flower, opened):
    answer = flower.request("POST", "/shards/restart", json={"shard_ids": [99], "mode": "resume"}, **OUR_ACTION)

    assert answer.json()["failures"][0]["code"] == "unknown_shard"
    assert "there is no shard 99: the bot has 8" in answer.json()["failures"][0]["message"]
    page = opened(flower)
    page.evaluate("""import(document.querySelector('script[type=module]').src.replace('shards.js', 'toast.js'))
        .then(({toast}) => toast('<i>no</i>', 'bad'))""")
    assert page.locator(".gw-toast").inner_text().startswith("<i>no</i>")


@ON_ANY_BROKER
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("{}", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("{}", {"Origin": "http://evil.example"}, 403),
        ("{}", {"Sec-Fetch-Site": "same-origin"}, 400),
        ('{"presence": {"status": "sleeping"}}', {"Sec-Fetch-Site": "same-origin"}, 422),
        (" " * 70_000, {"Sec-Fetch-Site": "same-origin"}, 413),
    ],
)
def test_actions_that_cannot_be_meant_are_refused(flower, body, headers, status):
    answer = flower.request("POST", "/shards/presence", content=body, headers=headers, auth=CREDENTIALS)

    assert answer.status_code == status


@ON_ANY_BROKER
def test_what_is_no_version_and_more_shards_than_at_once_are_refused(flower):
    for since in ("x", "", "1.5"):
        assert flower.request("GET", f"/shards/news?since={since}", auth=CREDENTIALS).status_code == 400

    body = {"shard_ids": [*range(251)], "mode": "resume"}
    answer = flower.request("POST", "/shards/restart", json=body, **OUR_ACTION)

    assert answer.status_code == 422
    assert "251 shards are too many at once; select up to 250" in answer.json()["failures"][0]["message"]


@ON_ANY_BROKER
def test_who_is_not_known_sees_and_does_nothing(flower):
    assert flower.request("GET", "/shards").status_code == 401
    assert flower.request("GET", "/shards/news").status_code == 401
    assert flower.request("POST", "/shards/roll", json={}).status_code == 401


def test_shards_are_nodes_on_the_workers_page(stack, flower):
    name = f"shard-3@{socket.gethostname()}"
    wait_until(lambda: name in flower.request("GET", "/workers?json=1", auth=CREDENTIALS).text)
    wait_until(lambda: flower.request("GET", f"/worker/{name}", auth=CREDENTIALS).status_code == 200)
    resumes = len(stack.simulator.transcript.payloads(Opcode.RESUME))

    restarted = flower.request("POST", f"/api/worker/pool/restart/{name}", **OUR_ACTION)

    assert restarted.status_code == 200, restarted.text
    wait_until(lambda: len(stack.simulator.transcript.payloads(Opcode.RESUME)) == resumes + 1)
    stack.wait_until_live()


@ON_ANY_BROKER
def test_read_only_under_a_prefix(stack, opened, tmp_path):
    options = (BASIC_AUTH, "--read_only=true", "--url_prefix=ops")
    with running_flower(stack.broker_url, tmp_path, *options) as flower:
        page = opened(flower)
        all_live(page)
        page.get_by_label("Select shard 2").check()
        page.get_by_text("Flower is read-only").wait_for()
        assert page.get_by_role("button", name="Resume", exact=True).is_disabled()
        answer = flower.request("POST", "/shards/roll", json={}, **OUR_ACTION)
        assert (answer.status_code, answer.text) == (403, "Flower is read-only (--read_only)")


@ON_ANY_BROKER
def test_the_oldest_flower_has_the_page_too(stack, opened, tmp_path):
    folder = oldest_flower(tmp_path / "oldest")
    with running_flower(stack.broker_url, tmp_path, BASIC_AUTH, PYTHONPATH=str(folder)) as flower:
        page = opened(flower)
        all_live(page)
        resumes = len(stack.simulator.transcript.payloads(Opcode.RESUME))
        page.get_by_label("Select shard 4").check()
        page.get_by_role("button", name="Resume", exact=True).click()
        wait_for_toast(page, "1 shard asked to resume.")
        wait_until(lambda: len(stack.simulator.transcript.payloads(Opcode.RESUME)) == resumes + 1)
        take_picture(page, "shards-oldest-flower", full_page=True)
        assert (folder / "flower").is_dir()


@ON_ANY_BROKER
@pytest.mark.parametrize("status", [401, 403])
def test_a_sign_in_that_is_refused_offers_another(flower, opened, status):
    page = opened(flower)
    page.route("**/shards/news?*", lambda route: route.fulfill(status=status))
    page.get_by_text("Your sign-in has expired.").wait_for()
    take_picture(page, "shards-signed-out")
    page.evaluate("window.isOld = true")
    page.get_by_role("link", name="Sign in again").click()
    page.wait_for_function("!window.isOld")
    page.unroute("**/shards/news?*")
    all_live(page)
    assert page.get_by_role("link", name="Sign in again").is_hidden()


@ON_ANY_BROKER
def test_a_signed_in_person_needs_the_xsrf_token_of_the_page(stack, opened, tmp_path):
    secret = "a-key-to-sign-cookies-with"
    options = ("--auth=ann@example.com", "--auth_provider=flower.views.auth.GoogleAuth2LoginHandler")
    oauth = ("--oauth2_key=k", "--oauth2_secret=s", "--oauth2_redirect_uri=http://127.0.0.1/login")
    user = create_signed_value(secret, "user", "ann@example.com").decode()
    with (
        running_flower(stack.broker_url, tmp_path, *options, *oauth, f"--cookie_secret={secret}") as flower,
        httpx.Client(base_url=flower.url, cookies={"user": user}, trust_env=False, timeout=TIMEOUT_S) as ann,
    ):
        assert flower.request("GET", "/shards").status_code == 302
        assert ann.get("/shards").status_code == 200
        body = {"shard_ids": [99], "mode": "resume"}
        same_origin = {"Sec-Fetch-Site": "same-origin"}
        assert ann.post("/shards/restart", json=body, headers=same_origin).status_code == 403
        answer = ann.post("/shards/restart", json=body, headers={**same_origin, "X-XSRFToken": ann.cookies["_xsrf"]})
        page = opened(flower, cookies=[{"name": "user", "value": user, "url": flower.url}])
        page.route("https://**", lambda route: route.abort())  # the sign-in is at Google's
        page.context.clear_cookies()
        page.get_by_text("Your sign-in has expired.").wait_for()

    assert "there is no shard 99" in answer.json()["failures"][0]["message"]


@ON_ANY_BROKER
def test_without_authentication_only_our_own_page_may_act(stack, tmp_path):
    with running_flower(stack.broker_url, tmp_path, FLOWER_UNAUTHENTICATED_API="true") as flower:
        assert "Flower runs without authentication" not in flower.request("GET", "/shards").text
        body = {"shard_ids": [99], "mode": "resume"}
        ours = flower.request("POST", "/shards/restart", json=body, headers={"Sec-Fetch-Site": "same-origin"})
        foreign = flower.request("POST", "/shards/restart", json=body, headers={"Sec-Fetch-Site": "cross-site"})
        rebound = {"Sec-Fetch-Site": "same-origin", "Host": "attacker.example"}
        by_another_name = flower.request("POST", "/shards/restart", json=body, headers=rebound)

    assert by_another_name.status_code == 403
    assert "there is no shard 99" in ours.json()["failures"][0]["message"]
    assert foreign.status_code == 403


def fields_of(shard_id):
    return {
        "shard_id": shard_id,
        "host": f"gateway@bot-{shard_id // 250}",
        "process": shard_id // 16,
        "state": "live" if shard_id % 97 else "resuming",
        "since": 1.7e9,
        "session": f"session-{shard_id}",
        "session_since": 1.7e9,
        "latency_s": 0.04,
        "guilds": 1000 + shard_id,
        "received": 5000 + shard_id,
        "published": 5000,
        "received_seq": 5000 + shard_id,
        "published_seq": 5000,
        "replayed": 0,
        "duplicates": 0,
        "gaps": 0,
        "is_balanced": True,
        "spool_rows": 0,
        "rung": "confirming",
        "restarts": 0,
        "freq": 50.0,
    }


def test_an_empty_broker_says_what_to_do_and_a_thousand_shards_are_one_table(rabbitmq_url, opened, browser, tmp_path):
    """One Flower without authentication serves both."""
    with running_flower(rabbitmq_url, tmp_path) as flower, application_on(rabbitmq_url) as app:
        says_what_to_do(flower, browser)
        shows_a_thousand_shards(flower, opened, app)


def says_what_to_do(flower, browser):
    page = browser.new_page()
    page.set_default_timeout(BROWSER_TIMEOUT_MS)
    page.goto(f"{flower.url}/shards")
    page.get_by_text("No gateway answers on this broker.").wait_for()
    page.get_by_text("Flower runs without authentication").wait_for()
    assert flower.request("POST", "/shards/roll", json={}).status_code == 401
    take_picture(page, "shards-empty")
    page.close()


def shows_a_thousand_shards(flower, opened, app):
    def news(since=0):
        return flower.request("GET", f"/shards/news?since={since}").json()

    with app.connection_for_write() as connection:
        events = app.events.Dispatcher(connection, hostname="gateway@fleet", enabled=True)
        # A broker passes events on only to who listens already.
        wait_until(lambda: events.send("gateway-shard", **fields_of(0)) or news()["rows"])
        for shard_id in range(1000):
            events.send("gateway-shard", **fields_of(shard_id))
        wait_until(lambda: len(news()["shard_ids"]) == 1000)
        page = opened(flower)
        page.wait_for_function("document.querySelectorAll('#gw-rows tr').length === 1000")
        page.locator("#gw-columns").get_by_role("button", name="Guilds").click()
        assert column(page, "shard")[0] == "999"
        take_picture(page, "shards-thousand")
        known = news()
        events.send("gateway-shard", **fields_of(7) | {"state": "FATAL", "reason": "disallowed intents"})
        page.wait_for_selector("tr[data-shard='7'][data-tone=bad]")
        answer = flower.request("GET", f"/shards/news?since={known['version']}&epoch={known['epoch']}")
        assert [row["shard_id"] for row in answer.json()["rows"]] == [7]


def test_every_file_of_the_page_is_ours():
    folder = Path(__file__).parents[3] / "gateway_service" / "flower"
    for path in [*folder.rglob("*.js"), *folder.rglob("*.css"), *folder.rglob("*.html")]:
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path
        assert "innerHTML" not in text, path
        assert " onclick" not in text, path
        assert " style=" not in text, path
