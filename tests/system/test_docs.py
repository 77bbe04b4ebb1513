#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""README.md and docs/*.md are typed as they stand: each page's commands, by an ordinary user in a home of
his own, in the clone's folder, with a node running.

    namespace: the page's nodes, and whatever it starts, on its loopback

A block of commands is fenced as sh. One that cannot be typed here stands behind the comment
<!-- untyped: why -->, which no reader of the page sees and this test lists. docs/services.md has a test
of its own, for its programs.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import WEFT, WEFTD, Mismatch, check, run

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ELSEWHERE = {"services.md"}
NOBODY = 65534
LIMIT_S = 120
COMMAND = re.compile(r"^(    )?([AB]\$ )?(sudo |build/)?(weft|weftd|make|curl|tools/\w+|setcap|systemctl|varlinkctl) ")
INI = "the configuration of the page's node"
WHY = re.compile(r"^<!-- untyped: (.+) -->$")


def blocks(page):
    """(line number, why it is not typed or "", text) of each fenced block of sh, and what is wrong with others."""
    found, wrong = [], []
    kind, why, begin, text = None, "", 0, []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if kind is None and line.startswith("```"):
            kind, begin, text = line[3:], number, []
        elif kind is None:
            if COMMAND.match(line) and line.startswith("    "):
                wrong.append(f"{page.name}:{number}: a command outside a fence of sh: {line.strip()}")
            if line.strip():
                marked = WHY.match(line)
                why = marked.group(1) if marked else ""
        elif line == "```":
            if kind == "sh":
                found.append((begin, why, "\n".join(text)))
            elif not kind and any(COMMAND.match(row) for row in text):
                wrong.append(f"{page.name}:{begin}: commands in a fence that does not say sh")
            if kind == "ini":
                found.append((begin, INI, "\n".join(text)))
            kind, why = None, ""
        else:
            text.append(line)
    return found, wrong


def awaited(text):
    """A script's next line comes sooner than a person's: a node that was just started is waited for, and
    the index of what was just fetched."""
    lines = []
    for line in text.splitlines():
        search = re.match(r"\w+ search \w+", line)
        if search:
            lines.append(f"until {search.group(0)} >/dev/null 2>&1; do sleep 0.05; done")
        lines.append(line)
        if re.search(r"weftd\b.*&\s*(#.*)?$", line):
            named = re.search(r"--control (\S+)", line)
            socket = f"-s {named.group(1)} " if named else ""
            lines.append(f"until weft {socket}node id >/dev/null 2>&1; do sleep 0.05; done")
    return "\n".join(lines)


class Desk:
    """What a reader has: a clone that is built, a home with some files, an empty runtime folder."""

    def __init__(self, lab):
        self.lab, self.clone, self.home = lab, lab.dir / "clone", lab.dir / "home"
        lab.dir.chmod(0o755)
        (self.clone / "build").mkdir(parents=True)
        for name in ("weft", "weftd"):
            shutil.copy({"weft": WEFT, "weftd": WEFTD}[name], self.clone / "build" / name)
        shutil.copytree(ROOT / "docs", self.clone / "docs")
        shutil.copytree(ROOT / "docs", self.home / "docs")
        for folder in ("run", "tmp"):
            (lab.dir / folder).mkdir(mode=0o700)
        for path in (self.clone, self.home, lab.dir / "run", lab.dir / "tmp"):
            for each in (path, *path.rglob("*")):
                os.chown(each, NOBODY, NOBODY)
        self.netns = lab.netns("docs")
        lab.ip(self.netns, "link", "set", "lo", "up")

    def configure(self, texts):
        """What the page says stands in weft.conf, of the node that runs; with a state of its own."""
        for each in (self.home / ".local", self.home / ".config"):
            shutil.rmtree(each, ignore_errors=True)
        conf = self.home / ".config" / "weft" / "weft.conf"
        conf.parent.mkdir(parents=True)
        conf.write_text("\n".join([*texts, ""]))
        for path in (conf, conf.parent, conf.parent.parent):
            os.chown(path, NOBODY, NOBODY)

    def type(self, script):
        """Its exit status, or why there was none, and what it printed."""
        env = {"PATH": f"{self.clone}/build:{os.environ['PATH']}", "HOME": str(self.home), "TERM": "dumb",
               "XDG_RUNTIME_DIR": str(self.lab.dir / "run"), "TMPDIR": str(self.lab.dir / "tmp")}
        told = self.lab.dir / "told"
        with open(told, "w") as out:
            shell = subprocess.Popen(
                ["ip", "netns", "exec", self.netns, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                 "--clear-groups", "bash", "-e", "-x", "-o", "pipefail", "-c", script],
                cwd=self.clone, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True)
            try:
                status = shell.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                status = f"none in {LIMIT_S} s"
            finally:
                os.killpg(shell.pid, signal.SIGKILL)
                shell.wait()
        return status, told.read_text(errors="replace")


def test_every_block_of_commands_says_so(lab):
    """And what is not typed is listed, with why."""
    wrong = []
    for page in PAGES:
        found, faults = blocks(page)
        wrong += faults
        for number, why, _ in found:
            if why and why != INI:
                print(f"# untyped: {page.name}:{number}: {why}")
    check(not wrong, "\n".join(wrong))


def test_a_page_works_as_typed(lab):
    desk = Desk(lab)
    faults, typed_cnt = [], 0
    for page in PAGES:
        texts = [text for _, why, text in blocks(page)[0] if not why]
        if not texts or page.name in ELSEWHERE:
            continue
        shutil.rmtree(lab.dir / "tmp")
        (lab.dir / "tmp").mkdir(mode=0o700)
        os.chown(lab.dir / "tmp", NOBODY, NOBODY)
        text = awaited("\n".join(texts)).replace("/tmp/", f"{lab.dir}/tmp/")
        desk.configure([text for _, why, text in blocks(page)[0] if why == INI])
        starts_nodes = any("weftd" in each for each in texts)
        node = "" if starts_nodes else awaited("weftd >>$HOME/weftd.log 2>&1 &") + "\n"
        status, told = desk.type(node + text)
        typed_cnt += len(texts)
        print(f"# {page.name}: {len(texts)} blocks: {status}")
        if status != 0:
            faults.append(f"{page.name}: ended with {status}:\n{told[-2500:]}")
    check(typed_cnt >= 5, f"only {typed_cnt} blocks are typed")
    if faults:
        raise Mismatch("\n".join(faults))


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
