from __future__ import annotations

from piktid_async.protocol.messages import Request, Response


def test_a_request_is_named_by_method_and_path_alone():
    request = Request(method="GET", path="/x", params={"token": "opensesame"})
    assert request.call == "GET /x"


def test_a_request_is_not_sent_twice_unless_it_says_so():
    assert Request(method="GET", path="/x").replayable is False


def test_a_response_shows_neither_headers_nor_body():
    response = Response(status=200, headers={"set-cookie": "opensesame"}, body=b"opensesame")
    assert "opensesame" not in repr(response)
