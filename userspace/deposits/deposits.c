/* SPDX-License-Identifier: Apache-2.0 */
#include "deposits.h"

#include <errno.h>
#include <stdlib.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "deposits_state.h"

#define MIB (1ull << 20)
/* What a node has that keeps nothing for others: for its own keys. */
#define OWN_UNITS 4096u

void deposits_config_defaults(struct deposits_config *config)
{
	*config = (struct deposits_config){.is_store = true, .room_len = 64 * MIB};
}

/* --- time --- */

static uint64_t first_end_ns(const struct deposits *deposits, uint64_t now_ns)
{
	const struct deposit_row *row = deposits_rows_first(deposits);
	uint64_t now_s = deposits_wall_s(deposits), wait_s;

	if (!row)
		return UINT64_MAX;
	wait_s = row->expires_s > now_s ? row->expires_s - now_s : 0;
	return wait_s < (UINT64_MAX - now_ns) / NS_PER_S ? now_ns + wait_s * NS_PER_S : UINT64_MAX;
}

void deposits_due(struct deposits *deposits, uint64_t now_ns)
{
	uint64_t next_ns = deposits_write_next_ns(deposits),
		 end_ns = first_end_ns(deposits, now_ns);

	timer_set(deposits->params.timers, &deposits->timer, next_ns < end_ns ? next_ns : end_ns);
}

struct mesh_peer deposits_peer(const struct deposits *deposits, unsigned kind, const uint8_t *store,
			       struct peer_places *out_places, uint64_t now_ns)
{
	const struct deposits_params *params = &deposits->params;
	struct mesh_peer peer = {.addr_cnt = 0};

	if (params->peer_of)
		return params->peer_of(params->ctx, kind, store, out_places, now_ns);
	memcpy(peer.key, store, sizeof(peer.key));
	return peer;
}

static void on_due(struct timer *timer, uint64_t now_ns)
{
	struct deposits *deposits = container_of(timer, struct deposits, timer);

	deposits->now_ns = now_ns;
	deposits_expire(deposits, now_ns);
	deposits_due(deposits, now_ns);
}

/* --- life --- */

static int lay_out(struct deposits *deposits, struct random *random)
{
	const struct deposits_config *config = &deposits->params.config;
	uint64_t secret[2];
	int err = arena_open(&deposits->arena, ARENA_GROWS);

	if (err < 0)
		return err;
	deposits->params.random = random;
	deposits->unit_cap =
		config->is_store ? (uint32_t)(config->room_len / DEPOSIT_UNIT_LEN) : OWN_UNITS;
	random_fill(random, secret, sizeof(secret));
	if ((err = deposits_rows_init(deposits, secret)) < 0 ||
	    (err = deposits_share_init(deposits)) < 0 ||
	    (err = deposits_write_init(deposits)) < 0 ||
	    (err = deposits_deliver_init(deposits)) < 0 ||
	    (err = deposits_pull_init(deposits)) < 0 || (err = deposits_out_init(deposits)) < 0 ||
	    (err = pool_init(&deposits->asked, &deposits->arena, sizeof(struct deposit_asked),
			     DEPOSITS_ASKED_CAP)) < 0 ||
	    (err = pool_init(&deposits->answers, &deposits->arena, sizeof(struct deposit_answer),
			     DEPOSITS_ANSWER_CAP)) < 0)
		return err;
	arena_fit(&deposits->arena);
	return 0;
}

size_t deposits_footprint(const struct deposits_config *config)
{
	struct deposits *deposits = calloc(1, sizeof(*deposits));
	struct random random;
	size_t len = 0;

	if (!deposits)
		return 0;
	random_init_seeded(&random, 1);
	deposits->params.config = *config;
	if (lay_out(deposits, &random) == 0)
		len = sizeof(*deposits) + deposits->arena.used_len;
	arena_close(&deposits->arena);
	free(deposits);
	return len;
}

int deposits_open(const struct deposits_params *params, struct deposits **out_deposits)
{
	struct deposits *deposits = calloc(1, sizeof(*deposits));
	int err;

	if (!deposits)
		return -ENOMEM;
	deposits->params = *params;
	deposits->now_ns = params->now_ns;
	timer_init(&deposits->timer, on_due);
	err = lay_out(deposits, params->random);
	if (err == 0)
		err = deposits_load(deposits, params->now_ns);
	if (err == 0)
		err = deposits_answer_init(deposits);
	if (err < 0) {
		deposits_close(deposits);
		return err;
	}
	deposits_pull_own(deposits, params->now_ns);
	deposits_due(deposits, params->now_ns);
	*out_deposits = deposits;
	return 0;
}

void deposits_stop(struct deposits *deposits)
{
	if (!deposits || deposits->is_stopped)
		return;
	deposits->is_stopped = true;
	timer_cancel(deposits->params.timers, &deposits->timer);
	if (!deposits->answers.objects)
		return;
	deposits_answer_stop(deposits);
	deposits_pull_stop(deposits);
	deposits_deliver_stop(deposits);
	deposits_out_stop(deposits);
	deposits_write_fini(deposits);
}

void deposits_close(struct deposits *deposits)
{
	if (!deposits)
		return;
	deposits_stop(deposits);
	arena_close(&deposits->arena);
	free(deposits);
}

void deposits_session_up(struct deposits *deposits, const uint8_t key[static MESH_KEY_LEN],
			 uint64_t now_ns)
{
	if (!deposits || deposits->is_stopped)
		return;
	deposits_pull_look(deposits, key, now_ns);
	if (deposits->out_pool.used_cnt > 0)
		deposits_out_hurry(deposits, key, now_ns);
}

/* --- figures --- */

bool deposits_is_store(const struct deposits *deposits)
{
	return deposits->params.config.is_store;
}

void deposits_stats(const struct deposits *deposits, struct deposits_stats *out_stats)
{
	*out_stats = deposits->stats;
	out_stats->mark_cnt = deposits->seen_cnt;
	out_stats->useless_minute_cnt = deposits->patience.useless_cnt;
}

void deposits_view(const struct deposits *deposits, struct fair_view *out)
{
	fair_read(&deposits->fair, out);
}
