/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_PEOPLE_PERSON_PROFILES_H
#define WEFT_SOCIAL_PEOPLE_PERSON_PROFILES_H

#include "people.h"
#include "circles.h"
#include "person_follows.h"
#include "person_requests.h"
#include "personas.h"
#include "social/object/profile.h"

/*
 * What people say of themselves. A profile is signed. Of two the later one counts. Of two of one
 * time it is the one with the greater hash, so that all nodes end with the same.
 *
 * A *personal profile* is what a person shows to one reader. It is that of the circle with the
 * highest rank that the reader is in, or the public one. It is sealed for the reader alone, and all have one length.
 * Every reader gets one, so none learns that there are circles, nor which (docs/wire/social.md).
 */
#define SOCIAL_PROFILES_MAX	    (SOCIAL_FOLLOWS_MAX + SOCIAL_ACCEPTED_MAX + SOCIAL_PROFILES_UNKNOWN_MAX)
#define SOCIAL_PROFILES_UNKNOWN_MAX 2048u /* of people that are not acquainted */
#define SOCIAL_EDITION_LEN	    16u

/* As it is shown here; borrowed until the next call of this header. */
struct person {
	const uint8_t *key;
	const char *name;     /* the petname, else what the person says; "": not known */
	const char *petname;  /* "": none */
	const char *own_name; /* what the person says; "": not known */
	uint64_t updated_ms;  /* of the public profile; 0: none is kept */
	const uint8_t (*anchors)[NODE_KEY_LEN]; /* as the person says */
	unsigned anchor_cnt;
	const uint8_t *picture; /* BLAKE3_HASH_LEN, or NULL */
	bool is_personal;	/* name and picture are of a personal profile */
	bool is_frozen;
};
/* social_person: NULL: nothing of the key is kept, not even a petname. Own personas are people, too. */
const struct person *social_person(struct people *people, const uint8_t key[static NODE_KEY_LEN]);
/*
 * social_person_profile: all of it, as it is shown here. out_profile is 18 KiB. 0, WEFT_EABSENT or
 * -errno. social_profile_bytes writes the public profile as the person signed it.
 */
WEFT_MUST_CHECK
int social_person_profile(struct people *people, const uint8_t key[static NODE_KEY_LEN],
			  struct profile *out_profile);
WEFT_MUST_CHECK
int social_profile_bytes(struct people *people, const uint8_t key[static NODE_KEY_LEN],
			 struct writer *w);
/* social_profile_time: of the public profile that is kept; 0: none is. */
uint64_t social_profile_time(const struct people *people, const uint8_t key[static NODE_KEY_LEN]);

/* --- what comes --- */

struct profile_put {
	const void *bytes;
	size_t len;
	struct people_source source;
	struct people_done done;
};
/*
 * social_profile_put judges a public profile: form, names, time, signature. It is kept in place of an
 * older one. 0, or:
 *   WEFT_EEXISTS    this one or a later one is there
 *   WEFT_EMALFORMED, WEFT_ETOOLARGE, WEFT_EDAMAGED (its signature)
 *   WEFT_ESTALE     its time is ahead
 *   WEFT_EREFUSED   the person is blocked
 *   WEFT_EFULL      its share of places
 *   WEFT_EBUSY, -ENOMEM
 */
WEFT_MUST_CHECK
int social_profile_put(struct people *people, const struct profile_put *put, uint64_t now_ns);
/*
 * social_personal_put: a personal profile for a persona of this node, of a person whose public profile is
 * kept. As social_profile_put, or WEFT_EABSENT (no public one is kept).
 */
WEFT_MUST_CHECK
int social_personal_put(struct people *people, const struct profile_put *put, uint64_t now_ns);
/* social_personal_edition: of what is kept; zeros: nothing. A peer that has the same sends nothing. */
void social_personal_edition(struct people *people, const uint8_t key[static NODE_KEY_LEN],
			     uint8_t out_edition[static SOCIAL_EDITION_LEN]);

/*
 * social_said_put takes any object that peers send of a person: a public or a personal profile, or a
 * successor. Returns as the function of its kind.
 */
WEFT_MUST_CHECK
int social_said_put(struct people *people, const struct profile_put *put, uint64_t now_ns);

/* --- own ones --- */

/* NULL: as it is. A name is needed at first. */
struct profile_change {
	unsigned persona;
	const uint8_t *circle; /* what its members see; NULL: the public profile */
	const char *name, *text;
	const uint8_t *picture; /* BLAKE3_HASH_LEN; zeros: none any more */
	/* Of the public profile alone; */
	const uint8_t (*anchors)[NODE_KEY_LEN];
	unsigned anchor_cnt;
	bool has_shows_follows, shows_follows; /* whether public follows are in it */
	bool is_unset;			       /* of a circle: it has no profile any more */
};
/*
 * social_profile_set: 0, or:
 *   WEFT_EMALFORMED a name or text that no reader would take, or no name
 *   WEFT_ETOOLARGE  a name, a text, or too many anchors
 *   WEFT_EABSENT    there is no such circle
 *   WEFT_EREFUSED   an anchor that is another persona's
 *   WEFT_EBUSY
 */
WEFT_MUST_CHECK
int social_profile_set(struct people *people, const struct profile_change *change,
		       const struct people_done *done, uint64_t now_ns);
/* social_profile_own: false: the persona has no profile yet. */
bool social_profile_own(const struct people *people, unsigned persona, struct profile *out_profile);
bool social_profile_shows_follows(const struct people *people, unsigned persona);

/* What reader is to be given of a persona; have is the edition that it has. */
struct personal_ask {
	unsigned persona;
	const uint8_t *reader;
	const uint8_t *have; /* SOCIAL_EDITION_LEN, or NULL */
};
/*
 * social_personal_write writes the personal profile for reader, PROFILE_CIRCLE_LEN_MAX at most. 0,
 * WEFT_EEXISTS (have is this one), WEFT_EABSENT (the persona has no profile), WEFT_EREFUSED (blocked) or
 * WEFT_EMALFORMED (reader is no key).
 */
WEFT_MUST_CHECK
int social_personal_write(struct people *people, const struct personal_ask *ask, struct writer *w);

/*
 * social_said_to gives fn what a reader is to have. Of each persona that the reader follows these are
 * the public profile, the personal one, and successors of its former keys. Persona 0 is given to all
 * that are not blocked. So a reader learns of no persona that it does not follow. fn's bytes are
 * borrowed; false ends it.
 */
void social_said_to(struct people *people, const uint8_t reader[static NODE_KEY_LEN],
		    bool (*fn)(void *arg, const void *bytes, size_t len), void *arg);

/* --- successors --- */

enum succession_state {
	SUCCESSION_ACCEPTED, /* by the hash, or by the person at this node */
	SUCCESSION_ASKED,    /* the person at this node is to say */
	SUCCESSION_FROZEN,   /* two keys claim it */
};
/* Borrowed for the call. */
struct succession_view {
	const uint8_t *former, *next; /* another next one of SUCCESSION_FROZEN: */
	const uint8_t *other;
	enum succession_state state;
	uint64_t came_ms;
};
/*
 * social_successor_put: an object of tag "successor" (object/successor.h). One that the former key
 * committed to at least SOCIAL_SUCCESSION_MS ago, as this node saw it, is accepted: follows and circles
 * move. Another one that the former key signed is for the person to accept. 0, or:
 *   WEFT_EEXISTS    it is known
 *   WEFT_EABSENT    no person with the former key is followed, accepted or in a circle
 *   WEFT_EREFUSED   the former key neither committed to it nor signed it
 *   WEFT_EMALFORMED, WEFT_ETOOLARGE, WEFT_EDAMAGED, WEFT_EFULL, WEFT_EBUSY
 */
#define SOCIAL_SUCCESSIONS_MAX 512u
WEFT_MUST_CHECK
int social_successor_put(struct people *people, const void *bytes, size_t len, uint64_t now_ns);
/* social_successor_accept: the person at this node says so. 0, WEFT_EABSENT, WEFT_EFULL or WEFT_EBUSY. */
WEFT_MUST_CHECK
int social_successor_accept(struct people *people, const uint8_t former[static NODE_KEY_LEN],
			    const uint8_t next[static NODE_KEY_LEN], const struct people_done *done,
			    uint64_t now_ns);
void social_successions_each(const struct people *people,
			     bool (*fn)(void *arg, const struct succession_view *view), void *arg);
/* social_successor_of: the key that took this one's place here, or NULL. */
const uint8_t *social_successor_of(const struct people *people,
				   const uint8_t key[static NODE_KEY_LEN]);
/* social_successor_bytes: the object of an own former key, to give to its readers. 0 or WEFT_EABSENT. */
WEFT_MUST_CHECK
int social_successor_bytes(const struct people *people, const uint8_t former[static NODE_KEY_LEN],
			   struct writer *w);

#endif
