#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The link of a post, opened at a node that does not have the post.

    n1 (author) -- switch -- n2 (reader): it follows no person, and has met the author
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from lab import NOT_FOUND, OK, check, check_eq, need_root, run

WORDS = "read this by its link"


def done(daemon, *words):
    result = daemon.weft(*words)
    check_eq(result.returncode, OK, f"{daemon.name} {words}: {result.stderr}")
    return result.stdout


def start(lab):
    need_root()
    author, reader = fabric.start(lab, 2)
    done(author, "profile", "set", "--name", "Ann")
    return author, reader


def write(author, *words):
    """The link of a post."""
    post = author.json("post", "write", *words)["post"]["post_id"]
    return done(author, "post", "link", post).split()[0]


def test_the_post_of_a_link_is_fetched_from_its_author(lab):
    author, reader = start(lab)
    link = write(author, WORDS, "--public")
    check(link.startswith("/p/") and link.endswith(fabric.node_id(author)), link)
    check_eq(reader.json("post", "open", link)["post"]["text"], WORDS, "fetched")
    check_eq(reader.json("post", "open", "http://127.0.0.1:8080" + link)["post"]["text"], WORDS,
             "behind the address of a page")
    author.kill()
    check_eq(reader.json("post", "open", link)["post"]["text"], WORDS, "kept")


def test_a_malformed_link_is_refused(lab):
    author, reader = start(lab)
    link = write(author, WORDS, "--public")
    post, key = link.removeprefix("/p/").split("/")
    for wrong in (f"/p/{post}", f"/p/{post}/", f"/p/{post}/{key[:-1]}", f"/p/{post}/{key}y", f"/p/{post[1:]}/{key}",
                  f"/p/{post}{key}", f"/q/{post}/{key}", f"/p/{post}/{'l' * len(key)}", post, "/p/"):
        result = reader.weft("post", "open", wrong)
        check(result.returncode not in (OK, NOT_FOUND), f"{wrong}: {result.stdout}")
        check("it is no link of a post" in result.stderr, result.stderr)
    check_eq(reader.json("feed")["posts"], [], "nothing was fetched")


def test_a_link_whose_post_no_node_gives_says_what_was_asked(lab):
    author, reader = start(lab)
    private = write(author, WORDS)
    result = reader.weft("post", "open", private)
    check_eq(result.returncode, NOT_FOUND, result.stdout)
    check("not found at 1 nodes" in result.stderr, f"the author does not give it: {result.stderr}")
    check(WORDS not in result.stdout + result.stderr, "no word of it")
    link = write(author, WORDS, "--public")
    author.kill()
    other = lab.daemon("n2b", netns=reader.netns, listen=["0.0.0.0:7010"], config=fabric.QUIET).start()
    result = other.weft("post", "open", link)
    check_eq(result.returncode, NOT_FOUND, result.stdout)
    check("not found at 0 nodes" in result.stderr, f"no node is there to be asked: {result.stderr}")
    check("when the author's node is there" in result.stderr, result.stderr)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
