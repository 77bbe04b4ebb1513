#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""State folders that earlier versions wrote, one for each schema from 4 on: today's
weftd starts with each and has all that was kept."""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, check, check_eq, run

STATES = pathlib.Path(__file__).parents[1] / "states"
FIRST = 4


def started_with(lab, state):
    a = lab.daemon(f"schema{state.name}")
    shutil.copytree(state, a.state)
    a.state.chmod(0o700)
    (a.state / "node.key").chmod(0o600)
    return a.start()


def check_kept(a):
    titles = {share["title"] for share in a.json("share", "list")["shares"]}
    check_eq(titles, {"kept share", "kept notes"}, "shares")
    bans = a.json("ban", "list")["bans"]
    check_eq([(ban["target"], ban["reason"]) for ban in bans], [("192.0.2.7", "kept ban")], "bans")
    check("lab" in a.weft("community", "list").stdout, "the community is gone")
    upload = a.weft("limits", "list").stdout.splitlines()[0]
    check(upload.startswith("upload\t10mbit"), f"the limit is gone: {upload}")
    check("notes" in a.weft("share", "show", "notes").stdout, "the published share is gone")
    check_eq(a.weft("store", "check").returncode, OK, "store check")


def test_each_state_starts_and_has_what_was_kept(lab):
    states = sorted((path for path in STATES.iterdir() if int(path.name) >= FIRST),
                    key=lambda path: int(path.name))
    check(len(states) >= 3, f"only {states}")
    for state in states:
        a = started_with(lab, state)
        check_kept(a)
        check_eq(a.weft("gc", "run").returncode, OK, "gc run")
        check_eq(a.stop(), 0, "stop")
        a.start()
        check_kept(a)
        check_eq(a.stop(), 0, "stop")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
