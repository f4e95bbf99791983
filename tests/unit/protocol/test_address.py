import pytest

from gateway_service.protocol.address import connect_url, is_dialable, may_resume_at


@pytest.mark.parametrize(
    "base", ["wss://gateway.discord.gg", "wss://gateway.discord.gg/", "wss://gateway.discord.gg/?v=6&x=1"]
)
def test_the_query_is_ours_whatever_the_base_looks_like(base):
    assert connect_url(base, "zlib-stream") == "wss://gateway.discord.gg/?v=10&encoding=json&compress=zlib-stream"


def test_no_compression_leaves_the_parameter_out():
    assert connect_url("ws://127.0.0.1:8080/gate", "none") == "ws://127.0.0.1:8080/gate?v=10&encoding=json"


@pytest.mark.parametrize("url", ["wss://x", "ws://localhost:1", "wss://[::1]:2/path"])
def test_a_websocket_address_is_dialable(url):
    assert is_dialable(url)


@pytest.mark.parametrize(
    "url",
    [
        *(None, 1, "", "https://x", "x", "wss://", "wss://[", "wss://x:port", "wss://x:0", "wss://a b", "wss://é"),
        *("wss://a..b", "wss://.a", f"wss://{'a' * 64}.example"),
    ],
)
def test_anything_else_is_not_dialable(url):
    assert not is_dialable(url)


@pytest.mark.parametrize(
    ("url", "gateway_url", "may"),
    [
        ("wss://x", "wss://g", True),
        ("ws://x", "ws://g", True),
        ("wss://x", "ws://g", True),
        ("ws://x", "wss://g", False),
        (None, "wss://g", False),
    ],
)
def test_a_token_does_not_leave_an_encrypted_gateway_in_clear_text(url, gateway_url, may):
    assert may_resume_at(url, gateway_url=gateway_url) is may
