/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_MAIL_MAIL_ENVELOPE_H
#define WEFT_SOCIAL_MAIL_MAIL_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "social/object/post_judge.h"
#include "weft/err.h"

/*
 * What a deposit of the social layer has inside its seal. It is one thing for a person whose node is off,
 * as it would go in a session.
 *
 *	0 kind | 1 post, 2 claim, 3 visibility	of MAIL_POST
 *	0 kind | 4 object			of the others
 *
 * Nothing here says which node sent it: each object is signed by its author. Pure, and thread-safe.
 */
#define MAIL_ENVELOPE_LEN_MAX 65635u /* of a deposit's content (deposits/deposits.h) */

enum mail_kind {
	MAIL_POST = 1,	  /* a direct message, a request or a receipt */
	MAIL_VISIBILITY,  /* an object of tag vis */
	MAIL_DELETION,	  /* of tag delete */
	MAIL_GROUP_KEY,	  /* the payload of GROUP_KEY, 640 */
	MAIL_GROUP_REKEY, /* of GROUP_REKEY, 641 */
	MAIL_KIND_CNT,
};

/* Pointers borrow the bytes that were parsed. */
struct mail_envelope {
	uint8_t kind;		 /* enum mail_kind */
	struct post_parts parts; /* of MAIL_POST */
	const uint8_t *object;	 /* of the others */
	size_t object_len;
};
/* social_envelope_parse: 0 or WEFT_EMALFORMED. social_envelope_write: too long a one makes w bad. */
WEFT_MUST_CHECK
int social_envelope_parse(const void *bytes, size_t len, struct mail_envelope *out_envelope);
void social_envelope_write(struct writer *w, const struct mail_envelope *envelope);

#endif
