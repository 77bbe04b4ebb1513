#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes without a common DHT that find each other by a signaling endpoint, and
nodes that are told not to."""
import ipaddress
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from capture import Capture
from lab import FAILED, OK, check, check_eq, run, wait_for
from links import zbase32_decode
from signaling import Endpoint
from swarm import Swarm


def config(endpoint, dht="yes", bootstrap=""):
    return (f"[dht]\nenabled = {dht}\nbootstrap = {bootstrap}\nprivate = yes\npublish = direct\n"
            f"[signaling]\nurl = {endpoint.url if endpoint else ''}\n")


def node_id(daemon):
    return daemon.weft("node", "id").stdout.strip()


def steps_of(done):
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_an_endpoint_is_enough(lab):
    for dht in ("no", "yes"):  # a DHT without other nodes is as good as none
        endpoint = Endpoint()
        a, b = (lab.daemon(f"{name}-{dht}", config=config(endpoint, dht)).start()
                for name in ("a", "b"))
        wait_for(lambda e=endpoint, d=a: zbase32_decode(node_id(d)) in e.records, "a published")
        done = b.weft("check", node_id(a))
        check_eq(done.returncode, OK, f"{done.stdout}{done.stderr}")
        found = next(step for step in steps_of(done) if step[0] == "signaling")
        check_eq((found[2], found[3].strip()), ("found", a.json("status")["listen"][0]), "found")
        check_eq(b.weft("peer", "connect", node_id(a)).returncode, OK, "by its key alone")
        endpoint.close()


def test_an_unsigned_record_is_not_believed(lab):
    endpoint = Endpoint()
    a, b = (lab.daemon(name, config=config(endpoint)).start() for name in ("a", "b"))
    wait_for(lambda: zbase32_decode(node_id(a)) in endpoint.records, "a published")
    endpoint.spoils = True
    done = b.weft("check", node_id(a))
    check_eq(done.returncode, FAILED, done.stdout)
    found = next(step for step in steps_of(done) if step[0] == "signaling")
    check("damaged" in found[2] and not found[3].strip(), found)


def test_a_silent_endpoint_costs_its_time_and_nothing_else(lab):
    endpoint = Endpoint()
    endpoint.close()
    b = lab.daemon("b", config=config(endpoint)).start()
    done = b.weft("check", "y" * 51 + "o")
    check_eq(done.returncode, FAILED, done.stdout)
    found = next(step for step in steps_of(done) if step[0] == "signaling")
    check("none of them answers" in found[2] and int(found[1]) < 60000000, found)
    wait_for(lambda: "signaling endpoint" in b.log_text(), "it is said that publishing failed")


def test_dht_only_opens_no_other_way(lab):
    endpoint, swarm = Endpoint(), Swarm(lab)
    at = f"127.0.0.1:{swarm.port}"
    a = lab.daemon("a", config=config(endpoint, bootstrap=at)).start("--dht-only")
    b = lab.daemon("b", config=config(endpoint, bootstrap=at)).start("--dht-only")
    wait_for(lambda: a.json("route", "publish", "--dry-run")["record"].get("nodes"), "it is out")
    wait_for(lambda: sum(network["good"] for network in
                         b.json("dht", "status")["dht"]["networks"]) >= 2, "b knows whom to ask")
    done = b.weft("check", node_id(a))
    check_eq(done.returncode, OK, f"{done.stdout}{done.stderr}")
    check_eq([step[0] for step in steps_of(done)], ["mainline", "dial"], "steps")
    check_eq(endpoint.accepted, 0, "connections to the endpoint")


def helper(lab, netns, program):
    """A program of support/ in netns; returns what it prints first, its URL."""
    process = subprocess.Popen(["ip", "netns", "exec", netns, sys.executable,
                                str(pathlib.Path(__file__).parent / "support" / program), "10.77.3.1"],
                               stdout=subprocess.PIPE, text=True)
    lab.processes.append(process)
    return process.stdout.readline().strip()


def captured(lab, names, swarm, urls, *options):
    """What node b sends while it begins, publishes, and connects to a by its key alone."""
    name = "-".join(["b", *options])
    more = f"[signaling]\nurl = {urls[0]}\n[pkarr]\nrelays = {urls[1]}\n"
    capture = Capture(lab, names["n2"])
    b = lab.daemon(name, netns=names["n2"], listen=["0.0.0.0:7000", "[::]:7000"],
                   config=swarm.config() + more).start(*options)
    wait_for(lambda: b.json("route", "publish", "--dry-run")["record"].get("nodes"), "b published")
    check_eq(b.weft("peer", "connect", node_id(lab.daemons[0])).returncode, OK, "a is found")
    wait_for(lambda: options or [packet for packet in capture.packets if packet.kind == "tcp"],
             "what may be asked is asked")
    b.stop()
    return capture.close()


ROUTER = {("10.77.2.254", 5351), ("10.77.2.254", 1900), ("239.255.255.250", 1900)}


def test_a_capture_shows_what_dht_only_opens(lab):
    network = lab.topology("star", "3")
    names = {node.name.rsplit("-", 1)[-1]: node.name for node in network.nodes.values()}
    swarm = Swarm(lab, "10.77.3.1", count=10, netns=names["n3"])
    urls = [helper(lab, names["n3"], program) for program in ("signaling.py", "pkarr_relay.py")]
    a = lab.daemon("a", netns=names["n1"], listen=["0.0.0.0:7000"], config=swarm.config()).start()
    wait_for(lambda: a.json("route", "publish", "--dry-run")["record"].get("nodes"), "a published")
    ports = {int(url.rsplit(":", 1)[-1].split("/")[0]) for url in urls}
    packets = captured(lab, names, swarm, urls)
    check(ports & {packet.port for packet in packets if packet.kind == "tcp"}, "else they are asked")
    packets = captured(lab, names, swarm, urls, "--dht-only")
    nodes = {("10.77.3.1", swarm.port + i) for i in range(10)}
    seen, odd = {"krpc": 0, "quic": 0, "router": 0}, []
    for packet in packets:
        to = (packet.address, packet.port)
        is_dht = packet.kind == "udp" and packet.first == ord("d")
        if is_dht and (to in nodes or to == ("10.77.1.1", 7000)):
            seen["krpc"] += 1
        elif packet.kind == "udp" and to == ("10.77.1.1", 7000) and packet.first & 0x40:
            seen["quic"] += 1
        # For its own port, and for no node: by PCP, NAT-PMP and UPnP (port_mapping.method).
        elif packet.kind == "udp" and to in ROUTER:
            seen["router"] += 1
        # The kernel's own: groups, neighbours, ports that are closed.
        elif not (packet.kind in ("icmp6", "ip-2") and ipaddress.ip_address(packet.address).is_multicast
                  or packet.kind in ("icmp", "icmp6")):
            odd.append(packet)
    print(f"# of {len(packets)} packets {seen['krpc']} are the DHT's and {seen['quic']} a session's")
    check(seen["krpc"] > 10 and seen["quic"] > 1, seen)
    check_eq(odd, [], "packets of anything else")


def test_without_any_way_it_is_said(lab):
    b = lab.daemon("b", config=config(None, "no")).start()
    done = b.weft("check", "y" * 51 + "o")
    check_eq(done.returncode, FAILED, done.stdout)
    check("no node may be asked" in done.stderr, done.stderr)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
