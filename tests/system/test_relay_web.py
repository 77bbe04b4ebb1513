#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Relays over WebSocket, as clients of another implementation see them (support/relay_client.py)."""
import pathlib
import socket
import ssl
import struct
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
import relay_client as rc
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import HandshakeCompleted
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lab import OK, check, check_eq, free_port, run, wait_for
from no_params import certificate

A, B, C = (rc.new_key(seed) for seed in (1, 2, 3))


class Relay:
    def __init__(self, lab, more="", config="", enabled="yes"):
        udp, tcp = free_port(), free_port()
        self.addr = ("127.0.0.1", tcp)
        self.daemon = lab.daemon("relay", listen=[f"127.0.0.1:{udp}"],
                                 config=f"[dht]\nenabled = no\n[tcp]\nport = {tcp}\n"
                                        f"[relay]\nenabled = {enabled}\n{more}\n{config}").start()

    def client(self, key, **options):
        return rc.RelayClient(self.addr, key, **options)

    def figures(self):
        status = self.daemon.json("status")
        return {name.removeprefix("relay_web."): value
                for name, value in (status["counters"] | status["fills"]).items() if name.startswith("relay_web.")}


def closed_with(client):
    """The code of the close that comes after all frames."""
    try:
        while True:
            client.frame()
    except rc.Closed as end:
        return end.code


def test_two_clients_exchange_datagrams_by_both_proofs(lab):
    relay = Relay(lab)
    for protocol in rc.PROTOCOLS:
        a = relay.client(A, protocol=protocol).prove()
        b = relay.client(B, protocol=protocol).prove_by_tls()
        for ecn in range(4):
            a.send(B, b"datagram", ecn)
            check_eq(b.hear(rc.RECV), rc.public(A) + bytes([ecn]) + b"datagram", f"{protocol}, ECN {ecn}")
        b.web.send(bytes([rc.SEND_BATCH]) + rc.public(A) + b"\2" + struct.pack(">H", 3) + b"aaabbbc")
        check_eq(a.hear(rc.RECV_BATCH), rc.public(B) + b"\2\0\3aaabbbc", "a batch")
        a.send(B, bytes(65536))
        check_eq(len(b.hear(rc.RECV)), 33 + 65536, "the longest packet")
        a.web.send(bytes([rc.SEND]) + rc.public(B), b"\1in ", b"pieces")
        check_eq(b.hear(rc.RECV), rc.public(A) + b"\1in pieces", "a message in fragments")
        a.web.send(bytes([rc.PING]) + b"12345678")
        check_eq(a.hear(rc.PONG), b"12345678", "a pong")
        check_eq(a.web.ping(b"alive"), b"alive", "a pong of WebSocket")
        a.send(C, b"x")
        check_eq(a.hear(rc.GONE), rc.public(C), "no client has this key")
        a.close(), b.close()
    figures = relay.figures()
    check_eq((figures["proved_cnt"], figures["proved_tls_cnt"]), (3, 3), "proofs")


DCID, SCID = b"\x11" * 8, b"\x22" * 8


def initial(tail=b""):
    """An Initial of a version of QUIC that there is not: every server answers it (RFC 9000, 6.1)."""
    head = b"\xc0\x1a\x2a\x3a\x4a\x08" + DCID + b"\x08" + SCID
    return head + bytes(1200 - len(head) - len(tail)) + tail


def node_with_session(lab, relay, config="[relay]\naccept = all\n"):
    node = lab.daemon("node", listen=[f"127.0.0.1:{free_port()}"],
                      config=f"[dht]\nenabled = no\n[tcp]\nport = {free_port()}\n{config}").start()
    done = node.weft("peer", "connect", relay.daemon.weft("node", "id").stdout.strip(),
                     relay.daemon.json("status")["listen"][0])
    check_eq(done.returncode, OK, done.stderr)
    return node, fabric.key_of(node.weft("node", "id").stdout.strip())


def is_negotiation(datagram):
    """Version Negotiation, with the ids of the Initial the other way round."""
    return datagram[0] & 0x80 and datagram[1:5] == bytes(4) and datagram[5:].startswith(
        b"\x08" + SCID + b"\x08" + DCID) and b"\0\0\0\1" in datagram[23:]


def test_a_client_and_a_node_with_a_session_speak(lab):
    """Its datagrams go by a flow, which the relay opens for it. The first travels with the request."""
    relay = Relay(lab, more="flow_cap = 1024")
    node, key = node_with_session(lab, relay)
    a = relay.client(A).prove()
    for round_trip in range(3):
        a.web.send(bytes([rc.SEND]) + key + b"\1" + initial())
        said = a.hear(rc.RECV)
        check_eq(said[:32], key, "the sender")
        check(is_negotiation(said[33:]), f"{round_trip}: {said[32:].hex()}")
    a.web.send(bytes([rc.SEND_BATCH]) + key + b"\0" + struct.pack(">H", 1200) + initial(b"a") + initial(b"b"))
    for part in range(2):
        check(is_negotiation(a.hear(rc.RECV)[33:]), f"part {part} of a batch")
    flow, = relay.daemon.call("ShowRelay")["relay"]["flows"]
    check(flow["sent"] > 4 * 1200 and flow["received"] > 100, f"its bytes count: {flow}")
    check_eq(relay.figures()["bridged_cnt"], 5, "datagrams")
    a.close()
    wait_for(lambda: not relay.daemon.call("ShowRelay")["relay"]["flows"], "the flow ends with the client")


def test_aioquic_makes_a_session_through_frames(lab):
    """A QUIC client of another implementation, whose datagrams go by WebSocket alone."""
    relay = Relay(lab, more="flow_cap = 1024")
    node, key = node_with_session(lab, relay)
    a = relay.client(A).prove()
    own = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    quic = QuicConnection(configuration=QuicConfiguration(
        is_client=True, alpn_protocols=["mesh/1"], verify_mode=ssl.CERT_NONE, server_name="mesh.invalid",
        certificate=certificate(own), private_key=own))
    quic.connect(("192.0.2.1", 1), now=time.time())
    done, end = False, time.monotonic() + 20
    while not done:
        check(time.monotonic() < end, "the handshake ends")
        for data, _ in quic.datagrams_to_send(now=time.time()):
            a.web.send(bytes([rc.SEND]) + key + b"\0" + data)
        try:
            quic.receive_datagram(a.hear(rc.RECV, timeout=0.2)[33:], ("192.0.2.1", 1), now=time.time())
        except TimeoutError:
            quic.handle_timer(now=time.time())
        while (event := quic.next_event()) is not None:
            done |= isinstance(event, HandshakeCompleted)
    shown = quic.tls._peer_certificate.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    check_eq(shown, key, "the node proved its key")
    for data, _ in quic.datagrams_to_send(now=time.time()):
        a.web.send(bytes([rc.SEND]) + key + b"\0" + data)
    peers = lambda: [row["transport"] for row in node.json("peer", "list")["peers"] if row["connected"]]
    wait_for(lambda: "relay" in peers(), "the node has the session")


def test_a_node_that_takes_no_flows_is_gone_for_a_client(lab):
    relay = Relay(lab, more="flow_cap = 1024")
    _, key = node_with_session(lab, relay, "[relay]\naccept = none\n")
    a = relay.client(A).prove()
    a.web.send(bytes([rc.SEND]) + key + b"\0" + initial())
    check_eq(a.hear(rc.GONE), key, "it is not reached")
    check_eq(relay.daemon.call("ShowRelay")["relay"]["flows"], [], "no flow")


def test_the_certificate_has_the_key_of_the_node(lab):
    relay = Relay(lab)
    key = fabric.key_of(relay.daemon.weft("node", "id").stdout.strip())
    shown = rc.Tls(relay.addr, alpn=None).socket.getpeercert(binary_form=True)
    check(bytes.fromhex("06032b6570032100") + key in shown, shown.hex())


def test_a_proof_that_is_replayed_proves_nothing(lab):
    relay = Relay(lab)
    a = relay.client(A)
    field = a.tls.proof(A)
    a.open(field).hear(rc.CONFIRMED)
    thief = relay.client(A).open(field)
    challenge = thief.hear(rc.CHALLENGE)
    answer = rc.challenge_answer(A, challenge)
    second = relay.client(A).open()
    second.hear(rc.CHALLENGE)
    second.web.send(answer)
    check(b"challenge" in second.hear(rc.DENIED), "denied")
    check_eq(closed_with(second), 1008, "close")
    other = relay.client(B)
    lie = other.tls.proof(A)
    wrong = other.open(rc.Tls.proof(other.tls, B)[:-30] + lie[-30:])
    check(wrong.frame()[0] in (rc.CHALLENGE, rc.DENIED), "no confirmation")
    b = relay.client(B).prove()
    b.ask(a, b"still the first")
    check_eq(relay.figures()["replaced_cnt"], 0, "replaced")


def test_the_newest_connection_of_a_key_wins(lab):
    relay = Relay(lab)
    b = relay.client(B).prove()
    for protocol, kind, body in (("iroh-relay-v1", rc.HEALTH, None), ("iroh-relay-v2", rc.STATUS, b"\1"),
                                 ("mesh-relay-v1", rc.STATUS, b"\1")):
        old = relay.client(A, protocol=protocol).prove()
        new = relay.client(A).prove_by_tls()
        said = old.hear(kind)
        check(said == body if body else said, f"{protocol}: {said}")
        check_eq(closed_with(old), 1008, "close")
        b.ask(new, protocol.encode())
        new.close()


def test_a_client_that_never_reads_is_cut_and_delays_none(lab):
    relay = Relay(lab, more="web_rate = 0")
    a, b = relay.client(A).prove(), relay.client(B).prove()
    sender = relay.client(rc.new_key(4)).prove()
    deaf = relay.client(C, receive_buffer=4096).prove()
    end, slowest, begin = time.monotonic() + 30, 0.0, time.monotonic()
    while relay.figures()["slow_cnt"] == 0:
        check(time.monotonic() < end, f"not cut: {relay.figures()}")
        for _ in range(50):
            sender.send(C, bytes(60000))
        slowest = max(slowest, a.ask(b, b"quick"))
    check(slowest < 1, f"a datagram of others took {slowest} s")
    print(f"# cut after {time.monotonic() - begin:.1f} s; others waited {slowest * 1000:.0f} ms at most")
    wait_for(lambda: relay.figures()["client_cnt"] == 3, "its place is free")
    wait_for(lambda: relay.figures()["memory_used_len"] == 0, "memory")
    check_eq(closed_with(deaf), None, "a close")


def test_a_client_goes_on_when_the_relay_was_killed(lab):
    relay = Relay(lab)
    relay.client(A).prove(), relay.client(B).prove()
    relay.daemon.kill()
    relay.daemon.start()
    a, b = relay.client(A).prove_by_tls(), relay.client(B).prove()
    a.ask(b, b"after a kill")


def test_a_relay_that_stops_says_when_to_come_back(lab):
    relay = Relay(lab)
    a = relay.client(A).prove()
    stopping = threading.Thread(target=relay.daemon.stop)
    stopping.start()
    later_ms, try_ms = struct.unpack(">II", a.hear(rc.RESTARTING))
    check(100 <= later_ms < 2000 and try_ms == 30000, f"{later_ms} ms, {try_ms} ms")
    check_eq(closed_with(a), 1001, "close")
    stopping.join()
    check_eq(relay.daemon.process.returncode, 0, "exit")


def zbase32_encode(key):
    number = int.from_bytes(key, "big") << 4
    return "".join("ybndrfg8ejkmcpqxot1uwisza345h769"[number >> 5 * (51 - i) & 31] for i in range(52))


def ban(relay, target):
    done = relay.daemon.weft("ban", "add", target)
    check_eq(done.returncode, OK, f"ban add {target}: {done.stderr}")


def test_a_ban_of_a_key_cuts_its_connection_and_refuses_its_proofs(lab):
    relay = Relay(lab, config="[node]\nworkers = 3\n")
    a, b, c = (relay.client(key).prove() for key in (A, B, C))
    begin = time.monotonic()
    ban(relay, zbase32_encode(rc.public(A)))
    check_eq(closed_with(a), None, "a close")
    print(f"# cut {(time.monotonic() - begin) * 1000:.0f} ms after the command began")
    for field in (None, rc.Tls.proof):
        again = relay.client(A)
        again.open(field and field(again.tls, A))
        if not field:
            again.web.send(rc.challenge_answer(A, again.hear(rc.CHALLENGE)))
        check(b"bans" in again.hear(rc.DENIED), "denied")
        check_eq(closed_with(again), 1008, "close")
    b.ask(c, b"not banned")
    check_eq(relay.figures()["banned_cnt"], 3, "banned")
    check_eq(relay.daemon.weft("ban", "remove", zbase32_encode(rc.public(A))).returncode, OK, "ban remove")
    relay.client(A).prove().ask(b, b"pardoned")


def test_a_ban_of_an_address_cuts_all_its_connections(lab):
    relay = Relay(lab)
    clients = [relay.client(key).prove() for key in (A, B, C)]
    ban(relay, "127.0.0.1")
    for client in clients:
        check_eq(closed_with(client), None, "a close")
    wait_for(lambda: relay.figures()["conn_cnt"] == 0, "its places are free")
    check_eq(relay.daemon.weft("ban", "remove", "127.0.0.1").returncode, OK, "ban remove")
    a, b = relay.client(A).prove(), relay.client(B).prove()
    a.ask(b, b"in again")


def pump(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def http_proxy():
    """A proxy of CONNECT alone; its address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(near):
        head = b""
        while b"\r\n\r\n" not in head:
            head += near.recv(1)
        host, port = head.split()[1].decode().rsplit(":", 1)
        far = socket.create_connection((host, int(port)))
        near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        threading.Thread(target=pump, args=(far, near), daemon=True).start()
        pump(near, far)

    def accept():
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()


def test_a_client_comes_through_an_http_proxy(lab):
    relay = Relay(lab)
    a = relay.client(A, proxy=http_proxy()).prove_by_tls()
    a.ask(relay.client(B).prove(), b"by a proxy")


def test_clients_of_several_workers_meet(lab):
    relay = Relay(lab, config="[node]\nworkers = 3\n")
    clients = [relay.client(rc.new_key(10 + i)).prove() for i in range(12)]
    for i, client in enumerate(clients):
        client.ask(clients[(i + 5) % 12], b"hello")
    check_eq(relay.figures()["client_cnt"], 12, "clients")
    wait_for(lambda: relay.daemon.json("status")["counters"]["tcp.passed_cnt"] == 12, "all workers said so")


def test_sessions_and_the_relay_share_a_port(lab):
    relay = Relay(lab)
    peer = lab.daemon("peer", config="[dht]\nenabled = no\n").start()
    node = relay.daemon.weft("node", "id").stdout.strip()
    done = peer.weft("peer", "connect", node, f"tcp:127.0.0.1:{relay.addr[1]}")
    check_eq(done.returncode, OK, done.stderr)
    relay.client(A).prove().ask(relay.client(B).prove(), b"x")


def test_a_node_that_is_no_relay_speaks_no_http(lab):
    for more, enabled in (("", "no"), ("web = no", "yes")):
        relay = Relay(lab, more=more, enabled=enabled)
        try:
            rc.RelayClient(relay.addr, A).open()
            check(False, f"{more}, {enabled}: there was an answer")
        except (ssl.SSLError, OSError, rc.Closed, rc.InvalidHandshake):
            pass
        relay.daemon.stop()


def test_many_connections_leave_clients_alone(lab):
    """Half of them say nothing, the others end their handshake and say nothing then."""
    relay = Relay(lab, more="web_clients = 64")
    a, b = relay.client(A).prove(), relay.client(B).prove()
    silent, slowest = [], 0.0
    for i in range(400):
        try:
            silent.append(rc.Tls(relay.addr) if i % 2 else socket.create_connection(relay.addr, timeout=5))
        except OSError:
            pass
        if i % 20 == 0:
            slowest = max(slowest, a.ask(b, b"still here"))
    check(slowest < 2, f"a datagram took {slowest} s")
    figures = relay.figures()
    check(figures["conn_cnt"] <= 64 and figures["refused_cnt"] + figures["evicted_cnt"] > 0, figures)
    print(f"# {figures['accepted_cnt']} taken, {figures['refused_cnt']} refused, {figures['evicted_cnt']} evicted; "
          f"a datagram took {slowest * 1000:.0f} ms at most")


def test_each_limit_is_shown_with_its_fill(lab):
    relay = Relay(lab, more="web_clients = 8")
    client = relay.client(A).prove()
    shown = relay.daemon.json("limits", "show")
    rows = {row["name"]: row for row in shown["limits"]}
    check_eq((rows["relay.web_clients"]["limit"], rows["relay.web_clients"]["used"]), (8, 1), "clients")
    check_eq(rows["relay.web: frames that wait for one client"]["limit"], 512, "frames")
    pools = {pool["name"] for pool in shown["pools"]}
    check({"relay.web_clients", "relay.web_memory"} <= pools, pools)
    client.close()


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
