#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Retry packets per second of one core: by XDP_TX, and by a batched loop over
ngtcp2 in userspace, for Initials of a million sources.

    send, first CPU: pktgen; a sink takes the answers -- veth -- receive, last CPU: NAPI thread, server
"""
import json
import os
import subprocess
import time

import veth
import report

SECONDS = os.environ.get("SECONDS", "2")
PORT = 7000
TRIES = 50
PKTGEN = str(report.BUILD / "pktgen")
BY_XDP = (str(report.BUILD / "bench" / "filter_program"), "veth0", f"{veth.RECEIVER}:{PORT}", "retry")
BY_USERSPACE = (str(report.BUILD / "bench" / "retry_reference"), f"{veth.RECEIVER}:{PORT}")


def started(net, command):
    """The kernel lets go of the last AF_XDP socket some time after its end."""
    for _ in range(TRIES):
        process = net.start("receive", *command)
        time.sleep(0.3)
        if process.process.poll() is None:
            return process
    raise RuntimeError(f"{command} does not start")


def answers(net, napi, command):
    node = net.nodes["receive"]
    node.ip("link", "set", "dev", "veth0", "xdp", "off")
    if command is BY_USERSPACE:
        node.attach_xdp("veth0", veth.PASS_OBJECT)
    server = started(net, command)
    napi.pin()
    mac = node.run("cat", "/sys/class/net/veth0/address").strip()
    before_s = napi.cpu_s()
    sent = json.loads(net.start(
        "send", PKTGEN, "send", "veth0", "--mac", mac, "--to", veth.RECEIVER, "--port", str(PORT),
        "--kind", "initial", "--sources", "1000000", "--seconds", SECONDS).wait()[0])
    napi_s = napi.cpu_s() - before_s
    server_s = server.cpu_s()
    text, _ = server.stop()
    counted = json.loads(text.split("\n", 1)[1])
    if not counted.get("retry-sent"):
        raise RuntimeError(f"no answers: {counted}")
    return report.Sample(counted["retry-sent"], sent["ns"] / 1e9,
                         napi_s + (server_s if command is BY_USERSPACE else 0))


def main():
    veth.come_first()
    with veth.Lab() as net:
        napi = veth.NapiThread(net)
        sender, receiver = net.nodes["send"], net.nodes["receive"]
        mac = sender.run("cat", "/sys/class/net/veth0/address").strip()
        # All sources are behind the sender, and its sink answers no ARP.
        receiver.ip("neigh", "replace", veth.SENDERS[0], "lladdr", mac, "dev", "veth0", "nud",
                    "permanent")
        receiver.ip("route", "add", "198.0.0.0/8", "via", veth.SENDERS[0])
        sender.ip("link", "set", "dev", "veth0", "xdp", "off")
        sink = subprocess.Popen(sender.command(PKTGEN, "sink", "veth0", "--quiet"),
                                stdout=subprocess.DEVNULL)
        try:
            samples = report.measure({"XDP": lambda: answers(net, napi, BY_XDP),
                                      "ngtcp2 in userspace": lambda: answers(net, napi, BY_USERSPACE)})
        finally:
            sink.terminate()
            sink.wait()
        report.report("retry", samples, "XDP", "answers/s", 1, [
            "Initials of 1,200 bytes faster than either can answer; cpu ns per answer of the NAPI thread"
            " and the process, on one CPU",
            "target: >= 10x"])


main()
