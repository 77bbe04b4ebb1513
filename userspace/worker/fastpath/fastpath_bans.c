/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bans in the tables of the XDP program. It asks a trie only when
 * the configuration says that something is in it.
 */
#include "base/monotonic.h"
#include "base/log.h"
#include "firewall/bans.h"
#include "worker/fastpath/fastpath.h"

static void counts_push(struct fastpath *fastpath)
{
	const struct ban_list *list = fastpath->params.bans->list;
	const struct ban *ban = NULL;
	uint32_t cnts[] = {[BAN_IPV4] = 0, [BAN_IPV6] = 0, [BAN_KEY] = 0};

	while ((ban = firewall_ban_list_next(list, ban)))
		cnts[ban->target.kind] += !ban->is_limit;
	fastpath->policy.ban_ipv4_cnt = cnts[BAN_IPV4];
	fastpath->policy.ban_ipv6_cnt = cnts[BAN_IPV6];
	worker_fastpath_config_push(fastpath);
}

static void ban_push(struct fastpath *fastpath, const struct ban *ban)
{
	uint64_t now_ns = clock_monotonic_ns(), wall_s = clock_wall_s();
	struct weft_ban entry = {.expires_ns = 0};
	int err;

	/* A limit demands proof, which the QUIC engine asks for. */
	if (ban->target.kind == BAN_KEY || ban->is_limit)
		return;
	if (ban->expires_s)
		entry.expires_ns =
			ban->expires_s > wall_s ? now_ns + (ban->expires_s - wall_s) * NS_PER_S : 1;
	err = net_xdp_ban_put(fastpath->xdp, &ban->target.addr, ban->target.prefix_len, &entry);
	if (err < 0)
		log_warn("XDP table of bans: %s; the sockets enforce what is not in it",
			 weft_err_text(err));
}

void worker_fastpath_bans_push(struct fastpath *fastpath)
{
	const struct ban *ban = NULL;

	if (!fastpath->xdp)
		return;
	while ((ban = firewall_ban_list_next(fastpath->params.bans->list, ban)))
		ban_push(fastpath, ban);
	counts_push(fastpath);
}

void worker_fastpath_ban_changed(struct fastpath *fastpath, const struct ban_target *target)
{
	const struct ban *ban;

	if (!fastpath->xdp || target->kind == BAN_KEY)
		return;
	ban = firewall_ban_list_lookup(fastpath->params.bans->list, target);
	if (ban)
		ban_push(fastpath, ban);
	else
		net_xdp_ban_delete(fastpath->xdp, &target->addr, target->prefix_len);
	counts_push(fastpath);
}
