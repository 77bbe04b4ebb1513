/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_WRITE_POST_DRAFTS_H
#define WEFT_SOCIAL_WRITE_POST_DRAFTS_H

#include <stddef.h>
#include <stdint.h>

#include "social/write/social_write.h"

/*
 * Drafts: posts that are not posted yet, durable. Their audience is kept in words, and resolved when they are
 * posted. They lie in the database of this node as they are, and no other node gets them. Rows of
 * STORE_DRAFTS: the kind, POST_DRAFT_ROW, then
 *
 *	0 text | 1 changed ms | 2 intent | 3 persona 32 | 4 circle? | 5 group 32? | 6 names? | 7 parent 32?
 *
 * names: of readers or files, as they were typed, each on a line.
 */
#define DRAFTS_MAX	    1024u
#define DRAFT_ID_LEN	    16u
#define DRAFT_NAMES_LEN_MAX (64u << 10)
#define POST_DRAFT_ROW	    1u

/* Pointers are borrowed: for the call, or until social_drafts_each goes on. */
struct stored_draft {
	const uint8_t *id; /* DRAFT_ID_LEN; not in the row */
	const char *text;
	size_t text_len;
	uint64_t changed_ms;
	enum post_intent intent;
	const uint8_t *persona; /* NODE_KEY_LEN */
	const char *circle;	/* no NUL; NULL: none */
	size_t circle_len;
	const uint8_t *group; /* or NULL */
	const char *names;    /* no NUL */
	size_t names_len;
	const uint8_t *parent; /* or NULL */
};
/*
 * social_drafts_put keeps a draft: in place of that of draft->id, or as a new one if that is NULL. done (not
 * NULL) follows when it is durable. 0 with the id; WEFT_EABSENT (no such draft), WEFT_ETOOLARGE,
 * WEFT_EMALFORMED (not UTF-8), WEFT_EFULL (DRAFTS_MAX), WEFT_EBUSY, WEFT_EDAMAGED or -errno.
 */
WEFT_MUST_CHECK
int social_drafts_put(struct social_write *write, const struct stored_draft *draft,
		      struct post_change_done done, uint8_t out_id[static DRAFT_ID_LEN]);
/* social_drafts_drop: 0, WEFT_EABSENT, WEFT_EBUSY, WEFT_EDAMAGED or -errno. */
WEFT_MUST_CHECK
int social_drafts_drop(struct social_write *write, const uint8_t id[static DRAFT_ID_LEN],
		       struct post_change_done done);
/*
 * social_drafts_restore keeps a row as another node of this person had it. 0, WEFT_EEXISTS (a draft of that id
 * is here), WEFT_EMALFORMED, WEFT_EFULL, WEFT_EBUSY, WEFT_EDAMAGED or -errno.
 */
WEFT_MUST_CHECK
int social_drafts_restore(struct social_write *write, const uint8_t id[static DRAFT_ID_LEN],
			  const void *row, size_t len);
/* social_drafts_each: in no order, until fn returns false. 0, WEFT_EDAMAGED or -errno. */
WEFT_MUST_CHECK
int social_drafts_each(struct social_write *write,
		       bool (*fn)(void *arg, const struct stored_draft *draft), void *arg);

#endif
