#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Topics of services: a program publishes, many hear, within one node, between nodes on a switch and
through the gateway."""
import json
import os
import pathlib
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from client_library import ROOT, installed
from fabric import ask, connect, node_id
from lab import OK, check, check_eq, need_root, run, wait_for
from web import url_of

EVENTS = 10000
BURST = 500
SUBSCRIBERS = 20
QUICK = "[control]\nrequest_rate = 1000000\n"
LIMITS = "calls = 100000\npeer_calls = 100000\nlookups = 100000\nfetches = 100000"
SHOP = ["service", "publish", "shop", "--exec", "/bin/cat"]
# A provider that says goodbye is left at once; the rest is finding the next one, on a busy machine.
NEXT_MS = 5000


def example(lab, env, name):
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "weft"], env=env, check=True,
                           capture_output=True, text=True).stdout.split()
    out = lab.dir / name
    subprocess.run(["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror",
                    str(ROOT / "docs" / "examples" / f"{name}.c"), *flags, "-o", str(out)],
                   env=env, check=True)
    return str(out)


class Listener:
    """weft service subscribe, or the command words; what it prints is read in the end."""

    def __init__(self, lab, daemon, *words, command=None, env=None):
        self.path = lab.dir / f"heard-{len(lab.processes)}"
        words = command or [os.environ["WEFT"], "-s", str(daemon.sock), "--json", "service",
                            "subscribe", *map(str, words)]
        with open(self.path, "wb") as out, open(f"{self.path}.err", "wb") as err:
            self.process = subprocess.Popen(words, stdout=out, stderr=err, env=env)
        lab.processes.append(self.process)

    def rows(self):
        return [json.loads(line) for line in self.path.read_text().splitlines(True)
                if line.startswith('{"topic"') and line.endswith("\n")]

    def events(self):
        return [row for row in self.rows() if "at_ms" in row]

    def lost(self):
        return sum(row["lost"] for row in self.rows())

    def error(self):
        return self.path.read_text() + pathlib.Path(f"{self.path}.err").read_text()

    def wait(self, cnt):
        wait_for(lambda: len(self.events()) + self.lost() >= cnt, f"{cnt} events", timeout=90,
                 pause=0.2)

    def wait_last(self, sequence):
        """As wait, for many: only the last line is looked at."""
        wait_for(lambda: f'"sequence":{sequence},' in self.path.read_text()[-2000:],
                 f"event {sequence}", timeout=120, pause=0.3)

    def wait_begun(self):
        wait_for(self.rows, f"subscribed: {self.error()}", pause=0.05)
        return self


def emit(daemon, data, topic="orders", name="shop"):
    done = daemon.weft("service", "emit", name, topic, data)
    check_eq(done.returncode, OK, done.stderr)
    return done.stdout.strip()


def publish(daemon):
    done = daemon.weft(*SHOP)
    check_eq(done.returncode, OK, done.stderr)


def places(daemon):
    rows = daemon.call("ShowLimits")["pools"]
    return next(row["used"] for row in rows if row["name"] == "subscribers of services")


def memory(daemon):
    limits = daemon.json("service", "limits")["limits"]
    return next(row["used"] for row in limits if row["setting"] == "memory")


def silent(daemon, name, topic):
    """A program that subscribes and never reads."""
    conn = socket.socket(socket.AF_UNIX)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    conn.connect(str(daemon.sock))
    request = {"method": "net.weft.Services.SubscribeService", "more": True,
               "parameters": {"name": name, "topic": topic}}
    conn.sendall(json.dumps(request).encode() + b"\0")
    return conn


def test_ten_thousand_events_reach_twenty_subscribers_of_which_one_never_reads(lab):
    env = {**os.environ, **installed(lab)}
    a = lab.daemon("a", config=QUICK + f"[service]\n{LIMITS}\n").start()
    env["WEFT_SOCKET"] = str(a.sock)
    ticker = subprocess.Popen([example(lab, env, "ticker"), str(lab.dir / "ticker.sock")], env=env,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lab.processes.append(ticker)
    check_eq(ticker.stdout.readline(), "offered\n", "it is there")
    deaf = silent(a, "ticker", "lines")
    program = Listener(lab, a, command=[example(lab, env, "listen"), "ticker", "lines"], env=env)
    heard = [Listener(lab, a, "ticker", "lines") for _ in range(SUBSCRIBERS - 2)]
    wait_for(lambda: places(a) == SUBSCRIBERS, "all have subscribed")
    began = time.monotonic()
    # Fewer at once than are kept for a reader: how fast a process of its own reads is the machine's.
    for first in range(0, EVENTS, BURST):
        ticker.stdin.write("".join(f"line {i} {'x' * 200}\n" for i in range(first, first + BURST)))
        ticker.stdin.flush()
        for one in heard:
            one.wait_last(first + BURST)
    print(f"# {EVENTS} events to {SUBSCRIBERS} in {time.monotonic() - began:.1f} s, lost "
          f"{[one.lost() for one in heard]}")
    for one in heard:
        check_eq(len(one.events()) + one.lost(), EVENTS, "all are told of")
        sequences = [row["sequence"] for row in one.events()]
        check_eq(sequences, sorted(set(sequences)), "in order, each once")
        check_eq(sequences[-1], EVENTS, "the last one")
    check_eq(sum(one.lost() for one in heard), 0, "none is lost to those that read")
    wait_for(lambda: len(program.path.read_text().splitlines()) == EVENTS, "libweft has all")
    last = program.path.read_text().splitlines()[-1]
    check(last.startswith(f"{heard[0].events()[-1]['position']} line {EVENTS - 1} x"), last)
    check(memory(a) < 8 * 1024 * 1024, f"memory is bounded: {memory(a)}")
    deaf.close()
    wait_for(lambda: places(a) == SUBSCRIBERS - 1, "who left has no place")
    ticker.stdin.close()
    wait_for(lambda: places(a) == 0, "nor has anybody when the service is withdrawn")


def start(lab, cnt, more=""):
    need_root()
    return fabric.start(lab, cnt, service=f"builtin = pod-chat\n{LIMITS}", more=more)


def test_a_subscriber_elsewhere_goes_on_after_a_restart_of_its_provider(lab):
    n1, n2 = start(lab, 2)
    publish(n1)
    first = emit(n1, "before")
    heard = Listener(lab, n2, "shop", "orders", "--provider", node_id(n1)).wait_begun()
    missed = Listener(lab, n2, "shop", "orders", "--provider", node_id(n1), "--since", "0")
    emit(n1, '{"tea": 1}')
    heard.wait(1)
    missed.wait(2)
    check_eq([row["sequence"] for row in missed.events()], [1, 2], "what was there before")
    check_eq(missed.events()[0]["position"], first, "its position")
    check_eq(heard.events()[0]["json"], {"tea": 1}, "an object is one")
    n1.stop()
    n1.start()
    emit(n1, "again")
    heard.wait(2)
    check_eq(heard.events()[1]["sequence"], 1, "another history")
    check(heard.events()[1]["position"].split("-")[0] != first.split("-")[0], "with its name")
    done = n2.weft("service", "subscribe", "shop", "orders", "--since", "x")
    check("position" in done.stderr, done.stderr)


def test_when_a_provider_stops_the_next_one_is_heard(lab):
    n1, n2, n3 = start(lab, 3)
    for one in (n1, n3):
        publish(one)
    fabric.wait_found(n2, "shop", n1, n3)
    heard = Listener(lab, n2, "shop", "orders").wait_begun()
    by = {node_id(n1): n1, node_id(n3): n3}
    first = by[heard.rows()[0]["provider"]]
    other = n3 if first is n1 else n1
    emit(first, "one")
    heard.wait(1)
    began = time.monotonic()
    first.stop()
    wait_for(lambda: places(other) == 1, "it hangs on the other", timeout=30, pause=0.02)
    took_ms = (time.monotonic() - began) * 1000
    print(f"# the next provider after {took_ms:.0f} ms, the stop of the first included")
    check(took_ms < NEXT_MS, f"{took_ms} ms")
    emit(other, "two")
    heard.wait(2)
    check_eq(heard.events()[1]["provider"], node_id(other), "who told it")


def test_rules_and_bans_hold_for_subscribers(lab):
    n1, n2, n3 = start(lab, 3)
    done = n1.weft(*SHOP, "--allow", f"orders={node_id(n2)}")
    check_eq(done.returncode, OK, done.stderr)
    connect(n3, n1)
    heard = Listener(lab, n2, "shop", "orders", "--provider", node_id(n1)).wait_begun()
    refused = n3.weft("service", "subscribe", "shop", "orders", "--provider", node_id(n1))
    check("for others" in refused.stderr, refused.stderr)
    check_eq(Listener(lab, n3, "shop", "prices", "--provider", node_id(n1)).wait_begun().lost(), 0,
             "another topic is for all")
    emit(n1, "one")
    heard.wait(1)
    done = n1.weft("service", "allow", "shop", f"orders={node_id(n3)}")
    check_eq(done.returncode, OK, done.stderr)
    emit(n1, "two")
    wait_for(lambda: heard.process.poll() is not None, "it is ended")
    check_eq(len(heard.events()), 1, "and has not heard the second")
    check("for others" in heard.error(), heard.error())
    check_eq(places(n1), 1, "n3's")
    n1.weft("ban", "add", node_id(n3))
    wait_for(lambda: places(n1) == 0, "a ban ends it")


def test_a_room_is_heard_by_its_members(lab):
    n1, n2 = start(lab, 2)
    pod = ask(n1, "pod-chat", "Create", {"name": "tea"})["pod"]
    words = ["pod-chat", f"{pod}/general", "--provider", node_id(n1)]
    refused = n2.weft("service", "subscribe", *words)
    check("members" in refused.stderr, refused.stderr)
    ask(n2, "pod-chat", "Join", {"pod": pod}, n1)
    heard = Listener(lab, n2, *words).wait_begun()
    ask(n1, "pod-chat", "PostMessage", {"pod": pod, "channel": "general", "body": "hello"})
    heard.wait(1)
    check_eq(heard.events()[0]["json"]["body"], "hello", "what was said")
    done = n1.weft("service", "emit", "pod-chat", f"{pod}/general", "forged")
    check_eq(done.returncode != OK, True, "no program speaks for it")


def stream(daemon, path, *words):
    """curl beside daemon, whose output is read as it comes."""
    process = subprocess.Popen(["ip", "netns", "exec", daemon.netns, "curl", "-sSNi", *words,
                                url_of(daemon) + path], stdout=subprocess.PIPE)
    daemon.lab.processes.append(process)
    return process


def read_until(process, text):
    got = b""
    while text not in got:
        more = process.stdout.read1(65536)
        check(more, got)
        got += more
    return got.decode()


def test_a_browser_has_server_sent_events_and_goes_on_where_it_was(lab):
    more = fabric.GATEWAY + "services = shop, pod-chat/x\n"
    n1, n2 = start(lab, 2, more=more)
    publish(n1)
    path = f"/mesh/events/shop@{node_id(n1)}/orders"
    process = stream(n2, path)
    head = read_until(process, b"id: ")
    check("200 OK" in head and "content-type: text/event-stream" in head.lower(), head)
    check(f"x-mesh-provider: {node_id(n1)}" in head.lower(), head)
    first = emit(n1, "one\ntwo")
    check(f"id: {first}\r\n" in read_until(process, b"data: two\n").replace("\n", "\r\n"), "its id")
    process.kill()
    second = emit(n1, "missed")
    emit(n1, "a\rb")
    process = stream(n2, path, "-H", f"Last-Event-ID: {first}")
    text = read_until(process, b"base64")
    check(f"id: {second}" in text and "data: missed" in text and "two" not in text, text)
    process.kill()
    process = stream(n2, f"{path}?since=0")
    check("data: one" in read_until(process, b"missed"), "since the beginning")
    process.kill()
    for wrong, status in (("/mesh/events/other/orders", 403), ("/mesh/events/shop/no%20topic", 400),
                          ("/mesh/events/pod-chat/y", 403), (f"{path}?since=x", 400)):
        done = subprocess.run(["ip", "netns", "exec", n2.netns, "curl", "-sS", "-o", "/dev/null",
                               "-w", "%{http_code}", url_of(n2) + wrong], capture_output=True,
                              text=True, check=True)
        check_eq(int(done.stdout), status, wrong)
    foreign = stream(n2, path, "-H", "Sec-Fetch-Site: cross-site")
    check("401" in read_until(foreign, b"\r\n"), "another site's page needs the token")
    wait_for(lambda: places(n1) == 0, "who left has no place")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
