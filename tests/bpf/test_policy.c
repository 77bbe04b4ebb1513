/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every decision, in rows: a frame, the state it meets, and the reason it
 * leaves with. Program and native build get each frame; where this machine
 * runs no BPF program the native build is held against the rows alone.
 */
#include <string.h>

#include <linux/bpf.h>

#include "bpf/support/packet.h"
#include "bpf/support/payload.h"
#include "bpf/support/parity_rig.h"
#include "support/check.h"
#include "weft/frame.h"

#define NOW_NS	  (1000 * 1000000000ull)
#define NOW_S	  ((uint32_t)(PARITY_RIG_WALL_S + 1000))
#define PORT	  7000
#define PEER_PORT 4242

static struct parity_rig rig;
static struct payload_keys keys;
static struct weft_endpoint v4, v6, local_v4, local_v6;

enum kind { LONG, SHORT, BYTES };

struct row {
	const char *name;
	enum weft_reason want;
	/* The frame. */
	struct packet packet; /* source, local and payload are filled in */
	bool is_ipv6;
	bool is_from_local; /* the source has the address of local */
	enum kind kind;
	struct payload_long spec; /* LONG */
	enum payload_id id;	  /* SHORT */
	const char *bytes;	  /* BYTES: the first of them */
	size_t bytes_len, len;	  /* and of SHORT: the datagram's length */
	/* What it meets. */
	enum weft_mode mode;
	bool is_validated;
	bool was_validated; /* and that has expired */
	bool has_retried;   /* it showed a Retry's token */
	bool is_limited;    /* unvalidated sources have no credit, nor does this proven address */
	bool no_answers;    /* no answer to any source has any */
	bool is_unlisted;   /* no address is ours */
	bool is_loopback;   /* the device */
};

#define INITIAL(...)  .kind = LONG, .spec = {__VA_ARGS__}
#define STUN	      "\0\1\0\0\x21\x12\xa4\x42"
#define KRPC	      "d1:ad2:id20:"
#define OTHER_VERSION 0x6b3343cf /* QUIC v2 */

static const struct row rows[] = {
	/* clang-format off */
	/* Not ours. */
	{ "ARP", WEFT_REASON_NOT_IP, .packet = { .ethertype = 0x0806 }, INITIAL() },
	{ "three VLAN tags", WEFT_REASON_NOT_IP, .packet = { .vlan_cnt = 3 }, INITIAL() },
	{ "IPv4 said, version 6 found", WEFT_REASON_NOT_IP, .packet = { .first_byte = 0x65 }, INITIAL() },
	{ "IPv6 said, version 4 found", WEFT_REASON_NOT_IP, .packet = { .first_byte = 0x45 }, .is_ipv6 = 1, INITIAL() },
	{ "IHL 4", WEFT_REASON_IP_OPTIONS, .packet = { .first_byte = 0x44 }, INITIAL() },
	{ "IHL 0", WEFT_REASON_IP_OPTIONS, .packet = { .first_byte = 0x40 }, INITIAL() },
	{ "IHL 6, options", WEFT_REASON_IP_OPTIONS, .packet = { .first_byte = 0x46 }, INITIAL() },
	{ "TCP", WEFT_REASON_NOT_UDP, .packet = { .protocol = 6 }, INITIAL() },
	{ "TCP over IPv6", WEFT_REASON_NOT_UDP, .packet = { .protocol = 6 }, .is_ipv6 = 1, INITIAL() },
	{ "IPv6 fragment header", WEFT_REASON_NOT_UDP, .packet = { .protocol = 44 }, .is_ipv6 = 1, INITIAL() },
	{ "first fragment", WEFT_REASON_FRAGMENT, .packet = { .fragment = 0x2000 }, INITIAL() },
	{ "last fragment", WEFT_REASON_FRAGMENT, .packet = { .fragment = 0x0001 }, INITIAL() },
	{ "do not fragment is none", WEFT_REASON_INITIAL, .packet = { .fragment = 0x4000 }, INITIAL() },
	{ "no address is ours", WEFT_REASON_OTHER_PORT, .is_unlisted = 1, INITIAL() },
	{ "IPv6, no address is ours", WEFT_REASON_OTHER_PORT, .is_unlisted = 1, .is_ipv6 = 1, INITIAL() },
	/* Lengths. */
	{ "IP claims one byte more", WEFT_REASON_BAD_LENGTH, .packet = { .ip_len_excess = 1 }, INITIAL() },
	{ "IP claims one byte more than UDP, and it is there", WEFT_REASON_INITIAL, .packet = { .ip_len_excess = 1, .tail_len = 1 }, INITIAL() },
	{ "IP claims less than its header", WEFT_REASON_BAD_LENGTH, .packet = { .ip_len_excess = -1228 }, INITIAL() },
	{ "UDP claims one byte more", WEFT_REASON_BAD_LENGTH, .packet = { .udp_len_excess = 1, .tail_len = 1 }, INITIAL() },
	{ "UDP claims less than its header", WEFT_REASON_BAD_LENGTH, .packet = { .udp_len_excess = -1201 }, INITIAL() },
	{ "UDP claims nothing but its header", WEFT_REASON_NO_PROTOCOL, .packet = { .udp_len_excess = -1200 }, INITIAL() },
	{ "IPv6 claims one byte more", WEFT_REASON_BAD_LENGTH, .packet = { .ip_len_excess = 1 }, .is_ipv6 = 1, INITIAL() },
	{ "lies to somebody else", WEFT_REASON_OTHER_PORT, .packet = { .ip_len_excess = 1 }, .is_unlisted = 1, INITIAL() },
	{ "frame padded to 60 bytes", WEFT_REASON_NO_PROTOCOL, .packet = { .tail_len = 14 }, .kind = BYTES, .bytes = "junk", .bytes_len = 4, .len = 4 },
	{ "no payload", WEFT_REASON_NO_PROTOCOL, .packet = { .tail_len = 18 }, .kind = BYTES, .bytes = "", .len = 0 },
	/* The link layer. */
	{ "to everybody on the link", WEFT_REASON_OTHER_HOST, .packet = { .dest = (const uint8_t[]){255, 255, 255, 255, 255, 255} }, INITIAL() },
	{ "to a group on the link", WEFT_REASON_OTHER_HOST, .packet = { .dest = (const uint8_t[]){1, 0, 0x5e, 0, 0, 1} }, INITIAL() },
	{ "to another host on the link", WEFT_REASON_OTHER_HOST, .packet = { .dest = (const uint8_t[]){2, 0, 0, 0, 0, 9} }, INITIAL() },
	{ "to another host by its last byte but one", WEFT_REASON_OTHER_HOST, .packet = { .dest = (const uint8_t[]){2, 0, 0, 0, 9, 1} }, INITIAL() },
	{ "to zeros, which only loopback has", WEFT_REASON_OTHER_HOST, .packet = { .dest = (const uint8_t[6]){0} }, INITIAL() },
	{ "to zeros, on loopback", WEFT_REASON_INITIAL, .packet = { .dest = (const uint8_t[6]){0} }, .is_loopback = 1, INITIAL() },
	{ "below a VLAN that is not configured", WEFT_REASON_OTHER_HOST, .packet = { .vlan_cnt = 1, .vlan_id = 9 }, INITIAL() },
	{ "below two, the outer is not configured", WEFT_REASON_OTHER_HOST, .packet = { .vlan_cnt = 2, .vlan_id = 9 }, INITIAL() },
	{ "below a tag that is a priority alone", WEFT_REASON_INITIAL, .packet = { .vlan_cnt = 1, .vlan_id = 0x2000 }, INITIAL() },
	{ "below the VLAN, with a priority", WEFT_REASON_INITIAL, .packet = { .vlan_cnt = 1, .vlan_id = 0x2000 | PACKET_VLAN_ID }, INITIAL() },
	/* Checksums: UDP's is looked at before DHT answers alone, but IPv6 must have one. */
	{ "IPv4 header's checksum wrong", WEFT_REASON_BAD_SUM, .packet = { .is_ip_sum_wrong = 1 }, INITIAL() },
	{ "IPv4 header's checksum wrong, before a Retry", WEFT_REASON_BAD_SUM, .packet = { .is_ip_sum_wrong = 1 }, .mode = WEFT_MODE_PRESSURED, INITIAL() },
	{ "IPv4 header's checksum wrong, for another port", WEFT_REASON_OTHER_PORT, .packet = { .is_ip_sum_wrong = 1 }, .is_unlisted = 1, INITIAL() },
	{ "UDP checksum none", WEFT_REASON_INITIAL, .packet = { .udp_sum = PACKET_SUM_NONE }, INITIAL() },
	{ "UDP checksum none, before a Retry", WEFT_REASON_RETRY_SENT, .packet = { .udp_sum = PACKET_SUM_NONE }, .mode = WEFT_MODE_PRESSURED, INITIAL() },
	{ "UDP checksum none in IPv6", WEFT_REASON_BAD_SUM, .packet = { .udp_sum = PACKET_SUM_NONE }, .is_ipv6 = 1, INITIAL() },
	{ "UDP checksum none in IPv6, before a Retry", WEFT_REASON_BAD_SUM, .packet = { .udp_sum = PACKET_SUM_NONE }, .is_ipv6 = 1, .mode = WEFT_MODE_PRESSURED, INITIAL() },
	{ "UDP checksum none in IPv6, before a version negotiation", WEFT_REASON_BAD_SUM, .packet = { .udp_sum = PACKET_SUM_NONE }, .is_ipv6 = 1, INITIAL(.version = OTHER_VERSION) },
	{ "UDP checksum wrong, QUIC is authenticated", WEFT_REASON_RETRY_SENT, .packet = { .udp_sum = PACKET_SUM_WRONG }, .is_ipv6 = 1, .mode = WEFT_MODE_PRESSURED, INITIAL() },
	/* From ourselves. */
	{ "from our own address, another port", WEFT_REASON_BAD_SOURCE, .is_from_local = 1, INITIAL() },
	{ "from our own IPv6 address, another port", WEFT_REASON_BAD_SOURCE, .is_from_local = 1, .is_ipv6 = 1, INITIAL() },
	{ "from our own address, on loopback", WEFT_REASON_INITIAL, .is_from_local = 1, .is_loopback = 1, .packet = { .dest = (const uint8_t[6]){0} }, INITIAL() },
	/* Flows. */
	{ "junk", WEFT_REASON_NO_PROTOCOL, .kind = BYTES, .bytes = " junkjunk", .bytes_len = 9, .len = 40 },
	{ "seven bytes", WEFT_REASON_NO_PROTOCOL, .kind = BYTES, .bytes = KRPC, .bytes_len = 7, .len = 7 },
	{ "KRPC", WEFT_REASON_KRPC, .kind = BYTES, .bytes = KRPC, .bytes_len = 12, .len = 90 },
	{ "KRPC beyond the limit", WEFT_REASON_KRPC_LIMIT, .kind = BYTES, .bytes = KRPC, .bytes_len = 12, .len = 90, .is_limited = 1 },
	{ "KRPC in flood", WEFT_REASON_KRPC, .kind = BYTES, .bytes = KRPC, .bytes_len = 12, .len = 90, .mode = WEFT_MODE_FLOOD },
	{ "KRPC, no room left for all", WEFT_REASON_KRPC_FLOOD, .kind = BYTES, .bytes = KRPC, .bytes_len = 12, .len = 90, .no_answers = 1 },
	{ "KRPC, no room left for all, proven", WEFT_REASON_KRPC, .kind = BYTES, .bytes = KRPC, .bytes_len = 12, .len = 90, .no_answers = 1, .is_validated = 1 },
	{ "KRPC in flood, proven", WEFT_REASON_KRPC, .kind = BYTES, .bytes = KRPC, .bytes_len = 12, .len = 90, .mode = WEFT_MODE_FLOOD, .is_validated = 1 },
	{ "KRPC of IPv6", WEFT_REASON_KRPC, .kind = BYTES, .bytes = KRPC, .bytes_len = 12, .len = 90, .is_ipv6 = 1 },
	{ "STUN", WEFT_REASON_STUN_SENT, .kind = BYTES, .bytes = STUN, .bytes_len = 8, .len = 20 },
	{ "STUN over IPv6", WEFT_REASON_STUN_SENT, .kind = BYTES, .bytes = STUN, .bytes_len = 8, .len = 20, .is_ipv6 = 1 },
	{ "STUN with attributes", WEFT_REASON_STUN, .kind = BYTES, .bytes = "\0\1\0\4\x21\x12\xa4\x42", .bytes_len = 8, .len = 24 },
	{ "STUN longer than it says", WEFT_REASON_STUN, .kind = BYTES, .bytes = STUN, .bytes_len = 8, .len = 24 },
	{ "STUN answer", WEFT_REASON_STUN, .kind = BYTES, .bytes = "\1\1\0\0\x21\x12\xa4\x42", .bytes_len = 8, .len = 20 },
	{ "STUN answer in flood", WEFT_REASON_STUN, .kind = BYTES, .bytes = "\1\1\0\0\x21\x12\xa4\x42", .bytes_len = 8, .len = 20, .mode = WEFT_MODE_FLOOD },
	{ "STUN with a wrong checksum", WEFT_REASON_BAD_SUM, .kind = BYTES, .bytes = STUN, .bytes_len = 8, .len = 20, .packet = { .udp_sum = PACKET_SUM_WRONG } },
	{ "STUN without a checksum", WEFT_REASON_STUN_SENT, .kind = BYTES, .bytes = STUN, .bytes_len = 8, .len = 20, .packet = { .udp_sum = PACKET_SUM_NONE } },
	{ "STUN, no bytes left for all", WEFT_REASON_STUN_BUDGET, .kind = BYTES, .bytes = STUN, .bytes_len = 8, .len = 20, .no_answers = 1 },
	{ "STUN with attributes, no bytes left for all", WEFT_REASON_STUN_BUDGET, .kind = BYTES, .bytes = "\0\1\0\4\x21\x12\xa4\x42", .bytes_len = 8, .len = 24, .no_answers = 1 },
	{ "STUN, no bytes left for all, proven", WEFT_REASON_STUN_SENT, .kind = BYTES, .bytes = STUN, .bytes_len = 8, .len = 20, .no_answers = 1, .is_validated = 1 },
	{ "STUN in flood, proven", WEFT_REASON_STUN_SENT, .kind = BYTES, .bytes = STUN, .bytes_len = 8, .len = 20, .mode = WEFT_MODE_FLOOD, .is_validated = 1 },
	{ "STUN in flood", WEFT_REASON_STUN_FLOOD, .kind = BYTES, .bytes = STUN, .bytes_len = 8, .len = 20, .mode = WEFT_MODE_FLOOD },
	{ "STUN beyond the limit", WEFT_REASON_STUN_LIMIT, .kind = BYTES, .bytes = STUN, .bytes_len = 8, .len = 20, .is_limited = 1 },
	{ "STUN proven, beyond its own limit", WEFT_REASON_STUN_LIMIT, .kind = BYTES, .bytes = STUN, .bytes_len = 8, .len = 20, .is_limited = 1, .is_validated = 1 },
	{ "path probe", WEFT_REASON_PROBE, .kind = BYTES, .bytes = "\x9d", .bytes_len = 1, .len = 32 },
	{ "path probe beyond the limit", WEFT_REASON_PROBE_LIMIT, .kind = BYTES, .bytes = "\x9d", .bytes_len = 1, .len = 32, .is_limited = 1 },
	/* Short headers. */
	{ "our id, proven", WEFT_REASON_SESSION, .kind = SHORT, .id = PAYLOAD_ID_OURS, .len = 100, .is_validated = 1 },
	{ "our id, proven, is not limited", WEFT_REASON_SESSION, .kind = SHORT, .id = PAYLOAD_ID_OURS, .len = 100, .is_validated = 1, .is_limited = 1 },
	{ "our id, strange address", WEFT_REASON_NEW_PATH, .kind = SHORT, .id = PAYLOAD_ID_OURS, .len = 100 },
	{ "our id, proven once", WEFT_REASON_NEW_PATH, .kind = SHORT, .id = PAYLOAD_ID_OURS, .len = 100, .was_validated = 1 },
	{ "our id, strange and too often", WEFT_REASON_REPLAYED_ID, .kind = SHORT, .id = PAYLOAD_ID_OURS, .len = 100, .is_limited = 1 },
	{ "our id, an answered Retry", WEFT_REASON_SESSION, .kind = SHORT, .id = PAYLOAD_ID_OURS, .len = 100, .has_retried = 1 },
	{ "wrong id", WEFT_REASON_BAD_ID, .kind = SHORT, .len = 100 },
	{ "wrong id over IPv6", WEFT_REASON_BAD_ID, .kind = SHORT, .len = 100, .is_ipv6 = 1 },
	{ "wrong id, proven, longest reset", WEFT_REASON_MAYBE_RESET, .kind = SHORT, .len = 63, .is_validated = 1 },
	{ "wrong id, proven, too long for a reset", WEFT_REASON_BAD_ID, .kind = SHORT, .len = 64, .is_validated = 1 },
	{ "wrong id, shortest reset of an unvalidated source", WEFT_REASON_BAD_ID, .kind = SHORT, .len = 21 },
	{ "shortest reset, proven", WEFT_REASON_MAYBE_RESET, .kind = SHORT, .len = 21, .is_validated = 1 },
	{ "below the shortest reset", WEFT_REASON_NO_PROTOCOL, .kind = SHORT, .len = 20, .is_validated = 1 },
	/* Versions. */
	{ "foreign version", WEFT_REASON_VERSION_SENT, INITIAL(.version = OTHER_VERSION) },
	{ "foreign version, one byte short", WEFT_REASON_SMALL_VERSION, INITIAL(.version = OTHER_VERSION, .len = 1199) },
	{ "foreign version of a prefix that has sent much", WEFT_REASON_VERSION_SENT, .is_limited = 1, INITIAL(.version = OTHER_VERSION) },
	{ "foreign version, no answers left for all", WEFT_REASON_ANSWER_LIMIT, .no_answers = 1, INITIAL(.version = OTHER_VERSION) },
	{ "foreign version to an id of ours", WEFT_REASON_VERSION_SENT, INITIAL(.version = OTHER_VERSION, .dcid = PAYLOAD_ID_OURS) },
	{ "version negotiation to an id of ours", WEFT_REASON_NEW_PATH, INITIAL(.version = PAYLOAD_VERSION_NEGOTIATION, .dcid = PAYLOAD_ID_OURS, .len = 50) },
	{ "version negotiation nobody asked for", WEFT_REASON_STRAY_VERSION, INITIAL(.version = PAYLOAD_VERSION_NEGOTIATION) },
	/* Initials. */
	{ "Initial", WEFT_REASON_INITIAL, INITIAL() },
	{ "Initial over IPv6", WEFT_REASON_INITIAL, .is_ipv6 = 1, INITIAL() },
	{ "Initial below a VLAN tag", WEFT_REASON_INITIAL, .packet = { .vlan_cnt = 1 }, INITIAL() },
	{ "Initial below two VLAN tags", WEFT_REASON_INITIAL, .packet = { .vlan_cnt = 2 }, .is_ipv6 = 1, INITIAL() },
	{ "Initial of 1199 bytes", WEFT_REASON_SMALL_INITIAL, INITIAL(.len = 1199) },
	{ "Initial beyond the limit", WEFT_REASON_RETRY_SENT, .is_limited = 1, INITIAL() },
	{ "Initial of a proven address beyond its own", WEFT_REASON_RETRY_SENT, .is_limited = 1, .is_validated = 1, INITIAL() },
	{ "Initial to an id of 7 bytes", WEFT_REASON_BAD_INITIAL, INITIAL(.dcid_len = 7) },
	{ "Initial to an id of 7 bytes with a known token that is none", WEFT_REASON_BAD_INITIAL, .mode = WEFT_MODE_PRESSURED, INITIAL(.dcid_len = 7, .token = { .kind = WEFT_TOKEN_KNOWN }) },
	{ "Initial to an id of 20 bytes", WEFT_REASON_INITIAL, INITIAL(.dcid_len = 20) },
	{ "Initial to an id of 21 bytes", WEFT_REASON_NO_PROTOCOL, INITIAL(.dcid_len = 21) },
	{ "Initial from an id of 20 bytes", WEFT_REASON_INITIAL, INITIAL(.scid_len = 20) },
	{ "Initial from an id of 21 bytes", WEFT_REASON_BAD_INITIAL, INITIAL(.scid_len = 21) },
	{ "Initial to an id of ours", WEFT_REASON_NEW_PATH, INITIAL(.dcid = PAYLOAD_ID_OURS) },
	{ "small Initial to an id of ours: a server's", WEFT_REASON_NEW_PATH, INITIAL(.dcid = PAYLOAD_ID_OURS, .len = 60) },
	{ "long header cut inside an id of ours", WEFT_REASON_SMALL_INITIAL, INITIAL(.dcid = PAYLOAD_ID_OURS, .len = 21) },
	{ "token of all that is left", WEFT_REASON_BAD_INITIAL, INITIAL(.token_claim = 1201, .varint_len = 2) },
	{ "token length in 8 bytes", WEFT_REASON_BAD_INITIAL, INITIAL(.token_claim = 1ull << 61, .varint_len = 8) },
	{ "no token, length in 4 bytes", WEFT_REASON_INITIAL, INITIAL(.varint_len = 4) },
	/* Under pressure. */
	{ "unvalidated source under pressure", WEFT_REASON_RETRY_SENT, .mode = WEFT_MODE_PRESSURED, INITIAL() },
	{ "unvalidated source in flood", WEFT_REASON_RETRY_SENT, .mode = WEFT_MODE_FLOOD, INITIAL() },
	{ "unvalidated source of IPv6 under pressure", WEFT_REASON_RETRY_SENT, .mode = WEFT_MODE_PRESSURED, .is_ipv6 = 1, INITIAL() },
	{ "Initial beyond the limit, no answers left for all", WEFT_REASON_ANSWER_LIMIT, .is_limited = 1, .no_answers = 1, INITIAL() },
	{ "unvalidated source under pressure of a prefix that has sent much", WEFT_REASON_RETRY_SENT, .mode = WEFT_MODE_PRESSURED, .is_limited = 1, INITIAL() },
	{ "unvalidated source under pressure, no answers left for all", WEFT_REASON_ANSWER_LIMIT, .mode = WEFT_MODE_PRESSURED, .no_answers = 1, INITIAL() },
	{ "proven address under pressure", WEFT_REASON_INITIAL, .mode = WEFT_MODE_PRESSURED, .is_validated = 1, INITIAL() },
	{ "somebody else's token is none", WEFT_REASON_RETRY_SENT, .mode = WEFT_MODE_PRESSURED, INITIAL(.token = { .kind = 0x36 }) },
	{ "our token cut short is none", WEFT_REASON_RETRY_SENT, .mode = WEFT_MODE_PRESSURED, INITIAL(.token = { .kind = WEFT_TOKEN_RETRY, .cut = 1 }) },
	/* Other long headers. */
	{ "0-RTT", WEFT_REASON_INITIAL, INITIAL(.first_byte = 0xd3) },
	{ "0-RTT beyond the limit", WEFT_REASON_INITIAL_LIMIT, .is_limited = 1, INITIAL(.first_byte = 0xd3) },
	{ "0-RTT under pressure", WEFT_REASON_EARLY_DATA, .mode = WEFT_MODE_PRESSURED, INITIAL(.first_byte = 0xd3) },
	{ "0-RTT under pressure, proven", WEFT_REASON_INITIAL, .mode = WEFT_MODE_PRESSURED, .is_validated = 1, INITIAL(.first_byte = 0xd3) },
	{ "Handshake to an id of ours", WEFT_REASON_NEW_PATH, INITIAL(.first_byte = 0xe3, .dcid = PAYLOAD_ID_OURS) },
	{ "Handshake to nobody", WEFT_REASON_BAD_ID, INITIAL(.first_byte = 0xe3) },
	{ "Retry to an id of ours", WEFT_REASON_NEW_PATH, INITIAL(.first_byte = 0xf3, .dcid = PAYLOAD_ID_OURS, .len = 100) },
	{ "Retry to nobody", WEFT_REASON_BAD_ID, INITIAL(.first_byte = 0xf3) },
	/* clang-format on */
};

static void set_state(const struct row *row, const struct weft_endpoint *source)
{
	static const struct weft_bucket_rate never = {.cost_ns = 2, .credit_max_ns = 1};
	struct weft_device device = packet_device();
	struct weft_config config = parity_rig_config();
	struct weft_locals locals = {0};

	if (row->is_loopback)
		device = (struct weft_device){.is_loopback = 1};
	config.mode = row->mode;
	for (unsigned class = 0; row->is_limited && class < WEFT_CLASS_ALL_CNT; class ++)
		config.rates[class][0] = never;
	if (row->is_limited)
		config.validated = never;
	if (row->no_answers)
		config.answers[WEFT_ANSWERS_RETRY] = config.answers[WEFT_ANSWERS_VERSION] =
			config.totals[WEFT_TOTAL_KRPC] = config.totals[WEFT_TOTAL_KRPC_BYTES] =
				never;
	if (!row->is_unlisted) {
		weft_locals_put(&locals, &local_v4);
		weft_locals_put(&locals, &local_v6);
	}
	parity_rig_reset(&rig);
	parity_rig_set_locals(&rig, &locals);
	parity_rig_set_device(&rig, &device);
	parity_rig_set_config(&rig, &config);
	parity_rig_set_cid_keys(&rig, &keys.cid);
	parity_rig_set_token_keys(&rig, &keys.token);
	parity_rig_set_now(&rig, NOW_NS);
	if (row->is_validated || row->was_validated)
		parity_rig_put_session(&rig, source, row->is_validated ? NOW_NS + 1 : NOW_NS);
	if (row->has_retried)
		parity_rig_prove(&rig, source);
}

static size_t write_frame(const struct row *row, struct packet *packet, uint8_t *frame)
{
	static uint8_t payload[PAYLOAD_LEN_MAX];

	*packet = row->packet;
	packet->source = row->is_ipv6 ? v6 : v4;
	packet->local = row->is_ipv6 ? local_v6 : local_v4;
	if (row->is_from_local) {
		packet->source = packet->local;
		packet->source.port_be ^= 1;
	}
	packet->payload = payload;
	packet->payload_len = row->len;
	if (row->kind == LONG)
		packet->payload_len = payload_write_long(&keys, &row->spec, payload);
	else if (row->kind == SHORT)
		packet->payload_len = payload_write_short(&keys, row->id, row->len, payload);
	else {
		memset(payload, 0, sizeof(payload));
		memcpy(payload, row->bytes, row->bytes_len);
	}
	return packet_write(packet, frame);
}

static void test_each_row_leaves_for_its_reason(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parity_rig_verdict verdict;
		struct packet packet;
		uint8_t frame[PACKET_LEN_MAX];
		size_t len = write_frame(&rows[i], &packet, frame);
		const char *difference;

		set_state(&rows[i], &packet.source);
		difference = parity_rig_judge(&rig, frame, len, &verdict);
		if (!difference)
			difference = parity_rig_compare_tables(&rig);
		if (difference || verdict.reason != rows[i].want)
			printf("# %s: %s, want %s; both differ in %s\n", rows[i].name,
			       weft_reason_word(verdict.reason), weft_reason_word(rows[i].want),
			       difference ? difference : "nothing");
		CHECK(!difference);
		CHECK_EQ(verdict.reason, rows[i].want);
		if (!rig.has_program)
			continue;
		CHECK_EQ(program_count(&rig.program, rows[i].want), 1);
		if (verdict.result.action != XDP_TX) {
			CHECK_EQ(verdict.result.len, len);
			CHECK_MEM(verdict.result.bytes, frame, len);
		}
	}
}

/* The rows name every reason but those that other tests name. */
static void test_no_reason_is_left_out(void)
{
	static const enum weft_reason elsewhere[] = {
		WEFT_REASON_NO_TABLES,
		WEFT_REASON_CUT_SHORT,
		WEFT_REASON_BAD_SOURCE,
		WEFT_REASON_BANNED,
		WEFT_REASON_BAD_TOKEN,
		WEFT_REASON_LATE_TOKEN,
		WEFT_REASON_UNKEYED_TOKEN,
		WEFT_REASON_ANSWER_FAILED,
		WEFT_REASON_RETRIED,
		WEFT_REASON_KNOWN,
		WEFT_REASON_KRPC_SENDER,
		WEFT_REASON_KRPC_SENT,
		WEFT_REASON_KRPC_BUDGET,
		WEFT_REASON_KRPC_REPLY,
		/* test_relay.c */
		WEFT_REASON_RELAY_BAD,
		WEFT_REASON_RELAY_TAG,
		WEFT_REASON_RELAY_STRAY,
		WEFT_REASON_RELAY_ELSEWHERE,
		WEFT_REASON_RELAY_ONE_LEG,
		WEFT_REASON_RELAY_LIMIT,
		WEFT_REASON_RELAY_GRANT_LIMIT,
		WEFT_REASON_RELAY_VOLUME,
		WEFT_REASON_RELAY_TO_END,
		WEFT_REASON_RELAY_MOVED,
		WEFT_REASON_RELAY_SLOW,
		WEFT_REASON_RELAY_UNKNOWN,
		WEFT_REASON_RELAY_TOO_BIG,
		WEFT_REASON_RELAYED,
	};

	for (unsigned reason = 0; reason < WEFT_REASON_CNT; reason++) {
		bool is_named = false;

		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			is_named |= rows[i].want == reason;
		for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
			is_named |= elsewhere[i] == reason;
		if (!is_named)
			printf("# no row for %s\n", weft_reason_word(reason));
		CHECK(is_named);
	}
}

/* Every prefix of every frame; below 14 bytes there is no frame, and the kernel takes none. */
static void test_frames_cut_at_every_byte_are_no_harm(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct parity_rig_verdict verdict;
		struct packet packet;
		uint8_t frame[PACKET_LEN_MAX];
		size_t len = write_frame(&rows[i], &packet, frame);
		size_t heads = packet_headers_len(&packet);

		set_state(&rows[i], &packet.source);
		for (size_t cut = 0; cut < heads + 64 && cut < len; cut++) {
			uint8_t *exact = malloc(cut ? cut : 1);
			const char *difference = NULL;

			memcpy(exact, frame, cut);
			if (cut < WEFT_ETH_LEN)
				verdict.reason = parity_rig_judge_native(&rig, exact, cut);
			else
				difference = parity_rig_judge(&rig, exact, cut, &verdict);
			free(exact);
			CHECK(!difference);
			CHECK(weft_verdict(verdict.reason) == WEFT_PASS ||
			      weft_verdict(verdict.reason) == WEFT_DROP ||
			      cut >= len - packet.tail_len);
			if (cut < WEFT_ETH_LEN)
				CHECK_EQ(verdict.reason, WEFT_REASON_CUT_SHORT);
		}
	}
}

static void test_ids_of_every_length(void)
{
	struct row row = {.kind = LONG, .mode = WEFT_MODE_PRESSURED};
	struct parity_rig_verdict verdict;
	struct packet packet;
	uint8_t frame[PACKET_LEN_MAX];

	set_state(&row, &v4);
	for (unsigned dcid_len = 0; dcid_len <= 255; dcid_len++) {
		for (unsigned scid_len = 0; scid_len <= 255; scid_len += dcid_len % 5 ? 51 : 1) {
			enum weft_reason want = dcid_len > 20 ? WEFT_REASON_NO_PROTOCOL
						: scid_len > 20 || dcid_len < 8
							? WEFT_REASON_BAD_INITIAL
							: WEFT_REASON_RETRY_SENT;

			row.spec = (struct payload_long){
				.dcid_len = dcid_len ? dcid_len : PAYLOAD_ID_EMPTY,
				.scid_len = scid_len,
			};
			parity_rig_set_now(&rig, rig.native.now_ns + 1000000);
			CHECK(!parity_rig_judge(&rig, frame, write_frame(&row, &packet, frame),
						&verdict));
			if (verdict.reason != want)
				printf("# ids of %u and %u\n", dcid_len, scid_len);
			CHECK_EQ(verdict.reason, want);
			row.spec.version = OTHER_VERSION;
			CHECK(!parity_rig_judge(&rig, frame, write_frame(&row, &packet, frame),
						&verdict));
			CHECK_EQ(verdict.reason, WEFT_REASON_VERSION_SENT);
		}
	}
}

static void check_sources(bool is_loopback)
{
	static const struct {
		const char *source, *local;
		uint16_t port;
		enum weft_reason want, want_on_loopback;
	} sources[] = {
		/* clang-format off */
		{ "192.0.2.1", "10.0.0.1", 0, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "0.0.0.0", "10.0.0.1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "0.1.2.3", "10.0.0.1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "1.0.0.0", "10.0.0.1", 1, WEFT_REASON_INITIAL, WEFT_REASON_INITIAL },
		{ "223.255.255.255", "10.0.0.1", 1, WEFT_REASON_INITIAL, WEFT_REASON_INITIAL },
		{ "224.0.0.1", "10.0.0.1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "255.255.255.255", "10.0.0.1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "127.0.0.1", "10.0.0.1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "127.0.0.1", "127.0.0.2", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_INITIAL },
		{ "10.0.0.1", "10.0.0.1", PORT, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "10.0.0.1", "10.0.0.1", PORT + 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_INITIAL },
		{ "::", "2001:db8::1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "::1", "2001:db8::1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "::1", "::1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_INITIAL },
		{ "::2", "2001:db8::1", 1, WEFT_REASON_INITIAL, WEFT_REASON_INITIAL },
		{ "ff02::1", "2001:db8::1", 1, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		{ "fe80::1", "2001:db8::1", 1, WEFT_REASON_INITIAL, WEFT_REASON_INITIAL },
		{ "2001:db8::1", "2001:db8::1", PORT, WEFT_REASON_BAD_SOURCE, WEFT_REASON_BAD_SOURCE },
		/* clang-format on */
	};
	const struct row row = {.is_loopback = is_loopback, INITIAL()};
	struct weft_locals locals = {0};

	set_state(&row, &v4);
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct weft_endpoint local = packet_endpoint(sources[i].local, PORT);

		CHECK(weft_locals_put(&locals, &local));
	}
	parity_rig_set_locals(&rig, &locals);
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		enum weft_reason want = is_loopback ? sources[i].want_on_loopback : sources[i].want;
		struct parity_rig_verdict verdict;
		struct packet packet;
		uint8_t frame[PACKET_LEN_MAX];

		(void)write_frame(&row, &packet, frame);
		packet.dest = is_loopback ? (const uint8_t[6]){0} : NULL;
		packet.source = packet_endpoint(sources[i].source, sources[i].port);
		packet.local = packet_endpoint(sources[i].local, PORT);
		CHECK(!parity_rig_judge(&rig, frame, packet_write(&packet, frame), &verdict));
		if (verdict.reason != want)
			printf("# %s to %s%s\n", sources[i].source, sources[i].local,
			       is_loopback ? " on loopback" : "");
		CHECK_EQ(verdict.reason, want);
	}
}

/* Judges a KRPC datagram from source, which needs no state. */
static enum weft_reason krpc_from(const char *source)
{
	static const struct row row = {.kind = BYTES, .bytes = KRPC, .bytes_len = 12, .len = 90};
	struct parity_rig_verdict verdict;
	struct packet packet;
	uint8_t frame[PACKET_LEN_MAX];
	const char *difference;

	(void)write_frame(&row, &packet, frame);
	packet.source = packet_endpoint(source, PEER_PORT);
	packet.local = weft_endpoint_is_ipv4(&packet.source) ? local_v4 : local_v6;
	difference = parity_rig_judge(&rig, frame, packet_write(&packet, frame), &verdict);
	if (difference)
		printf("# %s: both differ in %s\n", source, difference);
	return difference ? WEFT_REASON_CNT : verdict.reason;
}

static void ban(const char *addr, unsigned prefix_len, uint64_t expires_ns)
{
	struct weft_endpoint endpoint = packet_endpoint(addr, 0);

	parity_rig_ban(&rig, &endpoint, prefix_len, expires_ns);
}

static void test_sources_that_cannot_be(void)
{
	check_sources(false);
	check_sources(true);
}

static void test_ban_holds_for_its_prefix_and_time(void)
{
	static const struct row row = {INITIAL()};
	struct weft_endpoint host = packet_endpoint("198.51.100.7", 0);

	set_state(&row, &v4);
	CHECK_EQ(krpc_from("198.51.100.7"), WEFT_REASON_KRPC);
	ban("198.51.100.7", 32, 0);
	ban("203.0.113.0", 25, NOW_NS + 1);
	ban("2001:db8:5::", 47, 0);
	CHECK_EQ(krpc_from("198.51.100.7"), WEFT_REASON_BANNED);
	CHECK_EQ(krpc_from("198.51.100.6"), WEFT_REASON_KRPC);
	CHECK_EQ(krpc_from("203.0.113.127"), WEFT_REASON_BANNED);
	CHECK_EQ(krpc_from("203.0.113.128"), WEFT_REASON_KRPC);
	CHECK_EQ(krpc_from("2001:db8:4:ffff::1"), WEFT_REASON_BANNED);
	CHECK_EQ(krpc_from("2001:db8:6::1"), WEFT_REASON_KRPC);
	/* The longest prefix decides: this one has expired. */
	ban("203.0.113.9", 32, NOW_NS);
	CHECK_EQ(krpc_from("203.0.113.9"), WEFT_REASON_KRPC);
	parity_rig_set_now(&rig, NOW_NS + 1);
	CHECK_EQ(krpc_from("203.0.113.8"), WEFT_REASON_KRPC);
	CHECK_EQ(krpc_from("198.51.100.7"), WEFT_REASON_BANNED);
	CHECK_EQ(rig.native.config.ban_ipv4_cnt, 3);
	net_ingress_ban_delete(&rig.native, &host, 32);
	CHECK_EQ(parity_rig_judge_native(&rig, (const uint8_t *)"", 0), WEFT_REASON_CUT_SHORT);
	CHECK(!net_ingress_ban_lookup(&rig.native, &host));
	CHECK_EQ(rig.native.config.ban_ipv4_cnt, 2);
}

static void test_everything_can_be_banned_by_family(void)
{
	static const struct row row = {INITIAL()};

	set_state(&row, &v4);
	ban("::", 0, 0);
	CHECK_EQ(krpc_from("192.0.2.77"), WEFT_REASON_KRPC);
	CHECK_EQ(krpc_from("2001:db8::77"), WEFT_REASON_BANNED);
	ban("0.0.0.0", 0, 0);
	CHECK_EQ(krpc_from("192.0.2.77"), WEFT_REASON_BANNED);
}

static void test_bans_are_refused_one_above_their_number(void)
{
	static const struct row row = {INITIAL()};
	const struct weft_ban forever = {.expires_ns = 0};
	struct weft_endpoint addr;
	unsigned cnt = 0;

	set_state(&row, &v4);
	do {
		uint8_t bytes[4] = {100, 0, 0, (uint8_t)cnt};

		weft_endpoint_set_ipv4(&addr, bytes);
	} while (net_ingress_ban_put(&rig.native, &addr, 32, &forever) == 0 && ++cnt < 1000);
	CHECK_EQ(cnt, PARITY_RIG_BAN_CAP);
	CHECK_EQ(rig.native.config.ban_ipv4_cnt, PARITY_RIG_BAN_CAP);
	/* One that is there can still be changed. */
	addr = packet_endpoint("100.0.0.1", 0);
	CHECK_EQ(net_ingress_ban_put(&rig.native, &addr, 32, &(struct weft_ban){.expires_ns = 7}),
		 0);
	CHECK_EQ(net_ingress_ban_lookup(&rig.native, &addr)->expires_ns, 7);
}

/* Five at once for one address, eight for its /24 or /56, ten for a /48. */
static void set_tight_rates(enum weft_mode mode)
{
	const struct row row = {INITIAL(), .mode = mode};
	struct weft_config config;

	set_state(&row, &v4);
	config = rig.native.config;
	for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
		config.rates[WEFT_CLASS_KRPC][level] =
			(struct weft_bucket_rate){.cost_ns = 100,
						  .credit_max_ns = level == 0	? 500
								   : level == 1 ? 800
										: 1000};
	parity_rig_set_config(&rig, &config);
}

static unsigned krpc_admitted(const char *source, unsigned cnt)
{
	unsigned admitted_cnt = 0;

	while (cnt-- > 0)
		admitted_cnt += krpc_from(source) == WEFT_REASON_KRPC;
	return admitted_cnt;
}

static void test_limits_hold_for_every_prefix(void)
{
	set_tight_rates(WEFT_MODE_NORMAL);
	CHECK_EQ(krpc_admitted("198.51.100.7", 20), 5);
	/* A neighbour finds what the /24 has left, an unvalidated source further off everything. */
	CHECK_EQ(krpc_admitted("198.51.100.8", 20), 3);
	CHECK_EQ(krpc_admitted("198.51.100.9", 20), 0);
	CHECK_EQ(krpc_admitted("198.51.101.7", 20), 5);
	/* A /64 is one source, whatever it calls itself. */
	CHECK_EQ(krpc_admitted("2001:db8:7:1::1", 3), 3);
	CHECK_EQ(krpc_admitted("2001:db8:7:1:ffff::", 20), 2);
	CHECK_EQ(krpc_admitted("2001:db8:7:2::1", 20), 3);
	CHECK_EQ(krpc_admitted("2001:db8:7:ff::1", 20), 0);
	CHECK_EQ(krpc_admitted("2001:db8:7:100::1", 20), 2);
	CHECK_EQ(krpc_admitted("2001:db8:7:200::1", 20), 0);
	CHECK_EQ(krpc_admitted("2001:db8:8:1::1", 20), 5);
	CHECK(!parity_rig_compare_tables(&rig));
	parity_rig_set_now(&rig, NOW_NS + 99);
	CHECK_EQ(krpc_admitted("198.51.100.7", 1), 0);
	parity_rig_set_now(&rig, NOW_NS + 100);
	CHECK_EQ(krpc_admitted("198.51.100.7", 2), 1);
	CHECK(!parity_rig_compare_tables(&rig));
}

/* Questions of unvalidated sources end in flood, so answers of STUN show what is left of a rate. */
static void test_flood_divides_rates(void)
{
	const struct row row = {
		.mode = WEFT_MODE_FLOOD,
		.kind = BYTES,
		.bytes = "\1\1\0\0\x21\x12\xa4\x42",
		.bytes_len = 8,
		.len = 20,
	};
	struct weft_config config;
	unsigned admitted_cnt = 0;

	set_state(&row, &v4);
	config = rig.native.config;
	config.flood_shift = 2;
	config.rates[WEFT_CLASS_STUN][0] = (struct weft_bucket_rate){100, 1700};
	parity_rig_set_config(&rig, &config);
	for (unsigned i = 0; i < 17; i++) {
		struct parity_rig_verdict verdict;
		struct packet packet;
		uint8_t frame[PACKET_LEN_MAX];

		CHECK(!parity_rig_judge(&rig, frame, write_frame(&row, &packet, frame), &verdict));
		admitted_cnt += verdict.reason == WEFT_REASON_STUN;
	}
	CHECK_EQ(admitted_cnt, 4);
	CHECK(!parity_rig_compare_tables(&rig));
}

/* The first drop is told at once, then few, and none is forgotten. */
static void test_samples_weigh_what_they_leave_out(void)
{
	static const struct row row = {.kind = SHORT, .len = 100};
	uint64_t told_cnt = 0, now_ns = NOW_NS;
	struct weft_sample sample = {0};
	struct weft_config config;
	struct parity_rig_verdict verdict;
	struct packet packet;
	uint8_t frame[PACKET_LEN_MAX];
	size_t len = write_frame(&row, &packet, frame);
	unsigned sample_cnt = 0;

	set_state(&row, &v4);
	config = rig.native.config;
	config.samples =
		(struct weft_bucket_rate){.cost_ns = 100000000, .credit_max_ns = 200000000};
	parity_rig_set_config(&rig, &config);
	/* A thousand drops in a second, at two and then ten samples a second. */
	for (unsigned i = 0; i < 1000; i++, now_ns += 1000000) {
		parity_rig_set_now(&rig, now_ns);
		CHECK(!parity_rig_judge(&rig, frame, len, &verdict));
		if (!rig.has_program || !program_samples(&rig.program, &sample))
			continue;
		sample_cnt++;
		told_cnt += sample.weight;
		CHECK_EQ(sample.at_ns, now_ns);
		CHECK_EQ(sample.reason, WEFT_REASON_BAD_ID);
		CHECK_EQ(sample.flow, WEFT_FLOW_QUIC_SHORT);
		CHECK_MEM(&sample.source, &packet.source, sizeof(sample.source));
	}
	CHECK(!parity_rig_compare_tables(&rig));
	told_cnt += rig.native.samplers[WEFT_REASON_BAD_ID].weight;
	if (!rig.has_program)
		return;
	CHECK(sample_cnt >= 10 && sample_cnt <= 12);
	CHECK_EQ(told_cnt, 1000);
}

static void test_full_set_of_addresses_refuses_one_more(void)
{
	struct weft_locals locals = {0};
	struct weft_endpoint first = packet_endpoint("10.0.0.0", PORT), last = first;
	unsigned put_cnt = 0;

	for (uint32_t i = 0; put_cnt < WEFT_LOCAL_WAY_CNT + 1; i++) {
		uint8_t addr[4] = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
		struct weft_endpoint next = {.port_be = first.port_be};

		weft_endpoint_set_ipv4(&next, addr);
		if (weft_locals_set(&next, next.port_be) != weft_locals_set(&first, first.port_be))
			continue;
		CHECK_EQ(weft_locals_put(&locals, &next), put_cnt < WEFT_LOCAL_WAY_CNT);
		CHECK_EQ(weft_locals_have(&locals, &next), put_cnt < WEFT_LOCAL_WAY_CNT);
		put_cnt++;
		last = next;
	}
	CHECK(!weft_locals_have(&locals, &last));
	/* What is there already takes no room. */
	CHECK(weft_locals_put(&locals, &first));
	/* An empty place is no address. */
	CHECK(!weft_locals_have(&locals, &(struct weft_endpoint){0}));
}

int main(void)
{
	const char *why = parity_rig_open(&rig);

	v4 = packet_endpoint("192.0.2.1", PEER_PORT);
	v6 = packet_endpoint("2001:db8:1:2::3", PEER_PORT);
	local_v4 = packet_endpoint("10.0.0.1", PORT);
	local_v6 = packet_endpoint("2001:db8::1", PORT);
	payload_keys_init(&keys, NOW_S);
	if (why)
		printf("# the native program alone: %s\n", why);
	RUN(test_each_row_leaves_for_its_reason);
	RUN(test_no_reason_is_left_out);
	RUN(test_frames_cut_at_every_byte_are_no_harm);
	RUN(test_ids_of_every_length);
	RUN(test_sources_that_cannot_be);
	RUN(test_ban_holds_for_its_prefix_and_time);
	RUN(test_everything_can_be_banned_by_family);
	RUN(test_bans_are_refused_one_above_their_number);
	RUN(test_limits_hold_for_every_prefix);
	RUN(test_flood_divides_rates);
	RUN(test_samples_weigh_what_they_leave_out);
	RUN(test_full_set_of_addresses_refuses_one_more);
	parity_rig_close(&rig);
	return check_done();
}
