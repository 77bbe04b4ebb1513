/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_SOCIAL_PERSON_WORDS_H
#define WEFT_API_SOCIAL_PERSON_WORDS_H

#include "api/methods.h"
#include "social/people/person_follows.h"

/* What calls about people have in common: the words by which they name them, and replies. */

/* api_people: NULL: the layer is off, and call was failed. */
struct people *api_people(struct api *api, struct control_call *call);
/*
 * api_person_read: a key; or the first 8 letters and more, or the name, of one person that is known here.
 * false: call was failed.
 */
bool api_person_read(struct people *people, struct control_call *call, const char *text,
		     uint8_t key[static NODE_KEY_LEN]);
/* api_persona_read: the index of a number; missing: that of 0. false: call was failed. */
bool api_persona_read(const struct people *people, struct control_call *call, const int64_t *number,
		      unsigned *out_idx);
/* api_persona_or_each: missing: SOCIAL_EACH_PERSONA. */
bool api_persona_or_each(const struct people *people, struct control_call *call,
			 const int64_t *number, unsigned *out_idx);
#define API_NUMBER(in, field) ((in)->has_##field ? &(in)->field : NULL)

/* api_person_name: as it is shown here; "" where it is not known. */
const char *api_person_name(struct varlink_blocks *blocks, struct people *people,
			    const uint8_t *key);

/*
 * api_person_change_begin: a reply that waits for the disk; false: call was failed. reply is taken.
 * api_person_change_end: err of what was asked for; word names it. Both in one call.
 */
bool api_person_change_begin(struct control_call *call, const char *what, json_t *reply,
			     struct people_done *out_done);
void api_person_change_end(struct control_call *call, int err, const char *word,
			   const struct people_done *done);

#endif
