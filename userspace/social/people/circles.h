/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_PEOPLE_CIRCLES_H
#define WEFT_SOCIAL_PEOPLE_CIRCLES_H

#include "people.h"
#include "personas.h"
#include "social/object/profile.h"
#include "social/object/visibility.h"

/*
 * Circles: lists of people that a persona keeps for itself. A post to a circle has its members as readers,
 * as they are when it is posted. A member that is taken out gets nothing of later posts. No other
 * node learns of a circle; a member sees the profile of the circle with the highest rank that it is
 * in (person_profiles.h).
 */
#define SOCIAL_CIRCLES_MAX	  64u
#define SOCIAL_CIRCLE_MEMBERS_MAX VISIBILITY_RECIPIENTS_MAX
#define SOCIAL_CIRCLE_ID_LEN	  PROFILE_CIRCLE_ID_LEN
#define SOCIAL_CIRCLE_RANK_MAX	  PROFILE_CIRCLE_RANK_MAX
/* What to do instead of naming one reader more. */
#define SOCIAL_READERS_ADVICE                                                                      \
	"make a group, weft group create: it has one key for any number of members"

/* Borrowed until the next change. */
struct circle_view {
	const uint8_t *id; /* SOCIAL_CIRCLE_ID_LEN, random */
	const char *name;
	unsigned persona; /* index */
	uint8_t rank;	  /* the highest wins */
	unsigned member_cnt;
	uint64_t made_ms;
	bool has_profile; /* else its members see the next lower one's, or the public profile */
	const char *profile_name, *profile_text;
	const uint8_t *profile_picture; /* BLAKE3_HASH_LEN, or NULL */
};

struct circle_draft {
	unsigned persona;
	const char *name; /* one of its own among those of the persona */
	uint8_t rank;
};
/* social_circle_create: 0, WEFT_EMALFORMED (name), WEFT_EEXISTS, WEFT_EFULL, WEFT_EBUSY. */
WEFT_MUST_CHECK
int social_circle_create(struct people *people, const struct circle_draft *draft,
			 const struct people_done *done, uint64_t now_ns,
			 uint8_t out_id[static SOCIAL_CIRCLE_ID_LEN]);
/* social_circle_set: another name (NULL: as it is) and rank. As create, or WEFT_EABSENT. */
WEFT_MUST_CHECK
int social_circle_set(struct people *people, const uint8_t id[static SOCIAL_CIRCLE_ID_LEN],
		      const struct circle_draft *draft, const struct people_done *done,
		      uint64_t now_ns);
WEFT_MUST_CHECK
int social_circle_delete(struct people *people, const uint8_t id[static SOCIAL_CIRCLE_ID_LEN],
			 const struct people_done *done, uint64_t now_ns);
/*
 * social_circle_{add,remove}: WEFT_EABSENT (the circle; or the member, of remove), WEFT_EEXISTS (it is
 * one), WEFT_EREFUSED (own or blocked), WEFT_EMALFORMED (no key), WEFT_EBUSY, or WEFT_EFULL (the circle has
 * SOCIAL_CIRCLE_MEMBERS_MAX: SOCIAL_READERS_ADVICE).
 */
struct circle_member {
	const uint8_t *circle;
	const uint8_t *person;
};
WEFT_MUST_CHECK
int social_circle_add(struct people *people, const struct circle_member *member,
		      const struct people_done *done, uint64_t now_ns);
WEFT_MUST_CHECK
int social_circle_remove(struct people *people, const struct circle_member *member,
			 const struct people_done *done, uint64_t now_ns);

/* social_circle_{lookup,find}: false: there is none. */
bool social_circle_lookup(const struct people *people,
			  const uint8_t id[static SOCIAL_CIRCLE_ID_LEN],
			  struct circle_view *out_view);
bool social_circle_find(const struct people *people, unsigned persona, const char *name,
			struct circle_view *out_view);
bool social_circle_has(const struct people *people, const uint8_t id[static SOCIAL_CIRCLE_ID_LEN],
		       const uint8_t person[static NODE_KEY_LEN]);
/* Those of a persona, or of SOCIAL_EACH_PERSONA; the highest rank first. */
void social_circles_each(const struct people *people, unsigned persona,
			 bool (*fn)(void *arg, const struct circle_view *view), void *arg);
/* The members, ascending by key. */
void social_circle_members(const struct people *people,
			   const uint8_t id[static SOCIAL_CIRCLE_ID_LEN],
			   bool (*fn)(void *arg, const uint8_t *person), void *arg);

#endif
