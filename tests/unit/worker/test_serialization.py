import json

import pytest

from gateway_service.worker.serialization import CONTENT_TYPE, UndecodableBody, decode_task_body, dumps, loads


@pytest.mark.parametrize("form", [str, str.encode, lambda text: memoryview(text.encode())])
def test_text_is_read_in_every_form_that_a_transport_delivers(form):
    assert loads(form('{"a":"\U0001f600"}')) == {"a": "\U0001f600"}


def test_what_looks_like_typed_json_is_left_alone():
    assert loads('{"__type__":"datetime","__value__":"x"}') == {"__type__": "datetime", "__value__": "x"}


def test_what_is_not_json_is_not_written():
    with pytest.raises(ValueError, match="not JSON compliant"):
        dumps([float("nan")])


@pytest.mark.parametrize("content_type", [CONTENT_TYPE, "application/json"])
def test_a_task_body_has_three_parts(content_type):
    assert decode_task_body(b'[[1],{"a":2},null]', content_type) == [[1], {"a": 2}, None]


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"[[", "application/json", "its body is not JSON"),
        (b'[["\xff"],{},{}]', "application/json", "its body is not JSON"),
        (b"[[Infinity],{},{}]", "application/json", "its body is not JSON: Infinity is not JSON"),
        (b"", "application/json", "its body is not JSON"),
        (b"5", "application/json", "its body is not .args, kwargs, embed."),
        (b"[[],{}]", "application/json", "its body is not .args, kwargs, embed."),
        (b"[{},[],{}]", "application/json", "its body is not .args, kwargs, embed."),
        (b"\x80\x04.", "application/x-python-serialize", "its content type is 'application/x-python-serialize'"),
        (b"[[],{},{}]", None, "its content type is None"),
    ],
)
def test_anything_else_is_refused_with_a_reason(body, content_type, reason):
    with pytest.raises(UndecodableBody, match=reason):
        decode_task_body(body, content_type)


def test_the_reason_shows_nothing_of_the_content():
    with pytest.raises(UndecodableBody) as refused:
        decode_task_body(b'[["a secret', "application/json")

    assert "secret" not in str(refused.value)


def test_as_deep_as_it_is_read_it_is_written():
    deep = json.loads("[" * 200 + "]" * 200)

    assert loads(dumps(deep)) == deep
