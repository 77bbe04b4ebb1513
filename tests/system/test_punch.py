#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pairs of nodes behind NATs of each kind, made by nftables, meet through a relay and then directly.

    a1 .. a8 (192.168.1.2), each behind a NAT of its own (198.18.0.101 ..) -- internet
    b1 .. b8 likewise (198.18.0.201 ..); relays r, s, t 198.18.0.6 .. 8

Two of each have two NATs: a home's, and one of a carrier. In another test two homes are
behind one carrier (198.18.0.150), which hairpins or does not.
"""
import os
import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, Skip, check, check_eq, run, static, wait_for
from netlab import nat, topology
from netlab.nat import ADDRESS_AND_PORT, INDEPENDENT

MTU = 1500
CARRIER = "198.18.0.150"
# A node may open three flows at each without a grant, and each of a1 .. opens eight.
RELAYS = {"r": "198.18.0.6", "s": "198.18.0.7", "t": "198.18.0.8"}
CONFIG = ("[limits]\nsite = 198.18.0.0/15:32\n[dht]\nenabled = no\n[service]\nenabled = no\n"
          "[port_mapping]\nmethod = off\n")
END = CONFIG + "[relay]\nuse = always\n"
RELAY = CONFIG + "[relay]\nenabled = yes\nflow_cap = 1024\n"
OPEN = "open"
KINDS = [OPEN, "full-cone", "address-restricted", "port-restricted", "symmetric", "cgn-cone", "cgn",
         nat.BLOCKED]
TALK_S, DIRECT_S = 5, 15
# A node takes part in one search at a time, and here in up to four.
SEARCHES_S = 60


def node_id(daemon):
    return daemon.json("node", "id")["node_id"]


def passes(sender, receiver):
    """Does a probe of one arrive at the address by which the other is known?"""
    if nat.BLOCKED in (sender, receiver):
        return False
    if receiver == OPEN:
        return True
    mapping, filtering = nat.pair_of(receiver)
    has_port = sender == OPEN or nat.pair_of(sender)[0] == INDEPENDENT
    return mapping == INDEPENDENT and (filtering != ADDRESS_AND_PORT or has_port)


def is_searched(a, b):
    """Has one of both NATs one port for all, and the other one another port for each?"""
    return not {OPEN, nat.BLOCKED} & {a, b} and (
        (nat.pair_of(a)[0] == INDEPENDENT) != (nat.pair_of(b)[0] == INDEPENDENT))


def internet(lab):
    if os.geteuid() != 0:
        raise Skip("network namespaces need root")
    if not shutil.which("nft"):
        raise Skip("no nft here")
    network = lab.plain("nat", OPEN)
    for name, address in RELAYS.items():
        topology.behind(network, name, OPEN, address, MTU)
    return network


def begin(lab, network, ends):
    """The daemons of the relays, and of each of ends, which has a session with each."""
    daemons = {name: lab.daemon(name, netns=network.nodes[name].name, listen=["0.0.0.0:7000"],
                                config=RELAY if name in RELAYS else END).start()
               for name in (*RELAYS, *ends)}
    for name in ends:
        for relay, address in RELAYS.items():
            done = daemons[name].weft("peer", "connect", node_id(daemons[relay]), f"{address}:7000",
                                      f"tcp:{address}:7001")
            check_eq(done.returncode, OK, f"{name} connects to {relay}: {done.stderr}")
    return daemons


def place(lab, sides):
    """For each name of sides a node behind that kind."""
    network = internet(lab)
    for name, kind in sides.items():
        topology.behind(network, name, kind,
                        f"198.18.0.{100 * (name[0] == 'b') + 100 + int(name[1:])}", MTU)
    return begin(lab, network, sides)


def meet(daemon, other):
    """They talk within TALK_S. Returns when they began to."""
    begin_s = time.monotonic()
    done = daemon.weft("peer", "connect", node_id(other))
    check_eq(done.returncode, OK, f"{daemon.name} reaches {other.name}: {done.stderr}")
    took_s = time.monotonic() - begin_s
    check(took_s < TALK_S, f"{daemon.name} talks to {other.name} after {took_s:.1f} s")
    return begin_s


def is_direct(daemon, peer):
    row = daemon.json("peer", "show", peer)["peer"]
    return row["connected"] and row["transport"] == "quic4"


def wait_direct(daemon, peer, begin_s, what, within_s=DIRECT_S):
    """Seconds from begin_s until the session of daemon with peer is direct, within_s at most."""
    wait_for(lambda: is_direct(daemon, peer), f"{what} are direct", pause=0.1,
             timeout=max(begin_s + within_s - time.monotonic(), 1))
    return time.monotonic() - begin_s


@static("nodes are dialled by address")
def test_pairs_of_nats_are_direct_by_a_round_or_a_search(lab):
    sides = {f"{side}{i}": kind for side in "ab" for i, kind in enumerate(KINDS, 1)}
    daemons = place(lab, sides)
    pairs = [(a, b) for a in sides for b in sides if (a[0], b[0]) == ("a", "b")]
    begun = {(a, b): meet(daemons[a], daemons[b]) for a, b in pairs}
    print(f"# {'from, to':>18} " + " ".join(f"{kind:>18}" for kind in KINDS))
    for a, kind in sides.items():
        row = []
        for b in (b for first, b in pairs if first == a):
            peer, kinds = node_id(daemons[b]), (kind, sides[b])
            can = passes(*kinds) or passes(*reversed(kinds)) or is_searched(*kinds)
            if can:
                wait_direct(daemons[a], peer, begun[a, b], kinds,
                            SEARCHES_S if is_searched(*kinds) else DIRECT_S)
            else:
                check(not is_direct(daemons[a], peer), f"{kinds} stay relayed")
            check_eq(daemons[a].weft("peer", "ping", peer, "--count", "1").returncode, OK,
                     f"a ping between {kinds}")
            row.append(f"{'direct' if can else 'relayed':>18}")
        if row:
            print(f"# {kind:>18} {' '.join(row)}", flush=True)


def search_pair(lab, kinds):
    network = internet(lab)
    for name, kind, public in zip(("a1", "b1"), kinds, ("198.18.0.101", "198.18.0.201")):
        topology.behind(network, name, kind, public, MTU)
    daemons = begin(lab, network, ["a1", "b1"])
    time.sleep(5)  # each has asked three networks for its address
    return network, daemons, node_id(daemons["b1"])


def searched(lab, kinds):
    """The pair is direct by a search of ports, and needs no relay any more."""
    _, daemons, peer = search_pair(lab, kinds)
    took_s = wait_direct(daemons["a1"], peer, meet(daemons["a1"], daemons["b1"]), kinds)
    print(f"# {kinds[0]} to {kinds[1]}: direct after {took_s:.1f} s", flush=True)
    row = daemons["a1"].json("peer", "show", peer)["peer"]
    check("a search of ports found the path" in row["punching"], f"{row['punching']}")
    time.sleep(4)  # validation of the path that was left, and the search, are over
    for name in RELAYS:
        daemons[name].stop()
    for _ in range(5):
        check_eq(daemons["a1"].weft("peer", "ping", peer, "--count", "1").returncode, OK, "a ping")
    check(is_direct(daemons["a1"], peer), "the session stays direct without a relay")


@static("nodes are dialled by address")
def test_ports_of_a_symmetric_nat_are_searched(lab):
    searched(lab, ("port-restricted", "symmetric"))


@static("nodes are dialled by address")
def test_ports_behind_ones_own_symmetric_nat_are_searched(lab):
    searched(lab, ("symmetric", "port-restricted"))


@static("nodes are dialled by address")
def test_two_symmetric_nats_stay_relayed_and_say_so(lab):
    _, daemons, peer = search_pair(lab, ("symmetric", "symmetric"))
    meet(daemons["a1"], daemons["b1"])
    wait_for(lambda: "both routers give each destination another port"
             in daemons["a1"].json("why", peer)["relayed"]["reason"], "the reason", pause=0.2,
             timeout=DIRECT_S)
    check(not is_direct(daemons["a1"], peer), "the session is relayed")


PROHIBIT = """table ip prohibit {
	chain forward { type filter hook forward priority -1;
		ip daddr 198.18.0.201 meta l4proto udp reject with icmp admin-prohibited; }
}"""


@static("nodes are dialled by address")
def test_a_router_that_complains_ends_the_search(lab):
    network, daemons, peer = search_pair(lab, ("port-restricted", "symmetric"))
    network.nodes["nat-a1"].run("nft", "-f", "-", text=PROHIBIT)
    meet(daemons["a1"], daemons["b1"])
    wait_for(lambda: "a router complained" in daemons["a1"].json("why", peer)["relayed"]["reason"],
             "the reason names the router", pause=0.2, timeout=DIRECT_S)
    check(not is_direct(daemons["a1"], peer), "the session is relayed")


def homes_of_a_carrier(lab, hairpins):
    """Two homes behind one carrier of the kind that RFC 6888 asks for, and when they began to talk."""
    network = internet(lab)
    topology.carrier(network, ["h1", "h2"], "full-cone", CARRIER, MTU, hairpins)
    daemons = begin(lab, network, ["h1", "h2"])
    return daemons["h1"], node_id(daemons["h2"]), meet(daemons["h1"], daemons["h2"])


@static("nodes are dialled by address")
def test_homes_behind_one_carrier_are_direct_where_it_hairpins(lab):
    a, peer, begin_s = homes_of_a_carrier(lab, True)
    took_s = wait_direct(a, peer, begin_s, "two homes")
    used = a.json("peer", "paths", peer)["paths"][0]
    check(used["used"] and used["address"].startswith(f"{CARRIER}:"), f"the path in use is {used}")
    print(f"# one carrier, hairpinning: direct after {took_s:.1f} s")


@static("nodes are dialled by address")
def test_homes_behind_one_carrier_that_does_not_hairpin_are_relayed_and_say_so(lab):
    a, peer, _ = homes_of_a_carrier(lab, False)
    wait_for(lambda: "behind one address" in a.json("why", peer)["relayed"]["reason"],
             "the reason names the carrier", timeout=DIRECT_S, pause=0.2)
    check(not is_direct(a, peer), "the session goes through a relay")
    paths = a.json("peer", "paths", peer)
    check(paths["paths"][0]["relay"], f"the path in use is {paths['paths'][0]}")
    check_eq(paths["relayed"]["reason"], a.json("why", peer)["relayed"]["reason"], "both reasons")
    check_eq(a.weft("peer", "ping", peer, "--count", "1").returncode, OK, "a ping")
    print("# one carrier, no hairpinning: relayed")


CUT = """table ip cut {
	chain out { type filter hook output priority 0; ip daddr 198.18.0.201 drop; }
	chain in { type filter hook input priority 0; ip saddr 198.18.0.201 drop; }
}"""
BACK_S = 1


def cut_pair(lab, asker):
    """A direct pair whose path is cut: the asker is answered over the relay, in the same session."""
    network = internet(lab)
    for name, public in (("a1", "198.18.0.101"), ("b1", "198.18.0.201")):
        topology.behind(network, name, "port-restricted", public, MTU)
    daemons = begin(lab, network, ["a1", "b1"])
    ids = {name: node_id(daemons[name]) for name in ("a1", "b1")}
    other = ids["b1" if asker == "a1" else "a1"]

    def ping():
        done = daemons[asker].json("peer", "ping", other, "--count", "1")["ping"]
        return done["answered"], done["session_id"]

    begun_s = meet(daemons["a1"], daemons["b1"])
    wait_for(lambda: any(peer["node_id"] == other and peer["connected"]
                         for peer in daemons[asker].call("ListPeers")["peers"]),
             f"{asker} has the session as well")
    session = ping()
    wait_direct(daemons["a1"], ids["b1"], begun_s, "the pair")
    time.sleep(1)  # each end looks at its flows once a second
    network.nodes["a1"].run("nft", "-f", "-", text=CUT)
    cut_s = time.monotonic()
    check_eq(ping(), session, f"{asker} is answered over the relay, in the same session")
    took_s = time.monotonic() - cut_s
    print(f"# {asker} is answered {took_s:.2f} s after the cut", flush=True)
    check(took_s < BACK_S, f"{asker} waited {took_s:.1f} s")
    check(not is_direct(daemons["a1"], ids["b1"]), "the session is relayed")
    network.nodes["a1"].run("nft", "delete", "table", "ip", "cut")
    wait_direct(daemons["a1"], ids["b1"], time.monotonic(), "the pair again")


@static("nodes are dialled by address")
def test_a_direct_path_that_is_cut_is_left_by_the_session(lab):
    cut_pair(lab, "a1")


def rebound_pair(lab, kind):
    """The NAT of a1 gives other ports: a1 is answered at once, by the path that it had, and then b1."""
    network = internet(lab)
    for name, public in (("a1", "198.18.0.101"), ("b1", "198.18.0.201")):
        topology.behind(network, name, kind, public, MTU)
    daemons = begin(lab, network, ["a1", "b1"])
    ids = {name: node_id(daemons[name]) for name in ("a1", "b1")}

    def ping(asker, other):
        began_s = time.monotonic()
        done = daemons[asker].json("peer", "ping", ids[other], "--count", "1")["ping"]
        return (done["answered"], done["session_id"]), time.monotonic() - began_s

    begun_s = meet(daemons["a1"], daemons["b1"])
    direct = passes(kind, kind)
    if direct:
        wait_direct(daemons["a1"], ids["b1"], begun_s, "the pair")
    time.sleep(5)  # as above
    before, _ = ping("a1", "b1")
    for turn in (7, 8):
        network.rebinds("nat-a1", turn)
        for asker, other in (("a1", "b1"), ("b1", "a1")):
            answer, took_s = ping(asker, other)
            check_eq(answer, before, f"{asker} is answered after the rebinding, in the same session")
            print(f"# {kind}: {asker} is answered {took_s:.2f} s after the rebinding", flush=True)
            check(took_s < BACK_S, f"{asker} waited {took_s:.1f} s")
        time.sleep(1)
    check_eq(is_direct(daemons["a1"], ids["b1"]), direct, f"the path of two {kind} NATs")


@static("nodes are dialled by address")
def test_a_rebinding_of_a_direct_path_costs_little(lab):
    rebound_pair(lab, "full-cone")


@static("nodes are dialled by address")
def test_a_rebinding_of_a_relayed_path_costs_little(lab):
    rebound_pair(lab, "symmetric")


@static("nodes are dialled by address")
def test_a_node_that_did_not_dial_has_a_cut_path_left(lab):
    cut_pair(lab, "b1")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
