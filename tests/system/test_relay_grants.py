#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Grants of relays by the command alone: made, listed, lent, revoked, and refused when damaged. No daemon runs."""
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import NOT_FOUND, NOT_VERIFIED, OK, REFUSED, USAGE, check, check_eq, run

LETTERS = "ybndrfg8ejkmcpqxot1uwisza345h769"


def weft(lab, *words, code=OK):
    done = subprocess.run([os.environ["WEFT"], "relay", *map(str, words)], cwd=lab.dir, capture_output=True,
                          text=True, timeout=30, stdin=subprocess.DEVNULL)
    check_eq(done.returncode, code, f"{words}: {done.stdout}{done.stderr}")
    return done.stdout.strip() if code == OK else done.stderr


def keys(lab, *names):
    return [weft(lab, "operator", "new", f"{name}.key") for name in names]


def test_a_grant_is_made_listed_and_verified(lab):
    operator, holder, relay = keys(lab, "operator", "holder", "relay")
    grant = weft(lab, "grant", "new", "operator.key", holder, "--rate", "1M", "--month", "10G", "--flows", 3,
                 "--content", "--for", "7d", "--relay", relay)
    weft(lab, "grant", "new", "operator.key", holder, "--begins", "1h")
    shown = json.loads(weft(lab, "grant", "show", grant, "--operator", operator, "--relay", relay, "--user", holder,
                            "--json"))
    wanted = {"operator": operator, "serial": 1, "holder": holder, "rate": 1 << 20, "burst": 1 << 20,
              "month": 10 << 30, "flows": 3, "content": True, "relays": [relay], "state": "valid"}
    check_eq({name: shown[name] for name in wanted}, wanted, "terms")
    check_eq(shown["expires_s"] - shown["not_before_s"], 7 * 86400, "its life")
    rows = json.loads(weft(lab, "grant", "list", "operator.key", "--json"))["grants"]
    check_eq([(row["serial"], row["state"]) for row in rows], [(1, "valid"), (2, "early")], "list")
    check("not valid yet" in weft(lab, "grant", "show", weft_lines(lab)[1], code=REFUSED), "early")
    for option, other in (("--operator", holder), ("--relay", holder), ("--user", relay)):
        weft(lab, "grant", "show", grant, option, other, code=REFUSED)


def weft_lines(lab):
    return (lab.dir / "operator.key.grants").read_text().split()


def test_keys_are_private_and_never_overwritten(lab):
    keys(lab, "operator")
    path = lab.dir / "operator.key"
    before = path.read_bytes()
    check_eq(path.stat().st_mode & 0o777, 0o600, "mode")
    check("never overwritten" in weft(lab, "operator", "new", "operator.key", code=REFUSED), "overwritten")
    check_eq(path.read_bytes(), before, "key")
    path.chmod(0o644)
    check("others may read" in weft(lab, "operator", "show", "operator.key", code=REFUSED), "mode")
    weft(lab, "operator", "show", "absent.key", code=NOT_FOUND)
    (lab.dir / "words").write_text("a long word\n")
    sealed = weft(lab, "operator", "new", "sealed.key", "--passphrase-file", "words")
    check_eq(weft(lab, "operator", "show", "sealed.key", "--passphrase-file", "words"), sealed, "sealed")
    check_eq([name for name in os.listdir(lab.dir) if ".new" in name], [], "files left over")


def test_a_grant_is_lent_by_its_holder_alone(lab):
    _, holder, friend, other = keys(lab, "operator", "holder", "friend", "other")
    grant = weft(lab, "grant", "new", "operator.key", holder)
    lent = weft(lab, "grant", "lend", "holder.key", grant, friend)
    weft(lab, "grant", "show", lent, "--user", friend)
    weft(lab, "grant", "show", grant, "--user", friend, code=REFUSED)
    weft(lab, "grant", "show", lent, "--user", other, code=REFUSED)
    weft(lab, "grant", "lend", "friend.key", grant, other, code=REFUSED)
    weft(lab, "grant", "lend", "holder.key", lent, other, code=USAGE)
    weft(lab, "grant", "lend", "holder.key", grant, *[friend] * 8)
    weft(lab, "grant", "lend", "holder.key", grant, *[friend] * 9, code=USAGE)


def test_a_revoked_grant_is_refused(lab):
    _, holder = keys(lab, "operator", "holder")
    grants = [weft(lab, "grant", "new", "operator.key", holder) for _ in range(4)]
    weft(lab, "grant", "revoke", "operator.key", 3)
    weft(lab, "grant", "revoke", "operator.key", "--below", 2)
    for serial, grant in enumerate(grants, 1):
        weft(lab, "grant", "show", grant, "--revoked", "operator.key.revoked", code=REFUSED if serial in (1, 3) else OK)
    rows = json.loads(weft(lab, "grant", "list", "operator.key", "--json"))["grants"]
    check_eq([row["state"] for row in rows], ["revoked", "valid", "revoked", "valid"], "states")
    weft(lab, "grant", "new", "operator.key", holder, "--serial", 3, code=REFUSED)
    weft(lab, "grant", "revoke", "operator.key", code=USAGE)


def test_damaged_grants_and_lists_are_refused(lab):
    _, holder = keys(lab, "operator", "holder")
    grant = weft(lab, "grant", "new", "operator.key", holder)
    begin = grant.index(":") + 1
    for at in range(begin, len(grant), 7):
        letter = LETTERS[LETTERS.index(grant[at]) ^ 1]
        weft(lab, "grant", "show", grant[:at] + letter + grant[at + 1:], code=NOT_VERIFIED)
    for end in range(begin, len(grant), 29):
        weft(lab, "grant", "show", grant[:end], code=NOT_VERIFIED)
    path = lab.dir / "operator.key.revoked"
    path.write_text(weft(lab, "grant", "revoke", "operator.key", 9)[:-9] + "\n")
    weft(lab, "grant", "revoke", "operator.key", 10, code=NOT_VERIFIED)
    weft(lab, "grant", "show", grant, "--revoked", path, code=NOT_VERIFIED)


def test_wrong_words_are_said(lab):
    _, holder = keys(lab, "operator", "holder")
    for words in (("--rate", "999"), ("--rate", "x"), ("--rate", "1M", "--burst", "4095"), ("--burst", "1M"),
                  ("--flows", "0"), ("--flows", "4097"), ("--for", "401d"), ("--for", "0s"), ("--serial", "0"),
                  ("--month", "0"), ("--relay", "x"), ("--relay", holder) * 9):
        check(weft(lab, "grant", "new", "operator.key", holder, *words, code=USAGE), f"{words}: nothing was said")
    weft(lab, "grant", "new", "operator.key", holder[:-1], code=USAGE)
    weft(lab, "grant", "revoke", "operator.key", "x", code=USAGE)
    check(not (lab.dir / "operator.key.grants").exists(), "a wrong grant was kept")
    weft(lab, "grant", "new", "operator.key", holder, "--rate", "1000", "--burst", "4096", "--flows", 4096,
         "--for", "400d", *("--relay", holder) * 8)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
