#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs behind services: what they may do wrong, and what is left of them
after a crash. Daemon a provides, b calls; both are of this machine."""
import base64
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import textwrap

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import (DEADLINE_S, FAILED, OK, REFUSED, TIMEOUT, USAGE, WEFT, Skip, check, check_eq, free_port, run,
                 wait_for)
from web import GATEWAY, curl, url_of

# What a sanitizer keeps aside is not what a daemon needs.
os.environ.setdefault("ASAN_OPTIONS", "quarantine_size_mb=4")

CONFIG = "[service]\nbuiltin =\npeer_calls = 100000\n"


def pair(lab):
    a = lab.daemon("a", config=CONFIG).start()
    b = lab.daemon("b", config=CONFIG).start()
    connect(a, b)
    return a, b


def connect(a, b):
    done = b.weft("peer", "connect", node_id(a), a.json("status")["listen"][0])
    check_eq(done.returncode, OK, done.stderr)


def node_id(daemon):
    return daemon.json("node", "id")["node_id"]


def publish(daemon, name, *words):
    done = daemon.weft("service", "publish", name, *words)
    check_eq(done.returncode, OK, done.stderr)
    wait_for(lambda: state_of(daemon, name) == "ready", f"{name} is ready")


def state_of(daemon, name):
    return next(offer["state"] for offer in daemon.json("service", "list")["offers"]
                if offer["name"] == name)


def call(a, b, *words, timeout=30):
    return b.weft("service", "call", *words, "--provider", node_id(a), "--timeout", timeout)


class Program:
    """A process of a test's, whose Python is script; it says "ready" when it listens."""

    def __init__(self, lab, script, *words):
        self.process = subprocess.Popen([sys.executable, "-u", "-c", textwrap.dedent(script),
                                         *map(str, words)], stdout=subprocess.PIPE, text=True)
        lab.processes.append(self.process)
        check_eq(self.process.stdout.readline(), "ready\n", "the program starts")

    def kill(self):
        self.process.kill()
        self.process.wait()


# Answers calls of net.weft.Service as the method's name says.
DESK = """
    import json, os, socket, sys, threading, time

    def serve(client):
        text = b""
        while not text.endswith(b"\\0"):
            part = client.recv(65536)
            if not part:
                return
            text += part
        asked = json.loads(text[:-1])["parameters"]
        method = asked["method"]
        if method == "Crash":
            os._exit(1)
        if method == "Leave":
            client.close()
            return
        if method == "Garbage":
            client.sendall(b"\\xff{]\\0")
        elif method == "Big":
            client.sendall(b'{"parameters":{"base64":"' + b"A" * (2 << 20) + b'"}}\\0')
        elif method == "Fail":
            client.sendall(json.dumps({"error": "net.weft.Service.Failed", "parameters":
                {"status": 1, "text": "/secret/path broke"}}).encode() + b"\\0")
        else:
            while method == "Late" and not os.path.exists(sys.argv[2] + ".late"):
                time.sleep(0.05)
            reply = {key: asked[key] for key in ("json", "base64") if key in asked}
            if method == "Trace":
                reply = {"json": {"traceparent": asked.get("traceparent")}}
            client.sendall(json.dumps({"parameters": reply}).encode() + b"\\0")
            open(sys.argv[2], "a").write(method + "\\n")

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(64)
    print("ready")

    def run(client):
        try:
            serve(client)
        except OSError:
            open(sys.argv[2], "a").write("gone\\n")

    while True:
        threading.Thread(target=run, args=(listener.accept()[0],)).start()
"""


def desk(lab, daemon):
    path = lab.dir / "desk.sock"
    program = Program(lab, DESK, path, lab.dir / "desk.said")
    publish(daemon, "desk", "--socket", path, "--calls", "100000/min")
    return program


def test_a_program_on_a_socket_is_called_from_another_node(lab):
    a, b = pair(lab)
    desk(lab, a)
    done = call(a, b, "desk", "Echo", '{"a": [1.5, "\u00e4"]}')
    check_eq((done.returncode, json.loads(done.stdout)), (OK, {"a": [1.5, "\u00e4"]}), done.stderr)
    done = call(a, b, "desk", "Echo", "no object")
    check_eq((done.returncode, done.stdout), (OK, "no object"), done.stderr)


def test_a_call_belongs_to_its_callers_trace(lab):
    a, b = pair(lab)
    desk(lab, a)
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    asked = {"name": "desk", "method": "Trace", "provider": node_id(a), "json": {}}
    check_eq(b.call("CallService", **asked)["json"], {"traceparent": None}, "it traces nothing")
    check_eq(b.call("CallService", **asked, traceparent=trace)["json"], {"traceparent": trace}, "it is carried")
    # The program's own calls go on with it, here to this very node.
    check_eq(a.call("CallService", name="desk", method="Trace", json={}, traceparent=trace)["json"],
             {"traceparent": trace}, "by a program of the same node")


def test_a_program_run_for_a_call_receives_its_trace(lab):
    a = lab.daemon("a", config=CONFIG).start()
    b = lab.daemon("b", config=CONFIG + GATEWAY + "mesh = yes\nservices = traced\n").start()
    connect(a, b)
    publish(a, "traced", "--unconfined", "--exec", script(lab, "echo trace=$TRACEPARENT state=$TRACESTATE"))
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    check_eq(call(a, b, "traced", "Say", "x").stdout, "trace= state=\n", "no trace without one")
    done = call(a, b, "traced", "Say", "x", "--trace", trace)
    check_eq((done.stdout, done.stderr), (f"trace={trace} state=\n", f"traceparent: {trace}\n"), "one is passed")
    made = [call(a, b, "traced", "Say", "x", "--trace", "new", "--json") for _ in range(2)]
    for done in made:
        reply = json.loads(done.stdout)
        check(re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", reply["traceparent"]), reply)
        check_eq(base64.b64decode(reply["base64"]).decode(), f"trace={reply['traceparent']} state=\n", reply)
    check(made[0].stderr != made[1].stderr, "each made trace is another one")
    path = f"{url_of(b)}/mesh/http/traced@{node_id(a)}/Say"
    token = (b.state / "gateway.token").read_text().strip()
    words = ("-H", f"X-Weft-Token: {token}", "-d", "x", path)
    said = curl("-H", f"traceparent: {trace}", "-H", "tracestate: vendor=1", *words)
    check_eq(base64.b64decode(json.loads(said[2])["payload"]).decode(), f"trace={trace} state=\n",
             "by HTTP, without the state, which calls do not carry")
    said = curl("-H", f"traceparent: {trace[:-1]}x", *words)
    check_eq(base64.b64decode(json.loads(said[2])["payload"]).decode(), "trace= state=\n", "a malformed one is none")
    for wrong in ("old", trace + "0", "00-" + "0" * 32 + trace[35:]):
        check_eq(call(a, b, "traced", "Say", "x", "--trace", wrong).returncode, USAGE, wrong)


def test_a_fault_of_a_program_is_reported_without_its_detail(lab):
    a, b = pair(lab)
    desk(lab, a)
    for method, status, logged in (
            ("Garbage", "UnknownError", "not one of net.weft.Service"),
            ("Leave", "UnknownError", "closed the connection before its reply"),
            ("Fail", "UnknownError", "/secret/path broke"),
            ("Big", "PayloadTooLarge", "longer than it may be")):
        def is_logged():
            told = call(a, b, "desk", method, "x", "--json")
            check_eq(told.returncode, FAILED, f"{method}: {told.stderr}")
            check(status in told.stdout + told.stderr, f"{method}: {told.stdout}{told.stderr}")
            check("secret" not in told.stderr + told.stdout, told.stderr)
            # It still serves, and is not left alone for failing again and again.
            check_eq(call(a, b, "desk", "Echo", "x").stdout, "x", f"after {method}")
            return logged in a.log_text()
        wait_for(is_logged, f"{method} in the log, one failure a second is told: {a.log_text()}")


def test_an_answer_after_the_deadline_is_discarded(lab):
    a, b = pair(lab)
    desk(lab, a)
    done = call(a, b, "desk", "Late", "x", timeout=1)
    check_eq(done.returncode, TIMEOUT, done.stderr)
    said = lab.dir / "desk.said"
    check(not said.exists(), "the program has yet to answer")
    (lab.dir / "desk.said.late").touch()
    wait_for(lambda: said.exists() and said.read_text(), "the program answers in the end")
    check_eq(call(a, b, "desk", "Echo", "x").stdout, "x", "it still serves")


def test_a_program_that_dies_withdraws_its_service_until_it_is_back(lab):
    a, b = pair(lab)
    program = desk(lab, a)
    done = call(a, b, "desk", "Crash", "x")
    check_eq(done.returncode, FAILED, done.stderr)
    program.process.wait()
    wait_for(lambda: state_of(a, "desk") == "down", "withdrawn")
    done = call(a, b, "desk", "Echo", "x", timeout=5)
    check(done.returncode != OK and "ready" not in done.stdout, done.stdout)
    (lab.dir / "desk.sock").unlink()
    Program(lab, DESK, lab.dir / "desk.sock", lab.dir / "desk.said")
    wait_for(lambda: state_of(a, "desk") == "ready", "back")
    check_eq(call(a, b, "desk", "Echo", "x").stdout, "x", "it serves again")


def test_services_survive_kill_9(lab):
    a, b = pair(lab)
    desk(lab, a)
    publish(a, "shout", "--exec", "/usr/bin/tr", "--", "a-z", "A-Z")
    a.kill()
    a.start()
    wait_for(lambda: state_of(a, "desk") == state_of(a, "shout") == "ready", "both are back")
    connect(a, b)
    check_eq(call(a, b, "desk", "Echo", "x").stdout, "x", "desk")
    check_eq(call(a, b, "shout", "Do", "quiet").stdout, "QUIET", "shout")
    check_eq(a.weft("service", "withdraw", "desk").returncode, OK, "withdraw")
    a.kill()
    a.start()
    check_eq([offer["name"] for offer in a.json("service", "list")["offers"]], ["shout"], "kept")


def script(lab, text):
    path = lab.dir / "program"
    path.write_text("#!/bin/sh\n" + text + "\n")
    path.chmod(0o755)
    return path


def test_a_process_has_limits_and_leaves_nothing_behind(lab):
    a, b = pair(lab)
    pids = lab.dir / "pids"
    publish(a, "slow", "--unconfined", "--exec", script(lab, f"(sleep 300; :) & echo $! $$ >> {pids}; sleep 300"))
    done = call(a, b, "slow", "Do", "x", timeout=1)
    check_eq(done.returncode, TIMEOUT, done.stderr)
    wait_for(lambda: not any(pathlib.Path(f"/proc/{pid}").exists()
                             for pid in pids.read_text().split()), "the group is gone")
    publish(a, "fat", "--memory", "64M", "--exec", sys.executable, "--", "-c",
            "print(len(bytes(200 << 20)))")
    done = call(a, b, "fat", "Do", "x")
    check_eq(done.returncode, FAILED, done.stdout + done.stderr)


def test_no_payload_is_in_the_log(lab):
    a, b = pair(lab)
    publish(a, "bad", "--unconfined", "--exec", script(lab, "cat > /dev/null; echo line of stderr >&2; exit 3"))
    done = call(a, b, "bad", "Do", "marker-of-the-payload")
    check_eq(done.returncode, FAILED, done.stderr)
    check("stderr" not in done.stderr, done.stderr)
    wait_for(lambda: "exit code 3" in a.log_text() and "line of stderr" in a.log_text(), "the log")
    check("marker-of-the-payload" not in a.log_text() + b.log_text(), "a payload in the log")


def nginx(lab, root):
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not os.path.exists(program):
        raise Skip("nginx is not installed")
    port, home = free_port(), lab.dir / "nginx"
    home.mkdir()
    for at in (lab.dir, root):
        at.chmod(0o755)
    (home / "conf").write_text(textwrap.dedent(f"""\
        daemon off; master_process off; pid {home}/pid; error_log {home}/error.log;
        events {{ }}
        http {{
            access_log {home}/access.log;
            client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
            fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi;
            scgi_temp_path {home}/scgi;
            server {{ listen 127.0.0.1:{port}; root {root}; }}
        }}"""))
    process = subprocess.Popen([program, "-c", str(home / "conf"), "-e", str(home / "error.log")],
                               stderr=subprocess.DEVNULL)
    lab.processes.append(process)

    def answers():
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
    wait_for(answers, "nginx listens")
    return port, process


def peak_mib(daemon):
    status = pathlib.Path(f"/proc/{daemon.pid()}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024


def fetch(a, b, path, *words):
    done = subprocess.run([WEFT, "-s", str(b.sock), "service", "call", "site", "GET", path,
                           "--provider", node_id(a), *words], capture_output=True, timeout=DEADLINE_S)
    check_eq(done.returncode, OK, f"{path}: {done.stderr[-500:]}, {len(done.stdout)} bytes came")
    return done.stdout


def test_nginx_serves_a_file_that_neither_daemon_holds(lab):
    a, b = pair(lab)
    root = lab.folder("site", {"big": 200_000_000, "small": 1000})
    port, process = nginx(lab, root)
    publish(a, "site", "--http", f"127.0.0.1:{port}")
    check_eq(fetch(a, b, "/small"), (root / "small").read_bytes(), "a small file")
    before = peak_mib(a), peak_mib(b)
    check_eq(hashlib.sha256(fetch(a, b, "/big")).hexdigest(),
             hashlib.sha256((root / "big").read_bytes()).hexdigest(), "the bytes")
    grown = peak_mib(a) - before[0], peak_mib(b) - before[1]
    # Of the caller's the windows of a stream may be under way, of a provider its blocks.
    check(grown[0] < 16 and grown[1] < 48, f"the daemons grew by {grown} MiB")
    check_eq(fetch(a, b, "/big", "--header", "Range: bytes=1000-1999"),
             (root / "big").read_bytes()[1000:2000], "a range")
    process.terminate()
    process.wait()
    wait_for(lambda: state_of(a, "site") == "down", "withdrawn")


def test_a_stop_ends_what_is_under_way(lab):
    a, b = pair(lab)
    root = lab.folder("site", {"big": 50_000_000})
    port, _ = nginx(lab, root)
    publish(a, "site", "--http", f"127.0.0.1:{port}")
    pids = lab.dir / "pids"
    publish(a, "slow", "--unconfined", "--exec", script(lab, f"echo $$ >> {pids}; sleep 300"))
    desk(lab, a)
    where = ["--provider", node_id(a)]
    asked = [b.weft_popen("service", "call", "slow", "Do", "x", *where),
             b.weft_popen("service", "call", "desk", "Late", "x", *where),
             # No process reads its output, so buffer references stay out.
             b.weft_popen("service", "call", "site", "GET", "/big", *where)]

    def is_under_way():
        rows = {row["name"]: row for row in a.json("service", "list")["offers"]}
        return pids.exists() and pids.read_text() and all(
            rows[name]["in_hand"] or rows[name]["streams"] for name in ("slow", "desk", "site"))
    wait_for(is_under_way, "all three are under way")
    check_eq(a.stop(), 0, a.log_text())
    pid = pids.read_text().strip()
    check(not pathlib.Path(f"/proc/{pid}").exists(), "the process outlives the daemon")
    for each in asked:
        each.stdout.buffer.read()
        check(each.wait(timeout=DEADLINE_S) != OK, each.args)
    a.start()
    wait_for(lambda: state_of(a, "slow") == state_of(a, "desk") == "ready", "all are back")


UPLOAD = """
    import hashlib, http.server, sys

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def body(self):
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers["Content-Length"]))
            whole = b""
            while length := int(self.rfile.readline(), 16):
                whole += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
            return whole

        def do_POST(self):
            said = " ".join((hashlib.sha256(self.body()).hexdigest(),
                             self.headers["X-Mesh-Peer"], str(self.headers["Cookie"])))
            self.send_response(200)
            self.send_header("Set-Cookie", "planted=1")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print("ready")
    server.serve_forever()
"""


def test_a_body_reaches_the_server_with_the_name_of_its_sender(lab):
    a, b = pair(lab)
    port = free_port()
    Program(lab, UPLOAD, port)
    publish(a, "site", "--http", f"127.0.0.1:{port}")
    data = os.urandom(900_000)
    done = subprocess.run([WEFT, "-s", str(b.sock), "service", "call", "site", "POST", "/", "-",
                           "--provider", node_id(a), "--headers", "--header", "Cookie: mine=1",
                           "--header", "X-Mesh-Peer: somebody else"], input=data,
                          capture_output=True, timeout=DEADLINE_S)
    check_eq((done.returncode, done.stdout.decode().split()),
             (OK, [hashlib.sha256(data).hexdigest(), node_id(b), "mine=1"]), done.stderr)
    check(b"planted=1" in done.stderr, "the server's own cookie comes back")


def test_a17_a_service_demands_a_signature_and_a_caller_makes_one(lab):
    a, b = pair(lab)
    publish(a, "seal", "--exec", shutil.which("cat"), "--signed")
    offer = next(offer for offer in a.json("service", "list")["offers"] if offer["name"] == "seal")
    check_eq(offer["needs_signature"], True, "the offer says so")
    plain = call(a, b, "seal", "Say", "hello")
    check_eq(plain.returncode, REFUSED, plain.stderr)
    check("Unauthorized" in plain.stderr and "signed calls only" in plain.stderr, plain.stderr)
    check("--sign" in plain.stderr, "the refusal says what to do")
    check_eq(call(a, b, "seal", "Say", "hello", "--sign").stdout, "hello", "a signed call is taken")
    a.kill()
    a.start()
    connect(a, b)
    check_eq(call(a, b, "seal", "Say", "hello").returncode, REFUSED, "still, after a crash")
    done = call(a, b, "seal", "Say", "hello", "--sign")
    check_eq((done.returncode, done.stdout), (OK, "hello"), done.stderr)


# A shop's interface, which says what its methods take.
SHOP = """interface org.example.shop

# Makes a pot.
# Example: {"leaf": "sencha"}
method Brew(leaf: string, minutes: ?int) -> (pot: string)
method List() -> (leaves: []string)
"""


def test_a_service_describes_itself(lab):
    a, b = pair(lab)
    file = lab.dir / "shop.varlink"
    file.write_text(SHOP)
    publish(a, "shop", "--exec", shutil.which("cat"), "--describe", file, "--read-only", "List", "--signed")

    def check_shop(why):
        told = b.json("service", "show", "shop", "--provider", node_id(a))["description"]
        methods = {method["name"]: method for method in told["methods"]}
        check_eq(sorted(methods), ["Brew", "List"], why)
        check_eq([(f["name"], f["type"]) for f in methods["Brew"]["takes"]],
                 [("leaf", "string"), ("minutes", "?int")], why)
        check_eq(methods["Brew"]["example"], {"leaf": "sencha"}, why)
        check_eq(methods["Brew"]["about"], "Makes a pot.", why)
        check_eq((methods["Brew"]["read_only"], methods["List"]["read_only"]), (False, True), why)
        check_eq((told["needs_signature"], told["http"]), (True, False), why)

    check_shop("as published, though the call is not signed")
    a.kill()
    a.start()
    connect(a, b)
    wait_for(lambda: state_of(a, "shop") == "ready", "it is offered again")
    check_shop("after a crash")
    table = b.weft("service", "show", f"shop@{node_id(a)}").stdout
    check("Brew\tno\tno\tleaf:string minutes:?int\tpot:string\tMakes a pot.\t" in table, table)
    # JSON says the same, and what contradicts the offer is not published.
    file.write_text(json.dumps({"methods": [{"name": "Put", "read_only": True}]}))
    done = a.weft("service", "publish", "till", "--exec", shutil.which("cat"), "--describe", file)
    check_eq(done.returncode, FAILED, "Put is not read-only")
    check("Put is read-only" in done.stderr and "--read-only" in done.stderr, done.stderr)
    file.write_text("x" * 16385)
    done = a.weft("service", "publish", "till", "--exec", shutil.which("cat"), "--describe", file)
    check("longer than 16 KiB" in done.stderr, done.stderr)
    # An owner without a description is described by the offer.
    port = free_port()
    Program(lab, UPLOAD, port)
    publish(a, "site", "--http", f"127.0.0.1:{port}")
    told = b.json("service", "show", "site", "--provider", node_id(a))["description"]
    check_eq(([method["name"] for method in told["methods"]], told["http"]), (["GET", "HEAD"], True), "of HTTP")
    none = b.weft("service", "show", "none", "--provider", node_id(a))
    check_eq(none.returncode, 4, none.stderr)


def test_methods_are_for_the_callers_that_the_provider_names(lab):
    a, b = pair(lab)
    c = lab.daemon("c", config=CONFIG).start()
    connect(a, c)
    port = free_port()
    Program(lab, UPLOAD, port)
    publish(a, "site", "--http", f"127.0.0.1:{port}", "--allow", f"POST={node_id(b)}")
    publish(a, "desk", "--exec", shutil.which("cat"), "--allow", "Write=group:staff")

    def check_all(why):
        post = call(a, c, "site", "POST", "/", "body")
        check_eq(post.returncode, REFUSED, why)
        check("its provider says for whom" in post.stderr, post.stderr)
        check_eq(call(a, b, "site", "POST", "/", "body").returncode, OK, why)
        check("501" in call(a, c, "site", "GET", "/").stderr, "GET is for everybody, and none of the server's")
        check_eq(call(a, b, "desk", "Write", "x").returncode, REFUSED, why)
        check_eq(call(a, b, "desk", "Read", "x").stdout, "x", why)

    check_all("as published")
    a.kill()
    a.start()
    connect(a, b)
    connect(a, c)
    wait_for(lambda: state_of(a, "site") == "ready", "the server is found again")
    check_all("after a crash")
    a.conf.write_text(CONFIG + f"groups = staff:{node_id(b)}\n")
    done = a.weft("daemon", "reload")
    check_eq(done.returncode, OK, done.stderr)
    check_eq(call(a, b, "desk", "Write", "x").stdout, "x", "it is of the group now")
    check_eq(call(a, c, "desk", "Write", "x").returncode, REFUSED, "the other is not")
    check_eq(a.weft("service", "allow", "site", node_id(c)).returncode, OK, "changed")
    check_eq(call(a, b, "site", "POST", "/", "body").returncode, REFUSED, "at once")
    check_eq(call(a, c, "site", "POST", "/", "body").returncode, OK, "at once")
    a.kill()
    a.start()
    connect(a, b)
    connect(a, c)
    wait_for(lambda: state_of(a, "site") == "ready", "the server is found again")
    check_eq(call(a, b, "site", "POST", "/", "body").returncode, REFUSED, "it was durable")
    allow = next(offer["allow"] for offer in a.json("service", "list")["offers"] if offer["name"] == "desk")
    check_eq(allow, ["Write=group:staff"], "as it was told")
    check_eq(a.weft("service", "allow", "site", "--everybody").returncode, OK, "opened")
    check_eq(call(a, b, "site", "POST", "/", "body").returncode, OK, "for everybody")
    for bad in ("nobody", "=" + node_id(b), "x=group:Staff", "group:" + 33 * "a"):
        check(a.weft("service", "allow", "site", bad).returncode not in (OK, 2), bad)


def test_a41_calls_are_counted_by_method_and_logged_without_addresses(lab):
    a = lab.daemon("a", config=CONFIG + "access_log = on\n" + GATEWAY).start()
    b = lab.daemon("b", config=CONFIG).start()
    connect(a, b)
    port = free_port()
    Program(lab, UPLOAD, port)
    publish(a, "site", "--http", f"127.0.0.1:{port}")
    publish(a, "desk", "--exec", shutil.which("cat"), "--allow", f"Write={node_id(a)}")
    for _ in range(3):
        check_eq(call(a, b, "site", "POST", "/secret-path", "secret-body").returncode, OK, "a request")
    check_eq(call(a, b, "desk", "Read", "secret-body").returncode, OK, "a call")
    check_eq(call(a, b, "desk", "Write", "x").returncode, REFUSED, "one that is refused")
    check_eq(call(a, a, "desk", "Read", "x").returncode, OK, "one of this node")

    def rows():
        return {(row["service"], row["method"]): row for row in a.json("service", "top")["methods"]}

    wait_for(lambda: rows().get(("site", "POST"), {}).get("calls") == 3, "streams end")
    check_eq((rows()[("desk", "Read")]["calls"], rows()[("desk", "")]["refused"]), (2, 1), rows())
    check(rows()[("site", "POST")]["slow_us"] > 0, rows())
    metrics = curl(f"{url_of(a)}/metrics")[2].decode()
    check('weft_service_method_calls_total{service="site",version="1.0.0",method="POST",status="OK"} 3\n'
          in metrics, "counted")
    check('weft_service_method_seconds_count{service="desk",version="1.0.0",method="Read"} 2\n' in metrics,
          "timed")
    lines = [line for line in a.log_text().splitlines() if " access: " in line]
    check_eq(len(lines), 6, lines)
    pattern = re.compile(r"access: service=(site|desk)@1\.0\.0 method=(POST|Read|Write) "
                         r"peer=(local-)?[0-9a-f]{8} status=(OK|Forbidden) ms=\d+\.\d{3}$")
    for line in lines:
        check(pattern.search(line), line)
    check_eq(len({re.search(r"peer=([0-9a-f]{8}) ", line)[1] for line in lines if "local-" not in line}), 1,
             "one peer has one tag")
    for secret in ("secret", node_id(b)[:8], "127.0.0.1"):
        check(not [line for line in lines if secret in line], secret)


def test_a_server_that_speaks_no_http(lab):
    a, b = pair(lab)
    port = free_port()
    Program(lab, """
        import socket, sys
        listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
        print("ready")
        while True:
            client, _ = listener.accept()
            client.sendall(b"SSH-2.0-OpenSSH_9.2\\r\\n")
            client.close()
    """, port)
    publish(a, "site", "--http", f"127.0.0.1:{port}")
    done = call(a, b, "site", "GET", "/")
    check_eq(done.returncode, FAILED, done.stderr)
    check("502" in done.stderr, done.stderr)


if __name__ == "__main__":
    run([test_a_program_on_a_socket_is_called_from_another_node,
         test_a_call_belongs_to_its_callers_trace,
         test_a_program_run_for_a_call_receives_its_trace,
         test_a_fault_of_a_program_is_reported_without_its_detail,
         test_an_answer_after_the_deadline_is_discarded,
         test_a_program_that_dies_withdraws_its_service_until_it_is_back,
         test_services_survive_kill_9,
         test_a_process_has_limits_and_leaves_nothing_behind,
         test_no_payload_is_in_the_log,
         test_nginx_serves_a_file_that_neither_daemon_holds,
         test_a_stop_ends_what_is_under_way,
         test_a_body_reaches_the_server_with_the_name_of_its_sender,
         test_a17_a_service_demands_a_signature_and_a_caller_makes_one,
         test_a_service_describes_itself,
         test_methods_are_for_the_callers_that_the_provider_names,
         test_a41_calls_are_counted_by_method_and_logged_without_addresses,
         test_a_server_that_speaks_no_http])
