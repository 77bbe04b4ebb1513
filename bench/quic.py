#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bulk over one connection and four: the engine's raw stream against a minimal
loop over the same library. iperf3 TCP shows what the path can do. All run
with GRO, as every network card's driver has it, and without, as a veth does."""
import json
import os
import shutil

import veth
import report

SECONDS = os.environ.get("SECONDS", "3")


def quic(net, conns, program, *receive_args):
    path = str(report.BUILD / "bench" / program)
    port = net.next_port()
    receiver = net.start("receive", path, "receive", veth.RECEIVER, port, conns, *receive_args)
    net.wait_for_port("receive", int(port))
    sender = net.start("send", path, "send", veth.RECEIVER, port, conns, SECONDS)
    _, sender_s = sender.wait()
    text, receiver_s = receiver.wait()
    result = json.loads(text)
    return report.Sample(result["bytes"], result["ns"] / 1e9, sender_s + receiver_s)


def quic_by_af_xdp(net, conns):
    """With weft's program natively on both devices instead of XDP_PASS."""
    path = str(report.BUILD / "bench" / "quic_engine")
    port = net.next_port()
    for side in ("send", "receive"):
        net.clear(side)
    try:
        receiver = net.start_on_device("receive", path, "receive", veth.RECEIVER, port, conns, "veth0")
        sender = net.start_on_device("send", path, "send", veth.RECEIVER, port, conns, SECONDS,
                                     "veth0", f"{veth.SENDERS[0]}:{port}")
        _, sender_s = sender.wait()
        text, receiver_s = receiver.wait()
    finally:
        for side in ("send", "receive"):
            net.pass_all(side)
    result = json.loads(text)
    if not result["rx"].startswith("af_xdp"):
        raise RuntimeError(f"datagrams came by {result['rx']}")
    return report.Sample(result["bytes"], result["ns"] / 1e9, sender_s + receiver_s)


def iperf(net, conns):
    port = net.next_port()
    receiver = net.start("receive", "iperf3", "-s", "-1", "-p", port)
    net.wait_for_port("receive", int(port))
    sender = net.start("send", "iperf3", "-J", "-c", veth.RECEIVER, "-p", port, "-P", conns, "-t",
                       SECONDS)
    text, sender_s = sender.wait()
    _, receiver_s = receiver.wait()
    received = json.loads(text)["end"]["sum_received"]
    return report.Sample(received["bytes"], received["seconds"], sender_s + receiver_s)


def with_softirqs(contender, *args):
    """Softirq threads work for the measured contender: weft's and peers' alike."""
    def once():
        before_s = veth.softirq_s()
        sample = contender(*args)
        sample.cpu_s += veth.softirq_s() - before_s
        return sample
    return once


def main():
    if not shutil.which("iperf3"):
        veth.skip("iperf3 is missing")
    veth.come_first()
    with veth.Lab() as net:
        for conns, gro in (("1", True), ("1", False), ("4", True), ("4", False)):
            net.set_gro(gro)
            samples = report.measure({
                "weft": with_softirqs(quic, net, conns, "quic_engine"),
                "weft, AF_XDP": with_softirqs(quic_by_af_xdp, net, conns),
                "minimal ngtcp2 loop": with_softirqs(quic, net, conns, "quic_reference", "2"),
                "the same, an ACK per 10": with_softirqs(quic, net, conns, "quic_reference", "10"),
                "iperf3 TCP": with_softirqs(iperf, net, conns),
            })
            state = "on" if gro else "off"
            report.report(f"quic-{conns}-gro-{state}", samples, "weft", "Gbit/s", 8e-9, [
                f"{conns} connections of {SECONDS} s, veth with XDP_PASS on both ends, MTU 1500,"
                f" GRO {state}; cpu ns per byte of both sides and softirq threads",
                "targets: >= 1.0x of the minimal loop, aim 1.3x; AF_XDP >= UDP; iperf3 is the ceiling,"
                " unencrypted",
            ])


main()
