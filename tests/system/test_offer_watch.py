#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Watches of offers: by the command, the control socket and the gateway."""
import contextlib
import json
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from gateway_pair import join
from lab import DEADLINE_S, OK, check, check_eq, run, wait_for
from offer_watches import Events, Watch
from web import GATEWAY, QUICK, curl, error_of, url_of

CONFIG = GATEWAY + QUICK
FLAT = {"room_type": "apartment", "size": "62", "rent": "900", "available_from": "2027-01-01",
        "postcode": "10115"}
PLACES = 64
BOATS = ("[service]\nname = boats\nversion = 1\ntitle = Boats\ndescription = Boats to hire.\nttl_hours = 24\n"
         "[field length]\ntype = number\nrequired = yes\nmin = 1\nmax = 100\nlabel = Length\nlisted = yes\n"
         "[filter min_length]\nfield = length\nmatch = at-least\nlabel = Length\n")


def values(**changed):
    return [f"{key}={value}" for key, value in {**FLAT, **changed}.items()]


def publish(node, **changed):
    return node.call("PublishOffer", schema="housing", values=values(**changed))["offer"]["offer_id"]


def test_new_offers_that_fit_come_once(lab):
    node = lab.daemon("a", config=CONFIG).start()
    publish(node)
    watch = Watch(node, "max_rent=900", "plz_prefix=101")
    events = Events(node, "max_rent=900&plz_prefix=101")
    check_eq(watch.first["parameters"].get("offer"), None, "first, that it has begun")
    check_eq((watch.first["continues"], events.status), (True, 200), "more follow")
    dear, far = publish(node, rent=901), publish(node, postcode="20095")
    fits = publish(node, rent=850)
    check_eq((watch.offer(), events.offer()), (fits, fits), "the others do not fit")
    for rent in (840, 950, 830):
        node.call("UpdateOffer", offer_id=fits, values=[f"rent={rent}"])
    node.call("UpdateOffer", offer_id=dear, values=["rent=500"])
    check_eq((watch.offer(), events.offer()), (dear, dear), "a change makes one fit; known ones stay silent")
    node.call("RevokeOffer", offer_id=dear)
    node.call("UpdateOffer", offer_id=far, values=["size=63"])
    last = publish(node, rent=1)
    check_eq((watch.offer(), events.offer()), (last, last), "nothing in between")
    watch.close()
    events.close()


def test_offers_of_other_nodes_are_watched(lab):
    a, b = lab.daemon("a", config=CONFIG).start(), lab.daemon("b").start()
    join(b, a)
    watch, events = Watch(a, "max_rent=900"), Events(a, "max_rent=900")
    publish(b, rent=901)
    offer = publish(b)
    check_eq((watch.offer(), events.offer()), (offer, offer), "it came")
    b.call("UpdateOffer", offer_id=offer, values=["rent=800"])
    other = publish(b, rent=3)
    check_eq((watch.offer(), events.offer()), (other, other), "once")


def test_the_command_shows_what_is_there_and_then_what_is_new(lab):
    node = lab.daemon("a").start()
    there = publish(node)
    shown = node.weft_popen("offer", "find", "housing", "max_rent=900", "--watch")
    try:
        check(there in shown.stdout.readline(), "what is there")
        publish(node, rent=901)
        new = publish(node, rent=800)
        check(new in shown.stdout.readline(), "and what is new")
        lines = node.weft_popen("--json", "offer", "find", "housing", "max_rent=900", "--watch")
        check_eq(json.loads(lines.stdout.readline()).get("offer"), None, "begun")
        new = publish(node, rent=700)
        check_eq(json.loads(lines.stdout.readline())["offer"]["offer_id"], new, "a line of JSON")
        lines.send_signal(signal.SIGTERM)
        lines.wait(timeout=DEADLINE_S)
        shown.send_signal(signal.SIGINT)
        check(shown.wait(timeout=DEADLINE_S) != OK, "until Ctrl-C")
    finally:
        shown.kill()
        shown.communicate()


def test_places_are_bounded_and_shared_by_user(lab):
    node = lab.daemon("a", config=CONFIG).start()
    with contextlib.ExitStack() as stack:
        # Less than the gateway and the control socket have connections for one user.
        watches = [Watch(node) for _ in range(4)]
        for watch in watches:
            stack.callback(watch.close)
        readers = [Events(node) for _ in range(PLACES - len(watches))]
        for number, reader in enumerate(readers):
            stack.callback(reader.close)
            check_eq(reader.status, 200, f"reader {number}")
        full = curl(f"{url_of(node)}/offers/housing/events")
        check_eq(error_of(full), (503, "too_many_readers"), "one more")
        check(f"All {PLACES} places" in str(full) and "End one of them" in str(full), str(full))
        # Another account gets its share, one by one from the one that has most, the youngest first.
        for number in range(PLACES // 2 - len(watches)):
            watches.append(Watch(node))
            stack.callback(watches[-1].close)
            check("error" not in watches[-1].first, f"{number}: {watches[-1].first}")
            name, data = readers[-1 - number].next()
            check(name == "ended" and "another user had fewer" in data["reason"], data)
            check_eq(readers[-1 - number].next(), None, "the end of the stream")
        refused = Watch(node)
        stack.callback(refused.close)
        said = json.dumps(refused.first)
        check(f"all {PLACES} places for watches are taken" in said and "end a watch of this user" in said, said)
        new = publish(node, rent=700)
        check_eq((watches[0].offer(), readers[0].offer()), (new, new), "the others go on")
        limits = node.call("ShowLimits")
        pool = next(row for row in limits["pools"] if row["name"] == "watches of offers")
        check_eq((pool["limit"], pool["used"], pool["largest"]), (PLACES, PLACES, PLACES // 2), pool)
        for name in ("offers: schemas that are known", "deposits of this node on their way",
                     "marks of deposits that this node took", "marks of reservations that are gone"):
            check(name in [row["name"] for row in limits["limits"]], name)
        watches[0].close()
        wait_for(lambda: Events(node).status == 200, "a place is free again")


def test_a_slow_reader_hears_how_many_it_missed_and_holds_no_other_up(lab):
    node = lab.daemon("a", config=CONFIG).start()
    slow, events, quick = Watch(node), Events(node), Watch(node)
    count = 900
    for number in range(count):
        publish(node, rent=number, description="x" * 2000, title="y" * 80, amenities=",".join(["z" * 40] * 32))
        quick.offer()
    # The next one that finds room says how many were left out.
    seen = missed = 0
    while seen + missed < count:
        reply = slow.next()["parameters"]
        seen, missed = seen + 1, missed + reply["lost"]
        if b"\0" not in slow.text and seen + missed < count:
            count += 1
            publish(node, rent=1)
    check(missed > 0, f"{seen} came")
    got = lost = 0
    publish(node, rent=1)
    count += 1
    while got + lost < count:
        name, data = events.next()
        got, lost = got + (name == "message"), lost + data.get("lost", 0)
    print(f"# of {count} offers {missed} were left out on the socket, {lost} at the gateway")
    check(lost > 0, f"{got} came")
    check_eq(got + lost, count, "each came, or was counted")


def test_a_watch_ends_with_its_schema_and_goes_on_with_a_later_version(lab):
    node = lab.daemon("a", config=CONFIG).start()
    node.call("AddSchema", text=BOATS)
    watch = Watch(node, "min_length=10", schema="boats")
    events = Events(node, "min_length=10", "/offers/boats/events")
    node.call("AddSchema", text=BOATS.replace("version = 1", "version = 2"))
    boat = node.call("PublishOffer", schema="boats", values=["length=12"])["offer"]["offer_id"]
    check_eq((watch.offer(), events.offer()), (boat, boat), "the later version")
    node.call("RevokeOffer", offer_id=boat)
    node.call("RemoveSchema", name="boats")
    check("it was removed" in json.dumps(watch.next()), "the end is said")
    check_eq(events.next(), None, "and the stream ends")


def test_what_is_wrong_with_a_watch_is_said(lab):
    node = lab.daemon("a", config=CONFIG).start()
    for filters, schema, said in ((["max_rent=x"], "housing", "max_rent"), (["colour=red"], "housing", "colour"),
                                  ([], "castles", "no schema")):
        check(said in json.dumps(Watch(node, *filters, schema=schema).first), said)
    check_eq(error_of(curl(f"{url_of(node)}/offers/housing/events?max_rent=x")), (400, "invalid_filter"), "a filter")
    check_eq(error_of(curl(f"{url_of(node)}/offers/castles/events")), (404, "not_found"), "a schema")
    done = node.weft("offer", "find", "housing", "max_rent=x", "--watch")
    check(done.returncode != OK and "max_rent" in done.stderr, done.stderr)
    try:
        node.call("WatchOffers", schema="housing", filters=[])
    except AssertionError as error:
        check("only with more" in str(error), str(error))
    else:
        check(False, "one reply")


def test_an_offer_may_have_all_fields_of_its_schema(lab):
    node = lab.daemon("a").start()
    fields = node.json("schema", "show", "housing")["fields"]
    samples = {"number": "1", "time": "2027-01-01", "text": "x", "words": "x", "postcode": "10115", "flag": "yes",
               "url": "https://example.org", "times": "2027-01-01", "geohash": "u33d", "hash": "00" * 32}
    given = [f"{row['name']}={row['choices'][0] if row['choices'] else samples[row['type']]}" for row in fields]
    check(len(given) > 14, "more than fourteen")
    done = node.weft("offer", "publish", "housing", *given)
    check_eq(done.returncode, OK, done.stderr)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
