#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Round trips of a 64-byte request over a session, one in flight: UDP against
AF_XDP, sleeping between datagrams and never sleeping.

    send, first CPU: pingpong_engine ask -- veth -- receive, last CPU: pingpong_engine answer
"""
import json
import os
import statistics
import time

import veth
import report

COUNT = os.environ.get("COUNT", "5000")
TRIES = 50
ENGINE = str(report.BUILD / "bench" / "pingpong_engine")


def ask(net, *words):
    for left in reversed(range(TRIES)):
        try:
            return net.start("send", ENGINE, "ask", *words, COUNT).wait()
        except RuntimeError:
            if not left:
                raise
            time.sleep(0.1)


def round_trips(net, device, wait, collected):
    port = net.next_port()
    for side in ("send", "receive"):  # AF_XDP brings weft's program
        (net.pass_all if device == "-" else net.clear)(side)
    server = net.start_on_device("receive", ENGINE, "answer", device, f"{veth.RECEIVER}:{port}", wait)
    text, cpu_s = ask(net, device, f"{veth.SENDERS[0]}:{port}", wait, f"{veth.RECEIVER}:{port}")
    server_cpu_s = server.cpu_s()
    server.stop()
    result = json.loads(text)
    if result["xdp"] != (device != "-"):
        raise RuntimeError(f"answers did not come by {'AF_XDP' if device != '-' else 'UDP'}")
    trips = sorted(result["trips_ns"])
    collected.append({"p50_us": trips[len(trips) // 2] / 1e3,
                      "p99_us": trips[len(trips) * 99 // 100] / 1e3})
    return report.Sample(len(trips), sum(trips) / 1e9, cpu_s + server_cpu_s)


def main():
    veth.come_first()
    ways = {"AF_XDP, never sleeping": ("veth0", "spin"), "UDP, never sleeping": ("-", "spin"),
            "AF_XDP": ("veth0", "sleep"), "UDP": ("-", "sleep")}
    collected = {name: [] for name in ways}
    with veth.Lab() as net:
        samples = report.measure({
            name: lambda n=name, w=way: round_trips(net, *w, collected[n])
            for name, way in ways.items()})
    notes, figures = ["round trip in us, medians over the rounds:"], {}
    for name, runs in collected.items():
        figures[name] = {key: statistics.median(run[key] for run in runs[1:])
                         for key in ("p50_us", "p99_us")}
        notes.append(f"  {name:26} p50 {figures[name]['p50_us']:8.1f}  p99"
                     f" {figures[name]['p99_us']:8.1f}")
    report.report("pingpong", samples, "AF_XDP, never sleeping", "requests/s", 1, notes,
                  {"round_trips": figures})


main()
