#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weftd on a Mainline DHT of libtorrent's: one side puts and the other finds.
Nodes find each other by key with nothing else between them.

    n1 a weftd   n2 b weftd   n3 the swarm: each in a subnet of its own
"""
import json
import pathlib
import shutil
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import ASKING_S, DEADLINE_S, NOT_FOUND, OK, REFUSED, check, check_eq, run, same_tree, wait_for
from links import bare_link, zbase32_decode
from swarm import Swarm, key_pair, text_of

HASH = "e5f96f6f38320f0f33959cb4d3d656452117aadb"  # of 12:Hello World! (BEP 44)


def good_nodes(daemon):
    return sum(network["good"] for network in daemon.json("dht", "status")["dht"]["networks"])


def wait_joined(daemon, least=2):
    wait_for(lambda: good_nodes(daemon) >= least, f"{daemon.name} knows {least} nodes")
    return daemon


def node_among(lab, swarm, name="a", **config):
    return wait_joined(lab.daemon(name, config=swarm.config(**config)).start())


def three_places(lab):
    """Two daemons and a swarm, each elsewhere."""
    network = lab.topology("star", "3")
    places = [node.name for node in network.nodes.values() if node.name.rsplit("-", 1)[-1] in
              ("n1", "n2", "n3")]
    swarm = Swarm(lab, "10.77.3.1", count=10, netns=places[2])
    a, b = (lab.daemon(name, netns=place, listen=["0.0.0.0:7000"], config=swarm.config()).start()
            for name, place in (("a", places[0]), ("b", places[1])))
    return wait_joined(a), wait_joined(b), swarm


def node_id(daemon):
    return daemon.weft("node", "id").stdout.strip()


def published(daemon):
    return daemon.json("route", "publish", "--dry-run")["record"]


def wait_published(daemon):
    return wait_for(lambda: published(daemon).get("nodes", 0) > 0 and published(daemon),
                    f"{daemon.name}'s record is out")


def test_immutable_items_go_both_ways(lab):
    swarm = Swarm(lab)
    a = node_among(lab, swarm)
    item = a.json("dht", "put", "Hello World!")
    check_eq(item["item"]["target"], HASH, "the target of BEP 44's example")
    check(item["outcome"]["stored"] >= 1, item)
    check_eq(text_of(swarm.ask("get_immutable", 5, HASH)), "Hello World!", "what libtorrent gets")
    theirs = swarm.ask("put_immutable", 2, "from libtorrent")
    check(theirs["stored"] >= 1, theirs)
    got = a.json("dht", "get", theirs["target"])
    check_eq(got["item"]["text"], "from libtorrent", "what weft gets")
    done = a.weft("dht", "get", "00" * 20)
    check_eq(done.returncode, NOT_FOUND, done.stderr)
    # What no JSON reader takes is told as bytes alone.
    theirs = swarm.ask("put_immutable", 3, "nul \0 in it")
    got = a.json("dht", "get", theirs["target"])["item"]
    check("text" not in got and "nul \0 in it".encode().hex() in got["value_hex"], got)


def test_mutable_items_go_both_ways(lab):
    swarm = Swarm(lab)
    a = node_among(lab, swarm)
    public = zbase32_decode(node_id(a)).hex()
    for text in ("first", "second"):
        done = a.json("dht", "put", text, "--salt", "place")
        check(done["outcome"]["stored"] >= 1, done)
        theirs = swarm.ask("get_mutable", 4, public, "place")
        check_eq((text_of(theirs["value"]), theirs["seq"]), (text, done["item"]["seq"]), "there")
    secret, public = key_pair(3)
    check(swarm.ask("put_mutable", 1, secret, public, "theirs", "s")["stored"] >= 1, "stored")
    got = a.json("dht", "get", public, "--salt", "s")["item"]
    check_eq((got["text"], got["seq"]), ("theirs", 1), "here")
    check(swarm.ask("put_mutable", 1, secret, public, "unsalted", "")["stored"] >= 1, "stored")
    check_eq(a.json("dht", "get", public)["item"]["text"], "unsalted", "here, without a salt")
    done = a.weft("dht", "put", "x", "--salt", "place", "--cas", 1)
    check_eq(done.returncode, REFUSED, f"in place of what is not there: {done.stderr}")
    check("took it" in done.stderr and "--cas" in done.stderr, done.stderr)
    seq = a.json("dht", "get", node_id(a), "--salt", "place")["item"]["seq"]
    check_eq(a.weft("dht", "put", "x", "--salt", "place", "--cas", seq).returncode, OK, "in place")


def test_announces_go_both_ways(lab):
    swarm = Swarm(lab)
    a = node_among(lab, swarm)
    ours, theirs = "aa" * 20, "bb" * 20
    check(a.json("dht", "announce", ours, "--port", 7777)["outcome"]["stored"] >= 1, "stored")
    check(["127.0.0.1", 7777] in swarm.ask("get_peers", 3, ours), "libtorrent finds us")
    swarm.ask("announce", 2, theirs, 8888)
    wait_for(lambda: "127.0.0.1:8888" in a.json("dht", "peers", theirs)["peers"],
             "we find libtorrent", pause=ASKING_S)


def test_the_address_record_is_json_too_where_it_is_wanted(lab):
    swarm = Swarm(lab)
    a = node_among(lab, swarm, publish_json="yes")
    b = node_among(lab, swarm, "b")
    for daemon in (a, b):
        wait_published(daemon)
    public = [zbase32_decode(node_id(daemon)).hex() for daemon in (a, b)]
    found = wait_for(lambda: swarm.ask("get_mutable", 4, public[0], "tom-addr-v1"), "it is out",
                     pause=ASKING_S)
    told = json.loads(text_of(found["value"]))
    check_eq((told["node_id"], told["direct_addrs"], told["relay_urls"]),
             (public[0], published(a)["addresses"], []), "what it says")
    check(abs(told["timestamp"] / 1000 - time.time()) < 60, told)
    check_eq(b.weft("dht", "get", public[1], "--salt", "tom-addr-v1").returncode, NOT_FOUND,
             "not wanted")


def test_a_peer_without_the_dht_uses_it_over_the_service(lab):
    swarm = Swarm(lab)
    a = wait_joined(lab.daemon("a", config=swarm.config() + "[service]\nbuiltin = dht\n").start())
    b = lab.daemon("b", config="[dht]\nenabled = no\n").start()
    check_eq(b.weft("peer", "connect", node_id(a), a.json("status")["listen"][0]).returncode, OK,
             "connected")

    def ask(method, **fields):
        done = b.weft("service", "call", "dht", method, json.dumps(fields), "--provider", node_id(a))
        check_eq(done.returncode, OK, done.stderr)
        return json.loads(done.stdout)
    item = ask("Store", value=b"12:Hello World!".hex())
    check_eq(item["target"], HASH, "the target of BEP 44's example")
    check(item["stored"] >= 1, item)
    check_eq(text_of(swarm.ask("get_immutable", 5, HASH)), "Hello World!", "what libtorrent gets")
    check_eq(ask("FindValue", key=HASH)["item"], {"value": b"12:Hello World!".hex()}, "it is found")
    check_eq(ask("FindValue", key="00" * 20)["item"], None, "what is not there")
    secret, public = key_pair(3)
    check(swarm.ask("put_mutable", 1, secret, public, "theirs", "s")["stored"] >= 1, "stored")
    found = ask("FindValue", key=public, salt="s")["item"]
    check_eq((found["value"], found["seq"]), (b"6:theirs".hex(), 1), "of libtorrent's key")
    # The same item, put again by another program of weft, with its former signature.
    again = ask("Store", value=found["value"], key=found["key"], signature=found["signature"],
                seq=found["seq"], salt="s")
    check(again["stored"] >= 1, again)
    nodes = ask("FindNode", id=HASH)["nodes"]
    check(0 < len(nodes) <= 8 and all(node["address"] for node in nodes), nodes)
    check_eq(len(ask("Ping")["id"]), 40, "id")


def test_a_survey_agrees_with_what_was_put(lab):
    """Ten items of 50 libtorrent nodes, two of our own, three that were never put."""
    swarm = Swarm(lab, count=50)
    a, b = (node_among(lab, swarm, name) for name in "ab")
    targets = [swarm.ask("put_immutable", number, f"item {number}")["target"]
               for number in range(10)]
    signed = [f"{node_id(a)} s{number}" for number in range(2)]
    for number in range(2):
        check(a.json("dht", "put", "x", "--salt", f"s{number}")["outcome"]["stored"] >= 1, "put")
    never = [f"{number:02x}" * 20 for number in range(3)]
    keys, out = lab.dir / "keys", lab.dir / "survey.tsv"
    keys.write_text("# of libtorrent\n" + "\n".join(targets + signed + never) + "\n")
    told = b.json("dht", "survey", keys, "--out", out)
    rows = {row["group"]: row for row in told["by_age"]}
    check_eq({group: (row["asked"], row["found"]) for group, row in rows.items()},
             {"below 1 h": (2, 2), "not known": (13, 10)}, "of each age")
    check(float(rows["below 1 h"]["holders_mean"]) >= 1, rows)
    check_eq(told["by_holders"], [], "nothing was asked for before")
    # A second round, of another run: what had no holder has none, what had one is found.
    told = b.json("dht", "survey", keys, "--out", out)
    rows = {row["group"]: (row["asked"], row["found"]) for row in told["by_holders"]}
    check_eq(rows.pop("none"), (3, 0), "never put")
    check_eq([sum(row[at] for row in rows.values()) for at in (0, 1)], [12, 12], rows)
    check_eq(len(out.read_text().splitlines()), 30, "answers")
    lines = b.weft("dht", "survey", keys, "--out", out).stdout.splitlines()
    check(any(line.startswith("age\tbelow 1 h\t6\t6\t100.0\t") for line in lines), lines)
    # Rounds in one run, and what is wrong is said.
    keys.write_text(targets[0] + "\n")
    done = b.weft("dht", "survey", keys, "--for", "2s", "--every", "1s")
    check_eq((done.returncode, done.stderr.count("1 of 1 found")), (OK, 2), done.stderr)
    keys.write_text("# none\n")
    done = b.weft("dht", "survey", keys)
    check("no key is in it" in done.stderr and done.returncode == 2, done.stderr)
    keys.write_text("no key\n")
    done = b.weft("dht", "survey", keys)
    check(done.returncode != OK and "weft:" in done.stderr, done.stderr)


def test_a_key_is_all_that_two_nodes_need(lab):
    a, b, swarm = three_places(lab)
    record = wait_published(a)
    check_eq(record["addresses"][0], "10.77.1.1:7000", "what is public")
    a_id = node_id(a)
    done = b.weft("check", a_id)
    check_eq(done.returncode, OK, f"{done.stdout}{done.stderr}")
    steps = [line.split("\t") for line in done.stdout.splitlines()]
    check_eq([step[0] for step in steps], ["mainline", "dial"], "steps")
    check_eq(steps[0][3].strip(), "10.77.1.1:7000", "where it is")
    # The foreign implementation sees the same record.
    theirs = swarm.ask("get_mutable", 1, zbase32_decode(a_id).hex(), "")
    check(theirs, "libtorrent finds the record")


def test_a_link_with_nothing_but_keys_is_followed(lab):
    a, b, _ = three_places(lab)
    wait_published(a)
    root = lab.folder("root", {"big": 3 << 20, "small": 5})
    link = bare_link(a.share(root))
    done = b.weft("get", link, "--to", lab.dir / "out")
    check_eq(done.returncode, OK, done.stderr)
    same_tree(root, lab.dir / "out")
    route = b.json("route", "find", node_id(a))["record"]
    check_eq(route["addresses"], published(a)["addresses"], "the record")
    trace = b.weft("route", "find", node_id(a), "--trace").stdout.splitlines()
    check(any(line.startswith("answered\t") for line in trace), trace)


def test_join_put_get_and_connect_are_events_with_durations(lab):
    a, b, _ = three_places(lab)
    wait_published(a)
    wait_published(b)
    check_eq(b.weft("peer", "connect", node_id(a)).returncode, OK, "found")

    def events_until(daemon, *kinds):
        """The first event of each kind since the start, in their order."""
        watch = daemon.weft_popen("event", "watch", "--since", "1", "--json")
        overdue = threading.Timer(DEADLINE_S, watch.kill)
        overdue.start()
        found = {}
        for line in watch.stdout:
            event = json.loads(line)["event"]
            if event["kind"] in kinds:
                found.setdefault(event["kind"], event["fields"])
            if len(found) == len(kinds):
                break
        overdue.cancel()
        watch.kill()
        watch.communicate()
        check_eq(tuple(found), kinds, "order")
        return found
    put = events_until(a, "dht.joined", "dht.published")
    check(0 < put["dht.joined"]["took_us"] < 20e6 and put["dht.published"]["took_us"] > 0, put)
    check(put["dht.published"]["nodes"] >= 1, put)
    got = events_until(b, "dht.joined", "peer.looked-for", "peer.connected")
    check_eq((got["peer.looked-for"]["step"], got["peer.looked-for"]["peer"]),
             ("mainline", node_id(a)), "the step")
    check(got["peer.looked-for"]["took_us"] > 0 and
          got["peer.connected"]["peer"] == node_id(a), got)


def test_a_stale_address_in_a_link_is_made_up_for(lab):
    a, b, _ = three_places(lab)
    wait_published(a)
    link = a.share(lab.folder("root", {"x": 1 << 20}))
    a.stop()
    a.listen = ["0.0.0.0:7001"]
    wait_joined(a.start())
    wait_for(lambda: "10.77.1.1:7001" in wait_published(a)["addresses"], "the new address is out")
    done = b.weft("get", link, "--to", lab.dir / "out")
    check_eq(done.returncode, OK, done.stderr)


def test_a_record_outlives_restarts_of_its_owner(lab):
    swarm = Swarm(lab)
    a = lab.daemon("a", config=swarm.config())
    seqs = []
    for _ in range(3):
        wait_joined(a.start())
        wait_published(a)
        address = wait_for(lambda: a.json("status")["listen"], "it listens")[0]
        public = zbase32_decode(node_id(a)).hex()

        def theirs():
            """The record as third parties have it: some may have the one before still."""
            found = swarm.ask("get_mutable", 2, public, "")
            value = found["value"] if found else ""
            at = value["hex"] if isinstance(value, dict) else value.encode().hex()
            return address.encode().hex() in at and found
        seqs.append(wait_for(theirs, f"third parties have {address}", pause=ASKING_S)["seq"])
        a.kill()
    check(seqs[0] < seqs[1] < seqs[2], f"sequence numbers {seqs}")


def test_a_warm_start_needs_no_bootstrap(lab):
    swarm = Swarm(lab)
    a = node_among(lab, swarm)
    a.stop()
    a.conf.write_text("[dht]\nbootstrap =\nprivate = yes\n")
    a.start()
    wait_for(lambda: good_nodes(a) >= 1, "the nodes of before answer")
    target = swarm.ask("put_immutable", 2, "while you were away")["target"]
    wait_for(lambda: a.weft("dht", "get", target).returncode == OK, "found", pause=ASKING_S)
    check_eq(a.json("dht", "get", target)["item"]["text"], "while you were away", "found")


def test_silent_name_servers_do_not_hold_up_the_end(lab):
    network = lab.topology("bridge", "2")
    place = network.nodes["n1"].name
    names = pathlib.Path("/etc/netns") / place
    names.mkdir(parents=True)
    try:
        # No node is there.
        (names / "resolv.conf").write_text("nameserver 10.77.0.99\noptions timeout:30 attempts:1\n")
        hosts = ", ".join(f"dht{i}.example:6881" for i in range(6))
        a = lab.daemon("a", netns=place, listen=["10.77.0.1:7000"],
                       config=f"[dht]\nbootstrap = {hosts}\n").start()
        began = time.monotonic()
        a.stop()
        check(time.monotonic() - began < 20, "stopped while names are looked up")
    finally:
        shutil.rmtree(names)


def test_what_is_public_is_what_was_chosen(lab):
    swarm = Swarm(lab)
    for policy, why in (("off", "dht.publish is off"), ("relay-only", "no relay")):
        a = node_among(lab, swarm, policy.replace("-", ""), publish=policy)
        check(why in published(a)["skipped"], published(a))
        done = a.weft("route", "publish")
        check_eq(done.returncode, REFUSED if policy == "off" else NOT_FOUND, done.stderr)
        check(not swarm.ask("get_mutable", 2, zbase32_decode(node_id(a)).hex(), ""),
              "nothing is there")
        a.stop()
    a = node_among(lab, swarm, "private", private="no")
    check("no address that means this node everywhere" in published(a)["skipped"], published(a))


def test_without_the_dht_everything_else_goes_on(lab):
    a = lab.daemon("a", config="[dht]\nenabled = no\n").start()
    b = lab.daemon("b", config="[dht]\nenabled = no\n").start()
    root = lab.folder("root", {"x": 5})
    done = b.weft("get", a.share(root), "--to", lab.dir / "out")
    check_eq(done.returncode, OK, done.stderr)
    check_eq(a.json("dht", "status")["dht"]["enabled"], False, "status")
    for words in (("get", HASH), ("put", "x"), ("lookup", HASH), ("announce", HASH),
                  ("peers", HASH), ("nodes",)):
        done = a.weft("dht", *words)
        check_eq(done.returncode, REFUSED, f"{words}: {done.stderr}")
        check("dht.enabled" in done.stderr, done.stderr)


def test_invalid_words_are_reported(lab):
    a = lab.daemon("a").start()
    for words, why in ((("get", "xyz"), "neither a target nor a key"),
                       (("lookup", "00"), "40 hexadecimal"),
                       (("put", "x" * 997), "longer than 996 bytes"),
                       (("put", "x", "--salt", "s" * 65), "longer than 64 bytes"),
                       (("announce", HASH, "--port", "65536"), "1 to 65535")):
        done = a.weft("dht", *words)
        check(done.returncode != OK and why in done.stderr, f"{words}: {done.stderr}")
    done = a.weft("dht", "get", HASH)
    check(done.returncode != OK and "no node is known to ask" in done.stderr, done.stderr)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
