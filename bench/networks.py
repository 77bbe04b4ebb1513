#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Networks of 5 to 50 nodes, each figure of one job. How long news takes through churn, loss
and partitions (nodes of the simulator, virtual time). What a collection of very many
files costs, and whether neighbours of one Ethernet hear each other alike (daemons, real
time).

Figures of the simulator repeat with $SEED. Nothing is a pass or a fail, but a simulated
network that does not converge is named as such.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import report

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "tests/system/support"))
from lab import OK, Lab, Mismatch, Skip, check_eq, wait_for  # noqa: E402

SEED = os.environ.get("SEED", "1")
FILE_CNT = int(os.environ.get("FILES", "20000"))
LISTEN = ["0.0.0.0:7000", "[::]:7000"]
LAN = "[lan]\ninterfaces = all\n"

# Simulator program, small or whole, and what its network does.
SIMULATED = (
    ("test_core", True, "5 nodes: a core converges once faults stop"),
    ("test_shares", True, "24 nodes: revisions of a share reach all, through churn and lies"),
    ("test_directory", False, "a service is found by all"),
    ("test_swarm", False, "50 nodes: a tree, through loss and crashes"),
    ("test_swarm_exchange", True, "a swarm exchanges what it has"),
    ("test_overlay", True, "values among liars"),
    ("test_dht", True, "records among liars and churn"),
    ("test_healing", False, "100 nodes: pairs behind NATs, by relays that come and go"),
)


def simulate(program, is_small):
    """The lines of figures that one simulated network prints, and how it ended."""
    env = os.environ | {"SEED": SEED}
    env.pop("SIM_SMALL", None)
    if is_small:
        env["SIM_SMALL"] = "1"
    began = time.monotonic()
    done = subprocess.run([report.BUILD / "tests/sim" / program], env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    figures = [line[2:] for line in done.stdout.splitlines() if line.startswith("# ")]
    figures += [f"did not hold: {line}" for line in done.stdout.splitlines()
                if line.startswith("not ok")]
    return {"figures": figures, "took_s": time.monotonic() - began, "status": done.returncode}


def large_collection(lab):
    """Two daemons: FILE_CNT files of 100 bytes are shared, and got."""
    a, b = lab.daemon("a").start(), lab.daemon("b").start()
    root = lab.folder("many", {f"{i % 100}/{i}": 100 for i in range(FILE_CNT)})
    began = time.monotonic()
    link = a.share(root)
    shared_s = time.monotonic() - began
    began = time.monotonic()
    check_eq(b.weft("get", link, "--to", lab.dir / "got").returncode, OK, "get")
    got_s = time.monotonic() - began
    return [f"{FILE_CNT} files: shared in {shared_s:.2f} s, got by another node in {got_s:.2f} s"]


def neighbours(lab):
    """Two daemons of one Ethernet: when each has the other among its peers, from the second's start on."""
    nodes = [lab.daemon(name, netns=netns, listen=LISTEN, config=LAN)
             for name, netns in zip("ab", lab.bridge(2))]
    nodes[0].start()
    began, heard_s = time.monotonic(), {}
    nodes[1].start()
    ids = [re.search(r"[a-z0-9]{52}", node.weft("node", "id").stdout).group() for node in nodes]

    def all_are_heard():
        for node, other in zip(nodes, reversed(ids)):
            peers = [peer["node_id"] for peer in node.json("peer", "list")["peers"]]
            if other in peers:
                heard_s.setdefault(node.name, time.monotonic() - began)
        return len(heard_s) == len(nodes)

    wait_for(all_are_heard, "both hear each other")
    return ["; ".join(f"{name} knows the other after {heard_s[name]:.2f} s" for name in heard_s)]


def measured(what, function):
    lab = Lab()
    began = time.monotonic()
    try:
        row = {"figures": function(lab), "status": 0}
    except Skip as why:
        row = {"figures": [f"skipped: {why}"], "status": 0}
    except Mismatch as why:
        row = {"figures": [f"did not hold: {why}"], "status": 1}
    finally:
        lab.close()
    return row | {"what": what, "took_s": time.monotonic() - began}


def show(row):
    print(f"\n{row['what']}  ({row['took_s']:.1f} s)")
    for line in row["figures"]:
        print(f"  {line}")
    sys.stdout.flush()


def main():
    rows = []
    for program, is_small, what in SIMULATED:
        rows.append({"what": f"{what} ({program})"} | simulate(program, is_small))
        show(rows[-1])
    rows.append(measured("a collection of very many files", large_collection))
    show(rows[-1])
    rows.append(measured("two neighbours of one Ethernet", neighbours))
    show(rows[-1])
    out = report.BUILD.parent / "bench" / "networks.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"bench": "networks", "seed": SEED, "machine": report.machine(),
                               "rows": rows}, indent=1))
    print(f"\n  figures: {out}")


main()
