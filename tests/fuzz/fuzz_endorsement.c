/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "crypto/signed.h"
#include "offers/message/endorsement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Written by a key of its own, an endorsement of any words is read again. */
static void check_again(const struct endorsement *said)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {7};
	uint8_t out[ENDORSEMENT_LEN_MAX];
	struct writer w = writer_of(out, sizeof(out));
	struct endorsement heard;
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	offers_endorsement_write(&w, said, key);
	node_key_free(key);
	if (w.bad)
		return; /* it vouches for that key */
	if (offers_endorsement_parse(out, writer_len(&w), &heard) < 0 ||
	    heard.is_seed_form != said->is_seed_form || heard.level != said->level ||
	    heard.expires_s != said->expires_s || heard.reason_len != said->reason_len)
		abort();
}

static void check(const uint8_t *data, size_t len)
{
	struct endorsement said;

	if (offers_endorsement_parse(data, len, &said) < 0)
		return;
	if (said.level > ENDORSEMENT_LEVEL_MAX || said.expires_s <= said.made_s ||
	    offers_endorsement_level(&said, false) > said.level ||
	    said.reason_len > ENDORSEMENT_REASON_LEN_MAX)
		abort();
	if (said.endorser)
		(void)!offers_endorsement_verify(&said, said.endorser);
	check_again(&said);
}

/* The input is an endorsement, or the body of one that a key has signed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {8};
	uint8_t out[ENDORSEMENT_LEN_MAX + 1];
	struct writer w = writer_of(out, sizeof(out));
	struct node_key *key;

	check(data, len);
	if (node_key_from_seed(seed, &key) < 0)
		abort();
	if (len < ENDORSEMENT_LEN_MAX)
		signed_write(&w, key, ENDORSEMENT_TAG, data, len);
	node_key_free(key);
	if (!w.bad)
		check(out, writer_len(&w));
	return 0;
}
