#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What DISCOVERY=dht does to a test (support/discovery.py): addresses are taken away, and
nodes find each other all the same."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from discovery import Dht
from lab import OK, TIMEOUT, check, check_eq, run, same_tree
from links import bare_link, zbase32_decode


def on_the_dht(lab, *names):
    lab.discovery = Dht(lab.hidden_daemon)
    return [lab.daemon(name).start() for name in names]


def node_id(daemon):
    return daemon.weft("node", "id").stdout.strip()


def ways_of(daemon):
    """By what daemon looked for nodes, as its events tell."""
    watch = daemon.weft_popen("event", "watch", "--since", "1", "--json")
    ways = []
    for line in watch.stdout:
        event = json.loads(line)["event"]
        if event["kind"] == "peer.looked-for":
            ways.append(event["fields"]["step"])
        if event["kind"] == "peer.connected":
            break
    watch.kill()
    watch.communicate()
    return ways


def test_links_lose_their_addresses_and_keep_their_keys(lab):
    a = lab.daemon("a").start()
    key = zbase32_decode(node_id(a))
    collection = a.share(lab.folder("root", {"x": 1}))
    share, community = (a.weft(*words).stdout.strip() for words in
                        (("share", "new", "songs"), ("community", "create", "club")))
    port = int(a.json("status")["listen"][0].rsplit(":", 1)[1]).to_bytes(2, "big")
    for link, bare_len in ((collection, 70), (share, 72), (community, 104)):
        whole, bare = (zbase32_decode(text.removeprefix("mesh:")) for text in (link, bare_link(link)))
        check(key in whole and bytes([127, 0, 0, 1]) + port in whole, f"{link} names a and its address")
        check(key in bare and bytes([127, 0, 0, 1]) + port not in bare, f"{bare_link(link)} names a alone")
        check_eq(len(bare), bare_len, "bytes of a link without an address")
        check_eq(bare_link(bare_link(link)), bare_link(link), "once is enough")
        check_eq(bare_link(link[:-7]), link[:-7], "a damaged link stays as it is")


def test_a_link_is_followed_by_its_key(lab):
    a, b = on_the_dht(lab, "a", "b")
    root = lab.folder("root", {"x": 100000})
    check_eq(b.weft("get", a.share(root), "--to", lab.dir / "out").returncode, OK, "get")
    same_tree(root, lab.dir / "out")
    check_eq(ways_of(b), ["mainline"], "how b found a")


def test_a_peer_is_found_by_its_key(lab):
    a, b, c = on_the_dht(lab, "a", "b", "c")
    check_eq(b.weft("peer", "connect", node_id(a), "192.0.2.1:7000", "--timeout", 10).returncode, OK,
             "the address is taken away, and a is found")
    c.call("ConnectPeer", node_id=node_id(a), addresses=["192.0.2.1:7000"])
    check_eq((ways_of(b), ways_of(c)), (["mainline"], ["mainline"]), "how")


def test_a_node_that_does_not_publish_is_not_found(lab):
    _, b = on_the_dht(lab, "a", "b")
    hidden = lab.daemon("hidden", config="[dht]\nbootstrap =\npublish = off\n").start()
    done = b.weft("peer", "connect", node_id(hidden), hidden.json("status")["listen"][0])
    check_eq(done.returncode, TIMEOUT, f"by its key: {done.stderr}")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
