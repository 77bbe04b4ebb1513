#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files that go with posts: made, shown, saved and fetched by the nodes that may read them."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from lab import NOT_FOUND, OK, check, check_eq, need_root, run, wait_for

MAX_FILES = 32


def weft(node, *words, **options):
    done = node.weft(*words, **options)
    check_eq(done.returncode, OK, f"{words}: {done.stderr}")
    return done.stdout


def bytes_of(length, seed=7):
    """Bytes without repetition, so that pieces that change places are found out."""
    return bytes((at * seed + at // 251 + at // 65521) & 255 for at in range(length))


def file_of(lab, name, length):
    path = lab.dir / name
    path.write_bytes(bytes_of(length))
    return path


def write(node, *words):
    return json.loads(weft(node, "--json", "post", "write", *words))["post"]


def shown(node, post_id):
    return json.loads(weft(node, "--json", "post", "show", post_id))["post"]["attachments"]


def saved(node, lab, post_id, number, name="out"):
    path = lab.dir / f"{node.name}-{name}"
    path.unlink(missing_ok=True)
    weft(node, "post", "save", post_id, str(number), path)
    return path.read_bytes()


def test_a_file_of_each_length_comes_back_as_it_was(lab):
    node = lab.daemon("a").start()
    lengths = (0, 1, 200 << 10, 262144, 262145, 700001)
    for words in (("--public",), ()):
        files = [file_of(lab, f"file{length}.png", length) for length in lengths]
        post = write(node, "look", *words, *(word for path in files for word in ("--attach", str(path))))
        rows = shown(node, post["post_id"])
        check_eq([row["size"] for row in rows], list(lengths), "sizes")
        check_eq([row["name"] for row in rows], [path.name for path in files], "names")
        check(all(row["type"] == "image/png" and row["here"] == row["units"] for row in rows), rows)
        for number, path in enumerate(files):
            data = path.read_bytes()
            path.unlink()
            check_eq(saved(node, lab, post["post_id"], number), data, f"{path.name} {words}")


def test_a_file_that_is_there_is_left_unless_forced(lab):
    node = lab.daemon("a").start()
    post = write(node, "look", "--attach", str(file_of(lab, "boat.png", 5000)))
    there = lab.dir / "there"
    there.write_text("mine")
    done = node.weft("post", "save", post["post_id"], "0", there)
    check(done.returncode != OK and "--force" in done.stderr, done.stderr)
    check_eq(there.read_text(), "mine", "as it was")
    weft(node, "post", "save", post["post_id"], "0", there, "--force")
    check_eq(there.read_bytes(), bytes_of(5000), "replaced")
    folder = lab.dir / "folder"
    folder.mkdir()
    check_eq(weft(node, "post", "save", post["post_id"], "0", folder).strip(), str(folder / "boat.png"), "its name")
    check_eq([path.name for path in folder.iterdir()], ["boat.png"], "and nothing else")
    check_eq(node.weft("post", "save", post["post_id"], "1", lab.dir / "x").returncode, NOT_FOUND, "no such number")


def test_32_files_are_taken_and_one_more_is_refused(lab):
    node = lab.daemon("a").start()
    files = [str(file_of(lab, f"f{number}", number)) for number in range(MAX_FILES + 1)]
    ask = {"text": "many", "to": "friends", "people": [], "mentions": []}
    post = node.call("WritePost", attachments=files[:MAX_FILES], **ask)["post"]
    check_eq([row["size"] for row in shown(node, post["post_id"])], list(range(MAX_FILES)), "files")
    check("32 at most" in node.refusal("WritePost", attachments=files, **ask)["why"], "one more")
    done = node.weft("post", "write", "none", "--attach", "/nowhere")
    check(done.returncode != OK, "no such file")
    done = node.weft("post", "write", "folder", "--attach", str(lab.dir))
    check("regular file" in done.stderr, done.stderr)
    huge = lab.dir / "huge"
    with huge.open("wb") as file:
        file.truncate((1024 << 18) + 1)
    done = node.weft("post", "write", "huge", "--public", "--attach", str(huge))
    check("255 MiB" in done.stderr, done.stderr)
    check_eq(len(json.loads(weft(node, "--json", "feed"))["posts"]), 1, "what was refused is no post")


def test_an_edition_keeps_replaces_or_drops_attachments(lab):
    node = lab.daemon("a").start()
    post = write(node, "first", "--attach", str(file_of(lab, "a.png", 1000)))
    for words, names in (((), ["a.png"]), (("--attach", str(file_of(lab, "b.txt", 2000))), ["b.txt"]),
                         (("--no-attachments",), [])):
        edited = json.loads(weft(node, "--json", "post", "edit", post["post_id"], "next", *words))["post"]
        check_eq([row["name"] for row in shown(node, edited["post_id"])], names, words)



# --- between nodes ---


def friends(lab, cnt, more=""):
    """Nodes that follow each other; n1 is dialled by all."""
    need_root()
    nodes = fabric.start(lab, cnt, more=more)
    for node in nodes:
        for other in nodes:
            if node is not other:
                weft(node, "follow", "add", fabric.node_id(other))
    return nodes


def came(node, post_id, number=0, wanted=True):
    """Whether all pieces of an attachment are here; False while the post is not."""
    done = node.weft("--json", "post", "show", post_id)
    rows = json.loads(done.stdout)["post"]["attachments"] if done.returncode == OK else []
    return bool(rows) and (rows[number]["here"] == rows[number]["units"]) == wanted


def figure(node, name):
    return node.json("status")["counters"][f"attachments.{name}"]


def attached_bytes(node):
    quota = node.json("quota", "show")["quota"]
    return quota["own_attached_bytes"] + quota["wanted_attached_bytes"]


def garbage(node):
    """Blobs that nothing refers to; None while they are swept."""
    done = node.weft("--json", "gc", "plan")
    return json.loads(done.stdout)["unreferenced"]["blobs"] if done.returncode == OK else None


def test_an_image_of_200_kib_is_shown_on_the_other_node(lab):
    a, b = friends(lab, 2)
    path = file_of(lab, "boat.png", 200 << 10)
    for words in (("--public",), ()):
        post = write(a, "look", *words, "--attach", str(path))
        wait_for(lambda: came(b, post["post_id"]), f"the image {words}")
        row = shown(b, post["post_id"])[0]
        check_eq((row["name"], row["type"], row["size"]), ("boat.png", "image/png", 200 << 10), "what it is")
        check_eq(saved(b, lab, post["post_id"], 0), path.read_bytes(), "equal bytes")


def test_a_large_file_comes_when_it_is_asked_for_and_goes_on_after_a_crash(lab):
    a, b = friends(lab, 2, "[social]\nattachments_auto = 300K\n")
    path = file_of(lab, "film.mp4", 20 << 20)
    for words in (("--public",), ()):
        post = write(a, "film", *words, "--attach", str(path))
        wait_for(lambda: came(b, post["post_id"], wanted=False), "the post, and not its file")
        before = figure(b, "fetched_cnt")
        weft(b, "post", "fetch", post["post_id"])
        wait_for(lambda: figure(b, "fetched_cnt") > before + 3, "some pieces")
        b.kill()
        b.start()
        # The author's node may dial and give before this is asked, so what came by then is no loss.
        here = shown(b, post["post_id"])[0]["here"]
        kept = here - figure(b, "fetched_cnt")
        check(here > 3, f"{here} pieces were kept")
        fabric.connect(b, a)
        wait_for(lambda: came(b, post["post_id"]), "the rest")
        check(figure(b, "fetched_cnt") <= 81 - kept, "and nothing twice")
        check_eq(saved(b, lab, post["post_id"], 0), path.read_bytes(), "equal bytes")


def test_another_reader_gives_it_while_the_author_is_off(lab):
    a, b, c = friends(lab, 3, "[social]\nattachments_auto = 0\n")
    path = file_of(lab, "boat.png", 600001)
    post = write(a, "look", "--attach", str(path))
    wait_for(lambda: came(b, post["post_id"], wanted=False) and came(c, post["post_id"], wanted=False), "the post")
    weft(b, "post", "fetch", post["post_id"])
    wait_for(lambda: came(b, post["post_id"]), "b has it")
    a.stop()
    fabric.connect(c, b)
    weft(c, "post", "fetch", post["post_id"])
    wait_for(lambda: came(c, post["post_id"]), "of b")
    check_eq(saved(c, lab, post["post_id"], 0), path.read_bytes(), "equal bytes")
    check(figure(b, "served_cnt") >= 3, "b gave the pieces")


def test_attachments_of_a_deleted_post_go_and_one_that_another_names_stays(lab):
    a, b = friends(lab, 2)
    shared, other = file_of(lab, "boat.png", 300000), file_of(lab, "sail.png", 100000)
    first = write(a, "first", "--public", "--attach", str(shared), "--attach", str(other))
    second = write(a, "second", "--public", "--attach", str(shared))
    wait_for(lambda: came(b, first["post_id"], 1) and came(b, second["post_id"]), "both")
    check_eq([attached_bytes(node) for node in (a, b)], [700000] * 2, "own bytes, and those of people followed")
    weft(a, "post", "delete", first["post_id"])
    for node in (a, b):
        wait_for(lambda: attached_bytes(node) == 300000, "its bytes count no more")
        wait_for(lambda: garbage(node) == 0, "swept", timeout=60, pause=0.5)
        check_eq(saved(node, lab, second["post_id"], 0), bytes_of(300000), "what another post names is here")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
