#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weft search: two daemons on this machine, a publishes shares, b follows and searches them."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import ASKING_S, NOT_FOUND, OK, USAGE, check, check_eq, run, wait_for

CONFIG = "[overlay]\nserve = on\n[sharing]\nsync_interval = 10s\n"


def pair(lab):
    a = lab.daemon("a", config=CONFIG).start()
    b = lab.daemon("b", config=CONFIG).start()
    node = a.json("node", "id")["node_id"]
    check_eq(b.weft("peer", "connect", node, a.json("status")["listen"][0]).returncode, OK, "connect")
    return a, b


def publish(lab, a, name, files, *options):
    """A share of those files, by the link that it is followed by."""
    folder = lab.dir / name
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for words in (("share", "new", name, "--public", *options), ("share", "publish", name, folder)):
        done = a.weft(*words)
        check_eq(done.returncode, OK, f"{words}: {done.stderr}")
    return a.weft("share", "link", name).stdout.strip()


def follow(b, link, *options):
    done = b.weft("sub", "add", link, *options)
    check_eq(done.returncode, OK, done.stderr)


def paths(b, *words):
    done = b.weft("search", *words)
    check_eq(done.returncode, OK if done.stdout else NOT_FOUND, f"search {words}: {done.stderr}")
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


def wait_found(b, want, *words):
    wait_for(lambda: paths(b, *words) == want, f"{words} finds {want}", pause=ASKING_S)


def test_only_what_is_followed_is_found_and_it_is_gone_at_once(lab):
    a, b = pair(lab)
    films = publish(lab, a, "films", {"kurosawa/Ran.mkv": "1", "kurosawa/Dreams.mkv": "2"},
                    "--description", "Films by great directors")
    publish(lab, a, "secrets", {"ran-away.txt": "3"})
    check_eq(paths(b, "ran"), [], "nothing is followed")
    follow(b, films, "--name", "films")
    wait_found(b, ["kurosawa/Ran.mkv"], "ran")
    check_eq(paths(b, "KUROSAWA"), ["kurosawa/Dreams.mkv", "kurosawa/Ran.mkv"], "by its folder")
    hit = b.json("search", "director", "dreams")["hits"][0]
    check_eq((hit["path"], hit["share"], hit["score"], hit["about"]["marks"]),
             ("kurosawa/Dreams.mkv", "films", 93.0, [{"offset": 15, "length": 9}]), hit)
    b.kill()
    b.start()
    wait_found(b, ["kurosawa/Ran.mkv"], "ran")
    index = b.json("search", "--status")["search"]
    check_eq((index["shards_built"], index["shards_reused"], index["shares_ready"]), (0, 1, 1), index)
    check_eq(b.weft("sub", "remove", "films").returncode, OK, "remove")
    check_eq(paths(b, "ran"), [], "it is followed no more")


def test_an_update_is_found_and_what_it_removed_is_not(lab):
    a, b = pair(lab)
    follow(b, publish(lab, a, "notes", {"one.txt": "1", "two.txt": "2"}))
    wait_found(b, ["one.txt", "two.txt"], "txt")
    (lab.dir / "notes" / "one.txt").unlink()
    (lab.dir / "notes" / "three.txt").write_text("3")
    check_eq(a.weft("share", "update", "notes").returncode, OK, "update")
    check_eq(b.weft("sub", "sync").returncode, OK, "sync")
    wait_found(b, ["three.txt", "two.txt"], "txt")


def test_trust_leaves_out_and_a_blocklist_hides(lab):
    a, b = pair(lab)
    follow(b, publish(lab, a, "good", {"book.txt": "good", "bad-book.txt": "bad"}), "--trust",
           "normal")
    follow(b, publish(lab, a, "rumours", {"rumoured-book.txt": "?"}), "--trust", "untrusted",
           "--name", "rumours")
    both = ["bad-book.txt", "book.txt"]
    wait_found(b, sorted(both), "book")
    wait_found(b, [*sorted(both), "rumoured-book.txt"], "book", "--trust", "untrusted")
    check_eq(paths(b, "book", "--in", "rumours"), ["rumoured-book.txt"], "who names it means it")
    check_eq(paths(b, "book", "--trust", "trusted"), [], "none is trusted")
    content = next(hit["content_id"] for hit in b.json("search", "bad")["hits"])
    follow(b, publish(lab, a, "warnings", {"blocklist": f"content {content}\n"}))
    wait_found(b, ["book.txt"], "book")


def test_what_is_asked_wrongly_is_explained(lab):
    b = lab.daemon("b", config=CONFIG).start()
    for words, status, text in ((("search",), USAGE, "no word to look for"),
                                (("search", "..."), 1, "no word is in it"),
                                (("search", "x", "--page", "0"), USAGE, "from 1"),
                                (("search", "x", "--page", "101"), 1, "first 2000"),
                                (("search", "x", "--size", "201"), 1, "1 to 200"),
                                (("search", "x", "--trust", "much"), 1, "trusted, normal or untrusted"),
                                (("search", "x", "--in", "nobody"), NOT_FOUND, "weft sub list"),
                                (("search", "w" * 513), 1, "512 bytes")):
        done = b.weft(*words)
        check_eq(done.returncode, status, f"{words}: {done.stderr}")
        check(text in done.stderr, f"{words}: {done.stderr}")
    check_eq(b.weft("search", "w" * 512).returncode, NOT_FOUND, "as long as may be")


if __name__ == "__main__":
    run([test_only_what_is_followed_is_found_and_it_is_gone_at_once,
         test_an_update_is_found_and_what_it_removed_is_not,
         test_trust_leaves_out_and_a_blocklist_hides,
         test_what_is_asked_wrongly_is_explained])
