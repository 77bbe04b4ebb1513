/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts in ShowLimits and ShowWhy: networks whose work cost most CPU
 * lately, and who was refused by which pool (base/load.h), of all workers.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "codec/zbase32.h"
#include "node/methods/accounts.h"
#include "node/methods/figures.h"
#include "node/methods/methods.h"

#define REFUSALS_TOLD_MAX 200

const char *method_network_name(const struct node *node, const struct load_network *network,
				enum control_role role, char text[static METHOD_NETWORK_CAP])
{
	const struct weft_endpoint endpoint = addr_endpoint(&network->prefix);
	struct ban_target target = ban_target_of(&network->prefix);

	if (role < CONTROL_ADMIN)
		return drops_pseudonym(&node->drops, &endpoint, text);
	target = ban_target_cut(&target, network->prefix_len);
	return ban_target_format(&target, text);
}

/* A steady cost of c a second has load c * LOAD_HALF_NS / ln 2; a unit of it is 10 us. */
static uint64_t us_per_s(uint32_t load)
{
	return (uint64_t)load * 10 * 693 * NS_PER_MS / LOAD_HALF_NS;
}

json_t *method_json_networks(struct node *node, enum control_role role)
{
	json_t *list = json_array();
	char text[METHOD_NETWORK_CAP];
	struct figures f;

	figures_read(node, &f);
	for (unsigned i = 0; i < LOAD_NETWORK_CNT && f.networks[i].prefix_len; i++)
		json_array_append_new(
			list,
			json_pack("{s:s, s:o}", "network",
				  method_network_name(node, &f.networks[i], role, text), "us_per_s",
				  method_json_uint(us_per_s(f.networks[i].load))));
	return list;
}

static const char *refused_name(const struct node *node, const struct refused *who,
				enum control_role role, char text[static METHOD_NETWORK_CAP])
{
	struct load_network network = {.prefix = who->addr,
				       .prefix_len = who->addr.family == ADDR_IPV6 ? 64 : 32};

	switch (who->kind) {
	case REFUSED_KEY:
		return zbase32_write(who->key, sizeof(who->key), text);
	case REFUSED_ADDR:
		return method_network_name(node, &network, role, text);
	default:
		snprintf(text, METHOD_NETWORK_CAP, "user %u", who->uid);
		return text;
	}
}

static json_t *refusal_json(const struct node *node, const struct refusal *row,
			    enum control_role role)
{
	uint64_t now_ns = clock_monotonic_ns(), now_s = clock_wall_s();
	char text[METHOD_NETWORK_CAP];
	json_t *json =
		json_pack("{s:s, s:s, s:o, s:o}", "who", refused_name(node, &row->who, role, text),
			  "pool", row->pool, "times", method_json_uint(row->cnt), "last_s",
			  method_json_uint(now_s - (now_ns - row->last_ns) / NS_PER_S));

	if (row->until_ns > now_ns)
		json_object_set_new(json, "wait_ms",
				    method_json_uint((row->until_ns - now_ns) / NS_PER_MS + 1));
	return json;
}

static void refusal_add(json_t *list, const struct node *node, const struct refusal *row,
			const struct accounts_of *of)
{
	if (json_array_size(list) < REFUSALS_TOLD_MAX && (!of->has || of->has(of->arg, &row->who)))
		json_array_append_new(list, refusal_json(node, row, of->role));
}

/* Of home all that it keeps when has is given, else its newest; of other workers those that they tell of. */
json_t *method_json_refusals(struct node *node, const struct accounts_of *of)
{
	const struct refusals *own = &node->home.load.refusals;
	struct refusal newest[REFUSALS_NEWER_CNT];
	const struct refusal *row = NULL;
	json_t *list = json_array();

	if (of->has) {
		while ((row = refusals_next(own, row)))
			refusal_add(list, node, row, of);
	} else {
		unsigned cnt = refusals_newest(own, newest);

		for (unsigned i = 0; i < cnt; i++)
			refusal_add(list, node, &newest[i], of);
	}
	for (unsigned idx = 1; node->crew && idx <= crew_cnt(node->crew); idx++) {
		const struct worker_figures *worker = crew_figures(node->crew, idx);

		for (unsigned i = 0; i < worker->refusal_cnt; i++)
			refusal_add(list, node, &worker->refusals[i], of);
	}
	return list;
}
