/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of receipts: rows by fair shares, what each has counted, and the ends of months.
 */
#include <string.h>

#include "base/random.h"
#include "receipts_state.h"

static const struct fair_config pool = {
	.name = "relay receipts",
	.kind = FAIR_LASTING,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

int relay_receipts_rows_init(struct relay_receipts *receipts)
{
	uint32_t cap = receipts->params.config.row_cap;
	struct fair_config config = pool;
	uint64_t secret[2];
	int err;

	config.cap_cnt = cap;
	random_fill(receipts->params.random, secret, sizeof(secret));
	receipts->rows = arena_alloc(&receipts->arena, (cap + 1) * sizeof(*receipts->rows));
	if (!receipts->rows)
		return WEFT_EFULL;
	if ((err = fair_places_init(&receipts->places, &receipts->arena, &config)) < 0 ||
	    (err = map_init(&receipts->names, &receipts->arena, sizeof(struct receipt_name),
			    cap + 1, secret)) < 0)
		return err;
	receipts->places.paths.site = receipts->params.site;
	for (uint32_t i = 0; i <= cap; i++)
		list_push_back(&receipts->free_rows, &receipts->rows[i].link);
	return 0;
}

/* --- rows --- */

static struct receipt_name name_of(enum relay_receipt_side side, const uint8_t *party,
				   uint32_t month)
{
	struct receipt_name name = {.month = month, .side = side};

	memcpy(name.party, party, sizeof(name.party));
	return name;
}

struct receipt_row *relay_receipts_row_find(const struct relay_receipts *receipts,
					    enum relay_receipt_side side, const uint8_t *party,
					    uint32_t month)
{
	const struct receipt_name name = name_of(side, party, month);

	return map_lookup(&receipts->names, &name);
}

/* Its share is given back already. */
static void row_vacate(struct relay_receipts *receipts, struct receipt_row *row)
{
	if (row->request)
		receipts->params.mesh.ops->cancel(row->request);
	row->request = NULL;
	relay_receipts_row_forget(row);
	if (row->changed_len)
		list_unlink(&row->changed_link);
	relay_receipts_row_delete(receipts, row);
	(void)map_delete(&receipts->names, &row->name);
	row->is_used = false;
	list_unlink(&row->link);
	list_push_back(&receipts->free_rows, &row->link);
	receipts->stats.row_cnt--;
}

static void row_free(struct relay_receipts *receipts, struct receipt_row *row)
{
	fair_release(&receipts->places.fair, &row->share, receipts->now_ns);
	row_vacate(receipts, row);
}

static struct fair_path path_of(const struct relay_receipts *receipts,
				const struct receipt_name *name, const struct addr *addr)
{
	const struct relay_receipts_params *params = &receipts->params;
	enum fair_class class = FAIR_UNKNOWN;
	struct fair_path path;

	/* This node chose the relays that it opens flows at. */
	if (name->side == RELAY_SIDE_OWNER)
		class = FAIR_CHOSEN;
	else if (params->class_of)
		class = params->class_of(params->ctx, name->party);
	fair_path_of_addr(&receipts->places.paths, addr, class, &path);
	fair_path_add(&receipts->places.paths, &path, name->party, sizeof(name->party));
	return path;
}

struct receipt_row *relay_receipts_row_take(struct relay_receipts *receipts,
					    const struct receipt_name *name,
					    const struct addr *addr)
{
	struct receipt_row *row = list_first(&receipts->free_rows, struct receipt_row, link);
	struct fair_path path = path_of(receipts, name, addr);
	struct fair_item *victim;

	row->share = (struct fair_item){.leaf = NULL};
	switch (fair_take(&receipts->places.fair, &path, &row->share, receipts->now_ns, &victim)) {
	case FAIR_TAKEN:
		break;
	case FAIR_TAKEN_FROM:
		receipts->stats.evicted_cnt++;
		row_vacate(receipts, (struct receipt_row *)victim);
		break;
	case FAIR_BUSY:
		return NULL;
	}
	list_unlink(&row->link);
	*row = (struct receipt_row){.share = row->share,
				    .receipts = receipts,
				    .name = *name,
				    .addr = *addr,
				    .is_used = true};
	list_push_back(&receipts->sides[name->side], &row->link);
	receipts->stats.row_cnt++;
	if (map_put(&receipts->names, &row->name, row) == 0)
		return row;
	row_free(receipts, row);
	return NULL;
}

/* A /24 or a /48: what is one network to fair shares. */
static void addr_blur(struct addr *addr)
{
	size_t keep = addr->family == ADDR_IPV4 ? 3 : 6;

	memset(addr->ip + keep, 0, sizeof(addr->ip) - keep);
	addr->port = 0;
	addr->scope_id = 0;
	addr->transport = ADDR_UDP;
}

struct receipt_row *relay_receipts_row_make(struct relay_receipts *receipts,
					    enum relay_receipt_side side, const uint8_t *party,
					    uint32_t month)
{
	const struct receipt_name name = name_of(side, party, month);
	struct receipt_row *row = map_lookup(&receipts->names, &name);
	struct mesh_path path = {.received_len = 0};

	if (row)
		return row;
	if (!receipts->params.neighbours->path(receipts->params.mesh.mesh, party, &path))
		path.remote = (struct addr){.family = ADDR_NONE};
	addr_blur(&path.remote);
	return relay_receipts_row_take(receipts, &name, &path.remote);
}

/* --- counts --- */

void relay_receipts_count_subtract(struct relay_count *count, const struct relay_count *counted)
{
	count->sent -= counted->sent < count->sent ? counted->sent : count->sent;
	count->received -=
		counted->received < count->received ? counted->received : count->received;
}

struct relay_count relay_receipts_count_sum(const struct relay_count *a,
					    const struct relay_count *b)
{
	return (struct relay_count){.sent = a->sent + b->sent,
				    .received = a->received + b->received};
}

struct relay_count relay_receipts_row_counted(const struct receipt_row *row)
{
	return relay_receipts_count_sum(&row->base, &row->pending);
}

void relay_receipts_row_count(struct receipt_row *row, const struct relay_count *more)
{
	row->pending = relay_receipts_count_sum(&row->pending, more);
	relay_receipts_row_changed(row, more->sent + more->received);
}

void relay_receipts_row_uncount(struct receipt_row *row)
{
	row->pending = row->doubtful = (struct relay_count){.sent = 0};
	relay_receipts_row_changed(row, RELAY_COUNT_SAVE_LEN);
}

void relay_receipts_row_set(struct receipt_row *row, const uint8_t *bytes, size_t len,
			    const struct relay_receipt *receipt)
{
	struct relay_receipts *receipts = row->receipts;

	row->len = (uint16_t)len;
	memcpy(row->bytes, bytes, len);
	row->serial = receipt->claim.serial;
	row->base_claimed = receipt->claim.counted;
	row->base = row->name.side == RELAY_SIDE_OWNER ? receipt->claim.counted : receipt->counted;
	row->total = relay_receipt_total(receipt);
	row->made_s = receipt->made_s;
	if (receipt->claim.month > receipts->newest_month)
		receipts->newest_month = receipt->claim.month;
	relay_receipts_row_dirty(row, true);
}

void relay_receipts_row_adopt(struct receipt_row *row, const uint8_t *bytes, size_t len,
			      const struct relay_receipt *receipt)
{
	struct relay_count before = row->base, more;

	relay_receipts_row_set(row, bytes, len, receipt);
	/* Counted by that receipt, and by this node before it lost it. */
	more = row->base;
	relay_receipts_count_subtract(&more, &before);
	if (more.sent > row->doubtful.sent)
		more.sent = row->doubtful.sent;
	if (more.received > row->doubtful.received)
		more.received = row->doubtful.received;
	relay_receipts_count_subtract(&row->pending, &more);
	row->doubtful = (struct relay_count){.sent = 0};
}

/* --- months --- */

void relay_receipts_row_hand_over(struct relay_receipts *receipts, struct receipt_row *row)
{
	const struct receipt_name name =
		name_of((enum relay_receipt_side)row->name.side, row->name.party, receipts->month);
	const struct relay_count pending = row->pending;
	const struct addr addr = row->addr;
	uint64_t since_ns = row->since_ns;
	struct receipt_row *next;

	if (row->name.month == receipts->month || row->claim_len ||
	    (!pending.sent && !pending.received))
		return;
	relay_receipts_row_uncount(row);
	next = map_lookup(&receipts->names, &name);
	if (!next)
		next = relay_receipts_row_take(receipts, &name, &addr);
	if (!next) {
		receipts->stats.homeless_cnt++;
		return;
	}
	if (!next->since_ns)
		next->since_ns = since_ns;
	relay_receipts_row_count(next, &pending);
}

static bool is_of_no_use(const struct relay_receipts *receipts, const struct receipt_row *row)
{
	return !row->len && !row->claim_len && row->name.month != receipts->month &&
	       !row->pending.sent && !row->pending.received;
}

static bool is_too_old(const struct relay_receipts *receipts, const struct receipt_row *row)
{
	return row->name.month + RELAY_RECEIPT_MONTHS <= receipts->newest_month;
}

void relay_receipts_rows_age(struct relay_receipts *receipts)
{
	if (receipts->aged_month == receipts->newest_month)
		return;
	receipts->aged_month = receipts->newest_month;
	for (uint32_t i = 0; i <= receipts->params.config.row_cap; i++) {
		struct receipt_row *row = &receipts->rows[i];

		if (!row->is_used || !is_too_old(receipts, row))
			continue;
		receipts->stats.expired_cnt++;
		row_free(receipts, row);
	}
}

void relay_receipts_rows_enter_month(struct relay_receipts *receipts)
{
	for (uint32_t i = 0; i <= receipts->params.config.row_cap; i++) {
		struct receipt_row *row = &receipts->rows[i];

		if (!row->is_used)
			continue;
		relay_receipts_row_hand_over(receipts, row);
		if (row->is_used && is_of_no_use(receipts, row))
			row_free(receipts, row);
	}
}
