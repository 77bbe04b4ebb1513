#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weft forward between daemons: a lists servers of its machine in forward.allow, others reach them."""
import pathlib
import socket
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from endpoint import Writing, asked, node_id, pair, read_all
from lab import DEADLINE_S, OK, WEFT, check, check_eq, free_port, run, wait_for

RATES = "[service]\ncalls = 100000\npeer_calls = 100000\n"
PER_PEER, PER_MINUTE, MEMBERS = 2, 5, 3


class Server:
    """A TCP server on loopback that answers each connection's bytes with so many, when they end."""

    def __init__(self, answer):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.answer = answer
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            conn, _ = self.listener.accept()
            threading.Thread(target=self.answer, args=(conn,), daemon=True).start()


def echo(conn):
    conn.sendall(read_all(conn))
    conn.shutdown(socket.SHUT_WR)


def web(conn):
    while b"\r\n\r\n" not in conn.recv(65536):
        pass
    conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nit is web")
    conn.close()


def node_of(lab, name, config=""):
    daemon = lab.daemon(name, config=config).start()
    return daemon, node_id(daemon)


def allowing(lab, rows, more="", cnt=1):
    """a, whose forward.allow is what rows makes of the ids of cnt other nodes, and these."""
    others = [node_of(lab, f"b{number}") for number in range(cnt)]
    config = f"{RATES}[forward]\nallow = {rows(*[node for _, node in others])}\n{more}"
    a, node = node_of(lab, "a", config)
    listen = a.json("status")["listen"][0]
    for daemon, _ in others:
        check_eq(daemon.weft("peer", "connect", node, listen).returncode, OK, "connect")
    return a, node, [daemon for daemon, _ in others]


def limit(daemon, name):
    row = next(row for row in daemon.json("limits", "show")["limits"] if row["name"] == name)
    return row["used"], row["limit"]


def tunnel(daemon, node, server):
    stream, told = asked(daemon, node, address=server.address)
    check(stream, f"a tunnel: {told}")
    return stream


def refused(daemon, node, address, text):
    stream, told = asked(daemon, node, address=address)
    check(stream is None and text in str(told), f"{address} is refused with {text!r}: {told}")


def forward(lab, daemon, target):
    """The process of weft forward, and the port where it listens."""
    process = subprocess.Popen([WEFT, "-s", str(daemon.sock), "forward", "127.0.0.1:0", target],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lab.processes.append(process)
    return process, int(process.stdout.readline().rsplit(":", 1)[1])


def test_nothing_is_forwarded_by_default(lab):
    server = Server(echo)
    a, b, node = pair(lab)
    refused(b, node, server.address, "forward.allow is empty")
    process, port = forward(lab, b, f"{node}:{server.port}")
    with socket.create_connection(("127.0.0.1", port), DEADLINE_S) as conn:
        check_eq(conn.recv(1), b"", "the connection ends")
    check("forward.allow is empty" in process.stderr.readline(), "and it is said why")
    check("private-gateway" not in str(a.json("service", "list")), "there is no such service")


def test_only_what_is_listed_for_the_node(lab):
    server, other = Server(echo), Server(echo)
    a, node, (b, c) = allowing(lab, lambda b, c: f"{b}={server.address} {c}={other.address}", cnt=2)
    stream = tunnel(b, node, server)
    data = bytes(range(256)) * 4000
    Writing(stream, data)
    check(read_all(stream) == data, "bytes there and back, and both ends")
    refused(b, node, other.address, "does not list this server")
    refused(c, node, server.address, "does not list this server")
    refused(b, node, f"127.0.0.2:{server.port}", "does not list this server")
    for address in ("localhost:80", "127.0.0.1", "127.0.0.1:0", "x" * 300, "224.0.0.1:80"):
        refused(b, node, address, "")
    wait_for(lambda: limit(a, "forward: tunnels") == (0, 5), "none is open")


def test_curl_through_it(lab):
    server = Server(web)
    _, node, (b,) = allowing(lab, lambda b: f"{b}={server.address}")
    _, port = forward(lab, b, f"{node}:{server.port}")
    done = subprocess.run(["curl", "-sS", "--max-time", "60", f"http://127.0.0.1:{port}/"],
                          capture_output=True, text=True, check=False)
    check_eq((done.returncode, done.stdout), (0, "it is web"), done.stderr)


def test_a_server_that_does_not_listen_is_said(lab):
    port = free_port()
    a, node, (b,) = allowing(lab, lambda b: f"{b}=127.0.0.1:{port}")
    refused(b, node, f"127.0.0.1:{port}", "nothing listens")
    wait_for(lambda: limit(a, "forward: tunnels")[0] == 0, "no tunnel is left")


def test_two_tunnels_of_a_node_and_five_a_minute(lab):
    server = Server(echo)
    a, node, others = allowing(lab, lambda *ids: " ".join(f"{each}={server.address}" for each in ids),
                               cnt=MEMBERS)
    held = [tunnel(others[0], node, server) for _ in range(PER_PEER)]
    refused(others[0], node, server.address, "its 2 tunnels")
    held += [tunnel(others[1], node, server) for _ in range(PER_PEER)]
    held.append(tunnel(others[2], node, server))
    check_eq(limit(a, "forward: tunnels of one node"), (PER_PEER, PER_PEER), "of one")
    check_eq(limit(a, "forward: nodes with tunnels"), (MEMBERS, MEMBERS), "nodes")
    refused(others[2], node, server.address, "all 5 tunnels")
    for stream in held:
        stream.close()
    wait_for(lambda: limit(a, "forward: tunnels")[0] == 0, "all are closed")
    check_eq(limit(a, "forward: new tunnels within a minute"), (PER_MINUTE, PER_MINUTE), "new")
    refused(others[0], node, server.address, "within a minute")


def test_a_list_of_more_than_three_members_is_refused(lab):
    ids = [node_of(lab, f"m{number}")[1] for number in range(MEMBERS + 1)]
    for rows, is_good in ((ids[:MEMBERS], True), (ids, False)):
        allow = " ".join(f"{node}=127.0.0.1:80" for node in rows)
        daemon = lab.daemon(f"x{len(rows)}", config=f"[forward]\nallow = {allow}\n")
        done = subprocess.run(daemon.command("--check-config"), capture_output=True, text=True, check=False)
        check_eq(done.returncode == 0, is_good, f"{len(rows)} members: {done.stderr}")


def quiet(conn):
    conn.recv(65536)
    threading.Event().wait()


def test_idle_and_old_tunnels_end(lab):
    server = Server(quiet)
    for more in ("idle = 1s\n", "life = 1s\n"):
        name = more.split()[0]
        _, b, node = listed_pair(lab, name, server, more)
        stream = tunnel(b, node, server)
        stream.sendall(b"x")
        check_eq(stream.recv(1), b"", f"{name} ends it")


def listed_pair(lab, name, server, more):
    b, node = node_of(lab, f"{name}-b")
    a, a_node = node_of(lab, f"{name}-a", f"[forward]\nallow = {node}={server.address}\n{more}")
    check_eq(b.weft("peer", "connect", a_node, a.json("status")["listen"][0]).returncode, OK, "connect")
    return a, b, a_node


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
