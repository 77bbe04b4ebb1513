/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SOCIAL_OBJECT_PROFILE_H
#define WEFT_SOCIAL_OBJECT_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "weft/err.h"

/*
 * What a person says of themselves, signed by their key: to all (tag
 * "profile"), and sealed to the members of a circle (tag "profilecircle"). Of
 * two the one with the later time counts:
 *
 *	profile		0 person 32 | 1 time ms | 2 name | 3 text | 4 [anchor 32]
 *			5 picture 32? | 6 [person followed 32]? | 7 hash of the next key 32?
 *	profilecircle	0 rank | 1 circle 16 | 2 sealed: nonce 12, name, text and picture, tag 16
 *
 * An anchor's own address record travels beside the profile. The next key is
 * the one that may take this one's place later (docs/social.md).
 *
 * Pure, and thread-safe.
 */
#define PROFILE_TAG		"profile"
#define PROFILE_CIRCLE_TAG	"profilecircle"
#define PROFILE_NAME_CAP	65u   /* with its NUL */
#define PROFILE_TEXT_CAP	1025u /* with its NUL */
#define PROFILE_ANCHORS_MAX	8u
#define PROFILE_FOLLOWS_MAX	500u
#define PROFILE_LEN_MAX		(20u << 10)
#define PROFILE_CIRCLE_ID_LEN	16u
#define PROFILE_CIRCLE_LEN_MAX	2048u
#define PROFILE_SEALED_LEN_MAX	1536u
#define PROFILE_CIRCLE_RANK_MAX 255u

/* 18 KiB. */
struct profile {
	uint8_t person[NODE_KEY_LEN];
	uint64_t time_ms;
	char name[PROFILE_NAME_CAP];
	char text[PROFILE_TEXT_CAP];
	uint8_t anchors[PROFILE_ANCHORS_MAX][NODE_KEY_LEN];
	unsigned anchor_cnt;
	bool has_picture;
	uint8_t picture[BLAKE3_HASH_LEN];
	/* Public follows, if the person wants them shown. */
	uint8_t follows[PROFILE_FOLLOWS_MAX][NODE_KEY_LEN];
	unsigned follow_cnt;
	bool has_next_key;
	uint8_t next_key[BLAKE3_HASH_LEN];
};

/*
 * social_profile_read verifies the signature as well: 0, WEFT_ETOOLARGE, WEFT_EMALFORMED (the
 * signer is another person, for one), WEFT_EDAMAGED or -ENOMEM.
 */
WEFT_MUST_CHECK
int social_profile_read(const void *bytes, size_t len, struct profile *out_profile);
/* social_profile_write signs as the person, whose key person is. */
void social_profile_write(struct writer *w, const struct profile *profile,
			  const struct node_key *person);

/* Of the circle with the highest rank, of those that a reader is in. */
struct profile_circle {
	uint8_t rank;
	uint8_t circle[PROFILE_CIRCLE_ID_LEN];
	const uint8_t *sealed; /* borrowed */
	size_t sealed_len;
	const uint8_t *person; /* its signer; read alone */
};
/* social_profile_circle_read: as social_profile_read. */
WEFT_MUST_CHECK
int social_profile_circle_read(const void *bytes, size_t len, struct profile_circle *out_profile);
void social_profile_circle_write(struct writer *w, const struct profile_circle *profile,
				 const struct node_key *person);

#endif
