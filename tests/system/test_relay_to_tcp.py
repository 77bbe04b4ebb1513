#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A pair between which no UDP passes goes from its relay to TCP, whichever end can be dialled.

    namespaces n1 (10.77.0.1) relay, n2 (10.77.0.2) a, n3 (10.77.0.3) b on one switch

nftables drop UDP between a and b, and TCP in one direction.
"""
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, Skip, check, check_eq, run, static, wait_for
from sessions import node_id, pings, transport_of

PLAIN = "[dht]\nenabled = no\n[lan]\ninterfaces =\n[service]\nenabled = no\n"
END = PLAIN + "[relay]\nuse = always\n"
RELAY = PLAIN + "[relay]\nenabled = yes\nflow_cap = 1024\n"
CUT = """table inet cut {{
	chain input {{
		type filter hook input priority 0;
		ip saddr {peer} meta l4proto udp drop
		{more}
	}}
}}
"""
# It takes no dial; what it dials itself is answered.
NOT_DIALLED = "ip saddr {peer} tcp flags & (syn | ack) == syn drop"
DIRECT_S = 15


def cut(netns, peer, may_be_dialled):
    rules = CUT.format(peer=peer, more="" if may_be_dialled else NOT_DIALLED.format(peer=peer))
    done = subprocess.run(["ip", "netns", "exec", netns, "nft", "-f", "-"], input=rules, text=True,
                          capture_output=True)
    if done.returncode:
        raise Skip(f"no nftables here: {done.stderr}")


def uncut(netns):
    subprocess.run(["ip", "netns", "exec", netns, "nft", "delete", "table", "inet", "cut"],
                   check=True)


def carried(relay):
    """Bytes of all flows that the relay has carried."""
    flows = relay.call("ShowRelay")["relay"]["flows"]
    return sum(row["sent"] + row["received"] for row in flows)


def is_still(relay):
    before = carried(relay)
    time.sleep(3)
    return carried(relay) == before


def relayed_pair(lab, dialled):
    """The relay, a and b, when a's session with b goes through the relay. Only dialled takes TCP."""
    namespaces = lab.bridge(3)
    cut(namespaces[1], "10.77.0.3", dialled == "a")
    cut(namespaces[2], "10.77.0.2", dialled == "b")
    relay, a, b = [lab.daemon(name, netns=netns, listen=["0.0.0.0:7000"], config=config).start()
                   for name, netns, config in zip(("relay", "a", "b"), namespaces,
                                                  (RELAY, END, END))]
    for end in (a, b):
        done = end.weft("peer", "connect", node_id(relay), "10.77.0.1:7000")
        check_eq(done.returncode, OK, f"{end.name} connects to the relay: {done.stderr}")
    wait_for(lambda: sum(row["connected"] for row in relay.json("peer", "list")["peers"]) == 2,
             "the relay knows both sessions")
    done = a.weft("peer", "connect", node_id(b))
    check_eq(done.returncode, OK, f"a reaches b: {done.stderr}")
    begun_s = time.monotonic()
    check_eq(transport_of(a, b), "relay", "at first by the relay")
    check(pings(a, b), "a ping by the relay")
    return relay, a, b, begun_s


def goes_to_tcp(relay, a, b, begun_s):
    wait_for(lambda: transport_of(a, b) == transport_of(b, a) == "tcp4", "a and b are on TCP",
             timeout=DIRECT_S, pause=0.1)
    print(f"# direct by TCP after {time.monotonic() - begun_s:.1f} s", flush=True)
    check(pings(a, b) and pings(b, a), "pings both ways")
    # The relayed session ends when it is quiet. Its flow is forgotten when it was idle for five minutes.
    wait_for(lambda: is_still(relay), "the relay carries nothing more", timeout=DIRECT_S)
    before = carried(relay)
    check(all(pings(a, b) for _ in range(5)), "five pings")
    check_eq(carried(relay), before, "pings do not go by the relay")


@static("nodes are dialled by address")
def test_the_end_that_dialled_goes_to_tcp(lab):
    relay, a, b, begun_s = relayed_pair(lab, "b")
    goes_to_tcp(relay, a, b, begun_s)
    for netns in (a.netns, b.netns):
        uncut(netns)
    wait_for(lambda: transport_of(a, b) == "quic4", "QUIC takes over when UDP passes", timeout=70,
             pause=0.5)
    check(pings(a, b) and pings(b, a), "pings both ways")


@static("nodes are dialled by address")
def test_the_end_that_accepted_goes_to_tcp(lab):
    goes_to_tcp(*relayed_pair(lab, "a"))


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
