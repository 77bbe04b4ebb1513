/* SPDX-License-Identifier: Apache-2.0 */
#include "punch/punch_message.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/hex_digits.h"

static uint8_t bytes[PUNCH_MESSAGE_LEN_MAX];
static const uint8_t key[PUNCH_KEY_LEN] = "thirty-two bytes of the session.";

static struct punch_candidates full(void)
{
	struct punch_candidates message = {
		.handle = "handle", .nat = PUNCH_NAT_EASY, .mapped = 0x81};

	for (unsigned i = 0; i < PUNCH_CANDIDATES_MAX; i++) {
		char text[ADDR_TEXT_CAP];

		snprintf(text, sizeof(text), "[2001:db8:1:2:3:4:5:%u]:7000", i + 1);
		if (addr_parse(text, &message.addrs[i]) < 0)
			abort();
	}
	message.addr_cnt = PUNCH_CANDIDATES_MAX;
	return message;
}

static size_t candidates(const struct punch_candidates *message)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	punch_candidates_write(&w, message);
	return w.bad ? 0 : writer_len(&w);
}

static void test_candidates_are_read_as_written(void)
{
	struct punch_candidates message = full(), heard;
	size_t len = candidates(&message);

	CHECK(len > 0);
	CHECK_EQ(punch_candidates_parse(bytes, len, &heard), 0);
	CHECK_MEM(heard.handle, message.handle, sizeof(heard.handle));
	CHECK_EQ(heard.addr_cnt, PUNCH_CANDIDATES_MAX);
	CHECK_MEM(heard.addrs, message.addrs, sizeof(heard.addrs));
	CHECK_EQ(heard.nat, PUNCH_NAT_EASY);
	CHECK_EQ(heard.mapped, 0x81);
	for (size_t cut = 0; cut < len; cut++)
		CHECK_EQ(punch_candidates_parse(bytes, cut, &heard), WEFT_EMALFORMED);
}

/* What no probe can be sent to is left out, and an unknown kind of NAT is none. */
static void test_only_hosts_by_udp_are_candidates(void)
{
	static const char *const texts[] = {"tcp:192.0.2.1:7001", "224.0.0.1:7000", "0.0.0.0:7000",
					    "192.0.2.7:7000"};
	struct punch_candidates message = {.handle = "handle", .nat = 77, .mapped = 10}, heard;

	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(addr_parse(texts[i], &message.addrs[i]), 0);
	message.addr_cnt = 4;
	CHECK_EQ(punch_candidates_parse(bytes, candidates(&message), &heard), 0);
	CHECK_EQ(heard.addr_cnt, 1);
	CHECK(addr_equal(&heard.addrs[0], &message.addrs[3]));
	CHECK_EQ(heard.mapped, 1);
	CHECK_EQ(heard.nat, PUNCH_NAT_UNKNOWN);
}

static void test_now_and_result_are_read_as_written(void)
{
	const struct punch_now now = {.handle = "handle"};
	struct punch_result result = {.addr = {.family = ADDR_NONE}}, result_heard;
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct punch_now now_heard;
	size_t len;

	punch_now_write(&w, &now);
	len = writer_len(&w);
	CHECK_EQ(punch_now_parse(bytes, len, &now_heard), 0);
	CHECK_MEM(now_heard.handle, now.handle, sizeof(now.handle));
	for (size_t cut = 0; cut < len; cut++)
		CHECK_EQ(punch_now_parse(bytes, cut, &now_heard), WEFT_EMALFORMED);
	for (unsigned i = 0; i < 2; i++) {
		w = writer_of(bytes, sizeof(bytes));
		punch_result_write(&w, &result);
		CHECK_EQ(punch_result_parse(bytes, writer_len(&w), &result_heard), 0);
		CHECK(addr_equal(&result_heard.addr, &result.addr));
		CHECK_EQ(addr_parse("192.0.2.7:7000", &result.addr), 0);
	}
}

static struct punch_probe probe_of(enum punch_probe_kind kind, bool is_askers)
{
	return (struct punch_probe){.kind = kind,
				    .handle = {1, 2, 3, 4, 5, 6},
				    .nonce = {0xf0, 1, 2, 3, 4, 5, 6, 7},
				    .is_askers = is_askers};
}

/* The vector of docs/wire/punch.md. */
static void test_the_probe_is_that_of_the_document(void)
{
	const struct punch_probe probe = probe_of(PUNCH_PROBE, true);
	uint8_t want[WEFT_PROBE_LEN], out[WEFT_PROBE_LEN];

	CHECK_EQ(hex_parse("9d01010203040506f001020304050607"
			   "5e299ceb0b411a419323f7f1192d1925",
			   want),
		 sizeof(want));
	punch_probe_write(&probe, key, out);
	CHECK_MEM(out, want, sizeof(out));
}

static void test_a_probe_is_proved_by_the_key_the_kind_and_the_sender(void)
{
	const struct punch_probe probe = probe_of(PUNCH_PROBE, true);
	uint8_t out[WEFT_PROBE_LEN], other_key[PUNCH_KEY_LEN] = {1};
	struct punch_probe heard;

	punch_probe_write(&probe, key, out);
	CHECK(punch_probe_parse(out, sizeof(out), &heard));
	CHECK_EQ(heard.kind, PUNCH_PROBE);
	CHECK_MEM(heard.handle, probe.handle, sizeof(heard.handle));
	CHECK_MEM(heard.nonce, probe.nonce, sizeof(heard.nonce));
	heard.is_askers = true;
	CHECK(punch_probe_is_proved(&heard, key, out));
	CHECK(!punch_probe_is_proved(&heard, other_key, out));
	heard.is_askers = false;
	CHECK(!punch_probe_is_proved(&heard, key, out));
	for (unsigned bit = 8; bit < 8 * sizeof(out); bit++) {
		out[bit / 8] ^= 1u << bit % 8;
		if (punch_probe_parse(out, sizeof(out), &heard)) {
			heard.is_askers = true;
			CHECK(!punch_probe_is_proved(&heard, key, out));
		}
		out[bit / 8] ^= 1u << bit % 8;
	}
}

static void test_other_datagrams_are_no_probe(void)
{
	const struct punch_probe probe = probe_of(PUNCH_PROBE_ANSWER, false);
	uint8_t out[WEFT_PROBE_LEN + 1] = {0};
	struct punch_probe heard;

	punch_probe_write(&probe, key, out);
	for (size_t len = 0; len <= sizeof(out); len++)
		CHECK_EQ(punch_probe_parse(out, len, &heard), len == WEFT_PROBE_LEN);
	out[1] = 3; /* a dial-back */
	CHECK(!punch_probe_parse(out, WEFT_PROBE_LEN, &heard));
	out[1] = 0;
	CHECK(!punch_probe_parse(out, WEFT_PROBE_LEN, &heard));
}

int main(void)
{
	RUN(test_candidates_are_read_as_written);
	RUN(test_only_hosts_by_udp_are_candidates);
	RUN(test_now_and_result_are_read_as_written);
	RUN(test_the_probe_is_that_of_the_document);
	RUN(test_a_probe_is_proved_by_the_key_the_kind_and_the_sender);
	RUN(test_other_datagrams_are_no_probe);
	return check_done();
}
