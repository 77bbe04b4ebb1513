/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fast path knows from the start: which addresses are ours, and
 * how much unvalidated sources may send.
 */
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

#include "base/monotonic.h"
#include "node/fastpath/fastpath_node.h"
#include "node/node_state.h"

/* Loopback's own addresses count where its device is attached, and nowhere else. */
static bool has_loopback(const struct fastpath *fastpath)
{
	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++) {
		const struct xdp_device_info *info = net_xdp_device_info(fastpath->xdp, i);

		if (info && info->is_loopback)
			return true;
	}
	return false;
}

static unsigned wildcard_expand(const struct addr *wildcard, const struct ifaddrs *list,
				bool is_loopback_wanted, struct addr *out_addrs, unsigned cap)
{
	unsigned cnt = 0;

	for (; list && cnt < cap; list = list->ifa_next) {
		struct addr addr;

		if (!list->ifa_addr || addr_from_sockaddr(list->ifa_addr, &addr) < 0 ||
		    addr.family != wildcard->family ||
		    (addr_is_loopback(&addr) && !is_loopback_wanted))
			continue;
		addr.port = wildcard->port;
		out_addrs[cnt++] = addr;
	}
	return cnt;
}

unsigned node_fastpath_locals(const struct fastpath *fastpath, struct addr *out_addrs, unsigned cap)
{
	const struct worker *home = &fastpath->node->home;
	bool is_loopback_wanted = has_loopback(fastpath);
	struct ifaddrs *list = NULL;
	unsigned cnt = 0;

	if (getifaddrs(&list) < 0)
		list = NULL;
	for (unsigned i = 0; i < home->bound_cnt && cnt < cap; i++) {
		const struct addr *bound = &home->bound[i];

		if (addr_is_wildcard(bound))
			cnt += wildcard_expand(bound, list, is_loopback_wanted, out_addrs + cnt,
					       cap - cnt);
		else if (!addr_is_loopback(bound) || is_loopback_wanted)
			out_addrs[cnt++] = *bound;
	}
	freeifaddrs(list);
	return cnt;
}

/* Drops of one reason that are told. */
static const struct limits_rate samples_rate = {50, 100};

/*
 * What DHT answers to unvalidated sources have beyond half of their questions:
 * 2,000 lists of nodes a second, and to more than 17,000 questions a
 * second of any kind fewer bytes than they brought.
 */
static const struct limits_rate krpc_bytes_rate = {500000, 500000};
/*
 * DHT datagrams of unvalidated sources that go to userspace: a tenth of what
 * home can take (5 us each), in bursts that half a ring holds.
 */
static const struct limits_rate krpc_rate = {20000, 2000};
/*
 * Questions that userspace sees for the sake of who asks: one a minute of
 * an address, and of all what a routing table may have of news.
 */
static const struct limits_rate senders_rate = {100, 200};
#define SENDER_EVERY_NS (60 * NS_PER_S)

#define TOKEN_LIFE_NS (60 * NS_PER_S)

void node_fastpath_policy_defaults(struct weft_config *policy)
{
	struct limits_config limits;

	firewall_limits_config_defaults(&limits);
	memset(policy, 0, sizeof(*policy));
	policy->flood_shift = LIMITS_FLOOD_SHIFT;
	policy->token_life_ns = TOKEN_LIFE_NS;
	policy->samples = firewall_limits_bucket_rate(&samples_rate, 0);
	firewall_limits_apply(&limits, policy);
	for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
		policy->rates[WEFT_CLASS_SENDER][level] =
			(struct weft_bucket_rate){SENDER_EVERY_NS >> 2 * level, SENDER_EVERY_NS};
	policy->totals[WEFT_TOTAL_KRPC_BYTES] = firewall_limits_bucket_rate(&krpc_bytes_rate, 0);
	policy->totals[WEFT_TOTAL_KRPC] = firewall_limits_bucket_rate(&krpc_rate, 0);
	policy->totals[WEFT_TOTAL_SENDERS] = firewall_limits_bucket_rate(&senders_rate, 0);
}
