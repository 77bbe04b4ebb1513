#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the XDP program's decisions cost above a bare XDP_DROP, and how many
packets it refuses where nftables at ingress refuses them.

    send: pktgen -- veth -- receive: XDP_DROP, weft's program, or XDP_PASS and nft

Generator, driver and decision share one core, and nothing that is sent gets
further than the decision.
"""
import contextlib
import json
import os
import statistics
import subprocess
import time

import veth
import report

SECONDS = os.environ.get("SECONDS", "1")
SIZE = "200"
WARM_UP_FRAMES = 200_000
# Random picks that leave one of a million sources unseen in a hundred: nft's sets grow once, not while measured.
WARM_UP_NFT_FRAMES = 5_000_000
PKTGEN = str(report.BUILD / "pktgen")
PROGRAM = str(report.BUILD / "bench" / "filter_program")
PORT, NFT_DROP_PORT, NFT_FEW_PORT, NFT_MANY_PORT = 7000, 7001, 7002, 7003
FEW, MANY = 4096, 1_000_000

KRPC_FEW = ("--kind", "krpc", "--sources", str(FEW))
KRPC_MANY = ("--kind", "krpc", "--sources", str(MANY))
# Ids made under another key than the node's: the tag is worked out and found wrong.
FORGED = ("--kind", "short-valid", "--key", "f" * 32, "--sources", str(FEW))
JUNK = ("--kind", "junk", "--sources", str(FEW))
INITIALS = ("--kind", "initial", "--size", "1200", "--sources", str(FEW))

# name: (what is sent, case of filter_program, word of the reason that must count it);
# barriers are in force where the loader has no CAP_PERFMON
WEFT = {
    "no protocol": (JUNK, "junk", "no-protocol"),
    "ban, list of 1,001": (JUNK, "ban", "banned"),
    "forged id": (FORGED, "id", "bad-id"),
    "buckets, 4 k sources": (KRPC_FEW, "bucket", "krpc-limit"),
    "buckets, 1 M sources": (KRPC_MANY, "bucket", "krpc-limit"),
    "Initials, 4 k sources": (INITIALS, "retry", "retry-sent"),
    "no protocol, barriers": (JUNK, "junk barriers", "no-protocol"),
    "forged id, barriers": (FORGED, "id barriers", "bad-id"),
    "buckets, 4 k, barriers": (KRPC_FEW, "bucket barriers", "krpc-limit"),
}
NFT = {
    "nft drop": (JUNK, NFT_DROP_PORT),
    "nft meter, 4 k sources": (KRPC_FEW, NFT_FEW_PORT),
    "nft meter, 1 M sources": (KRPC_MANY, NFT_MANY_PORT),
}
RULES = f"""
table netdev bench {{
	set few {{ type ipv4_addr; flags dynamic; size {2 * FEW}; }}
	set many {{ type ipv4_addr; flags dynamic; size {2 * MANY}; }}
	chain ingress {{
		type filter hook ingress device "veth0" priority 0; policy accept;
		udp dport {NFT_DROP_PORT} drop
		udp dport {NFT_FEW_PORT} add @few {{ ip saddr limit rate over 1/hour burst 1 packets }} drop
		udp dport {NFT_MANY_PORT} add @many {{ ip saddr limit rate over 1/hour burst 1 packets }} drop
	}}
}}
"""


class Filter:
    def __init__(self, net):
        self.net, self.node = net, net.nodes["receive"]
        self.mac = self.node.run("cat", "/sys/class/net/veth0/address").strip()

    def send(self, what, port, *end):
        text, _ = self.net.start("send", PKTGEN, "send", "veth0", "--mac", self.mac, "--to",
                                 veth.RECEIVER, "--port", str(port), "--size", SIZE, *what, *end).wait()
        return json.loads(text)

    def measure(self, what, port):
        self.send(what, port, "--count", str(WARM_UP_FRAMES))
        softirq_s = veth.softirq_s()
        sent = self.send(what, port, "--seconds", SECONDS)
        return report.Sample(sent["frames"], sent["ns"] / 1e9,
                             sent["cpu_ns"] / 1e9 + veth.softirq_s() - softirq_s)

    def bare_drop(self, what):
        sink = subprocess.Popen(self.node.command(PKTGEN, "sink", "veth0", "--quiet"),
                                stdout=subprocess.PIPE, text=True)
        while "xdp" not in self.node.ip("link", "show", "veth0"):
            if sink.poll() is not None:
                raise RuntimeError("pktgen sink ended")
        sample = self.measure(what, PORT)
        sink.terminate()
        check_all_seen(json.loads(sink.communicate()[0])["frames"], sample, "pktgen sink")
        return sample

    def weft(self, what, case, reason):
        program = self.start_weft(case)
        sample = self.measure(what, PORT)
        program.terminate()
        counted = json.loads(program.communicate()[0])
        check_all_seen(counted.get(reason, 0), sample, f"{case} by {reason}: {counted}")
        return sample

    def start_weft(self, case):
        """The kernel lets go of the last program's AF_XDP sockets some time after its end."""
        deadline = time.monotonic() + 10
        while True:
            program = subprocess.Popen(
                self.node.command(PROGRAM, "veth0", f"{veth.RECEIVER}:{PORT}", *case.split()),
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            if program.stdout.readline() == "ready\n":
                return program
            if time.monotonic() > deadline:
                raise RuntimeError(f"filter_program {case}: {program.communicate()[1]}")
            time.sleep(0.05)

    def nft(self, what, port):
        with self.passing():
            return self.measure(what, port)

    @contextlib.contextmanager
    def passing(self):
        """Frames reach nftables while XDP_PASS is attached: a veth takes no others from pktgen."""
        self.node.attach_xdp("veth0", veth.PASS_OBJECT)
        try:
            yield
        finally:
            self.node.ip("link", "set", "dev", "veth0", "xdp", "off")

    def load_nft(self):
        self.node.run("nft", "-f", "-", text=RULES)
        with self.passing():
            for what, port in NFT.values():
                self.send(what, port, "--count", str(WARM_UP_NFT_FRAMES))


def check_all_seen(seen, sample, by):
    """A branch that was not taken must not pass for a fast one."""
    if seen < 0.99 * (sample.units + WARM_UP_FRAMES):
        raise RuntimeError(f"{by}: {seen} of {sample.units + WARM_UP_FRAMES} frames")


def above(samples, name, base):
    """Median CPU ns per packet of name above its base, round by round."""
    each = [ours.cpu_ns - bare.cpu_ns for ours, bare in zip(samples[name], samples[base])]
    return statistics.median(each), report.spread(each)


def main():
    veth.come_first()
    with veth.Lab() as net:
        bench = Filter(net)
        bench.node.run("sh", "-c", "echo 0 >/sys/class/net/veth0/queues/rx-0/rps_cpus")
        bench.node.ip("link", "set", "dev", "veth0", "xdp", "off")
        bench.load_nft()
        bases = {what: f"XDP_DROP of {what[1]} from {what[-1]}"
                 for what in (JUNK, FORGED, KRPC_FEW, KRPC_MANY, INITIALS)}
        contenders = {base: lambda w=what: bench.bare_drop(w) for what, base in bases.items()}
        contenders |= {name: lambda c=case: bench.weft(*c) for name, case in WEFT.items()}
        contenders |= {name: lambda c=case: bench.nft(*c) for name, case in NFT.items()}
        samples = report.measure(contenders)
        figures, notes = {}, ["ns per packet above XDP_DROP of the same packets, median and spread:"]
        for name, (what, *_) in (WEFT | NFT).items():
            figures[name], spread = above(samples, name, bases[what])
            notes.append(f"  {name:26} {figures[name]:7.1f}  {spread}")
        notes += ["targets: buckets <= 110 ns, id <= 60 ns; buckets >= 3x the packets of an nft"
                  " meter, aim 5x",
                  f"{SIZE}-byte payloads, IPv4; packets per second include their making; cpu: of the"
                  " generator, in whose softirq all of it runs"]
        report.report("filter", samples, "buckets, 1 M sources", "Mpps", 1e-6, notes,
                      {"above_drop_ns": figures})


main()
