#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weft social export and weft social import between daemons: all of a person on another node, once and again.
Files that are sealed, altered, cut or forged. Kills while either runs."""
import hashlib
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from lab import OK, check, check_eq, need_root, run, wait_for

import nacl.signing
import oracle

MAGIC = b"weft social bundle 1\n"
POST = 1


def done(daemon, *words):
    result = daemon.weft(*words)
    check_eq(result.returncode, OK, f"{words}: {result.stderr}")
    return result.stdout


def refused(daemon, *words):
    result = daemon.weft(*words)
    check(result.returncode != OK, f"{words} was done")
    return result.stderr


def write(daemon, *words):
    return json.loads(done(daemon, "--json", "post", "write", *words))["post"]["post_id"]


def feed(daemon):
    return [(row["post_id"], row["text"], row["audience"], row["own"]) for row in daemon.json("feed")["posts"]]


def last(text):
    """The last of several JSON texts."""
    decoder, reply = json.JSONDecoder(), None
    while text.strip():
        reply, end = decoder.raw_decode(text.lstrip())
        text = text.lstrip()[end:]
    return reply


def taken(daemon, *words):
    """What an import took."""
    return last(done(daemon, "--json", "social", "import", *words))["taken"]


def secret(lab):
    path = lab.dir / "secret"
    path.write_text("a long passphrase\n")
    return str(path)


def person(lab):
    """A daemon of a person with something of each kind."""
    node = lab.daemon("a").start()
    others = [oracle.z32(bytes(nacl.signing.SigningKey(number.to_bytes(32, "big")).verify_key))
              for number in (1, 2, 3)]
    done(node, "profile", "set", "--name", "Ada", "--text", "Numbers")
    done(node, "follow", "add", others[0], "--petname", "ben")
    done(node, "follow", "add", others[1], "--private")
    done(node, "circle", "create", "family", "--rank", "9")
    done(node, "circle", "add", "family", "ben")
    done(node, "profile", "set", "--circle", "family", "--name", "Mum")
    done(node, "block", "add", others[2])
    done(node, "feed", "new", "boats", "sail", "-race")
    done(node, "post", "draft", "We sail on", "--circle", "family")
    done(node, "group", "create", "crew")
    first = write(node, "to all", "--public")
    write(node, "to friends")
    write(node, "to the family", "--circle", "family")
    node.call("EditPost", post=first, text="to all, again", mentions=[])
    done(node, "post", "delete", write(node, "gone", "--public"))
    return node


def state(node, persona=0):
    """What people see of the node, without its own key; persona: the number that the person has there."""
    draft = node.json("post", "drafts")["drafts"][0]
    follows = node.call("ListFollowedPeople", persona=persona)["people"]
    circles = node.call("ListCircles", persona=persona)["circles"]
    return {
        "feed": [row[:3] for row in feed(node)],
        "follows": [(row["person"], row["petname"], row["kind"]) for row in follows],
        "circles": [(row["name"], row["rank"], row["members"], row["profile"]) for row in circles],
        "blocks": [row["person"] for row in node.json("block", "list")["people"]],
        "feeds": [(row["name"], row["filter"]) for row in node.json("feed", "list")["feeds"]],
        "groups": [(row["group_id"], row["name"], row["role"], row["has_key"]) for row in node.json("group", "list")["groups"]],
        "draft": (draft["draft_id"], draft["text"], draft["circle"]),
    }


def test_all_of_a_person_is_on_another_node_and_once_more_changes_nothing(lab):
    node = person(lab)
    path, words = lab.dir / "ada.bundle", ["--passphrase-file", secret(lab)]
    out = last(done(node, "--json", "social", "export", str(path), "--keys", *words))
    check_eq((out["written"]["posts"], out["written"]["sealed"]), (4, True), "written")
    check_eq(out["written"]["bytes"], path.stat().st_size, "its length")
    check(b"to all" not in path.read_bytes(), "it is sealed")
    before, key = state(node), fabric.node_id(node)
    node.kill()
    other = lab.daemon("b").start()
    first = taken(other, str(path), *words)
    check_eq((first["posts"], first["left"]), (4, 0), f"taken: {first}")
    check_eq(state(other, persona=1), before, "as it was")
    check(all(row[3] for row in feed(other)), "own posts")
    check_eq(other.json("profile", "show", key)["profile"]["name"], "Ada", "the profile")
    again = taken(other, str(path), *words)
    check_eq((again["posts"], again["others"], again["left"]), (0, 0, 0), f"once more: {again}")
    other.kill()
    other.start()
    check_eq(state(other, persona=1), before, "also behind a kill")


def test_the_key_that_follows_comes_along(lab):
    node, other = lab.daemon("a").start(), lab.daemon("b").start()
    path, words = str(lab.dir / "ada.bundle"), ["--passphrase-file", secret(lab)]
    done(node, "profile", "set", "--name", "Ada")
    done(node, "persona", "commit", "0")
    committed = node.call("ListPersonas")["personas"][0]["committed_s"]
    done(node, "social", "export", path, "--keys", *words)
    taken(other, path, *words)
    check_eq(other.call("ListPersonas")["personas"][1]["committed_s"], committed, "when it was drawn")
    other.kill()
    other.start()
    here, there = (done(each, "persona", "rotate", number).strip() for each, number in ((node, "0"), (other, "1")))
    check_eq(there, here, "both nodes have the same next key")


def test_a_file_is_kept_unless_it_is_to_be_replaced_and_keys_need_a_passphrase(lab):
    node = lab.daemon("a").start()
    write(node, "one", "--public")
    path = lab.dir / "x.bundle"
    done(node, "social", "export", str(path))
    text = path.read_bytes()
    check("--force" in refused(node, "social", "export", str(path)), "a file is there")
    check_eq(path.read_bytes(), text, "it is as it was")
    write(node, "two", "--public")
    done(node, "social", "export", str(path), "--force")
    check(len(path.read_bytes()) > len(text), "replaced")
    check_eq([name.name for name in lab.dir.glob("*.weft-part")], [], "no part is left")
    check("passphrase" in refused(node, "social", "export", str(path), "--force", "--keys", "--passphrase-file",
                                  "/dev/null"), "no keys without a passphrase")


def reseal(data):
    """The same records with the end that they need."""
    return data + b"\0" + (40).to_bytes(4, "big") + count(data).to_bytes(8, "big") + blake3(data)


def count(data):
    at, cnt = len(MAGIC), 0
    while at < len(data):
        at += 5 + int.from_bytes(data[at + 1:at + 5], "big")
        cnt += 1
    return cnt


def blake3(data):
    return bytes.fromhex(subprocess.run(["b3sum", "--no-names"], input=data, stdout=subprocess.PIPE,
                                        check=True).stdout.decode().strip())


def test_an_altered_a_cut_and_a_forged_file_are_refused_whole(lab):
    node = lab.daemon("a").start()
    path = lab.dir / "x.bundle"
    ids = [write(node, f"post {number}", "--public") for number in range(4)]
    done(node, "social", "export", str(path))
    data = path.read_bytes()
    records = data[:-45]
    check_eq(reseal(records), data, "the format of docs")
    other = lab.daemon("b").start()
    for name, bad, why in (("cut", data[:-1], "ends before its end"), ("no end", records, "ends before its end"),
                           ("altered", data[:200] + bytes([data[200] ^ 1]) + data[201:], "altered"),
                           ("longer", data + b"x", "altered"), ("another", b"hello", "no bundle"),
                           ("empty", b"", "no bundle")):
        path.write_bytes(bad)
        check(why in refused(other, "social", "import", str(path)), name)
    # The last post says something else, in a file that is whole.
    at = records.rindex(b"post ")
    path.write_bytes(reseal(records[:at + 5] + b"9" + records[at + 6:]))
    said = refused(other, "social", "import", str(path))
    check("nothing was taken" in said, said)
    check_eq(feed(other), [], "nothing of it")
    check_eq(other.json("status")["counters"]["posts.put_cnt"], 0, "also of what is sound")
    check_eq(len(ids), 4, "posts")


def answer(number, is_accepted, time_ms):
    return bytes([14]) + (41).to_bytes(4, "big") + number.to_bytes(32, "big") + bytes([is_accepted]) + time_ms.to_bytes(8, "big")


def test_answers_to_requests_go_along(lab):
    node = lab.daemon("a").start()
    path = lab.dir / "x.bundle"
    answers = answer(7, 1, 1_700_000_000_000) + answer(8, 0, 1_700_000_001_000)
    path.write_bytes(reseal(MAGIC + answers))
    check_eq(taken(node, str(path))["others"], 2, "taken")
    check_eq(taken(node, str(path))["others"], 0, "and once more")
    node.kill()
    node.start()
    done(node, "social", "export", str(path), "--force")
    check(answers in path.read_bytes(), "they are in its own bundle")
    path.write_bytes(reseal(MAGIC + answer(7, 2, 0)))
    said = refused(node, "social", "import", str(path))
    check("follows no format" in said, said)


def test_another_passphrase_opens_nothing_and_a_missing_one_is_asked_for(lab):
    node = lab.daemon("a").start()
    path, other = lab.dir / "x.bundle", lab.dir / "other"
    other.write_text("another passphrase\n")
    done(node, "social", "export", str(path), "--passphrase-file", secret(lab))
    check("another passphrase seals it" in refused(node, "social", "import", str(path), "--passphrase-file",
                                                     str(other)), "another")
    check("a passphrase seals it" in refused(node, "social", "import", str(path)), "none")


def test_a_kill_leaves_the_former_file_or_the_new_one_and_an_import_goes_on(lab):
    node = lab.daemon("a").start()
    for number in range(60):
        node.call("WritePost", text=f"post {number} " + "x" * 20000, to="public", mentions=[], people=[])
    path = lab.dir / "x.bundle"
    done(node, "social", "export", str(path))
    old = hashlib.sha256(path.read_bytes()).digest()
    node.call("WritePost", text="one more", to="public", mentions=[], people=[])
    for _ in range(6):
        writing = node.weft_popen("social", "export", str(path), "--force")
        node.kill()
        writing.wait(timeout=30)
        node.start()
        whole = path.read_bytes()
        check(whole.startswith(MAGIC) and reseal(whole[:-45]) == whole, "one of both")
        if hashlib.sha256(whole).digest() != old:
            break
    done(node, "social", "export", str(path), "--force")
    other = lab.daemon("b").start()
    done(other, "follow", "add", fabric.node_id(node))
    for _ in range(4):
        taking = other.weft_popen("social", "import", str(path))
        other.kill()
        taking.wait(timeout=30)
        other.start()
    rest = taken(other, str(path))
    check_eq((rest["posts"] + rest["known"] >= 61, rest["left"]), (True, 0), f"the rest: {rest}")
    ids = {row[0] for row in feed(node)}
    check_eq({row[0] for row in feed(other)}, ids, "a page of the same feed")


def test_a_pin_and_posts_of_others_go_along(lab):
    need_root()
    a, b = fabric.start(lab, 2)
    done(b, "follow", "add", fabric.node_id(a))
    done(a, "follow", "add", fabric.node_id(b))
    post_id = write(a, "hello", "--public")
    wait_for(lambda: b.weft("social", "sync", fabric.node_id(a)) and b.weft("post", "show", post_id).returncode == OK,
             "b has the post")
    done(b, "post", "pin", post_id)
    done(b, "post", "pin", post_id, "--fork")
    path, words = lab.dir / "b.bundle", ["--passphrase-file", secret(lab)]
    done(b, "social", "export", str(path), "--keys", *words)
    pins = b.json("post", "pins")["pins"]
    b.kill()
    c = lab.daemon("c").start()
    taken(c, str(path), *words)
    check_eq(c.json("post", "pins")["pins"], pins, "pins")
    check_eq([row[1] for row in feed(c)], [row["text"] for row in c.json("feed")["posts"]], "posts")
    check(post_id in [row[0] for row in feed(c)], "that of a, too")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
