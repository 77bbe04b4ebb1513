#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Schemas that come with a followed share, and change with it.

    n1 publishes the share; n2 follows it for its schemas
"""
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from boats import BOATS
from fabric import start
from lab import ASKING_S, NOT_FOUND, OK, REFUSED, check, check_eq, run, wait_for

SYNC = "[sharing]\nsync_interval = 10s\n"
SPREAD_S = 5
CREW = """[field crew]
type = number
min = 1
max = 20
[filter min_crew]
field = crew
match = at-least
"""
SAILS = BOATS.replace("boats", "sails").replace("Boats", "Sails")


def said(done, what):
    check_eq(done.returncode, OK, f"{what}: {done.stderr}")
    return done.stdout


def raised(text):
    return text.replace("version = 1", "version = 2")


def names(daemon, origin="share"):
    return {row["name"]: row["version"] for row in daemon.json("schema", "list")["schemas"]
            if row["origin"] == origin and row["on"]}


def refused(daemon):
    return {row.get("file"): row["why"] for row in daemon.json("schema", "files")["files"]
            if not row["used"]}


def find(daemon, *filters):
    done = daemon.weft("--json", "offer", "find", "boats", *filters)
    check(done.returncode in (OK, NOT_FOUND), done.stderr)
    return json.loads(done.stdout)["offers"] if done.returncode == OK else []


def publish(lab, daemon, **files):
    """A share of schemas, and its link."""
    folder = lab.dir / "schemas"
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.ini").write_text(text)
    said(daemon.weft("share", "new", "schemas", "--public"), "share new")
    said(daemon.weft("share", "publish", "schemas", folder), "share publish")
    return folder, said(daemon.weft("share", "link", "schemas"), "share link").strip()


def follow(daemon, link, *options):
    said(daemon.weft("sub", "add", link, "--name", "lab"), "sub add")
    said(daemon.weft("schema", "follow", "lab", *options), "schema follow")


def update(publisher, follower):
    """A new revision is here; how long its schemas took is the caller's to wait for."""
    said(publisher.weft("share", "update", "schemas"), "share update")
    want = publisher.json("share", "show", "schemas")["share"]["revision"]
    wait_for(lambda: follower.json("sub", "sync", "lab")["follows"][0]["revision"] == want,
             "the revision", pause=ASKING_S)


def test_a_followed_share_brings_a_schema_and_raises_it(lab):
    n1, n2 = start(lab, 2, more=SYNC)
    folder, link = publish(lab, n1, boats=BOATS)
    follow(n2, link)
    wait_for(lambda: names(n2) == {"boats": 1}, "it is here")
    said(n1.weft("schema", "add", folder / "boats.ini"), "the publisher uses it as a file")
    said(n1.weft("offer", "publish", "boats", "length=12"), "offer publish")
    wait_for(lambda: len(find(n2, "min_length=10")) == 1, "an offer is found by it", timeout=SPREAD_S)
    # The next version: the new field and its filter are there as soon as the revision is.
    (folder / "boats.ini").write_text(raised(BOATS) + CREW)
    update(n1, n2)
    begun = time.monotonic()
    wait_for(lambda: names(n2) == {"boats": 2}, "the later version", timeout=2)
    print(f"# the schema was in use {1000 * (time.monotonic() - begun):.0f} ms after its revision")
    check(len(find(n2, "min_length=10")) == 1, "the former offer is still found")
    said(n1.weft("schema", "add", folder / "boats.ini"), "raised there, too")
    said(n1.weft("offer", "publish", "boats", "length=8", "crew=5"), "offer publish")
    wait_for(lambda: len(find(n2, "min_crew=5")) == 1, "by the new filter", timeout=SPREAD_S)
    # It needs no other node after a start.
    n1.kill()
    n2.kill()
    n2.start()
    check_eq(names(n2), {"boats": 2}, "after a kill")
    check_eq(len(find(n2, "min_crew=5")), 1, "found by it")
    said(n2.weft("schema", "unfollow", "lab"), "schema unfollow")
    check_eq(names(n2), {}, "gone")
    check_eq(n2.json("sub", "list")["follows"][0]["name"], "lab", "the share is followed as before")
    check_eq(n2.weft("schema", "unfollow", "lab").returncode, NOT_FOUND, "once")


def test_a_share_that_brings_the_schema_of_own_offers_is_followed_on(lab):
    n1, n2 = start(lab, 2)
    _, link = publish(lab, n1, boats=BOATS)
    follow(n2, link)
    wait_for(lambda: names(n2) == {"boats": 1}, "used")
    offer = n2.call("PublishOffer", schema="boats", values=["length=9"])["offer"]["offer_id"]
    for words in (("schema", "unfollow", "lab"), ("sub", "remove", "lab")):
        done = n2.weft(*words)
        check_eq(done.returncode, REFUSED, f"{words}: {done.stderr}")
        check("this node announces 1 offer of it" in done.stderr and "weft offer list boats" in done.stderr, done.stderr)
    check_eq(len(n2.json("offer", "list")["offers"]), 1, "it is listed")
    said(n2.weft("offer", "revoke", offer), "offer revoke")
    said(n2.weft("sub", "remove", "lab"), "sub remove")
    check_eq(names(n2), {}, "gone")


def test_a_file_that_is_no_schema_is_named_and_the_others_hold(lab):
    n1, n2 = start(lab, 2, more=SYNC)
    folder, link = publish(lab, n1, boats=BOATS, sails=SAILS, broken="[service]\nname = broken\n[field x]\n",
                           oars=BOATS, housing=raised(n1.json("schema", "show", "housing")["text"]),
                           long=BOATS + "#" * 65536)
    follow(n2, link)
    wait_for(lambda: set(names(n2)) == {"boats", "sails"}, "two are fit")
    why = refused(n2)
    check_eq(set(why), {"broken.ini", "oars.ini", "housing.ini", "long.ini"}, "four are not")
    check("type" in why["broken.ini"], why)
    check("has the service boats" in why["oars.ini"], why)
    check("weft has itself" in why["housing.ini"], why)
    check("longer than 65536 bytes" in why["long.ini"], why)
    done = n2.weft("schema", "show", "broken")
    check_eq(done.returncode, REFUSED, done.stderr)
    check("type" in done.stderr, done.stderr)
    check_eq(n2.json("schema", "show", "housing")["schema"]["version"], 1, "the core's stays")
    # A later revision may spoil a file, take an earlier version, or have it no more.
    (folder / "boats.ini").write_text("nothing\n")
    (folder / "sails.ini").write_text(SAILS.replace("Sails", "Old sails"))
    update(n1, n2)
    wait_for(lambda: {"boats.ini", "sails.ini"} <= set(refused(n2)), "both are named")
    check_eq(names(n2), {"boats": 1, "sails": 1}, "and the former ones hold")
    check_eq(n2.json("schema", "show", "sails")["schema"]["title"], "Sails", "as it was")
    (folder / "boats.ini").unlink()
    update(n1, n2)
    wait_for(lambda: names(n2) == {"sails": 1}, "what is gone goes")
    # The operator may say otherwise, of what weft ships.
    said(n2.weft("schema", "follow", "lab", "--replace"), "schema follow --replace")
    wait_for(lambda: names(n2) == {"sails": 1, "housing": 2}, "in place of the core's")
    said(n2.weft("sub", "remove", "lab"), "sub remove")
    wait_for(lambda: not names(n2), "a share that is not followed brings none")
    check_eq(n2.json("schema", "show", "housing")["schema"]["version"], 1, "the core's is back")
    check_eq(n2.json("schema", "files")["files"], [], "nothing is left of it")


def test_a_share_has_16_schemas_and_the_next_is_left_out(lab):
    n1, n2 = start(lab, 2, more=SYNC)
    _, link = publish(lab, n1, **{f"s{i:02}": BOATS.replace("boats", f"s{i:02}") for i in range(17)})
    follow(n2, link)
    wait_for(lambda: len(names(n2)) == 16, "16 are used")
    check_eq(refused(n2), {None: "it has more than 16 schemas"}, "and it is said")


def test_a_share_whose_key_was_rotated_goes_on(lab):
    n1, n2 = start(lab, 2, more=SYNC)
    folder, link = publish(lab, n1, boats=BOATS)
    follow(n2, link)
    wait_for(lambda: names(n2) == {"boats": 1}, "it is here")
    said(n1.weft("share", "rotate", "schemas", "--yes"), "share rotate")
    (folder / "sails.ini").write_text(SAILS)
    said(n1.weft("share", "update", "schemas"), "share update")

    def is_moved():
        n2.weft("sub", "sync", "lab")
        return names(n2) == {"boats": 1, "sails": 1}
    wait_for(is_moved, "under the new key", pause=ASKING_S)
    said(n1.weft("share", "revoke", "schemas", "--yes"), "share revoke")

    def is_revoked():
        n2.weft("sub", "sync", "lab")
        return not names(n2)
    wait_for(is_revoked, "a share that was given up brings none", pause=ASKING_S)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
