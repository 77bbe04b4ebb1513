#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weftd is killed at random instants while it publishes, follows and joins communities.

Each acknowledged command has its effect after the restart, the one under way has all of it or
none. Nothing else is any different; the store check finds nothing.
"""
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, TRACEABLE, check, check_eq, run, wait_for

ROUNDS = 12
KILL_S = 0.06  # a command takes about half of it
NAMES_MAX = 6


def read(daemon):
    """What the daemon says of itself, in the words of Script's model."""
    communities = {row["community_id"]: row["name"]
                   for row in daemon.json("community", "list")["communities"]}
    published = daemon.json("share", "list")["published"]
    return {
        "published": {row["name"]: row["revision"] for row in published},
        "bound": {(communities.get(each), row["name"])
                  for row in published for each in row["communities"]},
        "follows": {row["name"]: row["trust"] for row in daemon.json("sub", "list")["follows"]},
        "communities": set(communities.values()),
    }


class Script:
    """Chooses commands that the state allows, and knows what each makes of it."""

    def __init__(self, daemon, tree, link):
        self.daemon, self.tree, self.link = daemon, tree, link
        self.dice = random.Random(9)
        self.number = 0
        self.state = read(daemon)

    def choices(self):
        state, name = self.state, f"n{self.number}"
        published, follows = sorted(state["published"]), sorted(state["follows"])
        communities = sorted(state["communities"])
        bindable = [share for share in published if state["published"][share]]
        unbound = [(each, share) for each in communities for share in bindable
                   if (each, share) not in state["bound"]]
        used = {each for each, _ in state["bound"]}
        can = [("publish", share) for share in published]
        can += [("trust", each) for each in follows] + [("unfollow", each) for each in follows]
        can += [("bind", *pair) for pair in unbound]
        can += [("unbind", *pair) for pair in sorted(state["bound"])]
        can += [("leave", each) for each in communities if each not in used]
        makes = [("new", name)] * (len(published) < NAMES_MAX)
        makes += [("follow", name)] * (not follows)
        makes += [("create", name)] * (len(communities) < NAMES_MAX)
        return can if can and (not makes or self.dice.random() < 0.6) else makes

    def command(self, kind, *args):
        """The words of a command, and the state that it leads to."""
        after = {key: type(value)(value) for key, value in self.state.items()}
        name = args[0]
        if kind == "new":
            words, after["published"][name] = ("share", "new", name), 0
        elif kind == "publish":
            (self.tree / f"more{self.number}").write_bytes(b"x")
            words = ("share", "publish", name, self.tree)
            after["published"][name] += 1
        elif kind in ("bind", "unbind"):
            words = ("community", kind, *args)
            (after["bound"].add if kind == "bind" else after["bound"].remove)(args)
            after["published"][args[1]] += 1
        elif kind == "follow":
            words = ("sub", "add", self.link, "--no-wait", "--name", name)
            after["follows"][name] = "normal"
        elif kind == "trust":
            wanted = self.dice.choice([each for each in ("normal", "trusted", "untrusted")
                                       if each != after["follows"][name]])
            words, after["follows"][name] = ("sub", "set", name, "--trust", wanted), wanted
        elif kind == "unfollow":
            words = ("sub", "remove", name)
            del after["follows"][name]
        else:
            words = ("community", kind, name)
            (after["communities"].add if kind == "create" else after["communities"].remove)(name)
        return words, after

    def give(self, is_last, delay_s=0):
        """Gives a command; under the last the daemon is killed. What may be there afterwards."""
        self.number += 1
        words, after = self.command(*self.dice.choice(self.choices()))
        asked = self.daemon.weft_popen(*words)
        if is_last:
            time.sleep(delay_s)
            self.daemon.kill()
        said = asked.communicate()[1]
        if is_last and asked.returncode != OK:
            return words, [self.state, after]
        check_eq(asked.returncode, OK, f"{words}: {said}")
        self.state = after
        return words, [after]


def test_killed_at_any_instant_it_remembers_what_it_acknowledged(lab):
    other = lab.daemon("other", config=TRACEABLE).start()
    check_eq(other.weft("share", "new", "theirs", "--public").returncode, OK, "share new")
    link = other.weft("share", "link", "theirs").stdout.strip()
    other.stop()
    daemon = lab.daemon("a", config=TRACEABLE).start()
    script = Script(daemon, lab.folder("tree", {"one": 10, "deep/two": 300_000}), link)
    dice = random.Random(3)
    for _ in range(ROUNDS):
        for _ in range(dice.randrange(5)):
            script.give(is_last=False)
        words, allowed = script.give(is_last=True, delay_s=dice.uniform(0, KILL_S))
        daemon.start()
        script.state = read(daemon)
        check(script.state in allowed, f"killed at {words}: {script.state}, not one of {allowed}")
        found = daemon.weft("store", "check")
        check_eq(found.returncode, OK, f"store check: {found.stdout}{found.stderr}")
    own = daemon.weft("node", "id").stdout.strip()
    for name in script.state["communities"]:
        wait_for(lambda: own in {row["node_id"] for row in
                                 daemon.json("community", "members", name)["members"]},
                 f"it is a member of {name}")


if __name__ == "__main__":
    run([test_killed_at_any_instant_it_remembers_what_it_acknowledged])
