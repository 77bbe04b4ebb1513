#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Services of another node over HTTP.

    curl -> gateway of b -- session, 127.0.0.1 -- a: built-in services
"""
import http.server
import json
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from gateway_pair import MESH, OPEN_LIMITS, PRIVATE, asker, get, join, pair, post, provider
from lab import ASKING_S, OK, check, check_eq, run, wait_for
from web import (GATEWAY, QUICK, authority_of, connect, curl, error_of, metrics_parse, read_all,
                 token_of, url_of)

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
MBID = "b1a9c0e9-d987-4042-ae91-78d6a3267d69"


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
