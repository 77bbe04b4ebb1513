# SPDX-License-Identifier: Apache-2.0
"""Quantities as people write them: 5%, 20ms, 100mbit. Each returns an integer
in the unit of its name or raises ValueError with what would be right."""
import re

CERTAIN = 1 << 32  # WIRE_CERTAIN of wire.bpf.h

_TIME = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_RATE = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}


def _number_and_unit(text, units, what):
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+)", text.strip().lower())
    if not found or found.group(2) not in units:
        raise ValueError(f"{text!r} is no {what}: write a number and one of {', '.join(units)}")
    return round(float(found.group(1)) * units[found.group(2)])


def chance(text):
    found = re.fullmatch(r"(\d+(?:\.\d+)?)%", text.strip())
    if not found or float(found.group(1)) > 100:
        raise ValueError(f"{text!r} is no chance: write 0% to 100%")
    return round(float(found.group(1)) / 100 * CERTAIN)


def duration_ns(text):
    return _number_and_unit(text, _TIME, "time")


def rate_bps(text):
    return _number_and_unit(text, _RATE, "rate")


def chance_text(value):
    return f"{value / CERTAIN * 100:.3g}%"


def duration_text(value_ns):
    unit = next((u for u in ("s", "ms", "us") if value_ns >= _TIME[u]), "ns")
    return f"{value_ns / _TIME[unit]:g}{unit}"


def rate_text(value_bps):
    unit = next((u for u in ("gbit", "mbit", "kbit") if value_bps >= _RATE[u]), "bit")
    return f"{value_bps / _RATE[unit]:g}{unit}"
