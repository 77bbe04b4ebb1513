/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DHT's questions asked twice, of the BPF program and of the dht whose
 * lists of nodes it has: the answers are the same bytes.
 */
#include <string.h>

#include <arpa/inet.h>
#include <linux/bpf.h>

#include "bpf/support/answered.h"
#include "bpf/support/payload.h"
#include "net/ingress/krpc_table_writer.h"
#include "dht/dht_state.h"
#include "kad/kad_contact.h"
#include "locate/driver_answers.h"
#include "support/check.h"
#include "support/dht_rig.h"

#define SECOND_NS    1000000000ull
#define QUESTION_CNT 20000

static struct parity_rig programs;
static struct dht_rig rig;
static struct driver_answers *answers[2]; /* of each program */

static struct weft_endpoint local_of(bool is_ipv6)
{
	return packet_endpoint(is_ipv6 ? "2001:db8::1" : "203.0.113.1", 7000);
}

/* No source has a limit or is reported as new, and both have what the dht knows. */
static void set_state(void)
{
	static const struct weft_bucket_rate never = {.cost_ns = 1ull << 50, .credit_max_ns = 1};
	static const struct weft_bucket_rate any = {.cost_ns = 1, .credit_max_ns = SECOND_NS};
	struct weft_config config = parity_rig_config();
	struct weft_endpoint v4 = local_of(false), v6 = local_of(true);
	struct weft_locals locals = {0};

	config.totals[WEFT_TOTAL_KRPC_BYTES] = any;
	config.rates[WEFT_CLASS_SENDER][0] = never;
	weft_locals_put(&locals, &v4);
	weft_locals_put(&locals, &v6);
	parity_rig_reset(&programs);
	parity_rig_set_locals(&programs, &locals);
	parity_rig_set_config(&programs, &config);
	dht_rig_init(&rig);
	rig.config.unvalidated_bytes_per_s = 1u << 30;
	dht_rig_start(&rig);
	for (unsigned i = 0; i < 2; i++)
		if (locate_driver_answers_new(&rig.config, rig.now_ns, &answers[i]) < 0)
			abort();
	dht_rig_fill(&rig, 300);
}

static void publish(void)
{
	rig.now_ns += 2 * SECOND_NS;
	dht_expire(rig.dht, rig.now_ns);
	locate_driver_answers_turn(answers[0], rig.dht, &programs.native.krpc, rig.now_ns);
	locate_driver_answers_turn(answers[1], rig.dht,
				   programs.has_program ? &programs.program.krpc : NULL,
				   rig.now_ns);
}

static void clear_state(void)
{
	locate_driver_answers_free(answers[0]);
	locate_driver_answers_free(answers[1]);
	dht_rig_fini(&rig);
}

static struct addr addr_of(const struct weft_endpoint *endpoint)
{
	struct addr addr = {.family = ADDR_IPV6, .port = ntohs(endpoint->port_be)};

	memcpy(addr.ip, endpoint->addr, 16);
	if (weft_endpoint_is_ipv4(endpoint)) {
		addr.family = ADDR_IPV4;
		memset(addr.ip, 0, sizeof(addr.ip));
		memcpy(addr.ip, endpoint->addr + 12, 4);
	}
	return addr;
}

static struct weft_endpoint random_asker(bool is_ipv6)
{
	struct weft_endpoint asker = packet_endpoint(is_ipv6 ? "2a00:1:2:3::" : "11.0.0.0", 0);

	random_fill(&rig.random, asker.addr + 13, 3);
	asker.port_be = (__be16)(1 + random_below(&rig.random, 65535));
	return asker;
}

/* Near us, so that deep buckets are asked for, too. */
static void random_target(enum dht_net net, uint8_t *out_target)
{
	unsigned kept = (unsigned)random_below(&rig.random, 21);

	random_fill(&rig.random, out_target, WEFT_KRPC_ID_LEN);
	memcpy(out_target, dht_own_id(rig.dht, net)->bytes, kept);
}

static size_t random_question(bool is_ipv6, uint8_t *payload)
{
	static const char *const wants[] = {NULL, "n4", "n6"};
	uint8_t target[WEFT_KRPC_ID_LEN];
	struct payload_krpc spec = {
		.kind = (enum weft_krpc_kind)random_below(&rig.random, 4),
		.target = target,
		.is_read_only = true,
		.has_version = random_below(&rig.random, 2),
		.transaction_len = (unsigned)(1 + random_below(&rig.random, 8)),
	};

	if (spec.kind != WEFT_KRPC_PING)
		spec.want = wants[random_below(&rig.random, 3)];
	random_target(spec.want ? spec.want[1] == '6' : is_ipv6, target);
	return payload_write_krpc(&spec, payload);
}

/* The dht's answer to the same datagram; NULL: it has none. */
static const struct dht_rig_sent *ask_dht(const struct weft_endpoint *asker, const void *data,
					  size_t len)
{
	const struct addr remote = addr_of(asker);

	dht_rig_forget(&rig);
	dht_rig_input(&rig, &remote, data, len);
	return rig.sent_cnt == 1 ? &rig.sent[0] : NULL;
}

static void check_question(bool is_ipv6)
{
	uint8_t payload[PAYLOAD_LEN_MAX];
	size_t len = random_question(is_ipv6, payload);
	struct packet packet = {
		.source = random_asker(is_ipv6),
		.local = local_of(is_ipv6),
	};
	const struct dht_rig_sent *want;
	struct parity_rig_verdict verdict;
	struct weft_krpc_draft got;

	CHECK_EQ(answered_judge(&programs, &packet, payload, len, &verdict), WEFT_REASON_KRPC_SENT);
	want = ask_dht(&packet.source, payload, len);
	CHECK(want);
	parity_rig_krpc_answer(&programs, &packet.source, &got);
	CHECK_EQ(got.len, want->len);
	CHECK_MEM(got.bytes, want->data, want->len);
	if (!programs.has_program)
		return;
	CHECK(answered_is_way_back(&packet, &verdict.result, want->len));
	CHECK_MEM(verdict.result.bytes + packet_headers_len(&packet), want->data, want->len);
}

static void test_program_and_dht_answer_the_same(void)
{
	set_state();
	publish();
	for (unsigned i = 0; i < QUESTION_CNT && !check_failed; i++) {
		rig.now_ns += 1000000;
		parity_rig_set_now(&programs, rig.now_ns);
		/* The table fills, and the key of tokens is changed now and then. */
		if (i % 1000 == 999) {
			dht_rig_fill(&rig, 1 + i / 100);
			rig.now_ns += 61 * SECOND_NS;
			publish();
		}
		check_question(i & 1);
	}
	clear_state();
}

/*
 * Impossible sources, and those that claim the own id: the dht is silent, and the program leaves it
 * to it.
 */
static void test_what_the_dht_does_not_answer_the_program_does_not(void)
{
	static const char *const sources[] = {"10.1.2.3",   "192.168.1.1", "100.64.0.1",
					      "198.18.0.1", "169.254.1.1", "192.0.0.1",
					      "fe80::1",    "fd00::1",	   "64:ff9b::1"};
	uint8_t payload[PAYLOAD_LEN_MAX];
	const struct payload_krpc ping = {.kind = WEFT_KRPC_PING, .is_read_only = true};
	size_t len = payload_write_krpc(&ping, payload);
	struct parity_rig_verdict verdict;

	set_state();
	publish();
	parity_rig_set_now(&programs, rig.now_ns);
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		struct packet packet = {.source = packet_endpoint(sources[i], 6881)};

		packet.local = local_of(!weft_endpoint_is_ipv4(&packet.source));
		CHECK_EQ(answered_judge(&programs, &packet, payload, len, &verdict),
			 WEFT_REASON_KRPC);
		CHECK(!ask_dht(&packet.source, payload, len));
	}
	for (unsigned net = 0; net < DHT_FAMILY_CNT; net++) {
		struct packet packet = {.source = random_asker(net), .local = local_of(net)};

		memcpy(payload + 12, dht_own_id(rig.dht, (enum dht_net)net)->bytes, KAD_ID_LEN);
		CHECK_EQ(answered_judge(&programs, &packet, payload, len, &verdict),
			 WEFT_REASON_KRPC);
		CHECK(!ask_dht(&packet.source, payload, len));
	}
	clear_state();
}

/* Both sides of the driver judge addresses alike. */
static void test_address_scope_is_that_of_kad(void)
{
	random_init_seeded(&rig.random, 3);
	for (unsigned i = 0; i < 1000000; i++) {
		struct weft_endpoint endpoint = packet_endpoint(i & 1 ? "::1" : "127.0.0.1", 1);
		struct addr addr;

		if (i >= 2)
			random_fill(&rig.random, endpoint.addr + (i & 1 ? 0 : 12),
				    i & 1 ? 1 + i % 16 : 4);
		if (!(i & 1) && i % 8)
			endpoint.addr[12] =
				(uint8_t[]){10, 172, 192, 169, 100, 198, 127, 0}[i / 8 % 8];
		if (!(i & 1) && i % 16 == 6)
			endpoint.addr[13] =
				(uint8_t[]){168, 254, 64, 18, 19, 0, 16, 31}[i / 64 % 8];
		addr = addr_of(&endpoint);
		CHECK_EQ(weft_endpoint_scope(&endpoint), kad_addr_scope_of(&addr));
	}
}

int main(void)
{
	const char *reason = parity_rig_open(&programs);

	if (reason)
		printf("# the native program alone: %s\n", reason);
	RUN(test_program_and_dht_answer_the_same);
	RUN(test_what_the_dht_does_not_answer_the_program_does_not);
	RUN(test_address_scope_is_that_of_kad);
	parity_rig_close(&programs);
	return check_done();
}
