/* SPDX-License-Identifier: Apache-2.0 */
#include "support/relay_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/node_key.h"
#include "net/ingress/ingress_policy.h"
#include "store/store.h"

#define FLOW_CAP 64

static bool is_own(void *ctx, const struct addr *addr)
{
	const struct relay_rig *rig = ctx;

	return addr_equal(addr, &rig->own);
}

static void on_carried(void *ctx, const uint8_t *owner, const uint64_t lens[static 2])
{
	struct relay_rig *rig = ctx;

	(void)owner;
	rig->carried[0] += lens[0];
	rig->carried[1] += lens[1];
}

static void on_closed(void *ctx, struct relay_flow_id id, enum relay_close_why why)
{
	struct relay_rig *rig = ctx;

	(void)id;
	rig->closed_cnt++;
	rig->closed_why = why;
}

static void on_slowed(void *ctx, struct relay_flow_id id, bool is_slow)
{
	struct relay_rig *rig = ctx;

	(void)id;
	rig->slowed_cnt++;
	rig->is_slow = is_slow;
}

static void must(int err, const char *what)
{
	if (err >= 0)
		return;
	printf("Bail out! %s: %s\n", what, weft_err_text(err));
	exit(1);
}

void relay_rig_begin(struct relay_rig *rig, struct store *store, uint32_t flow_cap)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1, 2, 3};
	struct relay_params params = {.store = store};

	*rig = (struct relay_rig){.store = store,
				  .now_ns = RELAY_RIG_START_NS,
				  .wall_s = RELAY_RIG_WALL_S,
				  .own = relay_rig_addr(9, 9)};
	random_init_seeded(&rig->random, 7);
	must(node_key_from_seed(seed, &rig->key), "make a key");
	relay_config_defaults(&params.config);
	params.config.is_on = true;
	params.config.flow_cap = flow_cap ? flow_cap : FLOW_CAP;
	params.key = rig->key;
	params.random = &rig->random;
	params.now_ns = rig->now_ns;
	params.wall_s = rig->wall_s;
	params.is_own = is_own;
	params.on_closed = on_closed;
	params.on_slowed = on_slowed;
	params.on_carried = on_carried;
	params.ctx = rig;
	must(relay_new(&params, &rig->relay), "make a relay");
}

void relay_rig_end(struct relay_rig *rig)
{
	relay_free(rig->relay);
	node_key_free(rig->key);
	rig->relay = NULL;
}

void relay_rig_pass(struct relay_rig *rig, uint64_t span_ns)
{
	uint64_t until_ns = rig->now_ns + span_ns, started_ns = rig->now_ns;
	uint64_t wall_s = rig->wall_s;

	while (rig->now_ns < until_ns) {
		rig->now_ns += RELAY_TURN_NS;
		rig->wall_s = wall_s + (rig->now_ns - started_ns) / 1000000000;
		relay_turn(rig->relay, rig->now_ns, rig->wall_s);
		if (rig->store)
			(void)store_reap(rig->store);
	}
}

struct addr relay_rig_addr(unsigned network, unsigned host)
{
	return (struct addr){
		.ip = {10, 0, (uint8_t)network, (uint8_t)host}, .port = 4242, .family = ADDR_IPV4};
}

int relay_rig_open(struct relay_rig *rig, unsigned owner, unsigned grant,
		   struct relay_flow_id *out_id)
{
	const struct addr addr = relay_rig_addr(owner >> 8, owner & 0xff);
	uint8_t key[RELAY_KEY_LEN] = {(uint8_t)owner, (uint8_t)(owner >> 8), 1};
	const struct relay_flow_terms terms = {.owner = key,
					       .addr = &addr,
					       .class = FAIR_UNKNOWN,
					       .grant = grant,
					       .mtu = RELAY_RIG_MTU,
					       .worker = 0};

	return relay_flow_open(rig->relay, &terms, out_id);
}

struct relay_flow_id relay_rig_open_whole(struct relay_rig *rig, unsigned owner, unsigned grant)
{
	struct relay_flow_id id;
	struct addr remote;

	must(relay_rig_open(rig, owner, grant, &id), "open a flow");
	for (unsigned leg = 0; leg < 2; leg++) {
		remote = relay_rig_addr(leg + 1, 1);
		must(relay_flow_set_leg(rig->relay, id, leg, &remote, &rig->own), "set a leg");
	}
	return id;
}

unsigned relay_rig_grant(struct relay_rig *rig, unsigned number, uint64_t per_s, uint64_t month_len)
{
	const struct relay_grant_terms terms = {.id = {(uint8_t)number, 42},
						.per_s = per_s,
						.burst_len = per_s,
						.month_len = month_len};
	int row = relay_grant_open(rig->relay, &terms);

	must(row, "open a grant");
	return (unsigned)row;
}

enum weft_reason relay_rig_send(struct relay_rig *rig, struct relay_flow_id id, unsigned leg,
				size_t len, const struct addr *remote)
{
	static struct weft_tables tables;
	struct weft_facts facts = {.source = addr_endpoint(remote),
				   .now_ns = rig->now_ns,
				   .len = (uint32_t)(len + WEFT_RELAY_LABEL_LEN)};
	struct weft_relay_label label;

	if (relay_flow_label(rig->relay, id, leg, &label) < 0)
		return WEFT_REASON_CNT;
	tables.now_ns = rig->now_ns;
	tables.relay = *relay_tables(rig->relay);
	tables.relay_way = (struct weft_relay_way){.label = label, .inner = 0x40};
	return weft_relay_judge(&tables, &facts);
}

enum weft_reason relay_rig_send_own(struct relay_rig *rig, struct relay_flow_id id, unsigned leg,
				    size_t len)
{
	const struct addr remote = relay_rig_addr(leg + 1, 1);

	return relay_rig_send(rig, id, leg, len, &remote);
}
