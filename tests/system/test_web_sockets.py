#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""WebSockets through to a web server behind another node, as it is.

    websockets -> gateway of b, web.localhost -- session -- a -> a server of websockets
"""
import asyncio
import contextlib
import http
import logging
import pathlib
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import ASKING_S, DEADLINE_S, OK, Skip, check, check_eq, run, wait_for
from web import GATEWAY, QUICK, authority_of, curl, metrics_parse, token_of, url_of

try:
    import websockets
    from websockets.asyncio.client import connect as ws_connect
    from websockets.asyncio.server import serve
except ImportError:
    websockets = None

# The check whether the server is there connects, and says nothing.
logging.getLogger("websockets.server").disabled = True
PRIVATE = "[dht]\nenabled = no\n"
MIB = 1 << 20
FLOOD_CNT = 96
# Bytes in flight while no client reads: blocks, windows, buffers of sockets, the gateway's.
AHEAD_MAX = 48 * MIB


class Server:
    """A server of websockets in a thread of its own, which says what it saw."""

    def __init__(self):
        self.seen, self.closed, self.sent = [], [], 0
        self.loop = asyncio.new_event_loop()
        self.is_read = asyncio.Event()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.port = asyncio.run_coroutine_threadsafe(self.start(), self.loop).result(DEADLINE_S)

    async def start(self):
        self.server = await serve(self.handle, "127.0.0.1", 0, process_request=self.judge, max_size=None,
                                  subprotocols=["chat.v2"], ping_interval=None,
                                  select_subprotocol=lambda _, said: "chat.v2" if "chat.v2" in said else None)
        return self.server.sockets[0].getsockname()[1]

    def judge(self, connection, request):
        if request.path == "/refused":
            response = connection.respond(http.HTTPStatus.IM_A_TEAPOT, "no coffee here\n")
            response.headers["X-Own"] = "yes"
            return response
        if request.path == "/plain":
            return connection.respond(http.HTTPStatus.OK, "a page\n")
        return None

    async def handle(self, connection):
        request = connection.request
        self.seen.append((request.path, request.headers, connection.subprotocol))
        try:
            if request.path == "/flood":
                await self.flood(connection)
            elif request.path == "/deaf":
                await self.is_read.wait()
            elif request.path == "/over":
                await connection.close(4002, "over")
            async for message in connection:
                await connection.send(message)
        except websockets.ConnectionClosed:
            pass
        self.closed.append((connection.close_code, connection.close_reason))

    async def flood(self, connection):
        for _ in range(FLOOD_CNT):
            await connection.send(b"x" * MIB)
            self.sent += MIB

    def let_read(self):
        self.loop.call_soon_threadsafe(self.is_read.set)


def program_url(b, path):
    return f"ws://{authority_of(b)}/mesh/ws/{path}"


def by_path(b, path, headers=None, **options):
    """As a program without an origin opens one, at the gateway's own host."""
    options = {"max_size": None, "compression": None, "open_timeout": DEADLINE_S, "close_timeout": DEADLINE_S} | options
    return ws_connect(program_url(b, path), additional_headers={"X-Weft-Token": token_of(b)} if headers is None
                      else headers, **options)


def node(lab, name, extra=""):
    return lab.daemon(name, config=PRIVATE + "[service]\nbuiltin =\npeer_calls = 1000000\ncalls = 1000000\n" + extra).start()


def pair(lab, extra=""):
    if not websockets:
        raise Skip("python3-websockets is not installed")
    server = Server()
    a, b = node(lab, "a"), node(lab, "b", GATEWAY + QUICK + "mesh = yes\nservices = web\n" + extra)
    done = a.weft("service", "publish", "web", "--http", f"127.0.0.1:{server.port}")
    check_eq(done.returncode, OK, done.stderr)
    done = b.weft("peer", "connect", a.json("node", "id")["node_id"], a.json("status")["listen"][0])
    check_eq(done.returncode, OK, done.stderr)
    wait_for(lambda: at(b, "/plain")[::2] == (200, b"a page\n"), "b finds the server", pause=ASKING_S)
    return a, b, server


def site_of(b):
    return "web.localhost:" + authority_of(b).split(":")[1]


def at(b, path, *words):
    return curl("-H", f"Host: {site_of(b)}", *words, url_of(b) + path)


def opened(b, path, headers=None, **options):
    """As a page at the service's own origin opens one."""
    host, port = authority_of(b).split(":")
    options = {"origin": f"http://{site_of(b)}", "max_size": None, "compression": None, "ping_interval": None,
               "open_timeout": DEADLINE_S, "close_timeout": DEADLINE_S} | options
    return ws_connect(f"ws://{site_of(b)}{path}", host=host, port=int(port),
                      additional_headers={"X-Weft-Token": token_of(b)} if headers is None else headers, **options)


def sockets_of(b):
    return metrics_parse(curl(f"{url_of(b)}/metrics")[2].decode())["weft_gateway_socket_cnt", None]


def within(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 4 * DEADLINE_S))


def test_a_page_speaks_with_its_server(lab):
    a, b, server = pair(lab)
    url = b.weft("service", "open", "web").stdout.strip()
    cookie = at(b, url.removeprefix(f"http://{site_of(b)}"))[1]["set-cookie"].split(";")[0]

    async def speak():
        async with opened(b, "/room?id=7", {"Cookie": f"mine=1; {cookie}"}, subprotocols=["chat.v1", "chat.v2"],
                          compression="deflate") as client:
            check_eq(client.subprotocol, "chat.v2", "the server's choice")
            check(client.response.headers["Sec-WebSocket-Extensions"].startswith("permessage-deflate"),
                  client.response.headers)
            check_eq(client.response.headers["X-Mesh-Provider"], a.json("node", "id")["node_id"], "who answered")
            for message in ("hello", b"\x00\xff" * 1000, "", "ä" * 100000, b"x" * (3 * MIB)):
                await client.send(message)
                check_eq(await client.recv(), message, "as it was sent")
            await (await client.ping())

    within(speak())
    path, headers, _ = server.seen[-1]
    check_eq(path, "/room?id=7", "path and query")
    check_eq(headers["Origin"], f"http://127.0.0.1:{server.port}", "the server's own name")
    check_eq(headers["X-Mesh-Peer"], b.json("node", "id")["node_id"], "who asks")
    check_eq(headers["Cookie"], "mine=1", "its own cookies, and no pass")
    check("X-Weft-Token" not in headers, headers)
    wait_for(lambda: sockets_of(b) == 0, "its place is given back")


def test_only_permitted_clients_open_one(lab):
    _, b, server = pair(lab)

    async def refused(path, headers=None, **options):
        try:
            async with opened(b, path, headers, **options):
                return None
        except websockets.InvalidStatus as error:
            return error.response.status_code, error.response.body, error.response.headers

    async def all_of_them():
        check_eq((await refused("/room", {}))[0], 401, "neither pass nor token")
        check_eq((await refused("/room", origin=None))[0], 403, "no Origin")
        check_eq((await refused("/room", origin="http://evil.example"))[0], 403, "a foreign page")
        check_eq((await refused("/room", origin="http://web.localhost:1"))[0], 403, "another port's page")
        check_eq(server.seen, [], "the server heard of none")
        status, body, fields = await refused("/refused")
        check_eq((status, body, fields["X-Own"]), (418, b"no coffee here\n", "yes"), "the server's own refusal")

    within(all_of_them())
    wait_for(lambda: sockets_of(b) == 0, "no place is left held")


def test_codes_of_a_close_cross(lab):
    _, b, server = pair(lab)

    async def by_the_client():
        async with opened(b, "/room") as client:
            await client.send("x")
            check_eq(await client.recv(), "x", "echo")
            await client.close(4001, "enough")
            check_eq((client.close_code, client.close_reason), (4001, "enough"), "answered by the server")

    async def by_the_server():
        async with opened(b, "/over") as client:
            with contextlib.suppress(websockets.ConnectionClosed):
                await client.recv()
            check_eq((client.close_code, client.close_reason), (4002, "over"), "as the server said")

    async def by_nobody():
        client = await opened(b, "/room")
        await client.send("x")
        check_eq(await client.recv(), "x", "echo")
        client.transport.abort()

    within(by_the_client())
    wait_for(lambda: server.closed == [(4001, "enough")], "the server heard it, too")
    within(by_the_server())
    within(by_nobody())
    wait_for(lambda: (1006, "") in server.closed, "a client that vanished")
    wait_for(lambda: sockets_of(b) == 0, "its place is given back")


def test_a_flood_waits_for_its_reader(lab):
    _, b, server = pair(lab)

    async def until_it_rests(count):
        was = -1
        while count() != was:
            was = count()
            await asyncio.sleep(1)
        return was

    async def from_the_server():
        async with opened(b, "/flood", max_queue=1) as client:
            sent = await until_it_rests(lambda: server.sent)
            check(sent < AHEAD_MAX, f"{sent} bytes ahead of a client that does not read")
            check_eq(at(b, "/plain")[::2], (200, b"a page\n"), "others are served meanwhile")
            for _ in range(FLOOD_CNT):
                check_eq(len(await client.recv()), MIB, "nothing is lost")

    async def from_the_client():
        sent = 0

        async def flood(client):
            nonlocal sent
            for _ in range(FLOOD_CNT):
                await client.send(b"y" * MIB)
                sent += MIB

        async with opened(b, "/deaf", max_queue=1) as client:
            flooding = asyncio.create_task(flood(client))
            ahead = await until_it_rests(lambda: sent)
            check(ahead < AHEAD_MAX, f"{ahead} bytes ahead of a server that does not read")
            check_eq(at(b, "/plain")[::2], (200, b"a page\n"), "others are served meanwhile")
            server.let_read()
            for _ in range(FLOOD_CNT):
                check_eq(len(await client.recv()), MIB, "nothing is lost")
            await flooding

    within(from_the_server())
    within(from_the_client())


# No resolver is asked for names below localhost, as browsers do it (RFC 6761, 6.3).
NODE_CLIENT = """
require('dns').lookup = (name, options, done) =>
    options.all ? done(null, [{address: '127.0.0.1', family: 4}]) : done(null, '127.0.0.1', 4);
const socket = new WebSocket(process.argv[1], {headers: {Origin: process.argv[2], 'X-Weft-Token': process.argv[3]}});
socket.onopen = () => socket.send('from node');
socket.onmessage = (event) => { console.log('heard ' + event.data); socket.close(4003, 'done'); };
socket.onclose = (event) => { console.log('closed ' + event.code + ' ' + event.reason); };
socket.onerror = (event) => { console.log('error ' + (event.message || '')); };
"""


def test_node_speaks_with_it(lab):
    _, b, server = pair(lab)
    site = site_of(b)
    try:
        done = subprocess.run(["node", "--experimental-websocket", "--no-warnings", "-e", NODE_CLIENT, f"ws://{site}/room",
                               f"http://{site}", token_of(b)], capture_output=True, text=True, timeout=DEADLINE_S,
                              check=False)
    except FileNotFoundError:
        raise Skip("nodejs is not installed") from None
    if "bad option" in done.stderr:
        raise Skip("this nodejs has no WebSocket")
    check_eq(done.stdout.split("\n"), ["heard from node", "closed 4003 done", ""], done.stderr)
    wait_for(lambda: (4003, "done") in server.closed, "the server heard its close")


async def status_of_refusal(opening):
    try:
        async with opening:
            return 101
    except websockets.InvalidStatus as why:
        return why.response.status_code


def test_a_program_reaches_a_web_server_by_path(lab):
    a, b, server = pair(lab)
    node_id = a.json("node", "id")["node_id"]

    async def speak():
        for name in ("web", f"web@{node_id}", f"web@{node_id}@^1", f"web%40{node_id}"):
            async with by_path(b, f"{name}/echo/x?y=1&z=%20", subprotocols=["chat.v2"]) as socket:
                check_eq(socket.subprotocol, "chat.v2", "the server chooses")
                for message in ("text \u00e4", b"\0" * 70000, "x" * MIB):
                    await socket.send(message)
                    check_eq(await socket.recv(), message, f"{name}: it comes back")
                await socket.close(4001, "done")
            check_eq(server.seen[-1][0], "/echo/x?y=1&z=%20", "path and query as they are")
        async with by_path(b, "web", origin=url_of(b)) as socket:
            await socket.send("x")
            check_eq(await socket.recv(), "x", "at the root, from a page of the gateway's own")
        check_eq((server.seen[-1][0], server.seen[-1][1].get("Origin")), ("/", f"http://127.0.0.1:{server.port}"),
                 "the server is told its own origin")
        check("X-Weft-Token" not in server.seen[-1][1] and "Cookie" not in server.seen[-1][1], server.seen[-1][1])
        check_eq(await status_of_refusal(by_path(b, "web/refused")), 418, "the server refuses by its own status")
        check_eq(await status_of_refusal(by_path(b, "web/x", {})), 401, "no token")
        check_eq(await status_of_refusal(by_path(b, "web/x", {"X-Weft-Token": "wrong"})), 401, "a wrong token")
        check_eq(await status_of_refusal(by_path(b, "web/x", origin="http://evil.test")), 403, "another site's page")
        check_eq(await status_of_refusal(by_path(b, "other/x")), 403, "a service that is not allowed")
        check_eq(await status_of_refusal(by_path(b, "web@^2/x")), 503, "a version that nobody has")
    within(speak())
    wait_for(lambda: (4001, "done") in server.closed, "codes of a close cross")
    wait_for(lambda: sockets_of(b) == 0, "places are given back")


def test_pages_of_one_service_leave_websockets_to_others(lab):
    a, b, server = pair(lab, "sockets = 4\n")

    async def fill():
        async with contextlib.AsyncExitStack() as open_ones:
            first = [await open_ones.enter_async_context(opened(b, "/echo")) for _ in range(4)]
            check_eq(await status_of_refusal(opened(b, "/echo")), 503, "one more of the same pages")
            # A program at the gateway's own host is another client than the pages of web.
            programs = [await open_ones.enter_async_context(by_path(b, "web/echo")) for _ in range(2)]
            check_eq(await status_of_refusal(by_path(b, "web/echo")), 503, "no more than half")
            for socket in (*first[:2], *programs):
                await socket.send("still")
                check_eq(await socket.recv(), "still", "it goes on")
            for socket in first[2:]:
                try:
                    await socket.recv()
                    check(False, "the youngest makes room")
                except websockets.ConnectionClosed:
                    pass
    within(fill())
    wait_for(lambda: sockets_of(b) == 0, "places are given back")
    pools = {pool["name"]: pool for pool in b.json("limits", "show")["pools"]}
    check_eq((pools["gateway.sockets"]["limit"], pools["gateway.sockets"]["used"]), (4, 0), pools["gateway.sockets"])


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
