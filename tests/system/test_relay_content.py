#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A file comes through a relay under a grant, at its rate, until the month's volume is used up.

    namespaces n1 (10.77.0.1) relay, n2 (10.77.0.2) a, n3 (10.77.0.3) b on one switch; nftables in
    n2 and n3 drop what goes between them
"""
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from apart import node_id, part
from grants import operator_words
from lab import OK, check, check_eq, run, wait_for

LISTEN = ["0.0.0.0:7000"]
ALONE = "[lan]\ninterfaces =\n[dht]\nenabled = no\n[overlay]\nserve = no\n[relay]\nfind = no\n"
RELAY = ALONE + "enabled = yes\nflow_cap = 1024\noperator = {}\n"
RATE = 200_000  # bytes a second, each way
FIRST = 1_000_000
MONTH = 2_000_000


def link_with_relay(b, path, plain_len):
    link = b.share(path)
    return link if len(link) > plain_len else None


def flow_of(relay):
    flows = relay.call("ShowRelay")["relay"]["flows"]
    return flows[0] if flows else None


def place(lab):
    operator = operator_words(lab, "operator", "new", "operator.key")
    namespaces = lab.bridge(3)
    part(namespaces[1], "10.77.0.3")
    part(namespaces[2], "10.77.0.2")
    relay = lab.daemon("relay", netns=namespaces[0], listen=LISTEN, config=RELAY.format(operator)).start()
    a = lab.daemon("a", netns=namespaces[1], listen=LISTEN, config=ALONE).start()
    b = lab.daemon("b", netns=namespaces[2], listen=LISTEN, config=ALONE + "use = always\n").start()
    grant = lab.dir / "a.grant"
    grant.write_text(operator_words(lab, "grant", "new", "operator.key", node_id(a), "--content", "--rate",
                                    RATE, "--burst", 64_000, "--month", MONTH) + "\n")
    done = b.weft("relay", "grant-use", grant)
    check(done.returncode == 5 and "another key's" in done.stderr, f"at another node: {done.stderr}")
    done = a.weft("relay", "grant-use", grant)
    check_eq(done.returncode, OK, f"a shows the grant: {done.stderr}")
    a.kill()
    a.start()
    return relay, a, b


def test_a_file_comes_at_the_rate_of_the_grant_until_its_volume_ends(lab):
    relay, a, b = place(lab)
    first, second = lab.dir / "first", lab.dir / "second"
    first.write_bytes(os.urandom(FIRST))
    second.write_bytes(os.urandom(MONTH))
    plain_len = len(b.share(first))
    done = b.weft("peer", "connect", node_id(relay), "10.77.0.1:7000")
    check_eq(done.returncode, OK, f"b connects to the relay: {done.stderr}")
    link = wait_for(lambda: link_with_relay(b, first, plain_len), "a link that names the relay")
    check_eq(a.json("peer", "list")["peers"], [], "what a knows")
    began = time.monotonic()
    done = a.weft("get", link, "--to", lab.dir / "got", timeout=60)
    took = time.monotonic() - began
    check_eq(done.returncode, OK, f"a gets the file: {done.stderr}")
    check_eq((lab.dir / "got" / "first").read_bytes(), first.read_bytes(), "its bytes")
    rate = FIRST / took
    print(f"# {rate / 1000:.0f} kB/s under a grant of {RATE / 1000:.0f} kB/s")
    check(rate < 1.15 * RATE, f"{rate:.0f} bytes/s are beyond the grant")
    check(rate > RATE / 4, f"{rate:.0f} bytes/s")
    flow = flow_of(relay)
    check_eq(flow["class"], "content", f"the flow: {flow}")
    done = a.weft("get", b.share(second), "--to", lab.dir / "more", "--detach", timeout=20)
    check_eq(done.returncode, OK, done.stderr)
    wait_for(lambda: flow_of(relay)["state"] == "slow", "the volume to be used up")
    before, began = flow_of(relay), time.monotonic()
    time.sleep(3)
    after, took = flow_of(relay), time.monotonic() - began
    passed = after["sent"] + after["received"] - before["sent"] - before["received"]
    print(f"# {passed / took:.0f} bytes/s in both directions beyond the volume")
    check(passed / took < 2 * 1.5 * 1000, "it has 8 kbit/s each way")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="nftables keeps the ends apart")
