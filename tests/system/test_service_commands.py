#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weft service: two daemons on this machine, a provides, b calls."""
import base64
import contextlib
import http.server
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import (ASKING_S, DEADLINE_S, FAILED, NOT_FOUND, OK, REFUSED, TIMEOUT, USAGE, WEFT, check,
                 check_eq, run, wait_for)

CONFIG = "[service]\nbuiltin = echo mesh-stats\n[overlay]\nserve = on\n"


def pair(lab):
    a = lab.daemon("a", config=CONFIG).start()
    b = lab.daemon("b", config=CONFIG).start()
    node = a.json("node", "id")["node_id"]
    listen = a.json("status")["listen"][0]
    check_eq(b.weft("peer", "connect", node, listen).returncode, OK, "connect")
    return a, b, node


def kept(daemon):
    """How many values of the overlay it keeps for others."""
    fills = daemon.json("overlay", "status")["overlay"]["fills"]
    return next(fill["used"] for fill in fills if fill["setting"] == "overlay.value_cap")


def weft_bytes(daemon, *words, data=b""):
    return subprocess.run([WEFT, "-s", str(daemon.sock), *map(str, words)], input=data,
                          capture_output=True, timeout=DEADLINE_S)


def test_json_is_answered_as_json_and_bytes_as_bytes(lab):
    _, b, node = pair(lab)
    done = b.weft("service", "call", "echo", "Say", '{"a": [1, "ä"]}', "--provider", node)
    check_eq((done.returncode, json.loads(done.stdout)), (OK, {"a": [1, "ä"]}), done.stderr)
    data = random.Random(1).randbytes(100_000)
    done = weft_bytes(b, "service", "call", "echo", "Say", "-", "--provider", node, data=data)
    check_eq((done.returncode, done.stdout == data), (OK, True), done.stderr)
    told = b.json("service", "call", "echo", "Say", "x", "--provider", node)
    check_eq((told["status"], told["status_name"], told["provider"],
              base64.b64decode(told["base64"])), (0, "OK", node, b"x"), "--json")
    check(told["took_us"] > 0, told)


def test_a_payload_may_have_a_megabyte_and_no_more(lab):
    _, b, node = pair(lab)
    data = bytes(1 << 20)
    done = weft_bytes(b, "service", "call", "echo", "Say", "-", "--provider", node, data=data)
    check_eq((done.returncode, done.stdout == data), (OK, True), done.stderr[:200])
    done = weft_bytes(b, "service", "call", "echo", "Say", "-", "--provider", node,
                      data=data + b"x")
    check(done.returncode not in (OK, USAGE) and done.stdout == b"", done.stderr[:200])


def test_what_went_wrong_is_said_and_is_the_exit_code(lab):
    a, b, node = pair(lab)
    done = b.weft("service", "call", "nobody", "X", "--provider", node)
    check_eq((done.returncode, "ServiceNotFound" in done.stderr), (NOT_FOUND, True), done.stderr)
    done = b.weft("service", "call", "mesh-stats", "Wrong", "{}", "--provider", node)
    check_eq((done.returncode, "MethodNotFound" in done.stderr), (NOT_FOUND, True), done.stderr)
    check("weft service show mesh-stats lists its methods" in done.stderr, done.stderr)
    done = b.weft("service", "call", "mesh-stats", "GetMeshStatus", '{"wrong": 1}', "--provider", node)
    check("weft service show mesh-stats tells what its methods take" in done.stderr, done.stderr)
    done = b.weft("service", "call", "Bad Name", "X", "--provider", node)
    check(done.returncode not in (OK, NOT_FOUND) and "a-z" in done.stderr, done.stderr)
    done = b.weft("service", "call", "echo", "X", "--provider", "zzz")
    check(done.returncode != OK and "node id" in done.stderr, done.stderr)
    done = b.weft("service", "call", "echo", "X", "--version", "?", "--provider", node)
    check(done.returncode != OK, done.stderr)
    a.kill()
    done = b.weft("service", "call", "echo", "X", "--provider", node, "--timeout", "1")
    check(done.returncode in (TIMEOUT, REFUSED), f"{done.returncode} {done.stderr}")


def test_own_services_are_called_without_a_detour(lab):
    a = lab.daemon("a", config=CONFIG).start()
    node = a.json("node", "id")["node_id"]
    done = a.weft("service", "call", "mesh-stats", "GetMeshStatus", "{}")
    check_eq((done.returncode, "session_cnt" in done.stdout), (OK, True), done.stderr)
    told = a.json("service", "call", "echo", "X", "{}", "--provider", node)
    check_eq((told["provider"], told["json"]), (node, {}), "own")


def test_a_stream_is_byte_exact_and_ends_with_its_input(lab):
    _, b, node = pair(lab)
    data = random.Random(2).randbytes(3_000_000)
    done = weft_bytes(b, "service", "stream", "echo", "--provider", node, data=data)
    check_eq((done.returncode, done.stdout == data), (OK, True), done.stderr)
    done = weft_bytes(b, "service", "stream", "echo", "talk", "--lines", "--provider", node,
                      data=b"one\n\ntwo\nthree")
    check_eq((done.returncode, done.stdout), (OK, b"one\n\ntwo\nthree\n"), done.stderr)
    done = weft_bytes(b, "service", "stream", "mesh-stats", "--provider", node)
    check_eq((done.returncode, b"mesh-stats" in done.stderr), (NOT_FOUND, True), done.stderr)


def test_a_service_is_found_by_name_and_by_id(lab):
    _, b, node = pair(lab)
    # Under the names and the ids of both its services; asking all the time has a limit.
    wait_for(lambda: kept(b) >= 4, "a publishes, and b keeps it")
    wait_for(lambda: b.weft("service", "find", "echo", "--fresh").returncode == OK, "published",
             pause=ASKING_S)
    told = b.json("service", "find", "echo", "--version", "^1")
    found = {row["node_id"]: row for row in told["providers"]}
    check(node in found and found[node]["version"] == "1.0.0", told)
    check(base64.b64decode(found[node]["descriptor"]), "the signed object")
    by_id = b.json("service", "find", found[node]["service_id"])["providers"]
    check_eq([row["node_id"] for row in by_id], [node], "by id")
    line = b.weft("service", "find", "echo").stdout.splitlines()
    check(any(row.split("\t")[:2] == [node, "1.0.0"] for row in line), line)
    none = b.weft("service", "find", "echo", "--version", "^9")
    check_eq(none.returncode, NOT_FOUND, none.stderr)
    done = b.weft("service", "call", "echo", "X", "{}")
    check_eq(done.returncode, OK, "by name alone")
    known = [row for row in b.json("service", "list")["known"] if row["name"] == "echo"]
    check_eq([row["node_id"] for row in known], [node], "what others offer is listed")


def test_lists_and_limits_are_printed_a_line_each(lab):
    a = lab.daemon("a", config=CONFIG).start()
    a.weft("service", "call", "echo", "X")
    rows = [line.split("\t") for line in a.weft("service", "list").stdout.splitlines()]
    check_eq({tuple(row[:5]) for row in rows},
             {("offer", name, "1.0.0", "builtin", "ready") for name in ("echo", "mesh-stats")},
             "offers")
    check_eq({row[1]: row[5] for row in rows}, {"echo": "1", "mesh-stats": "0"}, "calls")
    limits = a.json("service", "limits")["limits"]
    lines = a.weft("service", "limits").stdout.splitlines()
    check_eq([line.split("\t")[0] for line in lines], [row["setting"] for row in limits], "limits")
    check_eq([row["limit"] for row in limits if row["setting"] == "payload"], [1 << 20], "payload")


def test_a_caller_that_leaves_cancels_its_call(lab):
    a, b, node = pair(lab)
    os.kill(a.pid(), signal.SIGSTOP)
    waiting = b.weft_popen("service", "call", "echo", "X", "--provider", node, "--timeout", "50")

    def pending():
        limits = b.json("service", "limits")["limits"]
        return next(row["used"] for row in limits if row["setting"] == "pending")

    wait_for(lambda: pending() == 1, "it is under way")
    waiting.kill()
    waiting.wait()
    wait_for(lambda: pending() == 0, "it is gone with its caller")
    os.kill(a.pid(), signal.SIGCONT)


class Page(http.server.BaseHTTPRequestHandler):
    """Answers /STATUS with that status and what it was asked; everything else with 200."""
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        told = {"verb": self.command, "path": self.path, "x": self.headers.get("X-Test"),
                "caller": self.headers.get("X-Mesh-Peer"), "body": body.decode()}
        data = json.dumps(told).encode()
        digits = self.path[1:4]
        status = int(digits) if digits.isdigit() else 200
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def web_server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def offer_of(daemon, name):
    rows = daemon.json("service", "list")["offers"]
    return next((row for row in rows if row["name"] == name), None)


def test_a_web_server_is_called_by_verb_and_path(lab):
    a, b, node = pair(lab)
    me = b.json("node", "id")["node_id"]
    with web_server() as address:
        done = a.weft("service", "publish", "site", "--http", address)
        check_eq(done.returncode, OK, done.stderr)
        wait_for(lambda: offer_of(a, "site")["state"] == "ready", "it is well")

        def ask(*words):
            return b.weft("service", "call", "site", *words, "--provider", node)

        done = ask("GET", "/a?b=c", "--header", "X-Test: 1")
        check_eq((done.returncode, json.loads(done.stdout), done.stderr),
                 (OK, {"verb": "GET", "path": "/a?b=c", "x": "1", "caller": me, "body": ""},
                  "200\n"), "GET")
        done = ask("PUT", "/a", "some body")
        check_eq(json.loads(done.stdout)["body"], "some body", "a body")
        done = ask("HEAD", "/a", "--headers")
        check_eq((done.returncode, done.stdout, done.stderr.splitlines()[0]), (OK, "", "200"),
                 "HEAD")
        check("Content-Length" in done.stderr.title(), done.stderr)
        for status, code in [(204, OK), (302, OK), (403, REFUSED), (404, NOT_FOUND), (408, TIMEOUT),
                             (429, REFUSED), (500, FAILED), (504, TIMEOUT)]:
            done = ask("GET", f"/{status}")
            check_eq((done.returncode, done.stderr), (code, f"{status}\n"), status)
        done = ask("GET", "/a", "--header", "no header")
        check_eq(done.returncode, USAGE, done.stderr)
        done = ask("GET", "/with space")
        check_eq(done.returncode, USAGE, done.stderr)


def test_an_offer_is_what_was_said(lab):
    a, _, node = pair(lab)
    with web_server() as address:
        done = a.weft("service", "publish", "site", "--http", address, "--version", "2.1.0",
                      "--calls", "10/s", "--payload", "64K", "--timeout", "7", "--allow", node,
                      "--meta", "lang=en", "--meta", "made=by, hand", "--health", "/200",
                      "--concurrency", "3")
        check_eq(done.returncode, OK, done.stderr)
        told = offer_of(a, "site")
        wanted = {"version": "2.1.0", "provider": "http", "target": address, "allow": [node],
                  "calls_per_min": 600, "payload_max": 65536, "timeout_ms": 7000, "published": True,
                  "concurrency": 3, "under_way": 0, "waiting": 0, "waiting_max": 32}
        check_eq({key: told[key] for key in wanted}, wanted, "limits")
        check_eq((told["metadata"]["lang"], told["metadata"]["made"]), ("en", "by, hand"),
                 told["metadata"])
        shown = a.weft("service", "show", "site")
        check("concurrency\t3\n" in shown.stdout, shown.stdout)
        done = a.weft("service", "publish", "none", "--http", address, "--concurrency", "0")
        check_eq(done.returncode, USAGE, done.stderr)
        again = a.weft("service", "publish", "site", "--http", address, "--version", "2.1.1")
        check_eq(again.returncode, REFUSED, again.stderr)
        other = a.weft("service", "publish", "site", "--http", address)
        check_eq(other.returncode, OK, other.stderr)
        done = a.weft("service", "withdraw", "site", "--version", "2.0.0")
        check_eq(done.returncode, OK, done.stderr)
        check_eq(offer_of(a, "site")["version"], "1.0.0", "the other one is left")


def test_a_program_is_run_for_each_call_and_kept_over_restarts(lab):
    a, b, node = pair(lab)
    done = a.weft("service", "publish", "shout", "--exec", "/usr/bin/tr", "--", "a-z", "A-Z")
    check_eq(done.returncode, OK, done.stderr)
    call = ("service", "call", "shout", "Shout", "quiet", "--provider", node)
    wait_for(lambda: offer_of(a, "shout")["state"] == "ready", "it is well")
    check_eq(b.weft(*call).stdout, "QUIET", "a call")
    a.kill()
    a.start()
    wait_for(lambda: (offer_of(a, "shout") or {}).get("state") == "ready", "it is offered again")
    done = a.weft(*call[:-2])
    check_eq(done.stdout, "QUIET", done.stderr)
    check_eq(a.weft("service", "withdraw", "shout").returncode, OK, "withdraw")
    check_eq(offer_of(a, "shout"), None, "it is gone")
    check_eq(a.weft("service", "withdraw", "shout").returncode, NOT_FOUND, "twice")
    a.kill()
    a.start()
    check_eq(offer_of(a, "shout"), None, "and stays so")


def shown(daemon, name):
    """The fields that weft service show prints, of each service; what it says of itself follows them."""
    done = daemon.weft("service", "show", name)
    check_eq(done.returncode, OK, done.stderr)
    return [dict(line.split("\t", 1) for line in part.splitlines())
            for part in done.stdout.rstrip("\n").split("\n\n") if part.startswith("name\t")]


def test_read_only_methods_are_declared_and_shown(lab):
    a, b, node = pair(lab)
    done = a.weft("service", "publish", "rooms", "--exec", "/usr/bin/tr", "--read-only", "List",
                  "--read-only", "Get", "--", "a-z", "A-Z")
    check_eq(done.returncode, OK, done.stderr)
    check_eq(offer_of(a, "rooms")["read_only"], ["List", "Get"], "as it was said")
    a.kill()
    a.start()
    check_eq(offer_of(a, "rooms")["read_only"], ["List", "Get"], "after a crash")
    check_eq([(row["node"], row["read_only"]) for row in shown(a, "rooms")], [("here", "List Get")],
             "here")
    check_eq(shown(a, "mesh-stats")[0]["read_only"], "GetMeshStatus GetPeersSummary", "built in")
    check_eq(b.weft("peer", "connect", node, a.json("status")["listen"][0]).returncode, OK, "again")
    wait_for(lambda: b.weft("service", "find", "rooms", "--fresh").returncode == OK, "published",
             pause=ASKING_S)
    check_eq([(row["node"], row["read_only"]) for row in shown(b, "rooms")], [(node, "Get List")],
             "elsewhere, as the descriptor has it")
    with web_server() as address:
        done = a.weft("service", "publish", "site", "--http", address)
        check_eq(done.returncode, OK, done.stderr)
        check_eq(shown(a, "site")[0]["read_only"], "GET HEAD", "of HTTP")
        done = a.weft("service", "publish", "site2", "--http", address, "--read-only", "GET")
        check(done.returncode == FAILED and "HTTP" in done.stderr, done.stderr)
    done = a.weft("service", "publish", "odd", "--exec", "/usr/bin/tr", "--read-only", "a b")
    check(done.returncode == FAILED and "visible letters" in done.stderr, done.stderr)
    done = b.weft("service", "show", "no-such")
    check_eq(done.returncode, NOT_FOUND, done.stderr)


def test_offers_that_are_none_are_refused_with_a_reason(lab):
    a = lab.daemon("a", config=CONFIG).start()
    rows = [
        (("hello",), USAGE, "--http"),
        (("hello", "--http", "127.0.0.1:80", "--socket", "/x"), USAGE, "one of"),
        (("hello", "--http", "localhost:80"), FAILED, "127.0.0.1:8080"),
        (("Hello", "--http", "127.0.0.1:80"), FAILED, "a-z"),
        (("hello", "--http", "127.0.0.1:80", "--version", "1"), FAILED, "version"),
        (("hello", "--http", "127.0.0.1:80", "--allow", "abc"), FAILED, "52 letters"),
        (("hello", "--http", "127.0.0.1:80", "--meta", "email=x"), FAILED, "personal"),
        (("hello", "--http", "127.0.0.1:80", "--meta", "x"), USAGE, "KEY=VALUE"),
        (("hello", "--http", "127.0.0.1:80", "--calls", "0"), USAGE, "100/min"),
        (("hello", "--http", "127.0.0.1:80", "--payload", "much"), USAGE, "64K"),
        (("hello", "x", "--http", "127.0.0.1:80"), USAGE, "--exec"),
        (("echo", "--http", "127.0.0.1:80"), REFUSED, "withdraw"),
    ]
    for words, code, text in rows:
        done = a.weft("service", "publish", *words)
        check_eq((done.returncode, text in done.stderr), (code, True), f"{words}: {done.stderr}")
    many = [word for i in range(11) for word in ("--meta", f"k{i}=v")]
    done = a.weft("service", "publish", "hello", "--http", "127.0.0.1:80", *many)
    check(done.returncode == FAILED, done.stderr)
    check_eq(a.weft("service", "withdraw", "echo").returncode, REFUSED, "built in")


def test_services_can_be_left_out(lab):
    a = lab.daemon("a", config="[service]\nenabled = no\n").start()
    done = a.weft("service", "list")
    check_eq((done.returncode, "service.enabled = yes" in done.stderr), (REFUSED, True),
             done.stderr)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
