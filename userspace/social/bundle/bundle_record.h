/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_BUNDLE_BUNDLE_RECORD_H
#define WEFT_SOCIAL_BUNDLE_BUNDLE_RECORD_H

#include "social/bundle/bundle_file.h"
#include "social/people/circles.h"
#include "social/people/person_follows.h"
#include "social/people/person_requests.h"

/* What lies in a record, but for posts (bundle_file.h). Pure. Pointers borrow the bytes. */

struct bundle_follow {
	const uint8_t *persona, *person; /* NODE_KEY_LEN */
	enum follow_kind kind;
	char petname[SOCIAL_NAME_CAP];
};
void social_bundle_follow_write(struct writer *w, const struct bundle_follow *follow);
WEFT_MUST_CHECK
int social_bundle_follow_parse(const struct bundle_record *record,
			       struct bundle_follow *out_follow);

struct bundle_circle {
	const uint8_t *persona;
	uint8_t rank;
	bool has_profile;
	const uint8_t *picture; /* zeros: none */
	char name[SOCIAL_NAME_CAP], profile_name[SOCIAL_NAME_CAP], profile_text[PROFILE_TEXT_CAP];
};
void social_bundle_circle_write(struct writer *w, const struct bundle_circle *circle);
WEFT_MUST_CHECK
int social_bundle_circle_parse(const struct bundle_record *record,
			       struct bundle_circle *out_circle);

#define BUNDLE_PERSONA_VIA_ANCHORS   1u
#define BUNDLE_PERSONA_FORMER	     2u
#define BUNDLE_PERSONA_SHOWS_FOLLOWS 4u
#define BUNDLE_PERSONA_HAS_NEXT	     8u
struct bundle_persona {
	const uint8_t *seed;
	uint8_t flags;
	const uint8_t *next_seed; /* with BUNDLE_PERSONA_HAS_NEXT: of the key that is to follow */
	uint64_t committed_ms;	  /* and when it was drawn */
	char label[SOCIAL_NAME_CAP];
};
void social_bundle_persona_write(struct writer *w, const struct bundle_persona *persona);
WEFT_MUST_CHECK
int social_bundle_persona_parse(const struct bundle_record *record,
				struct bundle_persona *out_persona);

struct bundle_feed {
	const char *name, *filter; /* no NUL */
	size_t name_len, filter_len;
};
void social_bundle_feed_write(struct writer *w, const struct bundle_feed *feed);
WEFT_MUST_CHECK
int social_bundle_feed_parse(const struct bundle_record *record, struct bundle_feed *out_feed);

void social_bundle_answer_write(struct writer *w, const struct request_answer *answer);
WEFT_MUST_CHECK
int social_bundle_answer_parse(const struct bundle_record *record,
			       struct request_answer *out_answer);

/*
 * social_bundle_judge: the record is what its kind says, and what people signed in it verifies, 150 us a
 * post. 0, or a negative code with why, which is static. out_id: of the post, or the person; zeros: of none.
 */
WEFT_MUST_CHECK
int social_bundle_judge(const struct bundle_record *record, uint8_t out_id[static 32],
			const char **out_why);

#endif
