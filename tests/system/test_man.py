#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The manual says what the programs do: same commands, same options, same keys,
and its examples run."""
import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, WEFT, WEFTD, check, check_eq, run

BUILD = pathlib.Path(os.environ["BUILD"])
MAN = pathlib.Path(__file__).parents[2] / "docs" / "man"
GLOBAL = {"socket", "json", "timeout", "help", "version"}


def page(name):
    return (MAN / name).read_text().replace("\\-", "-")


def help_of(*words):
    return subprocess.run([*words, "--help"], check=True, capture_output=True, text=True).stdout


def options_in(text):
    return set(re.findall(r"^  --([a-z-]+)", text, re.M))


def options_of_man(text):
    return set(re.findall(r'^\.TP\n\.B[IR]? (?:.* )?--([a-z-]+)', text, re.M))


def sections_of_weft():
    """{"share add": its part of weft.1}"""
    parts = re.split(r"^\.S[SH] (.*)$", page("weft.1"), flags=re.M)
    named = zip(parts[1::2], parts[2::2])
    return {title.removeprefix("weft "): text for title, text in named
            if title.startswith("weft ")}


def commands_of_weft():
    rows = re.findall(r"^  ([a-z]+(?: [a-z-]+)?)((?: [^a-z\s]\S*)*) {1,}(?=[a-z])",
                      help_of(WEFT).split("Options:")[0], re.M)
    return {(name + args).strip(): name.split() for name, args in rows}


def test_weft_1_has_every_command_and_option(lab):
    sections, commands = sections_of_weft(), commands_of_weft()
    check(len(commands) > 20, f"help lists {commands}")
    check_eq(sorted(sections), sorted(commands), "commands")
    for title, words in commands.items():
        told = options_in(help_of(WEFT, *words).split("\nOptions of all")[0])
        check_eq(options_of_man(sections[title]), told, f"options of {title}")
    top = page("weft.1").split(".SH OPTIONS")[1].split(".SH")[0]
    check_eq(set(re.findall(r"--([a-z]+)", top)), GLOBAL, "options of all commands")


def test_weftd_8_has_every_option(lab):
    text = page("weftd.8").split(".SH OPTIONS")[1].split(".SH")[0]
    check_eq(options_of_man(text), options_in(help_of(WEFTD)), "options")


def test_weft_conf_5_has_every_key(lab):
    reference = subprocess.run([WEFTD, "--print-reference"], check=True, capture_output=True,
                               text=True).stdout
    text = (MAN / "weft.conf.5").read_text()
    found = re.search(r'^\.\\" From here.*?\n(.*)^\.\\" End mark', text, re.M | re.S)
    check_eq(found.group(1), reference,
             "docs/man/weft.conf.5 between its marks is not what weftd --print-reference prints")


def schema_of(lab, text):
    path = lab.dir / "page.ini"
    path.write_text(text)
    return subprocess.run([WEFT, "--json", "schema", "test", path], check=False, capture_output=True, text=True)


def test_weft_schema_5_has_every_key_type_and_match(lab):
    """The compiler lists what it knows where it refuses a word."""
    parts = dict(re.findall(r"^\.SH ([A-Z ]+)\n(.*?)(?=^\.SH|\Z)", page("weft-schema.5"), re.M | re.S))
    service, field = "[service]\nname = x\n", "[field f]\ntype = flag\n"
    for title, text in (("SERVICE", f"{service}x = 1\n"), ("FIELDS", f"{service}{field}x = 1\n"),
                        ("FILTERS", f"{service}{field}[filter f]\nfield = f\nx = 1\n"),
                        ("TYPES", f"{service}[field f]\ntype = x\n"),
                        ("FILTERS", f"{service}{field}[filter f]\nfield = f\nmatch = x\n")):
        refused = schema_of(lab, text)
        listed = re.search(r"(?:keys|types|one of): ([a-z_ -]+)", refused.stderr)
        check(listed, f"{title}: {refused.stderr}")
        named = re.findall(r"^\.BI?R? ((?:[a-z_-]+(?: \", \" | |$))+)", parts[title], re.M)
        named = {word for line in named for word in re.findall(r"[a-z_-]+", line)}
        check_eq(set(listed[1].split()) - named, set(), f"{title} lacks")


def test_the_example_of_weft_schema_5_compiles(lab):
    example = page("weft-schema.5").split(".EX\n")[1].split(".EE")[0]
    done = schema_of(lab, example)
    check_eq(done.returncode, 0, done.stderr)
    made = json.loads(done.stdout)
    check_eq([row["name"] for row in made["filters"]], ["kind", "max_price", "near"], "filters")


def test_the_page_of_the_interface_has_every_method_error_and_type(lab):
    root = MAN.parents[1]
    for source in (*(BUILD / "gen").glob("net.weft.*.varlink"), root / "include" / "weft" / "net.weft.Service.varlink"):
        made = subprocess.run([root / "tools" / "varlink-man", source], check=True, capture_output=True,
                              text=True).stdout
        parts = dict(re.findall(r"^\.SH (\w+)\n(.*?)(?=^\.SH|\Z)", made, re.M | re.S))
        for word, section in (("method", "METHODS"), ("error", "ERRORS"), ("type", "TYPES")):
            wanted = re.findall(rf"^{word} (\w+)", source.read_text(), re.M)
            check_eq(re.findall(r"^\.SS (\w+)", parts.get(section, ""), re.M), wanted, f"{source.name}: {section}")


def test_the_index_of_the_interface_has_every_method_with_its_role(lab):
    root = MAN.parents[1]
    files = sorted((root / "include" / "varlink").glob("*.varlink"))
    made = subprocess.run([root / "tools" / "varlink-man", "--index", *files], check=True, capture_output=True,
                          text=True).stdout
    wanted = [(name, re.search(r"Role:\s+(\w+)", about.replace("\n#", ""))[1]) for file in files
              for about, name in re.findall(r"((?:^#.*\n)+)method (\w+)", file.read_text(), re.M)]
    told = re.findall(r'^\.BR (\w+) " \((\w+)\)"$', made, re.M)
    check_eq(sorted(told), sorted(wanted), "methods")
    check_eq(sorted(re.findall(r"^\.SS (\w+)$", made, re.M)[3:]), [file.stem for file in files], "areas")
    check_eq(set(re.findall(r"^\.BR (net\.weft\.\w+) \(7\)", made, re.M)),
             {re.search(r"^interface (\S+)", file.read_text(), re.M)[1] for file in files}, "interfaces")


def test_weft_3_has_every_function_of_libweft(lab):
    root = MAN.parents[1]
    made = subprocess.run([root / "tools" / "header-man"], check=True, capture_output=True, text=True).stdout
    header = "".join((root / "include" / "weft" / name).read_text() for name in ("client.h", "service_offer.h"))
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    told = ", ".join(re.findall(r"^\.SS (weft_.*)", made, re.M)).split(", ")
    check_eq(told, re.findall(r"\b(weft_\w+)\(", header), "functions")
    check_eq(re.findall(r"^\.SS (\w+)\.c", made, re.M), ["greet", "greeter", "tally", "ticker", "listen", "homes", "reserve"],
             "examples")


def test_the_examples_of_weft_1_run(lab):
    block = page("weft.1").split(".SH EXAMPLES")[1].split(".EX\n")[1].split(".EE")[0]
    source = lab.folder("licenses", {"a": 10, "b/c": 400000})
    script = block.replace("/tmp/", f"{lab.dir}/").replace("/usr/share/licenses", str(source))
    # A script's next line comes sooner than a person's: wait where the socket is not there yet.
    script = script.replace("link=", "until weft -s A node id && weft -s B node id; do sleep 0.05; "
                            "done >/dev/null 2>&1\nlink=")
    script = script.replace("-s A", f"-s {lab.dir}/a.sock").replace("-s B", f"-s {lab.dir}/b.sock")
    script = script.replace("127.0.0.1:7000", "127.0.0.1:17000").replace("7001", "17001")
    names = f"weft() {{ {WEFT} \"$@\"; }}\nweftd() {{ {WEFTD} \"$@\"; }}\n"
    with open(lab.dir / "told", "w+") as told:
        done = subprocess.Popen(["bash", "-e", "-c", f"{names}{script}\nwait\n"], stdout=told,
                                stderr=told, start_new_session=True)
        try:
            code = done.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            code = "none in time"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(done.pid, signal.SIGKILL)
    check_eq(code, 0, f"{script}\n{(lab.dir / 'told').read_text()}")
    check_eq((lab.dir / "out" / "b" / "c").read_bytes() if (lab.dir / "out" / "b").is_dir()
             else (lab.dir / "out" / "licenses" / "b" / "c").read_bytes(),
             (source / "b" / "c").read_bytes(), "what was fetched")


def offered_by(script, *words, path=None, setup=""):
    """What completion offers for the last of the words."""
    line = " ".join(f"'{word}'" for word in ("weft", *words))
    done = subprocess.run(["bash", "-c", f"{setup}\n{script}\nCOMP_WORDS=({line})\nCOMP_CWORD={len(words)}\n"
                           "_weft\nprintf '%s\\n' \"${COMPREPLY[@]}\""],
                          check=True, capture_output=True, text=True, cwd=path,
                          env={**os.environ, "PATH": f"{pathlib.Path(WEFT).parent}:{os.environ['PATH']}"})
    check_eq(done.stderr, "", f"{words}")
    return done.stdout.split()


def completion():
    return subprocess.run([WEFT, "completion", "bash"], check=True, capture_output=True, text=True).stdout


def test_completion_offers_objects_verbs_and_options(lab):
    script = completion()

    def offered(*words):
        return offered_by(script, *words)

    check("share" in offered("") and "limits" in offered(""), offered(""))
    check_eq(sorted(set(offered(""))), sorted(offered("")), "each object once")
    check_eq(offered("sha"), ["share"], "sha")
    check_eq(offered("-s", "/x", "share", "rem"), ["remove"], "share rem")
    check_eq(offered("get", "--ra"), ["--range"], "get --ra")
    check_eq(offered("offer", "fi"), ["find"], "offer fi")


def test_completion_offers_schemas_fields_and_filters_that_the_daemon_knows(lab):
    node = lab.daemon("a").start()
    script = completion()

    def offered(*words):
        return offered_by(script, "-s", node.sock, *words)

    check_eq(offered("offer", "find", "hou"), ["housing"], "a schema")
    check({"housing", "fapp"} <= set(offered("offer", "publish", "")), "all of them")
    check_eq(offered("schema", "show", "tut"), ["tutor"], "a schema to look at")
    check_eq(offered("offer", "find", "housing", "max_r"), ["max_rent="], "a filter")
    check_eq(offered("offer", "publish", "housing", "ren"), ["rent="], "a field")
    check_eq(offered("offer", "publish", "housing", "rent", "=", "9", "room_t"), ["room_type="], "behind another")
    check_eq(offered("offer", "find", "housing", "max_rent", "="), [], "its value is the user's")
    check_eq(offered("offer", "find", "housing", "--wa"), ["--watch"], "an option")
    check_eq(offered("offer", "find", "castles", ""), [], "none")
    check_eq(offered("offer", "find", "housing,fa"), ["housing,fapp"], "another schema")
    check_eq(offered("offer", "find", "fapp,housing", "plz"), ["plz_prefix="], "a filter of both")
    check_eq(offered("offer", "find", "fapp,housing", "max_r"), [], "none of housing alone")
    check_eq(offered("offer", "find", "fapp,housing", "housing.max_r"), ["housing.max_rent="], "but by its name")
    check_eq(offered_by(script, "--socket", "=", node.sock, "offer", "find", "hou"), ["housing"], "another form")
    check_eq(offered_by(script, "-s", lab.dir / "none", "offer", "find", "hou"), [], "no daemon is there")


def test_completion_offers_files_and_names_of_schemas(lab):
    node = lab.daemon("a").start()
    (lab.dir / "boats.ini").write_text("")
    (lab.dir / "tunes").mkdir()
    script = completion()

    def offered(*words):
        return set(offered_by(script, "-s", node.sock, *words, path=lab.dir))

    check_eq(offered("schema", "add", "t"), {"tutor", "tunes"}, "one that is off, and a folder")
    check_eq(offered("schema", "add", "b"), {"boats.ini"}, "a file")
    check_eq(offered("schema", "add", "hou"), set(), "one that is on")
    check_eq(offered("schema", "test", "b"), {"boats.ini"}, "a file to test")
    check("add" not in offered("schema", "test", ""), "no verb")
    check_eq(offered("schema", "export", "t"), {"tutor", "tunes"}, "to write")
    check_eq(offered("schema", "remove", ""), set(), "the core stays")
    node.call("AddSchema", name="tutor")
    check_eq(offered("schema", "remove", ""), {"tutor"}, "one that was added")
    check("boats.ini" in offered("offer", "publish", "housing", "boa"), "a file of fields")
    check({"boats.ini", "tunes"} <= offered("share", "add", ""), "what can be shared")


def test_completion_offers_the_ids_that_a_verb_takes(lab):
    node = lab.daemon("a").start()
    flat = ("room_type=apartment", "size=62", "rent=900", "available_from=2027-01-01", "postcode=10115")
    offers = {node.call("PublishOffer", schema="housing", values=list(flat))["offer"]["offer_id"] for _ in range(2)}
    script = completion()

    def offered(*words):
        return set(offered_by(script, "-s", node.sock, *words))

    for verb in ("show", "update", "revoke", "reserve"):
        check_eq(offered("offer", verb, ""), offers, verb)
        some = min(offers)
        check_eq(offered("offer", verb, some[:6]), {some}, f"{verb} of the first letters")
    check("--units" in offered("offer", "update", "--u"), "an option")
    # Reservations have several states, which a daemon alone has not.
    rows = ["r1\\to1\\treceived\\tasked", "r2\\to1\\tmade\\tasked", "r3\\to2\\tmade\\tconfirmed",
            "r4\\to2\\treceived\\trefused"]
    weft = f"weft() {{ [[ $* == *'reservation list' ]] && printf '{'\\n'.join(rows)}\\n'; }}"
    for verb, ids in (("confirm", {"r1"}), ("refuse", {"r1"}), ("cancel", {"r1", "r2", "r3"}),
                      ("show", {"r1", "r2", "r3", "r4"})):
        check_eq(set(offered_by(script, "reservation", verb, "", setup=weft)), ids, verb)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
