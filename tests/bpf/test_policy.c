/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every decision, in rows: a frame, the state it meets, and the reason it
 * leaves with. Program and native build get each frame; where this machine
 * runs no BPF program the native build is held against the rows alone.
 */
#include "policy_rig.h"

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

int main(void)
{
	policy_open();
	RUN(test_each_row_leaves_for_its_reason);
	RUN(test_no_reason_is_left_out);
	RUN(test_frames_cut_at_every_byte_are_no_harm);
	RUN(test_ids_of_every_length);
	parity_rig_close(&rig);
	return check_done();
}
