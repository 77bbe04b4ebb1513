/* SPDX-License-Identifier: Apache-2.0 */
#include "base/dgram.h"
#include "net/ingress/ingress_verdict.h"
#include "support/check.h"
#include "weft/cid.h"

#define STUN_COOKIE "\x21\x12\xa4\x42"

/* head is followed by zeros up to len. */
static const struct {
	const char *why;
	const char *head;
	size_t head_len, len;
	enum weft_flow want;
} rows[] = {
	/* clang-format off */
	{ "STUN binding request", "\0\1\0\0" STUN_COOKIE, 8, 20, WEFT_FLOW_STUN },
	{ "STUN binding error", "\1\x11\0\0" STUN_COOKIE, 8, 44, WEFT_FLOW_STUN },
	{ "STUN class at its last byte", "\3\0\0\0" STUN_COOKIE, 8, 20, WEFT_FLOW_STUN },
	{ "STUN one byte short", "\0\1\0\0" STUN_COOKIE, 8, 19, WEFT_FLOW_OTHER },
	{ "STUN without cookie", "\0\1\0\0\x21\x12\xa4\x43", 8, 20, WEFT_FLOW_OTHER },
	{ "first byte 4 is nobody's", "\4\1\0\0" STUN_COOKIE, 8, 20, WEFT_FLOW_OTHER },
	{ "first byte 3f is nobody's", "\x3f", 1, 100, WEFT_FLOW_OTHER },
	{ "KRPC query", "d1:ad2:id20:", 12, 90, WEFT_FLOW_KRPC },
	{ "KRPC error", "d1:eli201e", 10, 40, WEFT_FLOW_KRPC },
	{ "KRPC reply", "d1:rd2:id20:", 12, 47, WEFT_FLOW_KRPC },
	{ "KRPC with its ip first", "d2:ip6:", 7, 60, WEFT_FLOW_KRPC },
	{ "KRPC at the smallest length", "d1:ad2:i", 8, 8, WEFT_FLOW_KRPC },
	{ "one byte less than is looked at", "d1:ad2:i", 7, 7, WEFT_FLOW_OTHER },
	{ "d, one below the digits", "d/:", 3, 60, WEFT_FLOW_QUIC_SHORT },
	{ "d, one above the digits", "d::", 3, 60, WEFT_FLOW_QUIC_SHORT },
	{ "d and a digit without colon", "d12:", 4, 60, WEFT_FLOW_QUIC_SHORT },
	{ "short header that spells d", "d\xb1:", 3, 60, WEFT_FLOW_QUIC_SHORT },
	{ "short header, lowest", "\x40\x80", 2, 60, WEFT_FLOW_QUIC_SHORT },
	{ "short header, highest", "\x7f\x80", 2, 60, WEFT_FLOW_QUIC_SHORT },
	{ "smallest stateless reset", "\x40\x80", 2, 21, WEFT_FLOW_QUIC_SHORT },
	{ "short header one byte short", "\x40\x80", 2, 20, WEFT_FLOW_OTHER },
	{ "path probe", "\x9d", 1, 32, WEFT_FLOW_PROBE },
	{ "path probe one byte short", "\x9d", 1, 31, WEFT_FLOW_OTHER },
	{ "path probe one byte long", "\x9d", 1, 33, WEFT_FLOW_OTHER },
	{ "below the path probe", "\x9c", 1, 32, WEFT_FLOW_OTHER },
	{ "relayed datagram", "\x9e", 1, 32, WEFT_FLOW_RELAY },
	{ "relay label alone", "\x9e", 1, 16, WEFT_FLOW_RELAY },
	{ "relay label one byte short", "\x9e", 1, 15, WEFT_FLOW_OTHER },
	{ "above the relay label", "\x9f", 1, 32, WEFT_FLOW_OTHER },
	{ "first byte 80", "\x80", 1, 1200, WEFT_FLOW_OTHER },
	{ "first byte bf", "\xbf", 1, 1200, WEFT_FLOW_OTHER },
	{ "Initial", "\xc3\0\0\0\1\x08", 6, 1200, WEFT_FLOW_QUIC_LONG },
	{ "version 1, longest id", "\xc3\0\0\0\1\x14", 6, 1200, WEFT_FLOW_QUIC_LONG },
	{ "version 1, id of 21 bytes", "\xc3\0\0\0\1\x15", 6, 1200, WEFT_FLOW_OTHER },
	{ "unknown version may have long ids", "\xff\x0a\x0a\x0a\x0a\xff", 6, 1200, WEFT_FLOW_QUIC_LONG },
	{ "version negotiation", "\xc0\0\0\0\0\x10", 6, 43, WEFT_FLOW_QUIC_LONG },
	{ "long header cut short", "\xc3\0\0\0\1\x08", 6, 7, WEFT_FLOW_OTHER },
	/* clang-format on */
};

static void test_first_bytes_decide(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t *data = calloc(1, rows[i].len);
		struct dgram dgram = {.data = data, .len = rows[i].len};
		enum weft_flow got;

		CHECK(data);
		memcpy(data, rows[i].head, rows[i].head_len);
		got = net_ingress_classify(&dgram);
		free(data);
		if (got != rows[i].want)
			printf("# %s\n", rows[i].why);
		CHECK_EQ(got, rows[i].want);
	}
}

static void test_no_short_header_with_our_id_is_krpc(void)
{
	uint8_t data[WEFT_QUIC_SHORT_LEN_MIN] = {0};
	struct dgram dgram = {.data = data, .len = sizeof(data)};

	for (unsigned first = 0x40; first < 0x80; first++) {
		for (unsigned worker = 0; worker <= WEFT_CID_WORKER_MAX; worker++) {
			data[0] = (uint8_t)first;
			data[1] = (uint8_t)(0x80 | worker);
			data[2] = ':';
			CHECK_EQ(net_ingress_classify(&dgram), WEFT_FLOW_QUIC_SHORT);
		}
	}
}

int main(void)
{
	RUN(test_first_bytes_decide);
	RUN(test_no_short_header_with_our_id_is_krpc);
	return check_done();
}
