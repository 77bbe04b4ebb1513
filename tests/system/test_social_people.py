#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""People as one node knows them: its personas, follows, circles, requests, blocks and profiles."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, check, check_eq, run
from sessions import node_id

FAILED, NOT_FOUND, REFUSED = 1, 4, 5
ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"
NAME_MAX = 64
MEMBERS_MAX = 500
PERSONAS_MAX = 16


def key(number):
    """A key of z-base-32 that is canonical; its last letter has no unused bit."""
    letters = ""
    for _ in range(10):
        letters += ALPHABET[number % 32]
        number //= 32
    return letters + "e" * 41 + "y"


def done(daemon, *words):
    result = daemon.weft(*words)
    check_eq(result.returncode, OK, f"{words}: {result.stderr}")
    return result.stdout


def fails(daemon, status, *words):
    result = daemon.weft(*words)
    check_eq(result.returncode, status, f"{words}: {result.stdout}{result.stderr}")
    return result.stderr


def profile(daemon, *words):
    return daemon.json("profile", "show", *words)["profile"]


def test_a_profile_needs_a_name_first_and_survives_a_kill(lab):
    node = lab.daemon("a").start()
    check_eq(profile(node)["updated_s"], 0, "none yet")
    fails(node, FAILED, "profile", "set", "--text", "no name")
    done(node, "profile", "set", "--name", "Ada", "--text", "Numbers.\nAnd notes.")
    node.kill()
    node.start()
    own = profile(node)
    check_eq((own["name"], own["text"], own["own"], own["person"]),
             ("Ada", "Numbers.\nAnd notes.", True, node_id(node)), "as it was said")
    done(node, "profile", "set", "--text", "")
    check_eq((profile(node)["name"], profile(node)["text"]), ("Ada", ""), "the name stays")
    for wrong in ("A\x1b[31mda", "A\u202eda", " ", "n" * (NAME_MAX + 1)):
        fails(node, FAILED, "profile", "set", "--name", wrong)
    done(node, "profile", "set", "--name", "<b>Ada</b>")
    check_eq(profile(node)["name"], "<b>Ada</b>", "letters of HTML are letters")


def test_follows_and_their_names_survive_a_kill(lab):
    node = lab.daemon("a").start()
    friend, other = key(1), key(2)
    done(node, "follow", "add", friend, "--petname", "Bo")
    done(node, "follow", "add", other, "--private")
    fails(node, NOT_FOUND, "follow", "add", key(9)[:-1])
    fails(node, REFUSED, "follow", "add", friend)
    fails(node, REFUSED, "follow", "add", node_id(node))
    node.kill()
    node.start()
    rows = node.json("follow", "list")["people"]
    check_eq([(row["person"], row["name"], row["kind"]) for row in rows],
             [(friend, "Bo", "public"), (other, "", "private")], "both")
    done(node, "follow", "name", "Bo", "Bob")
    done(node, "follow", "remove", "Bob")
    done(node, "follow", "remove", other[:8])
    check_eq(node.json("follow", "list")["people"], [], "none any more")
    fails(node, NOT_FOUND, "follow", "remove", friend)


def test_a_circle_has_500_members_and_says_what_to_do_beyond(lab):
    node = lab.daemon("a").start()
    done(node, "circle", "create", "family", "--rank", "3")
    fails(node, REFUSED, "circle", "create", "family")
    calls = "".join(f"circle add family {key(number)}\n" for number in range(1, MEMBERS_MAX + 1))
    for line in calls.splitlines():
        done(node, *line.split())
    said = fails(node, REFUSED, "circle", "add", "family", key(MEMBERS_MAX + 1))
    check("weft group create" in said, said)
    done(node, "circle", "remove", "family", key(1))
    done(node, "circle", "add", "family", key(MEMBERS_MAX + 1))
    done(node, "circle", "set", "family", "--name", "kin", "--rank", "9")
    node.kill()
    node.start()
    circles = node.json("circle", "list")["circles"]
    check_eq([(row["name"], row["rank"], row["members"]) for row in circles],
             [("kin", 9, MEMBERS_MAX)], "as it was")
    members = {row["person"] for row in node.json("circle", "show", "kin")["members"]}
    check(key(1) not in members and key(MEMBERS_MAX + 1) in members, "who is in it")
    done(node, "profile", "set", "--name", "Ada")
    done(node, "profile", "set", "--circle", "kin", "--name", "Mum")
    check(node.json("circle", "list")["circles"][0]["profile"], "it has a profile")
    check_eq(profile(node)["name"], "Ada", "the public one is as it was")
    done(node, "profile", "set", "--circle", "kin", "--no-profile")
    done(node, "circle", "delete", "kin")
    check_eq(node.json("circle", "list")["circles"], [], "gone")
    fails(node, NOT_FOUND, "circle", "show", "kin")


def test_personas_have_keys_of_their_own(lab):
    node = lab.daemon("a").start()
    work = done(node, "persona", "add", "work", "--via-anchors").strip()
    check(re.fullmatch(f"[{ALPHABET}]{{52}}", work), work)
    done(node, "profile", "set", "--name", "Dr. A", "--persona", "1")
    done(node, "follow", "add", key(3), "--persona", "1")
    fails(node, FAILED, "profile", "set", "--persona", "1", "--anchors", "x")
    fails(node, REFUSED, "profile", "set", "--persona", "1", "--anchors", node_id(node))
    fails(node, NOT_FOUND, "profile", "set", "--persona", "2", "--name", "x")
    node.kill()
    node.start()
    rows = node.json("persona", "list")["personas"]
    check_eq([(row["number"], row["person"], row["label"], row["via_anchors"], row["followed"])
              for row in rows],
             [(0, node_id(node), "", False, 0), (1, work, "work", True, 1)], "both")
    for _ in range(2, PERSONAS_MAX):
        done(node, "persona", "add")
    fails(node, REFUSED, "persona", "add")
    fails(node, REFUSED, "persona", "remove", "0")
    done(node, "persona", "commit", "1")
    check(profile(node, "--persona", "1")["committed"], "the profile names a next key")
    done(node, "persona", "remove", "2")
    rotated = done(node, "persona", "rotate", "1").strip()
    rows = node.json("persona", "list")["personas"]
    check_eq([(row["person"], row["followed"]) for row in rows if row["number"] == 1],
             [(rotated, 1)], "the next key, with what the former one followed")
    check(rotated != work, "another key")


def test_a_blocked_person_is_followed_no_more(lab):
    node = lab.daemon("a").start()
    done(node, "follow", "add", key(1), "--petname", "Eve")
    done(node, "circle", "create", "all")
    done(node, "circle", "add", "all", "Eve")
    done(node, "block", "add", "Eve")
    check_eq(node.json("follow", "list")["people"], [], "not followed")
    check_eq(node.json("circle", "show", "all")["members"], [], "in no circle")
    fails(node, REFUSED, "follow", "add", key(1))
    fails(node, REFUSED, "circle", "add", "all", key(1))
    node.kill()
    node.start()
    check_eq([row["person"] for row in node.json("block", "list")["people"]], [key(1)], "blocked")
    done(node, "block", "remove", key(1)[:10])
    done(node, "follow", "add", key(1))


def test_an_identicon_is_mirrored_and_each_limit_is_shown(lab):
    node = lab.daemon("a").start()
    svg = done(node, "profile", "identicon", key(5))
    check(svg.startswith("<svg ") and svg.strip().endswith("</svg>"), svg)
    check_eq(svg, done(node, "profile", "identicon", key(5)), "the same each time")
    cells = {(int(x), int(y)) for x, y in re.findall(r"M(\d) (\d)h", svg)}
    check_eq({(4 - x, y) for x, y in cells}, cells, "columns 0 and 4, 1 and 3 are equal")
    done(node, "follow", "add", key(1))
    limits = {row["name"]: (row["limit"], row["used"])
              for row in node.json("limits", "show")["limits"]}
    for name, limit in (("people that are followed", (4096, 1)),
                        ("people that are blocked", (4096, 0)),
                        ("circles of personas", (64, 0)),
                        ("personas of this node", (PERSONAS_MAX, 1))):
        check_eq(limits.get(name), limit, name)
    pools = {row["name"] for row in node.json("limits", "show")["pools"]}
    check({"social requests", "social audience", "social profiles of unknown people"} <= pools,
          f"pools: {pools}")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
