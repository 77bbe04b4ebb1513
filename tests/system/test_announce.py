#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holders of content, announced to the overlay and found there.

    namespaces n1 (10.77.0.1) .. on one switch; n1 stores what the others announce
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import ASKING_S, OK, REFUSED, check, check_eq, run, same_tree, wait_for

LISTEN = ["0.0.0.0:7000"]


def announced(daemon):
    return daemon.json("announce", "status")["announce"]


def nodes(lab, cnt, config=""):
    """cnt daemons; all but the first have met the first alone."""
    daemons = [lab.daemon(f"n{number}", netns=netns, listen=LISTEN, config=config).start()
               for number, netns in enumerate(lab.bridge(cnt), 1)]
    first = daemons[0].json("node", "id")["node_id"]
    for daemon in daemons[1:]:
        check_eq(daemon.weft("peer", "connect", first, "10.77.0.1:7000").returncode, OK, "connect")
    return daemons


def wait_told(daemon, cnt):
    wait_for(lambda: announced(daemon)["told"] == cnt, f"{daemon.name} has told {cnt}",
             pause=ASKING_S)


def test_b27_a_node_that_fetched_it_is_found_when_the_publisher_is_gone(lab):
    _, a, b, c = nodes(lab, 4)
    root = lab.folder("root", {"one": 300_000, "two": 10})
    link = a.share(root)
    wait_told(a, 1)
    done = b.weft("get", link, "--to", lab.dir / "b")
    check_eq(done.returncode, OK, f"b gets it: {done.stderr}")
    wait_told(b, 1)
    a.kill()
    done = c.weft("get", link, "--to", lab.dir / "c")
    check_eq(done.returncode, OK, f"c gets it of b: {done.stderr}")
    same_tree(root, lab.dir / "c")
    check(announced(c)["found"] > 0, f"found in the overlay: {announced(c)}")


def test_a_restart_announces_nothing_twice(lab):
    _, a = nodes(lab, 2)
    a.share(lab.folder("root", {"file": 10}))
    wait_told(a, 1)
    check(announced(a)["stored"] >= 1, "somebody took it")
    a.stop()
    a.start()
    wait_told(a, 1)
    check_eq(announced(a)["puts"], 0, "puts after the restart")


def test_what_is_kept_for_others_survives_a_restart(lab):
    first, a, c = nodes(lab, 3)
    link = a.share(lab.folder("root", {"file": 10}))
    wait_told(a, 1)
    first.kill()
    first.start()
    overlay = first.json("overlay", "status")["overlay"]
    kept = {fill["name"]: fill["used"] for fill in overlay["fills"]}["values kept for others"]
    check(kept > 0, f"values kept: {overlay}")
    check(c.weft("get", link, "--to", lab.dir / "c").returncode == OK, "c gets it")


def test_only_files_of_public_shares_are_announced(lab):
    _, a = nodes(lab, 2)
    folders = {name: lab.folder(name, {"one": 300_000, "two": 10}, seed=len(name))
               for name in ("secret", "open")}
    a.share(lab.folder("collection", {"file": 10}, seed=3))
    for name, words in (("secret", []), ("open", ["--public"])):
        check_eq(a.weft("share", "new", name, *words).returncode, OK, f"share new {name}")
        done = a.weft("share", "publish", name, folders[name])
        check_eq(done.returncode, OK, f"share publish {name}: {done.stderr}")
        if name == "secret":
            wait_told(a, 2)
            check_eq(announced(a)["contents"], "nothing", "a private share has no files to tell of")
    wait_told(a, 3)
    # Three manifests, and the two files of one of them.
    wait_for(lambda: announced(a)["puts"] == 5, "all is told", pause=ASKING_S)
    check_eq(announced(a)["contents"], "singles", "by a record each")
    check_eq(announced(a)["items"], 2, "files")


def test_off_is_off(lab):
    _, a = nodes(lab, 2, "[sharing]\nannounce = off\n")
    a.share(lab.folder("root", {"file": 10}))
    check_eq(announced(a)["scope"], "off", "scope")
    check_eq(announced(a)["puts"], 0, "puts")
    b = lab.daemon("b", config="[sharing]\nenabled = no\n").start()
    said = b.weft("announce", "status")
    check_eq(said.returncode, REFUSED, "refused")
    check("sharing.enabled = yes" in said.stderr, said.stderr)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
