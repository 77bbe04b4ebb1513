/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BLOBS_SWARM_SWARM_HAVE_H
#define WEFT_BLOBS_SWARM_SWARM_HAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "blobs/content_message_have.h"

/*
 * The parts of the manifest that one source has, by its HAVE_CONTENT answer and by its failures.
 * Up to HAVE_LACKS_MAX requested things that it lacked are remembered until its answer changes.
 * With more, the source counts as having nothing until then.
 */
#define HAVE_LACKS_MAX 16u

enum have_kind {
	HAVE_GUESSED, /* unstated: whatever it did not deny */
	HAVE_SOME,
	HAVE_ALL,
};

struct have_lack {
	uint32_t item;
	uint64_t chunk;
};

struct have {
	enum have_kind kind;
	uint8_t *payload; /* the bytes of its answer; told borrows them */
	size_t len;
	struct message_have_answer told;
	struct have_lack lacks[HAVE_LACKS_MAX];
	unsigned lack_cnt; /* HAVE_LACKS_MAX + 1: too many */
	uint32_t version;  /* another when there may be more of it */
};

void blobs_have_fini(struct have *have);
/* blobs_have_set: nothing is known of it but that it has all, or nothing. */
void blobs_have_set(struct have *have, enum have_kind kind);
/*
 * blobs_have_take reads an answer: 1 when it is another than the last, 0 when it is the same,
 * WEFT_EMALFORMED or -ENOMEM. Only a changed answer clears the contents that the source was
 * found to lack. So a member is not asked forever for content that it claims to have.
 */
WEFT_MUST_CHECK
int blobs_have_take(struct have *have, const uint8_t *payload, size_t len);
void blobs_have_note_lack(struct have *have, uint32_t item, uint64_t chunk);
/* blobs_have_has: chunk 0 of an item of one chunk is the item. */
bool blobs_have_has(const struct have *have, uint32_t item, uint64_t chunk);
/* blobs_have_chunks: the same of 64 at once, bit i of chunk first + i; first is a multiple of 64. */
uint64_t blobs_have_chunks(const struct have *have, uint32_t item, uint64_t first);
/* blobs_have_is_growing: the source states that it has a part and is fetching the rest. */
bool blobs_have_is_growing(const struct have *have);
/* blobs_have_may_grow: the source is growing, or has not answered yet. */
bool blobs_have_may_grow(const struct have *have);

#endif
