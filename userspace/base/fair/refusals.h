/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_FAIR_REFUSALS_H
#define WEFT_BASE_FAIR_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "weft/err.h"

struct arena;
struct load_who;

/*
 * Refusals: which pool refused which account, how often, and until when it asked to wait. A row
 * is for a pool and a key, an address (IPv4 /32, IPv6 /64) or a local user. Of REFUSALS_CNT
 * places an account reaches REFUSALS_WAYS; the row refused longest ago makes room. A refused
 * peer can fill it; an honest peer notices nothing, its operator that older refusals are
 * forgotten. One worker, no locks.
 */
#define REFUSALS_CNT	   1024u
#define REFUSALS_WAYS	   8u
#define REFUSALS_KEY_LEN   32
#define REFUSALS_NEWER_CNT 16 /* what a worker reports */

enum refused_kind { REFUSED_NONE, REFUSED_KEY, REFUSED_ADDR, REFUSED_USER };

struct refused {
	enum refused_kind kind;
	uint32_t uid;
	struct addr addr; /* cut to /32 or /64 */
	uint8_t key[REFUSALS_KEY_LEN];
};

struct refusal {
	struct refused who;
	const char *pool; /* static; pools of one name are one */
	uint64_t cnt;
	uint64_t last_ns;
	uint64_t until_ns; /* what it was asked to wait for, the last time; last_ns: nothing */
};

struct refusals {
	struct refusal *rows;
	uint64_t secret[2];
	uint64_t now_ns; /* the latest time that was named */
};

/* refusals_init: 0, or WEFT_EFULL: arena is too small. */
WEFT_MUST_CHECK
int refusals_init(struct refusals *refusals, struct arena *arena, const uint64_t secret[2]);

/* refused_of_{key,addr,user} make the name of an account. */
struct refused refused_of_key(const uint8_t key[static REFUSALS_KEY_LEN]);
struct refused refused_of_addr(const struct addr *addr);
struct refused refused_of_user(uint32_t uid);
bool refused_equal(const struct refused *a, const struct refused *b);

/* refusals_note: pool (static) refused who at now_ns and asked it to wait wait_ms; 0: it did not. */
void refusals_note(struct refusals *refusals, const struct refused *who, const char *pool,
		   uint32_t wait_ms, uint64_t now_ns);

/* refusals_next walks the rows: start with NULL, ends with NULL. */
const struct refusal *refusals_next(const struct refusals *refusals, const struct refusal *row);
/*
 * refusals_newest writes the rows that changed last: the newest first, of one moment those that were
 * refused most. Returns how many.
 */
unsigned refusals_newest(const struct refusals *refusals,
			 struct refusal out[static REFUSALS_NEWER_CNT]);

#endif
