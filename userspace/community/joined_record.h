/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_COMMUNITY_JOINED_RECORD_H
#define WEFT_COMMUNITY_JOINED_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/byte_cursor.h"
#include "weft/err.h"

struct community;

/* The fields of a row that community_access.h needs. */
struct joined_brief {
	bool is_strict, is_leaving;
};

/*
 * A community in STORE_COMMUNITIES: the map {0: layout 1, 1: key, 2: seed of it
 * (crypto/key_seal.h)?, 3: name, 4: strict, 5: token?, 6: joined s, 7: it is being left, 8:
 * [[key, [PeerAddr]]] seeds, 9: [[key, cursor]] partners}.
 */
#define JOINED_RECORD_CAP 8192u

void community_joined_record_write(struct writer *w, const struct community *community);
/*
 * community_joined_record_parse fills the fields of community that are kept; its secret is the caller's.
 * A seed that lies unsealed and is not to makes the row due to be saved.
 * 0, WEFT_ENEWER (another layout), WEFT_EDAMAGED, WEFT_ESEALED, -errno.
 */
WEFT_MUST_CHECK
int community_joined_record_parse(const void *bytes, size_t len, struct community *community);

/* community_joined_record_brief: 0, WEFT_ENEWER or WEFT_EDAMAGED. */
WEFT_MUST_CHECK
int community_joined_record_brief(const void *bytes, size_t len, struct joined_brief *out_brief);

#endif
