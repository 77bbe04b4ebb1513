# SPDX-License-Identifier: Apache-2.0
"""Nodes of a mesh on one switch, whose services are published, found and called.

    n1 (10.77.0.1) -- switch -- n2 (10.77.0.2), n3 (10.77.0.3): they know each other by n1
"""
import base64
import json
import subprocess
import sys
import textwrap

from lab import ASKING_S, OK, Skip, check, check_eq, run_plain, wait_for
from web import token_of, url_of

# enum service_status
(DONE, UNKNOWN_ERROR, NOT_FOUND, METHOD_NOT_FOUND, INVALID_PAYLOAD, TIMED_OUT, RATE_LIMITED,
 UNAUTHORIZED, FORBIDDEN, TOO_LARGE, UNAVAILABLE) = range(11)

QUIET = "[dht]\nenabled = no\n"
GATEWAY = "[gateway]\nenabled = yes\nlisten = 127.0.0.1:0\nrate = 0\nmesh_rate = 0\nmesh = yes\n"


def node_id(daemon):
    return daemon.json("node", "id")["node_id"]


def start(lab, cnt=3, service="builtin = echo mesh-stats pod-chat shadow-index", more=""):
    """cnt daemons, n1 to nCNT, each with the lines of service and the sections of more."""
    daemons = []
    for number, netns in enumerate(lab.bridge(max(cnt, 2))[:cnt], 1):
        config = f"{QUIET}[service]\n{service}\n[overlay]\nserve = on\n{more}"
        daemons.append(lab.daemon(f"n{number}", netns=netns, listen=["0.0.0.0:7000"],
                                  config=config).start())
    for daemon in daemons[1:]:
        connect(daemon, daemons[0])
    return daemons


def connect(daemon, to):
    number = to.name.removeprefix("n")
    done = daemon.weft("peer", "connect", node_id(to), f"10.77.0.{number}:7000")
    check_eq(done.returncode, OK, f"{daemon.name} connects to {to.name}: {done.stderr}")


def call(daemon, name, method, payload=None, provider=None, **more):
    """The whole answer. payload: an object, bytes or nothing; provider: a daemon."""
    if isinstance(payload, bytes):
        more["base64"] = base64.b64encode(payload).decode()
    elif payload is not None:
        more["json"] = payload
    if provider:
        more["provider"] = node_id(provider)
    return daemon.call("CallService", name=name, method=method, **more)


def ask(daemon, name, method, payload=None, provider=None, **more):
    """What a call is answered that succeeds."""
    answer = call(daemon, name, method, payload or {}, provider, **more)
    check_eq((answer["status"], answer["text"]), (DONE, ""), f"{name} {method} {payload}")
    return answer.get("json")


def providers(daemon, name, **more):
    """Node ids of those that daemon finds now, best first."""
    found = daemon.call("FindService", name=name, fresh=True, **more)
    return [row["node_id"] for row in found["providers"]]


def wait_found(daemon, name, *by):
    wanted = {node_id(each) for each in by}
    wait_for(lambda: set(providers(daemon, name)) == wanted,
             f"{daemon.name} finds {name} at {[each.name for each in by]}", pause=ASKING_S)


class Program:
    """A foreign program in a daemon's namespace, whose Python is script."""

    def __init__(self, lab, daemon, script, *words):
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", daemon.netns, sys.executable, "-u", "-c",
             textwrap.dedent(script), *map(str, words)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        lab.processes.append(self.process)
        check(self.process.stdout.readline() == "ready\n", "the program starts")

    def kill(self):
        self.process.kill()
        self.process.wait()


WEB_SERVER = """
    import http.server, sys

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = f"{sys.argv[2]} {self.path}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print("ready")
    server.serve_forever()
"""


def web_server(lab, daemon, port, text):
    """A web server beside daemon that answers TEXT PATH to every GET."""
    return Program(lab, daemon, WEB_SERVER, port, text)


def get(daemon, name, path, provider=None):
    """(exit code, what is fetched) by weft service call NAME GET PATH."""
    words = ["--provider", node_id(provider)] if provider else []
    done = daemon.weft("service", "call", name, "GET", path, *words)
    return done.returncode, done.stdout


def fetch(daemon, path, *words):
    """The body that curl beside daemon has from its gateway."""
    done = run_plain("ip", "netns", "exec", daemon.netns, "curl", "-sS", "--fail-with-body",
                     "--max-time", "60", *words, url_of(daemon) + path)
    return done.stdout


def post(daemon, path, body):
    return json.loads(fetch(daemon, path, "-H", f"X-Weft-Token: {token_of(daemon)}",
                            "--json", json.dumps(body)))


def nacl():
    try:
        import nacl.signing  # pylint: disable=import-outside-toplevel
    except ImportError as missing:
        raise Skip("PyNaCl is not installed") from missing
    return nacl.signing


def key_of(text):
    """The 32 bytes that 52 letters of z-base-32 name."""
    alphabet = "ybndrfg8ejkmcpqxot1uwisza345h769"
    number = 0
    for letter in text:
        number = number << 5 | alphabet.index(letter)
    return (number >> 4).to_bytes(32, "big")


def text_of(key):
    alphabet = "ybndrfg8ejkmcpqxot1uwisza345h769"
    number = int.from_bytes(key, "big") << 4
    return "".join(alphabet[number >> shift & 31] for shift in range(255, -5, -5))

