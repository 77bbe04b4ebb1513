#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Services of another node over HTTP and WebSocket.

    curl, websockets -> gateway of b -- session, 127.0.0.1 -- a: built-in services
"""
import asyncio
import http.server
import json
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import ASKING_S, DEADLINE_S, OK, Skip, check, check_eq, run, wait_for
from web import (GATEWAY, QUICK, authority_of, connect, curl, error_of, metrics_parse, read_all,
                 token_of, url_of)

try:
    import websockets
    from websockets.asyncio.client import connect as ws_connect
except ImportError:
    websockets = None

ALL = "echo pod-chat shadow-index mesh-stats"
OPEN_LIMITS = "peer_calls = 1000000\ncalls = 1000000\nlookups = 1000000\nfetches = 1000000\n"
MESH = "mesh = yes\nservices = echo, pod-chat, shadow-index, mesh-stats, web, absent\n"
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
MBID = "b1a9c0e9-d987-4042-ae91-78d6a3267d69"
PRIVATE = "[dht]\nenabled = no\n"


def provider(lab, name="a", builtin=ALL):
    return lab.daemon(name, config=PRIVATE + f"[service]\nbuiltin = {builtin}\n{OPEN_LIMITS}").start()


def asker(lab, extra="", name="b"):
    """A node that offers nothing, with a gateway."""
    return lab.daemon(name, config=PRIVATE + "[service]\nbuiltin =\n" + OPEN_LIMITS + GATEWAY + QUICK +
                      MESH + extra).start()


def join(b, a):
    done = b.weft("peer", "connect", a.json("node", "id")["node_id"], a.json("status")["listen"][0])
    check_eq(done.returncode, OK, done.stderr)


def pair(lab, extra=""):
    a, b = provider(lab), asker(lab, extra)
    join(b, a)
    wait_for(lambda: get(b, "mesh-stats/GetMeshStatus")[0] == 200, "b finds a's services",
             pause=ASKING_S)
    return a, b


def get(daemon, path, *words):
    return curl(*words, f"{url_of(daemon)}/mesh/http/{path}")


def post(daemon, path, body=b"", *words):
    return curl("-X", "POST", "-H", f"X-Weft-Token: {token_of(daemon)}", "--data-binary", "@-",
                *words, f"{url_of(daemon)}/mesh/http/{path}", stdin=body)


def test_a33_both_examples_call_another_node(lab):
    a, b = pair(lab)

    def ask_own(name, method, payload):
        answer = a.call("CallService", name=name, method=method, json=payload)
        check_eq(answer["status"], 0, answer)
        return answer["json"]

    pod = ask_own("pod-chat", "Create", {"name": "tea"})["pod"]
    ask_own("shadow-index", "RegisterTrack", {"mbid": MBID, "codec": "flac", "kbps": 900,
                                              "size": 30_000_000, "sha256": "ab" * 16})
    status, fields, body = get(b, "pod-chat/channels")
    check_eq((status, fields["content-type"]), (200, "application/json"), body)
    check_eq([row["pod"] for row in json.loads(body)["pods"]], [pod], "a's rooms")
    status, _, body = get(b, f"shadow-index/lookup?mbid={MBID}")
    check_eq((status, json.loads(body)["peer_cnt"]), (200, 1), "a's registration")
    status, _, body = post(b, f"shadow-index/lookup?mbid={MBID}")
    check_eq(status, 200, body)
    check_eq(error_of(post(b, "shadow-index/lookup", b'{"mbid": "not-a-uuid"}')),
             (400, "invalid_payload"), "the service looked at it")


def test_a34_only_what_is_named_may_be_called(lab):
    a, b = provider(lab), asker(lab, "", "b")
    join(b, a)
    check_eq(error_of(get(b, "mesh-stat/GetMeshStatus")), (403, "service_not_allowed"), "a prefix")
    check_eq(error_of(get(b, "weft/Status")), (403, "service_not_allowed"), "another")
    one = lab.daemon("c", config=PRIVATE + "[service]\nbuiltin = mesh-stats echo\n" + GATEWAY + QUICK +
                     "mesh = yes\nservices = mesh-stats/GetMeshStatus, echo\n").start()
    check_eq(get(one, "mesh-stats/GetMeshStatus")[0], 200, "a method that is named")
    check_eq(error_of(get(one, "mesh-stats/GetPeersSummary")), (403, "service_not_allowed"),
             "another method")


def test_a35_a_call_fails_without_a_provider_and_works_with_one(lab):
    b = asker(lab)
    answer = get(b, "echo/Any")
    check_eq(error_of(answer), (503, "service_unavailable"), "nobody")
    check(int(answer[1]["retry-after"]) >= 1, answer[1])
    a = provider(lab)
    join(b, a)
    wait_for(lambda: post(b, "echo/Any", b'{"x":1}')[::2] == (200, b'{"x":1}'), "a provides it",
             pause=ASKING_S)
    a.kill()
    check_eq(error_of(get(b, "echo/Any")), (503, "service_unavailable"), "a is gone, told before the call's time is over")


def test_a36_what_comes_back(lab):
    _, b = pair(lab)
    check_eq(post(b, "echo/Any", b'[1, 2]')[::2], (200, b'[1, 2]'), "JSON as it is")
    status, _, body = post(b, "echo/Any", b"\x00\xff\n")
    check_eq((status, json.loads(body)), (200, {"payload": "AP8K", "encoding": "base64"}), "bytes")
    check_eq(get(b, "echo/Any?a=b%20c&d=")[2], b'{"a":"b c","d":""}', "a query")
    check_eq(get(b, "echo/Any")[::2], (200, b""), "nothing")
    check_eq(error_of(post(b, "mesh-stats/NoSuchMethod")), (404, "method_not_found"), "no method")
    check_eq(error_of(get(b, "mesh-stats/NoSuchMethod")), (401, "token_required"),
             "which nobody says only reads")
    check_eq(error_of(get(b, "absent/x")), (503, "service_unavailable"), "no service")
    status, fields, body = get(b, "mesh-stats/GetMeshStatus", "-I")
    check_eq((status, body), (200, b""), "HEAD")
    check(int(fields["content-length"]) > 2, fields)
    listed = json.loads(get(b, "services")[2])["services"]
    known = {entry["name"]: entry for entry in listed}
    check_eq(known["echo"]["kind"], "calls", listed)
    check(known["echo"]["known_providers"] == 1 and not known["echo"]["is_local"], listed)
    check("kind" not in known["absent"], listed)


def test_a36_and_a37_bodies_are_exceeded_by_one(lab):
    _, b = pair(lab)
    whole = b'"' + b"x" * (1024 * 1024 - 2) + b'"'
    status, _, body = post(b, "echo/Any", whole)
    check_eq((status, body == whole), (200, True), "1 MiB")
    check_eq(error_of(post(b, "echo/Any", whole + b" ")), (413, "payload_too_large"), "and a byte")
    check_eq(error_of(post(b, "echo/Any", whole + b" ", "-H", "Transfer-Encoding: chunked")),
             (413, "payload_too_large"), "in chunks")


def test_a37_bodies_are_logged_where_a_key_says_so(lab):
    """Off unless a key says so; then so many bytes of each, and never those of /api."""
    body = json.dumps({"said": "marker-4711"}).encode()
    quiet, loud = asker(lab, "[log]\nlevel = debug\n", "quiet"), asker(lab, "log_bodies = 100\n", "loud")
    a = provider(lab)
    for b in (quiet, loud):
        join(b, a)
        wait_for(lambda: get(b, "mesh-stats/GetMeshStatus")[0] == 200, "found", pause=ASKING_S)
        check_eq(post(b, "echo/Any", body)[0], 200, "said")
    check_eq((quiet.log_text().count("marker-4711"), loud.log_text().count("marker-4711")), (0, 1), "off and on")
    # Of a longer body just so many bytes, and nothing that a terminal would obey.
    check_eq(post(loud, "echo/Any", b"\x1b" + b"y" * 99 + b"marker-4712")[0], 200, "100 and more")
    check("at=0: ?" + "y" * 99 in loud.log_text().replace("\n", ""), loud.log_text()[-600:])
    check("marker-4712" not in loud.log_text() and "\x1b" not in loud.log_text(), "no more of it")
    curl(f"{url_of(loud)}/api/v1/GetNodeId", "-H", f"X-Weft-Token: {token_of(loud)}", "-d", '{"marker-4713": 1}')
    check("marker-4713" not in loud.log_text(), "of /api nothing")


def test_a36_limits_of_the_provider_are_reported(lab):
    a = lab.daemon("a", config=PRIVATE + "[service]\nbuiltin = echo\ncalls = 3\n").start()
    b = asker(lab)
    join(b, a)
    wait_for(lambda: get(b, "echo/Any")[0] == 200, "found", pause=ASKING_S)
    answers = [get(b, "echo/Any") for _ in range(4)]
    check_eq(error_of(answers[-1]), (429, "rate_limited"), "above three a minute")
    check(1 <= int(answers[-1][1]["retry-after"]) <= 120, answers[-1][1])


def test_a36_a_client_that_leaves_is_counted(lab):
    _, b = pair(lab)

    def gone():
        return metrics_parse(curl(f"{url_of(b)}/metrics")[2].decode())["weft_gateway_gone_cnt_total", None]

    before = gone()
    for _ in range(20):
        with connect(b) as client:
            client.sendall(f"GET /mesh/http/echo/Any HTTP/1.1\r\nHost: {authority_of(b)}\r\n\r\n"
                           .encode())
    wait_for(lambda: curl(f"{url_of(b)}/healthz")[0] == 200, "it lives")
    check(gone() >= before, "counted")
    check_eq(get(b, "echo/Any")[0], 200, "and serves")


def test_many_requests_on_one_connection(lab):
    _, b = pair(lab)
    ask = f"GET /mesh/http/echo/Any?n=%d HTTP/1.1\r\nHost: {authority_of(b)}\r\n\r\n"
    with connect(b) as client:
        client.sendall("".join(ask % number for number in range(50)).encode())
        client.sendall(f"GET /healthz HTTP/1.1\r\nHost: {authority_of(b)}\r\nConnection: close\r\n\r\n"
                       .encode())
        answers = read_all(client).decode()
    found = [int(part.split('"')[0]) for part in answers.split('{"n":"')[1:]]
    check_eq(found, list(range(50)), "in their order")


BLOB = random.Random(33).randbytes(24 * 1024 * 1024)


class Web(http.server.BaseHTTPRequestHandler):
    """A web server that no mesh knows of: says what it heard, serves a blob, takes bodies."""

    protocol_version = "HTTP/1.1"

    def reply(self, status, body, *fields):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def do_GET(self):  # pylint: disable=invalid-name
        if self.path == "/blob":
            self.reply(200, BLOB, ("Content-Type", "application/octet-stream"))
        elif self.path.startswith("/heard"):
            said = {"path": self.path, "method": self.command,
                    "fields": {name.lower(): value for name, value in self.headers.items()},
                    "body": len(self.body())}
            self.reply(200, json.dumps(said).encode(), ("Content-Type", "application/json"),
                       ("Set-Cookie", "a=b; Domain=localhost; Path=/"), ("Access-Control-Allow-Origin", "*"), ("X-Own", "yes"))
        elif self.path.startswith("/go?"):
            self.reply(302, b"", ("Location", self.path.removeprefix("/go?")))
        elif self.path == "/range" and self.headers.get("Range") == "bytes=10-19":
            self.reply(206, BLOB[10:20], ("Content-Range", f"bytes 10-19/{len(BLOB)}"))
        elif self.path == "/chunks":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for number in range(100):
                self.wfile.write(b"%x\r\n%s\r\n" % (1000, BLOB[1000 * number:1000 * number + 1000]))
            self.wfile.write(b"0\r\n\r\n")
        elif self.path == "/die":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
            self.wfile.flush()
            self.connection.close()
            self.close_connection = True
        else:
            self.reply(404, b"nothing here")

    def do_POST(self):  # pylint: disable=invalid-name
        body = self.body()
        if self.path == "/heard":
            self.reply(200, json.dumps({"method": self.command, "body": len(body)}).encode())
        else:
            self.reply(200, body)

    do_HEAD = do_GET  # noqa: N815
    do_PUT = do_DELETE = do_POST  # noqa: N815

    def log_message(self, *_):
        """It says nothing."""


def web_pair(lab, extra="", *options):
    """a with a web server behind it, b with the gateway, and the server."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Web)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    a, b = provider(lab), asker(lab, extra)
    done = a.weft("service", "publish", "web", "--http", f"127.0.0.1:{server.server_port}", *options)
    check_eq(done.returncode, OK, done.stderr)
    join(b, a)
    wait_for(lambda: get(b, "web/heard")[0] == 200, "b finds the web server", pause=ASKING_S)
    return a, b, server


def test_a33_a_web_server_behind_another_node(lab):
    a, b, _ = web_pair(lab)
    status, fields, body = get(b, "web/heard/x?q=1&q=2", "-H", "X-Mine: v", "-H", f"traceparent: {TRACE}",
                               "-H", "Cookie: c=d",
                               "-H", "X-Forwarded-For: 1.2.3.4")
    said = json.loads(body)
    check_eq((status, said["path"], said["method"]), (200, "/heard/x?q=1&q=2", "GET"), body)
    check_eq(said["fields"].get("x-mine"), "v", "a field")
    check_eq(said["fields"].get("traceparent"), TRACE, "W3C trace context crosses as it is")
    for name in ("cookie", "x-forwarded-for", "x-weft-token", "authorization"):
        check(name not in said["fields"], f"{name} stays here")
    check_eq((fields["x-own"], fields["x-mesh-provider"]), ("yes", a.json("node", "id")["node_id"]),
             "of the server, and who it was")
    check("set-cookie" not in fields and "access-control-allow-origin" not in fields, fields)
    for method in ("PUT", "DELETE", "POST"):
        said = json.loads(post(b, "web/heard", b"abc", "-X", method)[2])
        check_eq((said["method"], said["body"]), (method, 3), method)
    check_eq(get(b, "web/nothing")[::2], (404, b"nothing here"), "its own 404")
    status, fields, body = get(b, "web/blob", "-I")
    check_eq((status, fields["content-length"], body), (200, str(len(BLOB)), b""), "HEAD")
    status, fields, body = get(b, "web/range", "-H", "Range: bytes=10-19")
    check_eq((status, fields["content-range"], body), (206, f"bytes 10-19/{len(BLOB)}", BLOB[10:20]),
             "a range")


def test_a_redirect_stays_with_its_service(lab):
    a, b, server = web_pair(lab)
    node = a.json("node", "id")["node_id"]
    own = f"http://127.0.0.1:{server.server_port}"
    for name in ("web", f"web@{node}", f"web@{node}@%5E1"):
        for place, told in (("/heard/x?y=1", f"/mesh/http/{name}/heard/x?y=1"), (f"{own}/heard", f"/mesh/http/{name}/heard"),
                            ("heard", "heard"), ("//other.test/x", "//other.test/x"),
                            ("http://other.test/x", "http://other.test/x")):
            status, fields, _ = get(b, f"{name}/go?{place}")
            check_eq((status, fields["location"]), (302, told.lower()), f"{name}: {place}")
    status, _, body = get(b, "web/go?/heard/there", "-L", "--output", "/dev/stdout")
    check(b'"path": "/heard/there"' in body, f"curl -L arrives: {status} {body}")
    site = "web.localhost:" + authority_of(b).split(":")[1]
    fields = curl("-H", f"Host: {site}", f"{url_of(b)}/go?/heard")[1]
    check_eq(fields["location"], "/heard", "at an origin of its own it is as the server said")


def test_a_service_is_opened_in_a_browser(lab):
    a, b, _ = web_pair(lab)
    authority = "web.localhost:" + authority_of(b).split(":")[1]
    origin = ("-H", f"Origin: http://{authority}")

    def at(path, *words):
        return curl("-H", f"Host: {authority}", *words, url_of(b) + path)

    check_eq(json.loads(at("/heard")[2])["path"], "/heard", "reading is open")
    check_eq(at("/healthz")[::2], (404, b"nothing here"), "no path of the gateway's own is there")
    for path in ("/metrics", "/events", "/api/v1/Status", "/blob/" + "0" * 64):
        check_eq(at(path)[::2], (404, b"nothing here"), path)
    check_eq(error_of(at("/heard", "-X", "POST", *origin)), (401, "token_required"), "no pass")
    check_eq(error_of(at("/heard", "-X", "POST", "-H", f"X-Weft-Token: {token_of(b)}")),
             (403, "origin_not_allowed"), "the token without Origin")

    url = b.weft("service", "open", "web").stdout.strip()
    check(url.startswith(f"http://{authority}/.weft/open/"), url)
    path = url.removeprefix(f"http://{authority}")
    status, fields, _ = at(path)
    check_eq((status, fields["location"]), (303, "/"), fields)
    name, rest = fields["set-cookie"].split("=", 1)
    check_eq(rest.split("; ")[1:], ["path=/", "max-age=43200", "httponly", "samesite=strict"], rest)
    check_eq(error_of(at(path)), (401, "pass_unknown"), "once")
    cookie = ("-H", f"Cookie: mine=1; {name}={rest.split(';')[0]}")
    said = json.loads(at("/heard", "-X", "POST", "-d", "abc", *cookie, *origin)[2])
    check_eq((said["method"], said["body"]), ("POST", 3), "the pass and Origin")
    for method in ("PATCH", "OPTIONS", "DELETE"):
        check(at("/heard", "-X", method, *cookie, *origin)[0] in (200, 501), method)
    _, fields, body = at("/heard", *cookie)
    check_eq(json.loads(body)["fields"].get("cookie", ""), "mine=1", "its own cookies, and no pass")
    check_eq(fields["set-cookie"], "a=b; path=/", "for this host alone")
    check_eq(error_of(at("/heard", "-X", "POST", *cookie)), (403, "origin_not_allowed"), "no Origin")
    check_eq(error_of(at("/heard", "-X", "POST", *cookie, "-H", "Origin: http://web.localhost:1")),
             (403, "origin_not_allowed"), "a page of another port, to which cookies go, too")
    check_eq(error_of(curl("-X", "POST", *cookie, f"{url_of(b)}/mesh/http/web/heard")),
             (401, "token_required"), "of one host alone")

    node = a.json("node", "id")["node_id"]
    url = b.weft("service", "open", f"web@{node}").stdout.strip()
    check(url.startswith(f"http://web.{node}.localhost:"), url)
    check_eq(b.weft("service", "open", "nothing").returncode, 4, "not in gateway.services")
    check_eq(b.weft("service", "open", "Web").returncode, 4, "names have no capitals")
    check_eq(b.weft("service", "open", "web@^1").returncode, 1, "a host has no version")


def test_no_client_acts_as_the_node_by_a_get(lab):
    b = lab.daemon("b", config=PRIVATE + "[service]\nbuiltin = pod-chat\n" + OPEN_LIMITS + GATEWAY + QUICK +
                   MESH).start()
    room = b.call("CallService", name="pod-chat", method="Create",
                  json={"name": "r", "visibility": "listed"})["json"]["pod"]
    pod = room["id"] if isinstance(room, dict) else room
    ask = f"pod-chat/PostMessage?pod={pod}&channel=general&body=forged"
    check_eq(error_of(get(b, ask)), (401, "token_required"), "to write")
    check_eq(error_of(get(b, f"pod-chat/Dissolve?pod={pod}")), (401, "token_required"), "to end it")
    check_eq(error_of(get(b, ask, "-H", "X-Weft-Token: " + "0" * 64)), (401, "token_required"), "a wrong one")
    status, fields, body = get(b, f"pod-chat/FetchMessages?pod={pod}")
    check_eq((status, json.loads(body)["messages"]), (200, []), "nothing was written")
    check_eq(fields["cache-control"], "no-store", fields)
    check_eq(error_of(get(b, "pod-chat/List", "-H", "X-Weft-Token: " + "0" * 64)),
             (401, "token_required"), "a wrong token where none is wanted")
    for method in ("PUT", "DELETE", "PATCH"):
        status, fields, _ = post(b, f"pod-chat/Dissolve?pod={pod}", b"", "-X", method)
        check_eq((status, fields["allow"]), (405, "get, head, post, options"), method)
    check_eq(get(b, f"pod-chat/Get?pod={pod}")[0], 200, "it is still there")


def test_a_provider_and_a_version_are_named(lab):
    """Over HTTP, over WebSocket paths and by the command; this node is one of two."""
    a = provider(lab)
    b = lab.daemon("b", config=PRIVATE + "[service]\nbuiltin = mesh-stats pod-chat\n" + OPEN_LIMITS + GATEWAY +
                   QUICK + MESH).start()
    join(b, a)
    theirs, own = (node.json("node", "id")["node_id"] for node in (a, b))

    def asked(path):
        status, fields, body = get(b, path)
        check_eq(status, 200, body)
        return fields["x-mesh-provider"]

    check_eq(asked(f"mesh-stats@{own}/GetMeshStatus"), own, "this node")
    wait_for(lambda: asked("mesh-stats/GetMeshStatus") == theirs, "this node comes last", pause=ASKING_S)
    check_eq(asked("mesh-stats/GetMeshStatus?prefer=local"), own, "or first")
    check_eq(asked(f"mesh-stats@{theirs}@%5E1/GetMeshStatus"), theirs, "node and version")
    check_eq(asked(f"mesh%2Dstats%40{theirs}/GetMeshStatus"), theirs, "percent-encoded")
    check_eq(error_of(get(b, f"mesh-stats@{theirs}@%5E2/GetMeshStatus")), (503, "service_unavailable"),
             "a version that is not there")
    check_eq(error_of(get(b, f"ech%6F2@{theirs}/x")), (403, "service_not_allowed"), "the name is what is listed")
    host = f"mesh-stats.{theirs}.localhost:" + authority_of(b).split(":")[1]
    check_eq(curl("-H", f"Host: {host}", f"{url_of(b)}/GetMeshStatus")[1]["x-mesh-provider"], theirs,
             "as a host")
    for name, node in ((f"mesh-stats@{theirs}@^1", theirs), (f"mesh-stats@{own}", own), ("mesh-stats", own)):
        said = json.loads(b.weft("--json", "service", "call", name, "GetMeshStatus").stdout)
        check_eq(said["provider"], node, f"the command: {name}")
    said = json.loads(b.weft("--json", "service", "call", "mesh-stats", "GetMeshStatus", "--prefer", "mesh").stdout)
    check_eq(said["provider"], theirs, "--prefer mesh")


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


def test_a_query_has_the_types_of_its_method(lab):
    b = lab.daemon("b", config=PRIVATE + "[service]\nbuiltin = pod-chat shadow-index\n" + OPEN_LIMITS + GATEWAY +
                   QUICK + MESH).start()
    pod = b.call("CallService", name="pod-chat", method="Create", json={"name": "r"})["json"]["pod"]
    for number in range(3):
        check_eq(post(b, f"pod-chat/PostMessage?pod={pod}&channel=general&body={number}")[0], 200, "a text stays one")
    status, _, body = get(b, f"pod-chat/FetchMessages?pod={pod}&limit=2&since=0")
    check_eq((status, [message["body"] for message in json.loads(body)["messages"]]), (200, ["0", "1"]), body)
    check_eq(error_of(get(b, f"pod-chat/FetchMessages?pod={pod}&limit=two")), (400, "invalid_payload"), "no number")
    for query in (f"mbids={MBID}", f"mbids={MBID}&mbids={MBID}"):
        status, _, body = get(b, f"shadow-index/QueryBatch?{query}")
        check_eq((status, len(json.loads(body)["shards"])), (200, query.count("=")), body)


def test_bodies_are_streamed_both_ways(lab):
    _, b, _ = web_pair(lab, "body_max = 32M\nmemory = 16M\n[quic]\nwindow_max = 2M\n")
    check_eq(get(b, "web/chunks")[2], BLOB[:100000], "chunks")

    def check_blob(answer, what):
        status, _, body = answer
        check_eq((status, body == BLOB), (200, True), f"{what}: {len(body)} bytes, {body[:200]}")

    check_blob(get(b, "web/blob"), "24 MiB through 16 MiB of memory")
    check_blob(post(b, "web/echo", BLOB), "up and down")
    check_blob(post(b, "web/echo", BLOB, "-H", "Transfer-Encoding: chunked"), "in chunks")
    status, _, body = post(b, "web/heard", BLOB, "-H", "Expect: 100-continue")
    check_eq((status, json.loads(body)["body"]), (200, len(BLOB)), "asked for first")
    # A slow reader takes no memory.
    with connect(b) as client:
        client.sendall(f"GET /mesh/http/web/blob HTTP/1.1\r\nHost: {authority_of(b)}\r\n"
                       "Connection: close\r\n\r\n".encode())
        time.sleep(1)
        held = metrics_parse(curl(f"{url_of(b)}/metrics")[2].decode())["weft_gateway_memory_used_len", None]
        check(held <= 2.5 * 1024 * 1024, f"{held} bytes are held for a client that does not read")
        check(read_all(client).endswith(BLOB[-1000:]), "and it gets all of it")


def test_bodies_are_as_long_as_the_offer_says(lab):
    """The gateway takes 1 MiB of itself, the offer 24."""
    a, b, server = web_pair(lab, "memory = 16M\n[quic]\nwindow_max = 2M\n", "--body-max", "24M")
    offer = next(o for o in a.json("service", "list")["offers"] if o["name"] == "web")
    check_eq(offer["body_max"], len(BLOB), "it is told")
    chunked = "-H", "Transfer-Encoding: chunked"
    for words in ((), chunked):
        status, _, body = post(b, "web/echo", BLOB, *words)
        check_eq((status, body == BLOB), (200, True), f"{words}: {len(body)} bytes up and down")
        check_eq(error_of(post(b, "web/echo", BLOB + b"x", *words)), (413, "payload_too_large"), f"and a byte {words}")
    check_eq(get(b, "web/heard")[0], 200, "and it goes on")
    # The provider's own bound, whatever a gateway takes: its server hears nothing of it.
    check_eq(a.weft("service", "withdraw", "web").returncode, OK, "withdrawn")
    done = a.weft("service", "publish", "web", "--version", "2.0.0", "--http", f"127.0.0.1:{server.server_port}",
                  "--body-max", "1000")
    check_eq(done.returncode, OK, done.stderr)
    wait_for(lambda: post(b, "web@2.0.0/heard", b"x" * 1000)[0] == 200, "the new one is found", pause=ASKING_S)
    for words in ((), chunked):
        status, _, body = post(b, "web@2.0.0/heard", b"x" * 1001, *words)
        check_eq((status, b"longer than this service takes" in body), (413, True), body)
    done = a.weft("service", "publish", "desk", "--exec", "/bin/cat", "--body-max", "1K")
    check("only services of HTTP have bodies" in done.stderr, done.stderr)


def test_a_web_server_that_fails(lab):
    _, b, server = web_pair(lab)
    with connect(b) as client:
        client.sendall(f"GET /mesh/http/web/die HTTP/1.1\r\nHost: {authority_of(b)}\r\n\r\n".encode())
        answer = read_all(client)
        check(len(answer.partition(b"\r\n\r\n")[2]) < 1000, "a part is not taken for the whole")
    server.shutdown()
    server.server_close()
    wait_for(lambda: get(b, "web/heard")[0] in (502, 503, 504), "it is gone", pause=ASKING_S)


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


def test_a44_local_calls_are_quick(lab):
    b = lab.daemon("b", config=PRIVATE + "[service]\nbuiltin = echo\n" + OPEN_LIMITS + GATEWAY + QUICK +
                   MESH).start()
    wait_for(lambda: get(b, "echo/Any")[0] == 200, "it answers", pause=ASKING_S)
    ask = (f"GET /mesh/http/echo/Any?a=b HTTP/1.1\r\nHost: {authority_of(b)}\r\n\r\n").encode()

    def p99_ms():
        took = []
        with connect(b) as client:
            for _ in range(1000):
                began = time.monotonic()
                client.sendall(ask)
                got = b""
                while b'{"a":"b"}' not in got:
                    got += client.recv(4096)
                took.append(time.monotonic() - began)
        return sorted(took)[990] * 1e3

    # Other users of the machine have it for a while, not for ever.
    wait_for(lambda: p99_ms() < 100, "99 of 100 local calls take less than 100 ms")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
