/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/post_judge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A part is verified only if those before it belong together. */
static int judge(const struct post_parts *parts, struct judged_post *judged)
{
	int err;

	if ((err = social_post_parse(parts->post, parts->post_len, &judged->post)) < 0 ||
	    (err = social_claim_read(parts->claim, parts->claim_len, &judged->claim)) < 0)
		return err;
	social_post_id(parts->post, parts->post_len, judged->id);
	if (memcmp(judged->claim.post, judged->id, POST_ID_LEN) != 0)
		return WEFT_EMALFORMED;
	if (memcmp(judged->claim.author, judged->post.author, NODE_KEY_LEN) != 0)
		return WEFT_EWRONGKEY;
	err = social_visibility_read(parts->visibility, parts->visibility_len, &judged->visibility);
	if (err < 0)
		return err;
	if (memcmp(judged->visibility.post, judged->id, POST_ID_LEN) != 0)
		return WEFT_EMALFORMED;
	return memcmp(judged->visibility.author, judged->post.author, NODE_KEY_LEN) == 0
		       ? 0
		       : WEFT_EWRONGKEY;
}

int social_post_judge(const struct post_parts *parts, struct judged_post **out_judged)
{
	struct judged_post *judged = malloc(sizeof(*judged));
	int err = judged ? judge(parts, judged) : -ENOMEM;

	if (err < 0)
		free(judged);
	else
		*out_judged = judged;
	return err;
}

void social_judged_free(struct judged_post *judged)
{
	free(judged);
}
