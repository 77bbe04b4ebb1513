#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a worker allocates once it runs, counted by caller.

weftd-trap is weftd with malloc and its kin replaced (support/malloc_trap.c).
The data path never allocates; what does allocates by the command, never by
the file or the byte. The shares of the libraries are measured and told.
"""
import collections
import os
import pathlib
import re
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
import lab as weft_lab
from lab import OK, Skip, check, check_eq, run, same_tree, wait_for
from web import GATEWAY, curl, url_of

PLAIN = weft_lab.WEFTD
TRAP = os.path.join(os.environ.get("BUILD", "build/release"), "weftd-trap")
MIB = 1 << 20
# From the packet to the frame: nothing here allocates after the start.
DATA_PATH = ("base", "codec", "crypto", "net", "quic", "tcp", "tls", "mesh")
# What a peer's message makes a node hold: laid out at start, too.
OF_MESSAGES = ("userspace/worker/", "userspace/blobs/serve/serve_")
# Values of the overlay and peers are kept by batches of the store: one for all that comes within a window.
BATCHES = ("userspace/overlay/overlay_persist.c", "userspace/mesh/peers/peers.c")
BATCH_MAX = 8
# The control interface: by the command.
COMMANDS = ("userspace/codec/json_heap.c", "userspace/control/", "userspace/varlink/")
CALLER_CNT = 4096


class Counts:
    """What a daemon's worker has asked for since it runs."""

    def __init__(self, path):
        words = struct.unpack(f"={2 + 2 * CALLER_CNT}Q", path.read_bytes())
        self.openssl_live, self.openssl_calls = words[:2]
        self.callers = collections.Counter()
        for at in range(2, len(words), 2):
            if words[at + 1]:
                self.callers[words[at]] += words[at + 1]

    def since(self, before):
        return self.callers - before.callers


def places(callers):
    """{(module, "function file:line"): count}; a library is the module ""."""
    addresses = list(callers)
    # The call stands before the address it returns to.
    done = subprocess.run(["addr2line", "-f", "-e", TRAP, *(hex(at - 1) for at in addresses)],
                          capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    named = collections.Counter()
    for at, function, place in zip(addresses, lines[::2], lines[1::2]):
        inside = re.search(r"userspace/(\w+)/\S+", place)
        named[inside.group(1) if inside else "", f"{function} {inside.group(0) if inside else ''}"] += callers[at]
    return named


def ours(callers):
    return collections.Counter({key: count for key, count in places(callers).items()
                                if key[0] and not any(place in key[1] for place in COMMANDS)})


def tell(title, callers):
    by_module = collections.Counter()
    for (module, _), count in places(callers).items():
        by_module[module or "libraries"] += count
    print(f"# {title}: {dict(by_module) or 'nothing'}")


class Trapped:
    def __init__(self, lab, name, config=""):
        if not os.path.exists(TRAP):
            raise Skip(f"{TRAP} is not built")
        self.path = lab.dir / f"{name}.trap"
        os.environ["WEFT_TRAP"] = str(self.path)
        weft_lab.WEFTD = TRAP
        self.daemon = lab.daemon(name, config=config).start()

    def counts(self):
        return Counts(self.path)


def get(getter, link, out):
    done = getter.daemon.weft("get", link, "--to", out)
    check_eq(done.returncode, OK, f"get: {done.stderr}")


def check_data_path(title, callers):
    guilty = {key: count for key, count in ours(callers).items()
              if key[0] in DATA_PATH and not (
                  count <= BATCH_MAX and any(place in key[1] for place in BATCHES))}
    check(not guilty, f"{title}: allocations on the data path: {guilty}")


def test_the_data_path_does_not_allocate(lab):
    a, b = Trapped(lab, "a"), Trapped(lab, "b")
    root = lab.folder("root", {f"{i}.bin": 300000 for i in range(60)})
    link = a.daemon.share(root)
    get(b, link, lab.dir / "out")
    same_tree(root, lab.dir / "out")
    a.daemon.weft("status", "--json")
    for name, trapped in (("a", a), ("b", b)):
        counts = trapped.counts()
        tell(f"{name}, 60 files", counts.callers)
        check(ours(counts.callers), f"{name}: the trap counts nothing of this program")
        check_data_path(name, counts.callers)


def check_messages(title, callers):
    guilty = {key: count for key, count in ours(callers).items()
              if any(place in key[1] for place in OF_MESSAGES)}
    check(not guilty, f"{title}: allocations for messages of peers: {guilty}")


def test_range_proofs_for_peers_cost_no_allocation(lab):
    """A reader that seeks asks for range proofs."""
    a = Trapped(lab, "a")
    weft_lab.WEFTD = PLAIN
    b = lab.daemon("b", config=GATEWAY).start()
    root = lab.folder("root", {"film": 8 * MIB})
    a.daemon.json("share", "new", "films", "--public")
    a.daemon.json("share", "publish", "films", root)
    link = a.daemon.weft("share", "link", "films").stdout.split()[-1]
    check_eq(b.weft("sub", "add", link).returncode, OK, "followed")
    path = f"/share/{a.daemon.json('share', 'show', 'films')['share']['share_id']}/film"
    # The first makes the connection.
    for at in (1, 3, 5, 7):
        before = a.counts()
        status, _, body = curl("-r", f"{at * MIB}-{at * MIB + 1000}", url_of(b) + path)
        check_eq((status, len(body)), (206, 1001), "a seek")
    check(body == (root / "film").read_bytes()[7 * MIB:7 * MIB + 1001], "other bytes")
    tell("a, a seek", a.counts().since(before))
    check_messages("a", a.counts().callers)


def test_frames_to_streams_of_other_workers_cost_no_allocation(lab):
    a = Trapped(lab, "a", "[node]\nworkers = 3\n[service]\nbuiltin = echo\n")
    weft_lab.WEFTD = PLAIN
    node = fabric.node_id(a.daemon)
    link = a.daemon.share(lab.folder("root", {"x": 1}))  # which has the address

    def home_alone():
        return not any(worker["sessions"] for worker in a.daemon.json("status")["workers"][1:])

    for i in range(60):
        b = lab.daemon(f"b{i}").start()
        check_eq(b.weft("get", link, "--to", lab.dir / f"out{i}").returncode, OK, "connected")
        done = b.weft("service", "call", "echo", "Say", "x", "--provider", node)
        check_eq(done.returncode, OK, f"call: {done.stderr}")
        wait_for(lambda: a.daemon.json("status")["sessions"] > 0, "a session is reported")
        if not home_alone():
            break
        b.stop()
    check(not home_alone(), "another worker has a session")
    check_messages("a", a.counts().callers)


def test_bytes_cost_no_allocation(lab):
    a, b = Trapped(lab, "a"), Trapped(lab, "b")
    seen = {}
    for mib in (1, 4, 64):  # the first makes the connection
        link = a.daemon.share(lab.folder(f"root{mib}", {"one.bin": mib * MIB}, seed=mib))
        before = a.counts(), b.counts()
        get(b, link, lab.dir / f"out{mib}")
        after = a.counts(), b.counts()
        seen[mib] = [sum(ours(now.since(then)).values()) for now, then in zip(after, before)]
        calls = [now.openssl_calls - then.openssl_calls for now, then in zip(after, before)]
        print(f"# {mib} MiB: ours {seen[mib]}, OpenSSL {calls}")
    # Progress that is told on the way may cost a little.
    for name, small, large in zip(("server", "getter"), seen[4], seen[64]):
        check(large <= small + 8, f"{name}: {small} allocations for 4 MiB, {large} for 64 MiB")


def test_files_cost_no_allocation(lab):
    a, b = Trapped(lab, "a"), Trapped(lab, "b")
    seen = {}
    for cnt in (20, 21, 320):  # the first makes the connection
        # Of one chunk and of several, just written: their stamps are not trusted yet.
        files = {f"{i}.bin": 600000 if i % 2 else 3000 for i in range(cnt)}
        link = a.daemon.share(lab.folder(f"root{cnt}", files, seed=cnt))
        before = a.counts(), b.counts()
        get(b, link, lab.dir / f"out{cnt}")
        callers = [ours(now.since(then)) for now, then in zip((a.counts(), b.counts()), before)]
        seen[cnt] = [sum(each.values()) for each in callers]
        print(f"# {cnt} files: ours {seen[cnt]}")
    # Lists that grow by doubling, and progress that is told on the way.
    for name, few, many, where in zip(("server", "getter"), seen[21], seen[320], callers):
        check(many <= few + 16, f"{name}: {few} allocations for 21 files, {many} for 320: {where}")


def test_memory_of_openssl_for_a_connection_is_reported(lab):
    a, b = Trapped(lab, "a"), Trapped(lab, "b")
    link = a.daemon.share(lab.folder("root", {"x": 1}))
    before = a.counts(), b.counts()
    get(b, link, lab.dir / "out")
    held = [now.openssl_live - then.openssl_live for now, then in zip((a.counts(), b.counts()), before)]
    print(f"# OpenSSL holds {held[0]} bytes for the accepted and {held[1]} for the dialled connection")
    check(all(0 < each < 64 * 1024 for each in held), f"OpenSSL holds {held} bytes for a connection")


if __name__ == "__main__":
    run([test_the_data_path_does_not_allocate,
         test_range_proofs_for_peers_cost_no_allocation,
         test_frames_to_streams_of_other_workers_cost_no_allocation,
         test_bytes_cost_no_allocation,
         test_files_cost_no_allocation,
         test_memory_of_openssl_for_a_connection_is_reported])
