#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shares with revisions, from the publisher's side: published, updated, killed at any
instant, published from two nodes, revoked.

    namespace a: 10.77.0.1, daemon a -- veth0 == veth0 -- namespace b: 10.77.0.2, daemon b
"""
import base64
import json
import os
import pathlib
import random
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import ASKING_S, OK, Skip, check, check_eq, run, same_tree, wait_for

GREETER = pathlib.Path(__file__).parent / "support" / "hello_client.py"

LISTEN = ["0.0.0.0:7000"]
REFUSED, USAGE = 5, 2


def two_nodes(lab):
    ns_a, ns_b = lab.veth_pair()
    a = lab.daemon("a", netns=ns_a, listen=LISTEN).start()
    b = lab.daemon("b", netns=ns_b, listen=LISTEN).start()
    node = a.json("node", "id")["node_id"]
    check_eq(b.weft("peer", "connect", node, "10.77.0.1:7000").returncode, OK, "connects")
    wait_for(lambda: a.json("overlay", "status")["overlay"]["serving"], "a keeps values")
    return a, b


def done(daemon, *words, status=OK):
    said = daemon.weft(*words)
    check_eq(said.returncode, status, f"{' '.join(map(str, words))}: {said.stderr}")
    return said


def share(daemon, name):
    return daemon.json("share", "show", name)["share"]


def link_of_revision(daemon, name):
    wanted = share(daemon, name)["collection_id"]
    return next(row["link"] for row in daemon.json("share", "list")["shares"]
                if row["collection_id"] == wanted)


def test_a_share_key_is_sealed_with_the_nodes_and_outlives_kill_9(lab):
    a = lab.daemon("a").start()
    tree = lab.folder("tree", {"one": 10})
    done(a, "share", "new", "docs", "--public")
    done(a, "community", "create", "club")
    done(a, "share", "export-key", "docs", str(lab.dir / "docs.key"))
    a.kill()
    seed = (lab.dir / "docs.key").read_bytes()[9:41]
    kept = [path for path in a.state.rglob("*") if path.is_file() and seed in path.read_bytes()]
    check_eq(kept, [], "files with the share's key")
    a.start()
    done(a, "share", "publish", "docs", str(tree))
    check_eq(share(a, "docs")["revision"], 1, "published after kill -9")
    # Another node's key opens nothing, and the daemon says what to do.
    a.stop()
    (a.state / "node.key").rename(lab.dir / "kept.key")
    refused = subprocess.run(a.command(), capture_output=True, text=True, timeout=60)
    check(refused.returncode != 0, "it starts with another key")
    check("sealed by the key of another node; start with the node.key" in refused.stderr, refused.stderr)
    (lab.dir / "kept.key").rename(a.state / "node.key")
    a.start()
    check_eq(share(a, "docs")["revision"], 1, "nothing was lost")


def test_a_folder_is_published_fetched_and_updated(lab):
    a, b = two_nodes(lab)
    tree = lab.folder("tree", {"one": 10, "deep/er/two.txt": 300_000, "three": 0})
    done(a, "share", "new", "docs", "--public", "--tag", "*.txt=text")
    said = a.json("share", "publish", "docs", str(tree))
    check_eq((said["share"]["revision"], said["import"]["files_done"]), (1, 3), "first")
    check_eq(b.weft("get", link_of_revision(a, "docs"), "--to", str(lab.dir / "out")).returncode, OK, "got")
    same_tree(tree, lab.dir / "out")
    check(a.json("share", "update", "docs")["unchanged"], "nothing changed")
    time.sleep(2.1)  # until a file's time says that it was not written again
    (tree / "one").write_bytes(b"other")
    (tree / "four").write_bytes(b"new")
    (tree / "three").unlink()
    a.json("share", "update", "docs")
    told = a.json("share", "diff", "docs")
    check_eq([(row["change"], row["path"]) for row in told["files"]],
             [("added", "four"), ("changed", "one"), ("removed", "three")], "diff")
    check_eq((told["from"], told["to"]), (1, 2), "revisions")
    check_eq(b.weft("get", link_of_revision(a, "docs"), "--to", str(lab.dir / "out2")).returncode, OK, "got")
    same_tree(tree, lab.dir / "out2")


def test_files_that_are_known_are_not_read_again(lab):
    a = lab.daemon("a").start()
    tree = lab.folder("tree", {f"{n:03}": 1000 for n in range(200)})
    time.sleep(2.1)  # a file younger than that may be written again with the same time
    a.json("share", "new", "docs")
    a.json("share", "publish", "docs", str(tree))
    (tree / "more").write_bytes(b"x")
    said = a.json("share", "update", "docs")["import"]
    check_eq((said["files_done"], said["files_reused"]), (201, 200), "reused")


def test_a_text_and_a_single_file_are_published(lab):
    a, b = two_nodes(lab)
    done(a, "share", "new", "note")
    done(a, "share", "publish", "note", "--text", "hello", "--as", "note.md")
    check_eq(b.weft("get", link_of_revision(a, "note"), "--to", str(lab.dir / "out")).returncode, OK, "got")
    check_eq((lab.dir / "out" / "note.md").read_text(), "hello", "text")
    done(a, "share", "publish", "note", "--text", "other", "--as", "other.md")
    check_eq(share(a, "note")["items"], 1, "the text before it is published no more")
    check_eq(b.weft("get", link_of_revision(a, "note"), "--to", str(lab.dir / "out3")).returncode, OK, "got")
    check_eq(os.listdir(lab.dir / "out3"), ["other.md"], "the text that it is now")
    done(a, "share", "new", "file")
    one = lab.folder("tree", {"one.bin": 5000}) / "one.bin"
    done(a, "share", "publish", "file", str(one))
    check_eq(b.weft("get", link_of_revision(a, "file"), "--to", str(lab.dir / "out2")).returncode, OK, "got")
    check_eq((lab.dir / "out2" / "one.bin").read_bytes(), one.read_bytes(), "file")
    for name in ("../x", "a/b", "..", ".weft-x"):
        check(a.weft("share", "publish", "note", "--text", "t", "--as", name).returncode != OK, name)


def test_some_files_are_published_as_they_lie(lab):
    a, b = two_nodes(lab)
    tree = lab.folder("tree", {"one": 10, "d/two": 20, "d/e/three": 30, "four": 40})
    done(a, "share", "new", "some")
    done(a, "share", "publish", "some", str(tree / "one"), str(tree / "d" / "e"))
    check_eq((share(a, "some")["path"], share(a, "some")["only"]), (str(tree), ["one", "d/e"]), "paths")
    check_eq(b.weft("get", link_of_revision(a, "some"), "--to", str(lab.dir / "out")).returncode, OK, "got")
    got = sorted(str(at.relative_to(lab.dir / "out")) for at in (lab.dir / "out").rglob("*") if at.is_file())
    check_eq(got, ["d/e/three", "one"], "files")
    (tree / "five").write_bytes(b"x")
    check(a.json("share", "update", "some")["unchanged"], "what was not chosen does not matter")
    done(a, "share", "publish", "some", str(tree))
    check_eq(share(a, "some")["items"], 5, "all of it")


def test_killed_at_any_instant_it_has_the_old_revision_or_the_new(lab):
    a = lab.daemon("a").start()
    tree = lab.folder("tree", {f"d{n % 10}/{n}": 2000 for n in range(2000)})
    done(a, "share", "new", "docs")
    done(a, "share", "publish", "docs", str(tree))
    dice = random.Random(5)
    seen, ended = 1, 0
    for turn in range(8):
        (tree / f"new{turn}").write_bytes(dice.randbytes(3000))
        publishing = a.weft_popen("share", "update", "docs")
        time.sleep(dice.uniform(0, 0.25))
        a.kill()
        publishing.communicate()
        ended += publishing.returncode == OK
        a.start()
        told = share(a, "docs")
        check(told["revision"] in (seen, seen + 1), f"{told['revision']} after {seen}")
        check_eq(told["newest"], told["revision"], "its head is stored with it")
        check_eq(a.weft("store", "check").returncode, OK, "the store is whole")
        seen = told["revision"]
    check(seen > ended, "each that was told is there")
    said = a.json("share", "update", "docs")
    check_eq(said["share"]["items"], 2008, "files")


def test_two_nodes_with_one_key_number_after_each_other(lab):
    a, b = two_nodes(lab)
    tree = lab.folder("tree", {"one": 10})
    other = lab.folder("other", {"one": 10, "two": 20}, seed=2)
    key = lab.dir / "docs.key"
    done(a, "share", "new", "docs")
    done(a, "share", "publish", "docs", str(tree))
    done(a, "share", "export-key", "docs", str(key))
    check_eq(key.stat().st_mode & 0o777, 0o600, "mode")
    check(a.weft("share", "export-key", "docs", str(key)).returncode != OK, "it is not overwritten")
    wait_for(lambda: share(a, "docs")["holders"] > 0, "the head is kept", pause=ASKING_S)
    done(b, "share", "new", "mirror", "--key", str(key))
    check_eq(share(b, "mirror")["share_id"], share(a, "docs")["share_id"], "one share")
    said = b.json("share", "publish", "mirror", str(other))
    check_eq((said["asked"], said["share"]["revision"]), (True, 2), "after what a published")
    wait_for(lambda: share(b, "mirror")["holders"] > 0, "the head is kept", pause=ASKING_S)
    (tree / "more").write_bytes(b"x")
    said = a.json("share", "update", "docs")
    check_eq((said["asked"], said["share"]["revision"]), (True, 3), "after what b published")


def test_no_answer_of_the_daemon_has_the_key(lab):
    a = lab.daemon("a").start()
    tree = lab.folder("tree", {"one": 10})
    key = lab.dir / "docs.key"
    done(a, "share", "new", "docs")
    done(a, "share", "publish", "docs", str(tree))
    done(a, "share", "export-key", "docs", str(key))
    seed = key.read_bytes()[9:41]
    bits = "".join(f"{byte:08b}" for byte in seed) + "0000"
    z32 = "".join("ybndrfg8ejkmcpqxot1uwisza345h769"[int(bits[at:at + 5], 2)] for at in range(0, 260, 5))
    told = json.dumps([a.json("share", "list"), a.json("share", "show", "docs"), a.json("config", "show")])
    for text in (seed.hex(), base64.b64encode(seed).decode(), z32):
        check(text not in told, "the key was told")


def test_a_revoked_share_is_over_on_every_node(lab):
    a, b = two_nodes(lab)
    tree = lab.folder("tree", {"one": 10})
    key = lab.dir / "docs.key"
    done(a, "share", "new", "docs")
    done(a, "share", "publish", "docs", str(tree))
    done(a, "share", "export-key", "docs", str(key))
    check_eq(a.weft("share", "revoke", "docs").returncode, USAGE, "not without --yes")
    done(a, "share", "revoke", "docs", "--yes")
    wait_for(lambda: share(a, "docs")["holders"] > 0, "the head is kept", pause=ASKING_S)
    done(b, "share", "new", "stolen", "--key", str(key))
    said = done(b, "share", "publish", "stolen", str(tree), status=REFUSED)
    check("revoked" in said.stderr, said.stderr)
    check_eq(share(b, "stolen")["state"], "revoked", "b knows")
    a.kill()
    a.start()
    check_eq(share(a, "docs")["state"], "revoked", "over a restart")
    check_eq(a.json("share", "list")["shares"], [], "nothing of it is shared")


def test_a_file_that_changed_under_a_share_is_not_served_as_what_it_was(lab):
    a, b = two_nodes(lab)
    tree = lab.folder("tree", {"one": 5000, "two": 5000})
    done(a, "share", "new", "docs")
    done(a, "share", "publish", "docs", str(tree))
    link = link_of_revision(a, "docs")
    (tree / "one").write_bytes(os.urandom(5000))
    getting = done(b, "get", link, "--to", str(lab.dir / "out"), "--detach").stdout.strip()
    wait_for(lambda: a.json("share", "list")["shares"][0]["changed_files"] == 1, "a noticed")
    wait_for(lambda: (lab.dir / "out" / "two").exists(), "what did not change arrives")
    check(not (lab.dir / "out" / "one").exists(), "no wrong byte was written under its name")
    done(b, "get", "cancel", getting)
    done(a, "share", "update", "docs")
    check_eq(b.weft("get", link_of_revision(a, "docs"), "--to", str(lab.dir / "out2")).returncode, OK, "got")
    same_tree(tree, lab.dir / "out2")


def test_a_setting_that_says_nothing_makes_no_revision(lab):
    a = lab.daemon("a").start()
    tree = lab.folder("tree", {"one": 10})
    done(a, "share", "new", "docs")
    done(a, "share", "publish", "docs", str(tree))
    said = done(a, "share", "set", "docs", status=USAGE)
    check("docs: nothing to set is given" in said.stderr, said.stderr)
    said = done(a, "share", "set", "docs", "--public", "--private", status=USAGE)
    check("exclude each other" in said.stderr, said.stderr)
    check_eq(share(a, "docs")["revision"], 1, "revision")
    said = done(a, "share", "new", "no/slash", status=USAGE)
    check("breaks its limits" in said.stderr, said.stderr)


def test_a_revision_is_no_collection_to_be_removed(lab):
    a = lab.daemon("a").start()
    tree = lab.folder("tree", {"one": 10})
    done(a, "share", "new", "docs")
    done(a, "share", "publish", "docs", str(tree))
    said = done(a, "share", "remove", share(a, "docs")["collection_id"], status=REFUSED)
    check("share retire" in said.stderr, said.stderr)
    done(a, "share", "retire", "docs", "--yes")
    check_eq(a.json("share", "list"), {"shares": [], "imports": [], "published": []}, "gone")


def test_a_clock_ahead_of_the_peers_is_reported_when_a_share_is_published(lab):
    try:
        __import__("aioquic")
    except ImportError as missing:
        raise Skip("python3-aioquic is not installed") from missing
    a = lab.daemon("a").start()
    folder = lab.folder("docs", {"one": 10})
    done(a, "share", "new", "docs")
    address = a.json("status")["listen"][0].rsplit(":", 1)
    peers = []
    for seed, ahead_s, warned in (("4f", -299, False), ("5f", -7200, False), ("6f", -3600, True)):
        peer = subprocess.Popen([sys.executable, GREETER, *address, 32 * seed, str(ahead_s)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        lab.processes.append(peer)
        check(peer.stdout.readline(), "it is greeted")
        peers.append(peer)
        (folder / "one").write_text(seed)
        told = a.weft("share", "publish", "docs", folder)
        check_eq(told.returncode, OK, told.stderr)
        check_eq("set the clock" in told.stderr, warned, f"{len(peers)} peers: {told.stderr}")
    check("weft share update docs" in told.stderr, f"the next step: {told.stderr}")
    ahead_s = a.json("share", "show", "docs")["share"]["clock_ahead_s"]
    check(3590 <= ahead_s <= 3660, f"the least of those that are behind: {ahead_s}")
    for peer in peers:
        peer.communicate()


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
