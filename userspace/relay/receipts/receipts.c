/* SPDX-License-Identifier: Apache-2.0 */
#include "relay_receipts.h"

#include <errno.h>
#include <stdlib.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "receipts_state.h"

/* How often the wall clock is looked at for the end of a month. */
#define LOOK_NS	      (20 * NS_PER_S)
#define EMPTY_LOOK_NS (60 * NS_PER_S) /* without rows: at the month alone */

void relay_receipts_config_defaults(struct relay_receipts_config *config)
{
	*config = (struct relay_receipts_config){.row_cap = 4096};
}

struct relay_receipts_config relay_receipts_config_of(const struct relay_receipts_config *config,
						      bool is_relay)
{
	struct relay_receipts_config of = *config;

	of.row_stored_cap = config->row_cap;
	if (!is_relay && of.row_cap > RELAY_RECEIPTS_OWNER_CAP)
		of.row_cap = RELAY_RECEIPTS_OWNER_CAP;
	return of;
}

/* --- life --- */

static int lay_out(struct relay_receipts *receipts)
{
	int err = arena_open(&receipts->arena, ARENA_GROWS);

	list_init(&receipts->free_rows);
	list_init(&receipts->sides[RELAY_SIDE_RELAY]);
	list_init(&receipts->sides[RELAY_SIDE_OWNER]);
	list_init(&receipts->changed);
	list_init(&receipts->dirty);
	list_init(&receipts->on_way);
	if (err < 0 || (err = relay_receipts_rows_init(receipts)) < 0)
		return err;
	arena_fit(&receipts->arena);
	return 0;
}

size_t relay_receipts_footprint(const struct relay_receipts_config *config)
{
	struct relay_receipts *receipts = calloc(1, sizeof(*receipts));
	struct random random;
	size_t len = 0;

	if (!receipts)
		return 0;
	random_init_seeded(&random, 1);
	receipts->params.config = *config;
	receipts->params.random = &random;
	if (lay_out(receipts) == 0)
		len = sizeof(*receipts) + receipts->arena.used_len;
	arena_close(&receipts->arena);
	free(receipts);
	return len;
}

static int receipts_open(struct relay_receipts *receipts)
{
	const struct mesh_seam *mesh = &receipts->params.mesh;
	uint32_t dropped_cnt;
	int err;

	if ((err = relay_receipts_survey(receipts, &dropped_cnt)) < 0 ||
	    (err = lay_out(receipts)) < 0 || (err = relay_receipts_load(receipts, dropped_cnt)) < 0)
		return err;
	return mesh->ops->handle(mesh->mesh, MESH_RELAY_RECEIPT, relay_receipts_on_claim, receipts);
}

int relay_receipts_new(const struct relay_receipts_params *params,
		       struct relay_receipts **out_receipts)
{
	struct relay_receipts *receipts = calloc(1, sizeof(*receipts));
	int err;

	if (!receipts)
		return -ENOMEM;
	receipts->params = *params;
	receipts->now_ns = params->now_ns;
	receipts->wall_s = params->wall_s;
	receipts->month = relay_month_of(params->wall_s);
	err = receipts_open(receipts);
	if (err < 0) {
		arena_close(&receipts->arena);
		free(receipts);
		return err;
	}
	*out_receipts = receipts;
	return 0;
}

void relay_receipts_stop(struct relay_receipts *receipts)
{
	for (uint32_t i = 0; receipts && i <= receipts->params.config.row_cap; i++) {
		struct receipt_row *row = &receipts->rows[i];

		if (row->request)
			receipts->params.mesh.ops->cancel(row->request);
		row->request = NULL;
	}
}

void relay_receipts_free(struct relay_receipts *receipts)
{
	if (!receipts)
		return;
	relay_receipts_save_all(receipts);
	arena_close(&receipts->arena);
	free(receipts);
}

/* --- time --- */

void relay_receipts_turn(struct relay_receipts *receipts, uint64_t now_ns, uint64_t wall_s)
{
	uint32_t month = relay_month_of(wall_s);
	uint64_t look_ns;

	if (now_ns > receipts->now_ns)
		receipts->now_ns = now_ns;
	receipts->wall_s = wall_s;
	if (month != receipts->month) {
		receipts->month = month;
		relay_receipts_rows_enter_month(receipts);
	}
	relay_receipts_rows_age(receipts);
	relay_receipts_ask_turn(receipts);
	relay_receipts_save(receipts);
	look_ns = receipts->now_ns + (receipts->stats.row_cnt ? LOOK_NS : EMPTY_LOOK_NS);
	if (receipts->next_ns > look_ns)
		receipts->next_ns = look_ns;
	if (receipts->next_ns > relay_receipts_counts_next_ns(receipts))
		receipts->next_ns = relay_receipts_counts_next_ns(receipts);
}

uint64_t relay_receipts_next_ns(const struct relay_receipts *receipts)
{
	return receipts->next_ns;
}

/* --- counts --- */

void relay_receipts_carried(struct relay_receipts *receipts, const uint8_t *owner,
			    const struct relay_count *more)
{
	struct receipt_row *row;

	if (!receipts || (!more->sent && !more->received))
		return;
	row = relay_receipts_row_make(receipts, RELAY_SIDE_RELAY, owner, receipts->month);
	if (row)
		relay_receipts_row_count(row, more);
	else
		receipts->stats.homeless_cnt++;
}

void relay_receipts_used(struct relay_receipts *receipts, const uint8_t *relay,
			 const struct relay_count *more, bool is_over)
{
	struct receipt_row *row;

	if (!receipts)
		return;
	if (more->sent || more->received)
		row = relay_receipts_row_make(receipts, RELAY_SIDE_OWNER, relay, receipts->month);
	else
		row = relay_receipts_row_find(receipts, RELAY_SIDE_OWNER, relay, receipts->month);
	if (!row) {
		receipts->stats.homeless_cnt += more->sent || more->received;
		return;
	}
	if (more->sent || more->received)
		relay_receipts_row_count(row, more);
	row->is_over |= is_over;
	receipts->next_ns = receipts->now_ns;
}

void relay_receipts_session(struct relay_receipts *receipts, const uint8_t *key, uint64_t now_ns)
{
	struct receipt_row *row;

	if (!receipts)
		return;
	row = relay_receipts_row_find(receipts, RELAY_SIDE_OWNER, key, receipts->month);
	if (!row)
		return;
	row->retry_ns = now_ns + NS_PER_S;
	receipts->next_ns = now_ns;
}

/* --- asking --- */

bool relay_receipts_next(const struct relay_receipts *receipts, uint32_t *idx,
			 struct relay_receipts_row *out_row)
{
	const struct receipt_row *row;

	while (*idx <= receipts->params.config.row_cap && !receipts->rows[*idx].is_used)
		++*idx;
	if (*idx > receipts->params.config.row_cap)
		return false;
	row = &receipts->rows[(*idx)++];
	*out_row = (struct relay_receipts_row){
		.side = row->name.side,
		.party = row->name.party,
		.month = row->name.month,
		.serial = row->serial,
		.total = row->total,
		.counted = relay_receipts_row_counted(row),
		.pending = row->pending,
		.made_s = row->made_s,
		.receipt = row->bytes,
		.receipt_len = row->len,
		.refused_cnt = row->refused_cnt,
		.has_counts = row->has_counts,
		.refused_own = row->refused_own,
		.refused_other = row->refused_other,
	};
	return true;
}

void relay_receipts_stats(const struct relay_receipts *receipts,
			  struct relay_receipts_stats *out_stats)
{
	*out_stats = receipts->stats;
}

void relay_receipts_view(const struct relay_receipts *receipts, struct fair_view *out)
{
	fair_read(&receipts->places.fair, out);
}
