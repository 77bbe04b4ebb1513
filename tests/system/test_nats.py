#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each kind of NAT of tools/netlab/nat.py is what RFC 4787 says of its name, and a node behind it says
so of itself.

    n1 .. n10 (192.168.1.2), each behind a NAT of its own (198.18.0.101 ..) -- internet
    p 198.18.0.9 and q 198.18.0.8, peers; r 198.18.0.7, which both dialled; z 198.18.0.6, a prober
"""
import os
import pathlib
import shutil
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, Skip, check, check_eq, run, static, wait_for
from netlab import nat, topology
from netlab.nat import ADDRESS_AND_PORT, INDEPENDENT

PORT = 9000
SILENCE_S = 0.1
# As tests/system/test_reachability.py: each address a network, and no node learns of another.
CONFIG = "[limits]\nsite = 198.18.0.0/15:32\n[dht]\nenabled = no\n[service]\nenabled = no\n"
MTU = 1500


def internet(lab, **nodes):
    """A switch with these nodes at addresses of their own."""
    if os.geteuid() != 0:
        raise Skip("network namespaces need root")
    if not shutil.which("nft"):
        raise Skip("no nft here")
    network = lab.plain("nat", "open")
    for name, address in nodes.items():
        topology.behind(network, name, "open", address, MTU)
    return network


def udp(network, node, address="0.0.0.0", port=PORT):
    def make():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, port))
        return made
    return network.nodes[node].inside(make)


def source(sender, receiver, to):
    """As which endpoint receiver hears what sender sends; None: it hears nothing."""
    sender.sendto(b"out", to)
    receiver.settimeout(DEADLINE_S)
    return receiver.recvfrom(100)[1]


def reaches(sender, receiver, to, want):
    sender.sendto(b"in", to)
    receiver.settimeout(DEADLINE_S if want else SILENCE_S)
    try:
        return bool(receiver.recv(100))
    except TimeoutError:
        return False


class Outside:
    """Three endpoints of node x: two ports of one address, and another address."""

    def __init__(self, lab, network):
        lab.ip(network.nodes["x"].name, "addr", "add", "198.18.0.10/24", "dev", "veth0")
        self.first, self.port, self.address = (("198.18.0.5", PORT), ("198.18.0.5", PORT + 1),
                                               ("198.18.0.10", PORT))
        self.at_first, self.at_port, self.at_address = (
            udp(network, "x", *endpoint) for endpoint in (self.first, self.port, self.address))


def ports_seen(a, out):
    return [source(a, at, to)[1] for at, to in ((out.at_first, out.first), (out.at_port, out.port),
                                                (out.at_address, out.address))]


def check_kind(network, node, kind, out):
    mapping, filtering = nat.pair_of(kind)
    outside = network.addresses[f"nat-{node}"][-1]
    a, fresh = udp(network, node), udp(network, node, port=PORT + 5)
    # Unsolicited, and it takes no port from the mapping that comes next.
    check(not reaches(out.at_first, a, (outside, PORT), False), f"{kind}: unsolicited")
    first, port, address = ports_seen(a, out)
    check_eq(first == port, mapping != ADDRESS_AND_PORT, f"{kind}: one port for two of one address")
    check_eq(first == address, mapping == INDEPENDENT, f"{kind}: one port for two addresses")
    check_eq(first == PORT, mapping == INDEPENDENT, f"{kind}: the inside port is preserved")
    check_eq(ports_seen(a, out), [first, port, address], f"{kind}: the same ports once more")
    seen = source(fresh, out.at_first, out.first)
    check_eq(seen[0], outside, f"{kind}: the address outside")
    for sender, want, what in (
            (out.at_first, True, "the endpoint that was written to"),
            (out.at_port, filtering != ADDRESS_AND_PORT, "another port of its address"),
            (out.at_address, filtering == INDEPENDENT, "another address")):
        check_eq(reaches(sender, fresh, seen, want), want, f"{kind}: {what} may send")
    a.close()
    fresh.close()


def test_each_pair_of_mapping_and_filtering_is_as_named(lab):
    network = internet(lab, x="198.18.0.5")
    out = Outside(lab, network)
    for number, kind in enumerate(nat.PAIRS, 1):
        topology.behind(network, f"n{number}", kind, f"198.18.0.{100 + number}", MTU)
        check_kind(network, f"n{number}", kind, out)


def test_rebinding_gives_other_ports(lab):
    network = internet(lab, x="198.18.0.5")
    out = Outside(lab, network)
    for number, kind in enumerate((nat.CLASSIC["full-cone"], nat.CLASSIC["symmetric"])):
        topology.behind(network, f"n{number}", kind, f"198.18.0.{101 + number}", MTU)
        a = udp(network, f"n{number}")
        before = source(a, out.at_first, out.first)
        network.rebinds(f"nat-n{number}", 7)
        check(not reaches(out.at_first, a, before, False), f"{kind}: the old port is shut")
        after = source(a, out.at_first, out.first)
        check(after[1] != before[1], f"{kind}: {before} and then {after}")
        check(reaches(out.at_first, a, after, True), f"{kind}: the new port is open")


def test_mapping_ends_with_its_lifetime(lab):
    network = internet(lab, x="198.18.0.5")
    out = Outside(lab, network)
    topology.behind(network, "n1", nat.CLASSIC["full-cone"], "198.18.0.101", MTU)
    network.translates("nat-n1", nat.CLASSIC["full-cone"], *network.sides["nat-n1"], lifetime_s=1)
    a = udp(network, "n1")
    seen = source(a, out.at_first, out.first)
    check(reaches(out.at_address, a, seen, True), "another address, at once")
    # An order of events cannot show the end of a time in the kernel.
    time.sleep(1.5)
    check(not reaches(out.at_port, a, seen, False), "another port, after the lifetime")


def test_blocked_udp_passes_in_neither_direction_and_tcp_does(lab):
    network = internet(lab, x="198.18.0.5")
    out = Outside(lab, network)
    topology.behind(network, "n1", nat.BLOCKED, "198.18.0.101", MTU)
    a = udp(network, "n1")
    check(not reaches(a, out.at_first, out.first, False), "from inside")
    check(not reaches(out.at_first, a, ("198.18.0.101", PORT), False), "from outside")
    listener = network.nodes["x"].inside(lambda: socket.create_server(("198.18.0.5", PORT)))
    network.nodes["n1"].inside(lambda: socket.create_connection(out.first, DEADLINE_S).close())
    check_eq(listener.accept()[1][0], "198.18.0.101", "whence TCP comes")


def hairpinned(lab, hairpins):
    """Two homes behind one carrier write to where x sees the other one: what the first one hears."""
    network = internet(lab, x="198.18.0.5")
    out = udp(network, "x", "198.18.0.5")
    topology.carrier(network, ["h1", "h2"], nat.CLASSIC["full-cone"], "198.18.0.101", MTU, hairpins)
    first, second = udp(network, "h1"), udp(network, "h2")
    seen = [source(end, out, ("198.18.0.5", PORT)) for end in (first, second)]
    # Each opens its home's NAT for the other.
    first.sendto(b"out", seen[1])
    second.sendto(b"in", seen[0])
    first.settimeout(DEADLINE_S if hairpins else SILENCE_S)
    try:
        return seen[1], *first.recvfrom(100)
    except TimeoutError:
        return seen[1], b"", None


def test_a_carrier_that_hairpins_shows_the_sender_by_its_outside_endpoint(lab):
    seen, payload, whence = hairpinned(lab, True)
    check_eq((payload, whence), (b"in", seen), "what comes back in, and whence")


def test_a_carrier_that_does_not_hairpin_passes_nothing_back_in(lab):
    check_eq(hairpinned(lab, False)[1:], (b"", None), "what comes back in")


# --- daemons ---

PEERS = {"p": "198.18.0.9", "q": "198.18.0.8"}
REFEREE = "198.18.0.7"
PROBER = "198.18.0.6"
STATES = {
    **{pair: "hard" for pair in nat.PAIRS},
    **{f"{mapping}/{INDEPENDENT}": "mapped" for mapping in nat.BEHAVIOURS},
    **{f"{INDEPENDENT}/{filtering}": "punchable" for filtering in nat.BEHAVIOURS[1:]},
    nat.BLOCKED: "blocked",
}
EVIDENCE = {"mapped": "the address is a router's", "punchable": "most of them the same port",
            "hard": "each another port", "blocked": "no session is over UDP"}
TCP = "[stun]\nservers = 198.18.0.9:7000, 198.18.0.8:7000\n"
# From docs/paths.md: two rounds are ten seconds apart at least, and STUN gives up after 39.5 s.
JUDGED_S, BLOCKED_S = 30, 50
# A session counts as silent first. docs/operations.md: QUIC is looked for once a minute at last.
TCP_S, BACK_S = 30, 65


def node_id(daemon):
    return daemon.json("node", "id")["node_id"]


def connect(daemon, peer, address, **options):
    done = daemon.weft("peer", "connect", node_id(peer), address, **options)
    check_eq(done.returncode, OK, f"{daemon.name} connects to {peer.name}: {done.stderr}")


def start(lab, network, name, extra=""):
    return lab.daemon(name, netns=network.nodes[name].name, listen=["0.0.0.0:7000"],
                      config=CONFIG + extra).start()


def place(lab, kinds):
    """Peers, of which each dialled the referee, and a node behind each of kinds."""
    network = internet(lab, q=PEERS["q"], r=REFEREE, z=PROBER)
    outside = {name: start(lab, network, name) for name in (*PEERS, "r")}
    for name in PEERS:
        connect(outside[name], outside["r"], f"{REFEREE}:7000")
    nodes = {}
    for number, kind in enumerate(kinds, 1):
        name = f"n{number}"
        topology.behind(network, name, kind, f"198.18.0.{100 + number}", MTU)
        nodes[kind] = start(lab, network, name, TCP if kind == nat.BLOCKED else "")
    return network, outside, nodes


def shown(daemon):
    return daemon.call("ShowReachability")["reachability"]


def prober_is_answered(prober, at):
    """By STUN, at an address from one that nothing was sent to: others can write first."""
    host, port = at.rsplit(":", 1)
    request = bytes.fromhex("000100002112a442") + os.urandom(12)
    prober.sendto(request, (host, int(port)))
    prober.settimeout(0.5)
    try:
        return prober.recv(100)[8:20] == request[8:20]
    except TimeoutError:
        return False


def check_node(network, number, kind, daemon, deadline):
    state = STATES[kind]
    try:
        now = wait_for(lambda: (lambda row: row if row["state"] == state else None)(shown(daemon)),
                       f"behind {kind} it is {state}", timeout=max(deadline - time.monotonic(), 1),
                       pause=0.2)
    except AssertionError as wrong:
        raise AssertionError(f"{wrong}: {shown(daemon)}") from wrong
    said = daemon.weft("reachability", "show").stdout
    check(state in said and EVIDENCE[state] in said, f"behind {kind}: {said}")
    if state == "blocked":
        return
    check_eq(now["address"].split(":")[0], f"198.18.0.{100 + number}", f"address behind {kind}")
    seen = {row["seen"] for row in now["observations"]}
    check_eq(len(now["observations"]), len(PEERS), f"voters behind {kind}")
    check_eq(len(seen) == 1, nat.pair_of(kind)[0] == INDEPENDENT, f"one port behind {kind}: {seen}")
    prober = udp(network, "z", port=10000 + number)
    check_eq(any([prober_is_answered(prober, at) for at in seen]), state == "mapped",
             f"a prober reaches a node behind {kind}")
    prober.close()


def transports(daemon):
    return [peer["transport"] for peer in daemon.json("peer", "list")["peers"] if peer["connected"]]


def check_session_moves(lab, network, number, node, peer):
    """A router blocks UDP in a session: a request moves to TCP. When UDP passes, all is on QUIC again."""
    kind, link = nat.CLASSIC["port-restricted"], peer.share(lab.folder("root", {"small": 1000}))
    begin = time.monotonic()
    network.translates(f"nat-n{number}", nat.BLOCKED, *network.sides[f"nat-n{number}"])
    done = node.weft("get", link, "--to", lab.dir / "out")
    took = time.monotonic() - begin
    check_eq(done.returncode, OK, f"get from {peer.name}: {done.stderr}")
    check("tcp4" in transports(node), f"while UDP is blocked: {transports(node)}")
    check(took < TCP_S, f"a request moves to TCP after {took:.1f} s")
    network.translates(f"nat-n{number}", kind, *network.sides[f"nat-n{number}"])
    begin = time.monotonic()
    wait_for(lambda: set(transports(node)) == {"quic4"}, "all is on QUIC again", timeout=BACK_S,
             pause=0.2)
    print(f"# a request over TCP after {took:.1f} s, QUIC again after {time.monotonic() - begin:.1f} s")


@static("nodes are dialled by address")
def test_node_behind_each_kind_says_what_a_prober_finds(lab):
    network, outside, nodes = place(lab, [nat.BLOCKED, *nat.PAIRS])
    begin = time.monotonic()
    for kind, daemon in nodes.items():
        for name, address in PEERS.items() if kind != nat.BLOCKED else ():
            connect(daemon, outside[name], f"{address}:7000")
    # UDP alone is blocked: a session over TCP does not hide that.
    connect(nodes[nat.BLOCKED], outside["p"], "tcp:198.18.0.9:7001")
    for number, (kind, daemon) in sorted(enumerate(nodes.items(), 1), reverse=True):
        if kind == nat.BLOCKED:
            moves = nat.CLASSIC["port-restricted"]
            check_session_moves(lab, network, list(nodes).index(moves) + 1, nodes[moves], outside["p"])
        bound = BLOCKED_S if kind == nat.BLOCKED else JUDGED_S
        check_node(network, number, kind, daemon, begin + bound)
        print(f"# behind {kind}: {STATES[kind]} after {time.monotonic() - begin:.1f} s", flush=True)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
