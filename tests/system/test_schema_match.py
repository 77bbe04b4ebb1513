#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Filters of schemas against brute force. Of 1,000 random homes: all 32 subsets of the five published
filters, and the other filters beside them. Of 1,000 random offers of therapists: the filters of fapp.

Offers and queries are encoded by cbor2; tests/system/support/schema_lines.c reads them as a node does."""
import os
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import check, check_eq, run

import cbor2

PROGRAM = pathlib.Path(os.environ["BUILD"]) / "tests/system/support/schema_lines"
SHIPPED = pathlib.Path(__file__).parents[2] / "userspace/offers/shipped"
ROOM_TYPE, SIZE, RENT, FROM, POSTCODE, AMENITIES, ROOMS, FURNISHED, MIN_STAY = 1, 2, 3, 4, 5, 6, 10, 15, 13
WORDS = ["balcony", "lift", "cellar", "dishwasher", "dishwashing", "garden", "tub"]


def random_home(dice):
    """A home of few different values, so that filters meet their bounds."""
    home = {ROOM_TYPE: dice.randint(0, 2), SIZE: dice.randint(10, 40),
            RENT: dice.choice([0, 65535, *range(300, 900, 25)]),
            FROM: 1_800_000_000 + 86_400 * dice.randint(0, 30),
            POSTCODE: dice.choice(["10115", "10117", "10999", "101", "SW1A 1AA", "SW1", "80331", "1012 AB"])}
    if dice.random() < 0.7:
        home[AMENITIES] = dice.sample(WORDS, dice.randint(1, 4))
    if dice.random() < 0.5:
        home[ROOMS] = dice.randint(1, 60) * 5
    if dice.random() < 0.5:
        home[FURNISHED] = dice.random() < 0.5
    if dice.random() < 0.5:
        home[MIN_STAY] = dice.randint(1, 24)
    return home


# The filters by their key: what a query asks for, and whether a home fits.
PUBLISHED = {
    1: (lambda dice: dice.randint(0, 2), lambda home, asked: home[ROOM_TYPE] == asked),
    2: (lambda dice: dice.choice([0, 300, 450, 600, 65535, 100_000]), lambda home, asked: home[RENT] <= asked),
    3: (lambda dice: dice.randint(5, 45), lambda home, asked: home[SIZE] >= asked),
    4: (lambda dice: dice.choice(["1", "101", "10115", "SW1", "SW1A 1A", "9"]),
        lambda home, asked: home[POSTCODE].startswith(asked)),
    5: (lambda dice: 1_800_000_000 + 86_400 * dice.randint(-2, 32), lambda home, asked: home[FROM] <= asked),
}
OTHERS = {
    6: (lambda dice: dice.randint(1, 60) * 5, lambda home, asked: ROOMS in home and home[ROOMS] >= asked),
    7: (lambda dice: dice.sample(WORDS, dice.randint(1, 3)),
        lambda home, asked: set(asked) <= set(home.get(AMENITIES, []))),
    8: (lambda dice: dice.random() < 0.5, lambda home, asked: home.get(FURNISHED) is asked),
    11: (lambda dice: dice.randint(1, 24), lambda home, asked: MIN_STAY in home and home[MIN_STAY] <= asked),
}


# Of fapp: specialities, modalities, cost bearers, postcode, slots, slot type.
DAY = 86_400
FAPP = {
    1: (lambda dice: dice.sample(range(17), dice.randint(1, 3)), lambda offer, asked: set(offer[1]) & set(asked)),
    2: (lambda dice: dice.sample(range(3), dice.randint(1, 2)), lambda offer, asked: set(offer[2]) & set(asked)),
    3: (lambda dice: dice.sample(range(7), dice.randint(1, 2)), lambda offer, asked: set(offer[3]) & set(asked)),
    4: (lambda dice: dice.choice(["1", "10", "101", "80331"]), lambda offer, asked: offer.get(4, "").startswith(asked)),
    5: (lambda dice: sorted(1_800_000_000 + DAY * dice.randint(-2, 40) for _ in range(2)),
        lambda offer, asked: any(asked[0] <= slot <= asked[1] for slot in offer.get(5, []))),
    6: (lambda dice: dice.sample(range(6), dice.randint(1, 2)), lambda offer, asked: offer[6] in asked),
}


def random_therapist(dice):
    offer = {1: dice.sample(range(17), dice.randint(1, 4)), 2: dice.sample(range(3), dice.randint(1, 3)),
             3: dice.sample(range(7), dice.randint(1, 4)), 6: dice.randint(0, 5)}
    if dice.random() < 0.8:
        offer[4] = dice.choice(["10115", "10117", "12043", "80331", "803"])
    if dice.random() < 0.8:
        offer[5] = [1_800_000_000 + DAY * dice.randint(0, 40) for _ in range(dice.randint(1, 20))]
    return offer


def brute_force(filters, offers, query):
    return [number for number, offer in enumerate(offers)
            if all(filters[key][1](offer, asked) for key, asked in query.items())]


def program(schema, lines):
    return subprocess.run([PROGRAM, SHIPPED / f"{schema}.ini"], input="\n".join(lines) + "\n", capture_output=True,
                          text=True, check=False)


def answers_of(schema, offers, queries):
    """What the program says of each query: the numbers by the match, and by keys and ranges."""
    lines = [f"offer {cbor2.dumps(offer, canonical=True).hex()}" for offer in offers]
    lines += [f"query {cbor2.dumps(query, canonical=True).hex()}" for query in queries]
    done = program(schema, lines)
    check_eq(done.returncode, 0, done.stdout[-300:])
    return [[list(map(int, part.split())) for part in line.split("|")] for line in done.stdout.splitlines()]


def compare(schema, filters, offers, queries):
    found = 0
    answers = answers_of(schema, offers, queries)
    check_eq(len(answers), len(queries), "answers")
    for query, (by_match, by_keys) in zip(queries, answers):
        wanted = brute_force(filters, offers, query)
        check_eq(by_match, wanted, f"match of {query}")
        check_eq(by_keys, wanted, f"keys of {query}")
        found += len(wanted)
    return found


def test_all_32_subsets_of_the_published_filters_equal_brute_force(_):
    dice = random.Random(17)
    homes = [random_home(dice) for _ in range(1000)]
    queries = [{key: PUBLISHED[key][0](dice) for key in PUBLISHED if subset >> (key - 1) & 1}
               for subset in range(32) for _ in range(12)]
    check(compare("housing", PUBLISHED, homes, queries) > 20_000, "the filters let nearly nothing pass")


def test_the_other_filters_equal_brute_force_in_any_company(_):
    dice = random.Random(18)
    homes = [random_home(dice) for _ in range(1000)]
    filters = {**PUBLISHED, **OTHERS}
    queries = [{key: ask(dice) for key, (ask, _) in filters.items() if dice.random() < 0.25} for _ in range(400)]
    check(compare("housing", filters, homes, queries) > 20_000, "the filters let nearly nothing pass")


def test_filters_of_fapp_equal_brute_force(_):
    dice = random.Random(20)
    offers = [random_therapist(dice) for _ in range(1000)]
    queries = [{key: ask(dice) for key, (ask, _) in FAPP.items() if dice.random() < 0.4} for _ in range(400)]
    check(compare("fapp", FAPP, offers, queries) > 20_000, "the filters let nearly nothing pass")


def test_a_street_is_no_place_of_a_therapist(_):
    for place in ("Unter den Linden 5", "LINDEN 5", "10115 BERLIN"):
        offer = {**random_therapist(random.Random(21)), 4: place}
        done = program("fapp", [f"offer {cbor2.dumps(offer, canonical=True).hex()}"])
        check_eq(done.returncode, 1, f"status of {place}")
        check("postcode is no postcode" in done.stdout, done.stdout)


def test_a_home_with_text_for_a_rent_is_refused_by_the_name_of_the_field(_):
    home = {**random_home(random.Random(19)), RENT: "450"}
    done = program("housing", [f"offer {cbor2.dumps(home, canonical=True).hex()}"])
    check_eq(done.returncode, 1, "status")
    check("rent is not a number" in done.stdout, done.stdout)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
