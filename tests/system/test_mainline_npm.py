#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weftd with npm's bittorrent-dht and pkarr: a second foreign implementation,
that shares no code with libtorrent. The swarm is a weftd, a second one that
began with it, and the npm node.
"""
import hashlib
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import ASKING_S, NOT_FOUND, OK, Mismatch, Skip, check, check_eq, run, wait_for
from links import zbase32_decode

HERE = pathlib.Path(__file__).parent
SCRIPT = HERE.parent / "npm" / "dht_client.mjs"
HASH = "e5f96f6f38320f0f33959cb4d3d656452117aadb"
CONFIG = "[dht]\nbootstrap = {}\nprivate = yes\npublish = direct\n"


class Npm:
    def __init__(self, lab, bootstrap):
        where = subprocess.run([str(HERE.parents[1] / "tools" / "setup"), "--where", "npm"],
                               capture_output=True, text=True, check=True).stdout.strip()
        if not (pathlib.Path(where) / "node_modules" / "pkarr").is_dir():
            raise Skip("npm's packages are not installed: tools/setup --npm says why")
        self.process = subprocess.Popen(["node", str(SCRIPT), where, bootstrap], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        lab.processes.append(self.process)
        self.port = self.ask("join")

    def ask(self, *command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise Mismatch(f"{command[0]}: node ended")
        answer = json.loads(line)
        if "failed" in answer:
            raise Mismatch(f"{command[0]}: {answer['failed']}")
        return answer["ok"]


def good_nodes(daemon):
    return sum(network["good"] for network in daemon.json("dht", "status")["dht"]["networks"])


def three(lab):
    """a <- b, and the npm node that begins with a. All know each other in the end."""
    a = lab.daemon("a", config=CONFIG.format("")).start()
    at = a.json("status")["listen"][0]
    b = lab.daemon("b", config=CONFIG.format(at)).start()
    npm = Npm(lab, at)
    for daemon in (a, b):
        wait_for(lambda d=daemon: good_nodes(d) >= 2 or (d.weft("dht", "lookup", HASH), False)[1],
                 f"{daemon.name} knows both others", pause=ASKING_S)
    return a, b, npm


def target_of(key):
    """Of the item without a salt (BEP 44)."""
    return hashlib.sha1(bytes.fromhex(key)).hexdigest()


def node_id(daemon):
    return daemon.weft("node", "id").stdout.strip()


def test_items_go_both_ways(lab):
    a, b, npm = three(lab)
    check(a.json("dht", "put", "Hello World!")["outcome"]["stored"] >= 1, "stored")
    check_eq(npm.ask("get", HASH, None)["text"], "Hello World!", "what npm gets")
    theirs = npm.ask("putImmutable", "from npm")
    check(theirs["stored"] >= 1, theirs)
    check_eq(b.json("dht", "get", theirs["target"])["item"]["text"], "from npm", "what weft gets")
    item = a.json("dht", "put", "salted", "--salt", "place")["item"]
    got = npm.ask("get", item["target"], "place")
    check_eq((got["text"], got["seq"]), ("salted", item["seq"]), "mutable, there")
    theirs = npm.ask("putMutable", 9, "newer", "s", 5, None)
    got = b.json("dht", "get", theirs["key"], "--salt", "s")["item"]
    check_eq((got["text"], got["seq"]), ("newer", 5), "mutable, here")


def test_their_older_put_is_refused_by_us(lab):
    a = lab.daemon("a", config=CONFIG.format("")).start()
    npm = Npm(lab, a.json("status")["listen"][0])
    key = npm.ask("putMutable", 9, "five", None, 5, None)["key"]
    for seq, cas, why in ((4, None, "an older one"), (7, 3, "in place of another")):
        try:
            npm.ask("putMutable", 9, "no", None, seq, cas)
        except Mismatch:
            pass  # it reports a put that no node took as an error
        got = npm.ask("get", target_of(key), None)
        check_eq(got["text"], "five", why)
    npm.ask("putMutable", 9, "seven", None, 7, 5)
    check_eq(npm.ask("get", target_of(key), None)["text"], "seven", "in place of the right one")


def test_announces_go_both_ways(lab):
    a, b, npm = three(lab)
    ours, theirs = "aa" * 20, "bb" * 20
    check(a.json("dht", "announce", ours, "--port", 7777)["outcome"]["stored"] >= 1, "stored")
    check("127.0.0.1:7777" in npm.ask("lookup", ours), "npm finds us")
    npm.ask("announce", theirs, 8888)
    check("127.0.0.1:8888" in b.json("dht", "peers", theirs)["peers"], "we find npm")


def test_pkarr_reads_our_record_and_we_read_theirs(lab):
    a, b, npm = three(lab)
    wait_for(lambda: a.json("route", "publish", "--dry-run")["record"].get("nodes"), "it is out")
    record = npm.ask("resolve", node_id(a))
    at = a.json("status")["listen"][0]
    check(f"addr={at}" in record["texts"], record)
    theirs = npm.ask("publish", 21, ["addr=127.0.0.1:4242", "relay=https://relay.example/"])
    route = wait_for(lambda: b.weft("route", "find", theirs).returncode == OK and
                     b.json("route", "find", theirs)["record"], "their record", pause=ASKING_S)
    check_eq((route["addresses"], route["relays"]),
             (["127.0.0.1:4242"], ["https://relay.example/"]), "what it says")
    check_eq(b.weft("route", "find", "y" * 51 + "o").returncode, NOT_FOUND, "nobody's")
    check_eq(len(zbase32_decode(theirs)), 32, "an id")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
