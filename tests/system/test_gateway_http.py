#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The gateway of weftd under curl and raw sockets: permissions, invalid
requests, limits, methods, events and figures over HTTP."""
import json
import os
import pathlib
import resource
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, check, check_eq, run, wait_for
from web import (GATEWAY, QUICK, authority_of, connect, curl, error_of, metrics_parse, raw, read_all,
                 token_of, url_of)

PRIVATE = "[dht]\nenabled = no\n"


def gateway(lab, extra="", name="g"):
    return lab.daemon(name, config=PRIVATE + GATEWAY + QUICK + extra).start()


def shown(daemon):
    return "-H", f"X-Weft-Token: {token_of(daemon)}"


def api(daemon, method, body=None, *words):
    data = ("--data-binary", body) if body is not None else ("-X", "POST")
    return curl(*shown(daemon), *data, *words, f"{url_of(daemon)}/api/v1/{method}")


# A38: one curl for each rule.
def test_a38_the_gates(lab):
    g = gateway(lab)
    url, port = url_of(g), authority_of(g).split(":")[1]
    call = f"{url}/api/v1/GetNodeId"
    check_eq(error_of(curl("-X", "POST", call)), (401, "token_required"), "no token")
    check_eq(error_of(curl("-X", "POST", "-H", "X-Weft-Token: " + "0" * 64, call)),
             (401, "token_required"), "a wrong one")
    check_eq(curl("-X", "POST", *shown(g), call)[0], 200, "the token")
    check_eq(curl("-X", "POST", "-H", f"Authorization: Bearer {token_of(g)}", call)[0], 200,
             "as a bearer")
    check_eq(error_of(curl("-X", "POST", *shown(g), "-H", "Origin: http://evil.example", call)),
             (403, "origin_not_allowed"), "a foreign page")
    check_eq(error_of(curl(*shown(g), "-H", "Host: evil.example", f"{url}/metrics")),
             (403, "host_not_allowed"), "DNS rebinding")
    check_eq(curl(f"http://localhost:{port}/healthz")[0], 200, "localhost is a name of it")
    check_eq(error_of(curl("-H", "Sec-Fetch-Site: cross-site", f"{url}/metrics")),
             (401, "token_required"), "read by a foreign page")
    status, fields, _ = curl("-X", "OPTIONS", "-H", "Origin: http://localhost:" + port, call)
    check_eq((status, fields["allow"]), (204, "post, options"), "preflight")
    for answer in (curl(f"{url}/healthz"), curl(f"{url}/nothing"), curl("-X", "POST", call)):
        check("access-control-allow-origin" not in answer[1] or answer[0] == 400, "no CORS")
        check_eq(answer[1]["x-frame-options"], "deny", "not framed")
        check_eq(answer[1]["x-content-type-options"], "nosniff", "not sniffed")
        check_eq(answer[1]["content-security-policy"],
                 "default-src 'none'; form-action 'none'; frame-ancestors 'none'", "no scripts, no forms")
        check_eq(answer[1]["referrer-policy"], "no-referrer", "no referrer")


def refusal(lab, config, name):
    daemon = lab.daemon(name, config=PRIVATE + config)
    done = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    check(done.returncode != 0, f"{config} was taken")
    return done.stderr


def test_a38_other_machines_need_a_key_and_a_word(lab):
    key = lab.dir / "key"
    key.write_text("k" * 32 + "\n")
    key.chmod(0o600)
    remote = "[gateway]\nenabled = yes\nlisten = 0.0.0.0:0\n"
    check("gateway.expose = yes" in refusal(lab, remote, "a"), "no word")
    check("gateway.token_file" in refusal(lab, remote + "expose = yes\n", "b"), "no key")
    check("gateway.expose" in refusal(lab, remote + f"token_file = {key}\n", "c"), "a key alone")
    g = lab.daemon("d", config=PRIVATE + remote + QUICK + "hosts = gate.example\n"
                   f"expose = yes\ntoken_file = {key}\n").start()
    port = url_of(g).rsplit(":", 1)[1]
    ask = ("-H", "Host: gate.example", f"http://127.0.0.1:{port}/metrics")
    check_eq(error_of(curl(*ask)), (401, "token_required"), "even what is open on loopback")
    check_eq(curl("-H", "X-Weft-Token: " + "k" * 32, *ask)[0], 200, "with the key")
    check(not (g.state / "gateway.token").exists(), "no other token is made")


def test_the_token_is_made_once_and_readable_by_its_owner_alone(lab):
    g = gateway(lab)
    path = g.state / "gateway.token"
    check_eq(path.stat().st_mode & 0o777, 0o600, "mode")
    check(f"the token is in {path}" in g.log_text(), "the log says where")
    token = token_of(g)
    check_eq(len(token), 64, "256 bits")
    check(token not in g.log_text(), "but not what it is")
    g.stop()
    g.start()
    check_eq(token_of(g), token, "it stays")
    g.stop()
    path.chmod(0o640)
    done = subprocess.run(g.command(), capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    check(done.returncode != 0 and "give it mode 0600" in done.stderr, done.stderr)
    path.chmod(0o600)
    path.write_text("short\n")
    done = subprocess.run(g.command(), capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    check(done.returncode != 0 and "32 to 128 visible letters" in done.stderr, done.stderr)


def test_what_cannot_be_is_refused_with_a_sentence(lab):
    for config, text in (
            (GATEWAY + "mesh = yes\n", "gateway.services: no service is named"),
            (GATEWAY + "mesh = yes\nservices = ,\n", "gateway.services: no service is named"),
            (GATEWAY + "hosts = " + "x" * 128 + "\n", "gateway.hosts"),
            (GATEWAY + "origins = " + "x," * 33 + "\n", "gateway.origins"),
            (GATEWAY + "token = sometimes\n", "writes always"),
            (GATEWAY + "memory = 1K\n", "gateway.memory")):
        said = refusal(lab, config, "x")
        check(text in said, said)


def test_a34_disabled_is_reported_before_anything_else(lab):
    g = gateway(lab)
    for words in ((), ("-X", "POST"), ("-H", "Host: evil.example"), ("-H", "Origin: http://evil")):
        check_eq(error_of(curl(*words, f"{url_of(g)}/mesh/http/pod-chat/channels")),
                 (404, "mesh_gateway_disabled"), words)
    listening = subprocess.run(["ss", "-Hlnt"], capture_output=True, text=True, check=True).stdout
    port = authority_of(g).split(":")[1]
    mine = [line.split()[3] for line in listening.splitlines() if f":{port} " in line]
    check_eq(mine, [f"127.0.0.1:{port}"], "on loopback alone")


def test_methods_are_those_of_the_socket(lab):
    g = gateway(lab)
    status, fields, body = api(g, "GetNodeId")
    check_eq((status, fields["content-type"]), (200, "application/json"), body)
    check_eq(json.loads(body), g.call("GetNodeId"), "the same answer")
    check_eq(json.loads(api(g, "GetNodeId", "{}")[2]), g.call("GetNodeId"), "an empty object")
    check_eq(error_of(api(g, "Nothing")), (404, "org.varlink.service.MethodNotFound"), "no method")
    check_eq(error_of(api(g, "")), (404, "org.varlink.service.MethodNotFound"), "none at all")
    check_eq(error_of(api(g, "RemoveShare", '{"share": 7}')),
             (400, "org.varlink.service.InvalidParameter"), "not of its type")
    for body in ("[]", "{", '{"a":1,"a":2}', "\xff"):
        check_eq(error_of(api(g, "GetNodeId", body)), (400, "invalid_body"), body)
    check_eq(error_of(api(g, "RemoveShare", '{"share": "nothing"}'))[0], 404, "no such share")
    check_eq(error_of(api(g, "WatchEvents")), (409, "net.weft.Node.Refused"), "a stream")
    check_eq(error_of(api(g, "RunGc")), (403, "org.varlink.service.PermissionDenied"), "a role")
    check_eq(curl(*shown(g), f"{url_of(g)}/api/v1/GetNodeId")[0], 405, "GET")
    check_eq(error_of(api(g, "GetNodeId", "{" + " " * 65535 + "}")), (413, "payload_too_large"),
             "64 KiB and one byte")
    admin = gateway(lab, "role = admin\n", "admin")
    check(api(admin, "RunGc", "{}")[0] != 403, "admin may")
    view = gateway(lab, "role = view\n", "view")
    check_eq(error_of(api(view, "RemoveShare", '{"share": "x"}'))[0], 403, "view may not")


def test_a37_bodies_are_in_no_log(lab):
    g = lab.daemon("g", config=PRIVATE + "[log]\nlevel = debug\n" + GATEWAY + QUICK).start()
    api(g, "RemoveShare", '{"share": "marker-4711"}')
    api(g, "GetNodeId", '{"marker-4711": 1}')
    curl(f"{url_of(g)}/nothing?marker-4711")
    check("marker-4711" not in g.log_text(), "what was asked")


def events_of(daemon, *fields):
    client = connect(daemon)
    lines = ["GET /events HTTP/1.1", f"Host: {authority_of(daemon)}",
             f"X-Weft-Token: {token_of(daemon)}", *fields]
    client.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(1)
    check(b"text/event-stream" in head and b" 200 " in head, head)
    return client


def unchunked(data):
    """Chunks as they come, the last maybe not whole."""
    out = b""
    while b"\r\n" in data:
        size, data = data.split(b"\r\n", 1)
        out += data[:int(size, 16)]
        data = data[int(size, 16) + 2:]
    return out.decode()


def parse_events(text):
    return [dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            for block in text.split("\n\n") if block.strip() and not block.startswith(":")]


def read_events(client, cnt):
    data, events = b"", []
    while len(events) < cnt or not unchunked(data).endswith("\n\n"):
        part = client.recv(65536)
        check(part, "the stream goes on")
        data += part
        events = parse_events(unchunked(data))
    return events


def test_events_are_streamed_and_resumed(lab):
    g = gateway(lab)
    tree = lab.folder("tree", {"one": 1000})
    check_eq(curl(f"{url_of(g)}/events")[0], 401, "they name peers: guarded")
    with connect(g) as client:
        head = (f"HEAD /events HTTP/1.1\r\nHost: {authority_of(g)}\r\n"
                f"X-Weft-Token: {token_of(g)}\r\n\r\n").encode()
        client.sendall(head + head.replace(b"HEAD /events", b"GET /healthz"))
        client.shutdown(socket.SHUT_WR)
        check(read_all(client).endswith(b"\r\n\r\nok\n"), "HEAD ends with the head")
    with events_of(g) as client:
        g.share(tree)
        events = read_events(client, 1)
    seqs = [int(event["id"]) for event in events]
    check_eq(seqs, list(range(seqs[0], seqs[0] + len(seqs))), "numbers")
    check_eq(json.loads(events[0]["data"])["seq"], seqs[0], "as the socket tells it")
    wait_for(lambda: any("share.added" in json.dumps(event) for event in
                         read_all_events(g)), "the share is among them")
    with events_of(g, "Last-Event-ID: 0") as client:
        check_eq(int(read_events(client, 1)[0]["id"]), 1, "from the first")
    with events_of(g, "Last-Event-ID: 999999999") as client:
        check_eq(int(read_events(client, 2)[0].get("id", 1)), 1, "a number of another life")


def read_all_events(daemon):
    with events_of(daemon, "Last-Event-ID: 0") as client:
        client.settimeout(1)
        data = b""
        try:
            while part := client.recv(65536):
                data += part
        except TimeoutError:
            pass
        return parse_events(unchunked(data))


def test_a_slow_reader_learns_how_many_events_it_missed(lab):
    g = lab.daemon("g", config=PRIVATE + "[control]\nevent_cap = 16\n" + GATEWAY + QUICK).start()
    for number in range(12):
        g.share(lab.folder(f"t{number}", {"one": 10 + number}))
    with events_of(g, "Last-Event-ID: 0") as client:
        events = read_events(client, 3)
    check_eq(events[0]["event"], "gap", "first the gap")
    missed = json.loads(events[0]["data"])["missed"]
    check_eq(int(events[1]["id"]), missed + 1, "and then what is kept")


def test_figures_follow_the_format(lab):
    g = gateway(lab)
    curl(f"{url_of(g)}/nothing-of-the-kind")
    status, fields, body = curl(f"{url_of(g)}/metrics")
    check_eq((status, fields["content-type"]), (200, "text/plain; version=0.0.4; charset=utf-8"), "")
    samples = metrics_parse(body.decode())
    check(samples["weft_gateway_request_cnt_total", None] >= 2, "counted")
    check(("weft_limit", 'limit="gateway.connections"') in samples, "limits")
    check(("weft_directory_hidden_total", 'reason="bad signature"') in samples, "faults of descriptors")
    check(("weft_reputation_observations_total", 'observation="broken rule"') in samples, "reputation")
    for name in ("weft_provider_refused_cnt_total", "weft_follows_false_head_cnt_total", "weft_announce_put_cnt_total",
                 "weft_store_segment_cnt", "weft_mesh_stale_record_cnt_total"):
        check((name, None) in samples, name)
    check(samples["weft_uptime_seconds", None] >= 0 and samples["weft_peers", None] == 0, "figures")
    check(any(name.startswith("weft_quic_") for name, _ in samples), "counters of the modules")
    names = {name for name, _ in samples}
    for _ in range(50):
        curl(f"{url_of(g)}/{os.urandom(8).hex()}")
    again = metrics_parse(curl(f"{url_of(g)}/metrics")[2].decode())
    check_eq({key for key in again}, {key for key in samples}, "no name comes of what is asked")
    # As many as the modules count.
    check(len(names) < 1000, f"{len(names)} families")


def test_probes(lab):
    g = gateway(lab)
    check_eq(curl(f"{url_of(g)}/healthz")[::2], (200, b"ok\n"), "alive")
    check_eq(curl(f"{url_of(g)}/readyz")[::2], (200, b"ready\n"), "ready")
    for path in ("healthz", "readyz", "metrics"):
        status, fields, body = curl("-I", f"{url_of(g)}/{path}")
        check_eq((status, body), (200, b""), f"HEAD {path}")
        check(int(fields["content-length"]) > 0, "its length")


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


# Forms that a proxy in front may read in another way than we do: one request, then the smuggled one.
SMUGGLED = [
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n",
    b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    b"Content-Length: 0, 0\r\n\r\n",
    b"Content-Length: +0\r\n\r\n",
    b"Content-Length: 0x0\r\n\r\n",
    b"Content-Length:\r\n 0\r\n\r\n",
    b"Content-Length : 0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n X: y\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n0\n\n",
    b"Transfer-Encoding: chunked\r\n\r\n0 \r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n-0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n11111111111111111\r\nx\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n1\r\nxx\r\n0\r\n\r\n",
    b"X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"X: a\x00b\r\n\r\n",
    b"Host: another\r\n\r\n",
]


def test_smuggled_requests_are_refused_and_what_follows_is_not_read(lab):
    g = gateway(lab)
    opening = (f"POST /api/v1/GetNodeId HTTP/1.1\r\nHost: {authority_of(g)}\r\n"
               f"X-Weft-Token: {token_of(g)}\r\n").encode()
    follows = f"GET /healthz HTTP/1.1\r\nHost: {authority_of(g)}\r\n\r\n".encode()
    good = raw(g, opening + b"Content-Length: 0\r\n\r\n" + follows)
    check_eq(good.count(b"HTTP/1.1 200 "), 2, "two good ones")
    for form in SMUGGLED:
        answer = raw(g, opening + form + follows)
        check(status_of(answer) in (400, 403, 501), f"{form}: {answer[:60]}")
        check_eq(answer.count(b"\r\nDate: "), 1, f"{form}: one answer")
        check(b"Connection: close" in answer, form)


def test_every_length_is_exceeded_by_one(lab):
    g = gateway(lab)
    host = f"Host: {authority_of(g)}\r\n".encode()
    check_eq(status_of(raw(g, b"GET /" + b"a" * 2047 + b" HTTP/1.1\r\n" + host + b"\r\n")), 400, "2048")
    check_eq(status_of(raw(g, b"GET /" + b"a" * 2048 + b" HTTP/1.1\r\n" + host + b"\r\n")), 414, "2049")
    check_eq(status_of(raw(g, b"GET /healthz HTTP/1.1\r\n" + host + b"A: " + b"a" * 9000 + b"\r\n\r\n")),
             431, "9 KB of fields")
    with connect(g) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\n" + host + b"A: ")
        try:
            for _ in range(1024):
                client.sendall(b"a" * 1024)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = read_all(client)
        check(not answer or status_of(answer) == 431, "a field of 1 MB")
    fields = b"".join(b"F%d: v\r\n" % number for number in range(63))
    check_eq(status_of(raw(g, b"GET /healthz HTTP/1.1\r\n" + host + fields + b"\r\n")), 200, "64")
    check_eq(status_of(raw(g, b"GET /healthz HTTP/1.1\r\n" + host + fields + b"X: y\r\n\r\n")), 431, "65")


def test_a_slow_request_is_answered_by_408(lab):
    g = gateway(lab)
    with connect(g) as client:
        began = time.monotonic()
        client.sendall(f"GET /healthz HTTP/1.1\r\nHost: {authority_of(g)}\r\n".encode())
        client.settimeout(1)
        answer = b""
        while not answer:
            try:
                answer = client.recv(4096)
            except TimeoutError:
                client.sendall(b"X")  # a byte a second
        took = time.monotonic() - began
        check_eq(status_of(answer), 408, answer)
        check(2.5 < took < 8, f"after {took} s")


def test_10000_idle_sockets_are_bounded(lab):
    resource.setrlimit(resource.RLIMIT_NOFILE, (12000, max(
        12000, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    g = gateway(lab, "connections = 300\nconnections_per_address = 200\n")

    def resident():
        return int(pathlib.Path(f"/proc/{g.pid()}/statm").read_text().split()[1]) * 4096

    before = resident()
    held = []
    host, port = authority_of(g).split(":")
    for number in range(10000):
        client = socket.socket()
        client.bind((f"127.0.0.{2 + number % 50}", 0))
        client.connect((host, int(port)))
        held.append(client)
    check_eq(curl(f"{url_of(g)}/healthz")[0], 200, "who asks something is still answered")
    limits = {row["name"]: row for row in g.call("ShowLimits")["limits"]}["gateway.connections"]
    check(limits["used"] <= 300, limits)
    grown = resident() - before
    check(grown < 64 * 1024 * 1024, f"{grown} bytes more")
    for client in held:
        client.close()
    wait_for(lambda: {row["name"]: row for row in g.call("ShowLimits")["limits"]}
             ["gateway.connections"]["used"] <= 1, "they are let go of")


def test_rates_are_of_their_routes(lab):
    g = lab.daemon("g", config=PRIVATE + GATEWAY + "rate = 1\nburst = 3\nmesh_rate = 6\n"
                   "mesh_burst = 5\nfile_rate = 1\nfile_burst = 7\nmesh = yes\nservices = x\n").start()
    basic = [curl(f"{url_of(g)}/healthz")[0] for _ in range(6)]
    check(basic[:3] == [200] * 3 and 429 in basic[3:], basic)
    check_eq([curl(*shown(g), f"{url_of(g)}/healthz")[0] for _ in range(9)], [200] * 9,
             "who shows the token on this machine")
    check_eq([api(g, "GetNodeId")[0] for _ in range(9)], [200] * 9, "also where work is done")
    files = [curl(f"{url_of(g)}/blob/{'0' * 64}")[0] for _ in range(12)]
    check(429 not in files[:7] and 429 in files[7:], files)
    busy = [curl(f"{url_of(g)}/mesh/http/services") for _ in range(7)]
    check_eq([answer[0] for answer in busy], [200] * 5 + [429] * 2, "five a burst")
    check_eq(busy[-1][1]["retry-after"], "1", "when to come back")
    check_eq(error_of(busy[-1]), (429, "rate_limited"), "its name")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
