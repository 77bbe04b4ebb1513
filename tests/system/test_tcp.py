#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where no UDP passes, sessions are on TCP; where it passes again, requests go back to QUIC.

    a (10.77.0.1) <- veth -> b (10.77.0.2), which drops UDP by nftables when told to
"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, REFUSED, Skip, check, check_eq, run, same_tree, static, wait_for

DROPS = """table inet blocked {
    chain in { type filter hook input priority 0; meta l4proto udp drop; }
    chain out { type filter hook output priority 0; meta l4proto udp drop; }
}
"""
WHY = "the DHT is UDP"


def nft(netns, text):
    return subprocess.run(["ip", "netns", "exec", netns, "nft", "-f", "-"], input=text,
                          capture_output=True, text=True, check=False)


def block(netns):
    done = nft(netns, DROPS)
    if done.returncode:
        raise Skip(f"no nftables here: {done.stderr}")


def unblock(netns):
    check_eq(nft(netns, "delete table inet blocked\n").returncode, 0, "nft")


def pair(lab, config=""):
    netns_a, netns_b = lab.veth_pair()
    a, b = (lab.daemon(name, netns=netns, listen=[f"10.77.0.{n}:7000"],
                       config=f"[dht]\nenabled = no\n{config}").start()
            for n, name, netns in ((1, "a", netns_a), (2, "b", netns_b)))
    return a, b, netns_b


def node_id(daemon):
    return daemon.weft("node", "id").stdout.strip()


def transports(daemon):
    return [peer["transport"] for peer in daemon.json("peer", "list")["peers"] if peer["connected"]]


def get(daemon, link, target):
    done = daemon.weft("get", link, "--to", target)
    check_eq(done.returncode, OK, f"get: {done.stderr}")


@static(WHY)
def test_a_download_over_tcp_alone(lab):
    a, b, netns = pair(lab)
    block(netns)
    root = lab.folder("root", {"large": 20_000_000, "small": 10, "empty": 0})
    done = b.weft("peer", "connect", node_id(a), "tcp:10.77.0.1:7001")
    check_eq(done.returncode, OK, done.stderr)
    check_eq(transports(b), ["tcp4"], "b's session")
    check_eq(transports(a), ["tcp4"], "a's session")
    get(b, a.share(root), lab.dir / "out")
    same_tree(root, lab.dir / "out")
    check(b.json("status")["counters"]["tcp.received_len"] > 20_000_000, "by TCP")


@static(WHY)
def test_udp_that_comes_back_takes_new_requests(lab):
    a, b, netns = pair(lab)
    block(netns)
    done = b.weft("peer", "connect", node_id(a), "tcp:10.77.0.1:7001")
    check_eq(done.returncode, OK, done.stderr)
    unblock(netns)
    wait_for(lambda: transports(b) == ["quic4"], "QUIC again")
    before = b.json("status")["counters"]["tcp.received_len"]
    root = lab.folder("root", {"large": 3_000_000})
    get(b, a.share(root), lab.dir / "out")
    same_tree(root, lab.dir / "out")
    check(b.json("status")["counters"]["tcp.received_len"] - before < 100_000, "by QUIC")


@static(WHY)
def test_a_download_goes_on_when_udp_is_cut(lab):
    """b has met a, so it knows where a is on TCP."""
    a, b, netns = pair(lab)
    root = lab.folder("root", {"large": 20_000_000})
    link = a.share(root)
    a.limit_upload("40mbit")
    waiting = b.weft_popen("get", link, "--to", str(lab.dir / "out"))
    wait_for(lambda: transports(b) == ["quic4"], "a session")
    block(netns)
    wait_for(lambda: "tcp4" in transports(b), "TCP")
    said = waiting.communicate(timeout=60)[1]
    check_eq(waiting.returncode, OK, said)
    same_tree(root, lab.dir / "out")


@static(WHY)
def test_another_key_is_refused_by_name(lab):
    a, b, _ = pair(lab)
    done = b.weft("peer", "connect", node_id(b)[:-2] + "yy", "tcp:10.77.0.1:7001")
    check(done.returncode != OK, done.stdout)
    done = b.weft("peer", "connect", node_id(a), "tcp:10.77.0.1:7001")
    check_eq(done.returncode, OK, done.stderr)


@static(WHY)
def test_a_policy_without_tcp_dials_none(lab):
    a, b, netns = pair(lab, "[transport]\nlan = quic\n")
    block(netns)
    done = b.weft("peer", "connect", node_id(a), "tcp:10.77.0.1:7001")
    check_eq(done.returncode, REFUSED, done.stderr)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
