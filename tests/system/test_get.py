#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two daemons on loopback share a folder, fetch it, and survive kill -9.

    a (shares) --127.0.0.1-- b (gets)
"""
import json
import os
import pathlib
import stat
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import (DEADLINE_S, FAILED, NOT_FOUND, OK, check, check_eq, run, run_plain, same_tree, wait_for)

CHUNK = 256 * 1024
SIZES = [0, 1, 1023, 1024, 1025, 16 * 1024, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 5 * CHUNK + 77]


def pair(lab):
    return lab.daemon("a").start(), lab.daemon("b").start()


def get(daemon, link, target, *extra):
    done = daemon.weft("get", link, "--to", target, *extra)
    check_eq(done.returncode, OK, f"get: {done.stderr}")
    return done


def test_a_folder_arrives_whole(lab):
    a, b = pair(lab)
    files = {f"size-{size}": size for size in SIZES}
    files |= {f"deep/er/{i}.bin": 100 * i for i in range(40)}
    files["with space and ü.txt"] = 10
    root = lab.folder("root", files)
    (root / "empty").mkdir()
    get(b, a.share(root), lab.dir / "out")
    same_tree(root, lab.dir / "out")
    check(not list((lab.dir / "out").glob(".weft*")), "staging is left behind")


def test_a_single_file_arrives(lab):
    a, b = pair(lab)
    root = lab.folder("root", {"one.bin": 3 * CHUNK + 5})
    get(b, a.share(root / "one.bin"), lab.dir / "out")
    same_tree(root, lab.dir / "out")


def test_the_link_alone_is_on_stdout_when_piped(lab):
    a, _ = pair(lab)
    done = a.weft("share", "add", lab.folder("root", {"x": 1}))
    check(done.stdout.startswith("mesh:") and done.stdout.count("\n") == 1, repr(done.stdout))


def get_under_way(lab, a, b, link):
    """A get whose end is as far away as a makes it."""
    a.limit_upload("160mbit")
    waiting = b.weft_popen("get", link, "--to", str(lab.dir / "out"))
    wait_for(lambda: (gets := b.json("get", "list")) and gets["gets"] and
             gets["gets"][0]["bytes_done"] > 20 * CHUNK, "some bytes are done")
    return waiting


def test_a_get_killed_half_way_goes_on_from_what_is_verified(lab):
    a, b = pair(lab)
    root = lab.folder("root", {f"{i}.bin": 24 * CHUNK for i in range(20)})
    waiting = get_under_way(lab, a, b, a.share(root))
    b.kill()
    waiting.wait()
    a.limit_upload("none")
    b.start()
    row = wait_for(lambda: next((t for t in b.json("get", "list")["gets"]
                                if t["state"] == "finished"), None), "it finished")
    same_tree(root, lab.dir / "out")
    check(row["bytes_received"] < row["bytes"], f"everything was fetched again: {row}")


def test_a_get_goes_on_after_its_daemon_was_stopped_in_order(lab):
    a, b = pair(lab)
    root = lab.folder("root", {f"{i}.bin": 24 * CHUNK for i in range(20)})
    waiting = get_under_way(lab, a, b, a.share(root))
    b.stop()
    waiting.communicate()
    a.limit_upload("none")
    b.start()
    state = wait_for(lambda: next((t["state"] for t in b.json("get", "list")["gets"]
                                   if t["state"] in ("finished", "stopped")), None), "it ended")
    check_eq(state, "finished", "the get after a restart")
    same_tree(root, lab.dir / "out")


def test_a_sender_that_restarts_is_found_again(lab):
    a, b = pair(lab)
    port = a.json("status")["listen"][0]
    a.listen = [port]
    root = lab.folder("root", {f"{i}.bin": 24 * CHUNK for i in range(20)})
    waiting = get_under_way(lab, a, b, a.share(root))
    a.kill()
    time.sleep(0.3)
    a.start()
    a.limit_upload("none")
    out, err = waiting.communicate(timeout=DEADLINE_S)
    check_eq(waiting.returncode, OK, f"get: {out}{err}")
    same_tree(root, lab.dir / "out")


def test_a_sender_killed_and_back_on_another_port_is_found_at_once(lab):
    a, b = pair(lab)
    root = lab.folder("root", {"x": 5 * CHUNK})
    get(b, a.share(root), lab.dir / "out")
    before = a.json("status")["listen"]
    a.kill()
    a.start()
    check(a.json("status")["listen"] != before, "the port is the same: nothing is shown")
    link = a.share(root)
    begun = time.monotonic()
    get(b, link, lab.dir / "out2")
    check(time.monotonic() - begun < 20, "the get waited a minute for the dead session")
    same_tree(root, lab.dir / "out2")


def test_a_get_into_a_full_copy_fetches_nothing(lab):
    a, b = pair(lab)
    root = lab.folder("root", {f"{i}.bin": CHUNK for i in range(5)})
    link = a.share(root)
    get(b, link, lab.dir / "out")
    get(b, link, lab.dir / "out")
    last = b.json("get", "list")["gets"]
    last = max(last, key=lambda t: t["get_id"])
    check_eq(last["bytes_received"], 0, "bytes received again")


def test_a_different_file_in_the_way_is_not_overwritten(lab):
    a, b = pair(lab)
    root = lab.folder("root", {"x": 1000})
    link = a.share(root)
    (lab.dir / "out").mkdir()
    (lab.dir / "out" / "x").write_text("mine")
    done = b.weft("get", link, "--to", lab.dir / "out")
    check(done.returncode != OK and "x" in done.stderr, done.stderr)
    check_eq((lab.dir / "out" / "x").read_text(), "mine", "the file in the way")
    get(b, link, lab.dir / "out", "--replace")
    same_tree(root, lab.dir / "out")


def test_equal_files_are_fetched_once(lab):
    a, b = pair(lab)
    root = lab.folder("root", {"one": 8 * CHUNK})
    for i in range(5):
        (root / f"copy{i}").write_bytes((root / "one").read_bytes())
    get(b, a.share(root), lab.dir / "out")
    same_tree(root, lab.dir / "out")
    row = b.json("get", "list")["gets"][0]
    check(row["bytes_received"] < 9 * CHUNK, f"twins were fetched: {row}")


def test_a_range_is_the_bytes_asked_for(lab):
    a, b = pair(lab)
    root = lab.folder("root", {"one.bin": 10 * CHUNK})
    link = a.share(root / "one.bin")
    get(b, link, lab.dir / "out", "--range", "300000+70000")
    parts = [p for p in (lab.dir / "out").iterdir() if p.is_file()]
    check_eq(len(parts), 1, "files written")
    want = (root / "one.bin").read_bytes()[300000:370000]
    check(parts[0].read_bytes() == want, "the range differs")


def test_a_changed_file_is_noticed_and_never_served_wrong(lab):
    a, b = pair(lab)
    root = lab.folder("root", {"x": 3 * CHUNK, "y": 10})
    link = a.share(root)
    data = bytearray((root / "x").read_bytes())
    data[CHUNK + 7] ^= 1
    (root / "x").write_bytes(data)
    done = b.weft("get", link, "--to", lab.dir / "out")
    check(done.returncode != OK and "chang" in done.stderr, done.stderr)
    check(not (lab.dir / "out" / "x").exists(), "a wrong file arrived")
    # A later asker gets the same reason, and so does a repeated one.
    for who in b, lab.daemon("c").start():
        done = who.weft("get", link, "--to", lab.dir / "later")
        check(done.returncode != OK and "x has changed" in done.stderr, done.stderr)
    check(a.json("share", "list")["shares"][0]["changed_files"] >= 1, "not noticed")
    get(b, a.share(root), lab.dir / "out2")
    same_tree(root, lab.dir / "out2")


def test_what_cannot_be_shared_is_counted_and_skipped(lab):
    a, b = pair(lab)
    root = lab.folder("root", {"x": 10})
    (root / "link").symlink_to("/etc/passwd")
    run_plain("mkfifo", str(root / "pipe"))
    with open(bytes(root) + b"/bad-\xff", "wb") as bad:
        bad.write(b"1")
    reply = a.json("share", "add", root)
    done = reply["import"]
    check_eq((done["skipped_symlinks"], done["skipped_special"], done["skipped_names"]), (1, 1, 1),
             "skipped")
    get(b, reply["link"], lab.dir / "out")
    check_eq(sorted(p.name for p in (lab.dir / "out").iterdir()), ["x"], "arrived")


def test_times_modes_and_links_arrive(lab):
    a, b = pair(lab)
    root = lab.folder("root", {"bin/run": 10, "big": 3 * CHUNK, "text": 10})
    (root / "bin/run").chmod(0o4755)
    os.utime(root / "big", ns=(0, 1_600_000_000_123_456_789))
    (root / "latest").symlink_to("bin/run")
    (root / "bin/up").symlink_to(".././big")
    (root / "out").symlink_to("bin/../../../etc/passwd")
    reply = a.json("share", "add", root)
    check_eq(reply["import"]["skipped_symlinks"], 1, "links that lead out")
    out = lab.dir / "out"
    get(b, reply["link"], out)
    check_eq(os.readlink(out / "latest"), "bin/run", "link")
    check_eq(os.readlink(out / "bin/up"), "../big", "link upwards")
    check(not os.path.lexists(out / "out"), "a link that leads out arrived")
    check_eq(stat.S_IMODE((out / "bin/run").stat().st_mode) & 0o7111, 0o111, "mode")
    check_eq((out / "text").stat().st_mode & 0o111, 0, "mode of a text")
    check_eq((out / "big").stat().st_mtime_ns, 1_600_000_000_123_456_789, "time")
    check_eq((out / "text").stat().st_mtime_ns, (root / "text").stat().st_mtime_ns, "time")


def test_a_removed_share_is_not_served_and_its_data_goes_with_gc(lab):
    a, b = pair(lab)
    link = a.share(lab.folder("root", {"x": 5 * CHUNK}))
    check_eq(a.weft("share", "remove", link).returncode, OK, "remove")
    check_eq(a.weft("share", "remove", link).returncode, NOT_FOUND, "remove again")
    done = b.weft("get", link, "--to", lab.dir / "out")
    check(done.returncode in (FAILED, NOT_FOUND), done.stderr)
    check(a.json("gc", "plan")["unreferenced"]["objects"] >= 1, "nothing to collect")
    check_eq(a.weft("gc", "run").returncode, OK, "gc run")
    check_eq(a.json("gc", "plan")["unreferenced"]["objects"], 0, "left after gc")
    check((lab.dir / "root" / "x").exists(), "gc touched the shared file")


def test_shares_and_gets_survive_kill(lab):
    a, b = pair(lab)
    root = lab.folder("root", {"x": 5 * CHUNK})
    link = a.share(root)
    a.listen = a.json("status")["listen"]
    a.kill()
    a.start()
    check_eq(len(a.json("share", "list")["shares"]), 1, "shares after kill -9")
    get(b, link, lab.dir / "out")
    same_tree(root, lab.dir / "out")
    b.stop()
    b.start()
    check_eq(b.json("get", "list")["gets"][0]["state"], "finished", "get after restart")
    known = [peer["node_id"] for peer in b.json("peer", "list")["peers"]]
    check_eq(known, [a.json("node", "id")["node_id"]], "peers are kept")


def test_what_a_get_brings_is_changed_while_it_runs_and_kept_over_kill(lab):
    a, b = pair(lab)
    root = lab.folder("root", {"x": 480 * CHUNK, "y/1": 10, "y/2": 20})
    waiting = get_under_way(lab, a, b, a.share(root))
    row, = b.json("get", "list")["gets"]
    done = b.weft("get", "set", row["get_id"], "--only", "y/", "--exclude", "2", "--first", "1")
    check_eq(done.returncode, OK, done.stderr)
    b.kill()
    waiting.wait(timeout=DEADLINE_S)
    # A small file may have been whole before it was not wanted any more; it stays.
    was_here = (lab.dir / "out" / "y/2").exists()
    b.start()
    wait_for(lambda: b.json("get", "list")["gets"][0]["state"] == "finished", "the get ends")
    row, = b.json("get", "list")["gets"]
    check_eq((row["only"], row["exclude"], row["first"], row["items"]),
             (["y/"], ["2"], ["1"], 1), "choice")
    check(not (lab.dir / "out" / "x").exists(), "unwanted")
    check_eq((lab.dir / "out" / "y/2").exists(), was_here, "unwanted, and not here before")
    check((lab.dir / "out" / "y/1").exists(), "wanted")
    check_eq(b.weft("get", "set", row["get_id"]).returncode, 2, "nothing to set")


def test_a_get_cancelled_half_way_is_resumed_from_there(lab):
    a, b = pair(lab)
    root = lab.folder("root", {"x": 240 * CHUNK})
    watch = b.weft_popen("event", "watch", "--json")
    overdue = threading.Timer(DEADLINE_S, watch.kill)
    overdue.start()
    waiting = get_under_way(lab, a, b, a.share(root))
    row, = b.json("get", "list")["gets"]
    check_eq(b.weft("get", "cancel", row["get_id"]).returncode, OK, "cancel")
    check(waiting.wait(timeout=DEADLINE_S) != OK, "the waiting command saw no cancel")
    cancelled = wait_for(lambda: next((row for row in b.json("get", "list")["gets"]
                                       if row["state"] == "cancelled"), None), "it ended")
    check(0 < cancelled["bytes_done"] < cancelled["bytes"], cancelled)
    check(list((lab.dir / "out").glob(".weft*")), "what is not whole stays")
    b.kill()  # and over a restart; by itself it does not go on
    watch.communicate()
    b.start()
    check_eq(b.json("get", "list")["gets"][0]["state"], "cancelled", "after the restart")
    watch = b.weft_popen("event", "watch", "--json")
    a.limit_upload("none")
    check_eq(b.weft("get", "resume", row["get_id"]).returncode, OK, "resumed")
    same_tree(root, lab.dir / "out")
    resumed, = b.json("get", "list")["gets"]
    check(resumed["bytes_received"] < resumed["bytes"], f"all of it came again: {resumed}")
    told = []
    for line in watch.stdout:
        event = json.loads(line).get("event", {})
        if event.get("kind", "").startswith("get."):
            told.append((event["fields"]["bytes_done"], event["fields"]["bytes"]))
        if event.get("kind") == "get.done":
            break
    overdue.cancel()
    watch.kill()
    watch.communicate()
    check_eq(told[-1], (240 * CHUNK, 240 * CHUNK), "events tell how far it is")
    check_eq(told, sorted(told), "and it only grows")


def import_events(watch, last):
    """The import events up to the kind last, as (kind, bytes done, bytes)."""
    told = []
    overdue = threading.Timer(DEADLINE_S, watch.kill)
    overdue.start()
    for line in watch.stdout:
        event = json.loads(line).get("event", {})
        if event.get("kind", "").startswith("import."):
            told.append((event["kind"], event["fields"]["bytes_done"], event["fields"]["bytes"]))
        if told and told[-1][0] == last:
            break
    overdue.cancel()
    return told


def test_events_of_an_import_have_its_bytes(lab):
    a, _ = pair(lab)
    root = lab.folder("root", {"x": 40 * CHUNK, "y": 7})
    a.share(root)
    watch = a.weft_popen("event", "watch", "--since", "1", "--json")
    size = 40 * CHUNK + 7
    told = import_events(watch, "import.done")
    check("import.progress" in [kind for kind, _, _ in told], told)
    check_eq(told[-1], ("import.done", size, size), "the last has all of it")
    check(all(done <= cnt for _, done, cnt in told), told)
    check_eq([done for _, done, _ in told], sorted(done for _, done, _ in told), "it only grows")
    # A published share is imported, too: what is known already counts as done.
    (root / "z").write_bytes(b"1234")
    check_eq(a.weft("share", "new", "docs").returncode, OK, "share new")
    check_eq(a.weft("share", "publish", "docs", root).returncode, OK, "publish")
    check_eq(import_events(watch, "import.done")[-1][1:], (size + 4, size + 4), "all of it")
    # One that is taken back says so, and how far it came.
    big = lab.dir / "big"
    big.mkdir()
    with open(big / "sparse", "wb") as file:
        file.truncate(200 << 30)
    adding = a.weft_popen("share", "add", big)
    row, = wait_for(lambda: a.json("share", "list")["imports"], "it is imported")
    check_eq(a.weft("share", "cancel", row["import_id"]).returncode, OK, "cancel")
    check(adding.wait(timeout=DEADLINE_S) != OK, "the waiting command saw no cancel")
    kind, done, cnt = import_events(watch, "import.cancelled")[-1]
    check(done < cnt == 200 << 30, (kind, done, cnt))
    watch.kill()
    watch.communicate()


def test_a_cancelled_get_leaves_no_staging(lab):
    a, b = pair(lab)
    waiting = get_under_way(lab, a, b, a.share(lab.folder("root", {"x": 480 * CHUNK})))
    row, = b.json("get", "list")["gets"]
    check_eq(b.weft("get", "cancel", row["get_id"], "--discard").returncode, OK, "cancel")
    check(waiting.wait(timeout=DEADLINE_S) != OK, "the waiting command saw no cancel")
    wait_for(lambda: not list((lab.dir / "out").glob(".weft*")), "staging is removed")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
