#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which transports a daemon dials by, and which first: transport.* of weft.conf.

    namespace: two daemons on 127.0.0.1 and ::1, and on 192.0.2.x and 2001:db8::x of its loopback
"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, REFUSED, WEFTD, check, check_eq, run

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
    check_eq(a.json("status")["transports"], [{"network": "internet", "dialled": "quic, tcp, relay"},
                                              {"network": "lan", "dialled": "quic, tcp, relay"}], "shown")


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


def test_transports_to_come_are_refused_by_name(lab):
    for value, why in (("quic, tcp, tcp6", "\"tcp6\" is no list"), ("quic, websocket", "\"websocket\" is not built yet"),
                       ("quic6 websocket", "\"websocket\" is not built yet"), ("udp", "\"udp\" is no list"),
                       ("", "is no list")):
        path = lab.dir / "weft.conf"
        path.write_text(f"[transport]\nlan = {value}\n")
        done = subprocess.run([WEFTD, "--check-config", "--config", str(path)], capture_output=True,
                              text=True, check=False)
        check(done.returncode != 0, f"{value} is taken")
        check(why in done.stderr, f"{value}: {done.stderr}")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
