/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies to own DHT queries: they pass outside every limit and in every
 * mode. They pass from the address that was asked and from no other,
 * whatever a sender that borrows that address sends.
 */
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "base/random.h"
#include "bpf/support/answered.h"
#include "bpf/support/payload.h"
#include "support/check.h"

#define NOW_NS (1000 * 1000000000ull)
#define NONCE  0x1234

static const struct weft_krpc_reply_keys reply_keys = {.keys = {{1, 2}, {3, 4}}};
static const struct weft_bucket_rate never = {.cost_ns = 2, .credit_max_ns = 1};
static struct parity_rig rig;

static struct packet packet_of(bool is_ipv6)
{
	return (struct packet){
		.source = packet_endpoint(is_ipv6 ? "2001:db8:1:2::3" : "192.0.2.1", 4242),
		.local = packet_endpoint(is_ipv6 ? "2001:db8::1" : "10.0.0.1", 7000),
	};
}

/* No source has any credit. */
static void set_state(enum weft_mode mode)
{
	struct weft_config config = parity_rig_config();
	struct weft_locals locals = {0};
	struct weft_endpoint v4 = packet_of(false).local, v6 = packet_of(true).local;

	config.mode = mode;
	config.validated = never;
	for (unsigned class = 0; class < WEFT_CLASS_ALL_CNT; class ++)
		for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
			config.rates[class][level] = never;
	for (unsigned total = 0; total < WEFT_TOTAL_CNT; total++)
		config.totals[total] = never;
	weft_locals_put(&locals, &v4);
	weft_locals_put(&locals, &v6);
	parity_rig_reset(&rig);
	parity_rig_set_locals(&rig, &locals);
	parity_rig_set_config(&rig, &config);
	parity_rig_set_reply_keys(&rig, &reply_keys);
	parity_rig_set_now(&rig, NOW_NS);
}

static enum weft_reason judge_bytes(bool is_ipv6, const uint8_t *payload, size_t len)
{
	struct packet packet = packet_of(is_ipv6);
	struct parity_rig_verdict verdict;
	enum weft_reason reason = answered_judge(&rig, &packet, payload, len, &verdict);

	return parity_rig_compare_tables(&rig) ? WEFT_REASON_CNT : reason;
}

static enum weft_reason judge(bool is_ipv6, const struct payload_krpc_reply *spec)
{
	uint8_t payload[PAYLOAD_LEN_MAX];

	return judge_bytes(is_ipv6, payload, payload_write_krpc_reply(spec, payload));
}

/* The id that a question to the packet's source had, key_idx of those honoured. */
static uint64_t transaction_of(bool is_ipv6, unsigned key_idx)
{
	struct packet packet = packet_of(is_ipv6);

	return weft_krpc_transaction(reply_keys.keys[key_idx], &packet.source, NONCE);
}

static void test_replies_and_errors_pass_in_every_mode_without_any_credit(void)
{
	for (unsigned i = 0; i < WEFT_MODE_CNT * 16; i++) {
		bool is_ipv6 = i & 1;
		const struct payload_krpc_reply spec = {
			.transaction = transaction_of(is_ipv6, i >> 1 & 1),
			.is_error = i >> 2 & 1,
			.has_version = i >> 3 & 1,
		};

		set_state(i / 16);
		CHECK_EQ(judge(is_ipv6, &spec), WEFT_REASON_KRPC_REPLY);
	}
}

static void test_no_bit_of_the_id_may_be_another(void)
{
	set_state(WEFT_MODE_NORMAL);
	for (unsigned bit = 0; bit < 64; bit++) {
		const struct payload_krpc_reply spec = {.transaction = transaction_of(false, 0) ^
								       1ull << bit};

		CHECK_EQ(judge(false, &spec), WEFT_REASON_KRPC_LIMIT);
	}
}

static void test_an_id_is_worth_nothing_from_another_address_or_port(void)
{
	static const char *const others[] = {"192.0.2.2", "192.0.3.1", "2001:db8:1:2::3"};

	set_state(WEFT_MODE_NORMAL);
	for (unsigned i = 0; i < 4; i++) {
		const struct weft_endpoint asked =
			packet_endpoint(i < 3 ? others[i] : "192.0.2.1", i < 3 ? 4242 : 4243);
		const struct payload_krpc_reply spec = {
			.transaction = weft_krpc_transaction(reply_keys.keys[0], &asked, NONCE)};

		CHECK_EQ(judge(false, &spec), WEFT_REASON_KRPC_LIMIT);
	}
}

/* Two keys are honoured; none is the key that an empty table has. */
static void test_the_third_key_back_and_an_unset_one_are_not_honoured(void)
{
	struct weft_krpc_reply_keys turned = {.keys = {{5, 6}, {1, 2}}};
	const struct weft_krpc_reply_keys unset = {.keys = {{0, 0}}};
	struct packet packet = packet_of(false);
	const struct payload_krpc_reply last = {.transaction = transaction_of(false, 0)};
	const struct payload_krpc_reply older = {.transaction = transaction_of(false, 1)};
	const struct payload_krpc_reply guessed = {
		.transaction = weft_krpc_transaction(unset.keys[0], &packet.source, NONCE)};

	set_state(WEFT_MODE_NORMAL);
	parity_rig_set_reply_keys(&rig, &turned);
	CHECK_EQ(judge(false, &last), WEFT_REASON_KRPC_REPLY);
	CHECK_EQ(judge(false, &older), WEFT_REASON_KRPC_LIMIT);
	parity_rig_set_reply_keys(&rig, &unset);
	CHECK_EQ(judge(false, &guessed), WEFT_REASON_KRPC_LIMIT);
}

/* Where `t` does not end at its fixed distances the datagram is an unvalidated source's. */
static void test_other_ends_and_lengths_are_unvalidated_sources(void)
{
	const uint64_t transaction = transaction_of(false, 0);
	uint8_t payload[PAYLOAD_LEN_MAX];
	size_t len;

	set_state(WEFT_MODE_NORMAL);
	for (unsigned version_len = 1; version_len <= 8; version_len++) {
		const struct payload_krpc_reply spec = {transaction, false, true, version_len};

		CHECK_EQ(judge(false, &spec),
			 version_len == 4 ? WEFT_REASON_KRPC_REPLY : WEFT_REASON_KRPC_LIMIT);
	}
	len = payload_write_krpc_reply(&(struct payload_krpc_reply){transaction, false, true, 4},
				       payload);
	for (size_t cut = len - 1; cut >= 20; cut--)
		CHECK(judge_bytes(false, payload, cut) != WEFT_REASON_KRPC_REPLY);
	/* All that is left when nothing stands before it. */
	CHECK_EQ(judge_bytes(false, payload + len - WEFT_KRPC_TAIL_LEN, WEFT_KRPC_TAIL_LEN),
		 WEFT_REASON_NO_PROTOCOL);
	payload[len - 2] = 'q';
	CHECK_EQ(judge_bytes(false, payload, len), WEFT_REASON_KRPC_LIMIT);
	/* And a question is none, whatever its id. */
	memcpy(payload, "d1:ad2", 6);
	payload[len - 2] = 'r';
	CHECK_EQ(judge_bytes(false, payload, len), WEFT_REASON_KRPC_LIMIT);
}

/*
 * A sender that borrows a contact's address spends its credit as an unvalidated source, or as a
 * validated one.
 */
static void test_a_borrowed_address_starves_no_reply(void)
{
	const struct weft_bucket_rate once = {.cost_ns = 1000, .credit_max_ns = 1000};
	const struct payload_krpc_reply own = {.transaction = transaction_of(false, 0)};
	const struct payload_krpc_reply forged = {.transaction = 1};
	const struct weft_endpoint contact = packet_of(false).source;
	struct weft_config config = parity_rig_config();

	for (unsigned is_validated = 0; is_validated < 2; is_validated++) {
		set_state(WEFT_MODE_FLOOD);
		for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
			config.rates[WEFT_CLASS_KRPC][level] = once;
		config.validated = once;
		parity_rig_set_config(&rig, &config);
		if (is_validated)
			parity_rig_put_session(&rig, &contact, NOW_NS + 1);
		CHECK_EQ(judge(false, &forged), WEFT_REASON_KRPC);
		for (unsigned i = 0; i < 1000; i++)
			CHECK_EQ(judge(false, &forged), WEFT_REASON_KRPC_LIMIT);
		CHECK_EQ(judge(false, &own), WEFT_REASON_KRPC_REPLY);
	}
}

/* A flood from everywhere fills what userspace takes of unvalidated sources, and no reply is lost. */
static void test_a_flood_of_unvalidated_sources_has_an_end_and_replies_have_none(void)
{
	const struct payload_krpc_reply own = {.transaction = transaction_of(false, 0)};
	const struct weft_bucket_rate ten = {.cost_ns = 1000, .credit_max_ns = 10000};
	struct weft_config config = parity_rig_config();
	unsigned delivered_cnt = 0;

	set_state(WEFT_MODE_NORMAL);
	config.totals[WEFT_TOTAL_KRPC] = ten;
	parity_rig_set_config(&rig, &config);
	for (unsigned i = 0; i < 200; i++) {
		uint8_t payload[PAYLOAD_LEN_MAX];
		const struct payload_krpc_reply stray = {.transaction = i};
		struct packet packet = packet_of(false);
		struct parity_rig_verdict verdict;
		enum weft_reason reason;

		packet.source.addr[14] = (uint8_t)i;
		reason = answered_judge(&rig, &packet, payload,
					payload_write_krpc_reply(&stray, payload), &verdict);
		CHECK(reason == WEFT_REASON_KRPC || reason == WEFT_REASON_KRPC_FLOOD);
		delivered_cnt += reason == WEFT_REASON_KRPC;
		CHECK_EQ(judge(false, &own), WEFT_REASON_KRPC_REPLY);
	}
	CHECK_EQ(delivered_cnt, 10);
}

int main(void)
{
	const char *why = parity_rig_open(&rig);

	if (why)
		printf("# the native program alone: %s\n", why);
	RUN(test_replies_and_errors_pass_in_every_mode_without_any_credit);
	RUN(test_no_bit_of_the_id_may_be_another);
	RUN(test_an_id_is_worth_nothing_from_another_address_or_port);
	RUN(test_the_third_key_back_and_an_unset_one_are_not_honoured);
	RUN(test_other_ends_and_lengths_are_unvalidated_sources);
	RUN(test_a_borrowed_address_starves_no_reply);
	RUN(test_a_flood_of_unvalidated_sources_has_an_end_and_replies_have_none);
	parity_rig_close(&rig);
	return check_done();
}
