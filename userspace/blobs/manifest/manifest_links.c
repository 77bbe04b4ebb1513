/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The symbolic links of a manifest, read, and the check that no path of its
 * three lists is in the way of another: bytes of a peer.
 */
#include "manifest_reading.h"

#include <string.h>

enum { LINK_PATH = 0, LINK_TEXT = 1 };

static void link_read(struct manifest_reading *reading, struct manifest_link *link)
{
	struct cbor_reader *r = &reading->r;
	uint64_t key;

	cbor_enter_map(r);
	while (cbor_next_key(r, &key)) {
		if (key == LINK_PATH)
			link->path = cbor_read_text(r, &link->path_len);
		else if (key == LINK_TEXT)
			link->text = cbor_read_text(r, &link->text_len);
		else
			cbor_skip(r);
	}
	if (cbor_is_bad(r))
		return;
	if (!link->path || !link->text)
		cbor_fail(r);
	else if (!blobs_manifest_path_is_safe(link->path, link->path_len) ||
		 !blobs_manifest_link_is_safe(link->path, link->path_len, link->text,
					      link->text_len))
		blobs_manifest_reading_fail(reading, WEFT_EUNSAFE);
}

static bool link_follows(const struct manifest_link *link, const struct manifest_link *last)
{
	return blobs_manifest_path_compare(last->path, last->path_len, link->path, link->path_len) <
		       0 &&
	       !blobs_manifest_path_is_below(link->path, link->path_len, last->path,
					     last->path_len);
}

void blobs_manifest_links_read(struct manifest_reading *reading)
{
	struct manifest *m = reading->manifest;
	uint64_t cnt = cbor_enter_array(&reading->r);

	m->links = blobs_manifest_list_alloc(reading, cnt, MANIFEST_LINKS_MAX, sizeof(*m->links));
	while (cbor_next(&reading->r) && m->links) {
		struct manifest_link *link = &m->links[m->link_cnt];

		link_read(reading, link);
		if (!cbor_is_bad(&reading->r) && m->link_cnt && !link_follows(link, link - 1))
			cbor_fail(&reading->r);
		m->link_cnt += !cbor_is_bad(&reading->r);
	}
}

/* --- three lists in one order --- */

enum list { LIST_ITEMS, LIST_DIRS, LIST_LINKS };

static const char *list_path(const struct manifest *m, enum list list, uint32_t at, size_t *out_len)
{
	switch (list) {
	case LIST_ITEMS:
		*out_len = m->items[at].path_len;
		return m->items[at].path;
	case LIST_DIRS:
		*out_len = m->dirs[at].path_len;
		return m->dirs[at].path;
	default:
		*out_len = m->links[at].path_len;
		return m->links[at].path;
	}
}

static uint32_t list_cnt(const struct manifest *m, enum list list)
{
	return list == LIST_ITEMS ? m->item_cnt : list == LIST_DIRS ? m->dir_cnt : m->link_cnt;
}

/*
 * Both ascend, and what lies below a path comes right behind it, so it is
 * enough to compare the two that are at hand.
 */
static bool two_are_apart(const struct manifest *m, enum list left, enum list right)
{
	uint32_t l = 0, r = 0;

	while (l < list_cnt(m, left) && r < list_cnt(m, right)) {
		size_t a_len, b_len;
		const char *a = list_path(m, left, l, &a_len);
		const char *b = list_path(m, right, r, &b_len);
		int order = blobs_manifest_path_compare(a, a_len, b, b_len);

		if (order == 0 ||
		    (left != LIST_DIRS && blobs_manifest_path_is_below(b, b_len, a, a_len)) ||
		    (right != LIST_DIRS && blobs_manifest_path_is_below(a, a_len, b, b_len)))
			return false;
		l += order < 0;
		r += order > 0;
	}
	return true;
}

bool blobs_manifest_lists_are_apart(const struct manifest *m)
{
	return two_are_apart(m, LIST_ITEMS, LIST_DIRS) &&
	       two_are_apart(m, LIST_ITEMS, LIST_LINKS) && two_are_apart(m, LIST_DIRS, LIST_LINKS);
}
