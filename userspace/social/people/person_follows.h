/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_PEOPLE_PERSON_FOLLOWS_H
#define WEFT_SOCIAL_PEOPLE_PERSON_FOLLOWS_H

#include "people.h"
#include "personas.h"

/*
 * The people that personas of this node follow, and the names under which they are shown here. Then
 * the people that are blocked, and those that follow the personas.
 *
 * A person that is followed publicly is a Friend: a reader of what is posted to friends. A private
 * follow is in no list that others see, and makes no Friend.
 */
enum follow_kind { FOLLOW_NONE, FOLLOW_PUBLIC, FOLLOW_PRIVATE };

#define SOCIAL_FOLLOWS_MAX  4096u /* people, whatever personas follow them */
#define SOCIAL_BLOCKS_MAX   4096u
#define SOCIAL_AUDIENCE_MAX 4096u
#define SOCIAL_EACH_PERSONA UINT32_MAX

/*
 * social_follow_of: how the persona idx follows a person. SOCIAL_EACH_PERSONA: FOLLOW_PUBLIC if any does
 * so, else FOLLOW_PRIVATE if any does. A person whose key two others claim to succeed is frozen. It
 * counts as FOLLOW_NONE until the person at this node has said which one it is.
 */
enum follow_kind social_follow_of(const struct people *people, unsigned persona,
				  const uint8_t person[static NODE_KEY_LEN]);
/* Borrowed for the call. */
struct follow_view {
	const uint8_t *person;
	enum follow_kind kind; /* of the persona that was asked for, as social_follow_of */
	const char *petname;   /* "": none */
	uint64_t since_ms;
	bool is_frozen;
};
/*
 * social_follows_each: those of a persona, or of SOCIAL_EACH_PERSONA, frozen ones among them, in the order
 * in which they came. fn changes nothing here; false ends the walk.
 */
void social_follows_each(const struct people *people, unsigned persona,
			 bool (*fn)(void *arg, const struct follow_view *view), void *arg);
struct person_follow {
	unsigned persona;
	const uint8_t *person;
	enum follow_kind kind; /* from now on */
};
/*
 * social_follow_set: 0, WEFT_EREFUSED (a persona of this node, or blocked), WEFT_EMALFORMED (no key).
 * WEFT_EABSENT: FOLLOW_NONE, and it is not followed. WEFT_EEXISTS: it is so already.
 * WEFT_EFULL (SOCIAL_FOLLOWS_MAX) or WEFT_EBUSY.
 */
WEFT_MUST_CHECK
int social_follow_set(struct people *people, const struct person_follow *change,
		      const struct people_done *done, uint64_t now_ns);
/* social_petname_set: of a person that is followed; "" takes it away. 0, WEFT_EABSENT, WEFT_EMALFORMED, WEFT_EBUSY. */
WEFT_MUST_CHECK
int social_petname_set(struct people *people, const uint8_t person[static NODE_KEY_LEN],
		       const char *petname, const struct people_done *done, uint64_t now_ns);
/*
 * social_is_acquainted: followed by a persona, or accepted: what this person writes is no
 * request.
 */
bool social_is_acquainted(const struct people *people, const uint8_t person[static NODE_KEY_LEN]);

/* --- blocks --- */

/*
 * A blocked person gets nothing of this node's personas, and nothing of that person is shown or kept.
 * Blocking also takes the person out of follows, circles, audience and requests for good.
 */
bool social_is_blocked(const struct people *people, const uint8_t person[static NODE_KEY_LEN]);
/* social_block_set: 0, WEFT_EREFUSED (own), WEFT_EEXISTS, WEFT_EABSENT, WEFT_EFULL, WEFT_EBUSY. */
WEFT_MUST_CHECK
int social_block_set(struct people *people, const uint8_t person[static NODE_KEY_LEN],
		     bool is_blocked, const struct people_done *done, uint64_t now_ns);
/* social_blocks_each: in the order in which they came. */
void social_blocks_each(const struct people *people, people_mark_fn fn, void *arg);

/* --- the audience --- */

/* A HELLO of a person, over a session of its own key. personas: a bit for each index that it follows. */
struct audience_note {
	const uint8_t *person;
	uint32_t personas; /* 0: it follows none any more */
	struct people_source source;
};
/* social_audience_note: 0, WEFT_EREFUSED (blocked), WEFT_EFULL (its share) or WEFT_EBUSY. */
WEFT_MUST_CHECK
int social_audience_note(struct people *people, const struct audience_note *note, uint64_t now_ns);
/* social_audience_of: which personas a person follows, as bits; 0: none. */
uint32_t social_audience_of(const struct people *people, const uint8_t person[static NODE_KEY_LEN]);
/* social_audience_each: in no order. */
void social_audience_each(const struct people *people,
			  bool (*fn)(void *arg, const uint8_t *person, uint32_t personas),
			  void *arg);

#endif
