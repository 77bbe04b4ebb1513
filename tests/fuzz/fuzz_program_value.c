/* SPDX-License-Identifier: Apache-2.0 */
/* An overlay value of a program that parses is written again as what reads the same. */
#include <string.h>

#include "base/assert.h"
#include "base/byte_cursor.h"
#include "crypto/node_key.h"
#include "provider/tenant/program_value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct node_key *fuzz_key(void)
{
	static struct node_key *key;
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};

	if (!key)
		weft_assert(node_key_from_seed(seed, &key) == 0);
	return key;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct overlay_rule rule = provider_program_value_rule();
	const struct overlay_value stored = {
		.name = "app:a:b:c", .name_len = 9, .bytes = data, .len = len};
	uint8_t bytes[PROGRAM_VALUE_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct program_value value, again;
	struct overlay_claim claim;

	(void)rule.check(rule.ctx, &stored, 1800000000, &claim);
	if (provider_program_value_parse(data, len, &value) < 0)
		return 0;
	provider_program_value_write(&w, &value, fuzz_key());
	weft_assert(!w.bad);
	weft_assert(provider_program_value_parse(bytes, writer_len(&w), &again) == 0);
	weft_assert(again.number == value.number && again.created_s == value.created_s);
	weft_assert(again.expires_s == value.expires_s && again.len == value.len);
	weft_assert(again.name_len == value.name_len);
	weft_assert(memcmp(again.name, value.name, value.name_len) == 0);
	weft_assert(!value.len || memcmp(again.bytes, value.bytes, value.len) == 0);
	return 0;
}
