# SPDX-License-Identifier: Apache-2.0
"""The contenders of bench/get: each serves one folder from A and fetches
all of it into an empty folder on B. Each has the flags that suit it best."""
import contextlib
import json
import os
import pathlib
import subprocess
import sys
import time

import libtorrent

import report

DEADLINE_S = 120
ATTACH_DEADLINE_S = 10
HERE = pathlib.Path(__file__).resolve().parent


def process_tree(root):
    """root and what descends from it, zombies too."""
    parents = {}
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(entry.name)] = int(fields[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


class Cpu:
    """Seconds that daemons and their children use from now on."""

    def __init__(self, *pids):
        self.pids = pids
        self.trees = [process_tree(pid) for pid in pids]
        self.start = report.cpu_of(sum(self.trees, []))

    def used(self):
        end = time.monotonic() + 5
        while [process_tree(pid) for pid in self.pids] != self.trees and time.monotonic() < end:
            time.sleep(0.02)  # a child that served is reaped soon: then it is in the sum
        return report.cpu_of(sum(self.trees, [])) - self.start


class Contender:
    """fetch() is what report.measure calls: one get into self.out."""

    def __init__(self, bench, source):
        self.bench, self.source = bench, source
        self.bytes = sum(p.stat().st_size for p in source.rglob("*") if p.is_file())
        self.out = None

    def fetch(self):
        self.out = self.bench.new_folder()
        sample = self.get()
        sample.wall_s += self.reach_the_disk()
        self.bench.check_same(self.source, self.out)
        return sample

    def reach_the_disk(self):
        """weft's get ends when its files are there; for the others that is still to come."""
        start = time.monotonic()
        subprocess.run(["sync", "-f", str(self.out)], check=True)
        return time.monotonic() - start

    def timed(self, command, *servers):
        """A client at B's side runs to its end."""
        cpu = Cpu(*servers)
        self.bench.warm_memory(self.bytes)
        sample = report.timed([*self.bench.at("b"), "timeout", str(DEADLINE_S), *map(str, command)],
                              self.bytes, cwd=self.out)
        sample.cpu_s += cpu.used()
        return sample


class Weft(Contender):
    """B is a new node in each round: nothing is known, nothing is reused."""

    def __init__(self, bench, source, name="a", config=""):
        super().__init__(bench, source)
        self.a = bench.daemon(name, config)
        self.link = self.a.share(source)

    def getter(self, name="b"):
        return self.bench.daemon(name)

    def get(self):
        b = self.getter()
        try:
            with self.programs(b):
                sample = self.timed([self.bench.weft, "-s", b.sock, "get", self.link, "--to",
                                     self.out], self.a.pid(), b.pid())
        finally:
            self.bench.discard(b)
        return sample

    @contextlib.contextmanager
    def programs(self, _):
        yield


class WeftByAfXdp(Weft):
    """The same with weft's program natively on both devices instead of XDP_PASS."""

    def __init__(self, bench, source):
        super().__init__(bench, source, "a-xdp")

    @contextlib.contextmanager
    def programs(self, b):
        daemons = {"a": self.a, "b": b}
        try:
            for side, daemon in daemons.items():
                self.bench.clear(side)
                self.attach(daemon)
            yield
            for daemon in daemons.values():
                came = sum(queue["datagrams"] for queue in
                           daemon.json("xdp", "status")["devices"][0]["receive"])
                if came < 1000:
                    raise RuntimeError(f"{came} datagrams came to {daemon.name} by AF_XDP")
        finally:
            for side, daemon in daemons.items():
                daemon.weft("xdp", "detach", "veth0")
                self.bench.pass_all(side)

    def attach(self, daemon):
        """The kernel lets go of the last node's AF_XDP sockets some time after its end."""
        end = time.monotonic() + ATTACH_DEADLINE_S
        while (done := daemon.weft("xdp", "attach", "veth0")).returncode:
            if time.monotonic() > end:
                raise RuntimeError(done.stderr)
            time.sleep(0.1)


class WeftByTcp(Weft):
    """Over TCP alone: the getter dials nothing else, and has a session before the clock starts."""

    def __init__(self, bench, source):
        self.port = bench.port()
        super().__init__(bench, source, "a-tcp", f"[tcp]\nport = {self.port}\n")
        self.key = self.a.weft("node", "id").stdout.strip()

    def getter(self, name="b"):
        b = self.bench.daemon(name, "[transport]\nlan = tcp\ninternet = tcp\n")
        done = b.weft("peer", "connect", self.key, f"tcp:{self.bench.address['a']}:{self.port}")
        if done.returncode:
            raise RuntimeError(done.stderr)
        return b

    @contextlib.contextmanager
    def programs(self, b):
        yield
        self.check(b)

    def check(self, b):
        came = b.json("status")["counters"]["tcp.received_len"]
        if came < self.bytes:
            raise RuntimeError(f"{came} of {self.bytes} bytes came to {b.name} by TCP")


class Import(Contender):
    """share add on a new node; nothing is fetched."""

    def fetch(self):
        a = self.bench.daemon("b")
        cpu = Cpu(a.pid())
        try:
            sample = report.timed([self.bench.weft, "-s", str(a.sock), "share", "add",
                                   str(self.source)], self.bytes)
            sample.cpu_s += cpu.used()
        finally:
            self.bench.discard(a)
        return sample


class Rsync(Contender):
    def __init__(self, bench, source):
        super().__init__(bench, source)
        config = bench.dir / "rsyncd.conf"
        config.write_text(f"use chroot = no\n[files]\npath = {source}\nread only = yes\n")
        self.port = bench.port()
        self.daemon = bench.serve("a", ["rsync", "--daemon", "--no-detach", f"--config={config}",
                                        f"--address={bench.address['a']}", f"--port={self.port}"],
                                  self.port)

    def get(self):
        return self.timed(["rsync", "-a", "--whole-file",
                           f"rsync://{self.bench.address['a']}:{self.port}/files/", "."],
                          self.daemon)


NGINX_CONFIG = """
daemon off;
user root;
worker_processes 2;
pid {dir}/nginx.pid;
error_log {dir}/nginx.log crit;
events {{ worker_connections 1024; multi_accept on; }}
http {{
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 1000000;
	open_file_cache max=20000 inactive=600s;
	open_file_cache_valid 600s;
	output_buffers 4 256k;
	client_body_temp_path {dir}/nginx.tmp;
	proxy_temp_path {dir}/nginx.tmp;
	fastcgi_temp_path {dir}/nginx.tmp;
	uwsgi_temp_path {dir}/nginx.tmp;
	scgi_temp_path {dir}/nginx.tmp;
	ssl_certificate {dir}/nginx.crt;
	ssl_certificate_key {dir}/nginx.key;
	ssl_protocols TLSv1.3;
	ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
	ssl_ecdh_curve X25519;
	ssl_buffer_size 16k;
	server {{
		listen {address}:{port} ssl;
		http2 {http2};
		root {source};
	}}
}}
"""


class Nginx(Contender):
    def __init__(self, bench, source, curl_flags=(), http2="off"):
        super().__init__(bench, source)
        self.port = bench.port()
        address = bench.address["a"]
        if not (bench.dir / "nginx.key").exists():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=bench", "-addext",
                            f"subjectAltName=IP:{address}", "-keyout", bench.dir / "nginx.key",
                            "-out", bench.dir / "nginx.crt"], check=True, capture_output=True)
        config = bench.dir / "nginx.conf"
        config.write_text(NGINX_CONFIG.format(dir=bench.dir, address=address, port=self.port,
                                              source=source, http2=http2))
        self.daemon = bench.serve("a", ["nginx", "-c", config], self.port)
        self.list = bench.dir / "curl.conf"
        with self.list.open("w", encoding="utf8") as urls:
            for path in sorted(p for p in source.rglob("*") if p.is_file()):
                name = path.relative_to(source)
                urls.write(f'url = "https://{address}:{self.port}/{name}"\n'
                           f'output = "{name}"\n')
        self.command = ["curl", "--silent", "--show-error", "--fail", "--create-dirs", "--cacert",
                        bench.dir / "nginx.crt", "--tls13-ciphers", "TLS_AES_128_GCM_SHA256",
                        *curl_flags, "--config", self.list]

    def get(self):
        return self.timed(self.command, self.daemon)


class Torrent(Contender):
    """The fetching session is made before the clock starts, as B of weft is."""

    def __init__(self, bench, source):
        super().__init__(bench, source)
        files = libtorrent.file_storage()
        libtorrent.add_files(files, str(source))
        torrent = libtorrent.create_torrent(files, flags=libtorrent.create_torrent.v1_only)
        libtorrent.set_piece_hashes(torrent, str(source.parent))
        self.torrent = bench.dir / "files.torrent"
        self.torrent.write_bytes(libtorrent.bencode(torrent.generate()))
        self.port = bench.port()
        self.seed = self.session("a", "seed", source.parent, self.port,
                                 deadline_s=bench.DEADLINE_S)

    def session(self, side, role, folder, port, *peer, deadline_s=DEADLINE_S):
        process = subprocess.Popen(
            [*self.bench.at(side), "timeout", str(deadline_s), sys.executable,
             str(HERE / "get_torrent.py"), role, str(self.torrent), str(folder),
             self.bench.address[side], str(port), *peer],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.bench.processes.append(process)
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("no libtorrent session")
        return process

    def get(self):
        get = self.session("b", "get", self.out, self.bench.port(), self.bench.address["a"],
                           str(self.port))
        cpu = Cpu(self.seed.pid, get.pid)
        self.bench.warm_memory(self.bytes)
        start = time.monotonic()
        get.stdin.write("\n")
        get.stdin.flush()
        word = get.stdout.readline()
        wall_s = time.monotonic() - start
        sample = report.Sample(self.bytes, wall_s, cpu.used())
        get.stdin.close()
        get.wait(DEADLINE_S)
        if word != "done\n":
            raise RuntimeError("libtorrent failed")
        return sample


class RawStream:
    """Our engine alone, from memory to nowhere: bench/quic's program."""

    SECONDS = 2
    PROGRAM = report.BUILD.resolve() / "bench" / "quic_engine"

    def __init__(self, bench):
        self.bench = bench

    def start(self, side, *words):
        return subprocess.Popen([*self.bench.at(side), "timeout", str(DEADLINE_S),
                                 str(self.PROGRAM), *words], stdout=subprocess.PIPE, text=True)

    def fetch(self):
        address, port = self.bench.address["b"], str(self.bench.port())
        receiver = self.start("b", "receive", address, port, "1")
        self.bench.wait_bound(receiver, int(port))
        sender = self.start("a", "send", address, port, "1", str(self.SECONDS))
        cpu_s = 0
        result = json.loads(receiver.stdout.readline())
        for process in (sender, receiver):
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            process.stdout.close()
            cpu_s += usage.ru_utime + usage.ru_stime
        return report.Sample(result["bytes"], result["ns"] / 1e9, cpu_s)
