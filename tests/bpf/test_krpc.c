/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DHT's questions: which of them the BPF program answers, with which
 * bytes, which it leaves to userspace, and what it gives to a flood.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/bpf.h>

#include "base/random.h"
#include "bpf/support/answered.h"
#include "bpf/support/payload.h"
#include "net/ingress/krpc_table_writer.h"
#include "worker/fastpath/fastpath.h"
#include "support/check.h"
#include "weft/frame.h"

#define SECOND_NS 1000000000ull
#define NOW_NS	  (1000 * SECOND_NS)

static const uint8_t own[WEFT_KRPC_FAMILY_CNT][WEFT_KRPC_ID_LEN] = {"an IPv4 id of 20 by.",
								    "and one of IPv6, too"};
static const uint64_t token_key[2] = {7, 8};
/* More than any bucket has. */
static const struct weft_bucket_rate never = {.cost_ns = 1ull << 50, .credit_max_ns = 1};
static struct parity_rig rig;
static struct random rng;

static struct packet packet_of(bool is_ipv6)
{
	return (struct packet){
		.source = packet_endpoint(is_ipv6 ? "2001:db8:1:2::3" : "192.0.2.1", 4242),
		.local = packet_endpoint(is_ipv6 ? "2001:db8::1" : "10.0.0.1", 7000),
	};
}

/* Nodes that tell which bucket they are of; how many of them, too. */
static unsigned nodes_of(unsigned bucket, uint8_t *compact)
{
	memset(compact, (int)bucket, (size_t)WEFT_KRPC_NODE_CNT_MAX * WEFT_KRPC_NODE_LEN_MAX);
	return bucket % (WEFT_KRPC_NODE_CNT_MAX + 1);
}

static void publish(void)
{
	uint8_t compact[WEFT_KRPC_NODE_CNT_MAX * WEFT_KRPC_NODE_LEN_MAX];

	for (unsigned i = 0; i < WEFT_KRPC_BUCKETS_CNT; i++) {
		unsigned bucket = i % WEFT_KRPC_BUCKET_CNT, cnt = nodes_of(bucket, compact);

		parity_rig_set_krpc_nodes(&rig, i / WEFT_KRPC_BUCKET_CNT, bucket, compact, cnt);
	}
	parity_rig_set_krpc_token_key(&rig, token_key);
	for (unsigned family = 0; family < WEFT_KRPC_FAMILY_CNT; family++)
		parity_rig_set_krpc_id(&rig, family, own[family]);
}

/* No source has a limit, and none is reported as new. */
static struct weft_config set_state(void)
{
	static const struct weft_bucket_rate any = {.cost_ns = 1, .credit_max_ns = SECOND_NS};
	struct weft_config config = parity_rig_config();
	struct weft_locals locals = {0};
	struct weft_endpoint v4 = packet_of(false).local, v6 = packet_of(true).local;

	config.totals[WEFT_TOTAL_KRPC_BYTES] = any;
	config.rates[WEFT_CLASS_SENDER][0] = never;
	weft_locals_put(&locals, &v4);
	weft_locals_put(&locals, &v6);
	parity_rig_reset(&rig);
	parity_rig_set_locals(&rig, &locals);
	parity_rig_set_config(&rig, &config);
	parity_rig_set_now(&rig, NOW_NS);
	publish();
	return config;
}

static enum weft_reason ask(const struct payload_krpc *spec, bool is_ipv6)
{
	uint8_t payload[PAYLOAD_LEN_MAX];
	struct packet packet = packet_of(is_ipv6);
	struct parity_rig_verdict verdict;

	return answered_judge(&rig, &packet, payload, payload_write_krpc(spec, payload), &verdict);
}

/* A target that shares so many leading bits with our id of family. */
static void target_of(enum weft_krpc_family family, unsigned bucket, uint8_t *out_target)
{
	random_fill(&rng, out_target, WEFT_KRPC_ID_LEN);
	memcpy(out_target, own[family], bucket / 8);
	for (unsigned bit = bucket / 8 * 8; bit <= bucket; bit++) {
		uint8_t mask = (uint8_t)(0x80 >> bit % 8);

		out_target[bit / 8] &= (uint8_t)~mask;
		out_target[bit / 8] |=
			(uint8_t)((own[family][bit / 8] ^ (bit == bucket) * 0xff) & mask);
	}
}

static struct payload_krpc random_question(bool is_ipv6, uint8_t *target)
{
	struct payload_krpc spec = {
		.kind = (enum weft_krpc_kind)random_below(&rng, 4),
		.target = target,
		.is_read_only = random_below(&rng, 2),
		.has_version = random_below(&rng, 2),
		.transaction_len = (unsigned)(1 + random_below(&rng, 8)),
	};
	unsigned want = (unsigned)random_below(&rng, 4);

	if (want < 2 && spec.kind != WEFT_KRPC_PING)
		spec.want = want ? "n6" : "n4";
	target_of(spec.want ? want : is_ipv6, (unsigned)random_below(&rng, 160), target);
	return spec;
}

/* Everything that is usual, over both networks, and each bucket: as the one writer says. */
static void test_usual_questions_are_answered_by_the_program(void)
{
	(void)set_state();
	for (unsigned i = 0; i < 20000; i++) {
		bool is_ipv6 = i & 1;
		uint8_t target[WEFT_KRPC_ID_LEN], payload[PAYLOAD_LEN_MAX];
		struct payload_krpc spec = random_question(is_ipv6, target);
		struct packet packet = packet_of(is_ipv6);
		size_t len = payload_write_krpc(&spec, payload);
		struct weft_krpc_draft want;
		struct parity_rig_verdict verdict;

		packet.vlan_cnt = i % 3;
		parity_rig_set_now(&rig, rig.native.now_ns + SECOND_NS / 1000);
		CHECK_EQ(answered_judge(&rig, &packet, payload, len, &verdict),
			 WEFT_REASON_KRPC_SENT);
		parity_rig_krpc_answer(&rig, &packet.source, &want);
		CHECK(want.len <= WEFT_KRPC_GAIN_MAX * len);
		if (!rig.has_program)
			continue;
		CHECK(answered_is_way_back(&packet, &verdict.result, want.len));
		CHECK_MEM(verdict.result.bytes + packet_headers_len(&packet), want.bytes, want.len);
	}
	CHECK(!parity_rig_compare_tables(&rig));
}

static void test_each_bucket_answers_for_its_targets(void)
{
	uint8_t target[WEFT_KRPC_ID_LEN], compact[WEFT_KRPC_NODE_CNT_MAX * WEFT_KRPC_NODE_LEN_MAX];
	const struct payload_krpc spec = {.kind = WEFT_KRPC_FIND_NODE, .target = target};

	(void)set_state();
	for (unsigned i = 0; i < WEFT_KRPC_BUCKETS_CNT; i++) {
		enum weft_krpc_family family = i / WEFT_KRPC_BUCKET_CNT;
		unsigned bucket = i % WEFT_KRPC_BUCKET_CNT, cnt = nodes_of(bucket, compact);
		struct weft_krpc_nodes want;
		struct weft_krpc_draft got;
		struct weft_endpoint source = packet_of(family == WEFT_KRPC_IPV6).source;

		target_of(family, bucket, target);
		CHECK_EQ(ask(&spec, family == WEFT_KRPC_IPV6), WEFT_REASON_KRPC_SENT);
		parity_rig_krpc_answer(&rig, &source, &got);
		weft_krpc_nodes_write(&want, family, compact, cnt);
		CHECK_MEM(got.bytes + (family == WEFT_KRPC_IPV4 ? 44 : 57), want.text, want.len);
	}
}

static void test_what_we_hold_is_userspaces(void)
{
	uint8_t key[WEFT_KRPC_ID_LEN] = "held, and not a miss";
	uint8_t other[WEFT_KRPC_ID_LEN] = "held? none such here";

	(void)set_state();
	parity_rig_set_krpc_held(&rig, key, true);
	for (unsigned is_ipv6 = 0; is_ipv6 < 2; is_ipv6++) {
		static const enum weft_krpc_kind kinds[] = {WEFT_KRPC_GET_PEERS, WEFT_KRPC_GET,
							    WEFT_KRPC_FIND_NODE};

		for (unsigned i = 0; i < 3; i++) {
			struct payload_krpc spec = {.kind = kinds[i], .target = key};

			CHECK_EQ(ask(&spec, is_ipv6),
				 i < 2 ? WEFT_REASON_KRPC : WEFT_REASON_KRPC_SENT);
			spec.target = other;
			CHECK_EQ(ask(&spec, is_ipv6), WEFT_REASON_KRPC_SENT);
		}
	}
	parity_rig_set_krpc_held(&rig, key, false);
	CHECK_EQ(ask(&(struct payload_krpc){.kind = WEFT_KRPC_GET, .target = key}, false),
		 WEFT_REASON_KRPC_SENT);
	CHECK(!parity_rig_compare_tables(&rig));
}

static void test_without_an_id_questions_are_userspaces(void)
{
	uint8_t target[WEFT_KRPC_ID_LEN] = "anything";
	struct payload_krpc find = {.kind = WEFT_KRPC_FIND_NODE, .target = target};
	const struct payload_krpc ping = {.kind = WEFT_KRPC_PING};

	(void)set_state();
	parity_rig_set_krpc_id(&rig, WEFT_KRPC_IPV6, NULL);
	CHECK_EQ(ask(&ping, true), WEFT_REASON_KRPC);
	CHECK_EQ(ask(&ping, false), WEFT_REASON_KRPC_SENT);
	CHECK_EQ(ask(&find, true), WEFT_REASON_KRPC);
	/* Nodes of a network without an id are not told in the other one, and vice versa. */
	find.want = "n6";
	CHECK_EQ(ask(&find, false), WEFT_REASON_KRPC);
	find.want = "n4";
	CHECK_EQ(ask(&find, false), WEFT_REASON_KRPC_SENT);
	CHECK_EQ(ask(&find, true), WEFT_REASON_KRPC);
	parity_rig_set_krpc_id(&rig, WEFT_KRPC_IPV6, own[1]);
	CHECK_EQ(ask(&find, true), WEFT_REASON_KRPC_SENT);
}

static enum weft_reason send_text(const char *text)
{
	struct packet packet = packet_of(false);
	struct parity_rig_verdict verdict;

	return answered_judge(&rig, &packet, (const uint8_t *)text, strlen(text), &verdict);
}

/* Answers, errors and what begins otherwise are never taken for questions. */
static void test_what_is_no_usual_question_is_userspaces(void)
{
	static const char *const rows[] = {
		"d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re",
		"d1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re1:y1:qe1:y1:qe1:y1:qe",
		"d1:eli201e7:unknowne1:t2:aa1:y1:ee",
		"d2:ip6:abcdef1:rd2:id20:abcdefghij0123456789e1:t2:aa1:y1:re",
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t9:abcdefghi1:y1:qe",
		"d1:ad2:id20:abcdefghij01234567896:target20:abcdefghij01234567894:wantl2:n42:n6ee"
		"1:q9:find_node1:t2:aa1:y1:qe",
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qx",
		"d1:0",
	};

	(void)set_state();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256];

		/* None is a protocol in less than eight bytes. */
		snprintf(text, sizeof(text), "%s%s", rows[i],
			 strlen(rows[i]) < 8 ? "        " : "");
		CHECK_EQ(send_text(text), WEFT_REASON_KRPC);
	}
}

static void test_userspace_sees_a_sample_of_the_askers(void)
{
	struct weft_config config = set_state();
	struct payload_krpc ping = {.kind = WEFT_KRPC_PING};

	firewall_policy_defaults(&config);
	config.salt[0] = 1;
	parity_rig_set_config(&rig, &config);
	for (unsigned is_ipv6 = 0; is_ipv6 < 2; is_ipv6++) {
		uint64_t begin_ns = NOW_NS + is_ipv6 * 200 * SECOND_NS;

		parity_rig_set_now(&rig, begin_ns);
		ping.is_read_only = true;
		CHECK_EQ(ask(&ping, is_ipv6), WEFT_REASON_KRPC_SENT);
		ping.is_read_only = false;
		CHECK_EQ(ask(&ping, is_ipv6), WEFT_REASON_KRPC_SENDER);
		CHECK_EQ(ask(&ping, is_ipv6), WEFT_REASON_KRPC_SENT);
		parity_rig_set_now(&rig, begin_ns + 59 * SECOND_NS);
		CHECK_EQ(ask(&ping, is_ipv6), WEFT_REASON_KRPC_SENT);
		parity_rig_set_now(&rig, begin_ns + 60 * SECOND_NS);
		CHECK_EQ(ask(&ping, is_ipv6), WEFT_REASON_KRPC_SENDER);
		/* Of all together, no more than a budget. */
		config.totals[WEFT_TOTAL_SENDERS] = never;
		parity_rig_set_config(&rig, &config);
		parity_rig_set_now(&rig, begin_ns + 120 * SECOND_NS);
		CHECK_EQ(ask(&ping, is_ipv6), WEFT_REASON_KRPC_SENT);
		firewall_policy_defaults(&config);
		config.salt[0] = 1;
		parity_rig_set_config(&rig, &config);
	}
	CHECK(!parity_rig_compare_tables(&rig));
}

static void test_modes_and_limits_are_those_of_all_krpc(void)
{
	struct weft_config config = set_state();
	const struct payload_krpc ping = {.kind = WEFT_KRPC_PING};
	const struct weft_endpoint source = packet_of(false).source;

	config.totals[WEFT_TOTAL_KRPC_BYTES] = never;
	parity_rig_set_config(&rig, &config);
	CHECK_EQ(ask(&ping, false), WEFT_REASON_KRPC_BUDGET);
	config.mode = WEFT_MODE_FLOOD;
	parity_rig_set_config(&rig, &config);
	CHECK_EQ(ask(&ping, false), WEFT_REASON_KRPC_BUDGET);
	/* A validated source has a limit of its own, and none of bytes. */
	parity_rig_put_session(&rig, &source, NOW_NS + 1);
	CHECK_EQ(ask(&ping, false), WEFT_REASON_KRPC_SENT);
	config.validated = never;
	parity_rig_set_config(&rig, &config);
	CHECK_EQ(ask(&ping, false), WEFT_REASON_KRPC_LIMIT);
	CHECK(!parity_rig_compare_tables(&rig));
}

static enum weft_reason ask_with_sum(enum packet_sum sum, bool is_ipv6)
{
	const struct payload_krpc ping = {.kind = WEFT_KRPC_PING, .is_read_only = true};
	struct packet packet = packet_of(is_ipv6);
	uint8_t payload[PAYLOAD_LEN_MAX];
	struct parity_rig_verdict verdict;

	packet.udp_sum = sum;
	return answered_judge(&rig, &packet, payload, payload_write_krpc(&ping, payload), &verdict);
}

/* As the stack would: it takes no damaged one, and IPv4 alone may go without. */
static void test_answers_are_made_of_whole_questions_alone(void)
{
	struct weft_device device = packet_device();

	for (unsigned has_partial_sums = 0; has_partial_sums < 2; has_partial_sums++) {
		(void)set_state();
		device.has_partial_sums = has_partial_sums;
		parity_rig_set_device(&rig, &device);
		for (unsigned is_ipv6 = 0; is_ipv6 < 2; is_ipv6++) {
			CHECK_EQ(ask_with_sum(PACKET_SUM_RIGHT, is_ipv6), WEFT_REASON_KRPC_SENT);
			CHECK_EQ(ask_with_sum(PACKET_SUM_WRONG, is_ipv6), WEFT_REASON_BAD_SUM);
			CHECK_EQ(ask_with_sum(PACKET_SUM_NONE, is_ipv6),
				 is_ipv6 ? WEFT_REASON_BAD_SUM : WEFT_REASON_KRPC_SENT);
			CHECK_EQ(ask_with_sum(PACKET_SUM_PARTIAL, is_ipv6),
				 has_partial_sums ? WEFT_REASON_KRPC_SENT : WEFT_REASON_BAD_SUM);
		}
	}
	device.has_partial_sums = 0;
	parity_rig_set_device(&rig, &device);
}

/* Every length and form has its own last word, and no bit of a frame is without its sum. */
static void test_no_turned_bit_is_answered(void)
{
	(void)set_state();
	for (unsigned i = 0; i < 400; i++) {
		bool is_ipv6 = i & 1;
		uint8_t target[WEFT_KRPC_ID_LEN], payload[PAYLOAD_LEN_MAX], frame[PACKET_LEN_MAX];
		struct payload_krpc spec = random_question(is_ipv6, target);
		struct packet packet = packet_of(is_ipv6);
		struct parity_rig_verdict verdict;
		size_t len, bit;

		packet.payload = payload;
		packet.payload_len = payload_write_krpc(&spec, payload);
		len = packet_write(&packet, frame);
		CHECK(!parity_rig_judge(&rig, frame, len, &verdict));
		CHECK_EQ(verdict.reason, WEFT_REASON_KRPC_SENT);
		bit = random_below(&rng, 8 * (len - WEFT_ETH_LEN));
		frame[WEFT_ETH_LEN + bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK(!parity_rig_judge(&rig, frame, len, &verdict));
		/* Of IPv6 neither traffic class, flow label nor hop limit has a sum. */
		CHECK(verdict.reason != WEFT_REASON_KRPC_SENT ||
		      (is_ipv6 && (bit / 8 < 4 || bit / 8 == 7)));
	}
}

/* A flood from borrowed addresses, each another one, under the daemon's own limits. */
struct flood {
	uint64_t came_len, left_len; /* of payloads */
	uint64_t answered_cnt;
};

static struct flood flood(enum weft_krpc_kind kind, bool is_ipv6, unsigned per_s, unsigned seconds)
{
	struct weft_config config;
	struct flood sum = {0};
	uint8_t payload[PAYLOAD_LEN_MAX], frame[PACKET_LEN_MAX], target[WEFT_KRPC_ID_LEN];
	const struct payload_krpc spec = {.kind = kind, .target = target};
	struct packet packet = packet_of(is_ipv6);

	(void)set_state();
	firewall_policy_defaults(&config);
	config.salt[0] = 1;
	parity_rig_set_config(&rig, &config);
	target_of(is_ipv6, 8, target); /* of eight nodes */
	packet.payload = payload;
	packet.payload_len = payload_write_krpc(&spec, payload);
	for (unsigned i = 0; i < per_s * seconds; i++) {
		struct weft_krpc_draft answer;

		rig.native.now_ns = NOW_NS + i * (SECOND_NS / per_s);
		random_fill(&rng, packet.source.addr + (is_ipv6 ? 2 : 13), 3);
		sum.came_len += packet.payload_len;
		if (parity_rig_judge_native(&rig, frame, packet_write(&packet, frame)) !=
		    WEFT_REASON_KRPC_SENT)
			continue;
		parity_rig_krpc_answer(&rig, &packet.source, &answer);
		sum.left_len += answer.len;
		sum.answered_cnt++;
	}
	return sum;
}

static void test_a_flood_gets_less_than_it_brings(void)
{
	for (unsigned i = 0; i < 8; i++) {
		enum weft_krpc_kind kind = (enum weft_krpc_kind)(i / 2);
		struct flood sum = flood(kind, i & 1, 20000, 10);
		struct flood trickle = flood(kind, i & 1, 500, 4);

		printf("# kind %u, IPv%u: of 20,000 a second %llu answered, %llu bytes came, "
		       "%llu left\n",
		       kind, i & 1 ? 6 : 4, (unsigned long long)sum.answered_cnt / 10,
		       (unsigned long long)sum.came_len, (unsigned long long)sum.left_len);
		CHECK(sum.left_len <= sum.came_len);
		CHECK(sum.answered_cnt > 0);
		/*
		 * At a rate below every flood limit, all are answered, except the samples for
		 * userspace.
		 */
		CHECK(trickle.answered_cnt >= 500 * 4 - 400 - 200);
	}
}

/* One thread refreshes a bucket as often as the rule allows and more, another asks. */
#define TURNS 200000
static volatile bool is_over;

static void *refresh(void *ctx)
{
	uint8_t compact[WEFT_KRPC_NODE_CNT_MAX * WEFT_KRPC_NODE_LEN_MAX];
	const struct timespec rest = {.tv_nsec = 50000};

	(void)ctx;
	for (unsigned i = 0; !is_over; i++) {
		memset(compact, (int)(i % 251), sizeof(compact));
		net_krpc_tables_set_nodes(&rig.program.krpc, WEFT_KRPC_IPV4, 0, compact,
					  1 + i % WEFT_KRPC_NODE_CNT_MAX);
		nanosleep(&rest, NULL);
	}
	return NULL;
}

static void test_no_answer_is_of_two_lists(void)
{
	uint8_t target[WEFT_KRPC_ID_LEN], payload[PAYLOAD_LEN_MAX], frame[PACKET_LEN_MAX];
	const struct payload_krpc spec = {.kind = WEFT_KRPC_FIND_NODE, .target = target};
	struct packet packet = packet_of(false);
	unsigned change_cnt = 0;
	uint8_t last = 0;
	pthread_t thread;
	size_t len;

	(void)set_state();
	if (!rig.has_program)
		return;
	target_of(WEFT_KRPC_IPV4, 0, target);
	packet.payload = payload;
	packet.payload_len = payload_write_krpc(&spec, payload);
	len = packet_write(&packet, frame);
	is_over = false;
	CHECK_EQ(pthread_create(&thread, NULL, refresh, NULL), 0);
	/* More where the other thread has no processor of its own. */
	for (unsigned i = 0; i < TURNS || (change_cnt <= 100 && i < 50 * TURNS); i++) {
		const uint8_t *nodes;
		struct program_result result;
		size_t nodes_len;

		parity_rig_set_now(&rig, rig.native.now_ns + SECOND_NS / 1000);
		program_run(&rig.program, frame, len, &result);
		nodes = result.bytes + packet_headers_len(&packet) + 44 + 7;
		nodes_len = strtoul((const char *)nodes, (char **)&nodes, 10);
		change_cnt += nodes[1] != last;
		last = nodes[1];
		for (size_t at = 0; at < nodes_len; at++) {
			if (nodes[1 + at] != last || result.action != XDP_TX) {
				is_over = true;
				pthread_join(thread, NULL);
				CHECK(nodes[1 + at] == last);
			}
		}
	}
	is_over = true;
	pthread_join(thread, NULL);
	CHECK(change_cnt > 100);
}

int main(void)
{
	const char *reason = parity_rig_open(&rig);

	if (reason)
		printf("# the native program alone: %s\n", reason);
	random_init_seeded(&rng, 5);
	answered_pcap_open();
	RUN(test_usual_questions_are_answered_by_the_program);
	RUN(test_each_bucket_answers_for_its_targets);
	RUN(test_what_we_hold_is_userspaces);
	RUN(test_without_an_id_questions_are_userspaces);
	RUN(test_what_is_no_usual_question_is_userspaces);
	RUN(test_userspace_sees_a_sample_of_the_askers);
	RUN(test_modes_and_limits_are_those_of_all_krpc);
	RUN(test_answers_are_made_of_whole_questions_alone);
	RUN(test_no_turned_bit_is_answered);
	RUN(test_a_flood_gets_less_than_it_brings);
	RUN(test_no_answer_is_of_two_lists);
	answered_pcap_close();
	parity_rig_close(&rig);
	return check_done();
}
