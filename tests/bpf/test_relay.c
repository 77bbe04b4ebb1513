/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relay flows in the driver: every step of weft/relay_judge.h in rows, and
 * the bounds of rates and volumes. Forwarded frames are rewritten between
 * both families, VLANs and kinds of checksum. Each frame goes to the
 * program and to its native build, which must agree in verdict and bytes.
 */
#include <string.h>

#include <arpa/inet.h>
#include <linux/bpf.h>

#include "bpf/support/packet.h"
#include "bpf/support/parity_rig.h"
#include "support/check.h"
#include "weft/frame.h"

#define NOW_NS	 (1000 * 1000000000ull)
#define FLOW	 5
#define SALT	 0x1234
#define GRANT	 3
#define HOUR	 7u
#define MTU	 1250
#define INNER	 200
#define PORT	 7000
#define OTHER_IF 9 /* a device that the program cannot send by */

static struct parity_rig rig;
static struct weft_relay_keys keys;
static struct weft_endpoint peers[2][2], locals[2]; /* by leg, by is_ipv6 */

static void set_keys(void)
{
	for (unsigned hour = HOUR; hour < HOUR + WEFT_RELAY_KEY_CNT; hour++)
		keys.slots[hour % WEFT_RELAY_KEY_CNT] = (struct weft_siphash_key){
			.key = {hour, 99}, .generation = hour & 0xff, .is_set = 1};
	parity_rig_set_relay_keys(&rig, &keys);
}

static uint64_t mac_of(unsigned last)
{
	return 2ull | (uint64_t)last << 40;
}

/* The link header of the packets of packet.h, with so many tags of theirs, turned round. */
static struct weft_relay_link link_of(unsigned vlan_cnt)
{
	uint64_t outer = weft_vlan_tag(WEFT_ETHERTYPE_QINQ, PACKET_VLAN_ID);
	uint64_t both = outer << 32 | weft_vlan_tag(WEFT_ETHERTYPE_VLAN, 8);

	return (struct weft_relay_link){.to = mac_of(2),
					.from = mac_of(1),
					.tags = vlan_cnt == 2 ? both
						: vlan_cnt    ? outer
							      : 0,
					.ifindex = PARITY_RIG_IFINDEX};
}

static struct weft_relay_label label_of(unsigned leg, unsigned generation)
{
	struct weft_relay_label label;

	if (!weft_relay_label_make(&keys, generation, weft_relay_place(leg, 2, FLOW, SALT), &label))
		label.head = label.tag = 0;
	return label;
}

static struct weft_relay_leg leg_of(unsigned leg, bool is_ipv6)
{
	struct weft_relay_leg made = {.remote = peers[leg][is_ipv6],
				      .local = locals[is_ipv6],
				      .label = label_of(leg, HOUR),
				      .link = link_of(0),
				      .heard_ns = NOW_NS};

	made.label.head = weft_relay_head_of_kind(made.label.head, WEFT_RELAY_TO_END);
	return made;
}

static struct weft_relay_flow flow_of(bool is_first_ipv6, bool is_second_ipv6)
{
	return (struct weft_relay_flow){
		.salt = SALT,
		.state = WEFT_RELAY_OPEN,
		.mtu = MTU,
		.legs = {leg_of(0, is_first_ipv6), leg_of(1, is_second_ipv6)},
	};
}

/* A datagram of leg 0. */
struct sent {
	struct packet packet;
	uint8_t payload[PACKET_LEN_MAX];
};

static void send_init(struct sent *sent, const struct weft_relay_label *label, bool is_ipv6,
		      size_t inner_len)
{
	*sent = (struct sent){.packet = {.source = peers[0][is_ipv6], .local = locals[is_ipv6]}};
	memcpy(sent->payload, label, WEFT_RELAY_LABEL_LEN);
	for (size_t i = 0; i < inner_len; i++)
		sent->payload[WEFT_RELAY_LABEL_LEN + i] = (uint8_t)(0x40 + i * 7);
	if (inner_len)
		sent->payload[WEFT_RELAY_LABEL_LEN] = 0x40;
	sent->packet.payload = sent->payload;
	sent->packet.payload_len = WEFT_RELAY_LABEL_LEN + inner_len;
}

/* What both say of it, or WEFT_REASON_CNT: they differ in that, in tables, or in a forwarded frame. */
static enum weft_reason judge(const struct sent *sent, struct parity_rig_verdict *out)
{
	uint8_t frame[PACKET_LEN_MAX + 64], native[PACKET_LEN_MAX + 128];
	size_t len = packet_write(&sent->packet, frame), native_len;
	const char *difference = parity_rig_judge(&rig, frame, len, out);

	if (!difference)
		difference = parity_rig_compare_relay(&rig);
	if (!difference && rig.has_program && weft_verdict(out->reason) == WEFT_FORWARD) {
		native_len = parity_rig_relayed(&rig, frame, len, native);
		if (out->result.len != native_len ||
		    memcmp(out->result.bytes, native, native_len) != 0)
			difference = "bytes of the forwarded frame";
	}
	if (!difference)
		return out->reason;
	printf("# %s by the native build: both differ in %s\n", weft_reason_word(out->reason),
	       difference);
	return WEFT_REASON_CNT;
}

static enum weft_reason reason_of(const struct sent *sent)
{
	struct parity_rig_verdict verdict;

	return judge(sent, &verdict);
}

/* One datagram of leg 0, and what is wrong with it or with its flow. */
struct row {
	const char *name;
	enum weft_reason want;
	/* The datagram. */
	size_t inner_len;   /* 0: INNER; NO_INNER: none */
	uint8_t inner;	    /* its first byte; 0: a short header */
	uint64_t flip_head; /* after the tag was made */
	uint64_t flip_tag;
	enum weft_relay_kind kind;
	unsigned generation; /* 0: HOUR */
	bool is_third;	     /* from neither leg's address */
	bool is_other_port;
	bool is_other_leg; /* the first leg's label from the second leg's address */
	bool has_session;  /* of the source */
	enum packet_sum sum;
	int udp_len_excess; /* and bytes behind the datagram */
	/* The flow. */
	bool is_closed, is_busy, no_peer, is_peer_on_tcp, no_link, is_link_old, is_link_elsewhere;
	uint16_t salt_excess;
	uint64_t rate; /* bytes a second; 0: no limit */
	bool has_grant;
	uint64_t grant_rate;
	int64_t volume;
	uint64_t spent; /* marks: credit is spent */
};
#define NO_INNER 9999

/* Of INNER bytes over IPv4, as it leaves. */
#define OUT_LEN (WEFT_IPV4_LEN + WEFT_UDP_LEN + WEFT_RELAY_LABEL_LEN + INNER)

static const struct row rows[] = {
	/* clang-format off */
	{ "as it should be", WEFT_REASON_RELAYED, .inner_len = INNER },
	/* Length, kind. */
	{ "no byte behind the label", WEFT_REASON_RELAY_BAD, .inner_len = NO_INNER },
	{ "a byte below the shortest packet", WEFT_REASON_RELAY_BAD, .inner_len = 20 },
	{ "the shortest packet", WEFT_REASON_RELAYED, .inner_len = 21 },
	{ "reserved bit of the kind", WEFT_REASON_RELAY_BAD, .flip_head = 0x0400 },
	{ "another reserved bit of the kind", WEFT_REASON_RELAY_BAD, .flip_head = 0x4000 },
	{ "no worker's bit", WEFT_REASON_RELAY_BAD, .flip_head = 0x800000 },
	{ "to an end, without a session", WEFT_REASON_RELAY_STRAY, .kind = WEFT_RELAY_TO_END },
	{ "to an end, of a session", WEFT_REASON_RELAY_TO_END, .kind = WEFT_RELAY_TO_END, .has_session = 1 },
	{ "to an end, cut short", WEFT_REASON_RELAY_BAD, .kind = WEFT_RELAY_TO_END, .has_session = 1, .inner_len = 20 },
	{ "unknown flow, said without a session", WEFT_REASON_RELAY_STRAY, .kind = WEFT_RELAY_UNKNOWN, .inner_len = NO_INNER },
	{ "unknown flow, said by a relay", WEFT_REASON_RELAY_TO_END, .kind = WEFT_RELAY_UNKNOWN, .inner_len = NO_INNER, .has_session = 1 },
	{ "unknown flow, with a byte behind it", WEFT_REASON_RELAY_BAD, .kind = WEFT_RELAY_UNKNOWN, .inner_len = 1, .has_session = 1 },
	{ "too big, said by a relay", WEFT_REASON_RELAY_TO_END, .kind = WEFT_RELAY_TOO_BIG, .inner_len = 2, .has_session = 1 },
	{ "too big, half a number", WEFT_REASON_RELAY_BAD, .kind = WEFT_RELAY_TOO_BIG, .inner_len = 1, .has_session = 1 },
	/* Tag. */
	{ "a forged tag", WEFT_REASON_RELAY_TAG, .flip_tag = 1 },
	{ "a forged tag, last bit", WEFT_REASON_RELAY_TAG, .flip_tag = 1ull << 63 },
	{ "the tag of the other leg", WEFT_REASON_RELAY_TAG, .flip_head = 0x8000 },
	{ "the tag of another flow", WEFT_REASON_RELAY_TAG, .flip_head = 1ull << 32 },
	{ "the tag of another allocation", WEFT_REASON_RELAY_TAG, .flip_head = 1ull << 48 },
	{ "the tag of another worker", WEFT_REASON_RELAY_TAG, .flip_head = 0x010000 },
	{ "the tag of another hour", WEFT_REASON_RELAY_TAG, .flip_head = 0x01000000 },
	{ "an hour that is not honoured", WEFT_REASON_RELAY_TAG, .flip_head = 0x10000000 },
	{ "the newest hour", WEFT_REASON_RELAYED, .generation = HOUR + 3 },
	/* Index, salt. */
	{ "a flow that was closed", WEFT_REASON_RELAY_UNKNOWN, .is_closed = 1 },
	{ "an index that was given to another flow", WEFT_REASON_RELAY_UNKNOWN, .salt_excess = 1 },
	{ "a flow that is written just now", WEFT_REASON_RELAY_SLOW, .is_busy = 1 },
	/* The leg's source. */
	{ "a third address", WEFT_REASON_RELAY_MOVED, .is_third = 1 },
	{ "the leg's address, another port", WEFT_REASON_RELAY_MOVED, .is_other_port = 1 },
	{ "the other leg's address", WEFT_REASON_RELAY_MOVED, .is_other_leg = 1 },
	{ "a third address, too often", WEFT_REASON_RELAY_ELSEWHERE, .is_third = 1, .spent = 1 },
	/* The inner byte. */
	{ "a long header", WEFT_REASON_RELAYED, .inner = 0xc0 },
	{ "a path probe", WEFT_REASON_RELAYED, .inner = 0x9d },
	{ "a label in a label", WEFT_REASON_RELAY_BAD, .inner = 0x9e },
	{ "no QUIC packet", WEFT_REASON_RELAY_BAD, .inner = 0x80 },
	{ "STUN", WEFT_REASON_RELAY_BAD, .inner = 0x01 },
	/* MTU. */
	{ "as long as both legs carry", WEFT_REASON_RELAYED, .inner_len = MTU },
	{ "a byte longer", WEFT_REASON_RELAY_TOO_BIG, .inner_len = MTU + 1 },
	/* What the program leaves to userspace, before anything is paid. */
	{ "the other leg is nowhere yet", WEFT_REASON_RELAY_SLOW, .no_peer = 1 },
	{ "the other leg is on TCP", WEFT_REASON_RELAY_SLOW, .is_peer_on_tcp = 1 },
	{ "no link header", WEFT_REASON_RELAY_SLOW, .no_link = 1 },
	{ "a link header of half a minute ago", WEFT_REASON_RELAY_SLOW, .is_link_old = 1 },
	{ "by a device that frames cannot leave by", WEFT_REASON_RELAY_SLOW, .is_link_elsewhere = 1 },
	{ "no checksum", WEFT_REASON_RELAY_SLOW, .sum = PACKET_SUM_NONE },
	{ "a byte behind the datagram", WEFT_REASON_RELAY_SLOW, .udp_len_excess = -1 },
	{ "a wrong checksum stays wrong", WEFT_REASON_RELAYED, .sum = PACKET_SUM_WRONG },
	/* Credit and volume. */
	{ "within the flow's rate", WEFT_REASON_RELAYED, .rate = 8000 },
	{ "the flow's credit is spent", WEFT_REASON_RELAY_LIMIT, .rate = 8000, .spent = 1 },
	{ "within the grant's rate and volume", WEFT_REASON_RELAYED, .has_grant = 1, .grant_rate = 8000, .volume = 1000000 },
	{ "the grant's credit is spent", WEFT_REASON_RELAY_GRANT_LIMIT, .has_grant = 1, .grant_rate = 8000, .volume = 1000000, .spent = 1 },
	{ "the volume is just enough", WEFT_REASON_RELAYED, .has_grant = 1, .volume = OUT_LEN },
	{ "over the volume by one byte", WEFT_REASON_RELAY_VOLUME, .has_grant = 1, .volume = OUT_LEN - 1 },
	{ "no volume", WEFT_REASON_RELAY_VOLUME, .has_grant = 1 },
	/* clang-format on */
};

static struct weft_relay_flow flow_for(const struct row *row)
{
	struct weft_relay_flow flow = flow_of(false, false);
	struct weft_relay_leg *other = &flow.legs[1];

	flow.state = row->is_closed ? WEFT_RELAY_FREE : WEFT_RELAY_OPEN;
	flow.version = row->is_busy;
	flow.salt = (uint16_t)(flow.salt + row->salt_excess);
	flow.rate = weft_relay_rate(row->rate, 32768);
	flow.grant = row->has_grant ? GRANT : 0;
	if (row->spent)
		flow.marks[0] = flow.moved_marks[0] = flow.moved_marks[1] = NOW_NS;
	/* The grant's alone, when it has a rate. */
	if (row->grant_rate)
		flow.marks[0] = 0;
	if (row->no_peer)
		other->remote = (struct weft_endpoint){.port_be = 0};
	if (row->is_peer_on_tcp) {
		other->remote = peers[1][1];
		other->remote.port_be = 0;
	}
	if (row->no_link)
		other->link = (struct weft_relay_link){.ifindex = 0};
	if (row->is_link_old)
		other->heard_ns = NOW_NS - WEFT_RELAY_LINK_AGE_NS - 1;
	if (row->is_link_elsewhere)
		other->link.ifindex = OTHER_IF;
	return flow;
}

static void sent_for(const struct row *row, struct sent *sent)
{
	struct weft_relay_label label = label_of(0, row->generation ? row->generation : HOUR);
	size_t inner_len = row->inner_len ? row->inner_len : INNER;

	label.head = weft_relay_head_of_kind(label.head, row->kind) ^ row->flip_head;
	label.tag ^= row->flip_tag;
	send_init(sent, &label, false, inner_len == NO_INNER ? 0 : inner_len);
	if (row->inner)
		sent->payload[WEFT_RELAY_LABEL_LEN] = row->inner;
	if (row->is_third)
		sent->packet.source = packet_endpoint("203.0.113.77", 4242);
	if (row->is_other_port)
		sent->packet.source.port_be ^= 1;
	if (row->is_other_leg)
		sent->packet.source = peers[1][0];
	sent->packet.udp_sum = row->sum;
	sent->packet.udp_len_excess = row->udp_len_excess;
}

static void reset(void)
{
	struct weft_config config = parity_rig_config();

	parity_rig_reset(&rig);
	parity_rig_set_config(&rig, &config);
	parity_rig_set_now(&rig, NOW_NS);
	set_keys();
	for (unsigned i = 0; i < PROGRAM_RELAY_FLOW_CNT; i++)
		parity_rig_set_relay_flow(&rig, i, &(struct weft_relay_flow){.version = 0});
}

static void test_every_step_has_its_reason(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct weft_relay_grant grant = {.rate = weft_relay_rate(row->grant_rate, 32768),
						 .mark = row->spent ? NOW_NS : 0,
						 .volume_left = row->volume};
		struct weft_relay_flow flow;
		struct sent sent;

		reset();
		flow = flow_for(row);
		parity_rig_set_relay_flow(&rig, FLOW, &flow);
		parity_rig_set_relay_grant(&rig, GRANT, &grant);
		sent_for(row, &sent);
		if (row->has_session)
			parity_rig_put_session(&rig, &sent.packet.source, NOW_NS + 1);
		if (reason_of(&sent) != row->want)
			printf("# %s\n", row->name);
		reset();
		parity_rig_set_relay_flow(&rig, FLOW, &flow);
		parity_rig_set_relay_grant(&rig, GRANT, &grant);
		if (row->has_session)
			parity_rig_put_session(&rig, &sent.packet.source, NOW_NS + 1);
		CHECK_EQ(reason_of(&sent), row->want);
	}
}

static void test_a_node_that_is_no_relay_forwards_nothing(void)
{
	const struct weft_relay_keys none = {.answer_mark = 0};
	struct sent sent;
	struct weft_relay_label label;

	reset();
	label = label_of(0, HOUR);
	parity_rig_set_relay_keys(&rig, &none);
	send_init(&sent, &label, false, INNER);
	CHECK_EQ(reason_of(&sent), WEFT_REASON_RELAY_TAG);
	set_keys();
}

/* What is refused at the last step costs nothing at those before it. */
static void test_a_refused_datagram_keeps_its_credit(void)
{
	struct weft_relay_flow flow = flow_of(false, false);
	const struct weft_relay_grant grant = {.rate = weft_relay_rate(8000, 8000),
					       .mark = NOW_NS - 500000000};
	struct sent sent;

	reset();
	flow.rate = weft_relay_rate(8000, 8000);
	flow.marks[0] = NOW_NS - 500000000;
	flow.grant = GRANT;
	parity_rig_set_relay_flow(&rig, FLOW, &flow);
	parity_rig_set_relay_grant(&rig, GRANT, &grant);
	send_init(&sent, &flow.legs[0].label, false, INNER);
	sent.payload[1] = 0;
	CHECK_EQ(reason_of(&sent), WEFT_REASON_RELAY_VOLUME);
	CHECK_EQ(rig.native.relay.flows[FLOW].marks[0], NOW_NS - 500000000);
	CHECK_EQ(rig.native.relay.grants[GRANT].mark, NOW_NS - 500000000);
	CHECK_EQ(rig.native.relay.flows[FLOW].refused[0], 1);
	CHECK_EQ(rig.native.relay.flows[FLOW].packets[0], 0);
}

/* The first burst and a second of the rate, no byte more. */
static void test_a_rate_admits_its_bytes_and_no_more(void)
{
	struct weft_relay_flow flow = flow_of(false, false);
	uint64_t admitted = 0;
	struct sent sent;

	reset();
	flow.rate = weft_relay_rate(100000, 20000);
	parity_rig_set_relay_flow(&rig, FLOW, &flow);
	send_init(&sent, &flow.legs[0].label, false, INNER);
	sent.payload[1] = 0;
	for (unsigned i = 0; i < 2000; i++) {
		parity_rig_set_now(&rig, NOW_NS + i * 500000ull);
		admitted += reason_of(&sent) == WEFT_REASON_RELAYED ? OUT_LEN : 0;
	}
	CHECK(admitted <= 120000);
	CHECK(admitted > 120000 - 2 * OUT_LEN);
	CHECK_EQ(rig.native.relay.flows[FLOW].bytes[0], admitted);
	CHECK_EQ(rig.native.relay.flows[FLOW].packets[0] + rig.native.relay.flows[FLOW].refused[0],
		 2000);
}

static void test_answers_to_unknown_flows_have_a_rate(void)
{
	struct weft_relay_label label;
	unsigned answered = 0;
	struct sent sent;

	reset();
	label = label_of(0, HOUR);
	send_init(&sent, &label, false, INNER);
	for (unsigned i = 0; i < 3000; i++)
		answered += reason_of(&sent) == WEFT_REASON_RELAY_UNKNOWN;
	CHECK_EQ(answered, 2000);
}

static void test_a_datagram_is_answered_by_its_own_label(void)
{
	struct weft_relay_flow flow = flow_of(false, false);
	struct parity_rig_verdict verdict;
	uint8_t want[WEFT_RELAY_TOO_BIG_LEN];
	struct weft_relay_label label;
	struct sent sent;

	reset();
	label = label_of(0, HOUR);
	send_init(&sent, &label, false, INNER);
	memcpy(want, &label, WEFT_RELAY_LABEL_LEN);
	want[1] = WEFT_RELAY_UNKNOWN;
	CHECK_EQ(judge(&sent, &verdict), WEFT_REASON_RELAY_UNKNOWN);
	if (!rig.has_program)
		return;
	CHECK_EQ(verdict.result.action, XDP_TX);
	CHECK_MEM(verdict.result.bytes + packet_headers_len(&sent.packet), want,
		  WEFT_RELAY_LABEL_LEN);
	parity_rig_set_relay_flow(&rig, FLOW, &flow);
	send_init(&sent, &label, false, MTU + 1);
	want[1] = WEFT_RELAY_TOO_BIG;
	want[16] = MTU >> 8;
	want[17] = MTU & 0xff;
	CHECK_EQ(judge(&sent, &verdict), WEFT_REASON_RELAY_TOO_BIG);
	CHECK_EQ(verdict.result.len, packet_headers_len(&sent.packet) + sizeof(want));
	CHECK_MEM(verdict.result.bytes + packet_headers_len(&sent.packet), want, sizeof(want));
	CHECK(packet_csums_are_good(&sent.packet, verdict.result.bytes, verdict.result.len));
}

/* How a frame goes on: parsed by the program's own parser, and its bytes of IP looked at. */
static void check_relayed(const struct sent *sent, const struct weft_relay_flow *flow,
			  const struct program_result *result, unsigned out_vlan_cnt)
{
	const struct weft_relay_leg *out = &flow->legs[1];
	struct packet made = {.source = out->local, .vlan_cnt = out_vlan_cnt};
	struct weft_view view = {result->bytes, result->bytes + result->len};
	const uint8_t *ip = result->bytes + WEFT_ETH_LEN + out_vlan_cnt * WEFT_VLAN_LEN;
	struct weft_frame frame;
	enum weft_reason reason;

	CHECK(weft_frame_parse(&view, &frame, &reason));
	CHECK(frame.is_length_good && frame.is_header_good);
	CHECK_EQ(frame.dest, out->link.to);
	CHECK_EQ(frame.from, out->link.from);
	CHECK_EQ(frame.tags, out->link.tags);
	CHECK(weft_endpoint_equal(&frame.source, &out->local));
	CHECK(weft_endpoint_equal(&frame.local, &out->remote));
	CHECK_EQ(frame.ecn, sent->packet.ecn);
	CHECK_EQ(frame.payload_len, sent->packet.payload_len);
	CHECK_EQ(frame.said_len, result->len);
	CHECK_MEM(view.data, &out->label, WEFT_RELAY_LABEL_LEN);
	CHECK_MEM(view.data + WEFT_RELAY_LABEL_LEN, sent->payload + WEFT_RELAY_LABEL_LEN,
		  frame.payload_len - WEFT_RELAY_LABEL_LEN);
	CHECK_EQ(frame.is_ipv6 ? ip[7] : ip[8], 64);
	CHECK(frame.is_ipv6 || (ip[6] == 0x40 && ip[7] == 0));
	CHECK(packet_csums_are_good(&made, result->bytes, result->len));
}

static const size_t inner_lens[] = {21, 22, 511, 512, 513, 1023, 1200, MTU};

static void check_way(unsigned families, unsigned vlans, unsigned turn, enum packet_sum sum)
{
	bool is_first_ipv6 = families & 1, is_second_ipv6 = families & 2;
	struct weft_relay_flow flow = flow_of(is_first_ipv6, is_second_ipv6);
	struct parity_rig_verdict verdict;
	struct sent sent;

	flow.legs[1].link = link_of(vlans / 3);
	reset();
	parity_rig_set_relay_flow(&rig, FLOW, &flow);
	send_init(&sent, &flow.legs[0].label, is_first_ipv6,
		  inner_lens[turn % (sizeof(inner_lens) / sizeof(inner_lens[0]))]);
	sent.payload[1] = 0;
	sent.packet.vlan_cnt = vlans % 3;
	sent.packet.ecn = (uint8_t)(turn & 3);
	sent.packet.udp_sum = sum;
	CHECK_EQ(judge(&sent, &verdict), WEFT_REASON_RELAYED);
	if (!rig.has_program)
		return;
	CHECK_EQ(verdict.result.action, XDP_TX);
	check_relayed(&sent, &flow, &verdict.result, vlans / 3);
}

static void test_forwarded_between_families_and_vlans(void)
{
	struct weft_device device = packet_device();
	unsigned turn = 0;

	for (unsigned families = 0; families < 4; families++)
		for (unsigned vlans = 0; vlans < 9; vlans++)
			check_way(families, vlans, turn++, PACKET_SUM_RIGHT);
	/* The sender's kernel left the checksum to a card, or made it after all. */
	device.has_partial_sums = 1;
	parity_rig_set_device(&rig, &device);
	for (unsigned families = 0; families < 4; families++) {
		for (unsigned i = 0; i < sizeof(inner_lens) / sizeof(inner_lens[0]); i++) {
			check_way(families, i, i, PACKET_SUM_PARTIAL);
			check_way(families, i, i, PACKET_SUM_RIGHT);
		}
	}
	device.has_partial_sums = 0;
	parity_rig_set_device(&rig, &device);
}

/* A leg's link header is that of its own frames; a frame from elsewhere moves nothing. */
static void test_only_a_leg_teaches_its_link(void)
{
	const struct weft_relay_flow *seen = &rig.native.relay.flows[FLOW];
	struct weft_relay_flow flow = flow_of(false, false);
	const struct weft_relay_link tagged = link_of(2);
	struct sent sent;

	reset();
	flow.legs[0].link = (struct weft_relay_link){.ifindex = 0};
	flow.legs[0].heard_ns = 0;
	parity_rig_set_relay_flow(&rig, FLOW, &flow);
	send_init(&sent, &flow.legs[0].label, false, INNER);
	sent.payload[1] = 0;
	sent.packet.vlan_cnt = 2;
	sent.packet.source = packet_endpoint("203.0.113.77", 4242);
	CHECK_EQ(reason_of(&sent), WEFT_REASON_RELAY_MOVED);
	CHECK_EQ(seen->legs[0].link.ifindex, 0);
	sent.packet.source = peers[0][0];
	CHECK_EQ(reason_of(&sent), WEFT_REASON_RELAYED);
	CHECK_MEM(&seen->legs[0].link, &tagged, sizeof(tagged));
	CHECK_EQ(seen->legs[0].heard_ns, NOW_NS);
	CHECK_EQ(seen->version, 2);
	CHECK_EQ(reason_of(&sent), WEFT_REASON_RELAYED);
	CHECK_EQ(seen->version, 2);
}

static void test_every_prefix_of_a_datagram_is_refused(void)
{
	struct weft_relay_flow flow = flow_of(false, false);
	struct sent sent;

	reset();
	parity_rig_set_relay_flow(&rig, FLOW, &flow);
	for (size_t len = 0; len < WEFT_RELAY_LEN_MIN; len++) {
		enum weft_reason reason;

		send_init(&sent, &flow.legs[0].label, false, INNER);
		sent.payload[1] = 0;
		sent.packet.payload_len = len;
		reason = reason_of(&sent);
		CHECK(reason == WEFT_REASON_NO_PROTOCOL || reason == WEFT_REASON_RELAY_BAD);
	}
}

static void set_addresses(void)
{
	struct weft_locals listed = {0};

	locals[0] = packet_endpoint("10.0.0.1", PORT);
	locals[1] = packet_endpoint("2001:db8::1", PORT);
	peers[0][0] = packet_endpoint("198.51.100.7", 4242);
	peers[0][1] = packet_endpoint("2001:db8:7::7", 4242);
	peers[1][0] = packet_endpoint("192.0.2.9", 5151);
	peers[1][1] = packet_endpoint("2001:db8:9::9", 5151);
	CHECK(weft_locals_put(&listed, &locals[0]) && weft_locals_put(&listed, &locals[1]));
	parity_rig_set_locals(&rig, &listed);
}

int main(void)
{
	const char *why = parity_rig_open(&rig);

	if (why)
		printf("# the native build alone: %s\n", why);
	set_addresses();
	RUN(test_every_step_has_its_reason);
	RUN(test_a_node_that_is_no_relay_forwards_nothing);
	RUN(test_a_refused_datagram_keeps_its_credit);
	RUN(test_a_rate_admits_its_bytes_and_no_more);
	RUN(test_answers_to_unknown_flows_have_a_rate);
	RUN(test_a_datagram_is_answered_by_its_own_label);
	RUN(test_forwarded_between_families_and_vlans);
	RUN(test_only_a_leg_teaches_its_link);
	RUN(test_every_prefix_of_a_datagram_is_refused);
	parity_rig_close(&rig);
	return check_done();
}
