/* SPDX-License-Identifier: Apache-2.0 */
#include "shares/announce/announce.h"
#include "shares/follow/follow.h"
#include "lan/lan.h"
#include "lan/lan_discovery.h"
#include "web_metrics.h"
#include "api/api.h"

static void follows_write(FILE *out, const struct follows *follows)
{
	struct follows_stats stats;

	shares_follows_stats(follows, &stats);
	const struct metric_row rows[] = {
		{"weft_follow_synced_total", "counter", "Syncs of followed shares that ended well.",
		 stats.synced_cnt},
		{"weft_follow_failed_total", "counter", "Syncs that failed.", stats.failed_cnt},
		{"weft_follow_revisions_total", "counter", "Revisions that came.",
		 stats.revision_cnt},
		{"weft_follow_old_heads_total", "counter", "Heads older than what was seen.",
		 stats.old_head_cnt},
		{"weft_follow_false_heads_total", "counter", "Heads that did not verify.",
		 stats.false_head_cnt},
		{"weft_follow_forks_total", "counter", "Revisions of which there were two.",
		 stats.fork_cnt},
	};

	METRICS_WRITE(out, rows);
}

static void announce_write(FILE *out, const struct announce *announce, uint64_t now_ns)
{
	struct announce_stats stats;

	shares_announce_stats(announce, now_ns, &stats);
	const struct metric_row rows[] = {
		{"weft_announce_puts_total", "counter", "Records and sets put.", stats.put_cnt},
		{"weft_announce_failed_total", "counter", "Of these, those that nobody took.",
		 stats.failed_cnt},
		{"weft_announce_lookups_total", "counter", "Searches for who has something.",
		 stats.lookup_cnt},
		{"weft_announce_found_total", "counter", "Nodes that these told of.",
		 stats.found_cnt},
		{"weft_announce_regions_kept", "gauge", "Regions of others' sets kept now.",
		 stats.region_kept_cnt},
	};

	METRICS_WRITE(out, rows);
}

static void lan_write(FILE *out, const struct lan *lan)
{
	static const char *const words[LAN_COUNT_CNT] = {
		[LAN_HEARD] = "heard",	       [LAN_OWN] = "own",   [LAN_FOREIGN] = "foreign",
		[LAN_MALFORMED] = "malformed", [LAN_FULL] = "full", [LAN_SENT] = "sent",
	};
	const uint64_t *counts = lan_counts(lan);

	api_metric_family_write(out, "weft_lan_datagrams_total", "counter",
				"Datagrams of discovery on the LAN, by what became of them.");
	for (unsigned i = 0; i < LAN_COUNT_CNT; i++)
		fprintf(out, "weft_lan_datagrams_total{kind=\"%s\"} %llu\n", words[i],
			(unsigned long long)counts[i]);
}

void api_metrics_sharing_write(FILE *out, const struct api *api)
{
	const struct lan *lan = lan_discovery_lan(api->lan);

	follows_write(out, api->follows);
	if (api->announce)
		announce_write(out, api->announce, api->home->now_ns);
	if (lan)
		lan_write(out, lan);
}
