#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an honest transfer keeps while a flood arrives, and how many of 200 new
peers a second get in.

    send, first CPU: daemon B fetches, flood_dialer, pktgen -- veth0 -- receive, last CPU: daemon A,
                                                                        its NAPI thread
                                                     pktgen -- veth1 -- sink: XDP_DROP

The generator takes a good part of B's core, so the measure is the same transfer
and the same dials while the same flood goes to the sink. A is filtered by weft's
XDP program, or judges each datagram in userspace, or does that behind an nft
meter. Each new peer has a network, a port and a key of its own.
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
import time

import lab
import report

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests" / "system"))
from support import lab as system  # noqa: E402

SECONDS = float(os.environ.get("SECONDS", "2"))
RATE = os.environ.get("RATE", "750000")  # frames per second: ten times what the transfer takes
SETTLE_S = 1
PORT = 7000
SOURCE_LEN = 4 << 30
MEMORY = "/dev/shm"
PKTGEN = str(report.BUILD / "pktgen")
DIALER = str(report.BUILD / "bench" / "flood_dialer")
DIALS_PER_S, DIALLING_NETS = 200, 200
KINDS = ("short-junk", "initial", "krpc")
SOURCES = ("--sources", "1000000")
BASELINE = "flood to the sink"
# How A is filtered, and whose device the flood goes to when it is not A's.
CONTENDERS = {BASELINE: ("udp", "veth1", "sink"), "weft, XDP": ("xdp",),
              "weft, UDP alone": ("udp",), "weft, UDP behind nft": ("nft",)}
# Whom the node serves is known to this administrator; everybody else has a rate.
RULES = f"""
table netdev bench {{
	set strangers {{ type ipv4_addr; flags dynamic; size 1048576; timeout 10s; }}
	chain ingress {{
		type filter hook ingress device "veth0" priority 0; policy accept;
		ip saddr {lab.SENDERS[0]} accept
		udp dport {PORT} add @strangers {{ ip saddr limit rate over 10/second burst 20 packets }} drop
	}}
}}
"""


class Flood:
    def __init__(self, net, place):
        self.net, self.lab = net, place
        self.target = net.nodes["receive"]
        self.napi = lab.NapiThread(net)
        self.macs = {node: net.nodes[node].run("cat", "/sys/class/net/veth0/address").strip()
                     for node in ("receive", "sink")}
        self.a = self.daemon("a", "receive", lab.RECEIVER)
        self.b = self.daemon("b", "send", lab.SENDERS[0])
        self.link = self.share()
        self.node = self.a.json("node", "id")["node_id"]
        self.dials = {}
        self.bring_dialling_nets()

    def bring_dialling_nets(self):
        """An address in each of so many networks, behind the sender's device."""
        self.net.nodes["send"].run("ip", "-batch", "-", text="".join(
            f"addr add 10.78.{number}.1/32 dev veth0\n" for number in range(DIALLING_NETS)))
        self.target.ip("route", "add", "10.78.0.0/16", "dev", "veth0")

    def daemon(self, name, side, address):
        daemon = self.lab.daemon(name, netns=self.net.nodes[side].name,
                                 listen=[f"{address}:{PORT}"])
        daemon.start(wrap=("taskset", "-c", str(self.net.cpus[side])))
        lab.share_cpu(daemon.pid())
        return daemon

    def share(self):
        """A file of zeros: nothing of it is on a disk, and its bytes are read and hashed as any."""
        source = self.lab.dir / "zeros"
        with open(source, "wb") as file:
            file.truncate(SOURCE_LEN)
        time.sleep(3)  # a file that has just changed is hashed again while it is served
        return self.a.share(source)

    @contextlib.contextmanager
    def filtered(self, by):
        if by == "xdp":
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
            if by == "xdp":
                self.a.weft("xdp", "detach", "veth0")
                self.target.attach_xdp("veth0", lab.PASS_OBJECT)
            elif by == "nft":
                self.target.run("nft", "delete", "table", "netdev", "bench")

    @contextlib.contextmanager
    def flooded(self, kind, device, node):
        pktgen = self.net.start("send", PKTGEN, "send", device, "--mac", self.macs[node], "--to",
                                lab.RECEIVER, "--port", str(PORT), "--kind", kind, "--rate", RATE,
                                *SOURCES)
        try:
            time.sleep(SETTLE_S)
            yield
        finally:
            sent = json.loads(pktgen.stop()[0])
            self.flood_pps = sent["frames"] / sent["ns"] * 1e9

    def done_len(self):
        return self.b.json("get", "list")["transfers"][-1]["bytes_done"]

    @contextlib.contextmanager
    def transfer(self):
        into = self.lab.dir / "out"
        number = self.b.weft("get", self.link, "--to", into, "--detach").stdout.strip()
        try:
            system.wait_for(lambda: self.done_len() > 0, "the transfer begins")
            yield
        finally:
            self.b.weft("get", "cancel", number)
            shutil.rmtree(into, ignore_errors=True)

    def dial(self):
        return self.net.start("send", DIALER, f"{lab.RECEIVER}:{PORT}", self.node, "10.78.0.1:0",
                              str(DIALLING_NETS), str(DIALS_PER_S), str(SECONDS))

    def kept(self, name, by, kind, device="veth0", node="receive"):
        """A Sample of the transfer; what became of the dials is kept under name."""
        with self.filtered(by), self.transfer(), self.flooded(kind, device, node):
            dialer = self.dial()
            begin, len_before = time.monotonic(), self.done_len()
            cpu_before = report.cpu_of([self.a.pid()]) + self.napi.cpu_s()
            time.sleep(SECONDS)
            len_after, end = self.done_len(), time.monotonic()
            cpu_s = report.cpu_of([self.a.pid()]) + self.napi.cpu_s() - cpu_before
            dials = json.loads(dialer.wait()[0])
        self.dials.setdefault(name, []).append(dials)
        return report.Sample(max(len_after - len_before, 1), end - begin, cpu_s)


@contextlib.contextmanager
def sink_beside(net):
    """A second way out of send, to somebody who only counts."""
    sink = net.network.add("sink")
    net.network.join("send", "sink")
    counter = subprocess.Popen(sink.command(PKTGEN, "sink", "veth0", "--quiet"),
                               stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        counter.terminate()
        counter.wait()


def tell_dials(made):
    yield f"new peers of {DIALS_PER_S} a second that got in, medians; over those of the sink:"
    share = {name: statistics.median(r["made"] / r["dialled"] for r in rounds)
             for name, rounds in made.items()}
    for name, rounds in made.items():
        p50, p99 = (statistics.median(r[key] for r in rounds) / 1e3 for key in ("p50_us", "p99_us"))
        base = share[BASELINE]
        yield (f"  {name:22} {100 * share[name]:5.1f} %  {share[name] / base if base else 0:5.2f}"
               f"   p50 {p50:6.1f} ms, p99 {p99:6.1f} ms")


def main():
    lab.come_first()
    tempfile.tempdir = MEMORY
    with lab.Lab() as net, sink_beside(net):
        place = system.Lab()
        try:
            bench = Flood(net, place)
            for kind in KINDS:
                bench.dials.clear()
                samples = report.measure({
                    name: lambda n=name, w=where: bench.kept(n, w[0], kind, *w[1:])
                    for name, where in CONTENDERS.items()})
                made = {name: rounds[1:] for name, rounds in bench.dials.items()}
                report.report(f"flood-{kind}", samples, "weft, XDP", "MB/s", 1e-6, [
                    f"{bench.flood_pps:.0f} frames/s of {kind} from a million sources; cpu ns per byte"
                    " of the daemon under attack and its device's NAPI thread",
                    "target: >= 0.95 of what the transfer has while the flood goes to the sink, and"
                    " of the new peers", *tell_dials(made)], {"dials": made})
        finally:
            place.close()


main()
