#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each kind of bad input meets a clear error, and nothing is lost."""
import errno
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import (DEADLINE_S, FAILED, NO_DAEMON, NOT_VERIFIED, OK, REFUSED, TIMEOUT, USAGE, Skip, check, check_eq,
                 need_root, run, run_plain, same_tree, wait_for)

CHUNK = 256 * 1024
Z32 = "ybndrfg8ejkmcpqxot1uwisza345h769"


def pair(lab):
    return lab.daemon("a").start(), lab.daemon("b").start()


def refused(daemon, words, codes, *parts):
    """weft fails with one of codes and its words name every part."""
    done = daemon.weft(*words)
    check(done.returncode in codes, f"{words}: exit {done.returncode}: {done.stdout}{done.stderr}")
    for part in parts:
        check(part in done.stderr, f"{part!r} is not in: {done.stderr}")


def test_a_damaged_link_has_an_error_of_its_own(lab):
    a, b = pair(lab)
    link = a.share(lab.folder("root", {"x": 1}))
    out = str(lab.dir / "out")
    for text, why in ((link[:-7], "cut short"), ("mesh:", "cut short"), (link + "y", "appended"),
                      ("", "empty"), (" \n", "empty"),
                      ("https://x", '"https://x" does not begin with mesh:'),
                      ("magnet:?xt=urn:btih:" + 20 * "\u00e9", "does not begin with mesh:"),
                      (link[:20] + "0" + link[21:], "'0' occurs in no link"),
                      (link[:20] + " " + link[20:], "white space"),
                      ("mesh:" + link, "':' occurs in no link"),
                      (link[:30] + ("b" if link[30] == "y" else "y") + link[31:],
                       "its check does not match")):
        done = b.weft("get", text, "--to", out)
        check_eq(done.returncode, FAILED, f"{text!r}: {done.stderr}")
        what, step = done.stderr.splitlines()
        check(what.startswith("weft: link: ") and why in what, done.stderr)
        check(step.startswith("  "), done.stderr)
    for at in random.Random(3).sample(range(6, len(link)), 8):
        letter = next(c for c in Z32 if c != link[at])
        refused(b, ["get", link[:at] + letter + link[at + 1:], "--to", out], [FAILED], "link")
    refused(b, ["share", "remove", link[:-7]], [FAILED], "cut short")
    check(not os.path.exists(out), "a target was made for a bad link")


def test_a_link_may_be_in_capitals_and_have_space_around_it(lab):
    a, b = pair(lab)
    link = a.share(lab.folder("root", {"x": 1}))
    for number, text in enumerate((link.upper(), f"\n {link}\t\r\n")):
        check_eq(b.weft("get", text, "--to", lab.dir / f"out{number}").returncode, OK, repr(text))


def test_what_is_neither_file_nor_folder_is_named(lab):
    a = lab.daemon("a").start()
    fifo = lab.dir / "fifo"
    os.mkfifo(fifo)
    for path, kind in (("/dev/null", "a device"), (fifo, "a FIFO"), (a.sock, "a socket")):
        done = a.weft("share", "add", path)
        check_eq(done.returncode, REFUSED, f"{path}: {done.stderr}")
        check_eq(done.stderr.splitlines()[0],
                 f"weft: {path}: it is {kind}, not a regular file or folder", "what it says")


def test_a_node_that_is_off_is_reported(lab):
    a, b = pair(lab)
    link = a.share(lab.folder("root", {"x": 1}))
    a.stop()
    done = b.weft("get", link, "--to", lab.dir / "out")
    check(done.returncode in (FAILED, TIMEOUT), f"{done.returncode} {done.stderr}")
    check("resume" in done.stderr, done.stderr)


def test_another_key_at_the_address_is_exit_7_and_both_are_named(lab):
    a, b = pair(lab)
    link = a.share(lab.folder("root", {"x": 1}))
    wanted = a.weft("node", "id").stdout.strip()
    a.listen = a.json("status")["listen"]
    a.stop()
    shutil.rmtree(a.state)
    a.start()
    actual = a.weft("node", "id").stdout.strip()
    check(actual != wanted, "the key is the same")
    refused(b, ["get", link, "--to", str(lab.dir / "out")], [NOT_VERIFIED], wanted, actual)


def test_a_target_that_cannot_be_written_is_named(lab):
    a, b = pair(lab)
    link = a.share(lab.folder("root", {"x": 1}))
    (lab.dir / "file").write_text("")
    refused(b, ["get", link, "--to", str(lab.dir / "file")], [FAILED], "file")
    refused(b, ["get", link, "--to", "/proc/nowhere"], [FAILED], "/proc/nowhere")


def disk_fill(filler):
    with open(filler, "wb", buffering=0) as out:
        try:
            while out.write(bytes(65536)):
                pass
        except OSError as full:
            check_eq(full.errno, errno.ENOSPC, "what ends it")


def test_a_disk_that_fills_while_bytes_arrive_stops_the_get_and_it_resumes(lab):
    """There is room at first. Half a minute of slow bytes is left when another program takes it."""
    need_root()
    a, b = pair(lab)
    root = lab.folder("root", {f"{i}.bin": CHUNK - 1000 for i in range(30)})
    small = lab.dir / "small"
    small.mkdir()
    run_plain("mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(small))
    try:
        b.weft("limits", "set", "download", "2mbit")
        done = b.weft("get", a.share(root), "--to", small / "out", "--detach")
        check_eq(done.returncode, OK, f"get: {done.stderr}")
        get = wait_for(lambda: (first := b.json("get", "list")["gets"][0])["bytes_done"]
                            and first, "bytes arrive")
        disk_fill(small / "filler")
        wait_for(lambda: b.json("get", "list")["gets"][0]["state"] == "stopped", "it stops")
        told = b.json("get", "list")["gets"][0]["detail"]
        check("no space left" in told and "resume" in told, told)
        (small / "filler").unlink()
        b.weft("limits", "reset", "download")
        done = b.weft("get", "resume", get["get_id"])
        check_eq(done.returncode, OK, f"resume: {done.stderr}")
        same_tree(root, small / "out")
    finally:
        run_plain("umount", "-l", str(small))


def test_a_full_disk_while_sharing_is_reported(lab):
    need_root()
    small = lab.dir / "small"
    small.mkdir()
    run_plain("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(small))
    try:
        a = lab.daemon("a")
        a.state = small / "state"
        a.start()
        root = lab.dir / "many"
        root.mkdir()
        for i in range(12000):
            (root / f"{i}-{'x' * 100}").write_text(str(i))
        done = a.weft("share", "add", root)
        check(done.returncode == FAILED and ("space" in done.stderr or "room" in done.stderr),
              f"{done.returncode} {done.stderr}")
        run_plain("mount", "-o", "remount,size=256m", str(small))
        check_eq(a.weft("share", "add", root).returncode, OK, "share with space again")
        a.stop()
    finally:
        run_plain("umount", "-l", str(small))


def start_fails(daemon, *parts, extra=()):
    done = subprocess.run(daemon.command(*extra), capture_output=True, text=True, timeout=DEADLINE_S,
                          check=False)
    check(done.returncode != 0, f"it started: {done.stderr}")
    for part in parts:
        check(part in done.stderr, f"{part!r} is not in: {done.stderr}")
    check(done.stderr.count("\n") <= 3, f"not one clear sentence: {done.stderr}")


def test_a_state_directory_in_use_is_refused(lab):
    a = lab.daemon("a").start()
    second = lab.daemon("second")
    second.state = a.state
    start_fails(second, str(a.state))
    check_eq(a.weft("node", "id").returncode, OK, "the first daemon")


def test_a_port_that_is_taken_is_named(lab):
    a = lab.daemon("a").start()
    second = lab.daemon("second", listen=a.json("status")["listen"])
    start_fails(second, a.json("status")["listen"][0])


def test_a_control_socket_that_is_taken_is_named(lab):
    a = lab.daemon("a").start()
    second = lab.daemon("second")
    second.sock = a.sock
    start_fails(second, str(a.sock))


def test_a_damaged_database_is_refused_with_the_way_out(lab):
    a = lab.daemon("a").start()
    a.share(lab.folder("root", {"x": 1}))
    a.stop()
    data = next(p for p in a.state.rglob("data.mdb"))
    data.write_bytes(os.urandom(data.stat().st_size))
    start_fails(a, str(a.state))


def test_an_unknown_setting_names_the_nearest(lab):
    daemon = lab.daemon("a", config="[quic]\nconn_kap = 5\n")
    start_fails(daemon, "conn_kap", "conn_cap", "2")


def test_a_setting_out_of_range_is_refused(lab):
    start_fails(lab.daemon("a", config="[quic]\nconn_cap = 999999999999\n"), "conn_cap")


def test_control_garbage_is_refused_and_the_daemon_lives(lab):
    a = lab.daemon("a").start()
    for garbage in (b"\0", b"{\0", b"[]\0", b"{\"method\":5}\0", b"\xff\xfe\0", b"x" * 70000,
                    b"[" * 5000 + b"\0", b'{"method":"net.weft.Node.Status"'):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(DEADLINE_S)
            client.connect(str(a.sock))
            try:
                client.sendall(garbage)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65536):
                    pass
            except (BrokenPipeError, ConnectionResetError):
                pass
    check_eq(a.weft("node", "id").returncode, OK, "after garbage")


def test_a_control_request_of_100_mb_is_cut_off(lab):
    a = lab.daemon("a").start()
    before = a.json("memory", "show")["rss_bytes"]
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(DEADLINE_S)
        client.connect(str(a.sock))
        sent = 0
        try:
            for _ in range(100):
                client.sendall(b"x" * 1_000_000)
                sent += 1
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            pass
    check(sent < 100, "all of it was taken")
    after = a.json("memory", "show")["rss_bytes"]
    check(after - before < 8 << 20, f"memory grew by {after - before}")


def test_10000_control_connections_leave_the_daemon_alive(lab):
    a = lab.daemon("a").start()
    clients = []
    try:
        for _ in range(10000):
            client = socket.socket(socket.AF_UNIX)
            client.settimeout(0.2)
            try:
                client.connect(str(a.sock))
            except (BlockingIOError, TimeoutError, ConnectionRefusedError):
                client.close()
                continue
            clients.append(client)
            if len(clients) > 500:
                clients.pop(0).close()
        check(a.process.poll() is None, "the daemon ended")
    finally:
        for client in clients:
            client.close()
    wait_for(lambda: a.weft("node", "id").returncode == OK, "it answers after 10,000 connections")


def test_a_million_garbage_datagrams_change_nothing(lab):
    a, b = pair(lab)
    host, port = a.json("status")["listen"][0].rsplit(":", 1)
    dice = random.Random(5)
    blob = dice.randbytes(1 << 20)
    before = a.json("memory", "show")["rss_bytes"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect((host, int(port)))
        firsts = [bytes([first]) + version for first in (0x40, 0x64, 0xc0, 0xd0, 0xff, 0x9d, 0x01)
                  for version in (b"", b"\0\0\0\1\x10", b"\0\0\0\0\x08", b"\x6b\x33\x43\xcf\x14")]
        for i in range(1_000_000):
            at = i * 37 % (len(blob) - 1300)
            try:
                out.send(firsts[i % len(firsts)] + blob[at:at + 20 + i * 13 % 1250])
            except OSError:
                pass
    after = a.json("memory", "show")["rss_bytes"]
    check(after - before < 16 << 20, f"memory grew by {after - before}")
    check_eq(a.json("status")["connections"], 0, "connections")
    root = lab.folder("root", {"x": 3 * CHUNK})
    check_eq(b.weft("get", a.share(root), "--to", lab.dir / "out").returncode, OK, "get")


def test_no_daemon_is_exit_3(lab):
    refused(lab.daemon("a"), ["status"], [NO_DAEMON], "a.sock")


def test_wrong_usage_is_exit_2_and_names_the_nearest(lab):
    refused(lab.daemon("a"), ["shar", "add", "/"], [USAGE], "share")
    refused(lab.daemon("a"), ["get"], [USAGE])


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
