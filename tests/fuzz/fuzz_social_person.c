/* SPDX-License-Identifier: Apache-2.0 */
/* What people say of themselves and of their keys. */
#include <stdlib.h>
#include <string.h>

#include "crypto/signed.h"
#include "social/object/profile.h"
#include "social/object/social_text.h"
#include "social/object/successor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct profile profile;

static void check(const uint8_t *data, size_t len)
{
	struct profile_circle circle;
	struct successor successor;

	if (social_profile_read(data, len, &profile) == 0 &&
	    (profile.anchor_cnt > PROFILE_ANCHORS_MAX || profile.follow_cnt > PROFILE_FOLLOWS_MAX ||
	     strlen(profile.name) >= PROFILE_NAME_CAP || strlen(profile.text) >= PROFILE_TEXT_CAP))
		abort();
	if (social_profile_circle_read(data, len, &circle) == 0 &&
	    (circle.sealed_len == 0 || circle.sealed_len > PROFILE_SEALED_LEN_MAX))
		abort();
	if (social_successor_read(data, len, &successor) == 0 &&
	    memcmp(successor.former, successor.next, NODE_KEY_LEN) == 0)
		abort();
	if (social_text_is_name((const char *)data, len) &&
	    !social_text_is_shown((const char *)data, len))
		abort();
}

/* The input is an object, or the body of one that a key has signed under each tag. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const tags[] = {PROFILE_TAG, PROFILE_CIRCLE_TAG, SUCCESSOR_TAG};
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {8};
	static uint8_t out[PROFILE_LEN_MAX + 1];
	struct node_key *key;

	check(data, len);
	if (node_key_from_seed(seed, &key) < 0)
		abort();
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		struct writer w = writer_of(out, sizeof(out));

		if (len < PROFILE_LEN_MAX)
			signed_write(&w, key, tags[i], data, len);
		if (!w.bad)
			check(out, writer_len(&w));
	}
	node_key_free(key);
	return 0;
}
