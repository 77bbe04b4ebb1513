#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Receiving and sending by themselves, at 200 and at 1,350 bytes: AF_XDP and
the program in front of it, and a UDP socket with GRO and GSO.

    send, first CPU: io_pipe -- veth -- receive, last CPU: its NAPI thread and io_pipe

Receiving from sockets with GSO, whose packets a veth has to copy for any program.
Receiving from live frames, as a card's driver has them, whose checksums the UDP
socket's side has to verify. Sending: what the sink on the other end counted.
"""
import contextlib
import itertools
import json
import os

import veth
import report

SECONDS = os.environ.get("SECONDS", "2")
SIZES = (1350, 200)
PIPE = str(report.BUILD / "bench" / "io_pipe")
PKTGEN = str(report.BUILD / "pktgen")
KEY = bytes(range(16)).hex()  # of bench/support/fast_path.c
TELL_CNT = "100"


@contextlib.contextmanager
def program_of(net, side, backend):
    """UDP has XDP_PASS before it; AF_XDP brings weft's program."""
    (net.pass_all if backend == "udp" else net.clear)(side)
    yield
    if backend == "udp":
        net.clear(side)


def by_socket(net, port, size):
    net.start("send", PIPE, "send", "veth0", f"{veth.SENDERS[0]}:{port}", "udp",
              f"{veth.RECEIVER}:{port}", str(size), SECONDS).wait()


def by_pktgen(net, port, size):
    mac = net.nodes["receive"].run("cat", "/sys/class/net/veth0/address").strip()
    net.start("send", PKTGEN, "send", "veth0", "--mac", mac, "--to", veth.RECEIVER, "--port", port,
              "--from", veth.SENDERS[0], "--kind", "short-valid", "--key", KEY, "--ids", "1",
              "--size", str(size), "--seconds", SECONDS).wait()


def receive(net, napi, size, backend, sender):
    port = net.next_port()
    to = f"{veth.RECEIVER}:{port}"
    with program_of(net, "receive", backend):
        receiver = net.start_on_device("receive", PIPE, "receive", "veth0", to, backend)
        napi.pin()
        before_s = napi.cpu_s()
        sender(net, port, size)
        spent_s = napi.cpu_s() - before_s
        got = json.loads(receiver.wait()[0])
    if not got["dgrams"]:
        raise RuntimeError(f"{backend} received nothing")
    return report.Sample(got["dgrams"], got["ns"] / 1e9, got["cpu_ns"] / 1e9 + spent_s)


def tell_the_way(net, port):
    """A node learns the way to a peer from frames with an id that it gave out."""
    mac = net.nodes["send"].run("cat", "/sys/class/net/veth0/address").strip()
    net.nodes["receive"].run(PKTGEN, "send", "veth0", "--mac", mac, "--to", veth.SENDERS[0], "--port",
                             port, "--from", veth.RECEIVER, "--kind", "short-valid", "--key", KEY,
                             "--count", TELL_CNT, "--rate", "10000")


def send(net, size, backend):
    port = net.next_port()
    node = net.nodes["receive"]
    with program_of(net, "receive", "sink"), program_of(net, "send", backend):
        sink = net.start("receive", PKTGEN, "sink", "veth0", "--quiet")
        sender = net.start_on_device("send", PIPE, "send", "veth0", f"{veth.SENDERS[0]}:{port}", backend,
                       f"{veth.RECEIVER}:{port}", str(size), SECONDS)
        if backend == "xdp":
            tell_the_way(net, port)
        text, _ = sender.wait()
        counted = json.loads(sink.stop()[0])
        assert "xdp" not in node.ip("link", "show", "veth0")
    sent = json.loads(text.split("\n", 1)[1])
    return report.Sample(counted["frames"], sent["ns"] / 1e9, sent["cpu_ns"] / 1e9)


SENDERS = {"sockets": by_socket, "frames": by_pktgen}


def know_each_other(net):
    """The sink answers no ARP."""
    for side, other, address in (("send", "receive", veth.RECEIVER),
                                 ("receive", "send", veth.SENDERS[0])):
        mac = net.nodes[other].run("cat", "/sys/class/net/veth0/address").strip()
        net.nodes[side].ip("neigh", "replace", address, "lladdr", mac, "dev", "veth0", "nud",
                           "permanent")


def main():
    veth.come_first()
    with veth.Lab() as net:
        know_each_other(net)
        net.nodes["receive"].offload("veth0", "gro", True)
        napi = veth.NapiThread(net)
        for size, (title, sender) in itertools.product(SIZES, SENDERS.items()):
            samples = report.measure({
                "AF_XDP": lambda: receive(net, napi, size, "xdp", sender),
                "UDP with GRO": lambda: receive(net, napi, size, "udp", sender),
            })
            report.report(f"io-receive-{size}-from-{title}", samples, "AF_XDP", "Mpps", 1e-6, [
                f"{size}-byte datagrams; cpu ns per datagram of the receiving process and the"
                " device's NAPI thread, on one CPU",
                "targets: AF_XDP >= 1.4x at 1,350 bytes, >= 1.8x at 200"])
        for size in SIZES:
            samples = report.measure({
                "UDP with GSO": lambda: send(net, size, "udp"),
                "AF_XDP": lambda: send(net, size, "xdp"),
            })
            report.report(f"io-send-{size}", samples, "UDP with GSO", "Mpps", 1e-6, [
                f"{size}-byte datagrams in runs of 44, as counted behind the wire; cpu ns per"
                " datagram of the sending process",
                "the hybrid, which a veth gets, is AF_XDP of the first table and UDP of this one"])


main()
