#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pages of docs/ about two machines are typed as they stand. Commands behind A$ run on one, behind
B$ on another, by ordinary users in homes of their own.

    namespaces n1 (10.77.0.1) A, n2 B, n3 what the Internet's DHT is here; on one switch, as eth0

A page's machines are new, and each runs weftd, unless the page starts it. A block of configuration that says
"on A" or "on both" is added there when its turn comes. What the page cannot know (a link, a node's id, a token)
is what the machines printed last. A comment with "within N s" or "up to N s" is a bound: the line is typed again until then.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, check, run, wait_for
from pages import PAGES, PROMPTED, Desk, blocks, is_of_two_machines, own, tell

INTERNET = "[dht]\nbootstrap = 10.77.0.3:7000\nprivate = yes\n"
PUBLIC = "publish = direct"
FILES = {"maps/north.txt": "sand", "films/Kurosawa/Seven Samurai (1954).mkv": "a film",
         "films/Kurosawa/Ikiru (1952).mkv": "another", "talks/opening.txt": "welcome"}
# What a page promises to be told, where the exit status says too little.
TOLD = {"weft lan list": "NODE", "weft peer list": "NODE", "weft community members": "NODE",
        "weft community shares": "maps", "weft search kurosawa 1954": "Seven Samurai",
        "weft dht status": "network\tipv4\t[1-9]"}


class Machine:
    def __init__(self, lab, name, netns):
        self.name, self.desk, self.started = name, Desk(lab, name, netns), []
        for path, text in FILES.items():
            at = self.desk.home / path
            at.parent.mkdir(parents=True, exist_ok=True)
            at.write_text(text)
        own(self.desk.home)
        self.desk.configure([])

    def configure(self, text):
        conf = self.desk.home / ".config" / "weft" / "weft.conf"
        conf.write_text(f"{conf.read_text()}{text}\n")

    def type(self, command):
        """Exit status and what it printed; what goes on in the background is ended with the machine."""
        with open(self.desk.dir / "told", "w+") as out:
            shell = self.desk.start(command, out)
            self.started.append(shell.pid)
            try:
                status = shell.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                status = f"none in {DEADLINE_S} s"
            return status, (self.desk.dir / "told").read_text(errors="replace")

    def start_node(self):
        self.type("weftd >$HOME/weftd.log 2>&1 &")
        self.wait_for_node()

    def wait_for_node(self):
        wait_for(lambda: self.type("weft node id")[0] == 0, f"the node of {self.name} answers")

    def node_id(self):
        return re.findall(r"^[a-z0-9]{52}$", self.type("weft node id")[1], re.M)[-1]

    def log(self):
        log = self.desk.home / "weftd.log"
        return log.read_text(errors="replace")[-1500:] if log.exists() else ""

    def close(self):
        for pid in self.started:
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


class Dialogue:
    """One page, by two machines."""

    def __init__(self, lab, stem, namespaces):
        self.machines = {name: Machine(lab, f"{stem}-{name}", netns)
                         for name, netns in zip("AB", namespaces)}
        self.links, self.token = {}, None  # links: of a community, and others
        self.typed_cnt = 0

    def other(self, name):
        return self.machines["B" if name == "A" else "A"]

    def filled(self, name, command):
        """The command with what the page cannot know."""
        if "NODE" in command or "A-ID" in command:
            command = re.sub(r"\b(NODE|A-ID)\b", self.other(name).node_id(), command)
        if "join ID KEY" in command:
            _, told = self.machines["A"].type("weft community list --json")
            community = json.loads(told[told.index("{"):])["communities"][0]
            command = command.replace("ID KEY", f"{community['community_id']} {community['key']}")
        if self.token:
            command = command.replace("TOKEN", self.token)
        return command.replace("mesh:...", self.links.get("weft community" in command, "mesh:..."))

    def note(self, command, told):
        printed = [line for line in told.splitlines() if not line.startswith("+ ")]
        links = [line for line in printed if line.startswith("mesh:")]
        if links:
            self.links["weft community" in command] = links[-1]
        if "community token" in command and printed:
            self.token = printed[-1]

    def promised(self, name, command):
        wanted = [text for begin, text in TOLD.items() if command.startswith(begin)]
        return self.other(name).node_id() if "NODE" in wanted else "".join(wanted)

    def line(self, name, line):
        """What is wrong with it, or None."""
        command, _, comment = line.partition("  #")
        bound = re.search(r"(?:within|up to) (\d+) s", comment)
        end = time.monotonic() + (int(bound.group(1)) if bound else 0)
        filled, wanted = self.filled(name, command.strip()), self.promised(name, command)
        machine = self.machines[name]
        while True:
            status, told = machine.type(filled)
            if status == 0 and re.search(wanted, told):
                break
            if time.monotonic() > end:
                return f"{name}$ {filled}: {status}, without {wanted!r}:\n{told[-1500:]}\n{machine.log()}"
        if filled.startswith("weftd"):
            machine.wait_for_node()
        self.note(command, told)
        self.typed_cnt += 1
        return None

    def block(self, block):
        """The first thing wrong with it, or None."""
        if block.kind == "ini":
            for name, machine in self.machines.items():
                if re.search(rf"^# .* on (both|{name})$", block.text, re.M):
                    machine.configure(block.text)
            return None
        for line in block.text.splitlines():
            if PROMPTED.match(line):
                fault = self.line(line[0], line[3:])
                if fault:
                    return f"line {block.line}: {fault}"
        return None

    def close(self):
        for machine in self.machines.values():
            machine.close()


def switch(lab):
    namespaces = lab.bridge(3)
    for netns in namespaces:
        lab.ip(netns, "link", "set", "veth0", "down")
        lab.ip(netns, "link", "set", "veth0", "name", "eth0")
        lab.ip(netns, "link", "set", "eth0", "up")
    lab.daemon("internet", netns=namespaces[2], listen=["10.77.0.3:7000"],
               config="[dht]\nprivate = yes\nbootstrap =\n").start()
    return namespaces


def test_two_machines_do_what_the_page_says(lab):
    namespaces = switch(lab)
    faults, typed_cnt = [], 0
    for page in filter(is_of_two_machines, PAGES):
        found = [block for block in blocks(page)[0] if not block.untyped]
        dialogue = Dialogue(lab, page.stem, namespaces)
        try:
            for machine in dialogue.machines.values():
                machine.configure(INTERNET + ("" if any(PUBLIC in b.text for b in found) else PUBLIC))
                if not any("weftd &" in block.text for block in found):
                    machine.start_node()
            fault = next(filter(None, map(dialogue.block, found)), None)
        finally:
            dialogue.close()
        print(f"# {page.name}: {dialogue.typed_cnt} lines")
        typed_cnt += dialogue.typed_cnt
        faults += [f"{page.name}: {fault}"] if fault else []
    tell(faults)
    check(typed_cnt >= 40, f"only {typed_cnt} lines are typed")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
