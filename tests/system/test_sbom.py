#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The libraries of weftd: weftd --version --json, and build/weft.spdx.json against the rules in
the JSON schema of SPDX 2.3 (clauses 6, 7 and 11)."""
import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, USAGE, WEFTD, Skip, check, check_eq, run

TOP = pathlib.Path(__file__).parents[2]
LIBRARIES = {"ngtcp2", "openssl", "libsodium", "lmdb", "libbpf", "liburing", "jansson", "llhttp", "c-ares",
             "utf8proc", "libelf", "zlib", "libzstd", "glibc"}
# What the archives of these are called where Debian packages them.
PACKAGES = {"libngtcp2-dev", "libngtcp2-crypto-ossl-dev", "libssl-dev", "libsodium-dev", "liblmdb-dev",
            "libbpf-dev", "liburing-dev", "libjansson-dev", "libllhttp-dev", "libc-ares-dev",
            "libutf8proc-dev", "libelf-dev", "zlib1g-dev", "libzstd-dev", "libc6-dev"}
ID = re.compile(r"SPDXRef-[A-Za-z0-9.-]+")
PACKAGE_NEEDS = {"SPDXID", "name", "downloadLocation"}
RELATIONS = {"DESCRIBES", "STATIC_LINK"}


def weftd(*words):
    return subprocess.run([WEFTD, *words], capture_output=True, text=True, check=False)


def linked():
    return json.loads(weftd("--version", "--json").stdout)["libraries"]


def document():
    path = TOP / "build" / "weft.spdx.json"
    if not path.exists():
        raise Skip("it is made with the release: make all")
    return json.loads(path.read_text())


def test_version_names_every_linked_library_with_its_version(_):
    check_eq(set(linked()), LIBRARIES, "libraries")
    for name, version in linked().items():
        check(re.fullmatch(r"v?[0-9]+(\.[0-9]+)*[a-z0-9.-]*", version), f"{name} {version}")
    check_eq(weftd("--version").stdout.split()[0], "weftd", "without --json a line for people")
    check_eq((weftd("--json").returncode, weftd("--version", "--json").returncode), (USAGE, OK), "status")


def test_the_document_is_spdx(_):
    said = document()
    check_eq((said["spdxVersion"], said["dataLicense"], said["SPDXID"]),
             ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT"), "head")
    check(re.fullmatch(r"https?://[^#\s]+", said["documentNamespace"]), said["documentNamespace"])
    check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", said["creationInfo"]["created"]), "created")
    check(all(re.match(r"(Tool|Person|Organization): ", who) for who in said["creationInfo"]["creators"]), "creators")
    ids = [package["SPDXID"] for package in said["packages"]]
    check_eq(len(ids), len(set(ids)), "ids that are not unique")
    for package in said["packages"]:
        check(PACKAGE_NEEDS <= set(package) and ID.fullmatch(package["SPDXID"]), package)
        check_eq(package["filesAnalyzed"], False, "then no verification code is due")
        for reference in package.get("externalRefs", []):
            check_eq(reference["referenceType"], "purl", "reference")
            check(re.fullmatch(r"pkg:deb/debian/[a-z0-9.%A-Z-]+@[^?\s]+\?arch=[a-z0-9]+",
                               reference["referenceLocator"]), reference)
    for relation in said["relationships"]:
        check({relation["spdxElementId"], relation["relatedSpdxElement"]} <= {*ids, "SPDXRef-DOCUMENT"}, relation)
        check(relation["relationshipType"] in RELATIONS, relation)
    check_eq({relation["relatedSpdxElement"] for relation in said["relationships"]}, set(ids), "all are related")


def test_the_document_has_the_versions_that_are_linked(_):
    packages = {package["name"]: package["versionInfo"] for package in document()["packages"]}
    if "NOASSERTION" in packages.values():
        raise Skip("the libraries are not of packages that dpkg knows")
    check_eq(PACKAGES - set(packages), set(), "packages that are missing")
    said = linked()
    for library, package in (("openssl", "libssl-dev"), ("ngtcp2", "libngtcp2-dev"), ("libsodium", "libsodium-dev"),
                             ("c-ares", "libc-ares-dev"), ("glibc", "libc6-dev"), ("lmdb", "liblmdb-dev")):
        check(re.match(r"(\d+:)?" + re.escape(said[library]), packages[package]),
              f"{library} {said[library]} runs, {package} {packages[package]} is listed")


def test_make_install_brings_it(lab):
    if not (TOP / "build" / "libweft.so").exists():
        raise Skip("nothing is built to install")
    subprocess.run(["make", "-s", "install", f"DESTDIR={lab.dir}"], cwd=TOP, check=True, capture_output=True,
                   env={name: value for name, value in os.environ.items() if not name.startswith("MAKE")})
    at = lab.dir / "usr/local/share/weft/weft.spdx.json"
    check_eq(json.loads(at.read_text())["spdxVersion"], "SPDX-2.3", "installed")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
