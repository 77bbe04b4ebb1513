# SPDX-License-Identifier: Apache-2.0
"""The networks that tools/lab makes. Each is a function that fills a Network;
its text is what `tools/lab up --help` shows."""
from . import nat
from .namespace import Refused

NODE_CNT_MAX = 200


def _one_word_at_most(words, usage):
    if len(words) > 1:
        raise Refused(f"usage: tools/lab up {usage}")
    return words[0] if words else None


def _node_cnt(words, usage):
    word = _one_word_at_most(words, usage) or "3"
    if not word.isdigit() or not 2 <= int(word) <= NODE_CNT_MAX:
        raise Refused(f"{word!r} is no number of nodes: 2 to {NODE_CNT_MAX} ({usage})")
    return int(word)


def pair(network, words, mtu):
    """pair
    a (10.77.0.1, fd77::1) ---- b (10.77.0.2, fd77::2)"""
    if words:
        raise Refused("usage: tools/lab up pair")
    for node in ("a", "b"):
        network.add(node)
    for number, (node, device) in enumerate(zip("ab", network.join("a", "b", mtu)), 1):
        network.address(node, device, f"10.77.0.{number}/24", f"fd77::{number}/64")


def bridge(network, words, mtu):
    """bridge [N]
    n1 .. nN (10.77.0.1.., fd77::1..) on one switch: one broadcast domain"""
    cnt = _node_cnt(words, "bridge [N]")
    network.add("switch")
    network.bridge("switch")
    for number in range(1, cnt + 1):
        network.add(f"n{number}")
        device, port = network.join(f"n{number}", "switch", mtu)
        network.plug("switch", port)
        network.address(f"n{number}", device, f"10.77.0.{number}/24", f"fd77::{number:x}/64")


def _leaf(network, node, router, subnet, mtu):
    """Joins node to router in the subnet 10.77.SUBNET.0/24, fd77:SUBNET::/64."""
    network.add(node)
    device, port = network.join(node, router, mtu)
    network.address(router, port, f"10.77.{subnet}.254/24", f"fd77:{subnet:x}::ff/64")
    network.address(node, device, f"10.77.{subnet}.1/24", f"fd77:{subnet:x}::1/64")
    network.route(node, "default", "via", f"10.77.{subnet}.254")
    network.route(node, "default", "via", f"fd77:{subnet:x}::ff")


def star(network, words, mtu):
    """star [N]
    n1 .. nN (10.77.1.1, 10.77.2.1 .., fd77:1::1 ..), each in a subnet of its own behind one router"""
    cnt = _node_cnt(words, "star [N]")
    network.add("router")
    network.forwards("router")
    for number in range(1, cnt + 1):
        _leaf(network, f"n{number}", "router", number, mtu)


def sites(network, words, mtu):
    """sites
    a1, a2 -- router-a ---- router-b -- b1, b2   (a: 10.77.1.1, 10.77.2.1; b: 10.77.3.1, 10.77.4.1)"""
    if words:
        raise Refused("usage: tools/lab up sites")
    subnets = {"a": (1, 2), "b": (3, 4)}
    for site in subnets:
        network.add(f"router-{site}")
        network.forwards(f"router-{site}")
    devices = network.join("router-a", "router-b", mtu)
    for number, (site, device) in enumerate(zip(subnets, devices), 1):
        network.address(f"router-{site}", device, f"10.77.0.{number}/24", f"fd77::{number}/64")
    for site, other, number in (("a", "b", 2), ("b", "a", 1)):
        for subnet in subnets[other]:
            network.route(f"router-{site}", f"10.77.{subnet}.0/24", "via", f"10.77.0.{number}")
            network.route(f"router-{site}", f"fd77:{subnet:x}::/64", "via", f"fd77::{number}")
        for number, subnet in enumerate(subnets[site], 1):
            _leaf(network, f"{site}{number}", f"router-{site}", subnet, mtu)


def _layers(kind):
    """The NATs that a packet meets on its way out, innermost first."""
    layers = [] if kind == "open" else nat.layers_of(kind)
    for layer in layers:
        if layer not in nat.KINDS:
            raise Refused(f"{layer!r} is no kind of NAT: write {', '.join(nat.KINDS)}, "
                          f"two of them with a + between, {', '.join(nat.DOUBLE)}, or open")
    if len(layers) > 2:
        raise Refused(f"{kind}: two layers at most")
    return layers


def behind(network, node, kind, public, mtu):
    """Puts node behind the NATs of kind, the outermost of which has the address public."""
    layers = _layers(kind)
    routers = [f"{role}-{node}" for role, _ in zip(("nat", "cgn"), layers)]
    chain, inside, outside = [node, *routers], {}, {}
    for name in chain:
        network.add(name)
    for inner, outer, prefix in zip(chain, routers, ("192.168.1", "100.64.0")):
        outside[inner], inside[outer] = network.join(inner, outer, mtu)
        network.address(inner, outside[inner], f"{prefix}.2/24")
        network.address(outer, inside[outer], f"{prefix}.1/24")
        network.route(inner, "default", "via", f"{prefix}.1")
    last = chain[-1]
    outside[last], port = network.join(last, "internet", mtu)
    network.plug("internet", port)
    network.address(last, outside[last], f"{public}/24")
    for router, layer in zip(routers, layers):
        network.translates(router, layer, inside[router], outside[router])


def carrier(network, homes, kind, public, mtu, hairpins=False):
    """Puts the nodes of homes, each behind a port-restricted NAT, behind one carrier's NAT of kind.

    h1 (192.168.1.2) -- nat-h1 (100.64.0.2) -- access -- (100.64.0.1) carrier (public) -- internet
    h2 (192.168.1.2) -- nat-h2 (100.64.0.3) --/"""
    for name in ("access", "carrier", *homes, *(f"nat-{home}" for home in homes)):
        network.add(name)
    network.bridge("access")
    inside, port = network.join("carrier", "access", mtu)
    network.plug("access", port)
    network.address("carrier", inside, "100.64.0.1/24")
    outside, port = network.join("carrier", "internet", mtu)
    network.plug("internet", port)
    network.address("carrier", outside, f"{public}/24")
    network.translates("carrier", kind, inside, outside, hairpin=public if hairpins else None)
    for number, home in enumerate(homes, 1):
        router = f"nat-{home}"
        device, within = network.join(home, router, mtu)
        network.address(home, device, "192.168.1.2/24")
        network.address(router, within, "192.168.1.1/24")
        network.route(home, "default", "via", "192.168.1.1")
        beyond, port = network.join(router, "access", mtu)
        network.plug("access", port)
        network.address(router, beyond, f"100.64.0.{number + 1}/24")
        network.route(router, "default", "via", "100.64.0.1")
        # Both homes use one port inside, and the carrier has one inside host per port.
        network.translates(router, "port-restricted", within, beyond, seed=number)


def nat_(network, words, mtu):
    """nat KIND [KIND]
    a (192.168.1.2) -- nat-a [-- cgn-a] -- internet -- [cgn-b --] nat-b -- b (192.168.1.2)
                                           internet -- p (198.18.0.9)
    a is behind the first KIND (198.18.0.1), b behind the second (198.18.0.2; without one b is open),
    p is open to all. IPv4 alone."""
    if not 1 <= len(words) <= 2:
        raise Refused("usage: tools/lab up nat KIND [KIND]")
    for kind in words:
        _layers(kind)
    network.add("internet")
    network.bridge("internet")
    behind(network, "a", words[0], "198.18.0.1", mtu)
    behind(network, "b", words[1] if len(words) > 1 else "open", "198.18.0.2", mtu)
    behind(network, "p", "open", "198.18.0.9", mtu)


TOPOLOGIES = {"pair": pair, "bridge": bridge, "star": star, "sites": sites, "nat": nat_}


def build(network, name, words, mtu=1500):
    """Fills network; on failure nothing of it is left."""
    if name not in TOPOLOGIES:
        raise Refused(f"{name!r} is no topology; there are {', '.join(TOPOLOGIES)}")
    try:
        TOPOLOGIES[name](network, words, mtu)
    except BaseException:
        network.close()
        raise
