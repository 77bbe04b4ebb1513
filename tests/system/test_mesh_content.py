#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The service mesh-content between nodes on a switch: contents of n1 (10.77.0.1) by calls, by the
gateway of n2, and by streams. n3 is connected and no member of the community."""
import asyncio
import base64
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from fabric import (DONE, INVALID_PAYLOAD, NOT_FOUND, TOO_LARGE, call, connect, fetch, node_id,
                    wait_found)
from lab import DEADLINE_S, OK, Skip, check, check_eq, need_root, run, run_plain, wait_for
from web import authority_of, token_of

try:
    from websockets.asyncio.client import connect as ws_connect
    from websockets.exceptions import ConnectionClosed
except ImportError:
    ws_connect = None

SERVICE = ("builtin = mesh-content\ncalls = 100000\npeer_calls = 100000\npeer_work = 100000\n"
           "lookups = 100000\nfetches = 100000")
MORE = fabric.GATEWAY + "services = mesh-content\n[community]\nsync = 1s\n[sharing]\nsync_interval = 10s\n"
SIZE = 700_000
LARGE = 33 * 1024 * 1024


def start(lab, cnt=2):
    need_root()
    return fabric.start(lab, cnt, service=SERVICE, more=MORE)


def weft(daemon, *words):
    done = daemon.weft(*words)
    check_eq(done.returncode, OK, f"{daemon.name}: {' '.join(words)}: {done.stderr}")
    return done.stdout.strip()


def shared(daemon, folder):
    """(content id, bytes) of each file of a folder that daemon shares openly, by name."""
    weft(daemon, "share", "add", str(folder))
    return contents(folder)


def contents(folder):
    found = {}
    for path in sorted(folder.iterdir()):
        digest = run_plain("b3sum", "--no-names", str(path)).stdout.strip()
        found[path.name] = (digest, path.read_bytes())
    return found


def read(daemon, at, content, **more):
    """(status, bytes, the whole answer) of a call."""
    answer = call(daemon, "mesh-content", "GetByContentId", {"content": content, **more}, at)
    told = answer.get("json") or {}
    return answer["status"], base64.b64decode(told.get("data", "")), told


def test_ranges_of_what_another_node_serves(lab):
    n1, n2 = start(lab)
    files = shared(n1, lab.folder("maps", {"a.map": SIZE, "b.map": 3}))
    content, data = files["a.map"]
    check_eq(read(n2, n1, files["b.map"][0])[:2], (DONE, files["b.map"][1]), "a whole file")
    status, got, told = read(n2, n1, content, offset=SIZE - 10, length=10)
    check_eq((status, got, told["size"], told["offset"], told["length"]),
             (DONE, data[-10:], SIZE, SIZE - 10, 10), "its last bytes")
    got = b"".join(read(n2, n1, content, offset=at, length=min(524_288, SIZE - at))[1]
                   for at in range(0, SIZE, 524_288))
    check(got == data, "all of it, range by range")
    check_eq(read(n2, n1, content)[0], TOO_LARGE, "all of it in one call")
    check_eq(read(n2, n1, content, offset=SIZE, length=1)[0], INVALID_PAYLOAD, "behind the end")
    check_eq(read(n2, n1, "0" * 64)[0], NOT_FOUND, "what is not there")
    described = weft(n2, "--json", "service", "show", "mesh-content@" + node_id(n1))
    check("GetByContentId" in described, f"it describes itself: {described}")
    row = next(row for row in n1.json("limits", "show")["limits"]
               if row["name"] == "readings of mesh-content")
    check_eq((row["limit"], row["used"]), (8, 0), "its readings")


def test_a_range_over_the_gateway_needs_no_token(lab):
    n1, n2 = start(lab)
    content, data = shared(n1, lab.folder("maps", {"a.map": SIZE}))["a.map"]
    wait_found(n2, "mesh-content", n1, n2)
    told = json.loads(fetch(n2, f"/mesh/http/mesh-content@{node_id(n1)}/GetByContentId"
                                f"?content={content}&offset=1000&length=16"))
    check_eq(base64.b64decode(told["data"]), data[1000:1016], "bytes")


def test_what_is_a_communitys_is_not_read_by_unknown_peers(lab):
    n1, n2, n3 = start(lab, 3)
    connect(n3, n2)
    link = weft(n1, "community", "create", "club")
    weft(n2, "community", "join", link, "--name", "club")
    folder = lab.folder("maps", {"a.map": 1000})
    weft(n1, "share", "new", "maps", "--public", "--community", "club")
    weft(n1, "share", "publish", "maps", str(folder))
    content, data = contents(folder)["a.map"]
    wait_for(lambda: read(n2, n1, content)[:2] == (DONE, data), "a member reads it", pause=0.5)
    check_eq(read(n3, n1, content)[:2], (NOT_FOUND, b""), "an unknown peer")
    check_eq(read(n1, n1, content)[:2], (DONE, data), "the node's own programs")
    # The same file in an open share is open.
    weft(n1, "share", "add", str(lab.folder("open", {"a.map": 1000})))
    check_eq(read(n3, n1, content)[:2], (DONE, data), "an unknown peer, of what is shared openly, too")


def test_what_is_a_strict_communitys_is_refused_with_the_way_to_it(lab):
    n1, n2 = start(lab)
    link = weft(n1, "community", "create", "club", "--strict")
    token = weft(n1, "community", "token", "club", node_id(n2), "--for", "1h")
    weft(n2, "community", "join", link, "--name", "club", "--token", token)
    folder = lab.folder("maps", {"a.map": 1000})
    weft(n1, "share", "new", "maps", "--public", "--community", "club")
    weft(n1, "share", "publish", "maps", str(folder))
    content, data = contents(folder)["a.map"]
    out = lab.dir / "out"
    wait_for(lambda: n2.weft("get", weft(n1, "share", "link", "maps"), "--to", out).returncode == OK,
             "a member gets it by its link", pause=0.5)
    check_eq((out / "a.map").read_bytes(), data, "what weft get brings")
    for asked in (content, "0" * 64):
        answer = call(n2, "mesh-content", "GetByContentId", {"content": asked}, n1)
        check_eq((answer["status"], "weft get" in answer["text"]), (NOT_FOUND, True),
                 f"a member, by the id alone: {answer}")
    answer = call(n2, "mesh-content", "GetByContentId", {"content": weft(n1, "share", "link", "maps")}, n1)
    check_eq((answer["status"], "weft get" in answer["text"]), (INVALID_PAYLOAD, True),
             f"a link: {answer}")


def test_a_stream_brings_32_mib_and_not_a_byte_more(lab):
    if not ws_connect:
        raise Skip("python3-websockets is not installed")
    config = fabric.QUIET + "[service]\n" + SERVICE + "\n" + MORE
    a, b = (lab.daemon(name, config=config).start() for name in "ab")
    done = b.weft("peer", "connect", node_id(a), a.json("status")["listen"][0])
    check_eq(done.returncode, OK, done.stderr)
    content, data = shared(a, lab.folder("large", {"a.map": LARGE}))["a.map"]

    async def stream(off, length):
        """What a WebSocket to the gateway of b brings until it closes, and with which code."""
        url = (f"ws://{authority_of(b)}/mesh/ws/mesh-content@{node_id(a)}/GetByContentId"
               f"?content={content}&offset={off}&length={length}")
        got = bytearray()
        async with ws_connect(url, additional_headers={"X-Weft-Token": token_of(b)},
                              max_size=None, compression=None) as client:
            try:
                while True:
                    got += await asyncio.wait_for(client.recv(), DEADLINE_S)
            except ConnectionClosed:
                return bytes(got), client.close_code

    limit = 32 * 1024 * 1024
    got, _ = asyncio.run(stream(5, limit))
    check(got == data[5:5 + limit], f"32 MiB: {len(got)} bytes")
    got, code = asyncio.run(stream(0, limit + 1))
    check_eq(got, b"", f"one byte more, which ends with {code}")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
