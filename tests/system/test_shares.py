#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shares that are published on one node, followed, updated and fetched on others.

    n1 (10.77.0.1) -- switch -- n2 .. n5 (10.77.0.2 to .5): they know each other by n1 or n2
"""
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import links
from fabric import connect, node_id, start
from lab import (ASKING_S, NOT_FOUND, OK, REFUSED, check, check_eq, run, run_plain, same_tree,
                 static, wait_for)

SYNC = "[sharing]\nsync_interval = 10s\n"
FILES = {"a.bin": 700_000, "b/c.bin": 300_000, "b/d.txt": 1000, "empty": 0}


def said(done, what):
    check_eq(done.returncode, OK, f"{what}: {done.stderr}")
    return done.stdout


def publish(daemon, name, folder, *options):
    """The share's link, once its first revision is published."""
    said(daemon.weft("share", "new", name, "--public", *options), f"share new {name}")
    said(daemon.weft("share", "publish", name, folder), f"share publish {name}")
    return said(daemon.weft("share", "link", name), "share link").strip()


def update(daemon, name):
    return said(daemon.weft("share", "update", name), f"share update {name}")


def follow(daemon, link, *options):
    return daemon.json("sub", "add", link, *options)["follow"]


def shown(daemon, name):
    return daemon.json("sub", "show", name)["follow"]


def wait_revision(daemon, name, revision):
    def is_here():
        follow = daemon.json("sub", "sync", name)["follows"][0]
        return follow["revision"] == revision and follow["state"] == "current"
    wait_for(is_here, f"{daemon.name} has revision {revision} of {name}", pause=ASKING_S)


def bare_link(daemon, name):
    """Nothing but the share's key."""
    return said(daemon.weft("share", "link", name, "--bare"), "share link --bare").strip()


def test_a_link_made_on_one_node_is_fetched_on_another_at_the_first_try(lab):
    """n3 knows n1 alone, and never heard of n2, where the link was made."""
    nodes = start(lab, 3, more=SYNC)
    folder = lab.folder("songs", FILES)
    link = publish(nodes[1], "songs", folder)
    wait_for(lambda: nodes[1].json("share", "show", "songs")["share"]["holders"] > 0,
             "the overlay keeps the head", pause=ASKING_S)
    for number, text in enumerate((link, bare_link(nodes[1], "songs")), 1):
        target = lab.dir / f"got{number}"
        done = nodes[2].weft("get", text, "--to", target)
        check_eq(done.returncode, OK, f"get: {done.stderr}")
        same_tree(folder, target)


def test_the_publisher_is_killed_after_the_first_copy_and_a_third_node_gets_it(lab):
    """n5 hears of holders in the overlay alone: its link has nothing but the key."""
    nodes = start(lab, 5, more=SYNC)
    folder = lab.folder("songs", FILES)
    link = publish(nodes[1], "songs", folder)
    follow(nodes[2], link, "--name", "mine")
    wait_revision(nodes[2], "mine", 1)
    done = nodes[2].weft("get", "mine", "--to", lab.dir / "first")
    check_eq(done.returncode, OK, f"the first copy, by name: {done.stderr}")
    same_tree(folder, lab.dir / "first")
    wait_for(lambda: nodes[2].json("announce", "status")["announce"]["told"] > 0,
             "n3 told the overlay", pause=ASKING_S)
    link = bare_link(nodes[1], "songs")
    nodes[1].kill()

    def is_fetched():
        return nodes[4].weft("get", link, "--to", lab.dir / "second").returncode == OK
    wait_for(is_fetched, "n5 gets it", pause=ASKING_S)
    same_tree(folder, lab.dir / "second")


def test_an_update_is_followed_and_an_old_revision_refused(lab):
    nodes = start(lab, 3, more=SYNC)
    # n2 keeps nothing for others: a publisher that comes back would learn revision 2 of it, and
    # offer revision 1 no more. A moment decided that.
    nodes[1].conf.write_text(nodes[1].conf.read_text().replace("serve = on", "serve = off"))
    said(nodes[1].weft("daemon", "reload"), "daemon reload")
    folder = lab.folder("songs", FILES)
    link = publish(nodes[0], "songs", folder)
    follow(nodes[1], link, "--name", "songs")
    wait_revision(nodes[1], "songs", 1)
    # The publisher as it is now, to come back later.
    nodes[0].stop()
    run_plain("cp", "-a", str(nodes[0].state), str(nodes[0].state) + ".old")
    nodes[0].start()
    connect(nodes[1], nodes[0])
    (folder / "new.bin").write_bytes(b"new" * 1000)
    update(nodes[0], "songs")
    wait_revision(nodes[1], "songs", 2)
    # Everything that ever kept a head is gone but n2, and the publisher is as it was.
    nodes[0].kill()
    nodes[2].kill()
    run_plain("rm", "-rf", str(nodes[0].state))
    run_plain("mv", str(nodes[0].state) + ".old", str(nodes[0].state))
    nodes[0].start()
    connect(nodes[1], nodes[0])
    check_eq(nodes[0].json("share", "show", "songs")["share"]["revision"], 1, "it is the old one")

    def is_refused():
        nodes[1].weft("sub", "sync", "songs")
        return shown(nodes[1], "songs")["old_heads"] > 0
    wait_for(is_refused, "n2 is offered revision 1", pause=ASKING_S)
    follow_now = shown(nodes[1], "songs")
    check_eq((follow_now["revision"], follow_now["newest"]), (2, 2), "n2 stays at 2")
    check("was refused" in nodes[1].log_text(), "the log says so")


def test_the_201st_is_refused(lab):
    daemon = lab.daemon("n1").start()
    links = []
    for number in range(201):
        said(daemon.weft("share", "new", f"s{number}"), "share new")
        links.append(bare_link(daemon, f"s{number}"))
    follower = lab.daemon("n2", config="[sharing]\nsync_interval = 1h\n").start()
    for link in links[:200]:
        said(follower.weft("sub", "add", link, "--no-wait"), "sub add")
    done = follower.weft("sub", "add", links[200])
    check_eq(done.returncode, REFUSED, "the 201st")
    check("sharing.follow_cap" in done.stderr, done.stderr)
    check_eq(len(follower.json("sub", "list")["follows"]), 200, "followed")


def test_sub_add_waits_for_the_first_revision_or_says_why_there_is_none(lab):
    nodes = start(lab, 2, more=SYNC)
    link = publish(nodes[0], "songs", lab.folder("songs", {"a": 1000}))
    done = nodes[1].weft("sub", "add", link, "--json")
    check_eq((done.returncode, json.loads(done.stdout)["follow"]["revision"]), (OK, 1), done.stderr)
    check_eq(done.stderr, "", "nothing to complain of")
    said(nodes[0].weft("share", "new", "empty"), "share new")
    said(nodes[1].weft("sub", "add", bare_link(nodes[0], "empty")), "followed all the same")
    done = nodes[1].weft("sub", "add", bare_link(nodes[0], "empty"))
    check(done.returncode != OK and "followed already" in done.stderr, done.stderr)
    said(nodes[0].weft("share", "new", "other"), "share new")
    done = nodes[1].weft("sub", "add", bare_link(nodes[0], "other"))
    check_eq(done.returncode, OK, done.stderr)
    check("no revision of it is here" in done.stderr and "weft sub sync" in done.stderr, done.stderr)
    said(nodes[0].weft("share", "new", "later"), "share new")
    check_eq(nodes[1].weft("sub", "add", bare_link(nodes[0], "later"), "--no-wait").stderr, "", "no wait")


def test_what_a_followed_blocklist_names_is_not_fetched(lab):
    nodes = start(lab, 2, more=SYNC)
    folder = lab.folder("songs", {"bad.bin": 400_000, "good.bin": 1000})
    content = run_plain("b3sum", "--no-names", str(folder / "bad.bin")).stdout.strip()
    link = publish(nodes[0], "songs", folder)
    lists = lab.dir / "lists"
    lists.mkdir()
    (lists / "blocklist").write_text(f"# bad\nblock all\ncontent {content}\n")
    follow(nodes[1], publish(nodes[0], "lists", lists), "--name", "lists")
    wait_revision(nodes[1], "lists", 1)
    check(shown(nodes[1], "lists")["blocklist"], "it has a blocklist")
    # A bad line is told with its file, number and reason; the others hold.
    check_eq(shown(nodes[1], "lists")["blocklist_fault"],
             "file blocklist, line 2: it begins with neither share nor content", "bad line")
    check("blocklist, line 2: it begins" in nodes[1].log_text(), nodes[1].log_text())
    done = nodes[1].weft("get", link, "--to", lab.dir / "got")
    check_eq(done.returncode, REFUSED, f"get: {done.stderr}")
    check("bad.bin" in done.stderr and "blocklist" in done.stderr, done.stderr)
    check(not (lab.dir / "got" / "bad.bin").exists(), "nothing of it was written")
    said(nodes[1].weft("get", link, "--to", lab.dir / "rest", "--only", "good*"), "the rest")
    check((lab.dir / "rest" / "good.bin").exists(), "what is not blocked is fetched")
    said(nodes[1].weft("sub", "set", "lists", "--trust", "untrusted"), "sub set")
    said(nodes[1].weft("get", link, "--to", lab.dir / "all"), "get")
    same_tree(folder, lab.dir / "all")
    # A share that is named is neither followed nor fetched.
    said(nodes[1].weft("sub", "set", "lists", "--trust", "normal"), "sub set")
    share = nodes[0].json("share", "show", "songs")["share"]["share_id"]
    (lists / "blocklist").write_text(f"share {share}\n")
    update(nodes[0], "lists")
    wait_revision(nodes[1], "lists", 2)
    check_eq(nodes[1].weft("sub", "add", link).returncode, REFUSED, "sub add of a blocked share")
    check_eq(nodes[1].weft("get", link, "--to", lab.dir / "none").returncode, REFUSED, "its get")


def test_a_restart_after_kill_9_keeps_all(lab):
    nodes = start(lab, 2, more=SYNC)
    folder = lab.folder("songs", FILES)
    follow(nodes[1], publish(nodes[0], "songs", folder), "--name", "songs", "--trust", "trusted",
           "--weight", "150")
    wait_revision(nodes[1], "songs", 1)
    before = shown(nodes[1], "songs")
    nodes[1].kill()
    nodes[0].kill()
    nodes[1].start()
    after = shown(nodes[1], "songs")
    for key in ("share_id", "trust", "weight", "revision", "newest", "items", "bytes", "title",
                "revisions", "link", "state"):
        check_eq(after[key], before[key], key)


def test_a_revoked_share_is_used_no_more(lab):
    nodes = start(lab, 2, more=SYNC)
    link = publish(nodes[0], "songs", lab.folder("songs", FILES))
    follow(nodes[1], link, "--name", "songs")
    wait_revision(nodes[1], "songs", 1)
    said(nodes[0].weft("share", "revoke", "songs", "--yes"), "share revoke")

    def is_revoked():
        nodes[1].weft("sub", "sync", "songs")
        return shown(nodes[1], "songs")["state"] == "revoked"
    wait_for(is_revoked, "n2 hears of it", pause=ASKING_S)
    nodes[0].kill()
    for what in ("songs", link):
        done = nodes[1].weft("get", what, "--to", lab.dir / "got")
        check_eq(done.returncode, REFUSED, f"get {what}: {done.stderr}")
        check("given up" in done.stderr, done.stderr)


def test_a_public_share_is_listed_and_followed(lab):
    nodes = start(lab, 2, more=SYNC)
    folder = lab.folder("songs", FILES)
    publish(nodes[0], "songs", folder)
    said(nodes[0].weft("share", "new", "diary"), "share new diary")
    said(nodes[0].weft("share", "publish", "diary", folder), "share publish diary")
    rows = nodes[1].json("share", "list", node_id(nodes[0]))["shares"]
    check_eq([(row["revision"], row["followed"], row["revoked"]) for row in rows], [(1, False, False)],
             "what is public, and nothing else")
    follow(nodes[1], rows[0]["link"], "--name", "songs")
    wait_revision(nodes[1], "songs", 1)
    check_eq(nodes[1].json("share", "list", node_id(nodes[0]))["shares"][0]["followed"], True, "followed")
    check_eq(nodes[0].json("share", "list", node_id(nodes[1]))["shares"], [], "what is followed is not listed")


def test_what_is_wrong_is_said(lab):
    daemon = lab.daemon("n1").start()
    collection = daemon.share(lab.folder("files", {"a": 10}))
    for words, code, text in ((("add", collection), 1, "nothing changes in it"),
                              (("add", "mesh:nonsense"), 1, "link"),
                              (("show", "nobody"), NOT_FOUND, "weft sub list"),
                              (("remove", "nobody"), NOT_FOUND, "weft sub list"),
                              (("sync", "nobody"), NOT_FOUND, "weft sub list")):
        done = daemon.weft("sub", *words)
        check_eq(done.returncode, code, f"sub {words}: {done.stderr}")
        check(text in done.stderr, f"sub {words}: {done.stderr}")


@static("links with addresses that lead nowhere are the point")
def test_bad_hints_of_a_link_are_skipped_and_reported(lab):
    a, b, c = start(lab, 3, more=SYNC)
    folder = lab.folder("docs", {"one": 1000})
    said(a.weft("share", "new", "docs"), "share new")
    said(a.weft("share", "publish", "docs", folder), "publish")
    link = said(a.weft("share", "link", "docs"), "link").strip()
    keys = {name: bytes([number] * 32) for number, name in enumerate(("dead", "wrong"), 1)}
    good = links.zbase32_decode(node_id(a)), "10.77.0.1", 7000
    bad = [(keys["dead"], "10.77.0.99", 7000), (keys["wrong"], "10.77.0.2", 7000),
           (links.zbase32_decode(node_id(b)), "10.77.0.2", 7000)]
    share = links.zbase32_decode(link.removeprefix("mesh:"))[1:33]
    started = time.monotonic()
    said(c.weft("sub", "add", links.share_link(share, *bad, good), "--name", "docs"), "sub add")
    said(c.weft("get", "docs", "--to", lab.dir / "out"), "get")
    check(time.monotonic() - started < 25, f"it took {time.monotonic() - started} s")
    same_tree(folder, lab.dir / "out")
    told = c.json("sub", "show", "docs")["follow"]["unhelpful_nodes"].split("; ")
    check_eq([row[:8] for row in told], [links.zbase32_encode(keys["dead"])[:8],
                                         links.zbase32_encode(keys["wrong"])[:8], node_id(b)[:8]],
             f"those that did not help: {told}")
    # With no good one among them the error names each and why.
    for daemon in (a, b):
        daemon.kill()
    done = c.weft("get", links.share_link(bytes(range(32)), *bad[:2]), "--to", lab.dir / "out2",
                  timeout=60)
    check(done.returncode != OK, "nothing was got")
    for key in keys.values():
        check(links.zbase32_encode(key)[:8] in done.stderr, done.stderr)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
