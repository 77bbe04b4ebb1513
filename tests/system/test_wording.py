#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a daemon and a command say when something is wrong names what, why and the next step."""
import os
import pathlib
import resource
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, NOT_VERIFIED, OK, Skip, check, check_eq, run, wait_for


def test_writes_fail_once_the_state_folder_is_gone_and_the_status_says_so(lab):
    a = lab.daemon("a").start()
    check_eq(a.weft("ban", "add", "192.0.2.1").returncode, OK, "before")
    shutil.rmtree(a.state)
    done = a.weft("ban", "add", "192.0.2.2")
    check_eq(done.returncode, NOT_VERIFIED, f"ban add: {done.stderr}")
    told = wait_for(lambda: [each["what"] for each in a.json("status")["health"]["problems"]],
                    "a problem")
    check(any("the databases are gone from the state folder" in each for each in told), told)


def test_a_limit_of_the_address_space_is_named_with_what_needs_it(lab):
    if pathlib.Path(os.environ["BUILD"]).name.startswith("san-"):
        raise Skip("machine: a sanitizer needs all of the address space")
    a = lab.daemon("a")

    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (20 << 30, 20 << 30))

    done = subprocess.run(a.command(), capture_output=True, text=True, timeout=DEADLINE_S,
                          preexec_fn=limit, check=False)
    check(done.returncode != OK, "it started")
    for word in ("ulimit -v", "20480 MiB", "store.map_max = 65536 MiB"):
        check(word in done.stderr, done.stderr)


def test_a_share_that_is_followed_and_not_here_yet_is_pending_in_a_search(lab):
    a, b = lab.daemon("a").start(), lab.daemon("b").start()
    done = b.weft("share", "new", "films")
    check_eq(done.returncode, OK, done.stderr)
    done = b.weft("share", "publish", "films", lab.folder("films", {"a.txt": 10}))
    check_eq(done.returncode, OK, done.stderr)
    check_eq(a.call("Search", query="a")["pending_shares"], 0, "nothing is followed")
    link = b.weft("share", "link", "films", "--bare").stdout.strip()
    follow = a.call("AddFollow", link=link, trust="untrusted")["follow"]
    check_eq(follow["revision"], 0, "nobody knows it here")
    check_eq(a.call("Search", query="a")["pending_shares"], 0, "of those that are trusted")
    check_eq(a.call("Search", query="a", trust="untrusted")["pending_shares"], 1, "of all")
    check_eq(a.call("Search", query="a", share=follow["share_id"])["pending_shares"], 1, "of it")


def test_a_peers_reputation_is_shown(lab):
    a, b = lab.daemon("a").start(), lab.daemon("b").start()
    node = b.json("node", "id")["node_id"]
    done = a.weft("peer", "connect", node, b.json("status")["listen"][0])
    check_eq(done.returncode, OK, done.stderr)
    shown = dict(line.split("\t") for line in a.weft("peer", "show", node).stdout.splitlines())
    check_eq(shown["reputation"], "50", "of a node that services know nothing of")
    check_eq(a.json("peer", "show", node)["peer"]["reputation"], 50, "as JSON")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
