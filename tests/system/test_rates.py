#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rates by a timetable hold real gets, are kept over kill -9, and say what they do."""
import json
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, USAGE, Mismatch, check, check_eq, run, wait_for
from web import GATEWAY, curl, url_of

CHUNK = 256 * 1024
MIB = 4 * CHUNK
RATE = 4000000


def limit(daemon, name):
    return next(row for row in daemon.json("limits", "list")["limits"] if row["name"] == name)


def set_limit(daemon, name, value):
    done = daemon.weft("limits", "set", name, value)
    check_eq(done.returncode, OK, f"limits set: {done.stderr}")


def hours(begin_h, end_h, rate):
    """An entry of every day from begin_h to end_h hours from now on, of Kathmandu's time."""
    local_h = int((time.time() + 5.75 * 3600) / 3600)
    return f"{(local_h + begin_h) % 24:02}:00-{(local_h + end_h) % 24:02}:00 {rate}"


def kathmandu(lab, name, config=""):
    """A daemon three quarters of an hour off UTC's hours, so that a wrong zone shows."""
    daemon = lab.daemon(name, config=config)
    daemon.environment = {"TZ": "NPT-5:45"}
    return daemon


def fetch_s(lab, getter, link, name):
    """Seconds that a get took."""
    start = time.monotonic()
    done = getter.weft("get", link, "--to", lab.dir / name)
    check_eq(done.returncode, OK, f"get: {done.stderr}")
    return time.monotonic() - start


def test_entry_in_force_holds_a_get(lab):
    """Uploads by the seeder's timetable, downloads by the getter's."""
    entry = hours(0, 3, "4MB/s")
    a = kathmandu(lab, "a", GATEWAY + f"[sharing]\nupload_timetable = {entry}\n").start()
    link = a.share(lab.folder("root", {"x": 12 * MIB}, seed=1))
    told = curl(f"{url_of(a)}/metrics")[2].decode()
    check('weft_rate_bytes_per_second{limit="upload"} 4000000' in told, "the metric")
    row = limit(a, "upload-timetable")
    check_eq((row["value"], row["entry"], row["limit"]), (entry, entry, RATE), "the entry in force")
    check_eq(limit(a, "upload")["in_force"], "32mbit", "of the limit of uploads")
    check(0 < row["next_at"] - time.time() <= 3 * 3600, f"the next change: {row['next_at']}")
    check_eq((row["next_at"] + 5 * 3600 + 45 * 60) % 3600, 0, "at a full hour of that zone")
    check_eq(row["utc_offset_s"], 5 * 3600 + 45 * 60, "which is told")
    took = fetch_s(lab, lab.daemon("b").start(), link, "out")
    check(took >= (12 * MIB - CHUNK) / RATE * 0.95, f"uploads took {took:.2f} s")
    fast = lab.daemon("c").start()
    other = fast.share(lab.folder("other", {"x": 12 * MIB}, seed=2))
    d = kathmandu(lab, "d", f"[sharing]\ndownload_timetable = {entry}\n").start()
    took = fetch_s(lab, d, other, "out2")
    check(took >= (12 * MIB - CHUNK) / RATE * 0.95, f"downloads took {took:.2f} s")


def test_entry_of_another_hour_holds_nothing(lab):
    a = kathmandu(lab, "a", f"[sharing]\nupload_timetable = {hours(2, 4, '1kB/s')}\n").start()
    link = a.share(lab.folder("root", {"x": 4 * MIB}, seed=1))
    fetch_s(lab, lab.daemon("b").start(), link, "out")
    row = limit(a, "upload-timetable")
    check_eq((row["limit"], "entry" in row), (0, False), "no entry is in force")
    check(3600 <= row["next_at"] - time.time() + 3600 <= 3 * 3600, f"the next: {row['next_at']}")


def test_timetable_is_set_kept_over_kill_and_reset(lab):
    a = lab.daemon("a", config="[sharing]\nupload_timetable = 00:00-24:00 1GB/s\n").start()
    set_limit(a, "upload-timetable", "mon-sun 00:00-24:00 4MB/s")
    a.kill()
    a.start()
    row = limit(a, "upload-timetable")
    check_eq((row["value"], row["kept"], row["limit"]), ("mon-sun 00:00-24:00 4MB/s", True, RATE),
             "after kill -9")
    check("next_at" not in row, "it never changes")
    status = a.json("status")["rates"]
    check_eq([(r["name"], r["in_force"]) for r in status], [("upload-timetable", "32mbit")], "status")
    check("upload-timetable\t32mbit\tfurther notice" in a.weft("status").stdout, "weft status")
    check_eq(a.weft("limits", "reset", "upload-timetable").returncode, OK, "reset")
    check_eq(limit(a, "upload")["in_force"], "8gbit", "as configured again")
    set_limit(a, "upload-timetable", "none")
    check_eq(limit(a, "upload")["in_force"], "none", "none")
    check_eq(a.json("status")["rates"], [], "no timetable")


def test_wrong_timetables_are_refused_by_name(lab):
    a = lab.daemon("a").start()
    for value, said in (("wonday 08:00-09:00 none", '"wonday 08:00-09:00 none": days are'),
                        ("08:00-09:00 2MB/s; 9:00-10:00 none", '"9:00-10:00 none": times are'),
                        ("08:00-09:00 fast", "a rate is as"), ("08:00", "an entry is"),
                        ("08:00-09:00 126GB/s", "more than 125 GB/s"),
                        ("08:00-09:00 1B;" * 17, "at most 16 entries")):
        done = a.weft("limits", "set", "upload-timetable", value)
        check_eq(done.returncode, USAGE, f"{value}: {done.stderr}")
        check(said in done.stderr, f"{value}: {done.stderr}")
    check_eq(limit(a, "upload-timetable")["value"], "none", "nothing was set")
    wrong = lab.daemon("w", config="[sharing]\ndownload_timetable = mon 08:00-08:00 1MB/s\n")
    try:
        wrong.start()
    except Mismatch as refused:
        check("sharing.download_timetable: \"mon 08:00-08:00 1MB/s\": times are" in str(refused),
              f"{refused}")
    else:
        raise Mismatch("a wrong timetable was taken")


def test_change_of_entry_is_an_event(lab):
    a = lab.daemon("a").start()
    set_limit(a, "upload-timetable", "00:00-24:00 4MB/s")
    set_limit(a, "upload-timetable", "none")
    a.share(lab.folder("mark", {"x": 1}))
    watch = a.weft_popen("event", "watch", "--since", "1", "--json")
    overdue = threading.Timer(DEADLINE_S, watch.kill)
    overdue.start()
    texts = []
    for line in watch.stdout:
        event = json.loads(line)["event"]
        if event["kind"] == "rate.changed":
            texts.append(event["fields"]["text"])
        if event["kind"] == "share.added":
            break
    overdue.cancel()
    watch.kill()
    watch.communicate()
    check_eq(texts, ["upload-timetable: 00:00-24:00 4MB/s", "upload-timetable: no entry"], "events")


def test_cap_of_a_month_holds_gets(lab):
    """12 MiB from a seeder that may send 8 to the LAN in a month: over kill -9 never more."""
    config = "[node]\nworkers = 2\n" + GATEWAY + "[sharing]\nupload_month_lan = 8M\nmonth_glide = 100\n"
    a = lab.daemon("a", config=config).start()
    link = a.share(lab.folder("root", {"x": 12 * MIB}, seed=1))
    b = lab.daemon("b").start()
    get = b.weft_popen("get", link, "--to", lab.dir / "out")
    wait_for(lambda: limit(a, "upload-month-lan")["used"] >= 7 * MIB or None, "most of it is used")
    time_s = time.monotonic()
    wait_for(lambda: time.monotonic() - time_s > 3 or None, "time for more")
    got = b.json("status")["received_bytes"]
    check(4 * MIB <= got <= 8 * MIB, f"{got} bytes came")
    row = limit(a, "upload-month-lan")
    check(got <= row["used"] <= 8 * MIB, f"counted: {row}")
    check_eq((row["limit"], row["value"], row["unit"]), (8 * MIB, "8M", "bytes"), "the cap")
    check(0 < row["next_at"] - time.time() <= 31 * 86400, f"the month's end: {row}")
    a.kill()
    a.start()
    check(limit(a, "upload-month-lan")["used"] >= got, "no less after kill -9")
    get.kill()
    get.communicate()
    link = a.share(lab.dir / "root")
    c = lab.daemon("c").start()
    get = c.weft_popen("get", link, "--to", lab.dir / "out2")
    wait_for(lambda: c.json("status")["sessions"] > 0 or None, "it asks")
    set_limit(a, "upload-month-lan", "none")
    check_eq(get.wait(timeout=DEADLINE_S), OK, "without the cap the get goes on")


def test_cap_of_downloads_and_its_glide(lab):
    a = lab.daemon("a").start()
    link = a.share(lab.folder("root", {"x": 24 * MIB}, seed=1))
    b = lab.daemon("b").start()
    set_limit(b, "download-month-lan", "16M")
    get = b.weft_popen("get", link, "--to", lab.dir / "out")
    wait_for(lambda: limit(b, "download-month-lan")["in_force"].endswith("B") or None, "it glides")
    got = b.json("status")["received_bytes"]
    # It begins at half; what was asked for before (8 MiB at most) still comes.
    check(got <= 16 * MIB, f"{got} bytes came")
    check_eq(get.poll(), None, "the get waits")
    check(limit(b, "download-month-lan")["used"] >= got, "all that came counts")
    check("download-month-lan" in b.weft("status").stdout, "weft status")
    set_limit(b, "download-month-lan", "1G")
    check_eq(get.wait(timeout=DEADLINE_S), OK, "with a larger cap the get goes on")
    check_eq(limit(b, "download-month")["used"], 0, "nothing came from the Internet")
    for value in "lots", "8mbit", "0.5T", "9999999999T":
        done = b.weft("limits", "set", "download-month", value)
        check_eq(done.returncode, USAGE, f"{value}: {done.stderr}")


run([test_entry_in_force_holds_a_get, test_entry_of_another_hour_holds_nothing,
     test_timetable_is_set_kept_over_kill_and_reset, test_wrong_timetables_are_refused_by_name,
     test_change_of_entry_is_an_event, test_cap_of_a_month_holds_gets,
     test_cap_of_downloads_and_its_glide])
