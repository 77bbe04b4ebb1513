#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Providers and permissions: two daemons on this machine, a offers, b looks.

What a publishes is decoded and proved here by other people's tools.
"""
import base64
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import ASKING_S, OK, REFUSED, check, check_eq, run, wait_for

try:
    import oracle
except ImportError as missing:
    print(f"python3-cbor2 and python3-nacl are needed: {missing}")
    sys.exit(77)

CONFIG = "[service]\nbuiltin = echo\n[overlay]\nserve = on\n"


def pair(lab):
    a = lab.daemon("a", config=CONFIG).start()
    b = lab.daemon("b", config=CONFIG).start()
    node = a.json("node", "id")["node_id"]
    check_eq(b.weft("peer", "connect", node, a.json("status")["listen"][0]).returncode, OK, "connect")
    return a, b, node


def find(daemon, *words):
    """The answer of a find, whether it found any provider or not."""
    done = daemon.weft("service", "find", *words, "--json")
    return json.loads(done.stdout) if done.stdout else {"providers": [], "hidden": []}


def providers(daemon, *words):
    return {row["node_id"]: row for row in find(daemon, *words)["providers"]}


def wait_find(daemon, name, condition, what):
    """Asks the overlay until condition is true of the answer."""
    def look():
        told = find(daemon, name, "--fresh")
        return condition({row["node_id"]: row for row in told["providers"]}, told) and told
    return wait_for(look, what, pause=ASKING_S)


def offer_of(daemon, name):
    return next(row for row in daemon.json("service", "list")["offers"] if row["name"] == name)


def publish(daemon, name, *words):
    return daemon.weft("service", "publish", name, "--exec", "/bin/cat", *words)


def test_a_descriptor_is_decoded_and_proved_by_foreign_tools(lab):
    a, b, node = pair(lab)
    check_eq(publish(a, "proved", "--version", "1.2.3", "--meta", "lang=en").returncode, OK, "publish")
    wait_find(b, "proved", lambda found, _: node in found, "b finds it")
    row = providers(b, "proved")[node]
    data = base64.b64decode(row["descriptor"])
    body = oracle.descriptor_read(data)
    check_eq((body[1], body[2], oracle.z32(body[3]), body[5]["lang"]), ("proved", "1.2.3", node, "en"), body)
    check_eq((body[6], body[7], body[8]), (row["created_s"], row["expires_s"], row["seq"]), row)
    check_eq(body[7] - body[6], 3600, "its life")
    done = subprocess.run(["sha256sum"], input=f"svc:proved:peer:{node}".encode(), capture_output=True, check=True)
    check_eq((row["service_id"], body[0].hex()), (done.stdout.decode().split()[0],) * 2, "its id")
    # A node that stores it may be asked before it has announced it to a.
    told = wait_for(lambda: (row := offer_of(a, "proved")["publication"])["nodes"] and row, "somebody keeps it")
    check_eq((told["error"], told["held_back"], told["seq"]), ("", False, row["seq"]), told)


def test_versions_stand_side_by_side(lab):
    a, b, node = pair(lab)
    for version in ("1.4.0", "2.0.0"):
        check_eq(publish(a, "both", "--version", version).returncode, OK, version)
    wait_find(b, "both", lambda _, told: len(told["providers"]) == 2, "both are there")
    for words, wanted in ((("--version", "^1"), ["1.4.0"]), (("--version", "~2.0"), ["2.0.0"]),
                          (("--version", ">=1.0.0 <3"), ["2.0.0", "1.4.0"]), ((), ["2.0.0", "1.4.0"]),
                          (("--version", "^3"), [])):
        found = [row["version"] for row in find(b, "both", *words)["providers"]]
        check_eq(found, wanted, words)


def test_a_ban_hides_its_owner_at_once(lab):
    a, b, node = pair(lab)
    wait_find(b, "echo", lambda found, _: node in found, "b finds it")
    check_eq(b.weft("ban", "add", node).returncode, OK, "ban")
    told = find(b, "echo")
    check(node not in {row["node_id"] for row in told["providers"]}, told)
    check_eq([row["count"] for row in told["hidden"] if row["reason"] == "banned"], [1], told)
    check_eq(b.weft("ban", "remove", node).returncode, OK, "pardon")
    check(node in providers(b, "echo"), "it is back")


def test_a_withdrawn_service_is_not_found_any_more(lab):
    a, b, node = pair(lab)
    check_eq(publish(a, "brief").returncode, OK, "publish")
    wait_find(b, "brief", lambda found, _: node in found, "b finds it")
    check_eq(a.weft("service", "withdraw", "brief").returncode, OK, "withdraw")
    wait_find(b, "brief", lambda found, told: not found and
              [(row["reason"], row["count"]) for row in told["hidden"]] == [("withdrawn", 1)],
              "it is gone: it was withdrawn")


def test_a_stop_withdraws_and_a_start_publishes_again(lab):
    a, b, node = pair(lab)
    c = lab.daemon("c", config=CONFIG).start()
    for daemon, listen in ((a, a.json("status")["listen"][0]), (b, b.json("status")["listen"][0])):
        done = c.weft("peer", "connect", daemon.json("node", "id")["node_id"], listen)
        check_eq(done.returncode, OK, done.stderr)
    check_eq(publish(a, "brief").returncode, OK, "publish")
    wait_find(b, "brief", lambda found, _: node in found, "b finds it")
    a.stop()
    told = find(b, "brief", "--fresh")
    check_eq(([row["node_id"] for row in told["providers"]],
              [(row["reason"], row["count"]) for row in told["hidden"]]), ([], [("withdrawn", 1)]), told)
    a.start()
    begin = time.monotonic()
    wait_find(b, "brief", lambda found, _: node in found, "a publishes it again")
    check(time.monotonic() - begin < 5, f"found again after {time.monotonic() - begin:.1f} s")


def test_the_cache_answers_after_a_restart_and_offline(lab):
    a, b, node = pair(lab)
    wait_find(b, "echo", lambda found, _: node in found, "b finds it")
    a.kill()
    # Written within seconds after it was found; a crash before that would lose it.
    wait_for(lambda: b.json("service", "list")["known"], "b has it")
    b.stop()
    b.start()
    told = find(b, "echo")
    check(told["cached"] and node in {row["node_id"] for row in told["providers"]}, told)
    check(all(row["heard_s"] >= 0 for row in told["providers"]), told)


def test_one_publication_too_many_stays_here(lab):
    a = lab.daemon("a", config="[service]\nbuiltin =\npublishes = 2\n[overlay]\nserve = on\n").start()
    b = lab.daemon("b", config=CONFIG).start()
    check_eq(b.weft("peer", "connect", a.json("node", "id")["node_id"], a.json("status")["listen"][0]).returncode,
             OK, "somebody may keep them")
    for i in range(3):
        check_eq(publish(a, f"s{i}").returncode, OK, i)

    def told():
        return [offer_of(a, f"s{i}").get("publication", {}) for i in range(3)]

    wait_for(lambda: sorted(t.get("held_back", False) for t in told()) == [False, False, True],
             "two left, the third waits")
    held = next(i for i in range(3) if told()[i]["held_back"])
    check_eq(told()[held]["seq"], 0, "nothing of it was signed")
    check("service.publishes" in offer_of(a, f"s{held}")["why"], "and the list says why")


def test_lookups_have_a_limit_and_patterns_are_reported(lab):
    b = lab.daemon("b", config="[service]\nbuiltin =\nlookups = 70\n[overlay]\nserve = on\n").start()
    for i in range(11):
        find(b, f"name-{i}")
    for _ in range(59):
        find(b, "name-0")
    done = b.weft("service", "find", "name-0")
    check_eq(done.returncode, REFUSED, done.stderr)
    watch = b.weft_popen("event", "watch", "--since", "1", "--json")
    seen = set()
    while len(seen) < 3:
        event = json.loads(watch.stdout.readline())["event"]
        if event["kind"] == "service.abuse":
            seen.add(event["fields"]["pattern"])
    watch.kill()
    watch.wait()
    check_eq(seen, {"enumeration", "rapid-fire", "scanning"}, "three patterns")


def test_five_broken_rules_are_a_ban_that_ends_and_outlives_a_crash(lab):
    a, b, node = pair(lab)
    peer = b.json("node", "id")["node_id"]
    check_eq(publish(a, "small", "--payload", "1K").returncode, OK, "publish")
    wait_for(lambda: offer_of(a, "small")["state"] == "ready", "ready")
    for i in range(5):
        done = b.weft("service", "call", "small", "Run", "x" * 2000, "--provider", node)
        check(done.returncode != OK, done.stdout)
    wait_for(lambda: peer in a.weft("ban", "list").stdout, "b is banned")
    told = a.json("why", peer)
    check("banned for 1 min" in told["reputation"] and "5 violations" in told["reputation"], told["reputation"])
    check(any(line.startswith("reputation\t") for line in a.weft("why", peer).stdout.splitlines()), "weft why")
    done = b.weft("service", "call", "echo", "Say", "x", "--provider", node, "--timeout", "3")
    check(done.returncode != OK, "nothing gets through")
    a.kill()
    a.start()
    check("banned for" in a.json("why", peer)["reputation"], "it outlives kill -9")
    check_eq(a.weft("ban", "remove", peer).returncode, OK, "an operator lifts it")
    check("reputation" not in a.json("why", peer), "nothing is left of it")


def break_rules(peer, node):
    for _ in range(5):
        done = peer.weft("service", "call", "small", "Run", "x" * 2000, "--provider", node)
        check(done.returncode != OK, done.stdout)


def bans_of(daemon):
    return {ban["target"]: ban["scope"] for ban in daemon.json("ban", "list")["bans"]}


def calls(peer, node):
    return peer.weft("service", "call", "echo", "Say", "x", "--provider", node, "--timeout", "5")


def test_behind_one_address_only_the_key_that_misbehaves_is_banned(lab):
    a, b, node = pair(lab)
    check_eq(publish(a, "small", "--payload", "1K").returncode, OK, "publish")
    wait_for(lambda: offer_of(a, "small")["state"] == "ready", "ready")
    peers = [lab.daemon(f"c{i}", config="[service]\nbuiltin =\n").start() for i in range(4)]
    ids = [peer.json("node", "id")["node_id"] for peer in peers]
    for peer in peers:
        check_eq(peer.weft("peer", "connect", node, a.json("status")["listen"][0]).returncode, OK, "connect")
    before = bans_of(a)
    for cnt in (1, 2):
        break_rules(peers[cnt - 1], node)
        wait_for(lambda: set(bans_of(a)) == set(ids[:cnt]), f"{cnt} keys are banned, and no more")
        done = calls(b, node)
        check_eq(done.returncode, OK, f"an honest peer at that address: {done.stderr}")
    # The third makes its address one whose unknown peers get one place, and present peers stay.
    break_rules(peers[2], node)
    wait_for(lambda: bans_of(a) == {**{key: "all" for key in ids[:3]}, "127.0.0.1": "limit"},
             "the address is limited")
    for peer in (b, peers[3]):
        done = calls(peer, node)
        check_eq(done.returncode, OK, f"an honest peer at a limited address: {done.stderr}")
    # One of the three is let in again: its part in the limit goes with its ban.
    check_eq(a.weft("ban", "remove", ids[1]).returncode, OK, "remove")
    wait_for(lambda: set(bans_of(a)) == {ids[0], ids[2]}, "the limit is taken back")
    for key in (ids[0], ids[2]):
        check_eq(a.weft("ban", "remove", key).returncode, OK, "remove")
    check_eq(bans_of(a), before, "bans as before")
    for key in ids:
        check("reputation" not in a.json("why", key), f"reputation of {key} as before")
    check_eq(calls(peers[1], node).returncode, OK, "and it may call")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
