/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/sha1.h"

#include "support/check.h"
#include "support/hex_digits.h"

/* RFC 3174, 7.3, and FIPS 180's own examples. */
static void test_published_examples(void)
{
	static const struct {
		const char *text;
		const char *hash;
	} rows[] = {
		{"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		{"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
	};
	static uint8_t million[1000000];
	uint8_t got[SHA1_HASH_LEN], want[SHA1_HASH_LEN];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		hex_parse(rows[i].hash, want);
		sha1(rows[i].text, strlen(rows[i].text), got);
		CHECK_MEM(got, want, sizeof(want));
	}
	memset(million, 'a', sizeof(million));
	hex_parse("34aa973cd4c4daa4f61eeb2bdbad27316534016f", want);
	sha1(million, sizeof(million), got);
	CHECK_MEM(got, want, sizeof(want));
}

/* Bytes i mod 251, hashed by Python's hashlib. */
static void test_every_kind_of_last_block(void)
{
	static const struct {
		size_t len;
		const char *hash;
	} rows[] = {
		{55, "8ae2d46729cfe68ff927af5eec9c7d1b66d65ac2"},
		{56, "636e2ec698dac903498e648bd2f3af641d3c88cb"},
		{63, "6d942da0c4392b123528f2905c713a3ce28364bd"},
		{64, "c6138d514ffa2135bfce0ed0b8fac65669917ec7"},
		{65, "69bd728ad6e13cd76ff19751fde427b00e395746"},
		{119, "41c89d06001bab4ab78736b44efe7ce18ce6ae08"},
		{120, "d3dbd653bd8597b7475321b60a36891278e6a04a"},
		{128, "e6434bc401f98603d7eda504790c98c67385d535"},
		{1000, "c9c960a0b925474fab83942cc27d504fc24ac37b"},
	};
	uint8_t data[1000], got[SHA1_HASH_LEN], want[SHA1_HASH_LEN];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i % 251);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		hex_parse(rows[i].hash, want);
		sha1(data, rows[i].len, got);
		CHECK_MEM(got, want, sizeof(want));
	}
}

int main(void)
{
	RUN(test_published_examples);
	RUN(test_every_kind_of_last_block);
	return check_done();
}
