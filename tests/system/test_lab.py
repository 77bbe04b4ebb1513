#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What tools/lab promises of its links and its NATs, measured with datagrams.

Counts are exact. Times are compared with what they cannot be less than: a busy
machine makes everything later, and nothing earlier.
"""
import os
import pathlib
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, check, check_eq, need_root, run, wait_for
from netlab import nat, units
from netlab.namespace import Refused

TOOL = pathlib.Path(__file__).resolve().parents[2] / "tools" / "lab"
PORT = 9000
SO_RCVBUFFORCE, ETH_P_ALL = 33, 3
SOL_PACKET, PACKET_AUXDATA = 263, 8
MS = 10**6


def udp(network, node, port=PORT, timeout=DEADLINE_S):
    """A socket of this process in a node's namespace."""
    def make():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        made.bind(("0.0.0.0", port))
        made.settimeout(timeout)
        return made
    return network.nodes[node].inside(make)


def quiet_pair(lab, mtu=1500):
    """pair with every frame accounted for: neighbours known, no IPv6 chatter."""
    network = lab.topology("pair", mtu=mtu)
    for node, other, number in (("a", "b", 2), ("b", "a", 1)):
        network.nodes[node].sysctl("ipv6/conf/all/disable_ipv6", 1)
        mac = network.nodes[other].run("cat", "/sys/class/net/veth0/address").strip()
        network.nodes[node].ip("neigh", "replace", f"10.77.0.{number}", "lladdr", mac, "dev",
                               "veth0", "nud", "permanent")
    return network, udp(network, "a"), udp(network, "b")


def send_numbers(sender, to, cnt, size=100):
    for number in range(cnt):
        sender.sendto(number.to_bytes(4, "big") + bytes(size - 4), to)


def receive_numbers(receiver, cnt):
    """What arrives: cnt datagrams, and no more are there."""
    receiver.settimeout(DEADLINE_S)
    numbers = [int.from_bytes(receiver.recv(9000)[:4], "big") for _ in range(cnt)]
    receiver.settimeout(0)
    try:
        check(False, f"one more than {cnt}: {receiver.recv(9000)[:4]}")
    except BlockingIOError:
        return numbers


def cross(network, a, b, cnt, size=100):
    """Sends cnt numbers from a to b. Those that arrive are all that the wire did not drop."""
    def counted():
        told = network.carried("a", "b")
        return told["frames"], told["lost"] + told["queue_full"]

    frames, dropped = counted()
    send_numbers(a, ("10.77.0.2", PORT), cnt, size)
    wait_for(lambda: counted()[0] == frames + cnt, f"{cnt} frames on the wire")
    return receive_numbers(b, cnt - (counted()[1] - dropped))


def test_a_perfect_link_loses_and_changes_nothing(lab):
    network, a, b = quiet_pair(lab)
    before = network.carried("a", "b")["frames"]
    send_numbers(a, ("10.77.0.2", PORT), 1000)
    check_eq(receive_numbers(b, 1000), list(range(1000)), "arrived")
    check_eq(network.carried("a", "b")["frames"] - before, 1000, "frames on the wire")
    check_eq(network.carried("a", "b")["held"], 0, "frames held")


def test_loss_is_what_was_asked_for_and_counted(lab):
    network, a, b = quiet_pair(lab)
    network.impair("a", "b", {"loss": units.chance("20%"), "seed": 7})
    arrived = cross(network, a, b, 5000)
    # Five standard deviations of a binomial distribution: 20 % +- 2.8 %.
    check(860 <= 5000 - len(arrived) <= 1140, f"{5000 - len(arrived)} of 5000 were lost at 20%")
    check_eq(network.carried("a", "b")["lost"], 5000 - len(arrived), "lost by the counter")


def test_everything_is_lost_at_100_percent_and_nothing_at_0(lab):
    network, a, b = quiet_pair(lab)
    for loss, cnt in (("100%", 0), ("0%", 300)):
        network.impair("a", "b", {"loss": units.chance(loss)})
        check_eq(len(cross(network, a, b, 300)), cnt, f"arrived at {loss}")


def test_the_same_seed_loses_the_same(lab):
    network, a, b = quiet_pair(lab)
    runs = []
    for seed in (1, 1, 2):
        network.impair("a", "b", {"loss": units.chance("30%"), "seed": seed})
        runs.append(cross(network, a, b, 500))
    check_eq(runs[0], runs[1], "arrived with the same seed")
    check(runs[0] != runs[2], "another seed lost the same")


def round_trip_ms(a, b, to):
    begin = time.monotonic()
    a.sendto(b"there", to)
    _, back = b.recvfrom(100)
    b.sendto(b"back", back)
    a.recv(100)
    return (time.monotonic() - begin) * 1000


def test_delay_is_added_to_each_direction(lab):
    network, a, b = quiet_pair(lab)
    network.impair("a", "b", {"delay_ns": 30 * MS})
    trips = [round_trip_ms(a, b, ("10.77.0.2", PORT)) for _ in range(10)]
    check(min(trips) >= 60, f"a round trip took {min(trips)} ms")
    network.impair("a", "b", {}, one_way=True)
    trips = [round_trip_ms(a, b, ("10.77.0.2", PORT)) for _ in range(20)]
    check(30 <= min(trips) < 60, f"with one way perfect a round trip took {min(trips)} ms")


def test_a_delay_keeps_the_order(lab):
    network, a, b = quiet_pair(lab)
    network.impair("a", "b", {"delay_ns": 20 * MS})
    send_numbers(a, ("10.77.0.2", PORT), 3000)
    check_eq(receive_numbers(b, 3000), list(range(3000)), "arrived")


def test_reorder_lets_some_overtake_and_loses_none(lab):
    network, a, b = quiet_pair(lab)
    network.impair("a", "b", {"delay_ns": 50 * MS, "reorder": units.chance("25%"), "seed": 3})
    send_numbers(a, ("10.77.0.2", PORT), 400)
    arrived = receive_numbers(b, 400)
    check_eq(sorted(arrived), list(range(400)), "arrived")
    check(arrived != sorted(arrived), "nothing was overtaken")
    held = network.carried("a", "b")["held"]
    check(240 <= held <= 360, f"{held} of 400 were delayed with 25% sent at once")


def test_jitter_stays_within_its_bounds(lab):
    network, a, b = quiet_pair(lab)
    network.impair("a", "b", {"delay_ns": 40 * MS, "jitter_ns": 30 * MS}, one_way=True)
    trips = [round_trip_ms(a, b, ("10.77.0.2", PORT)) for _ in range(30)]
    check(min(trips) >= 10, f"a frame took {min(trips)} ms, less than 40 - 30")
    check(min(trips) < 40 < max(trips), f"one way takes {min(trips)} to {max(trips)} ms")


def test_rate_spreads_frames_and_drops_what_waits_too_long(lab):
    network, a, b = quiet_pair(lab)
    # 1,000 bytes at 8 Mbit/s are 1 ms, and 50 ms of queue hold 50 of them.
    network.impair("a", "b", {"rate_bps": units.rate_bps("8mbit"), "queue_ns": 50 * MS})
    begin = time.monotonic()
    arrived = cross(network, a, b, 1000, size=1000 - 42)
    spent_ms = (time.monotonic() - begin) * 1000
    check(network.carried("a", "b")["queue_full"] > 0, "no frame found the queue full")
    check(spent_ms >= len(arrived) - 1, f"{len(arrived)} frames of 1 ms arrived in {spent_ms} ms")


def test_a_tcp_stream_crosses_a_delayed_link_whole(lab):
    """Segmentation and checksums, which a sender likes to leave to the device."""
    network = lab.topology("pair", mtu=9000)
    network.impair("a", "b", {"delay_ns": MS})
    listener = network.nodes["b"].inside(lambda: socket.create_server(("10.77.0.2", PORT)))
    client = network.nodes["a"].inside(lambda: socket.create_connection(("10.77.0.2", PORT), 10))
    server, _ = listener.accept()
    server.settimeout(DEADLINE_S)
    sent, got = os.urandom(1 << 20), bytearray()
    client.setblocking(False)
    left = memoryview(sent)
    while len(got) < len(sent):
        if left:
            try:
                left = left[client.send(left):]
            except BlockingIOError:
                pass
        if not left or len(got) < len(sent) - len(left):
            got += server.recv(1 << 20)
    check(bytes(got) == sent, "the stream came out changed")


def test_a_vlan_tag_survives_the_delay_line(lab):
    network, *_ = quiet_pair(lab)
    network.impair("a", "b", {"delay_ns": MS})

    def packet_socket():
        made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        made.bind(("veth0", ETH_P_ALL))
        made.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        made.settimeout(DEADLINE_S)
        return made

    a, b = (network.nodes[node].inside(packet_socket) for node in ("a", "b"))
    macs, inner = bytes.fromhex("feedfacef00d" "0200decade02"), b"\x88\xb5" + bytes(60)
    a.send(macs + bytes.fromhex("8100a007") + inner)
    frame, ancillary, _, _ = b.recvmsg(2000, 100)
    # The receiving kernel has taken the tag (priority 5, VLAN 7) out again.
    check_eq(frame, macs + inner, "frame")
    tci, tpid = struct.unpack("HH", ancillary[0][2][16:20])
    check_eq((tci, tpid), (0xA007, 0x8100), "tag")


# What of an outside port reaches a socket that wrote to p alone, and whether p and b see one port.
NAT_ROWS = {
    #                     unvalidated source  other port of p  same port everywhere
    "open":               (True,    True,            True),
    "full-cone":          (True,    True,            True),
    "address-restricted": (False,   True,            True),
    "port-restricted":    (False,   False,           True),
    "symmetric":          (False,   False,           False),
    "cgn":                (False,   False,           False),
    "cgn-cone":           (False,   False,           True),
    "full-cone+full-cone": (True,   True,            True),
    "full-cone+port-restricted": (False, False,      True),
}


def check_arrival(receiver, payload, want, what):
    receiver.settimeout(DEADLINE_S if want else 0.3)
    try:
        got = receiver.recv(100)
    except TimeoutError:
        got = None
    check_eq(got, payload if want else None, what)


def nat_behaves(lab, kind, lets_in_unvalidated_source, lets_in_other_port, has_one_port):
    network = lab.topology("nat", kind)
    a, b, p = udp(network, "a"), udp(network, "b"), udp(network, "p")
    p_other = udp(network, "p", PORT + 1)
    a.sendto(b"out", ("198.18.0.9", PORT))
    _, seen_by_p = p.recvfrom(100)
    check_eq(seen_by_p[0], "198.18.0.1", f"{kind}: address of a as p sees it")
    p.sendto(b"answer", seen_by_p)
    check_arrival(a, b"answer", True, f"{kind}: answer of p")
    b.sendto(b"unvalidated source", seen_by_p)
    check_arrival(a, b"unvalidated source", lets_in_unvalidated_source, f"{kind}: from an unvalidated source")
    p_other.sendto(b"other port", seen_by_p)
    check_arrival(a, b"other port", lets_in_other_port, f"{kind}: from p's other port")
    a.sendto(b"out", ("198.18.0.2", PORT))
    _, seen_by_b = b.recvfrom(100)
    check_eq(seen_by_b == seen_by_p, has_one_port, f"{kind}: p and b see the same port")
    b.sendto(b"answer", seen_by_b)
    check_arrival(a, b"answer", True, f"{kind}: answer of b")


def test_each_kind_of_nat_lets_in_what_it_says(lab):
    check(set(nat.CLASSIC) < set(NAT_ROWS), "a kind of NAT has no row")
    for kind, want in NAT_ROWS.items():
        nat_behaves(lab, kind, *want)


def test_two_port_restricted_nats_let_each_other_in_when_both_write(lab):
    network = lab.topology("nat", "port-restricted", "port-restricted")
    a, b = udp(network, "a"), udp(network, "b")
    a.sendto(b"punch", ("198.18.0.2", PORT))
    check_arrival(b, b"punch", False, "the first datagram, to b's closed NAT")
    b.sendto(b"punch", ("198.18.0.1", PORT))
    check_arrival(a, b"punch", True, "b's datagram, by the hole that a made")
    a.sendto(b"again", ("198.18.0.2", PORT))
    check_arrival(b, b"again", True, "a's datagram, by the hole that b made")


def test_every_topology_connects_its_nodes(lab):
    for name, words, sender, receiver, to in (
            ("bridge", ["4"], "n1", "n4", "10.77.0.4"), ("star", ["3"], "n1", "n3", "10.77.3.1"),
            ("sites", [], "a1", "b2", "10.77.4.1"), ("sites", [], "b1", "a2", "10.77.2.1")):
        network = lab.topology(name, *words)
        a, b = udp(network, sender), udp(network, receiver)
        check(round_trip_ms(a, b, (to, PORT)) > 0, f"{name}: {sender} does not reach {receiver}")


def tool(name, *words):
    done = subprocess.run([TOOL, "--name", name, *words], capture_output=True, text=True,
                          check=False)
    return done.returncode, done.stdout, done.stderr


def test_the_command_makes_shows_and_takes_away(_lab):
    need_root()
    name = f"weft-{os.getpid()}-tool"
    try:
        check_eq(tool(name, "up", "pair")[0], 0, "up")
        code, _, err = tool(name, "up", "pair")
        check(code == 1 and "already" in err, f"up twice: {code} {err}")
        code, out, _ = tool(name, "exec", "b", "ip", "-o", "addr", "show", "veth0")
        check(code == 0 and "10.77.0.2/24" in out, f"exec: {code} {out}")
        code, out, err = tool(name, "link", "a", "b", "--loss", "5%", "--delay", "20ms", "--rate",
                              "1gbit", "--one-way")
        check("a -> b: loss 5%, delay 20ms, rate 1gbit, queue 100ms (" in out and
              "b -> a: perfect (" in out, f"link: {code} {out}{err}")
        check(tool(name, "list")[1].startswith(f"{name}: pair"), "list")
        check_eq(tool(name, "down")[0], 0, "down")
        check_eq(tool(name, "down")[0], 1, "down twice")
        left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
        check(name not in left.stdout, f"namespaces left: {left.stdout}")
    finally:
        tool(name, "down", "--kill")


def test_what_cannot_be_is_refused_in_words(_lab):
    need_root()
    name = f"weft-{os.getpid()}-refused"
    rows = ((["up", "ring"], "ring"), (["up", "bridge", "201"], "201"), (["up", "bridge", "1"], "1"),
            (["up", "nat", "conical"], "conical"), (["up", "nat", "symmetric+symmetric+symmetric"],
                                                    "two layers"),
            (["down"], name), (["exec", "a", "true"], name))
    for words, text in rows:
        code, _, err = tool(name, *words)
        check(code == 1 and text in err and "Traceback" not in err, f"{words}: {code} {err}")
    try:
        check_eq(tool(name, "up", "pair")[0], 0, "up")
        rows = ((["link", "a", "c"], 1, "no node c"), (["link", "a", "b", "--loss", "101%"], 2, "101%"),
                (["link", "a", "b", "--delay", "20"], 2, "20"), (["exec", "c", "true"], 1, "no node c"),
                (["link", "a", "b", "--delay", "5ms", "--jitter", "6ms"], 1, "--jitter"),
                (["link", "a", "b", "--queue", "6ms"], 1, "--rate"))
        for words, want, text in rows:
            code, _, err = tool(name, *words)
            check(code == want and text in err, f"{words}: {code} {err}")
    finally:
        tool(name, "down", "--kill")


def test_a_plain_link_says_that_it_cannot_be_impaired(lab):
    lab.veth_pair()
    try:
        lab.network.impair("a", "b", {})
    except Refused as why:
        check("plain veth" in str(why), f"said: {why}")
    else:
        check(False, "a plain link was impaired")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
