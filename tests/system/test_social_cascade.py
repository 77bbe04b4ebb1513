#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Finding the node of a person that has moved, by one stage while nftables blocks the others.

    n1 person (10.77.0.1, then .101), n2 asker, n4 contact; all on one switch.
    n3 helper: the one node that the asker can reach.
"""
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lan_lab import LAN, LISTEN
from lab import NOT_FOUND, OK, Skip, check, check_eq, need_root, run, wait_for
from sessions import node_id

PERSON, ASKER, HELPER, CONTACT = range(1, 5)
NEW_PLACE = "10.77.0.101"
# Addresses of a private network are what these nodes have to say of themselves.
ALONE = "[dht]\nenabled = no\nprivate = yes\n[overlay]\nserve = off\n[social]\naddresses = yes\n"
WORDS = "here I am"
STAGES = ["session", "lan", "stored", "their_anchors", "contacts", "contact_anchors", "own_anchors",
          "last_resort", "relay"]
# Where a node was is on the disk after a second; then kill -9 takes it no more.
KEPT_S = 1.5
# The dial where the person was (8 s), contacts (5 s) and the first moments of a node; docs/social.md.
RECOVERY_MS = 20_000
SEARCH = "social_search."


def ip(number):
    return f"10.77.0.{number}"


def done(daemon, *words):
    result = daemon.weft(*words)
    check_eq(result.returncode, OK, f"{daemon.name} {words}: {result.stderr}")
    return result.stdout


def replies(text):
    """The JSON values in text, one behind the other."""
    values, decoder = [], json.JSONDecoder()
    while text.strip():
        value, end = decoder.raw_decode(text.lstrip())
        values.append(value)
        text = text.lstrip()[end:]
    return values


def counter(daemon, name):
    return daemon.json("status")["counters"][name]


def allow(netns, *addresses):
    """netns exchanges packets with these addresses alone, and it speaks first: none of them dials it."""
    only = ", ".join(addresses)
    rules = ("flush ruleset\ntable ip only {\n"
             f"chain out {{ type filter hook output priority 0; ip daddr != {{ {only} }} drop; }}\n"
             f"chain in {{ type filter hook input priority 0; ip saddr != {{ {only} }} drop; "
             f"ct state new drop; }}\n}}\n")
    result = subprocess.run(["ip", "netns", "exec", netns, "nft", "-f", "-"], input=rules, text=True,
                            capture_output=True, check=False)
    if result.returncode:
        raise Skip(f"no nftables here: {result.stderr}")


def recovered(stage, began):
    took_ms = (time.monotonic() - began) * 1000
    print(f"# {stage}: {took_ms:.0f} ms")
    check(took_ms < RECOVERY_MS, f"{stage}: {took_ms} ms")


class Cast:
    def __init__(self, lab, *numbers):
        need_root()
        self.lab = lab
        self.netns = [None, *lab.bridge(4)]
        self.nodes = {}
        self.numbers = numbers

    def start(self, number, more="anchor = no\n", listen=("0.0.0.0:7000",)):
        self.nodes[number] = self.lab.daemon(f"n{number}", netns=self.netns[number],
                                             listen=list(listen), config=ALONE + more).start()
        return self.nodes[number]

    def id(self, number):
        return node_id(self.nodes[number])

    def meet(self, one, other):
        done(self.nodes[one], "peer", "connect", self.id(other), f"{ip(other)}:7000")

    def follow(self, one, other):
        """one has the profile and the address record of other, whose name it says."""
        done(self.nodes[one], "follow", "add", self.id(other))
        self.meet(one, other)
        wait_for(lambda: self.nodes[one].weft("social", "sync", self.id(other)).returncode == OK,
                 f"n{one} syncs with n{other}")

    def named(self, *numbers):
        for number in numbers:
            done(self.nodes[number], "profile", "set", "--name", f"n{number}")

    def has_checked_in(self, number, before=0):
        wait_for(lambda: counter(self.nodes[number], "social_anchors.checked_in_cnt") > before,
                 f"n{number} has checked in")

    def move(self):
        """The person's node ends by kill -9, and is elsewhere; the asker is off meanwhile."""
        person, asker = self.nodes[PERSON], self.nodes[ASKER]
        time.sleep(KEPT_S)
        asker.kill()
        person.kill()
        device = self.device(self.netns[PERSON])
        # The address that is deleted takes those of its network with it.
        self.lab.ip(self.netns[PERSON], "addr", "del", f"{ip(PERSON)}/24", "dev", device)
        self.lab.ip(self.netns[PERSON], "addr", "add", f"{NEW_PLACE}/24", "dev", device)
        person.start()
        done(person, "post", "write", WORDS, "--public")

    def device(self, netns):
        links = json.loads(subprocess.run(["ip", "-n", netns, "-j", "link"], capture_output=True,
                                          check=True, text=True).stdout)
        return next(link["ifname"] for link in links if link["ifname"] != "lo")

    def asker_reads(self, *addresses):
        """The asker starts where it can reach addresses alone, and reads the person's post; when it started."""
        asker = self.nodes[ASKER]
        allow(self.netns[ASKER], *addresses)
        began = time.monotonic()
        asker.start()
        wait_for(lambda: WORDS in [post["text"] for post in asker.json("feed")["posts"]],
                 "the asker reads the person's post", timeout=120, pause=0.2)
        return began

    def found_by(self, stage, *addresses):
        """The asker starts where it can reach the person and addresses alone, and finds the person by stage."""
        asker = self.nodes[ASKER]
        began = self.asker_reads(NEW_PLACE, *addresses)
        # A contact may give the post before the person is found. Where it was, a slot may dial it.
        if stage != "stored":
            wait_for(lambda: counter(asker, f"{SEARCH}{stage}_cnt"), f"found by {stage}", pause=0.2)
        recovered(stage, began)
        ends = {name.removeprefix(SEARCH).removesuffix("_cnt"): number
                for name, number in asker.json("status")["counters"].items() if name.startswith(SEARCH)}
        # A contact that helps is looked for, too, and is where it was. The person is not, once moved.
        found = {end for end in STAGES if ends[end]} - {"session", "stored"}
        check_eq(found, {stage} - {"stored"}, f"the stage that found it: {ends}")
        result = asker.weft("--json", "social", "reach", self.id(PERSON))
        check_eq(result.returncode, OK, result.stderr)
        last = replies(result.stdout)[-1]
        check_eq([row["stage"] for row in last["stages"]], ["session"], "the session is there now")


def test_a_node_that_has_not_moved_is_dialled_where_it_was(lab):
    cast = Cast(lab)
    for number in (PERSON, ASKER):
        cast.start(number)
    cast.named(PERSON)
    cast.follow(ASKER, PERSON)
    time.sleep(KEPT_S)
    cast.nodes[ASKER].kill()
    done(cast.nodes[PERSON], "post", "write", WORDS, "--public")
    cast.found_by("stored", ip(PERSON))


def test_after_a_move_the_person_is_found_on_the_lan(lab):
    cast = Cast(lab)
    for number in (PERSON, ASKER):
        cast.start(number, "anchor = no\n" + LAN, LISTEN)
    cast.named(PERSON)
    cast.follow(ASKER, PERSON)
    cast.move()
    # What the LAN says by multicast of IPv6 is left, and sessions by it: no address of IPv4 is.
    recovered("lan", cast.asker_reads("127.0.0.1"))
    # Nodes of a LAN become neighbours by themselves, also while a search dials where the person was.
    found = {end for end in STAGES if counter(cast.nodes[ASKER], f"{SEARCH}{end}_cnt")}
    check(found <= {"lan", "session", "stored"}, f"stages that found it: {found}")


def test_after_a_move_the_person_is_found_by_an_anchor_that_the_asker_never_met(lab):
    cast = Cast(lab)
    cast.start(HELPER, "anchor = yes\n")
    for number in (PERSON, ASKER):
        cast.start(number)
    cast.named(PERSON)
    done(cast.nodes[PERSON], "anchor", "add", cast.id(HELPER), f"{ip(HELPER)}:7000")
    cast.has_checked_in(PERSON)
    cast.follow(ASKER, PERSON)
    cast.move()
    cast.has_checked_in(PERSON)
    cast.found_by("their_anchors", ip(HELPER))


def test_after_a_move_the_person_is_found_by_a_mutual_contact(lab):
    cast = Cast(lab)
    for number in (PERSON, ASKER, HELPER):
        cast.start(number)
    cast.named(PERSON, ASKER, HELPER)
    for one, other in ((ASKER, PERSON), (ASKER, HELPER), (HELPER, ASKER), (HELPER, PERSON)):
        cast.follow(one, other)
    cast.move()
    cast.meet(PERSON, HELPER)
    wait_for(lambda: cast.nodes[HELPER].weft("social", "sync", cast.id(PERSON)).returncode == OK,
             "the contact hears where the person is")
    cast.found_by("contacts", ip(HELPER))


def test_after_a_move_the_person_is_found_by_an_anchor_of_a_contact(lab):
    cast = Cast(lab)
    anchor = cast.start(HELPER, "anchor = yes\n")
    cast.start(PERSON, f"anchor = no\nlast_resort = {node_id(anchor)}@{ip(HELPER)}:7000\n")
    for number in (ASKER, CONTACT):
        cast.start(number)
    cast.named(PERSON, ASKER, CONTACT)
    done(cast.nodes[CONTACT], "anchor", "add", cast.id(HELPER), f"{ip(HELPER)}:7000")
    cast.has_checked_in(CONTACT)
    for one, other in ((ASKER, PERSON), (ASKER, CONTACT), (CONTACT, ASKER)):
        cast.follow(one, other)
    cast.move()
    cast.has_checked_in(PERSON)
    cast.found_by("contact_anchors", ip(HELPER))


def test_after_a_move_the_person_is_found_by_the_askers_anchors(lab):
    cast = Cast(lab)
    anchor = cast.start(HELPER, "anchor = yes\n")
    cast.start(PERSON, f"anchor = no\nlast_resort = {node_id(anchor)}@{ip(HELPER)}:7000\n")
    cast.start(ASKER)
    cast.named(PERSON, ASKER)
    done(cast.nodes[ASKER], "anchor", "add", cast.id(HELPER), f"{ip(HELPER)}:7000")
    cast.follow(ASKER, PERSON)
    cast.move()
    cast.has_checked_in(PERSON)
    cast.found_by("own_anchors", ip(HELPER))


def test_after_a_move_the_person_is_found_by_the_last_resort(lab):
    cast = Cast(lab)
    anchor = cast.start(HELPER, "anchor = yes\n")
    last = f"anchor = no\nlast_resort = {node_id(anchor)}@{ip(HELPER)}:7000\n"
    for number in (PERSON, ASKER):
        cast.start(number, last)
    cast.named(PERSON, ASKER)
    cast.follow(ASKER, PERSON)
    cast.move()
    cast.has_checked_in(PERSON)
    cast.found_by("last_resort", ip(HELPER))


def test_after_a_move_the_person_is_reached_through_the_relay_that_its_record_names(lab):
    # A route has the record's relays, and dials through them while it dials where the person was.
    cast = Cast(lab)
    cast.start(HELPER, "anchor = no\n[relay]\nenabled = yes\nflow_cap = 1024\n")
    cast.start(PERSON, "anchor = no\n[relay]\nuse = always\n")
    cast.start(ASKER)
    cast.named(PERSON)
    person, helper = cast.nodes[PERSON], cast.id(HELPER)

    def keeps():
        return {row["relay"]: row["state"] for row in person.json("relay", "status")["role"]["kept"]} == {helper: "up"}
    cast.meet(PERSON, HELPER)
    wait_for(keeps, "the person keeps the relay")
    cast.follow(ASKER, PERSON)
    cast.move()
    cast.meet(PERSON, HELPER)
    wait_for(keeps, "the person keeps the relay at its new place")
    recovered("relay", cast.asker_reads(ip(HELPER)))
    row = cast.nodes[ASKER].json("peer", "show", cast.id(PERSON))["peer"]
    check_eq((row["connected"], row.get("relayed_by")), (True, helper), "through the relay")


def test_a_node_that_no_stage_finds_is_reported_with_all_stages(lab):
    cast = Cast(lab)
    for number in (PERSON, ASKER):
        cast.start(number)
    cast.named(PERSON)
    cast.follow(ASKER, PERSON)
    person = cast.id(PERSON)
    cast.nodes[PERSON].kill()
    cast.nodes[ASKER].kill()
    asker = cast.nodes[ASKER].start()
    result = asker.weft("--json", "social", "reach", person)
    check_eq(result.returncode, NOT_FOUND, result.stdout)
    rows = replies(result.stdout)
    check(not rows[-1]["reached"], rows)
    stages = {row["stage"]: row["result"] for row in rows[-1]["stages"]}
    check_eq(list(stages), [stage.replace("_", "-") for stage in STAGES], "in order")
    check_eq({stage for stage, said in stages.items() if said != "nothing to try"}, {"stored"},
             "the one that had something to try")
    check_eq([row["stage"]["stage"] for row in rows[:-1]], list(stages), "each came as it ended")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
