# SPDX-License-Identifier: Apache-2.0
"""Links as text (docs/wire/content.md), and the z-base-32 that they are written in."""
import subprocess

ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"
COLLECTION, SHARE, COMMUNITY = 1, 2, 3


def zbase32_decode(text):
    bits = "".join(f"{ALPHABET.index(letter):05b}" for letter in text.lower())
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits) // 8 * 8, 8))


def zbase32_encode(data):
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    return "".join(ALPHABET[int(bits[i:i + 5], 2)] for i in range(0, len(bits), 5))


def _check_of(body):
    return bytes.fromhex(subprocess.run(["b3sum", "--no-names", "--length", "4", "-"], input=body,
                                        check=True, capture_output=True).stdout.decode().strip())


def _addresses_len(data):
    """Of the addresses that data begins with, their number included."""
    length = 1
    for _ in range(data[0]):
        length += 7 if data[length] == 4 else 19
    return length


def _bare_body(body):
    if body[0] == COLLECTION:
        return body[:65] + b"\0"
    at = 33 if body[0] == SHARE else 65
    bare, node_cnt, at = body[:at + 1], body[at], at + 1
    for _ in range(node_cnt):
        bare += body[at:at + 32] + b"\0"
        at += 32 + _addresses_len(body[at + 32:])
    return bare + body[at:]


def bare_link(link):
    """The same link without an address in it (docs/wire/content.md); what is no link is as it was."""
    letters = link.strip().lower().removeprefix("mesh:")
    if not link.strip().lower().startswith("mesh:") or not letters or set(letters) - set(ALPHABET):
        return link
    whole = zbase32_decode(letters)
    body = whole[:-4]
    if len(body) < 34 or body[0] not in (COLLECTION, SHARE, COMMUNITY) or _check_of(body) != whole[-4:]:
        return link
    bare = _bare_body(body)
    return link if bare == body else "mesh:" + zbase32_encode(bare + _check_of(bare))


def share_link(key, *nodes):
    """The link of the share of key, 32 bytes, whose nodes are (key, IPv4 address, port) each."""
    body = bytes([SHARE]) + key + bytes([len(nodes)])
    for node, ip, port in nodes:
        body += node + bytes([1, 4, *map(int, ip.split("."))]) + port.to_bytes(2, "big")
    body += b"\0"  # relays
    return "mesh:" + zbase32_encode(body + _check_of(body))
