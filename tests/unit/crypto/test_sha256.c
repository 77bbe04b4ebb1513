/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/sha256.h"

#include "support/check.h"
#include "support/hex_digits.h"

/* FIPS 180-4's examples, and the service id of docs/wire/descriptor.md. */
static void test_published_examples(void)
{
	static const struct {
		const char *text;
		const char *hash;
	} rows[] = {
		{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
		{"svc:pod-chat:peer:xyz",
		 "d947c11f5962d1caecde9fc2e4e1fc54f0ac23fae43e86efe5f6ada5af0c94f1"},
	};
	uint8_t got[SHA256_HASH_LEN], want[SHA256_HASH_LEN];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		hex_parse(rows[i].hash, want);
		sha256(rows[i].text, strlen(rows[i].text), got);
		CHECK_MEM(got, want, sizeof(want));
	}
}

int main(void)
{
	RUN(test_published_examples);
	return check_done();
}
