#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Service offers: published by one node, kept by those around it, found by their filters."""
import json
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from fabric import connect
from lab import OK, check, check_eq, run, wait_for
from sessions import node_id

NOT_FOUND = 4
USAGE = 2
FLAT = {"room_type": "apartment", "size": 62, "rent": 900, "available_from": "2027-01-01",
        "postcode": "10115"}
# A hop, and a disk that is slow under load.
SPREAD_S = 5


def words(**values):
    return [f"{field}={value}" for field, value in {**FLAT, **values}.items()]


def publish(daemon, *more, schema="housing", **values):
    done = daemon.weft("--json", "offer", "publish", schema, *words(**values), *more)
    check_eq(done.returncode, OK, done.stderr)
    return json.loads(done.stdout)["offer"]


def find(daemon, *filters, schema="housing"):
    done = daemon.weft("--json", "offer", "find", schema, *filters)
    check(done.returncode in (OK, NOT_FOUND), done.stderr)
    return json.loads(done.stdout)["offers"]


def relayed_by(daemon, of):
    """The services that of says it relays, as daemon lists them."""
    rows = daemon.json("offer", "relays")["relays"]
    return {name for row in rows if row["node_id"] == node_id(of) for name in row["relayed"].split()}


def values(offer):
    return {value["field"]: value["value"] for value in offer["values"]}


def ids(offers):
    return [offer["offer_id"] for offer in offers]


def test_an_offer_is_found_changed_and_withdrawn_where_it_was_published(lab):
    node = lab.daemon("a").start()
    offer = publish(node)
    check_eq((offer["schema"], offer["provider"], offer["own"], offer["units"]),
             ("housing", node_id(node), True, 1), "the offer")
    check_eq(values(offer)["rent"], "900", "its rent")
    check_eq(ids(find(node, "max_rent=900", "plz_prefix=101")), [offer["offer_id"]], "found")
    check_eq(find(node, "max_rent=899"), [], "the bound is inclusive, and no more")
    done = node.weft("offer", "update", offer["offer_id"][:8], "rent=850")
    check_eq(done.returncode, OK, done.stderr)
    found = find(node, "max_rent=899")
    check_eq((values(found[0])["rent"], values(found[0])["size"]), ("850", "62"), "changed")
    done = node.weft("offer", "update", offer["offer_id"], "size=70")
    check_eq(done.returncode, OK, done.stderr)
    found = find(node)
    check_eq((values(found[0])["rent"], values(found[0])["size"]), ("850", "70"), "both stay")
    check_eq(found[0]["expires_s"], offer["expires_s"], "no change prolongs its life")
    check_eq(ids(node.json("offer", "list")["offers"]), [offer["offer_id"]], "listed")
    done = node.weft("offer", "revoke", offer["offer_id"])
    check_eq(done.returncode, OK, done.stderr)
    check_eq(find(node), [], "withdrawn")
    several = publish(node, "--units", "5")["offer_id"]
    check_eq(node.weft("offer", "update", several, "rent=1", "--units", "3").returncode, OK, "less")
    done = node.weft("offer", "update", several, "rent=2")
    check_eq(done.returncode, OK, done.stderr)
    check_eq(node.json("offer", "show", several)["offer"]["units"], 3, "units stay")
    check_eq(node.weft("offer", "revoke", several).returncode, OK, "withdrawn, too")
    check_eq(node.weft("offer", "find", "housing").returncode, NOT_FOUND, "4: nothing is found")
    check_eq(node.weft("offer", "show", offer["offer_id"]).returncode, NOT_FOUND, "gone")


def test_what_is_wrong_with_an_offer_is_said_and_nothing_is_published(lab):
    node = lab.daemon("a").start()
    for wrong, said in ((words(rent="cheap"), "rent"), (words(rent=70000), "rent"),
                        (words(postcode="Torstrasse 1, 10115 Berlin"), "postcode"),
                        (words()[1:], "room_type"), (["colour=red", *words()], "colour")):
        done = node.weft("offer", "publish", "housing", *wrong)
        check(done.returncode not in (OK, NOT_FOUND), f"{wrong}: {done.returncode}")
        check(said in done.stderr, f"{said}: {done.stderr}")
    done = node.weft("offer", "publish", "castles", "rent=1")
    check_eq(done.returncode, NOT_FOUND, done.stderr)
    check("weft schema list" in done.stderr, done.stderr)
    done = node.weft("offer", "find", "housing", "max_price=3")
    check(done.returncode not in (OK, NOT_FOUND) and "max_price" in done.stderr, done.stderr)
    check_eq(find(node), [], "nothing")
    check_eq(node.json("offer", "list")["offers"], [], "nothing")


def test_offers_survive_a_kill_and_withdrawn_ones_stay_away(lab):
    node = lab.daemon("a").start()
    kept = [publish(node, rent=500 + i)["offer_id"] for i in range(10)]
    gone = publish(node)["offer_id"]
    check_eq(node.weft("offer", "update", kept[3], "rent=444").returncode, OK, "changed")
    check_eq(node.weft("offer", "revoke", gone).returncode, OK, "withdrawn")
    node.kill()
    node.start()
    check_eq(sorted(ids(find(node))), sorted(kept), "all that was acknowledged")
    check_eq(values(find(node, "max_rent=450")[0])["rent"], "444", "with its change")


def test_an_offer_reaches_nodes_around_and_theirs(lab):
    n1, n2, n3 = fabric.start(lab, 3)
    offer = publish(n2)
    # n2 knows n1 alone; n3 hears of it by n1.
    for node in (n1, n3):
        wait_for(lambda node=node: ids(find(node)) == [offer["offer_id"]], f"at {node.name}",
                 timeout=SPREAD_S)
        found = find(node)[0]
        check_eq((found["own"], found["provider"]), (False, node_id(n2)), "whose it is")
    check_eq(n2.weft("offer", "update", offer["offer_id"], "rent=700").returncode, OK, "changed")
    wait_for(lambda: find(n3, "max_rent=700"), "the change", timeout=SPREAD_S)
    check_eq(n1.weft("offer", "revoke", offer["offer_id"]).returncode, NOT_FOUND, "it is not n1's")
    check_eq(n2.weft("offer", "revoke", offer["offer_id"]).returncode, OK, "withdrawn")
    wait_for(lambda: not find(n1) and not find(n3), "withdrawn everywhere", timeout=SPREAD_S)


def test_a_node_that_comes_later_learns_of_offers_by_its_first_session(lab):
    n1, n2 = fabric.start(lab, 2)
    offer = publish(n1)
    wait_for(lambda: ids(find(n2)) == [offer["offer_id"]], "at n2", timeout=SPREAD_S)
    n2.stop()
    later = publish(n1, rent=333)
    n2.start()
    connect(n2, n1)
    wait_for(lambda: sorted(ids(find(n2))) == sorted([offer["offer_id"], later["offer_id"]]),
             "both", timeout=SPREAD_S)


def test_what_the_rates_of_announces_kept_away_comes_when_a_neighbour_says_what_it_keeps(lab):
    _, n2, n3 = fabric.start(lab, 3)
    # A neighbour takes ten announces of a provider in a minute.
    offers = {publish(n2, rent=300 + i)["offer_id"] for i in range(30)}
    wait_for(lambda: set(ids(find(n3, "max_rent=400", "--limit", "200"))) == offers, "all of them",
             timeout=2 * SPREAD_S)
    counters = n3.json("status")["counters"]
    # The rate has a window that slides, so one or two more than ten come by themselves.
    check(counters["offers_spread.wanted_cnt"] >= 15, counters["offers_spread.wanted_cnt"])


def test_an_experiment_is_found_and_reserved_under_its_own_name(lab):
    """Experiments share a service id. Their messages name the schema, queries among them."""
    nodes = n1, n2, n3 = fabric.start(lab, 3)
    path = lab.dir / "lamps.ini"
    path.write_text("[service]\nname = lamps\nid = 0xFFFF\nversion = 1\ntitle = Lamps\ndescription = Lamps.\n"
                    "ttl_hours = 24\n[field watts]\ntype = number\nrequired = yes\nmin = 1\nmax = 100\n"
                    "[filter max_watts]\nfield = watts\nmatch = at-most\n")
    for node in nodes:
        check_eq(node.weft("schema", "add", str(path)).returncode, OK, "added")
    for i in range(14):
        check_eq(n2.weft("offer", "publish", "lamps", f"watts={1 + i}").returncode, OK, "published")
    wait_for(lambda: find(n3, schema="lamps"), "some are here", timeout=SPREAD_S)
    found = find(n3, "--mesh", "max_watts=13", schema="lamps")
    check_eq(len(found), 13, "an answer brings what the rates kept away")
    done = n3.weft("offer", "find", "housing,lamps")
    check("alone" in done.stderr and done.returncode not in (OK, NOT_FOUND), done.stderr)
    done = n3.weft("--json", "offer", "reserve", found[0]["offer_id"])
    check_eq(done.returncode, OK, done.stderr)
    wait_for(lambda: n2.json("reservation", "list")["reservations"], "n2 has it", timeout=SPREAD_S)
    for node in (n2, n3):
        check_eq([row["schema"] for row in node.json("reservation", "list")["reservations"]], ["lamps"], node.name)


def test_a_withdrawal_that_was_missed_is_said_again(lab):
    n1, n2 = fabric.start(lab, 2)
    offer = publish(n1)
    wait_for(lambda: ids(find(n2)) == [offer["offer_id"]], "at n2", timeout=SPREAD_S)
    n2.stop()
    check_eq(n1.weft("offer", "revoke", offer["offer_id"]).returncode, OK, "withdrawn")
    n2.start()
    wait_for(lambda: not find(n2), "n2 heard", timeout=SPREAD_S)


def test_offers_that_need_a_proof_are_not_shown_without(lab):
    n1, n2 = fabric.start(lab, 2)
    for node in (n1, n2):
        node.call("AddSchema", name="medical")
    shown = n1.json("schema", "show", "medical")
    check(shown["schema"]["level"] > 0, shown["schema"])
    needed = [row for row in shown["fields"] if row["required"]]
    samples = {"number": "1", "time": "2027-01-01", "times": "2027-01-01T10:00", "text": "x",
               "words": "x", "postcode": "10115", "geohash": "u33d", "flag": "yes",
               "url": "https://example.org", "hash": "00" * 32}
    given = [f"{row['name']}={row['choices'][0] if row['choices'] else samples[row['type']]}"
             for row in needed]
    try:
        n1.call("PublishOffer", schema="medical", values=given, seed=True)
    except AssertionError as error:
        check("takes no signature of the seed form" in str(error), error)
    else:
        check(False, "a form that each neighbour drops was published")
    done = n1.weft("offer", "publish", "medical", *given)
    check_eq(done.returncode, OK, f"{given}: {done.stderr}")
    check_eq(len(find(n1, schema="medical")), 1, "its own")
    publish(n1)
    wait_for(lambda: find(n2), "what came with it is at n2", timeout=SPREAD_S)
    check_eq(find(n2, schema="medical"), [], "no endorsement is known")


def test_a_node_alone_says_that_it_asks_no_other(lab):
    node = lab.daemon("a").start()
    done = node.weft("offer", "find", "housing", "--mesh")
    check_eq(done.returncode, NOT_FOUND, done.stderr)
    check("no neighbour keeps offers" in done.stderr, done.stderr)


def test_numbers_that_no_offer_may_have_are_refused(lab):
    node = lab.daemon("a").start()
    for wrong in ({"units": 0}, {"units": 2**32}, {"units": -1}, {"ttl_hours": 0},
                  {"ttl_hours": 8761}, {"ttl_hours": 65536 + 1}):
        try:
            node.call("PublishOffer", schema="housing", values=words(), **wrong)
        except AssertionError as error:
            check(list(wrong)[0] in str(error), f"{wrong}: {error}")
        else:
            check(False, f"{wrong} was taken")
    check_eq(find(node), [], "nothing is published")


def test_filters_agree_with_a_search_by_hand(lab):
    dice = random.Random(17)
    node = lab.daemon("a").start()
    rows = []
    for _ in range(40):
        row = {"room_type": dice.choice(["shared-flat", "apartment", "house"]),
               "size": dice.randint(10, 100), "rent": dice.randint(200, 1500),
               "postcode": dice.choice(["10115", "10119", "20095", "80331"])}
        rows.append((row, publish(node, **row)["offer_id"]))
    begin = time.monotonic()
    for _ in range(60):
        rent, size = dice.randint(200, 1500), dice.randint(10, 100)
        plz, kind = dice.choice(["1", "101", "10115", "2"]), dice.choice(["apartment", "house"])
        want = {offer for row, offer in rows
                if row["rent"] <= rent and row["size"] >= size and row["room_type"] == kind
                and row["postcode"].startswith(plz)}
        got = find(node, f"max_rent={rent}", f"min_size={size}", f"plz_prefix={plz}",
                   f"room_type={kind}")
        check_eq(set(ids(got)), want, f"{rent} {size} {plz} {kind}")
    print(f"# 60 searches by command in {time.monotonic() - begin:.1f} s")


def test_an_offer_that_fits_in_no_answer_is_refused(lab):
    """An answer to a query has 65,535 bytes, with an announce, its update and the keys around them."""
    n1, n2 = fabric.start(lab, 2)
    alone = lab.daemon("alone").start()
    text = ("[service]\nname = long\nversion = 1\ntitle = Long\ndescription = Long texts.\nttl_hours = 24\n"
            + "".join(f"[field text{i}]\ntype = text\nmax = 8000\nlabel = Text\n" for i in range(9)))
    for node in (n1, n2, alone):
        node.call("AddSchema", text=text)

    def said(length):
        """text0 to text8 with so many letters in all"""
        return [f"text{i}={'x' * min(8000, length - 8000 * i)}" for i in range(9) if length > 8000 * i]

    def refused(node, method, **parameters):
        try:
            return node.call(method, **parameters) and False
        except AssertionError as error:
            check("answer to a query" in str(error), str(error)[-500:])
            return True

    low, high = 60000, 65500
    while high - low > 1:
        middle = (low + high) // 2
        if refused(alone, "PublishOffer", schema="long", values=said(middle)):
            high = middle
        else:
            low = middle
    check(65000 < low < 65400, f"{low} letters are taken, {high} are not")
    # A neighbour takes ten announces of a provider in a minute, so a query has to bring the next.
    for _ in range(10):
        n1.call("PublishOffer", schema="long", values=said(10))
    wait_for(lambda: len(find(n2, schema="long")) == 10, "the announces", timeout=SPREAD_S)
    longest = n1.call("PublishOffer", schema="long", values=said(low))["offer"]["offer_id"]
    check(refused(n1, "UpdateOffer", offer_id=longest, values=["text0=y"]), "an update counts, too")
    check(longest not in ids(find(n2, schema="long")), "no announce brought it")
    check(longest in ids(find(n2, "--mesh", schema="long")), "a query did")


def test_pages_of_long_offers_fit_in_a_reply(lab):
    """A quote takes two bytes in JSON, so the 20 that are asked for would be 2.4 MB."""
    node = lab.daemon("a").start()
    node.call("AddSchema", text="[service]\nname = long\nversion = 1\ntitle = Long\n"
              + "".join(f"[field text{i}]\ntype = text\nmax = 8000\nlisted = yes\n" for i in range(9)))
    quotes = '"' * 7500
    offers = {node.call("PublishOffer", schema="long", values=[f"text{i}={quotes}" for i in range(8)])
              ["offer"]["offer_id"] for _ in range(20)}
    for method, given in (("FindOffers", {"schema": "long", "filters": [], "limit": 200}), ("ListOffers", {})):
        found, cursor, pages = [], None, 0
        while pages == 0 or cursor:
            page = node.call(method, **given, **({"cursor": cursor} if cursor else {}))
            check(len(json.dumps(page)) < 1 << 20, f"{method}: a page of {len(json.dumps(page))}")
            found += ids(page["offers"])
            cursor, pages = page.get("cursor"), pages + 1
        check_eq((len(found), set(found)), (20, offers), f"{method}: each once")
        check(1 < pages < 10, f"{method}: {pages} pages")
    done = node.weft("offer", "list")
    check("--cursor" in done.stderr, f"the command says how to go on: {done.stderr}")
    # A text of letters of two bytes is shown whole, and its summary ends between two of them.
    umlauts = "\u00e4" * 7999
    for lead in ("", "x"):
        offer = node.call("PublishOffer", schema="long", values=[f"text0={lead}{umlauts}"])["offer"]
        check_eq(values(offer)["text0"], lead + umlauts, "whole")
        check(set(offer["summary"].removeprefix(f"text0={lead}")) == {"\u00e4"}, offer["summary"][-9:])


def test_a_fresh_node_has_the_three_core_services_and_others_by_name(lab):
    n1, n2 = fabric.start(lab, 2)
    core = ["fapp", "housing", "repair"]
    schemas = n1.json("schema", "list")["schemas"]
    check_eq([row["name"] for row in schemas if row["on"]], core, "on at start")
    check_eq({row["origin"] for row in schemas if row["on"]}, {"core"}, "of the core")
    check_eq({row["name"] for row in schemas if not row["on"]},
             {"custom", "events", "instrument", "legal", "medical", "tutor", "volunteer"}, "to be added")
    wait_for(lambda: relayed_by(n2, n1) == set(core), "what a neighbour hears of it", timeout=SPREAD_S)
    check_eq(n1.json("schema", "show", "tutor")["schema"]["on"], False, "it can be looked at")
    done = n1.weft("offer", "find", "tutor")
    check_eq(done.returncode, NOT_FOUND, done.stderr)
    check("weft schema add" in done.stderr, done.stderr)
    done = n1.weft("schema", "add", "tutor")
    check_eq(done.returncode, OK, done.stderr)
    wait_for(lambda: relayed_by(n2, n1) == {*core, "4"}, "heard within a second", timeout=SPREAD_S)
    n1.kill()
    n1.start()
    row = n1.json("schema", "show", "tutor")["schema"]
    check_eq((row["origin"], row["on"]), ("shipped", True), "after a kill, too")
    check_eq(n1.weft("schema", "add", "tutor").returncode, OK, "it is on already")
    check_eq(n1.weft("schema", "remove", "tutor").returncode, OK, "and off again")
    check_eq(n1.json("schema", "show", "tutor")["schema"]["on"], False, "off")
    check_eq(n1.weft("schema", "remove", "tutor").returncode, NOT_FOUND, "only once")
    done = n1.weft("schema", "add", "castles")
    check_eq(done.returncode, NOT_FOUND, done.stderr)
    check("weft schema list" in done.stderr, done.stderr)


def test_schemas_are_listed_shown_added_and_removed(lab):
    node = lab.daemon("a").start()
    names = {schema["name"] for schema in node.json("schema", "list")["schemas"]}
    check({"fapp", "housing", "repair"} <= names, names)
    shown = node.json("schema", "show", "housing")
    check_eq({row["name"]: row["bounds"] for row in shown["fields"]}["rooms"], "0.5 to 100",
             "bounds of a number with a decimal")
    check_eq([row["name"] for row in shown["filters"]][:5],
             ["room_type", "max_rent", "min_size", "plz_prefix", "available_before"], "filters")
    path = lab.dir / "boats.ini"
    path.write_text("[service]\nname = boats\nversion = 1\ntitle = Boats\n"
                    "description = Boats to hire.\nttl_hours = 24\n"
                    "[field length]\ntype = number\nrequired = yes\nmin = 1\nmax = 100\n"
                    "unit = m\nlabel = Length\nlisted = yes\n"
                    "[filter min_length]\nfield = length\nmatch = at-least\nlabel = Length\n")
    done = node.weft("schema", "add", str(path))
    check_eq(done.returncode, OK, done.stderr)
    done = node.weft("--json", "offer", "publish", "boats", "length=12")
    check_eq(done.returncode, OK, done.stderr)
    check_eq(len(find(node, "min_length=12", schema="boats")), 1, "found")
    node.kill()
    node.start()
    check_eq(len(find(node, "min_length=12", schema="boats")), 1, "after a kill, too")
    # A later version takes the former's place, and what is kept is found by it.
    path.write_text(path.read_text().replace("version = 1", "version = 2")
                    + "[field crew]\ntype = number\nmin = 1\nmax = 40\nlabel = Crew\n"
                    + "[filter min_crew]\nfield = crew\nmatch = at-least\nlabel = Crew\n")
    done = node.weft("schema", "add", str(path))
    check_eq(done.returncode, OK, done.stderr)
    done = node.weft("offer", "publish", "boats", "length=20", "crew=6")
    check_eq(done.returncode, OK, done.stderr)
    wait_for(lambda: len(find(node, "min_length=12", schema="boats")) == 2, "both are found")
    check_eq(len(find(node, "min_crew=5", schema="boats")), 1, "by the new filter")
    for offer in node.json("offer", "list", "boats")["offers"]:
        check_eq(node.weft("offer", "revoke", offer["offer_id"]).returncode, OK, "withdrawn")
    check_eq(node.weft("schema", "remove", "boats").returncode, OK, "removed")
    check_eq(node.weft("offer", "find", "boats").returncode, NOT_FOUND, "unknown")
    done = node.weft("schema", "remove", "housing")
    check(done.returncode not in (OK, NOT_FOUND), "a core schema stays")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
