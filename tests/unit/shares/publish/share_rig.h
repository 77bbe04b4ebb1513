/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_SHARE_RIG_H
#define WEFT_TESTS_SHARE_RIG_H

#include "blobs/serve/served_index.h"
#include "publish_rig.h"

/* A share that publish_rig.h publishes. */

/* share_begin: a publisher with the share "docs", of the folder "t" with two files, and no revision yet. */
static inline bool share_begin(struct publish_rig *p, struct fake_overlay *overlay,
			       uint8_t out_id[static SHARE_ID_LEN])
{
	if (!pub_begin(p, overlay))
		return false;
	pub_tree(p, "t", 2);
	return pub_create(p, pub_settings("docs"), pub_seed, out_id) == 0;
}

static inline void share_end(struct publish_rig *p, struct fake_overlay *overlay)
{
	pub_end(p);
	fake_overlay_fini(overlay);
}

/* overlay_head reads the head that lies in the overlay. */
static inline bool overlay_head(const struct fake_overlay *overlay, const uint8_t *id,
				struct share_head *out_head)
{
	uint8_t name[HEAD_OVERLAY_NAME_LEN];

	shares_head_overlay_name(id, name);
	for (size_t i = 0; i < overlay->value_cnt; i++) {
		const struct fake_value *value = &overlay->values[i];

		if (value->name_len == sizeof(name) && memcmp(value->name, name, sizeof(name)) == 0)
			return shares_head_parse(value->bytes + 1, value->len - 1, out_head) == 0;
	}
	return false;
}

static inline bool is_listed(struct publish_rig *p, const uint8_t *manifest_id)
{
	return blobs_shares_has_manifest(p->rig.content->shares, manifest_id);
}

#endif
