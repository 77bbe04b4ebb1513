#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weft offer and weft schema, as people type them: words, files of fields, tables, and the next step."""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from lab import FAILED, NOT_FOUND, OK, REFUSED, USAGE, WEFT, check, check_eq, run, wait_for
from terminal import on_terminal

FLAT = ("room_type=apartment", "size=62", "rent=900", "available_from=2027-01-01", "postcode=10115")
HIRE = """[service]
name = boats
version = 1
title = Boats
description = Boats to hire.
ttl_hours = 24
[field length]
type = number
decimals = 1
required = yes
min = 1
max = 100
unit = m
listed = yes
[field home_port]
type = text
listed = yes
[field note]
type = text
[filter min_length]
field = length
match = at-least
"""


def said(daemon, status, *words, told=""):
    """What a command says on its standard error, all of which is in told."""
    done = daemon.weft(*words)
    check_eq(done.returncode, status, f"{words}: {done.stdout}{done.stderr}")
    for each in [told] if isinstance(told, str) else told:
        check(each in done.stderr, f"{words}: {each!r} in {done.stderr!r}")
    return done.stdout


def publish(daemon, *words, schema="housing"):
    return json.loads(said(daemon, OK, "--json", "offer", "publish", schema, *words))["offer"]


def value(offer, field):
    return next(row["value"] for row in offer["values"] if row["field"] == field)


def boats(lab, node):
    path = lab.dir / "boats.ini"
    path.write_text(HIRE)
    said(node, OK, "schema", "add", path)
    return path


def test_an_update_of_units_alone_needs_no_field(lab):
    node = lab.daemon("a").start()
    offer = publish(node, *FLAT)["offer_id"]
    said(node, OK, "offer", "update", offer, "--units", "3")
    shown = node.json("offer", "show", offer)["offer"]
    check_eq((shown["units"], value(shown, "rent")), (3, "900"), "units and a value")
    said(node, USAGE, "offer", "update", offer, told="give FIELD=VALUE or --units N")
    said(node, USAGE, "offer", "update", told="OFFER [FIELD=VALUE...] is missing")
    check_eq(node.json("offer", "show", offer)["offer"]["sequence"], shown["sequence"], "nothing was said")


def test_an_offer_is_published_from_a_file_of_fields(lab):
    node = lab.daemon("a").start()
    path = lab.dir / "flat.txt"
    path.write_text("# our flat\r\n\n" + "\n".join(FLAT[:3]) + "\n  # two more\n available_from = 2027-01-01 \n"
                    "postcode=10115\ntitle=two rooms = one kitchen")
    offer = publish(node, path)
    check_eq((value(offer, "rent"), value(offer, "available_from"), value(offer, "title")),
             ("900", "2027-01-01", "two rooms = one kitchen"), "values")
    path.write_text("\n".join(FLAT))
    offer = publish(node, path, "title=by the river", "--units", "2")
    check_eq((value(offer, "title"), offer["units"]), ("by the river", 2), "a word beside the file")
    done = subprocess.run([WEFT, "-s", str(node.sock), "--json", "offer", "publish", "housing", "-"],
                          input="\n".join(FLAT), capture_output=True, text=True, check=False)
    check_eq(done.returncode, OK, done.stderr)
    check_eq(value(json.loads(done.stdout)["offer"], "rent"), "900", "of the standard input")
    check_eq(len(node.json("offer", "list")["offers"]), 3, "offers")


def test_a_fault_of_a_file_has_its_name_and_line(lab):
    node = lab.daemon("a").start()
    path = lab.dir / "flat.txt"
    for text, told in ((b"size=62\n\nrent 900\n", (f"{path}:3: the line has no =", "write FIELD=VALUE")),
                       (b"size=62\nrent=nine\n", (f"{path}:2: rent",)),
                       (b"# x\ncolour=red", (f"{path}:2: housing has no field colour", "fields: room_type")),
                       (b"size=62\nsize=63\n", (f"{path}:2: size is given twice",)),
                       (b"title=\xff\n", (f"{path}:1: the line is no UTF-8",)),
                       (b"title=a\0b\n", (f"{path}:1: the line is no UTF-8",)),
                       (b"#" * 65537, (f"{path}: it has over 65536 bytes",))):
        path.write_bytes(text)
        said(node, FAILED, "offer", "publish", "housing", path, told=told)
    path.write_bytes(b"#" * 65536)
    said(node, FAILED, "offer", "publish", "housing", path, told="room_type is required")
    said(node, FAILED, "offer", "publish", "housing", lab.dir, told="Is a directory")
    said(node, NOT_FOUND, "offer", "publish", "castles", path, told="weft schema list")
    check_eq(node.json("offer", "list")["offers"], [], "nothing is published")


def test_a_word_without_a_value_is_answered_with_how_it_is_written(lab):
    node = lab.daemon("a").start()
    offer = publish(node, *FLAT)["offer_id"]
    for words, told in ((("offer", "find", "housing", "max_rent"), "write max_rent=VALUE"),
                        (("offer", "find", "housing", "--mesh", "max_rent"), "write max_rent=VALUE"),
                        (("offer", "find", "housing", "colour"), "housing has no filter colour"),
                        (("offer", "publish", "housing", "rent"), "write rent=VALUE"),
                        (("offer", "update", offer, "rent"), "write rent=VALUE")):
        done = node.weft(*words)
        check(done.returncode != OK and told in done.stderr, f"{words}: {done.stderr}")


def test_a_signature_has_one_of_two_forms(lab):
    node = lab.daemon("a").start()
    for form in ("full", "seed"):
        publish(node, *FLAT, "--signature", form)
    said(node, USAGE, "offer", "publish", "housing", *FLAT, "--signature", "half", told="one of full, seed")
    said(node, USAGE, "offer", "publish", "housing", *FLAT, "--seed", told="unknown option --seed")
    for form, address in (("full", "11" * 16), ("seed", "22" * 16)):
        said(node, OK, "endorse", "make", address, "housing", "--signature", form)
    made = node.json("endorse", "list")["endorsements"]
    check_eq(sorted((row["provider"], row["seed"]) for row in made), [("11" * 16, False), ("22" * 16, True)], "forms")


def test_the_fields_that_a_schema_lists_are_columns_on_a_terminal(lab):
    node = lab.daemon("a").start()
    offer = publish(node, *FLAT, "title=Two rooms by the river, with a garden and a shed")["offer_id"]
    publish(node, *FLAT[:2], "rent=750", *FLAT[3:])
    lines = on_terminal("-s", node.sock, "offer", "find", "housing").splitlines()
    check_eq(lines[0].split()[:4], ["OFFER", "ROOM", "TYPE", "SIZE"], lines[0])
    check(all(len(line) <= 80 for line in lines), lines)
    row = next(line for line in lines if line.startswith(offer[:8] + " "))
    for shown in ("apartment", "62 m²", "900 EUR", "2027-01-01", "10115"):
        check(shown in row, f"{shown}: {row}")
    check("room_type=" not in "".join(lines) and len(lines) == 3, lines)
    row = next(line for line in lines if "750 EUR" in line)
    check(row.split()[-2] == "-", f"no title: {row}")
    # The form of a pipe: the same columns for every schema.
    check_eq([len(line.split("\t")) for line in node.weft("offer", "list").stdout.splitlines()], [7, 7], "fields")
    check("room_type=apartment size=62" in node.weft("offer", "find", "housing").stdout, "values")


def test_offers_of_several_schemas_have_a_table_each(lab):
    node = lab.daemon("a").start()
    boats(lab, node)
    check("No offer: weft offer publish" in on_terminal("-s", node.sock, "offer", "list"), "none yet")
    publish(node, *FLAT)
    publish(node, "length=12.5", "home_port=Wismar", "note=with a crew", "--units", "4", schema="boats")
    publish(node, *FLAT)
    shown = on_terminal("-s", node.sock, "offer", "list")
    tables = {table.split(":")[0]: table.splitlines() for table in shown.strip().split("\n\n")}
    check_eq(set(tables), {"boats", "housing"}, shown)
    check_eq(tables["boats"][1].split(), ["OFFER", "LENGTH", "HOME", "PORT", "UNITS", "EXPIRES"], shown)
    check("12.5 m  Wismar" in tables["boats"][2] and "crew" not in shown, shown)
    check_eq(len(tables["housing"]), 4, "title, heading and two offers")
    check("UNITS" not in tables["housing"][1], "one of each")
    alone = on_terminal("-s", node.sock, "offer", "list", "boats")
    check(alone.startswith("OFFER") and "Wismar" in alone and "apartment" not in alone, alone)


def test_a_schema_stays_as_long_as_the_node_announces_offers_of_it(lab):
    node = lab.daemon("a").start()
    boats(lab, node)
    ids = [publish(node, f"length={length}", schema="boats")["offer_id"] for length in (10, 12)]
    for cnt, words in ((2, "2 offers"), (1, "1 offer")):
        told = f"this node announces {words} of it"
        said(node, REFUSED, "schema", "remove", "boats", told=(told, "weft offer list boats", "weft offer revoke"))
        check_eq(len(node.json("offer", "list", "boats")["offers"]), cnt, "they are listed")
        said(node, OK, "offer", "revoke", ids.pop())
    said(node, OK, "schema", "remove", "boats")
    said(node, NOT_FOUND, "offer", "find", "boats")


def test_a_schema_of_the_node_is_exported_by_its_name(lab):
    node = lab.daemon("a").start()
    path = boats(lab, node)
    for name, source in (("boats", path), ("housing", None), ("tutor", None)):
        record = lab.dir / f"{name}.cbor"
        said(node, OK, "schema", "export", name, record)
        source = source or pathlib.Path(__file__).parents[2] / f"userspace/offers/shipped/{name}.ini"
        said(node, OK, "schema", "export", source, lab.dir / f"{name}.file")
        check_eq(record.read_bytes(), (lab.dir / f"{name}.file").read_bytes(), name)
    said(node, REFUSED, "schema", "export", "boats", lab.dir / "boats.cbor",
         told=("File exists", "remove it first, or name another file"))
    said(node, NOT_FOUND, "schema", "export", "castles", lab.dir / "castles.cbor", told="weft schema list")
    check(not (lab.dir / "castles.cbor").exists(), "nothing is written")


def test_a_schema_is_the_same_as_its_record_and_with_other_comments(lab):
    node = lab.daemon("a").start()
    path, record = lab.dir / "boats.ini", lab.dir / "boats.cbor"
    path.write_text(HIRE)
    said(node, OK, "schema", "export", path, record)
    said(node, OK, "schema", "add", record)
    said(node, OK, "schema", "add", path)
    path.write_text("# boats of the lake\n" + HIRE)
    said(node, OK, "schema", "add", path)
    check("of the lake" in said(node, OK, "schema", "show", "boats", "--text"), "the text is the latest")
    node.kill()
    node.start()
    check("of the lake" in said(node, OK, "schema", "show", "boats", "--text"), "after a kill, too")
    path.write_text(HIRE.replace("max = 100", "max = 90"))
    said(node, REFUSED, "schema", "add", path, told="raise version, or remove it first")
    said(node, OK, "schema", "export", "housing", lab.dir / "housing.cbor")
    said(node, OK, "schema", "add", lab.dir / "housing.cbor")
    check_eq(node.json("schema", "show", "housing")["schema"]["origin"], "core", "it was there already")


def test_reservations_are_listed_by_age_after_a_start_too(lab):
    relay, provider, consumer = [lab.daemon(f"n{number}", netns=netns, listen=["0.0.0.0:7000"],
                                            config=f"{fabric.QUIET}[service]\nenabled = no\n").start()
                                 for number, netns in enumerate(lab.bridge(3), 1)]
    for node in (provider, consumer):
        fabric.connect(node, relay)
    offer = publish(provider, *FLAT, "--units", "9")["offer_id"]
    wait_for(lambda: consumer.weft("offer", "find", "housing", "--mesh").returncode == OK, "the offer")
    made = [consumer.json("offer", "reserve", offer)["reservation"] for _ in range(5)]

    def listed(node):
        return [row["reservation_id"] for row in node.json("reservation", "list")["reservations"]]

    wait_for(lambda: len(listed(provider)) == len(made), "all of them", timeout=30)
    for node in (consumer, provider):
        before = listed(node)
        check_eq(set(before), {row["reservation_id"] for row in made}, node.name)
        if node == consumer:
            times = {row["reservation_id"]: row["made_s"] for row in made}
            check_eq([times[each] for each in before], sorted(times.values(), reverse=True), "the newest first")
        node.stop()
        node.start()
        check_eq(listed(node), before, f"{node.name} after a start")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
