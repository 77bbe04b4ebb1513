/* SPDX-License-Identifier: Apache-2.0 */
/* An announcement that parses is written again to the same; the input is a body, signed first, too. */
#include <string.h>

#include "base/assert.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "relay/find/announcement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The seed of the corpus: bodies name its key. */
static const struct node_key *fuzz_key(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};
	static struct node_key *key;

	if (!key)
		weft_assert(node_key_from_seed(seed, &key) == 0);
	return key;
}

static void check(const uint8_t *data, size_t len)
{
	uint8_t bytes[RELAY_ANNOUNCEMENT_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct relay_announcement first, again;

	if (relay_announcement_parse(data, len, &first) < 0)
		return;
	weft_assert(relay_announcement_verify(data, len) <= 0);
	weft_assert(first.addr_cnt > 0 && first.addr_cnt <= PEER_ADDRS_MAX);
	weft_assert(first.expires_s - first.issued_s <= RELAY_ANNOUNCEMENT_LIFE_S);
	again = first;
	relay_announcement_write(&w, fuzz_key(), &again);
	weft_assert(!w.bad && relay_announcement_parse(bytes, writer_len(&w), &again) == 0);
	weft_assert(relay_announcement_verify(bytes, writer_len(&w)) == 0);
	weft_assert(again.addr_cnt == first.addr_cnt && again.url_cnt == first.url_cnt);
	for (unsigned i = 0; i < first.addr_cnt; i++)
		weft_assert(addr_equal(&again.addrs[i], &first.addrs[i]));
	weft_assert(memcmp(again.urls, first.urls, sizeof(first.urls)) == 0);
	weft_assert(again.caps == first.caps && again.expires_s == first.expires_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t bytes[2 * RELAY_ANNOUNCEMENT_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	check(data, len);
	if (len > RELAY_ANNOUNCEMENT_LEN_MAX)
		return 0;
	signed_write(&w, fuzz_key(), "relayann", data, len);
	check(bytes, writer_len(&w));
	return 0;
}
