/* SPDX-License-Identifier: Apache-2.0 */
/* A head that parses is written again to the same; the input is a body, signed first, too. */
#include <string.h>

#include "base/assert.h"
#include "shares/head.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "mesh/seam_overlay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct node_key *fuzz_key(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};
	static struct node_key *key;

	if (!key)
		weft_assert(node_key_from_seed(seed, &key) == 0);
	return key;
}

static void check_head(const uint8_t *data, size_t len)
{
	uint8_t bytes[HEAD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct share_head head, again;

	if (shares_head_parse(data, len, &head) < 0)
		return;
	again = head;
	shares_head_write(&w, fuzz_key(), &again);
	weft_assert(!w.bad);
	weft_assert(shares_head_parse(bytes, writer_len(&w), &again) == 0);
	weft_assert(again.seq == head.seq && again.updated_s == head.updated_s);
	weft_assert(memcmp(again.manifest_id, head.manifest_id, sizeof(head.manifest_id)) == 0);
	weft_assert(!shares_head_is_newer(&again, &head) && !shares_head_is_newer(&head, &again));
}

static void check_rule(const uint8_t *data, size_t len)
{
	uint8_t name[HEAD_OVERLAY_NAME_LEN];
	struct overlay_claim claim;
	struct overlay_rule rule;

	shares_head_rule(&rule);
	shares_head_overlay_name(node_key_public(fuzz_key()), name);
	(void)rule.check(rule.ctx, &(struct overlay_value){name, sizeof(name), data, len},
			 1700000000, &claim);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t bytes[2 * HEAD_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	check_head(data, len);
	check_rule(data, len);
	if (len > HEAD_LEN_MAX)
		return 0;
	signed_write(&w, fuzz_key(), HEAD_TAG, data, len);
	check_head(bytes, writer_len(&w));
	return 0;
}
