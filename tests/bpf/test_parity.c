/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One policy, two compilers: a million frames, structured and random,
 * through the BPF program and its native build. Meanwhile time passes,
 * modes change, keys rotate, sources are validated and banned. Each frame
 * must get the same verdict in both, and the tables must hold the same
 * afterwards.
 */
#include <string.h>

#include <arpa/inet.h>
#include <linux/bpf.h>

#include "base/random.h"
#include "bpf/support/packet.h"
#include "bpf/support/payload.h"
#include "bpf/support/parity_rig.h"
#include "support/check.h"
#include "weft/frame.h"
#include "weft/stun_answer.h"

#define FRAME_CNT      1000000
#define COMPARE_EVERY  100000
#define DISTURB_EVERY  997
#define SESSIONS_FRESH (PARITY_RIG_SESSION_CAP / 2)

static struct parity_rig rig;
static struct payload_keys keys;
static struct random rng;

static unsigned below(unsigned bound)
{
	return (unsigned)random_below(&rng, bound);
}

static bool one_in(unsigned cnt)
{
	return below(cnt) == 0;
}

/* Few networks, so that prefixes meet; some from anywhere. */
static struct weft_endpoint random_source(void)
{
	struct weft_endpoint source = {.port_be = htons((uint16_t)(1 + below(3)))};
	uint8_t addr[16] = {0x20, 0x01, 0x0d, 0xb8};

	if (one_in(8)) {
		random_fill(&rng, addr, sizeof(addr));
		source.port_be = (uint16_t)below(1 << 16);
	}
	if (one_in(2)) {
		addr[5] = (uint8_t)below(2);
		addr[6] = (uint8_t)below(2);
		addr[7] = (uint8_t)below(4);
		addr[15] = (uint8_t)below(8);
		weft_endpoint_set_ipv6(&source, addr);
	} else {
		if (!one_in(8))
			memcpy(addr, "\xc6\x33", 2);
		addr[2] = (uint8_t)below(4);
		addr[3] = (uint8_t)below(64);
		weft_endpoint_set_ipv4(&source, addr);
	}
	return source;
}

static struct weft_endpoint random_local(const struct weft_endpoint *source)
{
	const char *addr = weft_endpoint_is_ipv4(source) ? "10.0.0.1" : "2001:db8::1";

	return packet_endpoint(addr, one_in(20) ? 7001 : 7000);
}

static size_t random_long(const struct weft_endpoint *source, uint8_t *payload)
{
	static const uint32_t versions[] = {0,	       0, 0, 0, 0, 1, PAYLOAD_VERSION_NEGOTIATION,
					    0x6b3343cf};
	static const uint8_t kinds[] = {
		0, 0, 0, WEFT_TOKEN_RETRY, WEFT_TOKEN_RETRY, WEFT_TOKEN_KNOWN, 0x36};
	struct payload_long spec = {
		.first_byte = one_in(4) ? (uint8_t)(0xc0 | below(64)) : 0,
		.version = versions[below(8)],
		.dcid = one_in(2) ? PAYLOAD_ID_NOISE : (enum payload_id)below(3),
		.dcid_len = 1 + below(one_in(10) ? 255 : 22),
		.scid_len = below(one_in(10) ? 256 : 22),
		.varint_len = 1u << below(4),
		.token_claim = one_in(40) ? below(1u << 6) : 0,
		.len = one_in(4) ? 20 + below(1200) : 1200 + below(100),
	};

	spec.token = (struct payload_token){
		.kind = kinds[below(7)],
		.client = one_in(6) ? random_source() : *source,
		.issued_s = (uint32_t)(PARITY_RIG_WALL_S + rig.native.now_ns / 1000000000) -
			    below(one_in(4) ? 400000 : 12),
		.flip = one_in(10) ? 1 + below(8 * WEFT_TOKEN_LEN) : 0,
		.cut = one_in(20) ? 1 + below(3) : 0,
	};
	/* A one-byte length reaches 63 only. */
	return payload_write_long(&keys, &spec, payload);
}

/* Requests with and without attributes, indications, answers. */
static size_t random_stun(uint8_t *payload)
{
	static const char types[][3] = {"\0\1", "\0\1", "\0\x11", "\1\1", "\0\3"};
	size_t len = WEFT_STUN_LEN_MIN + (one_in(3) ? below(40) : 0);

	random_fill(&rng, payload, len);
	memcpy(payload, types[below(5)], 2);
	payload[2] = 0;
	payload[3] = (uint8_t)(len - WEFT_STUN_LEN_MIN);
	memcpy(payload + 4, "\x21\x12\xa4\x42", 4);
	return len;
}

static size_t random_bytes(uint8_t *payload)
{
	if (one_in(3))
		return random_stun(payload);
	static const char *const heads[] = {
		"d1:ad2:id20:", "d1:rd2:id20:", "\0\1\0\0\x21\x12\xa4\x42", "\x9d", ""};
	static const uint8_t lens[] = {12, 12, 8, 1, 0};
	unsigned pick = below(5);

	memset(payload, 0, PAYLOAD_LEN_MAX);
	random_fill(&rng, payload, 48);
	memcpy(payload, heads[pick], lens[pick]);
	return one_in(3) ? 32 : below(120);
}

/* Keys of the DHT: two nodes' own, some held, near and far. */
static const uint8_t *random_key(void)
{
	static uint8_t key[WEFT_KRPC_ID_LEN];

	memset(key, 'a', sizeof(key));
	if (one_in(2))
		random_fill(&rng, key + below(sizeof(key)), 1);
	else
		key[below(8)] = (uint8_t)below(256);
	key[8] = (uint8_t)below(4);
	return key;
}

static size_t random_question(uint8_t *payload)
{
	static const char *const wants[] = {NULL, NULL, "n4", "n6", "n5"};
	const struct payload_krpc spec = {
		.kind = below(4),
		.target = random_key(),
		.want = wants[below(5)],
		.is_read_only = one_in(2),
		.has_version = one_in(2),
		.transaction_len = one_in(8) ? 9 + below(4) : 1 + below(8),
	};

	return payload_write_krpc(&spec, payload);
}

/* To a query of this node, of now, of the last minute, of before, or to no query. */
static size_t random_reply(const struct weft_endpoint *source, uint8_t *payload)
{
	const __u64 key[2] = {1 + below(4), 9};
	const struct weft_endpoint elsewhere = random_source();
	const struct payload_krpc_reply spec = {
		.transaction = weft_krpc_transaction(key, one_in(4) ? &elsewhere : source,
						     (uint16_t)below(1 << 16)),
		.is_error = one_in(4),
		.has_version = one_in(2),
		.version_len = one_in(8) ? 1 + below(8) : 4,
	};

	return payload_write_krpc_reply(&spec, payload);
}

/* The first hour of four. */
#define RELAY_HOUR     40u
#define RELAY_SALT_CNT 2
#define RELAYED	       8 /* a kind of frame */

static struct weft_relay_keys relay_keys(void)
{
	struct weft_relay_keys made = *rig.native.relay.keys;

	for (unsigned hour = RELAY_HOUR; hour < RELAY_HOUR + WEFT_RELAY_KEY_CNT; hour++)
		made.slots[hour % WEFT_RELAY_KEY_CNT] = (struct weft_siphash_key){
			.key = {hour, 5}, .generation = hour, .is_set = 1};
	return made;
}

/* Of a flow with this number: where it lives follows from that. */
static struct weft_endpoint relay_end(unsigned idx, unsigned leg)
{
	char text[32];

	snprintf(text, sizeof(text), idx >> leg & 1 ? "2001:db8::%x:%x" : "198.51.%u.%u", idx + 100,
		 leg + 1);
	return packet_endpoint(text, 1);
}

static struct weft_relay_leg relay_leg(unsigned idx, unsigned leg, uint16_t salt)
{
	const uint64_t outer = weft_vlan_tag(WEFT_ETHERTYPE_QINQ, PACKET_VLAN_ID);
	struct weft_relay_leg made = {
		.remote = relay_end(idx, leg),
		.link = {.to = 7, .from = 8, .tags = one_in(2) ? outer : 0},
		.heard_ns = rig.native.now_ns,
	};

	made.local = packet_endpoint(
		weft_endpoint_is_ipv4(&made.remote) ? "10.0.0.1" : "2001:db8::1", 7000);
	made.link.ifindex = one_in(8) ? 0 : PARITY_RIG_IFINDEX;
	if (!weft_relay_label_make(rig.native.relay.keys, RELAY_HOUR,
				   weft_relay_place(leg, 0, idx, salt), &made.label))
		made.label.tag = 0;
	made.label.head = weft_relay_head_of_kind(made.label.head, WEFT_RELAY_TO_END);
	return made;
}

/* Flows and grants are opened, closed, leased anew. */
static void refresh_relay(void)
{
	/* The first one is left alone more often, so that its limits are met. */
	unsigned idx = one_in(16) ? 0 : 1 + below(PROGRAM_RELAY_FLOW_CNT - 1);
	uint16_t salt = (uint16_t)below(RELAY_SALT_CNT);
	const struct weft_relay_flow flow = {
		.version = one_in(20),
		.salt = salt,
		.state = one_in(8) ? WEFT_RELAY_FREE : WEFT_RELAY_OPEN,
		.grant = below(4),
		.mtu = (uint16_t)(one_in(4) ? 60 : 1300),
		.rate = weft_relay_rate(one_in(2) ? 0 : 20000, 2000),
		.legs = {relay_leg(idx, 0, salt), relay_leg(idx, 1, salt)},
	};
	const struct weft_relay_grant grant = {.rate = weft_relay_rate(50000, 3000),
					       .volume_left = (int64_t)below(20000)};

	parity_rig_set_relay_flow(&rig, idx, &flow);
	parity_rig_set_relay_grant(&rig, 1 + below(3), &grant);
}

/* No answer to unknown flows, and no moved datagram of the first flow, has credit. */
static void spend_relay(void)
{
	struct weft_relay_keys made = *rig.native.relay.keys;
	struct weft_relay_flow flow = rig.native.relay.flows[0];

	made.answer_mark = rig.native.now_ns;
	flow.moved_marks[0] = rig.native.now_ns;
	parity_rig_set_relay_keys(&rig, &made);
	parity_rig_set_relay_flow(&rig, 0, &flow);
}

static size_t random_relayed(struct weft_endpoint *source, uint8_t *payload)
{
	unsigned idx = one_in(4) ? 0 : below(PROGRAM_RELAY_FLOW_CNT), leg = below(2);
	size_t len = one_in(4) ? 16 + below(80) : 40 + below(1300);
	struct weft_relay_label label = {0, 0};

	if (!weft_relay_label_make(rig.native.relay.keys, RELAY_HOUR + below(one_in(8) ? 6 : 4),
				   weft_relay_place(leg, 0, idx, (uint16_t)below(RELAY_SALT_CNT)),
				   &label))
		label.head = WEFT_RELAY_FIRST_BYTE;
	if (one_in(12))
		label.head = weft_relay_head_of_kind(label.head, below(4));
	if (one_in(20))
		label.head ^= 1ull << (8 + below(56));
	if (!one_in(8))
		*source = relay_end(idx, leg);
	memset(payload, 0, PAYLOAD_LEN_MAX);
	random_fill(&rng, payload + WEFT_RELAY_LABEL_LEN, 30);
	if (!one_in(8))
		payload[WEFT_RELAY_LABEL_LEN] = 0x40;
	memcpy(payload, &label, WEFT_RELAY_LABEL_LEN);
	return len;
}

static size_t random_frame(uint8_t *frame)
{
	static uint8_t payload[PAYLOAD_LEN_MAX];
	static const uint8_t other_mac[6] = {2, 0, 0, 0, 0, 9};
	struct packet packet = {.source = random_source(), .payload = payload};
	unsigned kind = below(8);
	size_t len;

	if (one_in(8)) {
		packet.payload_len = random_relayed(&packet.source, payload);
		kind = RELAYED;
	}
	packet.local = random_local(&packet.source);
	packet.ecn = (uint8_t)below(4);
	packet.vlan_cnt = one_in(6) ? below(4) : 0;
	switch (kind) {
	case RELAYED:
		break;
	case 0:
	case 1:
		packet.payload_len = random_long(&packet.source, payload);
		break;
	case 2:
	case 3:
		packet.payload_len =
			payload_write_short(&keys, one_in(3) ? PAYLOAD_ID_NOISE : PAYLOAD_ID_OURS,
					    one_in(3) ? 18 + below(60) : 100, payload);
		break;
	case 4:
	case 5:
		packet.payload_len = random_question(payload);
		break;
	case 6:
		packet.payload_len = random_reply(&packet.source, payload);
		break;
	default:
		packet.payload_len = random_bytes(payload);
	}
	packet.dest = one_in(40) ? other_mac : NULL;
	packet.vlan_id = one_in(10) ? (uint16_t)below(1 << 16) : 0;
	packet.udp_sum = one_in(6) ? below(4) : PACKET_SUM_RIGHT;
	packet.is_ip_sum_wrong = one_in(40);
	packet.tail_len = one_in(10) ? (uint16_t)below(30) : 0;
	if (one_in(20))
		packet.ip_len_excess = (int)below(60) - 30;
	if (one_in(20))
		packet.udp_len_excess = (int)below(60) - 30;
	len = packet_write(&packet, frame);
	/* Anything may be anything. */
	for (unsigned i = one_in(5) ? 1 + below(3) : 0; i > 0; i--)
		frame[12 + below((unsigned)(len < 112 ? len - 12 : 100))] = (uint8_t)below(256);
	if (weft_endpoint_is_ipv4(&packet.source) && !packet.is_ip_sum_wrong && one_in(2))
		packet_repair(&packet, frame);
	if (one_in(20))
		len = WEFT_ETH_LEN + below((unsigned)(len - WEFT_ETH_LEN + 1));
	return len;
}

/* Buckets change, networks come and go, keys are held and let go. */
static void refresh_krpc(void)
{
	static const uint8_t ids[WEFT_KRPC_FAMILY_CNT][WEFT_KRPC_ID_LEN] = {
		"aaaaaaaa\1aaaaaaaaaa_", "aaaaaaaa\2aaaaaaaaaa_"};
	uint8_t compact[WEFT_KRPC_NODE_CNT_MAX * WEFT_KRPC_NODE_LEN_MAX];
	const uint64_t key[2] = {random_u64(&rng), 2};

	random_fill(&rng, compact, sizeof(compact));
	for (unsigned family = 0; family < WEFT_KRPC_FAMILY_CNT; family++) {
		for (unsigned bucket = 0; bucket < WEFT_KRPC_BUCKET_CNT; bucket++)
			parity_rig_set_krpc_nodes(&rig, family, bucket, compact, below(9));
		parity_rig_set_krpc_id(&rig, family, one_in(8) ? NULL : ids[family]);
	}
	parity_rig_set_krpc_token_key(&rig, key);
	parity_rig_set_krpc_held(&rig, random_key(), one_in(2));
}

static void turn_reply_keys(void)
{
	struct weft_krpc_reply_keys reply_keys = {.keys = {{1 + below(4), 9}, {1 + below(4), 9}}};

	if (one_in(4))
		memset(reply_keys.keys[below(2)], 0, sizeof(reply_keys.keys[0]));
	parity_rig_set_reply_keys(&rig, &reply_keys);
}

/* What userspace does meanwhile. */
static void disturb(void)
{
	struct weft_config config = rig.native.config;
	struct weft_device device = packet_device();
	struct weft_endpoint source = random_source();
	__u64 key[2] = {random_u64(&rng), 1};

	config.mode = below(WEFT_MODE_CNT);
	parity_rig_set_config(&rig, &config);
	device.has_partial_sums = one_in(2);
	device.is_loopback = one_in(4);
	parity_rig_set_device(&rig, &device);
	if (one_in(5)) {
		weft_cid_keys_rotate(&keys.cid, key);
		parity_rig_set_cid_keys(&rig, &keys.cid);
	}
	if (one_in(4))
		refresh_krpc();
	if (one_in(4))
		turn_reply_keys();
	if (one_in(8))
		spend_relay();
	for (unsigned i = 0; i < 8; i++)
		refresh_relay();
	if (rig.native.sessions.used_cnt < SESSIONS_FRESH)
		parity_rig_put_session(&rig, &source,
				       rig.native.now_ns + random_below(&rng, 20000000000ull));
	if (one_in(20) && rig.native.bans.used_cnt < PARITY_RIG_BAN_CAP)
		parity_rig_ban(&rig, &source, weft_endpoint_is_ipv4(&source) ? 32 : 128 - below(10),
			       one_in(3) ? 0 : rig.native.now_ns + 1000000000);
}

static void set_state(void)
{
	struct weft_config config = parity_rig_config();
	struct weft_locals locals = {0};
	struct weft_endpoint v4 = packet_endpoint("10.0.0.1", 7000);
	struct weft_endpoint v6 = packet_endpoint("2001:db8::1", 7000);
	struct weft_relay_keys relay;

	weft_locals_put(&locals, &v4);
	weft_locals_put(&locals, &v6);
	/* Limits that are met and left again. */
	for (unsigned class = 0; class < WEFT_CLASS_ALL_CNT; class ++)
		for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
			config.rates[class][level] = (struct weft_bucket_rate){
				.cost_ns = 20000000 >> 2 * level, .credit_max_ns = 40000000};
	/* Also in flood, where a request costs eight times as much. */
	for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
		config.rates[WEFT_CLASS_STUN][level].cost_ns = 2000000 >> 2 * level;
	config.validated = (struct weft_bucket_rate){.cost_ns = 1000000, .credit_max_ns = 5000000};
	for (unsigned answer = 0; answer < WEFT_ANSWERS_CNT; answer++)
		config.answers[answer] =
			(struct weft_bucket_rate){.cost_ns = 30000, .credit_max_ns = 3000000};
	config.totals[WEFT_TOTAL_KRPC_BYTES] =
		(struct weft_bucket_rate){.cost_ns = 3000, .credit_max_ns = 3000000};
	config.totals[WEFT_TOTAL_SENDERS] =
		(struct weft_bucket_rate){.cost_ns = 300000, .credit_max_ns = 3000000};
	config.totals[WEFT_TOTAL_KRPC] =
		(struct weft_bucket_rate){.cost_ns = 100000, .credit_max_ns = 3000000};
	config.token_life_ns = 1000000000;
	parity_rig_set_now(&rig, 1000000000);
	parity_rig_set_locals(&rig, &locals);
	parity_rig_set_config(&rig, &config);
	parity_rig_set_cid_keys(&rig, &keys.cid);
	parity_rig_set_token_keys(&rig, &keys.token);
	relay = relay_keys();
	parity_rig_set_relay_keys(&rig, &relay);
}

/* What the program answered to a question is what the native build would have. */
static bool is_native_answer(const uint8_t *frame, size_t len, const struct program_result *result)
{
	struct weft_view view = {frame, frame + len};
	struct weft_krpc_draft draft;
	struct weft_frame parsed;
	enum weft_reason reason;

	if (!weft_frame_parse(&view, &parsed, &reason))
		return false;
	parity_rig_krpc_answer(&rig, &parsed.source, &draft);
	return draft.len <= WEFT_KRPC_GAIN_MAX * parsed.payload_len &&
	       result->len == parsed.payload_off + draft.len &&
	       memcmp(result->bytes + parsed.payload_off, draft.bytes, draft.len) == 0;
}

static bool is_native_stun(const uint8_t *frame, size_t len, const struct program_result *result)
{
	struct weft_view view = {frame, frame + len};
	uint8_t answer[WEFT_STUN_ANSWER_LEN_IPV6];
	struct weft_frame parsed;
	enum weft_reason reason;
	size_t answer_len;

	if (!weft_frame_parse(&view, &parsed, &reason))
		return false;
	weft_stun_answer_write(view.data, &parsed.source, answer);
	answer_len = weft_stun_answer_len(!parsed.is_ipv6);
	/* A v4-mapped source in IPv6 is answered as the IPv4 address it is. */
	if (weft_endpoint_is_ipv4(&parsed.source))
		answer_len = WEFT_STUN_ANSWER_LEN_IPV4;
	return result->len >= parsed.payload_off + answer_len &&
	       memcmp(result->bytes + parsed.payload_off, answer, answer_len) == 0;
}

/* And so is what it made of a relayed frame. */
static bool is_native_relayed(const uint8_t *frame, size_t len, const struct program_result *result)
{
	uint8_t native[PACKET_LEN_MAX + 128];

	return parity_rig_relayed(&rig, frame, len, native) == result->len &&
	       memcmp(native, result->bytes, result->len) == 0;
}

static bool check_frame(unsigned number)
{
	uint8_t frame[PACKET_LEN_MAX + 64];
	struct parity_rig_verdict verdict;
	size_t len = random_frame(frame);
	const char *difference = parity_rig_judge(&rig, frame, len, &verdict);

	if (!difference && number % COMPARE_EVERY == 0)
		difference = parity_rig_compare_tables(&rig);
	if (!difference && verdict.reason == WEFT_REASON_STUN_SENT &&
	    !is_native_stun(frame, len, &verdict.result))
		difference = "bytes of the STUN answer";
	if (!difference && verdict.reason == WEFT_REASON_RELAYED) {
		if (is_native_relayed(frame, len, &verdict.result))
			return true;
		difference = "bytes of the forwarded frame";
	}
	if (!difference && verdict.reason != WEFT_REASON_KRPC_SENT &&
	    verdict.reason != WEFT_REASON_STUN_SENT &&
	    verdict.result.len > (len < WEFT_FRAME_LEN_MIN ? WEFT_FRAME_LEN_MIN : len))
		difference = "length: the answer is longer";
	if (!difference && verdict.reason == WEFT_REASON_KRPC_SENT &&
	    !is_native_answer(frame, len, &verdict.result))
		difference = "bytes of the answer";
	if (!difference && verdict.result.action != XDP_TX &&
	    (verdict.result.len != len || memcmp(verdict.result.bytes, frame, len) != 0))
		difference = "bytes: a frame that is not answered is changed";
	if (!difference)
		return true;
	printf("# frame %u, %s by the native build: both differ in %s\n", number,
	       weft_reason_word(verdict.reason), difference);
	check_hex("frame", frame, len < 160 ? len : 160);
	return false;
}

static void test_a_million_frames_get_the_same_verdict(void)
{
	unsigned reason_cnt = 0;

	set_state();
	for (unsigned i = 1; i <= FRAME_CNT; i++) {
		if (i % DISTURB_EVERY == 0)
			disturb();
		parity_rig_set_now(&rig, rig.native.now_ns + below(20000));
		CHECK(check_frame(i));
	}
	CHECK(!parity_rig_compare_tables(&rig));
	/* And the frames were of all kinds: no table is missing, no map full, no answer fails. */
	for (unsigned reason = 0; reason < WEFT_REASON_CNT; reason++) {
		if (!rig.native.counters[reason].packet_cnt)
			printf("# no frame was %s\n", weft_reason_word(reason));
		reason_cnt += rig.native.counters[reason].packet_cnt > 0;
	}
	CHECK(reason_cnt >= WEFT_REASON_CNT - 3);
}

int main(void)
{
	const char *why = parity_rig_open(&rig);

	if (why)
		SKIP_ALL(why);
	random_init_seeded(&rng, 20260);
	payload_keys_init(&keys, (uint32_t)PARITY_RIG_WALL_S);
	RUN(test_a_million_frames_get_the_same_verdict);
	parity_rig_close(&rig);
	return check_done();
}
