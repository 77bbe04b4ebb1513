#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Datagrams through one relay, from one end to the other: by weft's XDP program,
by weft's UDP socket, by coturn. And by a program that sends everything back.

    send, first CPU: pktgen is all first ends, its sink all second ends -- veth --
    receive, last CPU: NAPI thread, relay

The relay has 1,000 flows open, of which one or all carry, by IPv4, by IPv6, or from IPv4 to IPv6.
Each is offered the rate at which it relays most. Beyond it the generator on the other CPU drops what
finds no room. Its locks then take a fifth of the relay's time. A network card has none.
The delay is that of another program than pktgen, by sockets; relay_load.py has it under load.
ONLY=IPv6 or ONLY=load measures that alone.
"""
import contextlib
import itertools
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import relay_contenders as contenders
import relay_load
import report
import veth

SECONDS = os.environ.get("SECONDS", "1")
SIZES = (200, 1250)
FLOW_CNTS = (1, contenders.FLOWS)
FAMILIES = tuple(contenders.FAMILIES)
ONLY = os.environ.get("ONLY")
DELAY_RATES = (1000, 50000)
OURS, SOCKET, PEER, BARE = "weft, XDP", "weft, UDP socket", "coturn", "sent back, no relay"
FIRST_RATES = {OURS: 1000000, SOCKET: 50000, PEER: 50000}
RATE_STEP, RATE_MAX = 1.3, 8000000
TRY_SECONDS = "0.4"
SETTLE_S = 0.1
PKTGEN = str(report.BUILD / "pktgen")
DELAY = str(report.BUILD / "bench" / "relay_delay")


@contextlib.contextmanager
def undisturbed(pids):
    """Threads that run before all others of the machine: a delay is not the wait for a CPU."""
    threads = [int(path.name) for pid in pids
               for path in pathlib.Path(f"/proc/{pid}/task").iterdir()]
    for thread in threads:
        os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        for thread in threads:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


class Bench:
    OURS, SOCKET, DELAY, undisturbed = OURS, SOCKET, DELAY, staticmethod(undisturbed)
    FIRST_RATES = FIRST_RATES

    def __init__(self, net, folder):
        self.net, self.folder, self.napi = net, folder, veth.NapiThread(net)
        self.sender = net.nodes["send"]
        self.macs = {side: node.run("cat", "/sys/class/net/veth0/address").strip()
                     for side, node in net.nodes.items()}
        # The sink answers neither ARP nor neighbour discovery.
        for address in veth.SENDERS:
            net.nodes["receive"].ip("neigh", "replace", address, "lladdr", self.macs["send"],
                                    "dev", "veth0", "nud", "permanent")
        net.set_gro(True)
        # A wire has whole checksums, and an XDP program that sends a datagram on needs them.
        self.sender.offload("veth0", "tx", False)
        self.relays = {OURS: contenders.Weft(net, folder, "veth0"),
                       SOCKET: contenders.Weft(net, folder, "-"),
                       PEER: contenders.Turn(net, folder),
                       BARE: contenders.Reflect(net, folder)}
        self.rates = {}  # of those that need one, by name, family, size and flow_cnt

    def cpu_s(self, relay):
        return self.napi.cpu_s() + relay.cpu_s()

    def sending(self, relay, size, flow_cnt):
        """pktgen as the first ends of the first flow_cnt flows."""
        family = relay.families[0]
        payload = contenders.inner(relay.sent_more + size).hex()
        return (PKTGEN, "send", "veth0", "--mac", self.macs["receive"], "--to",
                veth.RECEIVERS[family], "--from", veth.SENDERS[family], "--port", str(relay.port),
                "--payload", payload, "--heads", relay.heads_file(size, flow_cnt))

    def carry(self, relay, size, flow_cnt, seconds, rate=None):
        """A Sample of what came out, while as much went in as rate says, or as can be made."""
        limit = ("--rate", str(int(rate))) if rate else ()
        self.net.clear("send")
        sink = subprocess.Popen(self.sender.command(PKTGEN, "sink", "veth0", "--quiet"),
                                stdout=subprocess.PIPE, text=True)
        while "xdp" not in self.sender.ip("link", "show", "veth0"):
            if sink.poll() is not None:
                raise RuntimeError("pktgen sink ended")
        self.napi.pin()
        before_s, process_s = self.cpu_s(relay), relay.cpu_s()
        sent = json.loads(self.net.start(
            "send", *self.sending(relay, size, flow_cnt), "--seconds", seconds, *limit).wait()[0])
        time.sleep(SETTLE_S)
        cpu_s, process_s = self.cpu_s(relay) - before_s, relay.cpu_s() - process_s
        sink.terminate()
        came = json.loads(sink.communicate()[0])
        ip_len = contenders.IP_LEN[relay.families[1]]
        want = came["frames"] * (14 + ip_len + 8 + relay.left_more + size)
        if not came["frames"] or abs(came["bytes"] - want) > 0.01 * want:
            raise RuntimeError(f"{sent} became {came}")
        sample = report.Sample(came["frames"], sent["ns"] / 1e9, cpu_s)
        sample.process_ns = process_s * 1e9 / sample.units
        return sample

    def find_rate(self, relay, rate, size, flow_cnt):
        """The offered rate, from rate on, at which most datagrams come out for the least CPU. Above
        it drops cost a relay CPU, below it each datagram wakes a thread."""
        found = []
        while rate < RATE_MAX:
            got = self.carry(relay, size, flow_cnt, TRY_SECONDS, rate)
            found.append((got.rate / got.cpu_ns, rate, got.rate))
            if got.rate < 0.8 * max(found)[2]:
                break
            rate *= RATE_STEP
        return max(found)[1]

    def find_rates(self, families):
        for (name, rate), family in itertools.product(FIRST_RATES.items(), families):
            with self.relays[name].served(family) as relay:
                for kind in itertools.product(SIZES, FLOW_CNTS):
                    self.rates[name, family, *kind] = self.find_rate(relay, rate, *kind)

    def delay(self, relay, size, rate):
        """p50 and p99 in us of one flow, and a Sample with the CPU that it took."""
        first, second = (f"{veth.SENDERS[0]}:{port}" for port in
                         (contenders.FIRST_PORT, contenders.SECOND_PORT))
        before_s = self.cpu_s(relay)
        probe = self.net.start(
            "send", DELAY, first, second, f"{veth.RECEIVER}:{relay.port}",
            relay.heads(size)[0].hex(), str(relay.sent_more + size), str(rate), SECONDS)
        with undisturbed([probe.process.pid, *self.napi.pids(), *relay.pids()]):
            found = json.loads(probe.wait()[0])
        cpu_s = self.cpu_s(relay) - before_s
        return report.Sample(found["calls"], found["ns"] / 1e9, cpu_s), found

    def turn(self, name, family):
        """All rows of one relay, which is started for them: {row: (Sample, delays or None)}."""
        rows = {}
        with self.relays[name].served(family) as relay:
            self.napi.pin()
            if family == FAMILIES[0]:
                for size, rate in itertools.product(SIZES, DELAY_RATES):
                    rows["delay", size, rate] = self.delay(relay, size, rate)
            for size, flow_cnt in itertools.product(SIZES, FLOW_CNTS):
                rate = self.rates.get((name, family, size, flow_cnt))
                rows["carry", family, size, flow_cnt] = (
                    self.carry(relay, size, flow_cnt, SECONDS, rate), None)
        return rows

    def measure(self, families):
        """{row: {name: [(Sample, delays)]}}; one unmeasured round first."""
        turns = [(name, family) for family in families for name, relay in self.relays.items()
                 if relay.carries(family)]
        rows = {}
        for number in range(-1, report.ROUNDS):
            for name, family in turns[number % len(turns):] + turns[:number % len(turns)]:
                for row, found in self.turn(name, family).items():
                    if number >= 0:
                        rows.setdefault(row, {}).setdefault(name, []).append(found)
        return rows


def median(runs, value):
    return statistics.median(value(sample) for sample, _ in runs)


def report_carried(bench, family, size, flow_cnt, found):
    notes = [f"{size}-byte datagrams, {flow_cnt} of {contenders.FLOWS} open flows, {family}; cpu ns of"
             " the NAPI thread and the relay, on one CPU"]
    for name, runs in found.items():
        rate, cpu_ns = median(runs, lambda s: s.rate), median(runs, lambda s: s.cpu_ns)
        notes.append(f"  {name:20} {rate * size * 8e-9:7.3f} Gbit/s relayed, "
                     f"{1e9 / cpu_ns:10.0f} datagrams a core-second, {cpu_ns / size:6.2f} ns a byte, "
                     f"{median(runs, lambda s: s.process_ns):6.0f} cpu ns in the process")
    notes += [f"socket over coturn: datagrams {ratio(found, SOCKET, PEER, lambda s: s.rate):.2f}x, "
              f"cpu {ratio(found, PEER, SOCKET, lambda s: s.cpu_ns):.2f}x less",
              "datagrams/s offered: back to the sender as many as can be made, " + ", ".join(
                  f"{name} {bench.rates[name, family, size, flow_cnt]:.0f}" for name in FIRST_RATES),
              "targets: XDP >= 8x coturn, aim 20x"]
    report.report(f"relay-{family.replace(' ', '-')}-{size}-{flow_cnt}", samples_of(found), OURS, "Mpps", 1e-6, notes)


def ratio(found, name, other, value):
    return median(found[name], value) / median(found[other], value)


def samples_of(found):
    return {name: [sample for sample, _ in runs] for name, runs in found.items()}


def report_delays(size, rate, found):
    delays, notes = {}, [f"{size}-byte datagrams of one flow, {rate} a second by a socket; from end to"
                         " end in us, medians over the rounds and spread:"]
    for name, runs in found.items():
        delays[name] = {key: [delay[key] for _, delay in runs] for key in ("p50_us", "p99_us")}
    for name, each in delays.items():
        p50, p99 = (statistics.median(each[key]) for key in ("p50_us", "p99_us"))
        bare50, bare99 = (statistics.median(delays[BARE][key]) for key in ("p50_us", "p99_us"))
        notes.append(f"  {name:20} p50 {p50:7.1f} ({report.spread(each['p50_us'])}), p99 {p99:7.1f}"
                     f" ({report.spread(each['p99_us'])}); added {p50 - bare50:.1f}, {p99 - bare99:.1f}")
    notes += ["cpu ns: mostly of waking a thread for each datagram", "targets: added p99 < 50 us"]
    report.report(f"relay-delay-{size}-{rate}", samples_of(found), OURS, "datagrams/s", 1, notes,
                  {"delays": delays})


def main():
    # A relay has a session of its own and would stay.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    veth.come_first()
    if not contenders.Turn.is_there():
        veth.skip("coturn is missing")
    with veth.Lab() as net, tempfile.TemporaryDirectory() as folder:
        bench = Bench(net, pathlib.Path(folder))
        families = [family for family in FAMILIES if ONLY in (None, family)]
        bench.find_rates(families)
        for (kind, *row), found in (bench.measure(families) if families else {}).items():
            if kind == "carry":
                report_carried(bench, *row, found)
            else:
                report_delays(*row, found)
        if ONLY in (None, "load"):
            relay_load.measure(bench)


main()
