/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "crypto/signed.h"
#include "offers/message/service_caps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is read is written by another key, and read again. */
static void check(const uint8_t *data, size_t len, const struct node_key *key)
{
	uint8_t out[SERVICE_CAPS_LEN_MAX];
	struct writer w = writer_of(out, sizeof(out));
	struct service_caps caps, again;

	if (offers_caps_parse(data, len, &caps) < 0)
		return;
	if (caps.row_cnt > SERVICE_CAPS_ROWS_MAX)
		abort();
	for (unsigned i = 0; i < caps.row_cnt; i++)
		if (offers_caps_row(&caps, caps.rows[i].service) != &caps.rows[i])
			abort();
	offers_caps_write(&w, &caps, key);
	if (w.bad || offers_caps_parse(out, writer_len(&w), &again) < 0 ||
	    again.row_cnt != caps.row_cnt || again.made_s != caps.made_s)
		abort();
}

/* The input is an object, or the body of one that the key of zeros has signed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN];
	uint8_t out[SERVICE_CAPS_LEN_MAX];
	struct writer w = writer_of(out, sizeof(out));
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	check(data, len, key);
	if (len < SERVICE_CAPS_LEN_MAX)
		signed_write(&w, key, SERVICE_CAPS_TAG, data, len);
	if (!w.bad)
		check(out, writer_len(&w), key);
	node_key_free(key);
	return 0;
}
