/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts in ShowLimits and ShowWhy: networks whose work cost most CPU lately, and the accounts
 * that each pool refused (base/fair/load.h), of all workers.
 */
#include <stdio.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/text/zbase32.h"
#include "method_accounts.h"
#include "api/figures.h"
#include "api/methods.h"

#define REFUSALS_TOLD_MAX 200

const char *api_network_name(const struct api *api, const struct load_network *network,
			     enum control_role role, char text[static METHOD_NETWORK_CAP])
{
	const struct weft_endpoint endpoint = addr_endpoint(&network->prefix);
	struct ban_target target = firewall_ban_target_of(&network->prefix);

	if (role < CONTROL_ADMIN)
		return firewall_drops_pseudonym(api->drops, &endpoint, text);
	target = firewall_ban_target_cut(&target, network->prefix_len);
	return firewall_ban_target_format(&target, text);
}

/* A steady cost of c a second has load c * LOAD_HALF_NS / ln 2; a unit of it is 10 us. */
static uint64_t us_per_s(uint32_t load)
{
	return (uint64_t)load * 10 * 693 * NS_PER_MS / LOAD_HALF_NS;
}

void api_networks(struct varlink_blocks *blocks, struct api *api, enum control_role role,
		  struct api_network_cost_list *out_networks)
{
	char text[METHOD_NETWORK_CAP];
	struct figures f;

	api_figures_read(api, &f);
	for (unsigned i = 0; i < LOAD_NETWORK_CNT && f.networks[i].prefix_len; i++) {
		const char *name = api_network_name(api, &f.networks[i], role, text);
		varlink_push(blocks, out_networks,
			     {varlink_text(blocks, name), api_uint(us_per_s(f.networks[i].load))});
	}
}

static const char *refused_name(const struct api *api, const struct refused *who,
				enum control_role role, char text[static METHOD_NETWORK_CAP])
{
	struct load_network network = {.prefix = who->addr,
				       .prefix_len = who->addr.family == ADDR_IPV6 ? 64 : 32};

	switch (who->kind) {
	case REFUSED_KEY:
		return zbase32_write(who->key, sizeof(who->key), text);
	case REFUSED_ADDR:
		return api_network_name(api, &network, role, text);
	default:
		snprintf(text, METHOD_NETWORK_CAP, "user %u", who->uid);
		return text;
	}
}

/* Where rows of ShowLimits or ShowWhy go. */
struct refusal_listing {
	struct varlink_blocks *blocks;
	const struct api *api;
	const struct accounts_of *of;
	struct api_refusal_list *refusals;
};

static void refusal_add(const struct refusal_listing *listing, const struct refusal *refusal)
{
	uint64_t now_ns = clock_monotonic_ns(), now_s = clock_wall_s();
	const struct accounts_of *of = listing->of;
	char text[METHOD_NETWORK_CAP];
	struct api_refusal row = {
		.pool = refusal->pool,
		.times = api_uint(refusal->cnt),
		.last_s = api_uint(now_s - (now_ns - refusal->last_ns) / NS_PER_S),
	};

	if (listing->refusals->cnt >= REFUSALS_TOLD_MAX ||
	    (of->has && !of->has(of->arg, &refusal->who)))
		return;
	row.who = varlink_text(listing->blocks,
			       refused_name(listing->api, &refusal->who, of->role, text));
	if (refusal->until_ns > now_ns)
		API_SET(&row, wait_ms, api_uint((refusal->until_ns - now_ns) / NS_PER_MS + 1));
	varlink_push(listing->blocks, listing->refusals, row);
}

/*
 * Adds home's refusals, all that it keeps when has is given, else the newest.
 * From other workers it adds those that they report.
 */
void api_refusals(struct varlink_blocks *blocks, struct api *api, const struct accounts_of *of,
		  struct api_refusal_list *out_refusals)
{
	const struct refusal_listing listing = {blocks, api, of, out_refusals};
	const struct refusals *own = &api->home->load.refusals;
	struct refusal newest[REFUSALS_NEWER_CNT];
	const struct refusal *row = NULL;

	if (of->has) {
		while ((row = refusals_next(own, row)))
			refusal_add(&listing, row);
	} else {
		unsigned cnt = refusals_newest(own, newest);

		for (unsigned i = 0; i < cnt; i++)
			refusal_add(&listing, &newest[i]);
	}
	for (unsigned idx = 1; api->workers && idx <= workers_cnt(api->workers); idx++) {
		const struct worker_figures *worker = workers_figures(api->workers, idx);

		for (unsigned i = 0; i < worker->refusal_cnt; i++)
			refusal_add(&listing, &worker->refusals[i]);
	}
}
