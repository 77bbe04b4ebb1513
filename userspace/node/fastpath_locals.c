/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fast path knows from the start: which addresses are ours, and
 * how much strangers may send.
 */
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

#include "base/clock.h"
#include "node/fastpath.h"
#include "node/node_state.h"

/* Loopback's own addresses count where its device is attached, and nowhere else. */
static bool has_loopback(const struct fastpath *fastpath)
{
	for (unsigned i = 0; i < XDP_DEVICE_MAX; i++) {
		const struct xdp_device_info *info = xdp_device_info(fastpath->xdp, i);

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

unsigned fastpath_locals(const struct fastpath *fastpath, struct addr *out_addrs, unsigned cap)
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

struct rate {
	uint64_t per_s;
	uint64_t burst;
};

/*
 * Per second and CPU, of one address (IPv4 /32, IPv6 /64); networks above
 * it get four times, and sixteen times as much. Generous to people behind
 * one address, and a thousandth of what one attacker can send.
 */
static const struct rate rates[WEFT_CLASS_CNT] = {
	[WEFT_CLASS_INITIAL] = {500, 1000}, [WEFT_CLASS_NEW_PATH] = {1000, 2000},
	[WEFT_CLASS_KRPC] = {100, 200},	    [WEFT_CLASS_STUN] = {20, 40},
	[WEFT_CLASS_PROBE] = {50, 100},	    [WEFT_CLASS_ANSWER] = {200, 400},
};
/* All answers together, per CPU: a tenth of what one core can send. */
static const struct rate answers_rate = {200000, 200000};
static const struct rate validated_rate = {2000, 4000};
static const struct rate samples_rate = {50, 100};

#define TOKEN_LIFE_NS (60 * NS_PER_S)
#define FLOOD_SHIFT   3

static struct weft_bucket_rate bucket_rate(const struct rate *rate, unsigned level)
{
	uint64_t cost_ns = NS_PER_S / (rate->per_s << 2 * level);

	return (struct weft_bucket_rate){cost_ns, cost_ns * (rate->burst << 2 * level)};
}

void fastpath_policy_defaults(struct weft_config *policy)
{
	memset(policy, 0, sizeof(*policy));
	policy->flood_shift = FLOOD_SHIFT;
	policy->token_life_ns = TOKEN_LIFE_NS;
	for (unsigned i = 0; i < WEFT_CLASS_CNT; i++)
		for (unsigned level = 0; level < WEFT_LEVEL_CNT; level++)
			policy->rates[i][level] = bucket_rate(&rates[i], level);
	policy->answers = bucket_rate(&answers_rate, 0);
	policy->validated = bucket_rate(&validated_rate, 0);
	policy->samples = bucket_rate(&samples_rate, 0);
}
