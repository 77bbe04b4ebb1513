/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a holder shows and a revocation list, as they are and as bodies that are signed here, so
 * that their fields are reached. What parses is written again to the same bytes.
 */
#include <string.h>

#include "base/assert.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "relay/grants/grant_record.h"
#include "relay/grants/grant_revocations.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct node_key *key;
static uint8_t bytes[RELAY_REVOCATIONS_LEN_MAX + SIGNED_OVERHEAD_MAX];
static uint8_t again[sizeof(bytes)];

static void check_grant(const struct relay_shown *shown)
{
	struct writer w = writer_of(again, sizeof(again));
	struct relay_grant_record grant = shown->grant;
	struct relay_shown back;

	relay_grant_record_write(&w, key, &grant);
	weft_assert(!w.bad && writer_len(&w) == shown->grant_len);
	weft_assert(relay_shown_parse(again, writer_len(&w), &back) == 0);
	weft_assert(relay_shown_verify(&back) == 0);
	weft_assert(memcmp(&back.grant, &grant, sizeof(grant)) == 0);
}

static void check_shown(const uint8_t *at, size_t len)
{
	static const uint8_t user[32] = {1};
	struct relay_shown shown;

	if (relay_shown_parse(at, len, &shown) < 0)
		return;
	weft_assert(shown.key_cnt <= RELAY_SET_KEYS_MAX);
	(void)relay_shown_judge(
		&shown, &(struct relay_grant_place){shown.grant.issuer, user, user, 1700000000});
	check_grant(&shown);
}

static void check_revocations(const uint8_t *at, size_t len)
{
	static struct relay_revocations list, back;
	struct writer w = writer_of(again, sizeof(again));

	if (relay_revocations_parse(at, len, &list) < 0)
		return;
	for (uint32_t i = 0; i < list.cnt; i++)
		weft_assert(relay_revocations_have(&list, list.serials[i]));
	relay_revocations_write(&w, key, &list);
	weft_assert(!w.bad && relay_revocations_parse(again, writer_len(&w), &back) == 0);
	weft_assert(memcmp(&list, &back, sizeof(list)) == 0);
}

static size_t sign(const char *tag, const uint8_t *data, size_t len)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	signed_write(&w, key, tag, data, len);
	return w.bad ? 0 : writer_len(&w);
}

static void check_text(const uint8_t *data, size_t len)
{
	static char text[2 * RELAY_GRANT_TEXT_CAP];
	static uint8_t read[RELAY_SHOWN_LEN_MAX];
	size_t read_len;

	if (len >= sizeof(text))
		return;
	memcpy(text, data, len);
	text[len] = '\0';
	if (relay_grant_text_read(text, read, &read_len) == 0)
		check_shown(read, read_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};

	if (!key)
		weft_assert(node_key_from_seed(seed, &key) == 0);
	check_text(data, len);
	check_shown(data, len);
	check_shown(bytes, sign(RELAY_GRANT_TAG, data, len));
	check_shown(bytes, sign(RELAY_SET_TAG, data, len));
	check_revocations(data, len);
	check_revocations(bytes, sign(RELAY_REVOKE_TAG, data, len));
	return 0;
}
