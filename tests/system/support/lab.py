# SPDX-License-Identifier: Apache-2.0
"""Daemons, network namespaces and TAP for the system tests.

A test is a function whose name is a claim. run(tests) runs each in a fresh Lab:
a folder with the daemons and namespaces made in it, all gone at its end. WEFTD
and WEFT name the programs under test. Words of the command line are names of
the tests to run, where not all are. DISCOVERY=dht runs the same tests with
nodes that find each other on the DHT alone (discovery.py).

Nodes learn each other's addresses, dial, announce and ask by themselves, on a
machine of any speed. Tests wait for what is to happen; an order of events,
never a moment, shows what must not happen.
"""
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

WEFTD = os.environ.get("WEFTD", os.path.abspath("build/weftd"))
WEFT = os.environ.get("WEFT", os.path.abspath("build/weft"))
# Of what has to happen; no test is quicker for a shorter one.
DEADLINE_S = 120

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tools"))
sys.path.append(str(pathlib.Path(__file__).parent))  # benches import this file as support.lab
from netlab import topology  # noqa: E402
from netlab.network import Network  # noqa: E402
import discovery  # noqa: E402

# Exit codes of weft (weft.1).
OK, FAILED, USAGE, NO_DAEMON, NOT_FOUND, REFUSED, TIMEOUT, NOT_VERIFIED = range(8)


INTERFACES = pathlib.Path(__file__).resolve().parents[3] / "include" / "varlink"


def full_name(method):
    """A method of the control socket with its interface."""
    for file in INTERFACES.glob("*.varlink"):
        text = file.read_text()
        if re.search(rf"^method {method}\(", text, re.M):
            return f"{re.search('^interface (.*)', text, re.M)[1]}.{method}"
    return f"net.weft.Node.{method}"


# For tests that look into the daemon by ptrace or /proc: as an ordinary user they may not else.
TRACEABLE = "[node]\ncore_dumps = yes\n"


class Skip(Exception):
    """The test cannot run here; its text says why."""


class Mismatch(AssertionError):
    pass


def static(why):
    """Marks a test of another way to find nodes than the DHT: where that is all there is, it is skipped."""
    def mark(test):
        test.static_why = why
        return test
    return mark


def check(condition, text):
    if not condition:
        raise Mismatch(text)


def check_eq(got, want, what):
    if got != want:
        raise Mismatch(f"{what}: got {got!r}, want {want!r}")


def need_root():
    if os.geteuid() != 0:
        raise Skip("network namespaces need root")


def run_plain(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options)


class Daemon:
    """One weftd with a state directory of its own."""

    def __init__(self, lab, name, netns=None, listen=None, config=""):
        self.lab, self.name, self.netns = lab, name, netns
        self.state = lab.dir / f"{name}.state"
        self.sock = lab.dir / f"{name}.sock"
        self.log = lab.dir / f"{name}.log"
        self.conf = lab.dir / f"{name}.conf"
        self.conf.write_text(config)
        self.listen = listen or ["127.0.0.1:0"]
        self.process = None
        self.may_be_refused = False  # system calls, by its sandbox
        self.environment = {}

    def command(self, *extra):
        prefix = ["ip", "netns", "exec", self.netns] if self.netns else []
        listen = [word for addr in self.listen for word in ("--listen", addr)]
        return [*prefix, WEFTD, "--config", str(self.conf), "--state", str(self.state), "--control",
                str(self.sock), *listen, *self.lab.discovery.options(self), *extra]

    def has_own_dht(self):
        return "bootstrap" in self.conf.read_text()

    def start(self, *extra, wrap=()):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*wrap, *self.command(*extra)], stdout=log, stderr=log,
                                            start_new_session=True,
                                            env={**os.environ, **self.environment})
        return self.wait_ready()

    def wait_ready(self):
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise Mismatch(f"{self.name} ended with {self.process.returncode}: {self.log_text()}")
            if self.sock.exists() and self.weft("node", "id").returncode == OK:
                self.lab.discovery.begun_again(self)
                return self
            time.sleep(0.02)
        raise Mismatch(f"{self.name} does not answer: {self.log_text()}")

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def weft(self, *words, timeout=DEADLINE_S, **options):
        words = self.lab.discovery.words(self, words)
        return subprocess.run([WEFT, "-s", str(self.sock), *map(str, words)], capture_output=True,
                              text=True, timeout=timeout, **options)

    def json(self, *words, **options):
        done = self.weft(*words, "--json", **options)
        check_eq(done.returncode, OK, f"weft {' '.join(map(str, words))}: {done.stderr}")
        return json.loads(done.stdout)

    def call(self, method, /, **parameters):
        """What the control socket answers, also where the command has no word for it."""
        reply = self.answer(method, self.lab.discovery.parameters(self, method, parameters))
        check("error" not in reply, f"{method}: {reply}")
        return reply["parameters"]

    def refusal(self, method, /, **parameters):
        """The parameters of the error with which the control socket answers."""
        reply = self.answer(method, parameters)
        check("error" in reply, f"{method} was taken")
        return reply["parameters"]

    def answer(self, method, parameters):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.sock))
            request = {"method": full_name(method), "parameters": parameters}
            client.sendall(json.dumps(request).encode() + b"\0")
            text = b""
            while not text.endswith(b"\0"):
                text += client.recv(65536)
        return json.loads(text[:-1])

    def judged(self):
        """Datagrams by what became of them, in the driver and at all sockets."""
        return {row["reason"]: row["packets"] for row in self.call("ListXdpCounters")["counters"]}

    def limit_upload(self, rate):
        """Of what it serves from now on; "none": a get is slow only while it is to be met."""
        done = self.weft("limits", "set", "upload", rate)
        check_eq(done.returncode, OK, f"limits set upload {rate}: {done.stderr}")

    def weft_popen(self, *words):
        words = self.lab.discovery.words(self, words)
        return subprocess.Popen([WEFT, "-s", str(self.sock), *map(str, words)], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def share(self, path):
        done = self.weft("share", "add", path)
        check_eq(done.returncode, OK, f"share add {path}: {done.stderr}")
        return done.stdout.strip()

    def pid(self):
        """Of weftd itself, also below ip netns exec and wrappers."""
        return self.process.pid

    def kill(self):
        """kill -9, as a crash."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self):
        """SIGTERM; returns the exit code."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(timeout=DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise Mismatch(f"{self.name} does not end on SIGTERM: {self.log_text()}")
        return self.process.returncode if self.process else None


class Lab:
    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="weft-lab-"))
        self.daemons = []
        self.processes = []  # of others, ended with the lab
        self.network = Network(f"weft-{os.getpid()}", plain=True)
        self.networks = [self.network]
        self.discovery = discovery.Dht(self.hidden_daemon) if discovery.IS_DHT else discovery.Static()

    def hidden_daemon(self, name, **options):
        """One that is no part of the test."""
        return Daemon(self, name, **options)

    def daemon(self, name, **options):
        daemon = Daemon(self, name, **options)
        self.daemons.append(daemon)
        return daemon

    def netns(self, name):
        need_root()
        return self.network.add(name).name

    def ip(self, netns, *words):
        return run_plain("ip", "-n", netns, *words)

    def veth_pair(self, mtu=1500):
        """a (10.77.0.1, fd77::1) <- veth -> b (10.77.0.2, fd77::2)"""
        need_root()
        topology.build(self.network, "pair", [], mtu)
        return [node.name for node in self.network.nodes.values()]

    def bridge(self, cnt, mtu=1500):
        """n1 (10.77.0.1, fd77::1) .. nCNT on one switch"""
        need_root()
        topology.build(self.network, "bridge", [str(cnt)], mtu)
        return [self.network.nodes[f"n{number}"].name for number in range(1, cnt + 1)]

    def plain(self, name, *words, mtu=1500):
        """A topology of bare veth pairs: what one end loses, the other sees."""
        need_root()
        topology.build(self.network, name, words, mtu)
        return self.network

    def topology(self, name, *words, mtu=1500):
        """A network of tools/lab, whose links can be impaired."""
        need_root()
        network = Network(f"weft-{os.getpid()}-{len(self.networks)}")
        self.networks.append(network)
        topology.build(network, name, words, mtu)
        return network

    def folder(self, name, files, seed=1):
        """files: {relative path: length}; contents are random but repeatable."""
        root = self.dir / name
        dice = random.Random(seed)
        root.mkdir()
        for path, length in files.items():
            at = root / path
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_bytes(dice.randbytes(length))
        return root

    def close(self):
        for daemon in self.daemons:
            daemon.kill()
        self.discovery.close()
        for process in self.processes:
            process.kill()
            process.wait()
        for network in self.networks:
            network.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def free_port():
    """Of UDP and TCP, and none that the kernel gives to another program meanwhile."""
    while True:
        port = random.SystemRandom().randrange(20000, 32000)
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def same_tree(left, right):
    done = subprocess.run(["diff", "-r", str(left), str(right)], capture_output=True, text=True,
                          check=False)
    check(done.returncode == 0, f"diff -r {left} {right}: {done.stdout[:2000]}{done.stderr[:500]}")


# Between two queries that a node passes on to others, which answer only so many a minute.
ASKING_S = 0.3


def wait_for(condition, what, *, timeout=DEADLINE_S, pause=0.02):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(pause)
    raise Mismatch(f"did not happen in {timeout} s: {what}")


def name_of(test):
    return test.__name__.removeprefix("test_")


def tell_failure(lab, why):
    """The failure itself first: of many lines the first are read."""
    lines = [*traceback.format_exception_only(why), *traceback.format_exception(why)[:-1]]
    lines += [f"{daemon.name}: {daemon.log_text()[-1500:]}" for daemon in lab.daemons]
    for line in "\n".join(lines).splitlines():
        print(f"# {line}")


def check_calls(lab):
    """The lists of userspace/base/process/sandbox_calls.c are whole: no test meets a refusal. And no answer drifts
    from the interface's description."""
    for daemon in lab.daemons:
        drifted = [line for line in daemon.log_text().splitlines() if "follow the interface" in line]
        check(not drifted, f"{daemon.name}: {drifted}")
        refused = [line for line in daemon.log_text().splitlines() if "refused to a thread" in line]
        check(not refused or daemon.may_be_refused, f"{daemon.name}: {refused}")


def run(tests, static_why=None):
    """TAP: runs each test in a lab of its own; exits 1 when one failed. static_why: as static(), of all."""
    failed = 0
    tests = [test for test in tests if name_of(test) in (sys.argv[1:] or map(name_of, tests))]
    # A shell that started this in the background left it ignored, and children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print(f"1..{len(tests)}", flush=True)
    for number, test in enumerate(tests, 1):
        lab = Lab()
        try:
            why_static = getattr(test, "static_why", static_why)
            if discovery.IS_DHT and why_static:
                raise Skip(f"static: {why_static}")
            test(lab)
            check_calls(lab)
            print(f"ok {number} - {name_of(test)}")
        except Skip as why:
            print(f"ok {number} - {name_of(test)} # SKIP {why}")
        except Exception as why:
            failed += 1
            tell_failure(lab, why)
            print(f"not ok {number} - {name_of(test)}")
        finally:
            lab.close()
        sys.stdout.flush()
    sys.exit(1 if failed else 0)
