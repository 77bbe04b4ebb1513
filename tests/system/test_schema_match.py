#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Filters of the housing schema against brute force: 1,000 random homes, all 32 subsets of the five
published filters, and the other filters beside them.

Homes and queries are encoded by cbor2; tests/system/support/schema_lines.c reads them as a node does."""
import os
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import check, check_eq, run

import cbor2

PROGRAM = pathlib.Path(os.environ["BUILD"]) / "tests/system/support/schema_lines"
SCHEMA = pathlib.Path(__file__).parents[2] / "userspace/offers/shipped/housing.ini"
ROOM_TYPE, SIZE, RENT, FROM, POSTCODE, AMENITIES, ROOMS, FURNISHED, MIN_STAY = 1, 2, 3, 4, 5, 6, 10, 15, 13
WORDS = ["balcony", "lift", "cellar", "dishwasher", "dishwashing", "garden", "tub"]


def random_home(dice):
    """A home of few different values, so that filters meet their bounds."""
    home = {ROOM_TYPE: dice.randint(1, 3), SIZE: dice.randint(10, 40),
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
    1: (lambda dice: dice.randint(1, 3), lambda home, asked: home[ROOM_TYPE] == asked),
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


def brute_force(homes, query):
    fits = {**PUBLISHED, **OTHERS}
    return [number for number, home in enumerate(homes)
            if all(fits[key][1](home, asked) for key, asked in query.items())]


def answers_of(homes, queries):
    """What the program says of each query: the numbers by the match, and by keys and ranges."""
    lines = [f"offer {cbor2.dumps(home, canonical=True).hex()}" for home in homes]
    lines += [f"query {cbor2.dumps(query, canonical=True).hex()}" for query in queries]
    done = subprocess.run([PROGRAM, SCHEMA], input="\n".join(lines) + "\n", capture_output=True, text=True, check=False)
    check_eq(done.returncode, 0, done.stdout[-300:])
    return [[list(map(int, part.split())) for part in line.split("|")] for line in done.stdout.splitlines()]


def compare(homes, queries):
    found = 0
    answers = answers_of(homes, queries)
    check_eq(len(answers), len(queries), "answers")
    for query, (by_match, by_keys) in zip(queries, answers):
        wanted = brute_force(homes, query)
        check_eq(by_match, wanted, f"match of {query}")
        check_eq(by_keys, wanted, f"keys of {query}")
        found += len(wanted)
    return found


def test_all_32_subsets_of_the_published_filters_equal_brute_force(_):
    dice = random.Random(17)
    homes = [random_home(dice) for _ in range(1000)]
    queries = [{key: PUBLISHED[key][0](dice) for key in PUBLISHED if subset >> (key - 1) & 1}
               for subset in range(32) for _ in range(12)]
    check(compare(homes, queries) > 20_000, "the filters let nearly nothing pass")


def test_the_other_filters_equal_brute_force_in_any_company(_):
    dice = random.Random(18)
    homes = [random_home(dice) for _ in range(1000)]
    queries = [{key: ask(dice) for key, (ask, _) in {**PUBLISHED, **OTHERS}.items() if dice.random() < 0.25}
               for _ in range(400)]
    check(compare(homes, queries) > 20_000, "the filters let nearly nothing pass")


def test_a_home_with_text_for_a_rent_is_refused_by_the_name_of_the_field(_):
    home = {**random_home(random.Random(19)), RENT: "450"}
    done = subprocess.run([PROGRAM, SCHEMA], input=f"offer {cbor2.dumps(home, canonical=True).hex()}\n",
                          capture_output=True, text=True, check=False)
    check_eq(done.returncode, 1, "status")
    check("rent is not a number" in done.stdout, done.stdout)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
