#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls with a payload and a reply of 64 bytes and of 1 KiB, 1 and 64 in flight. The
figures are calls of a core, and their times. Compared with gRPC in C++ over TLS, NATS
request and reply over TLS, and, unencrypted, nginx asked by wrk.

    send, first CPU: the caller -- veth -- receive, last CPU: the provider, and nats-server
"""
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import tempfile

import veth
import report

SECONDS = os.environ.get("SECONDS", "2")
PROGRAMS = report.BUILD / "bench"
ENGINE, GRPC, NATS = (str(PROGRAMS / f"rpc_{name}") for name in ("engine", "grpc", "nats"))
NGINX_PATHS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
UNITS_US = {"us": 1, "ms": 1e3, "s": 1e6}


def make_certificate(directory):
    cert, key = f"{directory}/cert.pem", f"{directory}/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                    "-nodes", "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=bench",
                    "-addext", "subjectAltName=DNS:bench"], check=True, capture_output=True)
    return cert, key


class Bench:
    def __init__(self, net, directory):
        self.net = net
        self.directory = pathlib.Path(directory)
        self.cert, self.key = make_certificate(directory)

    def call(self, servers, *command):
        """Runs the caller against what runs; gives what it printed and the CPU of all."""
        before_s = sum(server.cpu_s() for server in servers) + veth.softirq_s()
        text, cpu_s = self.net.start("send", *command).wait()
        cpu_s += sum(server.cpu_s() for server in servers) + veth.softirq_s() - before_s
        for server in reversed(servers):
            server.stop(signal.SIGINT)  # which is no failure to nats-server
        return text, cpu_s

    def weft(self, length, in_flight, device="-"):
        port = self.net.next_port()
        for side in ("send", "receive"):  # AF_XDP brings weft's program
            (self.net.pass_all if device == "-" else self.net.clear)(side)
        server = self.net.start_on_device("receive", ENGINE, "serve", device,
                                          f"{veth.RECEIVER}:{port}")
        text, cpu_s = self.call([server], ENGINE, "call", device, f"{veth.SENDERS[0]}:{port}",
                                f"{veth.RECEIVER}:{port}", length, in_flight, SECONDS)
        result = json.loads(text)
        if result["rx"] != ("udp" if device == "-" else "af_xdp"):
            raise RuntimeError(f"replies came by {result['rx']}")
        return result, cpu_s

    def grpc(self, length, in_flight):
        port = self.net.next_port()
        server = self.net.start("receive", GRPC, "serve", f"{veth.RECEIVER}:{port}", self.cert,
                                self.key)
        self.net.wait_for_port("receive", int(port))
        text, cpu_s = self.call([server], GRPC, "call", f"{veth.RECEIVER}:{port}", self.cert, length,
                                in_flight, SECONDS)
        return json.loads(text), cpu_s

    def nats(self, length, in_flight):
        port = self.net.next_port()
        broker = self.net.start("receive", "nats-server", "-a", veth.RECEIVER, "-p", port, "--tls",
                                "--tlscert", self.cert, "--tlskey", self.key, "-l", "/dev/null")
        self.net.wait_for_port("receive", int(port))
        server = self.net.start_on_device("receive", NATS, "serve", veth.RECEIVER, port, self.cert)
        text, cpu_s = self.call([broker, server], NATS, "call", veth.RECEIVER, port, self.cert,
                                length, in_flight, SECONDS)
        return json.loads(text), cpu_s

    def nginx(self, length, in_flight):
        port = self.net.next_port()
        config = self.directory / "nginx.conf"
        config.write_text(
            "daemon off; master_process off; user root; pid nginx.pid; error_log stderr;\n"
            "events {}\nhttp { access_log off; keepalive_requests 1000000000;\n"
            + "".join(f"{name}_temp_path {name};\n" for name in NGINX_PATHS) +
            f"server {{ listen {veth.RECEIVER}:{port}; return 200 '{'x' * int(length)}'; }} }}\n",
            encoding="ascii")
        server = self.net.start("receive", "nginx", "-p", str(self.directory), "-c", str(config))
        self.net.wait_for_port("receive", int(port))
        text, cpu_s = self.call([server], "wrk", "-t1", f"-c{in_flight}", f"-d{SECONDS}s",
                                "--latency", f"http://{veth.RECEIVER}:{port}/")
        took_us = {match[1]: float(match[2]) * UNITS_US[match[3]] for match in
                   re.finditer(r"^ +(50|99)% +([0-9.]+)(us|ms|s)$", text, re.MULTILINE)}
        total = re.search(r"([0-9]+) requests in ([0-9.]+)s", text)
        return {"calls": int(total[1]), "ns": float(total[2]) * 1e9, "p50_us": took_us["50"],
                "p99_us": took_us["99"]}, cpu_s


def contender(function, args, collected):
    """Of a core: the units are calls, the seconds those of all CPUs that worked for them."""
    def once():
        result, cpu_s = function(*args)
        collected.append({"p50_us": result["p50_us"], "p99_us": result["p99_us"],
                          "calls_per_s": result["calls"] / result["ns"] * 1e9})
        return report.Sample(result["calls"], cpu_s, cpu_s)
    return once


def run(bench, length, in_flight):
    args = (length, in_flight)
    ways = {"weft": (bench.weft, args), "gRPC C++, TLS": (bench.grpc, args),
            "NATS, TLS": (bench.nats, args), "nginx and wrk, plain": (bench.nginx, args)}
    if in_flight == "1":
        ways["weft, AF_XDP"] = (bench.weft, (*args, "veth0"))
    collected = {name: [] for name in ways}
    samples = report.measure({name: contender(function, arguments, collected[name])
                              for name, (function, arguments) in ways.items()})
    notes, figures = ["medians over the rounds, at the speed that the two CPUs gave:"], {}
    for name, runs in collected.items():
        figures[name] = {key: statistics.median(each[key] for each in runs[1:]) for key in runs[0]}
        notes.append("  {:22} p50 {p50_us:8.1f} us  p99 {p99_us:8.1f} us  {calls_per_s:9.0f}"
                     " calls/s".format(name, **figures[name]))
    notes.append("targets: >= 4x gRPC, aim 10x; >= 1x NATS, aim 2x")
    report.report(f"rpc-{length}-{in_flight}", samples, "weft", "calls/s of a core", 1, notes,
                  {"figures": figures})


def main():
    for tool in ("openssl", "nats-server", "nginx", "wrk"):
        if not shutil.which(tool):
            veth.skip(tool + " is missing")
    veth.come_first()
    with veth.Lab() as net, tempfile.TemporaryDirectory() as directory:
        net.set_gro(True)
        bench = Bench(net, directory)
        for in_flight in ("1", "64"):
            for length in ("64", "1024"):
                run(bench, length, in_flight)


main()
