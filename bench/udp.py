#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Datagrams without a protocol: the receive sides of net/ against each other
under its send side, and its send side against io_uring sendmsg."""
import json
import os

import veth
import report

SECONDS = os.environ.get("SECONDS", "2")
PROGRAM = str(report.BUILD / "bench" / "udp_pipe")


def pipe(net, send, receive):
    port = net.next_port()
    receiver = net.start("receive", PROGRAM, "receive", veth.RECEIVER, port, receive)
    net.wait_for_port("receive", int(port))
    _, sender_s = net.start("send", PROGRAM, "send", veth.RECEIVER, port, SECONDS, send).wait()
    text, receiver_s = receiver.wait()
    result = json.loads(text)
    # The sender never waits for the receiver, so each side counts by its own time.
    return (report.Sample(result["bytes"], result["ns"] / 1e9, receiver_s),
            report.Sample(result["bytes"], result["ns"] / 1e9, sender_s))


def main():
    veth.come_first()
    with veth.Lab() as net:
        samples = report.measure({
            "io_uring": lambda: pipe(net, "ours", "uring")[0],
            "epoll, recvmmsg": lambda: pipe(net, "ours", "epoll")[0],
        })
        report.report("udp-receive", samples, "io_uring", "Gbit/s", 8e-9,
                      ["what arrived; cpu ns per byte of the receiving process"])
        samples = report.measure({
            "sendmmsg": lambda: pipe(net, "ours", "uring")[1],
            "io_uring sendmsg": lambda: pipe(net, "uring", "uring")[1],
        })
        report.report("udp-send", samples, "sendmmsg", "Gbit/s", 8e-9,
                      ["what arrived of runs of 44 x 1,400 bytes; cpu ns per byte of the sending"
                       " process"])


main()
