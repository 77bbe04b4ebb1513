# SPDX-License-Identifier: Apache-2.0
"""Grants of a relay's operator."""
import subprocess

from lab import OK, WEFT, check_eq


def operator_words(lab, *args):
    """What the operator types, on a machine where no daemon runs."""
    done = subprocess.run([WEFT, "relay", *map(str, args)], cwd=lab.dir, text=True, capture_output=True)
    check_eq(done.returncode, OK, f"{args}: {done.stderr}")
    return done.stdout.strip()
