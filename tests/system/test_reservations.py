#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reservations among nodes: n1 is between, n2 offers, n3 reserves and names itself to no node.

        n2 (provider) --- n1 (relay, keeps the answer) --- n3 (consumer)
"""
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from fabric import connect
from lab import OK, check, check_eq, run, wait_for
from process_memory import memory_of
from sessions import node_id

FLAT = ("housing", "room_type=apartment", "size=62", "rent=900", "available_from=2027-01-01",
        "postcode=10115")
SLOT = ("fapp", "specialities=depression", "modalities=video", "cost_bearers=self-pay",
        "postcode=10115", "slots=2027-01-01T10:00", "slot_type=first-talk")
SPREAD_S = 5
# The box is looked into after 2, 4, 8, 16, 32 s and each minute.
ANSWER_S = 70
# A Reserve is sent again after 20 s.
AGAIN_S = 35
MARKER = "moonlight-sonata-at-half-past-nine"


def start(lab, more=""):
    """Each of n2 and n3 knows n1 alone: without services no node looks for others."""
    config = f"{fabric.QUIET}[service]\nenabled = no\n{more}"
    nodes = [lab.daemon(f"n{number}", netns=netns, listen=["0.0.0.0:7000"], config=config).start()
             for number, netns in enumerate(lab.bridge(3), 1)]
    for daemon in nodes[1:]:
        connect(daemon, nodes[0])
    return nodes


def publish(daemon, words, *more):
    done = daemon.weft("--json", "offer", "publish", *words, *more)
    check_eq(done.returncode, OK, done.stderr)
    return json.loads(done.stdout)["offer"]["offer_id"]


def found_at(daemon, offer, schema="housing"):
    """An announce that came before the nodes knew what each other relays is had by a query."""
    def is_here():
        if daemon.weft("offer", "show", offer).returncode == OK:
            return True
        daemon.weft("offer", "find", schema, "--mesh")
        return False

    wait_for(is_here, "the offer is here", timeout=4 * SPREAD_S)


def reserve(daemon, offer, *more):
    done = daemon.weft("--json", "offer", "reserve", offer, *more)
    check_eq(done.returncode, OK, done.stderr)
    return json.loads(done.stdout)["reservation"]["reservation_id"]


def show(daemon, reservation):
    done = daemon.weft("--json", "reservation", "show", reservation)
    return json.loads(done.stdout)["reservation"] if done.returncode == OK else None


def state(daemon, reservation):
    row = show(daemon, reservation)
    return row and row["state"]


def asked_at(daemon, reservation, timeout=SPREAD_S):
    wait_for(lambda: state(daemon, reservation) == "asked", "it is asked for", timeout=timeout)


def decide(daemon, verb, reservation, *more):
    done = daemon.weft("reservation", verb, reservation, *more)
    check_eq(done.returncode, OK, done.stderr)


def story(lab, words, filters):
    n1, n2, n3 = start(lab)
    steps = []
    offer = publish(n2, words)
    found_at(n3, offer, words[0])
    steps.append("Announce: n3 keeps the offer of n2, which came by n1")
    done = n3.weft("--json", "offer", "find", words[0], *filters, "--mesh")
    check_eq(done.returncode, OK, done.stderr)
    steps += ["Query: n3 asks the nodes around", "Response: they answer, and the offer fits"]
    mine = reserve(n3, offer, "--message", MARKER)
    asked_at(n2, mine)
    row = show(n2, mine)
    check_eq((row["side"], row["message"], row["units"]), ("received", MARKER, 1), "as n2 has it")
    peers = {peer["node_id"] for peer in n2.json("peer", "list")["peers"]}
    check_eq(peers, {node_id(n1)}, "n1 is between")
    check(node_id(n3) not in json.dumps(row), "n2 does not learn which node asks")
    check_eq(row["reply_at"], node_id(n1), "n1 has the box")
    steps.append("Reserve: n2 has it, by n1")
    decide(n2, "confirm", mine, "--message", "At six.")
    check_eq(n2.json("offer", "show", offer)["offer"]["units_left"], 0, "none is left")
    wait_for(lambda: state(n3, mine) == "confirmed", "n3 has the answer", timeout=ANSWER_S)
    check_eq(show(n3, mine)["answer"], "At six.", "the answer")
    steps.append("Confirm: n3 took it out of its box at n1")
    print("\n".join(f"# {step}" for step in steps))
    return n1, n2, n3, offer, mine


def memory_has(daemon, text):
    """Whether a page that the process has in memory holds text."""
    return any(text.encode() in piece for piece in memory_of(daemon))


def events_of(daemon):
    """The events since the start, which are all there when the watch begins."""
    watch = daemon.weft_popen("event", "watch", "--since", "1", "--json")
    time.sleep(1)
    watch.kill()
    return watch.communicate()[0]


def test_a_flat_is_found_reserved_and_confirmed_and_no_node_between_reads_it(lab):
    n1, n2, n3, offer, mine = story(lab, FLAT, ("max_rent=900", "plz_prefix=101"))
    check(memory_has(n2, MARKER), "the provider has the text in its memory")
    check(memory_has(n3, MARKER), "and the consumer")
    check(not memory_has(n1, MARKER), "the relay never had it")
    for text in (n1.log_text(), events_of(n1)):
        check(MARKER not in text and mine not in text, "nor has it the name of the reservation")
    check(mine in events_of(n2), "which the events of the provider have")
    # Either side cancels; here the consumer.
    decide(n3, "cancel", mine)
    wait_for(lambda: state(n2, mine) == "cancelled", "n2 hears", timeout=SPREAD_S)
    check_eq(n2.json("offer", "show", offer)["offer"]["units_left"], 1, "it is free again")
    done = n2.weft("reservation", "confirm", mine)
    check("it was cancelled" in done.stderr and done.returncode != OK, done.stderr)


def test_a_slot_of_a_therapist_is_reserved_refused_and_reserved_again(lab):
    _, n2, n3, offer, mine = story(lab, SLOT, ("plz_prefix=101",))
    other = reserve(n3, offer)
    asked_at(n2, other)
    done = n2.weft("reservation", "confirm", other)
    check(done.returncode not in (OK, None) and "units left" in done.stderr, done.stderr)
    decide(n2, "refuse", other, "--message", "It is taken.")
    wait_for(lambda: state(n3, other) == "refused", "n3 hears", timeout=ANSWER_S)
    decide(n2, "cancel", mine)
    check_eq(n2.json("offer", "show", offer)["offer"]["units_left"], 1, "the slot is free")
    # A page after the other, the newest first.
    page = n3.json("reservation", "list", "--limit", "1")
    check_eq([row["reservation_id"] for row in page["reservations"]], [other], "the newest one")
    page = n3.json("reservation", "list", "--limit", "1", "--cursor", page["cursor"])
    check_eq([row["reservation_id"] for row in page["reservations"]], [mine], "the one before")
    check("cursor" not in page, "there is no other")
    for words in (("--limit", "201"), ("--cursor", "5.x")):
        done = n3.weft("reservation", "list", *words)
        check(done.returncode not in (OK, None), f"{words}: {done.stderr}")


def test_a_provider_that_is_away_finds_the_reservation_when_it_is_back(lab):
    n1, n2, n3 = start(lab)
    offer = publish(n2, FLAT)
    found_at(n3, offer)
    n2.kill()
    mine = reserve(n3, offer, "--message", "while you were away")
    # n1 notices that n2 does not take it, and keeps it.
    time.sleep(12)
    n2.start()
    connect(n2, n1)
    wait_for(lambda: state(n2, mine) == "asked", "it was kept for n2", timeout=ANSWER_S)
    rows = n2.json("reservation", "list")["reservations"]
    check_eq([row["message"] for row in rows], ["while you were away"], "once")


def test_a_neighbour_that_keeps_no_deposits_is_no_box(lab):
    n1, n2, n3 = start(lab, "[deposits]\nenabled = no\n")
    offer = publish(n2, FLAT)
    found_at(n3, offer)
    for at, why in ((("--reply-at", node_id(n1)), "keeps no deposits"),
                    ((), "no neighbour but the provider keeps answers")):
        done = n3.weft("offer", "reserve", offer, *at)
        check(done.returncode != OK and why in done.stderr, done.stderr)
    check_eq(n2.json("reservation", "list")["reservations"], [], "none is asked for")


def test_a_consumer_that_was_away_finds_the_answer(lab):
    n1, n2, n3 = start(lab)
    offer = publish(n2, FLAT)
    found_at(n3, offer)
    mine = reserve(n3, offer)
    asked_at(n2, mine)
    n3.kill()
    decide(n2, "confirm", mine)
    time.sleep(2)
    n3.start()
    connect(n3, n1)
    wait_for(lambda: state(n3, mine) == "confirmed", "n3 has the answer", timeout=ANSWER_S)


def start_line(lab):
    """n2 (provider) --- n4 --- n1 --- n3 (consumer)"""
    config = f"{fabric.QUIET}[service]\nenabled = no\n"
    n1, n2, n3, n4 = [lab.daemon(f"n{number}", netns=netns, listen=["0.0.0.0:7000"],
                                 config=config).start()
                      for number, netns in enumerate(lab.bridge(4), 1)]
    for daemon, other in ((n4, n2), (n1, n4), (n3, n1)):
        connect(daemon, other)
    return n1, n2, n3, n4


def test_a_reservation_outlives_a_kill_of_each_node_on_its_way(lab):
    n1, n2, n3, n4 = start_line(lab)
    offer = publish(n2, FLAT)
    found_at(n3, offer)
    time.sleep(2)  # ways are on the disk a second later
    # A node on the way is killed: it knows the way when it is back.
    n1.kill()
    n1.start()
    connect(n1, n4)
    connect(n3, n1)
    first = reserve(n3, offer)
    # A session with a node that was killed seems to be there, so it may be sent once more.
    asked_at(n2, first, AGAIN_S)
    # The next one is away, so n1 keeps it, and is killed as well. So is the consumer.
    n4.kill()
    second = reserve(n3, offer, "--message", "by nodes that were killed")
    time.sleep(14)
    n3.kill()
    n1.kill()
    n1.start()
    check_eq(state(n2, second), None, "n2 has it not yet")
    n4.start()
    connect(n4, n2)
    connect(n1, n4)
    asked_at(n2, second)
    check_eq(show(n2, second)["message"], "by nodes that were killed", "what n2 reads")


def add_rooms(lab, daemon):
    """Of other services five reservations are made in a minute."""
    path = lab.dir / "rooms.ini"
    path.write_text("[service]\nname = rooms\nversion = 1\ntitle = Rooms\ndescription = Rooms.\n"
                    "ttl_hours = 24\nreserves_per_min = 100\n"
                    "[field rent]\ntype = number\nrequired = yes\nmin = 0\nmax = 10000\n"
                    "label = Rent\n"
                    "[filter max_rent]\nfield = rent\nmatch = at-most\nlabel = Rent\n")
    done = daemon.weft("schema", "add", str(path))
    check_eq(done.returncode, OK, done.stderr)


def test_no_kill_loses_an_answer_or_gives_a_unit_twice(lab):
    n1, n2, n3 = start(lab)
    answered = {}
    for daemon in (n1, n2, n3):
        add_rooms(lab, daemon)
    for step in range(8):
        offer = publish(n2, ("rooms", "rent=900"))
        found_at(n3, offer, "rooms")
        pair = [reserve(n3, offer) for _ in range(2)]
        for mine in pair:
            asked_at(n2, mine)
        calls = [n2.weft_popen("reservation", "confirm", mine) for mine in pair]
        time.sleep(step * 0.01)
        n2.kill()
        for mine, call in zip(pair, calls):
            answered[mine] = call.wait(10) == OK
        n2.start()
        connect(n2, n1)
        states = [state(n2, mine) for mine in pair]
        check(states.count("confirmed") <= 1, f"step {step}: {states}")
        for mine, now in zip(pair, states):
            check(now == "confirmed" or not answered[mine], f"step {step}: {mine} was lost")
            if now == "asked":
                n2.weft("reservation", "confirm", mine)
        states = [state(n2, mine) for mine in pair]
        check_eq(sorted(states), ["asked", "confirmed"], f"step {step}")
    print(f"# {sum(answered.values())} of {len(answered)} calls were answered before the kill")


def test_what_cannot_be_reserved_is_said_with_the_next_step(lab):
    _, n2, n3 = start(lab)
    offer = publish(n2, FLAT)
    found_at(n3, offer)
    for daemon, words, said in ((n3, ("offer", "reserve", "yyyyyyyyyy"), "no such offer"),
                                (n2, ("offer", "reserve", offer), "this node's own"),
                                (n3, ("offer", "reserve", offer, "--units", "2"), "units"),
                                (n3, ("offer", "reserve", offer, "--reply-at", node_id(n2)),
                                 "a third node"),
                                (n3, ("offer", "reserve", offer, "--message", "x" * 2001), "2,000"),
                                (n3, ("reservation", "confirm", "yyyyyyyyyy"), "no such")):
        done = daemon.weft(*words)
        check(done.returncode != OK and said in done.stderr, f"{words}: {done.stderr}")
    check_eq(n3.json("reservation", "list")["reservations"], [], "nothing was made")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
