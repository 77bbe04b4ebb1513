#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A page of 1 KiB of a web server on another machine, asked for by wrk at a local HTTP port.
weft's gateway, the mesh and a provider run against nginx as a reverse proxy over TLS to the
same server. And a call of a service of the same node.

    send, first CPU: wrk, gateway or nginx -- veth, encrypted -- receive, last CPU: provider, nginx
"""
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import tempfile
import time

import veth
import report

SECONDS = os.environ.get("SECONDS", "2")
CONNECTIONS = ("1", "32")
PAGE = 1024
UPSTREAM, UPSTREAM_TLS, PROXY, GATEWAY, MESH = "8080", "8443", "8081", "5030", "7000"
UNITS_US = {"us": 1, "ms": 1e3, "s": 1e6}
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
START_S = 60

NGINX = """
daemon off; master_process off; {user} pid nginx.pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
  {temporary}
  {body}
}}
"""
SERVED = """
  server {{ listen 127.0.0.1:{plain}; listen {address}:{tls} ssl; root {root};
            ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.3; }}
"""
PROXIED = """
  upstream behind {{ server {address}:{tls}; keepalive 64; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port};
            location / {{ proxy_pass https://behind; proxy_http_version 1.1; proxy_set_header Connection "";
                          proxy_ssl_protocols TLSv1.3; proxy_ssl_session_reuse on;
                          proxy_ssl_verify on; proxy_ssl_trusted_certificate {cert};
                          proxy_ssl_name bench; }} }}
"""
NODE = """
[node]
listen = {address}:{mesh}
[dht]
enabled = no
[xdp]
mode = off
[service]
builtin = echo
peer_calls = 1000000000
calls = 1000000000
peer_in_hand = 4096
peer_out = 4096
lookups = 1000000
fetches = 1000000
[gateway]
enabled = {gateway}
mesh = yes
services = page, echo
rate = 0
mesh_rate = 0
connections_per_address = 256
"""


class Bench:
    def __init__(self, net, directory):
        self.net, self.directory = net, pathlib.Path(directory)
        self.directory.chmod(0o755)
        (self.directory / "root").mkdir()
        (self.directory / "root" / "page").write_bytes(b"x" * PAGE)
        self.cert, self.key = self.directory / "cert.pem", self.directory / "key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.key, "-out", self.cert,
                        "-days", "2", "-subj", "/CN=bench", "-addext", "subjectAltName=DNS:bench"],
                       check=True, capture_output=True)

    def nginx(self, side, port, body):
        at = self.directory / f"nginx-{side}"
        at.mkdir()
        (at / "nginx.conf").write_text(NGINX.format(
            user="user root;", body=body,
            temporary="".join(f"{name}_temp_path {name};" for name in TEMPORARY)))
        process = self.net.start(side, "nginx", "-p", str(at), "-c", str(at / "nginx.conf"))
        self.net.wait_for_port(side, int(port))
        return process

    def upstream(self):
        return self.nginx("receive", UPSTREAM, SERVED.format(
            plain=UPSTREAM, address=veth.RECEIVER, tls=UPSTREAM_TLS, root=self.directory / "root",
            cert=self.cert, key=self.key))

    def proxy(self):
        return self.nginx("send", PROXY, PROXIED.format(port=PROXY, address=veth.RECEIVER,
                                                        tls=UPSTREAM_TLS, cert=self.cert))

    def node(self, side, address, gateway):
        conf = self.directory / f"{side}.conf"
        conf.write_text(NODE.format(address=address, mesh=MESH, gateway=gateway))
        process = self.net.start(side, str(report.BUILD / "weftd"), "--config", str(conf), "--state",
                                 str(self.directory / f"{side}.state"), "--control", self.socket(side))
        self.net.wait_for_port(side, int(MESH))
        return process

    def socket(self, side):
        return str(self.directory / f"{side}.sock")

    def weft(self, side, *words):
        done = subprocess.run([str(report.BUILD / "weft"), "-s", self.socket(side), "--json", *words],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"weft {words}: {done.stderr}")
        return json.loads(done.stdout)

    def nodes(self):
        """Two nodes that know each other, the provider behind the one that receives."""
        provider = self.node("receive", veth.RECEIVER, "no")
        asker = self.node("send", veth.SENDERS[0], "yes")
        deadline = time.monotonic() + START_S
        self.until(deadline, lambda: self.weft("receive", "status"))
        self.weft("receive", "service", "publish", "page", "--http", f"127.0.0.1:{UPSTREAM}")
        self.weft("send", "peer", "connect", self.weft("receive", "node", "id")["node_id"],
                  f"{veth.RECEIVER}:{MESH}")
        self.until(deadline, lambda: self.get(GATEWAY, "/mesh/http/page/page"))
        return provider, asker

    def until(self, deadline, condition):
        while True:
            try:
                return condition()
            except (RuntimeError, veth.Refused):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def get(self, port, path):
        return self.net.nodes["send"].run("curl", "-sSf", f"http://127.0.0.1:{port}{path}")


def wrk(net, servers, connections, port, path):
    before_s = sum(server.cpu_s() for server in servers) + veth.softirq_s()
    text, cpu_s = net.start("send", "wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "--latency",
                            f"http://127.0.0.1:{port}{path}").wait()
    cpu_s += sum(server.cpu_s() for server in servers) + veth.softirq_s() - before_s
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(text)
    took_us = {match[1]: float(match[2]) * UNITS_US[match[3]] for match in
               re.finditer(r"^ +(50|99)% +([0-9.]+)(us|ms|s)$", text, re.MULTILINE)}
    total = re.search(r"([0-9]+) requests in ([0-9.]+)s", text)
    return report.Sample(int(total[1]), float(total[2]), cpu_s), took_us


def contender(net, servers, connections, port, path, collected):
    def once():
        sample, took_us = wrk(net, servers, connections, port, path)
        collected.append(took_us)
        return sample
    return once


def run(net, name, ways, connections, targets):
    collected = {way: [] for way in ways}
    samples = report.measure({way: contender(net, servers, connections, port, path, collected[way])
                              for way, (servers, port, path) in ways.items()})
    notes, figures = [], {}
    for way, runs in collected.items():
        figures[way] = {part: statistics.median(each[part] for each in runs[1:]) for part in runs[0]}
        notes.append(f"  {way:22} p50 {figures[way]['50']:8.1f} us  p99 {figures[way]['99']:8.1f} us")
    report.report(f"gateway-{name}-{connections}", samples, next(iter(ways)), "requests/s", 1,
                  [*notes, targets], {"figures": figures})


def main():
    for tool in ("openssl", "nginx", "wrk", "curl"):
        if not shutil.which(tool):
            veth.skip(tool + " is missing")
    veth.come_first()
    with veth.Lab() as net, tempfile.TemporaryDirectory() as directory:
        net.set_gro(True)
        bench = Bench(net, directory)
        upstream, proxy = bench.upstream(), bench.proxy()
        provider, asker = bench.nodes()
        for connections in CONNECTIONS:
            run(net, "page", {
                "weft": ((asker, provider, upstream), GATEWAY, "/mesh/http/page/page"),
                "nginx proxy, TLS": ((proxy, upstream), PROXY, "/page"),
            }, connections, "targets: >= 1x requests/s, p99 <= 1.5x")
        run(net, "local", {"weft": ((asker,), GATEWAY, "/mesh/http/echo/Any?a=b")}, "1",
            "target: p99 < 1 ms")
        for process in (asker, provider, proxy, upstream):
            process.stop()


main()
