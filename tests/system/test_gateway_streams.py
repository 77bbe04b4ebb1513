#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Streams of another node over WebSocket.

    websockets -> gateway of b -- session, 127.0.0.1 -- a: built-in services
"""
import asyncio
import json
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from gateway_pair import asker, get, join, pair, post, provider
from lab import ASKING_S, DEADLINE_S, OK, Skip, check, check_eq, run, wait_for
from web import authority_of, connect, curl, metrics_parse, read_all, token_of, url_of

try:
    import websockets
    from websockets.asyncio.client import connect as ws_connect
except ImportError:
    websockets = None


def need_websockets():
    if not websockets:
        raise Skip("python3-websockets is not installed")


def socket_url(daemon, path):
    return f"ws://{authority_of(daemon)}/mesh/ws/{path}"


def shown(daemon):
    return {"X-Weft-Token": token_of(daemon)}


def opened(daemon, path, **options):
    """The library gives up after 10 s, of a machine that does much else; the tests have a deadline of their own."""
    return ws_connect(socket_url(daemon, path), additional_headers=shown(daemon), max_size=None,
                      compression=None, open_timeout=DEADLINE_S, close_timeout=DEADLINE_S, ping_timeout=None, **options)


async def ping_pong(daemon, cnt, make):
    """Sends cnt messages and reads them back at the same time; what differs."""
    async with opened(daemon, "echo/room") as client:
        async def send():
            for number in range(cnt):
                await client.send(make(number))

        sender = asyncio.create_task(send())
        for number in range(cnt):
            got = await asyncio.wait_for(client.recv(), DEADLINE_S)
            check(type(got) is type(make(number)) and got == make(number), f"message {number}")
        await sender


def test_a39_a_room_is_heard_and_spoken_in(lab):
    need_websockets()
    a, b = provider(lab), asker(lab)
    join(b, a)
    pod = a.call("CallService", name="pod-chat", method="Create", json={"name": "r"})["json"]["pod"]
    wait_for(lambda: post(b, f"pod-chat/Join?pod={pod}")[0] == 200, "b joins a's room", pause=ASKING_S)
    mine = b.json("node", "id")["node_id"]

    def said(body):
        asked = a.call("CallService", name="pod-chat", method="PostMessage",
                       json={"pod": pod, "channel": "general", "body": body})
        check_eq(asked["status"], 0, asked)

    async def talk():
        said("before")
        async with opened(b, f"pod-chat/general?pod={pod}") as ws, opened(b, "pod-chat/general") as other:
            said("new")
            message = json.loads(await asyncio.wait_for(ws.recv(), DEADLINE_S))
            check_eq((message["body"], message["channel"]), ("new", "general"), message)
            await ws.send("a text")
            await ws.send('{"body": "in JSON"}')
            heard = [json.loads(await asyncio.wait_for(ws.recv(), DEADLINE_S)) for _ in range(2)]
            check_eq([(entry["body"], entry["sender"]) for entry in heard],
                     [("a text", mine), ("in JSON", mine)], heard)
            check(message["sequence"] < heard[0]["sequence"] < heard[1]["sequence"], "in order")
            also = [json.loads(await asyncio.wait_for(other.recv(), DEADLINE_S))["body"] for _ in range(3)]
            check_eq(also, ["new", "a text", "in JSON"], "everybody who listens")
            await ws.send("x" * 4097)
            check_eq(list(json.loads(await asyncio.wait_for(ws.recv(), DEADLINE_S))), ["error"], "too long")
            a.call("CallService", name="pod-chat", method="Leave", json={"pod": pod, "peer": mine})
            said("among ourselves")
            try:
                check(False, await asyncio.wait_for(ws.recv(), DEADLINE_S))
            except websockets.ConnectionClosed as closed:
                check_eq(closed.rcvd.code, 1011, "no member any more")

    asyncio.run(talk())


def test_a39_10000_frames_both_ways(lab):
    need_websockets()
    _, b = pair(lab)
    rng = random.Random(39)
    blob = rng.randbytes(70000)

    def make(number):
        if number % 3 == 0:
            return f"message {number} \u20ac" * (number % 50)
        length = 65600 if number % 1000 == 1 else number % 1500
        return blob[number % 100:number % 100 + length]

    asyncio.run(ping_pong(b, 10000, make))


def test_a39_one_side_closes_the_other(lab):
    need_websockets()
    a, b = pair(lab)

    async def by_the_client():
        async with opened(b, "echo/room") as client:
            await client.send("x")
            check_eq(await client.recv(), "x", "echo")
            await client.close(4001, "enough")
            check_eq((client.close_code, client.close_reason), (4001, ""), "answered alike")

    async def by_the_other_node():
        async with opened(b, "echo/room") as client:
            await client.send("x")
            check_eq(await client.recv(), "x", "echo")
            # Elsewhere: the client has to answer the close while it waits.
            await asyncio.to_thread(a.stop)
            try:
                await asyncio.wait_for(client.recv(), DEADLINE_S)
                check(False, "nothing comes any more")
            except websockets.ConnectionClosed as closed:
                check(closed.rcvd and closed.rcvd.code in (1000, 1011), closed)

    asyncio.run(by_the_client())

    def streams():
        return metrics_parse(curl(f"{url_of(b)}/metrics")[2].decode())["weft_gateway_socket_cnt", None]

    wait_for(lambda: streams() == 0, "it is let go of")
    asyncio.run(by_the_other_node())


def test_a39_only_permitted_clients_open_one(lab):
    need_websockets()
    _, b = pair(lab, "sockets = 2\n")

    async def refused(path, headers, **options):
        try:
            async with ws_connect(socket_url(b, path), additional_headers=headers, **options):
                return None
        except websockets.InvalidStatus as error:
            return error.response.status_code, json.loads(error.response.body)["error"]

    async def all_of_them():
        check_eq(await refused("echo/room", {}), (401, "token_required"), "no token")
        check_eq(await refused("echo/room", shown(b), origin="http://evil.example"),
                 (403, "origin_not_allowed"), "a foreign page")
        check_eq(await refused("other/room", shown(b)), (403, "service_not_allowed"), "another")
        check_eq(await refused("absent/room", shown(b)), (503, "service_unavailable"), "nobody")
        check_eq(await refused("echo/", shown(b)), (404, "not_found"), "no channel")
        async with opened(b, "echo/1"), opened(b, "echo/2"):
            check_eq(await refused("echo/3", shown(b)), (503, "too_many_sockets"), "a third")
        check_eq(await refused("echo/3", shown(b), origin=url_of(b)), None, "there is room again")

    asyncio.run(all_of_them())


def test_frames_that_break_the_rules(lab):
    _, b = pair(lab)
    opening = (f"GET /mesh/ws/echo/room HTTP/1.1\r\nHost: {authority_of(b)}\r\n"
               f"X-Weft-Token: {token_of(b)}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    rows = [("unmasked", b"\x81\x01x", 1002),
            ("oversized", b"\x82\xff" + (2 ** 20 + 1).to_bytes(8, "big") + bytes(4), 1009),
            ("a fragmented ping", b"\x09\x80" + bytes(4), 1002),
            ("a long ping", b"\x89\xfe\x00\x7e" + bytes(4 + 126), 1002),
            ("no UTF-8", b"\x81\x82" + bytes(4) + b"\xc3\x28", 1007),
            ("a continuation of nothing", b"\x80\x80" + bytes(4), 1002),
            ("reserved bits", b"\xf1\x80" + bytes(4), 1002),
            ("close of 1", b"\x88\x81" + bytes(4) + b"\x03", 1002)]
    for what, frame, code in rows:
        with connect(b) as client:
            client.sendall(opening.encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(1)
            check(b" 101 " in head, head)
            client.sendall(frame)
            answer = read_all(client)
            check_eq(answer[:1] + answer[2:4], b"\x88" + code.to_bytes(2, "big"), what)


def test_simultaneous_closes_harm_no_client(lab):
    need_websockets()
    a, b = pair(lab)

    async def race(number):
        try:
            async with opened(b, f"echo/{number}") as client:
                for _ in range(number % 5):
                    await client.send(b"x" * 1000)
                if number % 3 == 0:
                    client.transport.abort()
                elif number % 3 == 1:
                    await asyncio.gather(client.send("last"), client.close())
        except websockets.ConnectionClosed:
            pass

    async def all_races():
        for number in range(0, 90, 10):
            await asyncio.gather(*(race(number + more) for more in range(10)))

    asyncio.run(all_races())
    figures = wait_for(lambda: (lambda got: got if got["weft_gateway_socket_cnt", None] == 0 else None)(
        metrics_parse(curl(f"{url_of(b)}/metrics")[2].decode())), "all are let go of")
    check_eq(figures["weft_gateway_socket_cnt", None], 0, "none is left")
    check_eq(get(b, "echo/Any")[0], 200, "and calls go through")
    check_eq(a.weft("status").returncode, OK, "a lives")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
