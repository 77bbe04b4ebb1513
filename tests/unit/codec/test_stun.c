/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/stun.h"

#include "support/check.h"
#include "support/hex_digits.h"
#include "weft/stun_answer.h"

#define COOKIE	    "2112a442"
#define TRANSACTION "b7e7a701bc34d686fa87dfae"

/* RFC 5769 2.1, 2.2, 2.3: with USERNAME, MESSAGE-INTEGRITY and FINGERPRINT. */
#define RFC5769_REQUEST                                                                            \
	"00010058" COOKIE TRANSACTION "802200105354554e207465737420636c69656e74"                   \
	"002400046e0001ff"                                                                         \
	"80290008932ff9b151263b36"                                                                 \
	"000600096576746a3a68367659202020"                                                         \
	"000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"                                         \
	"80280004e57a3bcf"
#define RFC5769_IPV4                                                                               \
	"0101003c" COOKIE TRANSACTION "8022000b7465737420766563746f7220"                           \
	"002000080001a147e112a643"                                                                 \
	"000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"                                         \
	"80280004c07d4c96"
#define RFC5769_IPV6                                                                               \
	"01010048" COOKIE TRANSACTION "8022000b7465737420766563746f7220"                           \
	"002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"                                         \
	"00080014a382954e4be67bf11784c97c8292c275bfe3ed41"                                         \
	"80280004c8fb0b4c"

static uint8_t bytes[STUN_LEN_MAX + 64];

static int read_hex(const char *hex, struct stun_message *out_message)
{
	size_t len = hex_parse(hex, bytes);

	return stun_read(bytes, len, out_message);
}

static void test_vectors_of_rfc_5769_are_read(void)
{
	struct stun_message message;
	struct addr want;

	CHECK_EQ(read_hex(RFC5769_REQUEST, &message), 0);
	CHECK_EQ(message.type, STUN_REQUEST);
	CHECK(message.has_fingerprint);
	/* PRIORITY is of ICE, and comprehension is required. */
	CHECK_EQ(message.unknown_cnt, 1);
	CHECK_EQ(message.unknown[0], 0x0024);
	CHECK_EQ(addr_parse("192.0.2.1:32853", &want), 0);
	CHECK_EQ(read_hex(RFC5769_IPV4, &message), 0);
	CHECK_EQ(message.type, STUN_SUCCESS);
	CHECK(message.has_fingerprint && message.is_xored);
	CHECK_MEM(&message.mapped, &want, sizeof(want));
	CHECK_EQ(addr_parse("[2001:db8:1234:5678:11:2233:4455:6677]:32853", &want), 0);
	CHECK_EQ(read_hex(RFC5769_IPV6, &message), 0);
	CHECK_MEM(&message.mapped, &want, sizeof(want));
}

static const struct {
	const char *hex;
	int want;
	const char *why;
} rows[] = {
	{"00010000" COOKIE TRANSACTION, 0, "a plain request"},
	{"00110000" COOKIE TRANSACTION, 0, "an indication"},
	{"01010000" COOKIE TRANSACTION, 0, "a success that says nothing"},
	{"00010000" COOKIE TRANSACTION "00", WEFT_EMALFORMED, "a byte left over"},
	{"00010004" COOKIE TRANSACTION, WEFT_EMALFORMED, "an attribute missing"},
	{"00010002" COOKIE TRANSACTION "0000", WEFT_EMALFORMED,
	 "a length that is no multiple of 4"},
	{"00010000"
	 "2112a443" TRANSACTION,
	 WEFT_EMALFORMED, "another cookie"},
	{"00030000" COOKIE TRANSACTION, WEFT_EMALFORMED, "another method: ALLOCATE of TURN"},
	{"0101000c" COOKIE TRANSACTION "002000080001a147e112a643", 0, "XOR-MAPPED-ADDRESS"},
	{"0101000c" COOKIE TRANSACTION "002000080002a147e112a643", WEFT_EMALFORMED,
	 "an IPv4 address that says it is of IPv6"},
	{"0101000c" COOKIE TRANSACTION "002000080003a147e112a643", WEFT_EMALFORMED,
	 "an address of no family"},
	{"01010008" COOKIE TRANSACTION "002000040001a147", WEFT_EMALFORMED, "an address cut short"},
	{"01010008" COOKIE TRANSACTION "002000080001a147", WEFT_EMALFORMED,
	 "an attribute longer than the message"},
	{"01110008" COOKIE TRANSACTION "0009000400000414", 0, "an error: 420"},
	{"01110008" COOKIE TRANSACTION "0009000400000214", WEFT_EMALFORMED, "an error of 220"},
	{"01110008" COOKIE TRANSACTION "0009000400000464", WEFT_EMALFORMED,
	 "an error of 500, written 4, 100"},
	{"01110008" COOKIE TRANSACTION "0009000200000000", WEFT_EMALFORMED, "half an error"},
	{"00010008" COOKIE TRANSACTION "8028000400000000", WEFT_EMALFORMED, "a wrong FINGERPRINT"},
};

static void test_each_row_is_read_or_refused(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stun_message message;
		int got = read_hex(rows[i].hex, &message);

		if (got != rows[i].want)
			printf("# %s: %d\n", rows[i].why, got);
		CHECK_EQ(got, rows[i].want);
	}
}

static void test_a_mapped_address_counts_without_a_xored_one(void)
{
	struct stun_message message;
	struct addr want;

	CHECK_EQ(addr_parse("192.0.2.1:7000", &want), 0);
	CHECK_EQ(read_hex("0101000c" COOKIE TRANSACTION "0001000800011b58c0000201", &message), 0);
	CHECK(!message.is_xored);
	CHECK_MEM(&message.mapped, &want, sizeof(want));
	/* Middleboxes rewrite addresses that they see in a payload: the XORed one wins. */
	CHECK_EQ(read_hex("01010018" COOKIE TRANSACTION "0001000800011b580a000001"
			  "00200008"
			  "00013a4ae112a643",
			  &message),
		 0);
	CHECK(message.is_xored);
	CHECK_MEM(&message.mapped, &want, sizeof(want));
}

static void test_every_prefix_of_a_message_is_refused(void)
{
	static const char *const wholes[] = {RFC5769_REQUEST, RFC5769_IPV4, RFC5769_IPV6};

	for (size_t i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
		size_t len = hex_parse(wholes[i], bytes);

		for (size_t cut = 0; cut < len; cut++) {
			struct stun_message message;
			uint8_t *exact = malloc(cut ? cut : 1);

			memcpy(exact, bytes, cut);
			CHECK_EQ(stun_read(exact, cut, &message), WEFT_EMALFORMED);
			free(exact);
		}
	}
}

static void test_any_changed_bit_breaks_a_fingerprint(void)
{
	size_t len = hex_parse(RFC5769_IPV4, bytes);

	for (size_t bit = 0; bit < 8 * len; bit++) {
		struct stun_message message;

		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		/* A bit of the last attribute's type makes it one that is not looked at. */
		CHECK(stun_read(bytes, len, &message) < 0 || !message.has_fingerprint);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void test_what_is_written_is_read_again(void)
{
	static const char *const askers[] = {"192.0.2.1:32853", "[2001:db8::7]:1"};

	for (size_t i = 0; i < sizeof(askers) / sizeof(askers[0]); i++) {
		for (unsigned has_fingerprint = 0; has_fingerprint < 2; has_fingerprint++) {
			struct stun_message request, answer;
			uint8_t out[STUN_WRITE_CAP];
			struct addr asker;
			size_t len;

			CHECK_EQ(addr_parse(askers[i], &asker), 0);
			len = stun_write_request((const uint8_t *)"transaction.", out);
			CHECK_EQ(len, STUN_HEADER_LEN);
			CHECK(weft_stun_is_plain(out) && weft_stun_is_request(out));
			CHECK_EQ(stun_read(out, len, &request), 0);
			request.has_fingerprint = has_fingerprint;
			len = stun_write_success(&request, &asker, out);
			CHECK_EQ(len, (i ? 44 : 32) + (has_fingerprint ? 8 : 0));
			CHECK_EQ(stun_read(out, len, &answer), 0);
			CHECK_EQ(answer.type, STUN_SUCCESS);
			CHECK_EQ(answer.has_fingerprint, has_fingerprint);
			CHECK_MEM(answer.transaction, "transaction.", STUN_TRANSACTION_LEN);
			CHECK_MEM(&answer.mapped, &asker, sizeof(asker));
		}
	}
}

static void test_an_error_names_what_is_unknown(void)
{
	struct stun_message request, answer;
	uint8_t out[STUN_WRITE_CAP];
	size_t len;

	/* CHANGE-REQUEST of RFC 5780, and an empty attribute that is none. */
	CHECK_EQ(read_hex("0001000c" COOKIE TRANSACTION "0003000400000006"
			  "7fff0000",
			  &request),
		 0);
	CHECK_EQ(request.unknown_cnt, 2);
	len = stun_write_error(&request, out);
	CHECK_EQ(len, STUN_HEADER_LEN + 8 + 8);
	CHECK_EQ(stun_read(out, len, &answer), 0);
	CHECK_EQ(answer.type, STUN_ERROR);
	CHECK_EQ(answer.error, STUN_ERROR_UNKNOWN_ATTRIBUTE);
	CHECK_MEM(answer.transaction, request.transaction, STUN_TRANSACTION_LEN);
	CHECK_MEM(out + 28, "\0\x0a\0\4\0\3\x7f\xff", 8);
}

/* Each unknown attribute takes 4 bytes in a request and 2 in its answer. */
static void test_no_answer_grows_beyond_the_bound(void)
{
	for (unsigned cnt = 1; cnt < STUN_UNKNOWN_MAX + 4; cnt++) {
		struct stun_message request;
		uint8_t out[STUN_WRITE_CAP];
		size_t len = hex_parse("00010000" COOKIE TRANSACTION, bytes);

		for (unsigned i = 0; i < cnt; i++, len += 4)
			memcpy(bytes + len, "\x7f\0\0\0", 4);
		bytes[3] = (uint8_t)(len - STUN_HEADER_LEN);
		CHECK_EQ(stun_read(bytes, len, &request), 0);
		CHECK(stun_write_error(&request, out) <= len + WEFT_STUN_ANSWER_LEN_GROWTH);
	}
}

int main(void)
{
	RUN(test_vectors_of_rfc_5769_are_read);
	RUN(test_each_row_is_read_or_refused);
	RUN(test_a_mapped_address_counts_without_a_xored_one);
	RUN(test_every_prefix_of_a_message_is_refused);
	RUN(test_any_changed_bit_breaks_a_fingerprint);
	RUN(test_what_is_written_is_read_again);
	RUN(test_an_error_names_what_is_unknown);
	RUN(test_no_answer_grows_beyond_the_bound);
	return check_done();
}
