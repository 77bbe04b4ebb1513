/* SPDX-License-Identifier: Apache-2.0 */
#include "drop_counters.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "base/siphash_bytes.h"
#include "firewall.h"
#include "net/xdp/xdp.h"

#define TICK_NS NS_PER_S

void firewall_drops_sample(void *ctx, const struct weft_sample *sample)
{
	struct drops *drops = ctx;

	firewall_offenders_add(&drops->offenders, sample);
}

/* A counter below its last value began anew in between. */
static uint64_t grown(uint64_t now, uint64_t before)
{
	return now >= before ? now - before : now;
}

static void totals_grow(struct drops *drops, struct weft_counter *seen,
			const struct weft_counter *now, uint32_t *second)
{
	for (unsigned i = 0; i < WEFT_REASON_CNT; i++) {
		uint64_t packet_cnt = grown(now[i].packet_cnt, seen[i].packet_cnt);

		drops->totals[i].packet_cnt += packet_cnt;
		drops->totals[i].byte_cnt += grown(now[i].byte_cnt, seen[i].byte_cnt);
		second[i] += (uint32_t)packet_cnt;
		seen[i] = now[i];
	}
}

void firewall_drops_fetch(struct drops *drops)
{
	uint32_t *second = drops->recent[drops->tick_cnt % DROPS_RATE_S];
	const struct firewall_params *params = drops->params;
	struct xdp *xdp = params->xdp(params->ctx);
	struct weft_counter now[WEFT_REASON_CNT];

	if (xdp) {
		net_xdp_counters(xdp, now);
		totals_grow(drops, drops->seen_driver, now, second);
		(void)net_xdp_samples(xdp, firewall_drops_sample, drops);
	}
	params->socket_counters(params->ctx, now);
	totals_grow(drops, drops->seen_sockets, now, second);
}

static void timer_fire(struct timer *timer, uint64_t now_ns)
{
	struct drops *drops = container_of(timer, struct drops, timer);

	firewall_drops_fetch(drops);
	drops->tick_cnt++;
	memset(drops->recent[drops->tick_cnt % DROPS_RATE_S], 0, sizeof(drops->recent[0]));
	timer_set(drops->params->timers, timer, now_ns + TICK_NS);
}

void firewall_drops_open(struct drops *drops, const struct firewall_params *params)
{
	drops->params = params;
	drops->since_ns = params->started_ns;
	drops->since_s = params->started_s;
	random_fill(params->random, drops->salt, sizeof(drops->salt));
	timer_init(&drops->timer, timer_fire);
	timer_set(params->timers, &drops->timer, *params->now_ns + TICK_NS);
}

void firewall_drops_close(struct drops *drops)
{
	if (drops->params)
		timer_cancel(drops->params->timers, &drops->timer);
}

/* The second at hand is not over, so it does not count. */
uint64_t firewall_drops_rate(const struct drops *drops, enum weft_reason reason)
{
	uint64_t sum = 0, cnt = drops->tick_cnt;

	if (cnt > DROPS_RATE_S - 1)
		cnt = DROPS_RATE_S - 1;
	for (uint64_t i = 1; i <= cnt; i++)
		sum += drops->recent[(drops->tick_cnt - i) % DROPS_RATE_S][reason];
	return cnt ? sum / cnt : 0;
}

const char *firewall_drops_pseudonym(const struct drops *drops, const struct weft_endpoint *source,
				     char text[static DROPS_PSEUDONYM_CAP])
{
	struct weft_endpoint prefix = firewall_offenders_source(source);

	snprintf(text, DROPS_PSEUDONYM_CAP, "%016" PRIx64,
		 siphash(drops->salt, &prefix, sizeof(prefix)));
	return text;
}
