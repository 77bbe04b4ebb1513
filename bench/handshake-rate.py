#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Handshakes, full and resumed, one after the other: what one core of the
accepting side can do. The engine runs against a minimal loop over the same
library with the same mutual Ed25519 raw public keys."""
import json
import os

import veth
import report

SECONDS = os.environ.get("SECONDS", "2")


def handshakes(net, program, kind):
    path = str(report.BUILD / "bench" / program)
    port = net.next_port()
    server = net.start("receive", path, "accept", veth.RECEIVER, port)
    net.wait_for_port("receive", int(port))
    start_s = server.cpu_s()
    text, client_s = net.start("send", path, "dial", veth.RECEIVER, port, SECONDS, kind).wait()
    server_s = server.cpu_s() - start_s
    server.stop()
    result = json.loads(text)
    resumed = result["resumed"] / result["handshakes"]
    if (resumed > 0.9) != (kind == "resumed"):
        raise RuntimeError(f"{program}: {resumed:.0%} of the {kind} handshakes were resumed")
    return report.Sample(result["handshakes"], server_s, server_s + client_s)


def main():
    veth.come_first()
    with veth.Lab() as net:
        for kind in ("full", "resumed"):
            samples = report.measure({
                "weft": lambda kind=kind: handshakes(net, "quic_engine", kind),
                "minimal ngtcp2 loop": lambda kind=kind: handshakes(net, "quic_reference", kind),
            })
            report.report(f"handshake-{kind}", samples, "weft", "per core-s", 1.0, [
                f"{kind} handshakes for {SECONDS} s per round; rate by the CPU time of the accepting"
                " process; cpu ns of both sides",
            ])


main()
