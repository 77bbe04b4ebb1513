/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_PEOPLE_PERSONAS_H
#define WEFT_SOCIAL_PEOPLE_PERSONAS_H

#include "people.h"

/*
 * The keys under which the person at this node is known. Number 0 is the node's own key. Others are
 * drawn here, and lie in the store sealed under the node's key (crypto/key_seal.h). No two of them share
 * a key, an id or a list of anchors in what is sent.
 *
 * A persona has an index in [0, cnt), by which loops go, and a number, by which people name it. The
 * index of a persona changes when one before it is removed; its number and its key stay.
 */
#define SOCIAL_PERSONAS_MAX    16u /* with the node's own */
#define SOCIAL_FORMER_KEYS_MAX 16u /* keys that were succeeded */
#define SOCIAL_PERSONA_NONE    UINT32_MAX

unsigned social_persona_cnt(const struct people *people);
/* social_persona: idx below the count; 0 is the node's own key. */
const struct node_key *social_persona(const struct people *people, unsigned idx);
/* social_persona_of: the index of the persona with that key, or SOCIAL_PERSONA_NONE. */
unsigned social_persona_of(const struct people *people, const uint8_t key[static NODE_KEY_LEN]);
/* social_persona_numbered: likewise, of the persona with that number. */
unsigned social_persona_numbered(const struct people *people, unsigned number);
/*
 * social_own_key: the key of a persona, or a former one, which still opens what was sealed for it.
 * NULL: it is none of this node's.
 */
const struct node_key *social_own_key(const struct people *people,
				      const uint8_t key[static NODE_KEY_LEN]);
/* Of the former keys, for what tries each: idx from 0; NULL behind the last. */
const struct node_key *social_former_key(const struct people *people, unsigned idx);

/* Borrowed until the next change. */
struct persona_view {
	unsigned number;
	const uint8_t *key;
	const char *label;   /* for the person at this node alone */
	bool is_via_anchors; /* reached and reaching by anchors alone, so that no session links it */
	uint64_t made_ms;
	uint64_t committed_ms;	     /* when its next key was drawn; 0: it was not */
	const struct node_key *next; /* or NULL */
	bool shows_follows;
};
void social_persona_view(const struct people *people, unsigned idx, struct persona_view *out_view);
bool social_persona_is_via_anchors(const struct people *people, unsigned idx);
/* social_persona_names: the profile of the persona names key as an anchor. */
bool social_persona_names(struct people *people, unsigned idx,
			  const uint8_t key[static NODE_KEY_LEN]);
/*
 * social_persona_is_hidden: nothing of the persona is said to the node of key. It is reached by its anchors
 * alone, and key is none of those that its profile names.
 */
bool social_persona_is_hidden(struct people *people, unsigned idx,
			      const uint8_t key[static NODE_KEY_LEN]);

struct persona_draft {
	const char *label; /* up to SOCIAL_NAME_MAX bytes */
	bool is_via_anchors;
};
/*
 * social_persona_add draws a key. 0, and out_key is that of the persona. WEFT_EMALFORMED (the label),
 * WEFT_EFULL (SOCIAL_PERSONAS_MAX), WEFT_EBUSY (the disk does not keep up) or -errno.
 */
WEFT_MUST_CHECK
int social_persona_add(struct people *people, const struct persona_draft *draft,
		       const struct people_done *done, uint64_t now_ns,
		       uint8_t out_key[static NODE_KEY_LEN]);
/* social_persona_set: its label (NULL: as it is) and its way. 0, WEFT_EMALFORMED, WEFT_EBUSY. */
WEFT_MUST_CHECK
int social_persona_set(struct people *people, unsigned idx, const struct persona_draft *draft,
		       const struct people_done *done, uint64_t now_ns);
/*
 * social_persona_restore: a key that this person had on another node is a persona here, too, or a former
 * key. As social_persona_add, or WEFT_EEXISTS: the key is of this node. One that is of this node, and has
 * no next key, takes that alone.
 */
struct persona_restore {
	const uint8_t *seed;	  /* NODE_KEY_SEED_LEN */
	const uint8_t *next_seed; /* likewise, of its next key; NULL: it has none */
	uint64_t committed_ms;	  /* when that was drawn */
	struct persona_draft draft;
	bool shows_follows;
	bool is_former;
};
WEFT_MUST_CHECK
int social_persona_restore(struct people *people, const struct persona_restore *restore,
			   const struct people_done *done, uint64_t now_ns);
/*
 * social_persona_remove forgets the key, what it follows, its circles and its profile. What is sealed
 * for it alone cannot be opened any more. 0, WEFT_EREFUSED (number 0) or WEFT_EBUSY.
 */
WEFT_MUST_CHECK
int social_persona_remove(struct people *people, unsigned idx, const struct people_done *done,
			  uint64_t now_ns);

/*
 * social_persona_commit draws the next key of a persona, and its profile says the hash of it from now
 * on. People that see the profile accept that key after SOCIAL_SUCCESSION_MS. 0, WEFT_EEXISTS (one is
 * drawn), WEFT_EABSENT (it has no profile yet), WEFT_EBUSY or -errno.
 */
#define SOCIAL_SUCCESSION_MS (30 * 86400000ull)
WEFT_MUST_CHECK
int social_persona_commit(struct people *people, unsigned idx, const struct people_done *done,
			  uint64_t now_ns);
/*
 * social_persona_rotate: the next key takes over. It is a persona with the follows, circles and profile
 * of the former one. The former key opens what was sealed for it, and is no persona any more; but the
 * node's own stays, for sessions. out_key is the next key. 0, WEFT_EABSENT (none is drawn), WEFT_EFULL
 * (personas, or former keys), WEFT_EBUSY or -errno.
 */
WEFT_MUST_CHECK
int social_persona_rotate(struct people *people, unsigned idx, const struct people_done *done,
			  uint64_t now_ns, uint8_t out_key[static NODE_KEY_LEN]);

#endif
