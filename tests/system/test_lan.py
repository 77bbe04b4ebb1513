#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes of the same LAN: weft with itself, with zeroconf, and with the beacon of SCP2P.

    namespaces n1 (10.77.0.1, fd77::1) .. on one switch
"""
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lan_lab import LAN, LISTEN, third_party
from lab import OK, REFUSED, check, check_eq, run, wait_for
from sessions import node_id

NOBODY = "ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1y"


def heard(daemon):
    return daemon.json("lan", "list")["nodes"]


def ways_of(daemon, node_id):
    return {node["way"] for node in heard(daemon) if node.get("node_id") == node_id}


def test_b38_both_list_each_other(lab):
    namespaces = lab.bridge(2)
    a, b = [lab.daemon(name, netns=netns, listen=LISTEN, config=LAN).start()
            for name, netns in zip("ab", namespaces)]
    ids = {a: node_id(a), b: node_id(b)}
    for one, other in ((a, b), (b, a)):
        wait_for(lambda: ways_of(one, ids[other]) == {"dns-sd", "beacon"},
                 f"{one.name} lists {other.name}")
    # A node that is heard becomes a neighbour: it proved its key.
    for one, other in ((a, b), (b, a)):
        wait_for(lambda: ids[other] in [p["node_id"] for p in one.json("peer", "list")["peers"]],
                 f"{other.name} is a peer of {one.name}")

    def addresses():
        return {node["addr"] for node in heard(a) if node.get("node_id") == ids[b]}
    wait_for(lambda: "10.77.0.2:7000" in addresses(), "b's IPv4 address")
    wait_for(lambda: any(addr.startswith("[fe80::") for addr in addresses()), "b's IPv6 address")


def test_b2_with_the_lan_off_no_node_is_known(lab):
    daemons = [lab.daemon(f"d{number}", netns=netns, listen=LISTEN).start()
               for number, netns in enumerate(lab.bridge(5))]
    time.sleep(4)  # longer than a beacon takes
    for daemon in daemons:
        check_eq(daemon.json("peer", "list")["peers"], [], f"peers of {daemon.name}")
        check_eq(daemon.weft("lan", "list").returncode, REFUSED, "lan list")


def test_a_file_is_got_from_a_neighbour_without_a_given_address(lab):
    ns_a, ns_b = lab.bridge(2)
    a = lab.daemon("a", netns=ns_a, listen=LISTEN, config=LAN).start()
    b = lab.daemon("b", netns=ns_b, listen=LISTEN, config=LAN).start()
    link = a.share(lab.folder("root", {"file": 300_000}))
    wait_for(lambda: ways_of(b, node_id(a)), "b hears a")
    done = b.weft("get", link, "--to", lab.dir / "out")
    check_eq(done.returncode, OK, done.stderr)


def test_a_third_party_decodes_the_beacon(lab):
    ns_a, ns_c = lab.bridge(2)
    said = third_party(lab, ns_c, "beacon")
    wait_for(said, "the listener listens")
    lab.daemon("a", netns=ns_a, listen=LISTEN, config=LAN).start()
    wait_for(lambda: len(said()) > 2, "two beacons")
    first, second = said()[1:3]
    check_eq(first["source"], "10.77.0.1", "source")
    check_eq(first["version"], 2, "version")
    check_eq(len(first["instance"]), 32, "instance")
    check_eq(first["instance"], second["instance"], "the same instance again")
    check_eq(first["quic_port"], 7000, "port")
    check_eq(first["capabilities"]["content_seed"], True, "capabilities")


def test_b37_beacons_of_scp2p_are_heard(lab):
    namespaces = lab.bridge(3)
    a = lab.daemon("a", netns=namespaces[0], listen=LISTEN, config=LAN).start()
    third_party(lab, namespaces[1], "send", "1")
    third_party(lab, namespaces[2], "send", "2")
    instance = bytes(range(16)).hex()
    # One instance at two addresses moves; the version that says more shows its capabilities.
    wait_for(lambda: any(node["instance"] == instance for node in heard(a)), "listed")
    node = next(node for node in heard(a) if node["instance"] == instance)
    check("node_id" not in node and "addr" not in node, f"nobody to dial over QUIC: {node}")
    wait_for(lambda: {"18"} <= {node["caps"] for node in heard(a)}, "version 2 says more")
    check_eq(a.json("peer", "list")["peers"], [], "peers")


def test_zeroconf_finds_it_and_is_found(lab):
    ns_a, ns_c, ns_d = lab.bridge(3)
    said = third_party(lab, ns_c, "browse", "10.77.0.2")
    offered = third_party(lab, ns_d, "offer", "10.77.0.3", NOBODY)
    wait_for(offered, "zeroconf offers")
    a = lab.daemon("a", netns=ns_a, listen=LISTEN, config=LAN).start()
    ours = wait_for(lambda: [one for one in said()
                             if one.get("properties", {}).get("id") == node_id(a)],
                    "zeroconf finds a")[0]
    check_eq(ours["port"], 7000, "port")
    check_eq(ours["properties"]["v"], "1", "version")
    check_eq(ours["properties"]["qp"], "7000", "qp")
    check("10.77.0.1" in ours["addresses"], f"addresses: {ours}")
    theirs = wait_for(lambda: [node for node in heard(a) if node["instance"] == "third-party"],
                      "a finds zeroconf's")[0]
    check_eq(theirs["node_id"], NOBODY, "key")
    check_eq(theirs["addr"], "10.77.0.3:4242", "address")
    check_eq(theirs["caps"], "8", "capabilities")
    check_eq(a.stop(), 0, "a ends")
    wait_for(lambda: {"gone": ours["name"]} in said(), "its goodbye is heard")


def test_two_nodes_of_one_machine_hear_each_other(lab):
    netns = lab.bridge(2)[0]
    a = lab.daemon("a", netns=netns, listen=["0.0.0.0:7000"], config=LAN).start()
    b = lab.daemon("b", netns=netns, listen=["0.0.0.0:7001"], config=LAN).start()
    for one, other in ((a, b), (b, a)):
        wait_for(lambda: ways_of(one, node_id(other)) == {"dns-sd", "beacon"},
                 f"{one.name} lists {other.name}")


def test_an_interface_goes_off_and_on(lab):
    ns_a, ns_b = lab.bridge(2)
    a = lab.daemon("a", netns=ns_a, listen=LISTEN, config=LAN).start()
    b = lab.daemon("b", netns=ns_b, listen=LISTEN, config=LAN).start()
    wait_for(lambda: ways_of(a, node_id(b)) == {"dns-sd", "beacon"}, "a lists b")
    b.conf.write_text("[lan]\ninterfaces = nosuch0\n")
    check_eq(b.weft("daemon", "reload").returncode, OK, "reload")
    wait_for(lambda: "dns-sd" not in ways_of(a, node_id(b)), "its goodbye is heard")
    check_eq(heard(b), [], "b hears nobody")
    b.conf.write_text(LAN)
    check_eq(b.weft("daemon", "reload").returncode, OK, "reload")
    wait_for(lambda: ways_of(a, node_id(b)) == {"dns-sd", "beacon"}, "a lists b again")
    device = json.loads(subprocess.run(["ip", "-n", ns_b, "-j", "link"], check=True, text=True,
                                       capture_output=True).stdout)
    name = next(link["ifname"] for link in device if link["ifname"] != "lo")
    lab.ip(ns_b, "link", "set", name, "down")
    wait_for(lambda: heard(b) == [], "nobody is heard while it is down")
    lab.ip(ns_b, "link", "set", name, "up")
    wait_for(lambda: ways_of(b, node_id(a)), "b hears a when it is up again")


def test_rubbish_changes_nothing(lab):
    ns_a, ns_b = lab.bridge(2)
    a = lab.daemon("a", netns=ns_a, listen=LISTEN, config=LAN).start()
    b = lab.daemon("b", netns=ns_b, listen=LISTEN, config=LAN).start()
    script = ("import os, socket, sys\n"
              "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
              "s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n"
              "s.setsockopt(0, socket.IP_MULTICAST_IF, socket.inet_aton('10.77.0.2'))\n"
              "for i in range(2000):\n"
              "    s.sendto(os.urandom(i % 1400), ('10.77.0.255', 46123))\n"
              "    s.sendto(os.urandom(i % 1400), ('224.0.0.251', 5353))\n")
    subprocess.run(["ip", "netns", "exec", ns_b, sys.executable, "-c", script], check=True)
    wait_for(lambda: ways_of(a, node_id(b)) == {"dns-sd", "beacon"}, "a lists b")
    check_eq({node["node_id"] for node in heard(a)}, {node_id(b)}, "and nobody else")


def test_what_is_sent_to_one_node_alone_is_not_of_the_lan(lab):
    """Routers let it through: any remote node could be a neighbour by it."""
    ns_a, ns_b = lab.bridge(2)
    a = lab.daemon("a", netns=ns_a, listen=LISTEN, config=LAN).start()
    third_party(lab, ns_b, "send-alone-then-all", "10.77.0.1")
    listed = wait_for(lambda: {node["instance"] for node in heard(a)}, "what is sent to all is heard")
    check_eq(listed, {bytes(range(1, 17)).hex()}, "instances")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="nodes hear each other on one network")
