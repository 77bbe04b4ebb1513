/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_FAIR_FAIR_UNITS_H
#define WEFT_BASE_FAIR_FAIR_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair_path.h"
#include "base/list.h"
#include "base/memory/pool.h"

struct arena;

/*
 * A fair pool of bytes: each object of it holds as many units of unit_len as
 * its bytes begin. Objects give way whole, and only for a newcomer that gets
 * all it asks for. So a newcomer that is refused takes nothing from others.
 *
 * Beside the units there is a limit in bytes, which may move (a quota). Where it
 * is reached, the same account pays as where the units are.
 *
 * Public to the owner: a view is fair_read(&units->places.fair, ..). One worker, no locks.
 */
struct fair_unit;

/* What an object holds, embedded in it; zeroed, then fair_holding_init. Callers may read len. */
struct fair_holding {
	struct fair_unit *first; /* NULL: none */
	struct list_node leaving;
	uint64_t len; /* bytes */
};
static inline void fair_holding_init(struct fair_holding *holding)
{
	*holding = (struct fair_holding){0};
	list_init(&holding->leaving);
}

struct fair_units_config {
	struct fair_config fair; /* cap_cnt counts units */
	uint32_t unit_len;
	struct fair_site site;
	/* where holding belongs, at any time until it is released */
	void (*path_of)(void *ctx, const struct fair_holding *holding, struct fair_path *out_path);
	void *ctx;
};

/* Callers may read len, and read and set len_max; fair_units_over then says what is to go. */
struct fair_units {
	struct fair_places places;
	struct fair_units_config config;
	struct pool pool;
	uint64_t len, len_max; /* UINT64_MAX at first */
};

/* fair_units_init: 0, or as fair_init. */
WEFT_MUST_CHECK
int fair_units_init(struct fair_units *units, struct arena *arena,
		    const struct fair_units_config *config);
/*
 * fair_units_take gives holding, which has none, units for len bytes. What gives way for it is
 * appended to leaving and holds nothing any more: its owner drops the objects now. false: holding
 * gets nothing, and everything is as it was.
 */
WEFT_MUST_CHECK
bool fair_units_take(struct fair_units *units, struct fair_holding *holding, uint64_t len,
		     struct list_node *leaving, uint64_t now_ns);
/* fair_units_release: a holding without units is left alone. */
void fair_units_release(struct fair_units *units, struct fair_holding *holding);
/* fair_units_over gives one of the account that pays next while more than len_max is held, or NULL. */
struct fair_holding *fair_units_over(const struct fair_units *units);
/* fair_units_leaving takes the first off a list that fair_units_take filled; NULL: it is empty. */
struct fair_holding *fair_units_leaving(struct list_node *leaving);

#endif
