#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is left to honest nodes while a flood arrives: a get, handshakes, and the node's
own DHT lookups. The handshakes are of 200 new peers a second from 200 networks, and of 20
a second from one address. Some floods name that address as their source.

    send, first CPU: daemon B fetches, DHT nodes, flood_dialer -- veth0 -- receive, last CPU:
                              pktgen or flood_forger -- veth0 --   daemon A, its NAPI thread
                                                     -- veth1 -- sink: XDP_DROP

The generator takes a good part of B's core. So the measure is the same get and the same
dials and lookups while the same flood goes to the sink. A is filtered by weft's XDP program,
or judges each datagram in userspace, or does that behind an nft meter. Each new peer has a
network, a port and a key of its own.
"""
import contextlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import veth
import report

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "system"))
from support import lab as system  # noqa: E402

SECONDS = float(os.environ.get("SECONDS", "2"))
RATE = os.environ.get("RATE", "750000")  # frames per second: ten times what the get takes
ROWS = os.environ.get("ROWS", "").split()  # all, unless some are named
SETTLE_S = 1
PORT = 7000
SOURCE_LEN = 4 << 30
MEMORY = "/dev/shm"
PKTGEN = str(report.BUILD / "pktgen")
DIALER, FORGER = (str(report.BUILD / "bench" / name) for name in ("flood_dialer", "flood_forger"))
DIALS_PER_S, DIALLING_NETS = 200, 200
# So many the dialler makes in time beside all else on its core, also when the machine is busy.
FEW_DIALS_PER_S = 40
RATE_KEPT = 0.7  # of what is asked of a generator that shares its CPU; it makes up for no more than 1 ms
NAMED, NAMED_DIALS_PER_S = "10.79.0.1", 20
ATTACKER = "10.79.1.1"
DHT_NODES = [f"10.80.{number}.1" for number in range(1, 5)]
LOOKUP_S, LOOKUP_GAP_S = 3, 0.05  # one that takes longer has failed
BASELINE = "flood to the sink"
# How A is filtered, and whose device the flood goes to when it is not A's.
CONTENDERS = {BASELINE: ("udp", "veth1", "sink"), "weft, XDP": ("xdp",),
              "weft, UDP alone": ("udp",), "weft, UDP behind nft": ("nft",),
              "weft, XDP, banned": ("ban",)}
PLAIN = tuple(CONTENDERS)[:3]
BEHIND_NFT = tuple(CONTENDERS)[:4]
# Of a flood that is banned as a whole hardly anything is looked at: what the device alone takes.
BANNED = (*PLAIN, "weft, XDP, banned")
FLOOD_SOURCES = "198.0.0.0/10"
# Served nodes are known to this administrator; every other source has a rate.
RULES = f"""
table netdev bench {{
	set unvalidated_sources {{ type ipv4_addr; flags dynamic; size 1048576; timeout 10s; }}
	chain ingress {{
		type filter hook ingress device "veth0" priority 0; policy accept;
		ip saddr {veth.SENDERS[0]} accept
		udp dport {PORT} add @unvalidated_sources {{ ip saddr limit rate over 10/second burst 20 packets }} drop
	}}
}}
"""


class Row:
    """One flood: its name, its sender, and its baseline."""

    def __init__(self, text, maker, contenders=PLAIN, dials=DIALS_PER_S):
        self.text, self.maker, self.contenders, self.dials = text, maker, contenders, dials


def generated(kind, rate=RATE):
    """Frames of a million sources; a whole core goes into them."""
    return lambda bench, device, mac: bench.generate(device, mac, rate, "--kind", kind)


def forged(what, source, rate):
    return lambda bench, device, mac: bench.forge(what, source, device, mac, rate)


ROW_OF = {
    "short-junk": Row("short headers, ids of noise, a million sources", generated("short-junk"),
                      BEHIND_NFT),
    "initial": Row("Initials of noise, a million sources", generated("initial"), BEHIND_NFT),
    "krpc": Row("DHT pings, a million sources", generated("krpc"), BEHIND_NFT),
    **{f"named-{rate}": Row(f"{rate} real Initials a second that name {NAMED}, all ports",
                            forged("initials", NAMED, rate), dials=FEW_DIALS_PER_S)
       for rate in (30, 300, 20000)},
    "token": Row("20000 real Initials a second with one token, all ports of its address",
                 forged("token", ATTACKER, 20000), dials=FEW_DIALS_PER_S),
    "replay": Row("one 1-RTT datagram of a live session, a million sources",
                  lambda bench, device, mac: bench.replay(device, mac, 300000 / RATE_KEPT),
                  BANNED, FEW_DIALS_PER_S),
    "krpc-120000": Row("DHT pings, a million sources", generated("krpc", 120000 / RATE_KEPT),
                       BANNED, FEW_DIALS_PER_S),
}


class Flood:
    def __init__(self, net, place):
        self.net, self.lab = net, place
        self.target = net.nodes["receive"]
        self.napi = veth.NapiThread(net)
        self.macs = {node: net.nodes[node].run("cat", "/sys/class/net/veth0/address").strip()
                     for node in ("receive", "sink")}
        self.bring_addresses()
        first = f"{DHT_NODES[0]}:{PORT}"
        self.dht = [self.daemon(f"dht{number}", "send", address, first)
                    for number, address in enumerate(DHT_NODES)]
        self.a = self.daemon("a", "receive", veth.RECEIVER, first)
        self.b = self.daemon("b", "send", veth.SENDERS[0])
        self.link = self.share()
        self.node = self.a.json("node", "id")["node_id"]
        self.join_dht()
        self.seen = {}

    def bring_addresses(self):
        """Dialers from so many networks, and others, behind the sender's device."""
        here = [f"10.78.{number}.1" for number in range(DIALLING_NETS)]
        self.net.nodes["send"].run("ip", "-batch", "-", text="".join(
            f"addr add {address}/32 dev veth0\n"
            for address in (*here, NAMED, ATTACKER, *DHT_NODES)))
        for prefix in ("10.78.0.0/16", "10.79.0.0/16", "10.80.0.0/16"):
            self.target.ip("route", "add", prefix, "via", veth.SENDERS[0])

    def daemon(self, name, side, address, bootstrap=None):
        dht = f"[dht]\nprivate = yes\nbootstrap = {bootstrap}\n" if bootstrap else ""
        daemon = self.lab.daemon(name, netns=self.net.nodes[side].name, config=dht,
                                 listen=[f"{address}:{PORT}"])
        daemon.start(wrap=("taskset", "-c", str(self.net.cpus[side])))
        veth.share_cpu(daemon.pid())
        return daemon

    def share(self):
        """A file of zeros: nothing of it is on a disk, and its bytes are read and hashed as any."""
        source = self.lab.dir / "zeros"
        with open(source, "wb") as file:
            file.truncate(SOURCE_LEN)
        time.sleep(3)  # a file that has just changed is hashed again while it is served
        return self.a.share(source)

    def join_dht(self):
        def known(daemon):
            return sum(n["good"] for n in daemon.json("dht", "status")["dht"]["networks"])
        for daemon in (*self.dht[1:], self.a):
            system.wait_for(lambda one=daemon: known(one) >= len(DHT_NODES) - 1,
                            f"{daemon.name} knows the DHT")

    @contextlib.contextmanager
    def filtered(self, by):
        if by == "ban":
            self.a.weft("ban", "add", FLOOD_SOURCES)
        if by in ("xdp", "ban"):
            self.target.ip("link", "set", "dev", "veth0", "xdp", "off")
            done = self.a.weft("xdp", "attach", "veth0")
            if done.returncode:
                raise RuntimeError(done.stderr)
        elif by == "nft":
            self.target.run("nft", "-f", "-", text=RULES)
        self.napi.pin()
        try:
            yield
        finally:
            if by == "ban":
                self.a.weft("ban", "remove", FLOOD_SOURCES)
            if by in ("xdp", "ban"):
                self.a.weft("xdp", "detach", "veth0")
                self.target.attach_xdp("veth0", veth.PASS_OBJECT)
            elif by == "nft":
                self.target.run("nft", "delete", "table", "netdev", "bench")

    @contextlib.contextmanager
    def generate(self, device, mac, rate, *what):
        pktgen = self.net.start("send", PKTGEN, "send", device, "--mac", mac, "--to", veth.RECEIVER,
                                "--port", str(PORT), "--rate", str(int(rate)), "--sources", "1000000",
                                *what, alone=True)
        yield pktgen

    @contextlib.contextmanager
    def forge(self, what, source, device, mac, rate):
        forger = self.net.start("send", FORGER, f"{veth.RECEIVER}:{PORT}", self.node, f"{source}:0",
                                what, device, mac, str(rate))
        system.wait_for(forger.text, "the forger is ready")
        yield forger

    @contextlib.contextmanager
    def replay(self, device, mac, rate):
        """The session's own end goes on while its datagram is replayed."""
        end = self.net.start("send", FORGER, f"{veth.RECEIVER}:{PORT}", self.node, f"{ATTACKER}:0",
                             "replay")
        try:
            system.wait_for(lambda: end.text().endswith("\n"), "a datagram of a session")
            with self.generate(device, mac, rate, "--payload", end.text().strip()) as pktgen:
                yield pktgen
        finally:
            end.stop()

    @contextlib.contextmanager
    def flooded(self, row, device, node):
        with row.maker(self, device, self.macs[node]) as sender:
            try:
                time.sleep(SETTLE_S)
                yield
            finally:
                sent = json.loads(sender.stop()[0].splitlines()[-1])
                self.flood_pps = sent["frames"] / sent["ns"] * 1e9

    def done_len(self):
        return self.b.json("get", "list")["gets"][-1]["bytes_done"]

    @contextlib.contextmanager
    def get(self):
        into = self.lab.dir / "out"
        number = self.b.weft("get", self.link, "--to", into, "--detach").stdout.strip()
        try:
            system.wait_for(lambda: self.done_len() > 0, "the get begins")
            yield
        finally:
            self.b.weft("get", "cancel", number)
            shutil.rmtree(into, ignore_errors=True)

    def dial(self, source, source_cnt, rate):
        return self.net.start("send", DIALER, f"{veth.RECEIVER}:{PORT}", self.node, f"{source}:0",
                              str(source_cnt), str(rate), str(SECONDS), alone=True)

    def finds_all(self):
        """Whether A's lookup of any target finds every other node of the DHT."""
        try:
            done = self.a.weft("dht", "lookup", os.urandom(20).hex(), "--json", timeout=LOOKUP_S)
        except subprocess.TimeoutExpired:
            return False
        nodes = json.loads(done.stdout)["nodes"] if done.returncode == system.OK else ()
        return {f"{address}:{PORT}" for address in DHT_NODES} <= {n["address"] for n in nodes}

    @contextlib.contextmanager
    def looking_up(self, found):
        """A looks up targets, one after the other; found says of each whether it succeeded."""
        is_over = threading.Event()

        def look():
            while not is_over.is_set():
                found.append(self.finds_all())
                time.sleep(LOOKUP_GAP_S)
        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def kept(self, name, row, by, device="veth0", node="receive"):
        """A Sample of the get; what became of all else is kept under name."""
        found = []
        with self.filtered(by), self.get(), self.flooded(row, device, node):
            dialers = {"others": self.dial("10.78.0.1", DIALLING_NETS, row.dials),
                       "named": self.dial(NAMED, 1, NAMED_DIALS_PER_S)}
            with self.looking_up(found):
                begin, len_before = time.monotonic(), self.done_len()
                cpu_before = report.cpu_of([self.a.pid()]) + self.napi.cpu_s()
                time.sleep(SECONDS)
                len_after, end = self.done_len(), time.monotonic()
                cpu_s = report.cpu_of([self.a.pid()]) + self.napi.cpu_s() - cpu_before
            seen = {who: json.loads(dialer.wait()[0]) for who, dialer in dialers.items()}
            self.told()
        seen["lookups"] = {"dialled": len(found), "made": sum(found)}
        self.seen.setdefault(name, []).append(seen)
        return report.Sample(max(len_after - len_before, 1), end - begin, cpu_s)

    def told(self):
        """DEBUG=1: what A counted, for debugging."""
        if os.environ.get("DEBUG"):
            print(json.dumps({"mode": self.a.json("xdp", "status")["mode"],
                              "judged": {name: count for name, count in self.a.judged().items()
                                         if count}}), file=sys.stderr)


@contextlib.contextmanager
def sink_beside(net):
    """A second way out of send, to a host that only counts."""
    sink = net.network.add("sink")
    net.network.join("send", "sink")
    counter = subprocess.Popen(sink.command(PKTGEN, "sink", "veth0", "--quiet"),
                               stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        counter.terminate()
        counter.wait()


MEASURED = {"others": f"new peers of {DIALLING_NETS} networks",
            "named": f"new peers at {NAMED}, {NAMED_DIALS_PER_S} a second",
            "lookups": "DHT lookups of the node"}


def tell_seen(seen):
    """Shares, medians of the rounds; those of the sink are what there is to keep."""
    for what, text in MEASURED.items():
        yield text + ":"
        share = {name: statistics.median(r[what]["made"] / max(r[what]["dialled"], 1)
                                         for r in rounds) for name, rounds in seen.items()}
        for name, rounds in seen.items():
            line = f"  {name:22} {100 * share[name]:5.1f} %"
            if what != "lookups":
                p50, p99 = (statistics.median(r[what][key] for r in rounds) / 1e3
                            for key in ("p50_us", "p99_us"))
                line += f"   p50 {p50:6.1f} ms, p99 {p99:6.1f} ms"
            yield f"{line}   of {rounds[-1][what]['dialled']}"


def measure_row(bench, key, row):
    bench.seen.clear()
    samples = report.measure({
        name: lambda n=name, w=CONTENDERS[name]: bench.kept(n, row, *w)
        for name in row.contenders})
    seen = {name: rounds[1:] for name, rounds in bench.seen.items()}
    report.report(f"flood-{key}", samples, "weft, XDP", "MB/s", 1e-6, [
        f"{row.text}; {bench.flood_pps:.0f} frames/s; cpu ns per byte of the daemon under attack"
        " and its device's NAPI thread",
        "target: >= 0.95 of what the get has while the flood goes to the sink, and of the"
        " new peers; lookups >= 0.9", *tell_seen(seen)], {"seen": seen})


def main():
    veth.come_first()
    tempfile.tempdir = MEMORY
    with veth.Lab() as net, sink_beside(net):
        place = system.Lab()
        try:
            bench = Flood(net, place)
            for key in ROWS or ROW_OF:
                measure_row(bench, key, ROW_OF[key])
        finally:
            place.close()


main()
