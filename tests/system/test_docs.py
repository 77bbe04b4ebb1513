#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The commands of README.md and docs/*.md are typed as they stand. An ordinary user with a home
types each page's in the clone's folder, with a node running.

    namespace: the page's nodes, and whatever it starts, on its loopback

A block of commands is fenced as sh. One that cannot be typed here stands behind the comment
<!-- untyped: why -->, which no reader of the page sees and this test lists. docs/services.md has a test
of its own, for its programs; pages of two machines are typed by test_docs_machines.py.
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import check, run
from pages import PAGES, Desk, blocks, is_of_two_machines, tell

ELSEWHERE = {"services.md"}


def awaited(text):
    """A script's next line comes sooner than a user's. The test waits for a node that was just
    started, for the index of a new get, and for a reservation."""
    lines = []
    for line in text.splitlines():
        search = re.match(r"\w+ search \w+", line)
        if search:
            lines.append(f"until {search.group(0)} >/dev/null 2>&1; do sleep 0.05; done")
        answer = re.match(r"(\w+) reservation confirm", line)
        if answer:
            lines.append(f"until {answer.group(1)} reservation list | grep -q asked; do sleep 0.05; done")
        lines.append(line)
        if re.search(r"weftd\b.*&\s*(#.*)?$", line):
            named = re.search(r"--control (\S+)", line)
            socket = f"-s {named.group(1)} " if named else ""
            lines.append(f"until weft {socket}node id >/dev/null 2>&1; do sleep 0.05; done")
    return "\n".join(lines)


def test_every_block_of_commands_says_so(lab):
    """And what is not typed is listed, with why."""
    wrong = []
    for page in PAGES:
        found, faults = blocks(page)
        wrong += faults
        for block in found:
            if block.untyped:
                print(f"# untyped: {page.name}:{block.line}: {block.untyped}")
    tell(wrong)


def test_a_page_works_as_typed(lab):
    netns = lab.netns("docs")
    lab.ip(netns, "link", "set", "lo", "up")
    faults, typed_cnt = [], 0
    for page in PAGES:
        found = [block for block in blocks(page)[0] if not block.untyped]
        texts = [block.text for block in found if block.kind == "sh"]
        if not texts or page.name in ELSEWHERE or is_of_two_machines(page):
            continue
        desk = Desk(lab, page.stem, netns)
        desk.configure([block.text for block in found if block.kind == "ini"])
        starts_nodes = any("weftd" in each for each in texts)
        node = "" if starts_nodes else awaited("weftd >>$HOME/weftd.log 2>&1 &") + "\n"
        status, told = desk.type(node + awaited("\n".join(texts)))
        typed_cnt += len(texts)
        print(f"# {page.name}: {len(texts)} blocks: {status}")
        if status != 0:
            faults.append(f"{page.name}: ended with {status}:\n{told[-2500:]}")
    check(typed_cnt >= 5, f"only {typed_cnt} blocks are typed")
    tell(faults)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
