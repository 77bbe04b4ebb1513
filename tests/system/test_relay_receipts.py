#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A relay and an owner of flows sign what was carried; both have the receipt, also after kill -9.

    namespaces n1 (10.77.0.1) relay, n2 (10.77.0.2) a, n3 (10.77.0.3) b on one switch;
    nftables in n2 and n3 drop what goes between them
"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from apart import node_id, part
from lab import OK, WEFT, check, check_eq, run, wait_for

LISTEN = ["0.0.0.0:7000"]
END = "[dht]\nenabled = no\n[relay]\nuse = always\n"
RELAY = "[dht]\nenabled = no\n[relay]\nenabled = yes\nflow_cap = 1024\n"
NOT_VERIFIED = 7


def place(lab):
    """The relay, and the ends a and b, each of which has a session with it."""
    namespaces = lab.bridge(3)
    part(namespaces[1], "10.77.0.3")
    part(namespaces[2], "10.77.0.2")
    relay, a, b = [lab.daemon(name, netns=netns, listen=LISTEN, config=config).start()
                   for name, netns, config in zip(("relay", "a", "b"), namespaces, (RELAY, END, END))]
    for end in (a, b):
        done = end.weft("peer", "connect", node_id(relay), "10.77.0.1:7000")
        check_eq(done.returncode, OK, f"{end.name} connects to the relay: {done.stderr}")
    return relay, a, b


def receipts(daemon, *more):
    return daemon.json("relay", "receipt", *more)["receipts"]


def verify(word):
    return subprocess.run([WEFT, "relay", "receipt", "verify", str(word)], text=True, capture_output=True)


def test_both_signers_have_the_receipt_of_what_was_carried(lab):
    relay, a, b = place(lab)
    wait_for(lambda: a.weft("peer", "connect", node_id(b)).returncode == OK, "a reaches b")
    check_eq(a.weft("peer", "ping", node_id(b), "--count", "20").returncode, OK, "pings")
    wait_for(lambda: receipts(a) and receipts(a)[0]["serial"] == 1, "the first receipt of the month",
             timeout=30)
    (mine,), (theirs,) = receipts(a), receipts(relay)
    check_eq((mine["side"], mine["node_id"]), ("owner", node_id(relay)), "at the owner")
    check_eq((theirs["side"], theirs["node_id"]), ("relay", node_id(a)), "at the relay")
    for name in ("month", "serial", "sent", "received", "signed_s", "receipt"):
        check_eq(mine[name], theirs[name], name)
    check(mine["sent"] > 2400 and mine["received"] > 2400, f"what two handshakes and pings take: {mine}")
    check_eq((mine["refused"], theirs["refused"]), (0, 0), "refused")
    check_eq(receipts(b), [], "the other end opened no flow")

    (lab.dir / "a.receipt").write_text(mine["receipt"] + "\n")
    done = verify(lab.dir / "a.receipt")
    check_eq(done.returncode, OK, done.stderr)
    check_eq(done.stdout.split("\t"),
             [mine["month"], node_id(relay), node_id(a), "1", str(mine["sent"]), str(mine["received"]),
              f"{mine['signed_s']}\n"], "what a third party reads")
    text = mine["receipt"]
    changed = text[:200] + ("y" if text[200] != "y" else "b") + text[201:]
    check_eq(verify(changed).returncode, NOT_VERIFIED, "a changed letter")
    check_eq(verify(text[:-2]).returncode, NOT_VERIFIED, "a cut receipt")

    check_eq(receipts(a, "--month", mine["month"]), [mine], "of its month")
    check_eq(receipts(a, "--month", "2001-01"), [], "of another month")
    check(a.weft("relay", "receipt", "--month", "2026-13").returncode != OK, "there is no such month")
    for daemon, row in ((relay, theirs), (a, mine)):
        daemon.kill()
        daemon.start()
        check_eq([got["receipt"] for got in receipts(daemon)], [row["receipt"]],
                 f"{daemon.name} has it after kill -9")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="nftables keeps the ends apart")
