#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real daemons that get from each other: several sources, sources that die, a
full disk, what a get is told to fetch and when.

  n1 .. n5 (10.77.0.1 ..) on one switch
"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import lab
from lab import check, check_eq, wait_for

MIB = 1 << 20
LISTS = 65536  # manifest and chunk lists; less than a chunk


def daemons(lab_, cnt):
    names = lab_.bridge(cnt)
    return [lab_.daemon(f"n{i + 1}", netns=name, listen=[f"10.77.0.{i + 1}:7000"]).start()
            for i, name in enumerate(names)]


def shape(nodes, mbit):
    for node in nodes:
        subprocess.run(["ip", "netns", "exec", node.netns, "tc", "qdisc", "replace", "dev", "veth0",
                        "root", "tbf", "rate", f"{mbit}mbit", "burst", "256kb", "latency", "50ms"],
                       check=True)


def get(daemon, *words, code=lab.OK):
    done = daemon.weft("get", *words)
    check_eq(done.returncode, code, f"{daemon.name}: weft get: {done.stderr}")
    return done


def get_of(daemon):
    return daemon.json("get", "list")["gets"][-1]


def test_others_are_found_and_the_first_source_may_die(lab_):
    """n2 and n3 have it from n1. n4 knows n1 alone, which dies half way."""
    n1, n2, n3, n4 = nodes = daemons(lab_, 4)
    shape(nodes, 100)
    source = lab_.folder("source", {"file": 24 * MIB})
    link = n1.share(source)
    getting = [node.weft_popen("get", link, "--to", lab_.dir / node.name) for node in (n2, n3)]
    for process in getting:
        check_eq(process.wait(lab.DEADLINE_S), 0, "n2 and n3 have it")
    shape([n1], 8)  # of it alone n4 would have it in 24 s
    get(n4, link, "--to", lab_.dir / "n4", "--detach")
    wait_for(lambda: get_of(n4)["sources"] >= 2, "others are found")
    wait_for(lambda: get_of(n4)["bytes_done"] > 6 * MIB, "some of it is there")
    n1.kill()
    wait_for(lambda: get_of(n4)["state"] == "finished", "it went on without n1")
    lab.same_tree(source, lab_.dir / "n4")
    row = get_of(n4)
    check(row["bytes_received"] < row["bytes"] + LISTS, "nothing was fetched twice")


def test_a_full_disk_is_said_before_anything_is_fetched_and_resumed_from(lab_):
    """n2's target is a filesystem of 8 MiB, which then grows."""
    lab.need_root()
    target = lab_.dir / "small"
    target.mkdir()
    # Before n2 begins: each namespace's processes see the mounts there were then.
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", target], check=True)
    n1, n2 = daemons(lab_, 2)
    source = lab_.folder("source", {"large": 6 * MIB, **{f"s/{i}": 200000 for i in range(30)}})
    link = n1.share(source)
    try:
        done = get(n2, link, "--to", target, code=lab.FAILED)
        check("space" in done.stderr, f"it says why: {done.stderr}")
        check("resume" in done.stderr, f"and what to do: {done.stderr}")
        before = get_of(n2)["bytes_done"]
        subprocess.run(["mount", "-o", "remount,size=64m", target], check=True)
        check_eq(n2.weft("get", "resume", "1").returncode, lab.OK, "it goes on")
        lab.same_tree(source, target)
        row = get_of(n2)
        check(row["bytes_received"] <= row["bytes"] - before + LISTS,
              "what was there is not fetched again")
    finally:
        n2.kill()
        subprocess.run(["umount", "-l", target], check=True)


def test_only_some_files_and_bytes_are_fetched(lab_):
    n1, n2 = daemons(lab_, 2)
    source = lab_.folder("source", {"a.iso": 3 * MIB, "b.txt": 1000, "docs/c.txt": 2000})
    link = n1.share(source)
    get(n2, link, "--to", lab_.dir / "txt", "--only", "*.txt")
    found = sorted(str(p.relative_to(lab_.dir / "txt")) for p in (lab_.dir / "txt").rglob("*.*"))
    check_eq(found, ["b.txt", "docs/c.txt"], "files that match")
    check(get_of(n2)["bytes_received"] < 100000, "and no others were asked for")
    link = n1.share(source / "a.iso")
    get(n2, link, "--to", lab_.dir / "part", "--range", "0-1000", "--range", "1M+64K")
    whole = (source / "a.iso").read_bytes()
    check_eq((lab_.dir / "part" / "a.iso.0-1000").read_bytes(), whole[:1000], "the first")
    check_eq((lab_.dir / "part" / "a.iso.1048576-65536").read_bytes(),
             whole[MIB:MIB + 65536], "the second")


def test_a_get_is_paused_and_resumed_by_command(lab_):
    n1, n2 = nodes = daemons(lab_, 2)
    shape(nodes, 20)
    source = lab_.folder("source", {"file": 12 * MIB})
    link = n1.share(source)
    get(n2, link, "--to", lab_.dir / "out", "--detach", "--priority", "1")
    wait_for(lambda: get_of(n2)["bytes_done"] > 2 * MIB, "some of it is there")
    check_eq(get_of(n2)["priority"], 1, "its priority")
    sources = n2.json("get", "sources", "1")["sources"]
    check_eq([row["node_id"] for row in sources], [n1.weft("node", "id").stdout.strip()], "whom")
    check_eq(n2.weft("get", "pause", "1").returncode, lab.OK, "paused")
    wait_for(lambda: get_of(n2)["state"] == "paused", "it stopped")
    n2.stop()
    n2.start()
    check_eq(get_of(n2)["state"], "paused", "after a restart")
    shape(nodes, 1000)
    check_eq(n2.weft("get", "set", "1", "--priority", "4").returncode, lab.OK, "set")
    check_eq(n2.weft("get", "resume", "1").returncode, lab.OK, "it goes on")
    lab.same_tree(source, lab_.dir / "out")
    check(get_of(n2)["bytes_reused"] > 2 * MIB, "from where it was")


lab.run([test_others_are_found_and_the_first_source_may_die,
         test_a_full_disk_is_said_before_anything_is_fetched_and_resumed_from,
         test_only_some_files_and_bytes_are_fetched,
         test_a_get_is_paused_and_resumed_by_command])
