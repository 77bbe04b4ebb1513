/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/pcp.h"

#include "support/check.h"
#include "support/hex_digits.h"

static uint8_t bytes[PCP_LEN_MAX + 8];

static struct pcp_request request(void)
{
	struct pcp_request asked = {
		.nonce = "twelve bytes", .internal_port = 7000, .lifetime_s = 120};

	if (addr_parse("192.168.1.2:0", &asked.client) < 0)
		abort();
	return asked;
}

static int read_hex(const char *hex, struct pcp_answer *out_answer)
{
	return pcp_read(bytes, hex_parse(hex, bytes), out_answer);
}

/* RFC 6887 7.1, 11.1 */
static void test_a_pcp_request_is_as_in_the_rfc(void)
{
	struct pcp_request asked = request();
	uint8_t out[PCP_WRITE_CAP], want[PCP_WRITE_CAP];

	CHECK_EQ(pcp_write_map(&asked, out), 60);
	CHECK_EQ(hex_parse("02010000"
			   "00000078"
			   "00000000000000000000ffffc0a80102"
			   "7477656c7665206279746573"
			   "11000000"
			   "1b580000"
			   "00000000000000000000ffff00000000",
			   want),
		 60);
	CHECK_MEM(out, want, 60);
}

/* RFC 6886 3.2, 3.3, 3.4 */
static void test_a_nat_pmp_request_is_as_in_the_rfc(void)
{
	struct pcp_request asked = request();
	uint8_t out[PCP_WRITE_CAP];

	asked.external.port = 7001;
	CHECK_EQ(pcp_write_nat_pmp_map(&asked, out), 12);
	CHECK_MEM(out, "\0\1\0\0\x1b\x58\x1b\x59\0\0\0\x78", 12);
	asked.lifetime_s = 0;
	CHECK_EQ(pcp_write_nat_pmp_map(&asked, out), 12);
	CHECK_MEM(out, "\0\1\0\0\x1b\x58\0\0\0\0\0\0", 12);
	CHECK_EQ(pcp_write_nat_pmp_address(out), 2);
	CHECK_MEM(out, "\0\0", 2);
}

/* Protocol 6 in PCP (RFC 6887 11.1), opcode 2 in NAT-PMP (RFC 6886 3.3). */
static void test_tcp_is_named_in_requests_and_answers(void)
{
	struct pcp_request asked = request();
	struct pcp_answer answer;
	uint8_t out[PCP_WRITE_CAP];

	asked.transport = ADDR_TCP;
	CHECK_EQ(pcp_write_map(&asked, out), 60);
	CHECK_EQ(out[36], 6);
	CHECK_EQ(pcp_write_nat_pmp_map(&asked, out), 12);
	CHECK_EQ(out[1], 2);
	CHECK_EQ(read_hex("028100000000007800000e10000000000000000000000000"
			  "7477656c7665206279746573"
			  "060000001b591b59"
			  "00000000000000000000ffffc6120001",
			  &answer),
		 0);
	CHECK_EQ(answer.transport, ADDR_TCP);
	CHECK_EQ(answer.external.transport, ADDR_TCP);
	CHECK_EQ(read_hex("0082000000000e101b591b5900000078", &answer), 0);
	CHECK_EQ(answer.transport, ADDR_TCP);
	CHECK_EQ(answer.external.transport, ADDR_TCP);
}

#define PCP_ANSWER                                                                                 \
	"028100000000007800000e10000000000000000000000000"                                         \
	"7477656c7665206279746573"                                                                 \
	"110000001b581b59"                                                                         \
	"00000000000000000000ffffc6120001"

#define PCP_ANNOUNCEMENT "028000000000000000000007000000000000000000000000"

static void test_answers_are_read(void)
{
	struct pcp_answer answer;
	struct addr want;

	CHECK_EQ(addr_parse("198.18.0.1:7001", &want), 0);
	CHECK_EQ(read_hex(PCP_ANSWER, &answer), 0);
	CHECK_EQ(answer.version, PCP_VERSION);
	CHECK_EQ(answer.kind, PCP_MAPPED);
	CHECK_EQ(answer.lifetime_s, 120);
	CHECK_EQ(answer.epoch_s, 3600);
	CHECK_EQ(answer.internal_port, 7000);
	CHECK_MEM(answer.nonce, "twelve bytes", PCP_NONCE_LEN);
	CHECK(addr_equal(&answer.external, &want));
	CHECK_EQ(read_hex("0081000000000e101b581b5900000078", &answer), 0);
	CHECK_EQ(answer.version, PCP_VERSION_NAT_PMP);
	CHECK_EQ(answer.kind, PCP_MAPPED);
	CHECK_EQ(answer.external.port, 7001);
	CHECK_EQ(read_hex("0080000000000e10c6120001", &answer), 0);
	CHECK_EQ(answer.kind, PCP_ADDRESS);
	want.port = 0;
	CHECK(addr_equal(&answer.external, &want));
	CHECK_EQ(read_hex(PCP_ANNOUNCEMENT, &answer), 0);
	CHECK_EQ(answer.kind, PCP_ANNOUNCED);
	CHECK_EQ(answer.version, PCP_VERSION);
	CHECK_EQ(answer.epoch_s, 7);
}

static void test_refusals_say_why(void)
{
	struct pcp_answer answer;

	/* A server of NAT-PMP alone answers PCP so (RFC 6886 3.5). */
	CHECK_EQ(read_hex("0081000100000e10", &answer), 0);
	CHECK_EQ(answer.kind, PCP_REFUSED);
	CHECK_EQ(answer.result, PCP_UNSUPPORTED_VERSION);
	CHECK_EQ(answer.version, PCP_VERSION_NAT_PMP);
	CHECK_EQ(read_hex("028100080000001e00000e10000000000000000000000000", &answer), 0);
	CHECK_EQ(answer.kind, PCP_REFUSED);
	CHECK_EQ(answer.result, 8);
	CHECK_EQ(answer.lifetime_s, 30);
}

static void test_what_is_no_answer_is_refused(void)
{
	static const char *const rows[] = {
		"",
		"02",
		"02010000",
		"01810000",
		/* another operation, another protocol than UDP and TCP (SCTP), another opcode of NAT-PMP */
		"028200000000007800000e10000000000000000000000000",
		"028100000000007800000e107477656c7665206279746573"
		"840000001b581b59"
		"00000000000000000000ffffc6120001",
		"0083000000000e101b581b5900000078",
		/* an announcement that is an error, and one of no whole words */
		"028000080000000000000007000000000000000000000000",
		"02800000000000000000000700000000000000000000000000",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pcp_answer answer;

		CHECK_EQ(read_hex(rows[i], &answer), WEFT_EMALFORMED);
	}
}

static void test_every_prefix_of_an_answer_is_refused(void)
{
	static const char *const wholes[] = {PCP_ANSWER, "0081000000000e101b581b5900000078",
					     "0080000000000e10c6120001", PCP_ANNOUNCEMENT};

	for (size_t i = 0; i < sizeof(wholes) / sizeof(wholes[0]); i++) {
		size_t len = hex_parse(wholes[i], bytes);

		for (size_t cut = 0; cut < len; cut++) {
			struct pcp_answer answer;
			uint8_t *exact = malloc(cut ? cut : 1);

			memcpy(exact, bytes, cut);
			CHECK_EQ(pcp_read(exact, cut, &answer), WEFT_EMALFORMED);
			free(exact);
		}
	}
}

int main(void)
{
	RUN(test_a_pcp_request_is_as_in_the_rfc);
	RUN(test_a_nat_pmp_request_is_as_in_the_rfc);
	RUN(test_tcp_is_named_in_requests_and_answers);
	RUN(test_answers_are_read);
	RUN(test_refusals_say_why);
	RUN(test_what_is_no_answer_is_refused);
	RUN(test_every_prefix_of_an_answer_is_refused);
	return check_done();
}
