#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which transports a daemon dials by, and which first: transport.* of weft.conf.

    namespace: two daemons on 127.0.0.1 and ::1, and on 192.0.2.x and 2001:db8::x of its loopback
"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from apart import node_id, part
from lab import OK, REFUSED, TIMEOUT, WEFTD, check, check_eq, run

LISTEN = ["192.0.2.{0}:700{0}", "[2001:db8::{0}]:700{0}", "127.0.0.1:710{0}", "[::1]:710{0}"]


def two_hosts(lab, policy):
    """(dialler by policy, listener, what is dialled of it)"""
    netns = lab.netns("t")
    lab.ip(netns, "link", "set", "lo", "up")
    for n in (1, 2):
        lab.ip(netns, "addr", "add", f"192.0.2.{n}/32", "dev", "lo")
        lab.ip(netns, "-6", "addr", "add", f"2001:db8::{n}/128", "dev", "lo", "nodad")
    a, b = (lab.daemon(name, netns=netns, listen=[text.format(n) for text in LISTEN],
                       config=f"[dht]\nenabled = no\n{policy if n == 1 else ''}").start()
            for n, name in ((1, "a"), (2, "b")))
    return a, b, b.json("status")["listen"]


def connected(a, b, addresses):
    done = a.weft("peer", "connect", b.weft("node", "id").stdout.strip(), *addresses)
    check_eq(done.returncode, OK, done.stderr)
    row = a.json("peer", "list")["peers"][0]
    return row["transport"], row["network"]


def by_policy(lab, policy, wanted, part):
    a, b, addresses = two_hosts(lab, policy)
    check_eq(connected(a, b, addresses[part]), wanted, policy)
    return a


def test_addresses_as_they_are_given_by_default(lab):
    a = by_policy(lab, "", ("quic4", "internet"), slice(0, 2))
    check_eq(a.json("status")["transports"], [{"network": "internet", "dialled": "quic, tcp, relay, websocket"},
                                              {"network": "lan", "dialled": "quic, tcp"}], "shown")


def test_ipv6_first(lab):
    a = by_policy(lab, "[transport]\ninternet = quic6, quic4\n", ("quic6", "internet"), slice(0, 2))
    check("dials\tinternet\tquic6, quic4" in a.weft("status").stdout, "shown")
    shown = a.weft("peer", "show", a.json("peer", "list")["peers"][0]["node_id"]).stdout
    check("transport\tquic6\n" in shown and "network\tinternet\n" in shown, shown)


def test_ipv4_first(lab):
    by_policy(lab, "[transport]\nlan = quic4, quic6\n", ("quic4", "lan"), slice(3, 1, -1))


def test_ipv4_only(lab):
    a = by_policy(lab, "[transport]\ninternet = quic4\nlan = quic4\n", ("quic4", "internet"), slice(1, None, -1))
    check_eq(len(a.json("peer", "list")["peers"]), 1, "peers")


def test_ipv6_only(lab):
    by_policy(lab, "[transport]\ninternet = quic6\n", ("quic6", "internet"), slice(0, 2))


def test_the_lan_alone(lab):
    a, b, addresses = two_hosts(lab, "[transport]\ninternet = none\n")
    done = a.weft("peer", "connect", b.weft("node", "id").stdout.strip(), *addresses[:2])
    check_eq(done.returncode, REFUSED, done.stderr)
    check("transport.internet does not name quic4" in done.stderr, done.stderr)
    check_eq(connected(a, b, addresses)[1], "lan", "network")


def test_the_internet_alone(lab):
    a, b, addresses = two_hosts(lab, "[transport]\nlan = none\n")
    check_eq(connected(a, b, addresses[::-1])[1], "internet", "network")


def test_a_reload_applies_it_and_peers_still_come(lab):
    """What is not dialled may dial."""
    a, b, addresses = two_hosts(lab, "[transport]\ninternet = none\nlan = none\n")
    done = a.weft("peer", "connect", b.weft("node", "id").stdout.strip(), *addresses)
    check_eq(done.returncode, REFUSED, done.stderr)
    check_eq(connected(b, a, a.json("status")["listen"])[0], "quic4", "b dials a")
    a.conf.write_text("[dht]\nenabled = no\n[transport]\ninternet = quic6\nlan = none\n")
    check_eq(a.weft("daemon", "reload").returncode, OK, "reload")
    check_eq(a.json("status")["transports"][0]["dialled"], "quic6", "in force")


def by_tcp(lab, policy, wanted):
    """Addresses of QUIC stand first, and both answer."""
    a, b, addresses = two_hosts(lab, policy)
    places = [*addresses[:2], "tcp:192.0.2.2:7003", "tcp:[2001:db8::2]:7003"]
    check_eq(connected(a, b, places), wanted, policy)


def test_tcp_alone(lab):
    by_tcp(lab, "[transport]\ninternet = tcp\n", ("tcp4", "internet"))


def test_tcp_first(lab):
    by_tcp(lab, "[transport]\ninternet = tcp6, quic\n", ("tcp6", "internet"))


def test_udp_alone(lab):
    a, b, _ = two_hosts(lab, "[transport]\ninternet = quic, relay\n")
    done = a.weft("peer", "connect", b.weft("node", "id").stdout.strip(), "tcp:192.0.2.2:7003")
    check_eq(done.returncode, REFUSED, done.stderr)
    check("transport.internet does not name tcp4" in done.stderr, done.stderr)


def apart(lab, policy):
    """(relay, a by policy, b), of which the last two hear the relay alone"""
    namespaces = lab.bridge(3)
    part(namespaces[2], "10.77.0.2")
    plain = "[dht]\nenabled = no\n"
    nodes = [lab.daemon(name, netns=netns, listen=["0.0.0.0:7000"], config=plain + config).start()
             for name, netns, config in zip(("relay", "a", "b"), namespaces, (
                 "[relay]\nenabled = yes\nflow_cap = 1024\n", policy, ""))]
    for end in nodes[1:]:
        done = end.weft("peer", "connect", node_id(nodes[0]), "10.77.0.1:7000", "tcp:10.77.0.1:7001")
        check_eq(done.returncode, OK, f"{end.name} connects to the relay: {done.stderr}")
    return nodes


def transport_of(daemon, peer):
    row = daemon.json("peer", "show", node_id(peer))["peer"]
    return row["connected"] and row["transport"]


def test_no_relay(lab):
    relay, a, b = apart(lab, "[transport]\ninternet = quic, tcp\n")
    done = a.weft("peer", "connect", node_id(b), "--timeout", "4")
    check_eq(done.returncode, TIMEOUT, f"there is no other way: {done.stderr}")
    check_eq(relay.call("ShowRelay")["relay"].get("flows", []), [], "no flow was asked for")
    a.conf.write_text("[dht]\nenabled = no\n[transport]\ninternet = quic, tcp, relay\n")
    check_eq(a.weft("daemon", "reload").returncode, OK, "reload")
    done = a.weft("peer", "connect", node_id(b))
    check_eq(done.returncode, OK, done.stderr)
    check_eq(transport_of(a, b), "relay", "with it")


def test_relays_by_tcp_alone(lab):
    """No datagram of UDP leaves a, and its peer is reached."""
    relay, a, b = apart(lab, "[transport]\ninternet = tcp, relay\nlan = tcp\n")
    check_eq(transport_of(a, relay), "tcp4", "to the relay")
    done = a.weft("peer", "connect", node_id(b))
    check_eq(done.returncode, OK, done.stderr)
    check_eq((transport_of(a, b), transport_of(a, relay)), ("relay", "tcp4"), "ways")


def test_words_that_are_none_are_refused_by_name(lab):
    for value, why in (("quic, tcp, tcp6", "\"tcp6\" is no list"), ("udp", "\"udp\" is no list"),
                       ("quic, tcp, relay", "relay and websocket are named in transport.internet"),
                       ("quic6 websocket", "relay and websocket are named in transport.internet"),
                       ("", "is no list")):
        path = lab.dir / "weft.conf"
        path.write_text(f"[transport]\nlan = {value}\n")
        done = subprocess.run([WEFTD, "--check-config", "--config", str(path)], capture_output=True,
                              text=True, check=False)
        check(done.returncode != 0, f"{value} is taken")
        check(why in done.stderr, f"{value}: {done.stderr}")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
