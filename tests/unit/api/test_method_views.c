/* SPDX-License-Identifier: Apache-2.0 */
/* What the methods show of a node that has just begun, and what they refuse of it. */
#include "support/check.h"
#include "support/method_rig.h"

static struct method_rig rig;

static void begin(void)
{
	method_rig_init(&rig, 33);
	method_rig_add(&rig);
	method_rig_start(&rig);
}

static void test_a_new_node_shows_itself_and_nothing_else(void)
{
	static const struct method_row rows[] = {
		{"Status", NULL, NULL, "state", "running", 0},
		{"Status", NULL, NULL, "listen.0", "10.0.0.0:7000", 0},
		{"Status", NULL, NULL, "receive.backend", "mem", 0},
		{"Status", NULL, NULL, "receive.datagrams", NULL, 0},
		{"ListPeers", NULL, NULL, "peers.0", "", 0},
		{"ShowDht", NULL, NULL, "dht.enabled", NULL, 0},
		{"ShowOverlay", NULL, NULL, "overlay.serving", NULL, 0},
		{"ShowOverlay", NULL, NULL, "overlay.fills.0.cap", NULL, 100000},
		{"ShowOverlay", NULL, NULL, "overlay.fills.0.used", NULL, 0},
		{"ShowAnnounce", NULL, NULL, "announce.scope", "public", 0},
		{"ShowAnnounce", NULL, NULL, "announce.manifests", NULL, 0},
		{"ShowAnnounce", NULL, NULL, "announce.fills.0.setting", "sharing.announce_cap", 0},
		{"ListCommunities", NULL, NULL, "fills.0.name", "communities joined", 0},
		{"ListCommunities", NULL, NULL, "fills.0.used", NULL, 0},
		{"ListCommunities", NULL, NULL, "fills.0.cap", NULL, 32},
		{"ShowLimits", NULL, NULL, "limits.0.name", "quic.conn_cap", 0},
		{"ShowLimits", NULL, NULL, "limits.0.limit", NULL, 1024},
		{"ShowLimits", NULL, NULL, "limits.0.used", NULL, 0},
		{"ShowConfig", NULL, NULL, "settings.0.section", "node", 0},
		{"ShowConfig", NULL, NULL, "settings.0.source", "default", 0},
		{"ShowMemory", NULL, NULL, "regions.0.used_bytes", NULL, 0},
		{"ShowXdp", NULL, NULL, "mode", "normal", 0},
		{"ShowXdp", NULL, NULL, "forced", NULL, 0},
		{"ShowXdp", NULL, NULL, "send.backend", "mem", 0},
		{"ListXdpCounters", NULL, NULL, "counters.0.verdict", "pass", 0},
		{"ListXdpCounters", NULL, NULL, "counters.0.packets", NULL, 0},
		{"ListDrops", NULL, NULL, "drops.0", "", 0},
		{"ListDropSources", "{'count':1000}", NULL, "sources.0", "", 0},
		{"ListServices", NULL, NULL, "offers.0.provider", "builtin", 0},
		{"ListServices", NULL, NULL, "offers.0.state", "ready", 0},
		{"ShowServiceLimits", NULL, NULL, "limits.0.setting", "peer_calls", 0},
		{"ShowServiceLimits", NULL, NULL, "limits.0.limit", NULL, 500},
		{"ShowServiceLimits", NULL, NULL, "limits.0.used", NULL, 0},
		{"ShowPolicy", NULL, NULL, "limits.0.name", "limits.initial", 0},
		{"ShowPolicy", NULL, NULL, "limits.0.per_s", NULL, 500},
		{"ShowPolicy", NULL, NULL, "limits.0.burst", NULL, 1000},
		{"ShowPolicy", NULL, NULL, "limits.0.refused", NULL, 0},
		{"PlanGc", NULL, NULL, "unreferenced.bytes", NULL, 0},
		{"RunGc", NULL, NULL, "freed.blobs", NULL, 0},
		{"CheckStore", NULL, NULL, "result.items_bad", NULL, 0},
		{"CheckStore", NULL, NULL, "result.blobs_bad", NULL, 0},
		{"ShowSeeding", NULL, NULL, "sum.sent_bytes", NULL, 0},
		{"Search", "{'query':'maps'}", NULL, "found", NULL, 0},
		{"Search", "{'query':'maps'}", NULL, "page", NULL, 1},
		{"Reload", NULL, NULL, "applied.0", "", 0},
	};

	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	CHECK_STR(method_ask(&rig, "ListXdpCounters", NULL), "");
	CHECK(method_cnt(&rig, "counters") > 30);
	method_rig_fini(&rig);
}

static void test_a_disabled_or_unknown_object_is_reported_with_the_next_step(void)
{
	static const struct method_row rows[] = {
		{"ListLanNodes", NULL, "Refused", "what", "the LAN", 0},
		{"LookupDht", "{'target':'0123456789012345678901234567890123456789'}", "Refused",
		 "code", NULL, WEFT_EREFUSED},
		{"ShowPublished", NULL, NULL, "record.bytes", NULL, 0},
		{"ShowPeer", "{'node_id':'zz'}", "Invalid", "what", "zz", 0},
		{"PingPeer", "{'node_id':'zz'}", "Invalid", "what", "zz", 0},
		{"CancelGet", "{'get_id':7}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"PauseGet", "{'get_id':7}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"ResumeGet", "{'get_id':7}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"SetGet", "{'get_id':7,'priority':1}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"ListGetSources", "{'get_id':7}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"WatchGet", "{'get_id':7}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"CancelCall", "{'call':7}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"CancelImport", "{'import_id':7}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"RemoveShare", "{'share':'none'}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"ShowShare", "{'name':'none'}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"DiffShare", "{'name':'none'}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"SetShare", "{'name':'none','public':true}", "NotFound", "code", NULL,
		 WEFT_EABSENT},
		{"RevokeShare", "{'name':'none'}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"ShowFollow", "{'share':'none'}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"SetFollow", "{'share':'none','weight':1}", "NotFound", "code", NULL,
		 WEFT_EABSENT},
		{"RemoveFollow", "{'share':'none'}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"AddFollow", "{'link':'zz'}", "Invalid", "what", "link", 0},
		{"Get", "{'link':'zz','target':'/tmp/x'}", "Invalid", "code", NULL,
		 WEFT_EMALFORMED},
		{"LeaveCommunity", "{'name':'none'}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"LinkCommunity", "{'name':'none'}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"ListCommunityMembers", "{'name':'none'}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"WithdrawService", "{'name':'none'}", "NotFound", "code", NULL, WEFT_EABSENT},
		{"ResetService", "{'name':'none'}", NULL, "closed", NULL, 0},
		{"FindService", "{'name':'none'}", "Timeout", "what", "none", 0},
		{"FindService", "{'name':'No Name'}", "Invalid", "code", NULL, WEFT_EMALFORMED},
		{"AddShare", "{'path':'/nonexistent'}", "Failed", "name", "ENOENT", 0},
		{"DetachXdp", "{'device':'none0'}", "NotFound", "what", "none0", 0},
		{"KeepXdp", "{'device':'none0'}", "NotFound", "what", "none0", 0},
		{"SetXdpMode", "{'mode':'none'}", "InvalidParameter", "parameter", "mode", 0},
		{"NoMethod", NULL, "MethodNotFound", "method", "net.weft.Node.NoMethod", 0},
	};

	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	method_rig_fini(&rig);
}

static void test_a_traffic_limit_is_set_shown_and_taken_back(void)
{
	static const struct method_row rows[] = {
		{"SetTrafficLimit", "{'name':'upload','value':'8mbit'}", NULL, "limit.limit", NULL,
		 1000000},
		{"ListTrafficLimits", NULL, NULL, "limits.0.value", "8mbit", 0},
		{"ListTrafficLimits", NULL, NULL, "limits.0.kept", NULL, 1},
		{"ListTrafficLimits", NULL, NULL, "limits.0.configured", "none", 0},
		{"ListTrafficLimits", NULL, NULL, "limits.0.fill_percent", NULL, 0},
		{"ListTrafficLimits", NULL, NULL, "limits.1.value", "none", 0},
		{"SetTrafficLimit", "{'name':'upload','value':'fast'}", "Invalid", "what", "upload",
		 0},
		{"SetTrafficLimit", "{'name':'none','value':'8mbit'}", "Invalid", "what", "none",
		 0},
		{"SetTrafficLimit", "{'name':'upload'}", NULL, "limit.value", "none", 0},
		{"ListTrafficLimits", NULL, NULL, "limits.0.kept", NULL, 0},
		{"ListTrafficLimits", NULL, NULL, "limits.0.limit", NULL, 0},
	};

	begin();
	CHECK(METHOD_ROWS(&rig, rows));
	method_rig_fini(&rig);
}

static void test_a_forced_mode_is_shown_and_scales_the_limits_of_unvalidated_sources(void)
{
	static const struct method_row rows[] = {
		{"SetXdpMode", "{'mode':'flood'}", NULL, "mode", "flood", 0},
		{"ShowXdp", NULL, NULL, "forced", NULL, 1},
		{"ShowPolicy", NULL, NULL, "mode", "flood", 0},
		{"SetXdpMode", "{'mode':'normal'}", NULL, "mode", "normal", 0},
		{"ShowPolicy", NULL, NULL, "limits.0.per_s", NULL, 500},
		{"SetXdpMode", "{'mode':'auto'}", NULL, "mode", "normal", 0},
		{"ShowXdp", NULL, NULL, "forced", NULL, 0},
	};
	long long per_s;

	begin();
	CHECK_STR(method_ask(&rig, "SetXdpMode", "{'mode':'flood'}"), "");
	CHECK_STR(method_ask(&rig, "ShowPolicy", NULL), "");
	per_s = method_number(&rig, "limits.0.per_s");
	CHECK(per_s > 0 && per_s < 500);
	CHECK(METHOD_ROWS(&rig, rows));
	method_rig_fini(&rig);
}

int main(void)
{
	RUN(test_a_new_node_shows_itself_and_nothing_else);
	RUN(test_a_disabled_or_unknown_object_is_reported_with_the_next_step);
	RUN(test_a_traffic_limit_is_set_shown_and_taken_back);
	RUN(test_a_forced_mode_is_shown_and_scales_the_limits_of_unvalidated_sources);
	return check_done();
}
