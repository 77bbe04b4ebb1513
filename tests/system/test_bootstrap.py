#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bootstrap lists: made, signed, kept, used, checked and retired by the command.

Daemons on loopback, which know of each other by lists alone: no LAN, no names of Mainline.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import FAILED, NOT_FOUND, NOT_VERIFIED, OK, REFUSED, USAGE, check, check_eq, run, wait_for

ALONE = "[dht]\nenabled = no\n[lan]\ninterfaces =\n"
MAINLINE = "[dht]\nbootstrap =\nprivate = yes\n"


def node_id(daemon):
    return daemon.weft("node", "id").stdout.strip()


def entry_of(daemon):
    return f"{node_id(daemon)}@{daemon.json('status')['listen'][0]}"


def done(daemon, *words, code=OK):
    result = daemon.weft("bootstrap", *words)
    check_eq(result.returncode, code, f"bootstrap {words}: {result.stdout}{result.stderr}")
    return result.stdout.strip() if code == OK else result.stderr


def sessions(daemon):
    return {peer["node_id"] for peer in daemon.json("peer", "list")["peers"] if peer["connected"]}


def test_two_daemons_connect_by_a_list_alone(lab):
    """Again after a restart of both."""
    a, issuer = (lab.daemon(name, config=ALONE).start() for name in ("a", "issuer"))
    path = lab.dir / "lab.list"
    path.write_text(done(issuer, "make", entry_of(a), "--title", "lab") + "\n")
    b = lab.daemon("b", config=ALONE).start()
    check_eq(sessions(b), set(), "before")
    check("does not trust" in done(b, "add", path, code=REFUSED), "an issuer that is not trusted")
    check("another node signed" in done(b, "add", path, "--trust", node_id(a), code=REFUSED), "another")
    done(b, "add", path, "--trust", node_id(issuer))
    wait_for(lambda: sessions(b) == {node_id(a)}, "b has met a")
    b.stop()
    a.stop()
    b.start()
    check_eq([row["title"] for row in b.json("bootstrap", "list")["bootstraps"]], ["lab"], "kept")
    a.listen = [a_address(path, b)]
    a.start()
    wait_for(lambda: sessions(b) == {node_id(a)}, "b has met a again")


def a_address(path, reader):
    return reader.call("ReadBootstrap", list=path.read_text())["bootstrap"]["entries"][0].split("@")[1]


def test_a_list_is_a_way_into_mainline(lab):
    a = lab.daemon("a", config=MAINLINE).start()
    b = lab.daemon("b", config=MAINLINE).start()
    address = a.json("status")["listen"][0]
    done(b, "add", done(b, "make", address))

    def good():
        return sum(net["good"] for net in b.json("dht", "status")["dht"]["networks"])
    wait_for(lambda: good() >= 1, "b knows a node of the DHT")
    check_eq(sessions(b), set(), "an entry without a key is no peer")


def test_a_check_reports_the_outcome_of_each_entry(lab):
    a, b, c = (lab.daemon(name, config=MAINLINE).start() for name in "abc")
    at = a.json("status")["listen"][0]
    path = lab.dir / "entries.txt"
    path.write_text(f"# nodes of the test\n{entry_of(a)}\n{node_id(c)}@{at}  # another's address\n\n"
                    f"{node_id(c)}@127.0.0.1:9\n{at}\n127.0.0.1:9\n{entry_of(b)}\n")
    text = done(b, "sign", path)
    b.weft("peer", "connect", node_id(a), at)
    result = b.weft("bootstrap", "check", text)
    check_eq(result.returncode, FAILED, result.stderr)
    rows = {row["entry"]: row for row in b.call("CheckBootstrap", list=text)["checks"]}
    check_eq(len(rows), 6, rows)

    def row(entry):
        return tuple(rows[entry].get(field) for field in ("answered", "matched", "why"))
    check_eq(row(entry_of(a)), (True, True, None), "a")
    wrong = f"{node_id(c)}@{at}"
    check_eq(row(wrong), (True, False, "another node answers there"), "another's")
    check_eq(rows[wrong]["actual_key"], node_id(a), "who is there")
    check_eq(row(f"{node_id(c)}@127.0.0.1:9"), (False, False, "no answer"), "nobody")
    check_eq(row(at), (True, None, None), "of Mainline")
    check_eq(row("127.0.0.1:9"), (False, None, "no answer"), "nobody of Mainline")
    check_eq(row(entry_of(b)), (True, True, None), "itself")
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    check_eq(sorted(line[0] for line in lines), sorted(rows), "the table")
    check_eq(b.weft("bootstrap", "check", done(b, "make", entry_of(a))).returncode, OK, "all answer")


def test_what_is_not_to_be_believed_is_refused(lab):
    a, b = (lab.daemon(name, config=ALONE).start() for name in "ab")
    old = done(a, "make", "192.0.2.1:6881")
    new = done(a, "retire", old, "192.0.2.9:6881", code=NOT_FOUND)
    check("no such entry" in new, new)
    new = done(a, "sign", old, "--title", "renewed")
    forged = old[:200] + ("y" if old[200] != "y" else "b") + old[201:]
    trust = ("--trust", node_id(a))
    done(b, "add", forged, *trust, code=NOT_VERIFIED)
    done(b, "add", old[:-9], *trust, code=FAILED)
    done(b, "add", "mesh-bootstrap:", *trust, code=FAILED)
    done(b, "add", lab.dir / "absent", *trust, code=FAILED)
    done(b, "add", new, *trust)
    check("serial is not above" in done(b, "add", old, code=NOT_VERIFIED), "an older one")
    check("kept already" in done(b, "add", new, code=REFUSED), "the same")
    done(a, "make", *[f"192.0.2.1:{port}" for port in range(1, 15)], "--days", "401", code=USAGE)
    path = lab.dir / "many.txt"
    path.write_text("".join(f"192.0.2.1:{port}\n" for port in range(1, 34)))
    check("more than 32" in done(a, "sign", path, code=USAGE), "33 entries")
    for entry in ("nobody", "192.0.2.1", "abc@192.0.2.1:7000", "192.0.2.1:0"):
        done(a, "make", entry, code=USAGE)


def test_a_retired_list_is_used_no_more_and_not_replaced_by_an_older_one(lab):
    a, b = (lab.daemon(name, config=ALONE).start() for name in "ab")
    old = done(a, "make", entry_of(a), "192.0.2.1:6881")
    done(b, "add", old, "--trust", node_id(a))
    wait_for(lambda: sessions(b) == {node_id(a)}, "b has met a")
    less = done(a, "retire", old, "192.0.2.1:6881")
    done(b, "add", less)
    check_eq([row["entries"] for row in b.json("bootstrap", "list")["bootstraps"]], [[entry_of(a)]], "less")
    done(b, "add", done(a, "retire", less))
    b.stop()
    b.start()
    lists = b.json("bootstrap", "list")["bootstraps"]
    check_eq([(row["state"], row["entries"]) for row in lists], [("retired", [])], "retired")
    done(b, "add", old, code=NOT_VERIFIED)
    done(b, "remove", node_id(a))
    done(b, "remove", node_id(a), code=NOT_FOUND)
    check_eq(b.json("bootstrap", "list")["bootstraps"], [], "forgotten")
    done(b, "add", old, code=REFUSED)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="nodes meet by lists of addresses alone")
