/* SPDX-License-Identifier: Apache-2.0 */
#include "head_seen.h"

#include <string.h>

#include "base/assert.h"
#include "store/store.h"

int shares_head_seen_get(struct store_snapshot *snapshot,
			 const uint8_t share_id[static SHARE_ID_LEN], struct head_seen *out_seen)
{
	struct head_seen seen;
	const void *bytes;
	int err = store_get(snapshot, STORE_HEADS, store_key(share_id, SHARE_ID_LEN), &bytes,
			    &seen.len);

	if (err < 0)
		return err;
	if (shares_head_parse(bytes, seen.len, &seen.head) < 0 ||
	    memcmp(seen.head.share_id, share_id, SHARE_ID_LEN) != 0)
		return WEFT_EDAMAGED;
	memcpy(seen.bytes, bytes, seen.len);
	*out_seen = seen;
	return 0;
}

void shares_head_seen_put(struct store_batch *batch, const struct head_seen *seen)
{
	store_batch_put(batch, STORE_HEADS, store_key(seen->head.share_id, SHARE_ID_LEN),
			seen->bytes, seen->len);
}

void shares_head_seen_write(const struct node_key *key, const struct share_head *head,
			    struct head_seen *out_seen)
{
	struct writer w = writer_of(out_seen->bytes, sizeof(out_seen->bytes));

	out_seen->head = *head;
	shares_head_write(&w, key, &out_seen->head);
	weft_assert(!w.bad); /* HEAD_LEN_MAX has room for any */
	out_seen->len = writer_len(&w);
}
