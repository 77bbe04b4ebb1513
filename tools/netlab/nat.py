# SPDX-License-Identifier: Apache-2.0
"""The kinds of network address translation, as nftables rules.

A kind is MAPPING/FILTERING, each of the three behaviours of RFC 4787 4.1 and 5. Four of the nine
have a name of RFC 3489 as well.

An endpoint-independent mapping keeps the inside port, which Linux does while it is free. An
address-dependent one takes its port from a hash over all that it depends on. An
address-and-port-dependent one is a flow of connection tracking with a port drawn at random, and
another one when the flow was forgotten. Connection tracking lets the endpoint in that was written
to. Weaker filters let others in by a map from what
they look at to the inside endpoint, which each datagram out refreshes.

An unrequested datagram is dropped before it is tracked for good. Else it would take a port from the
mapping that comes after it, and the kind would be another one.

They hold for UDP and for one inside host per port; TCP is masqueraded. A NAT that hairpins
(RFC 4787 6) passes a datagram from inside to its own address back in, as if it came from outside:
the sender is seen by its outside endpoint. Others drop it.
"""
import pathlib
import shutil
import socket
import struct

TOP = pathlib.Path(__file__).resolve().parents[2]
INDEPENDENT, ADDRESS, ADDRESS_AND_PORT = BEHAVIOURS = (
    "endpoint-independent", "address-dependent", "address-and-port-dependent")
PAIRS = [f"{mapping}/{filtering}" for mapping in BEHAVIOURS for filtering in BEHAVIOURS]
BLOCKED = "udp-blocked"
# RFC 3489 5
CLASSIC = {
    "full-cone": f"{INDEPENDENT}/{INDEPENDENT}",
    "address-restricted": f"{INDEPENDENT}/{ADDRESS}",
    "port-restricted": f"{INDEPENDENT}/{ADDRESS_AND_PORT}",
    "symmetric": f"{ADDRESS_AND_PORT}/{ADDRESS_AND_PORT}",
}
KINDS = {
    "full-cone": "any endpoint may send to a port that was used once",
    "address-restricted": "an address that was written to may answer from any port",
    "port-restricted": "only the address and port that was written to may answer",
    "symmetric": "as port-restricted, and each destination sees another port",
    BLOCKED: "no UDP passes; TCP does",
    **{pair: "mapping/filtering of RFC 4787" for pair in PAIRS},
}
# RFC 4787 REQ-5 asks for two minutes or more.
LIFETIME_S = 120
# Of two destinations one in so many pairs sees the same port by accident.
_PORTS, _PORT_FIRST = 4096, 20000

_FRAME = """
table ip lab
delete table ip lab
table ip lab {{
	map mapped {{ type {key} : ipv4_addr . inet_service; flags dynamic,timeout; timeout {lifetime}s; size 65535; }}
	chain translate_source {{
		type nat hook postrouting priority srcnat;
		{hairpin_source}
		{udp_source}
		oifname "{outside}" masquerade
	}}
	chain note_mapping {{
		comment "an inside host begins a flow, or answers one that its mapping let in"
		type filter hook postrouting priority srcnat + 1;
		oifname "{outside}" meta l4proto udp ct direction original update @mapped {{ {out_key} : ct original ip saddr . ct original proto-src }}
		oifname "{outside}" meta l4proto udp ct direction reply update @mapped {{ {out_key} : ct reply ip saddr . ct reply proto-src }}
	}}
	chain translate_destination {{
		type nat hook prerouting priority dstnat;
		{hairpin}
		{incoming}
	}}
	chain forward {{
		type filter hook forward priority filter; policy drop;
		{blocked}
		iifname "{inside}" accept
		ct state established,related accept
		ct status dnat accept
	}}
	chain input {{
		comment "what nobody asked for leaves no trace that could take a port"
		type filter hook input priority filter; policy accept;
		iifname "{outside}" meta l4proto {{ udp, tcp }} ct state new drop
	}}
}}
"""

# type of the map's key, its value from a datagram out after translation, and from one in before
_FILTERS = {
    INDEPENDENT: ("inet_service", "udp sport", "udp dport"),
    ADDRESS: ("ipv4_addr . inet_service", "ip daddr . udp sport", "ip saddr . udp dport"),
    # Nothing to add to connection tracking.
    ADDRESS_AND_PORT: ("inet_service", "udp sport", None),
}
_DEPENDS_ON = {
    INDEPENDENT: "ip saddr . udp sport",
    ADDRESS: "ip saddr . udp sport . ip daddr",
}


# Of homes behind a carrier's NAT: one that RFC 6888 asks for, and one that it forbids.
DOUBLE = {"cgn": "port-restricted+symmetric", "cgn-cone": "port-restricted+full-cone"}


def layers_of(kind):
    """The NATs that a packet meets on its way out, innermost first."""
    return DOUBLE.get(kind, kind).split("+")


def pair_of(kind):
    """(mapping, filtering) of a kind under which UDP passes: of two NATs the narrower of each."""
    pairs = [CLASSIC.get(layer, layer).split("/") for layer in layers_of(kind)]
    return tuple(max(words, key=BEHAVIOURS.index) for words in zip(*pairs))


def _udp_source(mapping, outside, seed):
    if mapping == INDEPENDENT and not seed:
        return ""
    if mapping == ADDRESS_AND_PORT:
        return f'oifname "{outside}" meta l4proto udp masquerade fully-random'
    ports = ", ".join(f"{number} : {_PORT_FIRST + number}" for number in range(_PORTS))
    return (f'oifname "{outside}" meta l4proto udp masquerade to : jhash {_DEPENDS_ON[mapping]} '
            f"mod {_PORTS} seed {seed + 1} map {{ {ports} }}")


def _hairpin(inside, public, in_key):
    """Which datagrams from inside go back in, and whence they come then. The port is preserved."""
    return (f'iifname "{inside}" ip daddr {public} meta l4proto udp dnat ip to {in_key} map @mapped',
            f'iifname "{inside}" oifname "{inside}" meta l4proto udp snat ip to {public}')


def rules(kind, inside, outside, lifetime_s=LIFETIME_S, seed=0, hairpin=None):
    """hairpin: the outside address of a NAT that hairpins, which has one port for all remotes."""
    mapping, filtering = pair_of(kind if kind != BLOCKED else CLASSIC["port-restricted"])
    key, out_key, in_key = _FILTERS[filtering]
    incoming = in_key and f'iifname "{outside}" meta l4proto udp dnat ip to {in_key} map @mapped'
    hairpin_in, hairpin_source = _hairpin(inside, hairpin, in_key) if hairpin else ("", "")
    return _FRAME.format(
        hairpin=hairpin_in, hairpin_source=hairpin_source,
        inside=inside, outside=outside, lifetime=lifetime_s, key=key, out_key=out_key,
        udp_source=_udp_source(mapping, outside, seed), incoming=incoming or "",
        blocked="meta l4proto udp drop" if kind == BLOCKED else "")


def _forget_flows():
    """Of this network namespace: ctnetlink's message to delete, without a filter."""
    nfnl_subsys_ctnetlink, ipctnl_msg_ct_delete, nlm_f_request, nlm_f_ack = 1, 2, 1, 4
    message = struct.pack("=IHHIIBBH", 20, nfnl_subsys_ctnetlink << 8 | ipctnl_msg_ct_delete,
                          nlm_f_request | nlm_f_ack, 1, 0, socket.AF_INET, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netfilter:
        netfilter.send(message)
        error = struct.unpack_from("=i", netfilter.recv(4096), 16)[0]
        if error:
            raise OSError(-error, "connection tracking keeps its flows")


def apply(namespace, kind, inside, outside, lifetime_s=LIFETIME_S, seed=0, hairpin=None):
    """
    Makes namespace translate between its devices inside and outside. Again: another kind, with
    whatever flows there are. Another seed: other ports, also where they were preserved.
    """
    nft = ["nft"] if shutil.which("nft") else [str(TOP / "tools" / "in-root"), "nft"]
    namespace.run(*nft, "-f", "-", text=rules(kind, inside, outside, lifetime_s, seed, hairpin))
    for name in ("udp_timeout", "udp_timeout_stream"):
        namespace.sysctl(f"netfilter/nf_conntrack_{name}", lifetime_s)


def rebind(namespace, kind, inside, outside, seed):
    """All flows are forgotten, and the next ones have other ports."""
    apply(namespace, kind, inside, outside, seed=seed)
    namespace.inside(_forget_flows)
