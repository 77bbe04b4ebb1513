# SPDX-License-Identifier: Apache-2.0
"""The pages of the documentation as a user types them: their blocks of commands, and the user's
machine."""
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess

from lab import WEFT, WEFTD, Mismatch

ROOT = pathlib.Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOBODY = 65534
LIMIT_S = 120
COMMAND = re.compile(r"^(    )?([AB]\$ )?(sudo |build/)?(weft|weftd|make|curl|tools/\w+|setcap|systemctl|varlinkctl) ")
PROMPTED = re.compile(r"^[AB]\$ ", re.M)
WHY = re.compile(r"^<!-- untyped: (.+) -->$")


@dataclasses.dataclass
class Block:
    kind: str  # sh or ini
    line: int
    untyped: str  # why, or ""
    text: str


def blocks(page):
    """The page's blocks of commands and of configuration, and what is wrong with others."""
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
            if not kind and any(COMMAND.match(row) for row in text):
                wrong.append(f"{page.name}:{begin}: commands in a fence that does not say sh")
            if kind in ("sh", "ini"):
                found.append(Block(kind, begin, why, "\n".join(text)))
            kind, why = None, ""
        else:
            text.append(line)
    return found, wrong


def is_of_two_machines(page):
    return any(PROMPTED.search(block.text) for block in blocks(page)[0])


def own(*paths):
    for path in paths:
        for each in (path, *path.rglob("*")):
            os.chown(each, NOBODY, NOBODY)


class Desk:
    """What a reader has: a clone that is built, a home with some files, an empty runtime folder; he is
    no root."""

    def __init__(self, lab, name, netns):
        self.dir, self.netns = lab.dir / name, netns
        self.clone, self.home, self.tmp = (self.dir / each for each in ("clone", "home", "tmp"))
        (self.clone / "build").mkdir(parents=True)
        lab.dir.chmod(0o755)
        for name, program in (("weft", WEFT), ("weftd", WEFTD)):
            shutil.copy(program, self.clone / "build" / name)
        for folder in (self.clone, self.home):
            shutil.copytree(ROOT / "docs", folder / "docs")
        for folder in ("run", "tmp"):
            (self.dir / folder).mkdir(mode=0o700)
        own(self.dir)

    def configure(self, texts):
        """These are weft.conf, of a node with a state of its own."""
        for each in (self.home / ".local", self.home / ".config"):
            shutil.rmtree(each, ignore_errors=True)
        conf = self.home / ".config" / "weft" / "weft.conf"
        conf.parent.mkdir(parents=True)
        conf.write_text("\n".join([*texts, ""]))
        own(self.home / ".config")

    def start(self, script, out):
        """The script in a shell of its own, in the clone; /tmp is the machine's."""
        env = {"PATH": f"{self.clone}/build:{os.environ['PATH']}", "HOME": str(self.home),
               "TERM": "dumb", "XDG_RUNTIME_DIR": str(self.dir / "run"), "TMPDIR": str(self.tmp)}
        return subprocess.Popen(
            ["ip", "netns", "exec", self.netns, "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
             "--clear-groups", "bash", "-e", "-x", "-o", "pipefail", "-c",
             script.replace("/tmp/", f"{self.tmp}/")],
            cwd=self.clone, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            start_new_session=True)

    def type(self, script):
        """Its exit status, or why there was none, and what it printed. Ends what it started."""
        told = self.dir / "told"
        with open(told, "w") as out:
            shell = self.start(script, out)
            try:
                status = shell.wait(LIMIT_S)
            except subprocess.TimeoutExpired:
                status = f"none in {LIMIT_S} s"
            finally:
                os.killpg(shell.pid, signal.SIGKILL)
                shell.wait()
        return status, told.read_text(errors="replace")


def tell(faults):
    if faults:
        raise Mismatch("\n".join(faults))
