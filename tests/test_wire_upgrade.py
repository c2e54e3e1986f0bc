"""The opening handshake of a WebSocket, and what is agreed on about compression."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import wsproto
from hypothesis import given
from hypothesis import strategies as st
from wsproto.events import AcceptConnection, Request
from wsproto.extensions import PerMessageDeflate

from megacomet.errors import PeerError
from megacomet.wire.http import parse_head
from megacomet.wire.problems import problem_response
from megacomet.wire.upgrade import Upgrade, read_upgrade, switching

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
AGREED = b"permessage-deflate; server_no_context_takeover; client_no_context_takeover"
USUAL: dict[bytes, bytes] = {
    b"Host": b"x",
    b"Upgrade": b"websocket",
    b"Connection": b"Upgrade",
    b"Sec-WebSocket-Key": KEY,
    b"Sec-WebSocket-Version": b"13",
}


def handshake(line: bytes = b"GET /comet/ws HTTP/1.1", more: Sequence[bytes] = (), **changed: bytes | None) -> Upgrade:
    """Read the usual handshake with headers changed, added or (None) left out."""
    headers: dict[bytes, bytes | None] = {**USUAL}
    headers.update({name.replace("_", "-").encode(): value for name, value in changed.items()})
    lines = [b"%b: %b" % (name, value) for name, value in headers.items() if value is not None]
    return read_upgrade(parse_head(b"\r\n".join((line, *lines, *more, b"", b""))))


def refusal(line: bytes = b"GET /comet/ws HTTP/1.1", more: Sequence[bytes] = (), **changed: bytes | None) -> str:
    """Return the code that a handshake is refused with."""
    with pytest.raises(PeerError) as caught:
        handshake(line, more, **changed)
    return caught.value.code


def test_the_example_of_the_rfc() -> None:
    """The key of RFC 6455, 1.3 is accepted with the value that stands there."""
    assert handshake() == Upgrade(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", b"", 0, b"")
    assert handshake(Sec_WebSocket_Key=b"AQIDBAUGBwgJCgsMDQ4PEC==").deflate_bits == 0


@pytest.mark.parametrize(
    "changed",
    [
        {"Upgrade": b"WebSocket"},
        {"Upgrade": b"h2c, websocket"},
        {"Connection": b"keep-alive, Upgrade"},
        {"Connection": b"keep-alive,upgrade"},
        {"Connection": b"UPGRADE"},
        {"Content_Length": b"0"},
    ],
)
def test_forms_of_a_handshake(changed: dict[str, bytes]) -> None:
    """Tokens stand in lists and have no case."""
    assert handshake(**changed) == handshake()


@pytest.mark.parametrize(
    ("code", "line", "changed"),
    [
        ("upgrade-required", b"POST / HTTP/1.1", {}),
        ("upgrade-required", b"HEAD / HTTP/1.1", {}),
        ("upgrade-required", b"GET / HTTP/1.0", {}),
        ("upgrade-required", b"", {"Upgrade": None}),
        ("upgrade-required", b"", {"Upgrade": b"h2c"}),
        ("upgrade-required", b"", {"Upgrade": b"websockets"}),
        ("upgrade-required", b"", {"Sec_WebSocket_Version": None}),
        ("upgrade-required", b"", {"Sec_WebSocket_Version": b"8"}),
        ("upgrade-required", b"", {"Sec_WebSocket_Version": b"13, 8"}),
        ("upgrade-required", b"", {"Sec_WebSocket_Version": b"013"}),
        ("bad-request", b"", {"Connection": None}),
        ("bad-request", b"", {"Connection": b"keep-alive"}),
        ("bad-request", b"", {"Connection": b"close, upgraded"}),
        ("bad-request", b"", {"Content_Length": b"5"}),
        ("bad-request", b"", {"Transfer_Encoding": b"chunked"}),
        ("bad-request", b"", {"Sec_WebSocket_Key": None}),
        ("bad-request", b"", {"Sec_WebSocket_Key": b""}),
        ("bad-request", b"", {"Sec_WebSocket_Key": b"dGhlIHNhbXBsZSBub25jZQ"}),
        ("bad-request", b"", {"Sec_WebSocket_Key": b"dGhlIHNhbXBsZSBub25jZQ==="}),
        ("bad-request", b"", {"Sec_WebSocket_Key": b"dGhlIHNhbXBsZSBub25jZQ= ="}),
        ("bad-request", b"", {"Sec_WebSocket_Key": b"dGhlIHNhbXBsZSBub25jZQ==, x"}),
        ("bad-request", b"", {"Sec_WebSocket_Key": b"dGhlIHNhbXBsZSBub25jZTEyMw=="}),
        ("bad-request", b"", {"Sec_WebSocket_Key": b"!!!!!!!!!!!!!!!!!!!!!!=="}),
        ("bad-request", b"", {"Sec_WebSocket_Key": b"\xff" * 24}),
    ],
)
def test_refusals(code: str, line: bytes, changed: dict[str, bytes | None]) -> None:
    """What is no handshake is asked for one; a broken one is an error."""
    assert refusal(line or b"GET / HTTP/1.1", **changed) == code


@pytest.mark.parametrize("name", [b"Sec-WebSocket-Key", b"Sec-WebSocket-Version"])
def test_doubled_headers(name: bytes) -> None:
    """What may stand once is refused when it stands twice, even with the same value."""
    assert refusal(more=[b"%b: %b" % (name, USUAL[name])]) == "bad-request"


def test_the_answer_tells_the_version() -> None:
    """Who asks for another version is told ours (RFC 6455, 4.2.2)."""
    answer = problem_response(PeerError("upgrade-required"), request_id="x", keep_alive=False, minor=1)
    assert answer.startswith(b"HTTP/1.1 426 ")
    assert b"\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" in answer


@pytest.mark.parametrize(
    ("lines", "chosen"),
    [
        ([], b""),
        ([b"chat"], b""),
        ([b"megacomet.v1"], b"megacomet.v1"),
        ([b"chat, megacomet.v1"], b"megacomet.v1"),
        ([b"chat", b"megacomet.v1,superchat"], b"megacomet.v1"),
        ([b"Megacomet.V1, megacomet.v10"], b""),
        ([b""], b""),
    ],
)
def test_subprotocol(lines: list[bytes], chosen: bytes) -> None:
    """Ours is chosen when it is offered; without it the connection goes on without one."""
    upgrade = handshake(more=[b"Sec-WebSocket-Protocol: " + line for line in lines])
    assert upgrade.protocol == chosen
    assert (b"Sec-WebSocket-Protocol" in switching(upgrade, b"")) == bool(chosen)


def test_the_client_s_order_counts() -> None:
    """Of several that are spoken here the client's first is chosen."""
    head = b"".join(b"%b: %b\r\n" % header for header in USUAL.items())
    head = b"GET / HTTP/1.1\r\nSec-WebSocket-Protocol: c, b, a\r\n" + head + b"\r\n"
    assert read_upgrade(parse_head(head), (b"a", b"b")).protocol == b"b"
    assert read_upgrade(parse_head(head), ()).protocol == b""


@pytest.mark.parametrize(
    ("offer", "bits"),
    [
        (b"permessage-deflate", 15),
        (b"permessage-deflate; client_max_window_bits", 15),
        (b"permessage-deflate; client_max_window_bits=8", 15),
        (b"permessage-deflate;client_max_window_bits=15;server_no_context_takeover", 15),
        (b"permessage-deflate; client_no_context_takeover; server_no_context_takeover", 15),
        (b"permessage-deflate; server_max_window_bits=9", 9),
        (b"permessage-deflate; server_max_window_bits=15", 15),
        (b'permessage-deflate; server_max_window_bits="10"', 10),
        (b'permessage-deflate ;\tserver_max_window_bits = "10" ; client_max_window_bits', 10),
        (b"x-webkit-deflate-frame, permessage-deflate", 15),
        (b"permessage-deflate; server_max_window_bits=8, permessage-deflate", 15),
        (b"permessage-deflate; mode=fast, permessage-deflate; server_max_window_bits=12, permessage-deflate", 12),
        (b'foo; bar="a, permessage-deflate; x, b", , permessage-deflate; server_max_window_bits=11', 11),
    ],
)
def test_offers_that_are_met(offer: bytes, bits: int) -> None:
    """The first acceptable offer wins, never with context takeover; a window of ours that is limited is confirmed."""
    upgrade = handshake(Sec_WebSocket_Extensions=offer)
    named = b"; server_max_window_bits=%d" % bits
    assert upgrade.deflate_bits == bits
    assert upgrade.extension in (AGREED, AGREED + named)
    assert (upgrade.extension == AGREED) == (bits == 15 and b"server_max_window_bits=15" not in offer)


@pytest.mark.parametrize(
    "offer",
    [
        b"",
        b",",
        b"permessage-bzip2",
        b"permessage-deflate2",
        b"Permessage-Deflate",
        b'"permessage-deflate"',
        b"permessage-deflate; server_max_window_bits",
        b"permessage-deflate; server_max_window_bits=",
        b"permessage-deflate; server_max_window_bits=8",
        b"permessage-deflate; server_max_window_bits=16",
        b"permessage-deflate; server_max_window_bits=09",
        b"permessage-deflate; server_max_window_bits=+9",
        b"permessage-deflate; server_max_window_bits=ten",
        b'permessage-deflate; server_max_window_bits="',
        b'permessage-deflate; server_max_window_bits="1\\0"',
        b'permessage-deflate; server_max_window_bits="10',
        b"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10",
        b"permessage-deflate; client_max_window_bits=",
        b'permessage-deflate; client_max_window_bits=""',
        b"permessage-deflate; client_max_window_bits=7",
        b"permessage-deflate; client_max_window_bits=16",
        b"permessage-deflate; client_max_window_bits; client_max_window_bits=15",
        b"permessage-deflate; server_no_context_takeover=1",
        b"permessage-deflate; server_no_context_takeover=",
        b"permessage-deflate; client_no_context_takeover=true",
        b"permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        b"permessage-deflate; mode=fast",
        b"permessage-deflate;",
        b"permessage-deflate; =",
        b'foo; bar="a, permessage-deflate, b"',
    ],
)
def test_offers_that_are_declined(offer: bytes) -> None:
    """What cannot be met or read leaves the messages uncompressed; the handshake goes on."""
    upgrade = handshake(Sec_WebSocket_Extensions=offer)
    assert (upgrade.deflate_bits, upgrade.extension) == (0, b"")
    assert b"Extensions" not in switching(upgrade, b"")


def test_offers_in_several_lines() -> None:
    """Several lines are one list."""
    lines = [b"Sec-WebSocket-Extensions: foo", b"Sec-WebSocket-Extensions: permessage-deflate"]
    assert handshake(more=lines).extension == AGREED


@given(
    st.binary(max_size=60)
    | st.lists(st.sampled_from([b"permessage-deflate", *b'"\\;,= \t'])).map(
        lambda parts: b"".join(part if isinstance(part, bytes) else bytes([part]) for part in parts)
    )
)
def test_no_offer_fails_a_handshake(offer: bytes) -> None:
    """Whatever stands in the extensions, the answer is one of ours."""
    head = parse_head(b"".join([b"GET / HTTP/1.1\r\n", *(b"%b: %b\r\n" % header for header in USUAL.items()), b"\r\n"]))
    head.headers[b"sec-websocket-extensions"] = offer
    assert read_upgrade(head).deflate_bits in (0, *range(9, 16))


def test_the_answer_is_one_to_wsproto() -> None:
    """A client of another house takes the answer, the subprotocol and the compression."""
    client = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    request = Request(
        host="x",
        target="/comet/ws",
        extensions=[PerMessageDeflate(server_max_window_bits=10)],
        subprotocols=["megacomet.v1"],
    )
    upgrade = read_upgrade(parse_head(client.send(request)))
    answer = switching(upgrade, b"Date: now\r\n")
    assert b"\r\nDate: now\r\n" in answer
    client.receive_data(answer)
    [accepted] = client.events()
    assert isinstance(accepted, AcceptConnection)
    assert accepted.subprotocol == "megacomet.v1"
    [extension] = accepted.extensions
    assert isinstance(extension, PerMessageDeflate)
    assert (extension.server_no_context_takeover, extension.client_no_context_takeover) == (True, True)
    assert extension.server_max_window_bits == upgrade.deflate_bits == 10
