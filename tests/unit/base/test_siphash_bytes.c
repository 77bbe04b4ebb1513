/* SPDX-License-Identifier: Apache-2.0 */
#include "base/siphash_bytes.h"
#include "support/check.h"

/* Key 00..0f, message 00..(len-1): vectors of the reference code (veorq/SipHash, vectors.h). */
static const struct {
	size_t len;
	uint64_t want;
} rows[] = {
	{0, 0x726fdb47dd0e0e31ull},
	{1, 0x74f839c593dc67fdull},
	{8, 0x93f5f5799a932462ull},
	{15, 0xa129ca6149be45e5ull},
};

static void test_published_vectors_agree(void)
{
	static const uint64_t key[2] = {0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull};
	uint8_t message[16];

	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(siphash(key, message, rows[i].len), rows[i].want);
}

int main(void)
{
	RUN(test_published_vectors_agree);
	return check_done();
}
