/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data path of a relay, as home keeps it. Inbound and outbound datagrams
 * do not come here: bpf/relay_forward.h and forward.c read and count in the
 * tables that this folder owns.
 *
 *	relay.c       memory of the tables, keys of the hour, the turn
 *	flow_table.c  opens and closes flows, their legs, labels and idle ends
 *	owners.c      what a key and a network have in a day without a grant
 *	owner_days.c  the same in the store
 *	ledger.c      grants: leases of volume, stored before they are handed out
 *	forward.c     userspace's way of a datagram, on every worker
 */
#include "relay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/random.h"
#include "crypto/node_key.h"
#include "relay_state.h"

#define KEY_LABEL_CAP 32
#define IDLE_TURN_NS  1000000000ull

void relay_config_defaults(struct relay_config *config)
{
	*config = (struct relay_config){
		.flow_cap = WEFT_RELAY_FLOW_CNT_MAX,
		.free_per_s = 8000,
		.free_burst_len = 32768,
		.free_day_len = 16ull << 20,
		.free_content_day_len = 4ull << 20,
		.free_opens = 1024,
		.free_network = 16,
		.slow_per_s = 1000,
	};
}

static size_t page_round(size_t len)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	return (len + page - 1) / page * page;
}

/* Zeroed, at the start of a page. NULL: no memory. */
static void *table_new(size_t len)
{
	void *at = mmap(NULL, page_round(len), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	return at == MAP_FAILED ? NULL : at;
}

static void table_free(void *at, size_t len)
{
	if (at)
		munmap(at, page_round(len));
}

static int tables_new(struct weft_relay_tables *tables, uint32_t flow_cnt)
{
	tables->flow_cnt = flow_cnt;
	tables->keys = table_new(sizeof(*tables->keys));
	tables->flows = table_new(flow_cnt * sizeof(*tables->flows));
	tables->grants = table_new(WEFT_RELAY_GRANT_CNT * sizeof(*tables->grants));
	return tables->keys && tables->flows && tables->grants ? 0 : -ENOMEM;
}

static void tables_free(struct weft_relay_tables *tables)
{
	table_free(tables->keys, sizeof(*tables->keys));
	table_free(tables->flows, tables->flow_cnt * sizeof(*tables->flows));
	table_free(tables->grants, WEFT_RELAY_GRANT_CNT * sizeof(*tables->grants));
}

/* Follows from the node's key and the hour alone, so it is the same after a restart. */
static void key_set(struct relay *relay, uint32_t hour)
{
	struct weft_siphash_key *slot = &relay->tables.keys->slots[hour % WEFT_RELAY_KEY_CNT];
	uint8_t secret[NODE_KEY_DERIVED_LEN];
	char label[KEY_LABEL_CAP];

	snprintf(label, sizeof(label), "weft relay flow %u", hour);
	node_key_derive(relay->params.key, label, secret);
	/*
	 * The key that it replaces is four hours old: a reader that sees half
	 * of each drops a late datagram.
	 */
	__atomic_store_n(&slot->is_set, 0, __ATOMIC_RELEASE);
	memcpy(slot->key, secret, sizeof(slot->key));
	slot->generation = hour & 0xff;
	__atomic_store_n(&slot->is_set, 1, __ATOMIC_RELEASE);
	explicit_bzero(secret, sizeof(secret));
}

/*
 * A clock that was put back by up to an hour goes on with the newer keys. One that was further ahead
 * would have labels that are renewed too late, or for long not at all: the hour is the clock's again.
 * The other keys stay until their places are needed, so labels under them are honoured meanwhile.
 */
static void keys_turn(struct relay *relay)
{
	uint32_t hour = (uint32_t)(relay->wall_s / WEFT_RELAY_KEY_LIFE_S);
	uint32_t first = hour >= WEFT_RELAY_KEY_CNT ? hour - WEFT_RELAY_KEY_CNT + 1 : 0;

	if (hour + 1 < relay->hour)
		first = hour;
	else if (hour <= relay->hour)
		return;
	else if (relay->hour >= first)
		first = relay->hour + 1;
	for (uint32_t i = first; i <= hour; i++)
		key_set(relay, i);
	relay->hour = hour;
}

static int relay_init(struct relay *relay)
{
	int err;

	if ((err = arena_open(&relay->arena, ARENA_GROWS)) < 0 ||
	    (err = tables_new(&relay->tables, relay->params.config.flow_cap)) < 0 ||
	    (err = relay_flows_init(relay)) < 0 || (err = relay_grants_init(relay)) < 0 ||
	    (err = relay_days_load(relay)) < 0)
		return err;
	arena_fit(&relay->arena);
	keys_turn(relay);
	return 0;
}

int relay_new(const struct relay_params *params, struct relay **out_relay)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	int err;

	if (!relay)
		return -ENOMEM;
	relay->params = *params;
	relay->now_ns = params->now_ns;
	relay->wall_s = params->wall_s;
	err = relay_init(relay);
	if (err < 0) {
		relay_free(relay);
		return err;
	}
	*out_relay = relay;
	return 0;
}

void relay_free(struct relay *relay)
{
	if (!relay)
		return;
	relay_grants_settle(relay);
	relay_days_settle(relay);
	tables_free(&relay->tables);
	arena_close(&relay->arena);
	free(relay);
}

size_t relay_footprint(const struct relay_config *config)
{
	if (!config->is_on)
		return 0;
	return config->flow_cap * (sizeof(struct weft_relay_flow) + sizeof(struct relay_flow) +
				   2 * sizeof(struct relay_owner)) +
	       WEFT_RELAY_GRANT_CNT *
		       (sizeof(struct weft_relay_grant) + sizeof(struct relay_grant));
}

const struct weft_relay_tables *relay_tables(const struct relay *relay)
{
	return &relay->tables;
}

const struct relay_stats *relay_stats(const struct relay *relay)
{
	return &relay->stats;
}

void relay_places(const struct relay *relay, struct fair_view *out)
{
	fair_read(&relay->places.fair, out);
}

void relay_turn(struct relay *relay, uint64_t now_ns, uint64_t wall_s)
{
	relay->now_ns = now_ns;
	if (wall_s)
		relay->wall_s = wall_s;
	if (now_ns - relay->turned_ns < RELAY_TURN_NS)
		return;
	relay->turned_ns = now_ns;
	keys_turn(relay);
	relay_flows_sweep(relay);
	relay_grants_turn(relay);
	relay_days_turn(relay);
}

uint64_t relay_next_ns(const struct relay *relay)
{
	/* While nothing is open there are keys alone to follow the hour. */
	return relay->turned_ns +
	       (relay->stats.open_cnt || relay->stats.grant_cnt ? RELAY_TURN_NS : IDLE_TURN_NS);
}

void relay_row_write_begin(struct weft_relay_flow *row)
{
	/* The program writes a link header in some nanoseconds, with no lock that could be lost. */
	while (!weft_relay_begin_write(row))
		;
}

void relay_row_write_end(struct weft_relay_flow *row)
{
	weft_relay_end_write(row);
}
