#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weft schema test and export, without a daemon: what a developer sees who writes a schema."""
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import WEFT, Skip, check, check_eq, run

import cbor2

TOP = pathlib.Path(__file__).parents[2]
SHIPPED = TOP / "userspace/offers/shipped"
BIKES = """[service]
name = bikes
[field size]
type = number
decimals = 1
min = 10
max = 99
unit = cm
required = yes
[field tags]
type = words
[filter max_size]
field = size
match = at-most
"""
OK, FAILED, NOT_FOUND, REFUSED = 0, 1, 4, 5


def weft(*words):
    return subprocess.run([WEFT, *words], check=False, capture_output=True, text=True)


def file_of(lab, text, name="bikes.ini"):
    path = lab.dir / name
    path.write_text(text)
    return path


def test_every_shipped_schema_is_good(lab):
    files = sorted(SHIPPED.glob("*.ini"))
    check_eq(len(files), 10, "files")
    for path in files:
        done = weft("--json", "schema", "test", path)
        check_eq(done.returncode, OK, f"{path}: {done.stderr}")
        check_eq(json.loads(done.stdout)["name"], path.stem, "name")


def test_fields_and_filters_are_lines_of_a_pipe_and_json(lab):
    path = file_of(lab, BIKES)
    lines = weft("schema", "test", path).stdout.splitlines()
    check_eq(lines, ["field\t1\tsize\tnumber\tyes\t10\t99\tcm\tSize",
                     "field\t2\ttags\twords\tno\t1\t40\tcharacters\tTags",
                     "filter\t1\tmax_size\tsize\tat-most\tMax size"], "lines")
    made = json.loads(weft("--json", "schema", "test", path, "size=28.5", "tags=a,b").stdout)
    check_eq((made["fields"][0]["max"], made["fields"][0]["required"], made["filters"][0]["match"]),
             ("99", True, "at-most"), "of JSON")
    offer = cbor2.dumps({1: 285, 2: ["a", "b"]}, canonical=True)
    check_eq(made["payload_len"], len(offer) - 1, "bytes of the fields")


def test_a_fault_names_the_file_the_line_the_field_and_the_next_step(lab):
    path = file_of(lab, BIKES.replace("decimals = 1", "decimals = 9"))
    done = weft("schema", "test", path)
    check_eq((done.returncode, done.stdout), (FAILED, ""), "status and output")
    check(f"{path}:5: size: decimals is a number from 0 to 6" in done.stderr, done.stderr)
    done = weft("schema", "test", file_of(lab, BIKES.replace("number", "address")))
    check("bikes.ini:4: size: " in done.stderr and "use postcode" in done.stderr, done.stderr)
    for word, said in (("size=5", "size is 5, at least 10"), ("size=x", "for example: 12.5"),
                       ("colour=red", "fields: size tags"), ("tags=a", "add size=VALUE")):
        done = weft("schema", "test", file_of(lab, BIKES), word)
        check_eq(done.returncode, FAILED, f"status of {word}")
        check(said in done.stderr, f"{word}: {done.stderr}")
    check_eq(weft("schema", "test", lab.dir / "absent.ini").returncode, NOT_FOUND, "no file")


def test_a_text_of_a_million_fields_is_refused(lab):
    text = "[service]\nname = large\n" + "".join(f"[field f{number}]\ntype = flag\n" for number in range(1_000_000))
    done = weft("schema", "test", file_of(lab, text))
    check_eq(done.returncode, FAILED, "status")
    check("over 65536 bytes" in done.stderr, done.stderr)


def test_a_schema_is_exported_and_read_back(lab):
    record = lab.dir / "bikes.cbor"
    check_eq(weft("schema", "export", file_of(lab, BIKES), record).returncode, OK, "status")
    made = cbor2.loads(record.read_bytes())
    check_eq(sorted(made), list(range(8)), "the eight fields")
    check_eq((made[1], made[2], cbor2.loads(made[5])), ("bikes", 1, []), "name, version, listed")
    check_eq(weft("schema", "test", record).stdout, weft("schema", "test", lab.dir / "bikes.ini").stdout,
             "what the record compiles to")
    done = weft("schema", "export", lab.dir / "bikes.ini", record)
    check_eq(done.returncode, REFUSED, "a file that is there")
    (lab.dir / "cut.cbor").write_bytes(record.read_bytes()[:-1])
    check_eq(weft("schema", "test", lab.dir / "cut.cbor").returncode, FAILED, "a record that was cut")


def test_make_install_brings_the_shipped_schemas(lab):
    if not (TOP / "build" / "libweft.so").exists():
        raise Skip("nothing is built to install")
    subprocess.run(["make", "-s", "install", f"DESTDIR={lab.dir}"], cwd=TOP, check=True, capture_output=True,
                   env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")})
    found = {path.name: path.read_text() for path in (lab.dir / "usr/local/share/weft/schemas").iterdir()}
    check_eq(found, {path.name: path.read_text() for path in SHIPPED.glob("*.ini")}, "installed")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
