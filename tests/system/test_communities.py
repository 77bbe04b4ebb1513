#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Communities of three nodes on a switch, by the command: joined, listed, left, with and without
tokens, over kill -9. n1 (10.77.0.1) serves the overlay, n2 and n3 know it."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from lab import FAILED, NOT_FOUND, NOT_VERIFIED, OK, REFUSED, USAGE, check, check_eq, need_root, run, wait_for

CONFIG = "[community]\nsync = 1s\n"


def start(lab, cnt=3):
    need_root()
    return fabric.start(lab, cnt, more=CONFIG)


def done(daemon, *words, want=OK):
    result = daemon.weft("community", *words)
    check_eq(result.returncode, want, f"community {' '.join(words)}: {result.stderr}")
    return result


def members(daemon, name):
    return {row["node_id"] for row in daemon.json("community", "members", name)["members"]}


def wait_members(daemon, name, *those):
    wanted = {fabric.node_id(each) for each in those}
    wait_for(lambda: members(daemon, name) == wanted,
             f"{daemon.name} lists {[each.name for each in those]}", pause=0.2)


def row_of(daemon, name):
    rows = daemon.json("community", "list")["communities"]
    return next((row for row in rows if row["name"] == name), None)


def test_a_link_or_id_and_key_are_enough_and_all_see_all(lab):
    n1, n2, n3 = start(lab)
    link = done(n1, "create", "lab").stdout.strip()
    check(link.startswith("mesh:"), link)
    check_eq(done(n1, "link", "lab").stdout.strip(), link, "link")
    check_eq(done(n2, "join", link, "--name", "lab").stdout.startswith("mesh:"), True, "join")
    made = row_of(n1, "lab")
    check_eq((made["ours"], made["strict"]), (True, False), "what was made")
    # n3 has nothing but id and key: it finds the others by what lies in the overlay.
    done(n3, "join", made["community_id"], made["key"], "--name", "elsewhere")
    for daemon, name in ((n1, "lab"), (n2, "lab"), (n3, "elsewhere")):
        wait_members(daemon, name, n1, n2, n3)
    check_eq(row_of(n3, "elsewhere")["members"], 3, "members counted")
    # HELLO says that each answers pages, searches and what is new.
    told = next(row for row in n1.json("peer", "list")["peers"] if row["node_id"] == fabric.node_id(n2))
    check_eq(told["capabilities"] & 0x7000, 0x7000, "capabilities")


def test_a_membership_outlives_kill_9_and_a_member_that_leaves_is_gone(lab):
    n1, n2, n3 = start(lab)
    link = done(n1, "create", "lab").stdout.strip()
    done(n2, "join", link, "--name", "lab")
    n2.kill()
    n2.start()
    done(n3, "join", link, "--name", "lab")
    for daemon in (n1, n2, n3):
        wait_members(daemon, "lab", n1, n2, n3)
    n1.kill()
    n1.start()
    check_eq(len(members(n1, "lab")), 3, "members after kill -9")
    check_eq(row_of(n1, "lab")["ours"], True, "the key is kept")
    fabric.connect(n2, n1)
    done(n3, "leave", "lab")
    check_eq(row_of(n3, "lab"), None, "what was left")
    for daemon in (n1, n2):
        wait_members(daemon, "lab", n1, n2)
    # It tells others for some seconds that it left; then it may come back.
    wait_for(lambda: n3.weft("community", "join", link).returncode == OK, "n3 joins again",
             pause=0.5)
    for daemon in (n1, n2):
        wait_members(daemon, "lab", n1, n2, n3)


def test_a_strict_community_takes_members_by_token(lab):
    n1, n2, n3 = start(lab)
    link = done(n1, "create", "club", "--strict").stdout.strip()
    token = done(n1, "token", "club", fabric.node_id(n2), "--for", "1h").stdout.strip()
    done(n2, "join", link, "--name", "club", "--token", token)
    for daemon in (n1, n2):
        wait_members(daemon, "club", n1, n2)
    other = done(n3, "join", link, "--name", "club", "--token", token, want=NOT_VERIFIED)
    check("not one of this community for this node" in other.stderr, other.stderr)
    done(n3, "join", link, "--name", "club", "--token", token[:-9], want=FAILED)
    done(n3, "join", link, "--name", "club")
    refused = done(n2, "token", "club", fabric.node_id(n3), want=REFUSED)
    check("its key is not on this node" in refused.stderr, refused.stderr)
    wait_for(lambda: any(row["reason"] == "not_admitted" and row["times"] > 2
                         for row in n1.json("community", "list")["reasons"]),
             "n3 was refused", pause=0.2)
    check_eq(len(members(n1, "club")), 2, "members by token")
    check_eq(len(members(n3, "club")), 1, "what n3 sees")
    token = done(n1, "token", "club", fabric.node_id(n3)).stdout.strip()
    done(n3, "join", link, "--token", token)
    for daemon in (n1, n2, n3):
        wait_members(daemon, "club", n1, n2, n3)


def test_a_method_of_a_service_may_be_for_members(lab):
    n1, n2, n3 = start(lab)
    link = done(n1, "create", "lab").stdout.strip()
    done(n2, "join", link, "--name", "lab")
    wait_members(n1, "lab", n1, n2)
    published = n1.weft("service", "publish", "desk", "--exec", "/usr/bin/cat", "--allow", "Write=community:lab")
    check_eq(published.returncode, OK, published.stderr)

    def write(daemon):
        return daemon.weft("service", "call", "desk", "Write", "x", "--provider", fabric.node_id(n1))

    wait_for(lambda: write(n2).stdout == "x", "a member may")
    for node in (n3, n2):
        read = node.weft("service", "call", "desk", "Read", "x", "--provider", fabric.node_id(n1))
        check_eq(read.stdout, "x", "another method is for everybody")
    refused = write(n3)
    check_eq(refused.returncode, REFUSED, refused.stderr)
    check("for others" in refused.stderr, refused.stderr)
    done(n2, "leave", "lab")
    wait_for(lambda: write(n2).returncode == REFUSED, "who left may not")
    unknown = n1.weft("service", "allow", "desk", "Write=community:nowhere")
    check_eq(unknown.returncode, NOT_FOUND, unknown.stderr)


def test_what_is_wrong_is_said(lab):
    n1, n2 = start(lab, 2)
    link = done(n1, "create", "lab").stdout.strip()
    made = row_of(n1, "lab")
    wrong = made["key"][:10] + ("y" if made["key"][10] != "y" else "b") + made["key"][11:]
    said = done(n2, "join", made["community_id"], wrong, want=REFUSED).stderr
    check("the id is not that of the key" in said, said)
    check("cut short" in done(n2, "join", link[:-4], want=FAILED).stderr, "cut link")
    said = done(n2, "join", "nonsense", want=FAILED).stderr
    check("weft community link" in said, said)
    check_eq(row_of(n2, "lab"), None, "nothing was joined")
    check("another community has that name" in done(n1, "create", "lab", want=REFUSED).stderr, "name")
    check("without blanks" in done(n1, "create", "two words", want=FAILED).stderr, "blank")
    done(n1, "members", "nowhere", want=NOT_FOUND)
    done(n1, "members", "lab", "--limit", "201", want=USAGE)
    done(n1, "members", "lab", "--cursor", "y" * 93, want=NOT_VERIFIED)
    done(n1, "members", "lab", "--cursor", "!", want=FAILED)
    done(n1, "token", "lab", fabric.node_id(n2), "--for", "30d", want=OK)
    said = done(n1, "token", "lab", fabric.node_id(n2), "--for", "2592001s", want=FAILED).stderr
    check("at most 30 days" in said, said)


def shares(daemon, name, *words):
    return {row["title"]: row for row in daemon.json("community", "shares", name, *words)["shares"]}


def weft(daemon, *words):
    result = daemon.weft(*words)
    check_eq(result.returncode, OK, f"{' '.join(words)}: {result.stderr}")
    return result


def test_a_share_is_seen_where_it_is_bound_and_nowhere_else(lab):
    n1, n2, n3 = start(lab)
    for name in ("x", "y"):
        link = done(n1, "create", name).stdout.strip()
        for daemon in (n2, n3):
            done(daemon, "join", link, "--name", name)
    folder = lab.folder("maps", {"a.map": 1000, "b.map": 2000})
    weft(n2, "share", "new", "maps", "--public", "--title", "Soil maps", "--community", "x")
    weft(n2, "share", "publish", "maps", str(folder))
    wait_for(lambda: "Soil maps" in shares(n3, "x"), "n3 sees the share in x", pause=0.2)
    row = shares(n3, "x")["Soil maps"]
    check_eq((row["items"], row["bytes"], row["sequence"], row["node_id"]),
             (2, 3000, 1, fabric.node_id(n2)), "what is told of it")
    check_eq(shares(n3, "y"), {}, "nothing in y")
    check_eq(list(shares(n3, "x", "--from", fabric.node_id(n2))), ["Soil maps"], "n2's own")
    check_eq(shares(n3, "x", "--from", fabric.node_id(n1)), {}, "n1's own")
    for words in (("SOIL",), ("soil map", "--from", fabric.node_id(n1))):
        found = n3.json("community", "search", "x", *words)["shares"]
        check_eq([hit["share_id"] for hit in found], [row["share_id"]], f"search {words}")
    check_eq(n3.json("community", "search", "x", "water")["shares"], [], "no such word")
    # Bound to y as well, then to y alone, then private.
    check_eq(done(n2, "bind", "y", "maps").stderr, "", "nothing is in its way")
    wait_for(lambda: "Soil maps" in shares(n3, "y"), "n3 sees it in y", pause=0.2)
    done(n2, "unbind", "x", "maps")
    wait_for(lambda: not shares(n3, "x"), "it is gone from x", pause=0.2)
    check("Soil maps" in shares(n3, "y"), "it is still in y")
    weft(n2, "share", "set", "maps", "--private")
    wait_for(lambda: not shares(n3, "y"), "it is gone from y", pause=0.2)
    said = done(n2, "bind", "x", "maps").stderr
    check("maps: no member sees it while it is private" in said, said)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
