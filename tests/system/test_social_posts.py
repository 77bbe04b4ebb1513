#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weft post, weft feed and weft dm on one node: each audience, editions, drafts, threads, marks, limits, crashes."""
import json
import pathlib
import select
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import NOT_FOUND, OK, REFUSED, USAGE, check, check_eq, run, wait_for

import nacl.signing
import oracle


def person(number):
    """A key of a person that is on no node."""
    seed = number.to_bytes(32, "big")
    return oracle.z32(bytes(nacl.signing.SigningKey(seed).verify_key))


def weft(node, *words, **options):
    done = node.weft(*words, **options)
    check_eq(done.returncode, OK, f"{words}: {done.stderr}")
    return done.stdout


def write(node, *words):
    return json.loads(weft(node, "--json", "post", "write", *words))["post"]


def feed(node, *words):
    return json.loads(weft(node, "--json", "feed", *words))["posts"]


def texts(posts):
    return [post["text"] for post in posts]


def test_a_post_is_for_friends_unless_others_are_named(lab):
    node = lab.daemon("a").start()
    post = write(node, "hello")
    check_eq((post["audience"], post["own"], post["unread"]), ("people", True, False), "for friends")
    check_eq(write(node, "to all", "--public")["audience"], "public", "public")
    named = write(node, "to two", "--to", person(1), "--to", person(2))
    shown = json.loads(weft(node, "--json", "post", "show", named["post_id"]))
    check_eq(sorted(shown["readers"]), sorted([person(1), person(2)]), "its readers")
    check_eq(texts(feed(node)), ["to two", "to all", "hello"], "the newest first")
    done = node.weft("post", "write", "x", "--public", "--to", person(1))
    check_eq(done.returncode, USAGE, "two kinds of readers")
    done = node.weft("post", "write", "x", "--circle", "none")
    check_eq(done.returncode, NOT_FOUND, "no such circle")
    done = node.weft("post", "write", "x", "--to", "ann")
    check("no person" in done.stderr, done.stderr)


def test_501_readers_are_refused_with_advice_and_500_fit(lab):
    node = lab.daemon("a").start()
    people = [person(number) for number in range(1, 502)]
    ask = {"text": "many", "to": "people", "mentions": []}
    post = node.call("WritePost", people=people[:500], **ask)["post"]
    check_eq(len(node.call("ShowPost", post=post["post_id"])["readers"]), 500, "readers")
    refused = node.refusal("WritePost", people=people, **ask)
    check("500 readers at most" in refused["why"] and "weft group create" in refused["next"], refused)


def test_a_text_of_256_kib_is_refused_and_others_come_back_as_typed(lab):
    node = lab.daemon("a").start()
    done = node.weft("post", "write", "-", "--public", input="x" * (256 * 1024 + 1))
    check(done.returncode != OK and "256 KiB" in done.stderr, done.stderr)
    long = "y" * (255 * 1024)
    post = json.loads(weft(node, "--json", "post", "write", "-", "--public", input=long))["post"]
    check_eq(post["text"], long, "as typed")
    nasty = "<script>alert(1)</script>\x1b[2J\x07\r\nsecond \u202e line"
    post = write(node, nasty, "--public")
    check_eq(post["text"], nasty, "JSON has what was typed")
    for words in (("post", "show", post["post_id"]), ("feed",), ("post", "thread", post["post_id"])):
        out = weft(node, *words)
        check("\x1b" not in out and "\x07" not in out and "\r" not in out, f"{words}: {out!r}")
        check("<script>" in out, "what is harmless to a terminal stays")


def test_an_edition_keeps_its_place_and_a_deletion_takes_all(lab):
    node = lab.daemon("a").start()
    first = write(node, "frist", "--public")
    write(node, "second", "--public")
    edited = json.loads(weft(node, "--json", "post", "edit", first["post_id"], "first"))["post"]
    check(edited["edited"] and edited["post_id"] != first["post_id"], "another edition")
    check_eq(texts(feed(node)), ["second", "first"], "it has its place")
    shown = json.loads(weft(node, "--json", "post", "show", first["post_id"]))["post"]
    check_eq(shown["post_id"], edited["post_id"], "the latest one is shown")
    weft(node, "post", "delete", first["post_id"])
    check_eq(texts(feed(node)), ["second"], "it is gone")
    for post in (first, edited):
        check(node.call("ExportPost", post=post["post_id"]).get("deletion"), "a signed deletion")
        check_eq(node.weft("post", "show", post["post_id"]).returncode, NOT_FOUND, "of each")
    check_eq(node.weft("post", "delete", first["post_id"]).returncode, NOT_FOUND, "once")


def test_a_draft_is_kept_and_posted_once(lab):
    node = lab.daemon("a").start()
    draft = weft(node, "post", "draft", "soon", "--public").strip()
    weft(node, "post", "draft", "sooner", "--public", "--draft", draft)
    node.stop()
    node.start()
    rows = node.call("ListDrafts")["drafts"]
    check_eq([(row["draft_id"], row["text"], row["to"]) for row in rows], [(draft, "sooner", "public")], "kept")
    post = node.call("PublishDraft", draft=draft)["post"]
    check_eq(post["text"], "sooner", "posted")
    check_eq(node.call("ListDrafts")["drafts"], [], "and gone")
    check_eq(node.weft("post", "publish", draft).returncode, NOT_FOUND, "once")
    other = weft(node, "post", "draft", "never").strip()
    weft(node, "post", "drop", other)
    check_eq((node.call("ListDrafts")["drafts"], texts(feed(node))), ([], ["sooner"]), "dropped")


def test_threads_search_links_and_marks(lab):
    node = lab.daemon("a").start()
    root = write(node, "Shall we sail to Malmö?", "--public")
    reply = write(node, "Yes", "--public", "--reply-to", root["post_id"])
    write(node, "On Friday", "--public", "--reply-to", reply["post_id"])
    rows = json.loads(weft(node, "--json", "post", "thread", reply["post_id"][:10]))["posts"]
    check_eq([(row["depth"], row["post"]["text"]) for row in rows],
             [(0, "Shall we sail to Malmö?"), (1, "Yes"), (2, "On Friday")], "thread")
    found = json.loads(weft(node, "--json", "post", "search", "MALMÖ", "is:own"))["posts"]
    check_eq(texts(found), ["Shall we sail to Malmö?"], "found")
    check_eq(json.loads(weft(node, "--json", "post", "search", "boat"))["posts"], [], "not there")
    link = weft(node, "post", "link", root["post_id"]).strip()
    check_eq(link, f"/p/{root['post_id']}/{root['author']}", "link")
    check_eq(json.loads(weft(node, "--json", "post", "show", link))["post"]["post_id"], root["post_id"], "by its link")
    weft(node, "post", "mark", root["post_id"], "--unread")
    check_eq(feed(node, "--unread"), [], "own ones are never unread")
    weft(node, "feed", "new", "boats", "sail", "-race")
    check_eq(texts(feed(node, "--feed", "boats")), ["Shall we sail to Malmö?"], "a feed with a name")
    check_eq(node.call("ListFeeds")["feeds"][0]["filter"], "sail -race", "kept")
    check(node.weft("feed", "new", "bad", "is:blue").returncode != OK, "no trait")
    weft(node, "feed", "drop", "boats")
    check_eq(node.weft("feed", "--feed", "boats").returncode, NOT_FOUND, "forgotten")
    pages, cursor = [], []
    while cursor is not None:
        page = json.loads(weft(node, "--json", "feed", "--limit", "1", *cursor))
        pages += texts(page["posts"])
        cursor = ["--cursor", page["cursor"]] if page.get("cursor") else None
    check_eq(pages, ["On Friday", "Yes", "Shall we sail to Malmö?"], "page by page")


def test_direct_messages_have_a_thread_for_each_set_of_people(lab):
    node = lab.daemon("a").start()
    weft(node, "dm", "send", person(1), "to one")
    weft(node, "dm", "send", person(2), person(1), "to both")
    weft(node, "dm", "send", person(1), "to one again")
    rows = node.call("ListDirects")["threads"]
    check_eq([(row["newest"], sorted(row["people"])) for row in rows],
             [("to one again", [person(1)]), ("to both", sorted([person(1), person(2)]))], "threads")
    shown = json.loads(weft(node, "--json", "dm", "show", person(1)))["messages"]
    check_eq([row["post"]["text"] for row in shown], ["to one again", "to one"], "one thread")
    check_eq(feed(node), [], "no feed has them")
    check("to both" in weft(node, "dm", "show", person(1), person(2)), "for people, too")


def test_a_watch_of_a_feed_prints_new_posts_that_fit(lab):
    node = lab.daemon("a").start()
    watch = node.weft_popen("--json", "feed", "--watch", "--filter", "sail")
    try:
        check_eq(json.loads(watch.stdout.readline()).get("post"), None, "it has begun")
        write(node, "row", "--public")
        post = write(node, "sail", "--public")
        check_eq(json.loads(watch.stdout.readline())["post"]["post_id"], post["post_id"], "what fits")
    finally:
        watch.send_signal(signal.SIGTERM)
        watch.communicate(timeout=10)


def test_events_tell_of_posts(lab):
    node = lab.daemon("a").start()
    watch = node.weft_popen("--json", "event", "watch")
    try:
        wait_for(lambda: write(node, "row", "--public") and select.select([watch.stdout], [], [], 0.2)[0],
                 "the first event")
        post = write(node, "sail", "--public")
        node.call("EditPost", post=post["post_id"], text="sailed", mentions=[])
        weft(node, "post", "delete", post["post_id"])
        lines = []
        while sum("post.gone" in line for line in lines) < 2:
            lines.append(watch.stdout.readline())
            check(lines[-1], "the watch ended")
    finally:
        watch.send_signal(signal.SIGTERM)
        watch.communicate(timeout=10)
    kinds = [line["event"]["kind"] for line in map(json.loads, lines) if line.get("event")]
    posts = [kind for kind in kinds if kind.startswith("post.")]
    check_eq(posts[-4:], ["post.new", "post.changed", "post.gone", "post.gone"], "events")


def test_what_was_answered_is_there_after_a_kill(lab):
    node = lab.daemon("a").start()
    for step in range(6):
        post = write(node, f"step {step}", "--public", "--token", f"t{step}")
        if step == 2:
            weft(node, "post", "edit", post["post_id"], "edited")
        if step == 4:
            weft(node, "post", "delete", post["post_id"])
        node.kill()
        node.start()
    check_eq(texts(feed(node)), ["step 5", "step 3", "edited", "step 1", "step 0"], "all that was answered")
    again = write(node, "step 5", "--public", "--token", "t5")
    check_eq((again["text"], len(feed(node))), ("step 5", 5), "the same token makes no second post")


def test_it_is_refused_where_the_layer_is_off(lab):
    node = lab.daemon("a", config="[social]\nenabled = no\n").start()
    for words in (("post", "write", "x"), ("feed",), ("dm", "list"), ("post", "drafts")):
        done = node.weft(*words)
        check_eq(done.returncode, REFUSED, f"{words}: {done.stderr}")
        check("social.enabled" in done.stderr, done.stderr)


run([value for name, value in list(globals().items()) if name.startswith("test_")])
