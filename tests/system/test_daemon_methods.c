/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a daemon's methods answer and refuse: services of programs and of web
 * servers, access to them, policy, XDP's plans, searches, limits.
 */
#include "support/check.h"
#include "support/daemon_rig.h"

#include <sys/stat.h>
#include <unistd.h>

#define CONFIG                                                                                     \
	"[dht]\nenabled = no\nbootstrap =\n[service]\nbuiltin = echo\n"                            \
	"[gateway]\nenabled = yes\nlisten = 127.0.0.1:0\nrate = 0\n"

static struct daemon_rig rig;
static void test_a_program_is_offered_called_and_withdrawn(void)
{
	const char *text = "#!/bin/sh\ncat\n";

	chmod(rig.dir, 0755);
	chmod(daemon_file(&rig, "program", text, strlen(text)), 0755);
	CHECK_STR(daemon_askf(&rig, "PublishService",
			      "{'name': 'cat', 'version': '1.2.3', 'exec': ['%s/program'], "
			      "'unconfined': true, 'hidden': true, 'calls_per_min': 7, "
			      "'payload_max': 1000, 'timeout_ms': 9000, 'concurrency': 2, "
			      "'read_only': ['Get'], 'metadata': {'k': 'v'}}",
			      rig.dir),
		  "");
	CHECK_STR(daemon_text(&rig, "service.name"), "cat");
	CHECK_STR(daemon_text(&rig, "service.version"), "1.2.3");
	CHECK_STR(daemon_text(&rig, "service.provider"), "exec");
	CHECK_EQ(daemon_number(&rig, "service.calls_per_min"), 7);
	CHECK_EQ(daemon_number(&rig, "service.payload_max"), 1000);
	CHECK_EQ(daemon_number(&rig, "service.timeout_ms"), 9000);
	CHECK_EQ(daemon_number(&rig, "service.concurrency"), 2);
	CHECK_STR(daemon_text(&rig, "service.read_only.0"), "Get");
	CHECK_STR(daemon_text(&rig, "service.metadata.k"), "v");
	CHECK_EQ(daemon_number(&rig, "service.published"), 0);
	CHECK_EQ(daemon_cnt(&rig, "service.allow"), 0);
	CHECK_STR(daemon_askf(&rig, "CallService",
			      "{'name': 'cat', 'method': 'Get', 'json': {'x': [1]}}"),
		  "");
	CHECK_EQ(daemon_number(&rig, "status"), 0);
	CHECK_EQ(daemon_number(&rig, "json.x.0"), 1);
	CHECK_STR(daemon_ask(&rig, "ListServiceMethods", NULL), "");
	CHECK_EQ(daemon_cnt(&rig, "methods"), 1);
	CHECK_STR(daemon_text(&rig, "methods.0.method"), "Get");
	CHECK_STR(daemon_askf(&rig, "DescribeService", "{'name': 'cat'}"), "");
	CHECK_EQ(daemon_number(&rig, "status"), 0);
	CHECK_STR(daemon_askf(&rig, "SetServiceAccess",
			      "{'name': 'cat', 'version': '1.0.0', 'allow': ['%s']}",
			      "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyo"),
		  "");
	CHECK_STR(daemon_ask(&rig, "ListServices", NULL), "");
	CHECK_EQ(daemon_cnt(&rig, "offers"), 2);
	CHECK_STR(daemon_askf(&rig, "SetServiceAccess",
			      "{'name': 'cat', 'version': '2.0.0', 'allow': []}"),
		  "NotFound");
	CHECK_STR(daemon_askf(&rig, "SetServiceAccess",
			      "{'name': 'cat', 'version': 'x', 'allow': []}"),
		  "Invalid");
	CHECK_STR(daemon_askf(&rig, "SetServiceAccess", "{'name': 'cat', 'allow': ['x']}"),
		  "Invalid");
	CHECK_STR(daemon_askf(&rig, "ResetService", "{'name': 'cat'}"), "");
	CHECK(daemon_askf(&rig, "WithdrawService", "{'name': 'cat', 'version': '2.0.0'}")[0]);
	CHECK_STR(daemon_askf(&rig, "WithdrawService", "{'name': 'echo'}"), "Refused");
	CHECK_STR(daemon_askf(&rig, "WithdrawService", "{'name': 'cat'}"), "");
	CHECK_STR(daemon_askf(&rig, "WithdrawService", "{'name': 'cat'}"), "NotFound");
	CHECK_STR(daemon_askf(&rig, "CallService",
			      "{'name': 'cat', 'method': 'Get', 'json': {}, 'timeout_ms': 300}"),
		  "");
	CHECK(daemon_number(&rig, "status") != 0);
}

static void test_a_service_that_cannot_be_is_refused_with_its_reason(void)
{
	static const char *const rows[] = {
		"{'name': 'Bad Name', 'http': '127.0.0.1:1'}",
		"{'name': 'x'}",
		"{'name': 'x', 'http': '127.0.0.1:1', 'socket': '/tmp/x'}",
		"{'name': 'x', 'http': 'nowhere'}",
		"{'name': 'x', 'version': '1', 'http': '127.0.0.1:1'}",
		"{'name': 'x', 'socket': 'relative'}",
		"{'name': 'x', 'exec': []}",
		"{'name': 'x', 'exec': ['relative']}",
		"{'name': 'x', 'exec': ['/bin/cat'], 'user': 'no-such-user-here'}",
		"{'name': 'x', 'http': '127.0.0.1:1', 'health_path': 'health'}",
		"{'name': 'x', 'http': '127.0.0.1:1', 'allow': ['x']}",
		"{'name': 'x', 'http': '127.0.0.1:1', 'timeout_ms': 0}",
		"{'name': 'x', 'exec': ['/bin/cat'], 'health_path': '/'}",
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *error = daemon_ask(&rig, "PublishService", rows[i]);

		if (!error[0] || strcmp(error, "no answer") == 0)
			printf("# %s is taken\n", rows[i]);
		CHECK(error[0] && strcmp(error, "no answer") != 0);
		CHECK(daemon_text(&rig, "why")[0] || daemon_text(&rig, "parameter")[0]);
	}
	CHECK_STR(daemon_ask(&rig, "ListServices", NULL), "");
	CHECK_EQ(daemon_cnt(&rig, "offers"), 1);
}

/* The gateway of this daemon is as good a web server as any. */
static void test_a_web_server_is_checked_and_called(void)
{
	CHECK_STR(daemon_askf(&rig, "PublishService",
			      "{'name': 'web', 'http': '127.0.0.1:%u', 'body_max': 100000}",
			      rig.web_port),
		  "");
	if (!daemon_ask_until(&rig, "ListServices", "offers.1.state", "ready", 0))
		daemon_print(&rig);
	CHECK_STR(daemon_text(&rig, "offers.1.state"), "ready");
	CHECK_STR(daemon_text(&rig, "offers.1.provider"), "http");
	CHECK_EQ(daemon_number(&rig, "offers.1.body_max"), 100000);
	CHECK_STR(daemon_askf(&rig, "PublishService",
			      "{'name': 'dead', 'http': '127.0.0.1:1', 'health_path': '/'}"),
		  "");
	CHECK(daemon_until(&rig, "ListServices", NULL, "offers.2.state", "down", 0));
	CHECK(daemon_text(&rig, "offers.2.why")[0]);
	CHECK_STR(daemon_askf(&rig, "WithdrawService", "{'name': 'dead'}"), "");
	CHECK_STR(
		daemon_askf(
			&rig, "PublishService",
			"{'name': 'sick', 'http': '127.0.0.1:%u', 'health_path': '/nothing/here'}",
			rig.web_port),
		"");
	CHECK(daemon_ask_until(&rig, "ListServices", "offers.2.state", "down", 0));
	CHECK_STR(daemon_text(&rig, "offers.2.why"), "its health path answers by an error");
	/* It is offered again by the next start. */
	CHECK_EQ(daemon_stop(&rig), 0);
	daemon_again(&rig, NULL);
	CHECK_STR(daemon_ask(&rig, "ListServices", NULL), "");
	CHECK_EQ(daemon_cnt(&rig, "offers"), 3);
	CHECK_STR(daemon_askf(&rig, "WithdrawService", "{'name': 'sick'}"), "");
	CHECK_STR(daemon_askf(&rig, "WithdrawService", "{'name': 'web'}"), "");
}

static void test_policy_is_shown_and_tried_without_being_changed(void)
{
	CHECK_STR(daemon_ask(&rig, "ShowPolicy", NULL), "");
	CHECK_STR(daemon_text(&rig, "mode"), "normal");
	CHECK(daemon_cnt(&rig, "limits") > 20);
	CHECK_STR(daemon_askf(&rig, "TestPolicy", "{'changes': {'limits.krpc_rate': '1'}}"), "");
	CHECK(daemon_number(&rig, "known") <= 86400);
	CHECK_EQ(daemon_cnt(&rig, "sources"), 0);
	CHECK(daemon_number(&rig, "to_s") >= daemon_number(&rig, "from_s"));
	CHECK_EQ(daemon_number(&rig, "to_s") - daemon_number(&rig, "from_s") <= 86400 + 120, 1);
	CHECK_EQ(daemon_number(&rig, "modes.flood"), 0);
	CHECK_STR(daemon_askf(&rig, "TestPolicy",
			      "{'changes': {'limits.krpc_rate': '1'}, 'since': 60}"),
		  "");
	CHECK(daemon_number(&rig, "to_s") - daemon_number(&rig, "from_s") <= 120);
	CHECK_STR(daemon_askf(&rig, "TestPolicy", "{'changes': {'limits.nothing': '1'}}"),
		  "Invalid");
	CHECK_STR(daemon_askf(&rig, "TestPolicy", "{'changes': {'limits.krpc_rate': 'x'}}"),
		  "Invalid");
	CHECK_STR(daemon_askf(&rig, "TestPolicy", "{'changes': {'node.workers': '2'}}"), "Refused");
	CHECK_STR(daemon_askf(&rig, "TestPolicy", "{'changes': {'nothing': '2'}}"), "Invalid");
	CHECK_STR(daemon_ask(&rig, "ListDrops", NULL), "");
	CHECK_STR(daemon_ask(&rig, "ListDropSources", NULL), "");
	CHECK_STR(daemon_ask(&rig, "ListXdpCounters", NULL), "");
	CHECK(daemon_cnt(&rig, "counters") > 10);
}

static void test_a_device_that_is_not_there_is_not_attached(void)
{
	CHECK_STR(daemon_ask(&rig, "ShowXdp", NULL), "");
	CHECK_EQ(daemon_cnt(&rig, "devices"), 0);
	CHECK(daemon_askf(&rig, "PlanXdp", "{'device': 'nothing0'}")[0]);
	CHECK(daemon_askf(&rig, "AttachXdp", "{'device': 'nothing0'}")[0]);
	CHECK_STR(daemon_askf(&rig, "KeepXdp", "{'device': 'lo'}"), "NotFound");
	CHECK_STR(daemon_askf(&rig, "DetachXdp", "{'device': 'lo'}"), "NotFound");
	CHECK_STR(daemon_askf(&rig, "PlanXdp", "{'device': 'lo'}"), "");
	CHECK_STR(daemon_text(&rig, "plan.device"), "lo");
	CHECK_STR(daemon_askf(&rig, "SetXdpMode", "{'mode': 'flood'}"), "");
	CHECK_STR(daemon_text(&rig, "mode"), "flood");
	CHECK_STR(daemon_ask(&rig, "ShowPolicy", NULL), "");
	CHECK_STR(daemon_text(&rig, "mode"), "flood");
	CHECK_STR(daemon_askf(&rig, "SetXdpMode", "{'mode': 'normal'}"), "");
	CHECK_STR(daemon_text(&rig, "mode"), "normal");
	CHECK_STR(daemon_askf(&rig, "SetXdpMode", "{'mode': 'auto'}"), "");
	CHECK(daemon_askf(&rig, "SetXdpMode", "{'mode': 'other'}")[0]);
}

static void test_traffic_limits_are_kept_over_a_restart(void)
{
	char path[64];

	CHECK_STR(daemon_askf(&rig, "SetTrafficLimit", "{'name': 'upload', 'value': '8mbit'}"), "");
	CHECK_STR(daemon_askf(&rig, "SetTrafficLimit", "{'name': 'nothing', 'value': '8mbit'}"),
		  "Invalid");
	CHECK_STR(daemon_askf(&rig, "SetTrafficLimit", "{'name': 'upload', 'value': 'much'}"),
		  "Invalid");
	CHECK_EQ(daemon_stop(&rig), 0);
	daemon_again(&rig, NULL);
	CHECK_STR(daemon_ask(&rig, "ListTrafficLimits", NULL), "");
	CHECK_EQ(daemon_number(&rig, "waiting"), 0);
	for (size_t i = 0; i < daemon_cnt(&rig, "limits"); i++) {
		snprintf(path, sizeof(path), "limits.%zu.limit", i);
		if (strcmp(daemon_text(&rig, path), "upload") != 0)
			continue;
		snprintf(path, sizeof(path), "limits.%zu.value", i);
		CHECK_EQ(daemon_number(&rig, path), 1000000);
	}
	CHECK_STR(daemon_askf(&rig, "SetTrafficLimit", "{'name': 'upload'}"), "");
}

static void test_what_is_shared_is_searched(void)
{
	daemon_file(&rig, "root/Summer in Rome.mp4", "film", 4);
	daemon_file(&rig, "root/other.txt", "text", 4);
	CHECK_STR(daemon_askf(&rig, "NewShare", "{'name': 'photos', 'public': true}"), "");
	CHECK_STR(daemon_askf(&rig, "PublishShare",
			      "{'name': 'photos', 'path': '%s/root', 'title': 'Of Rome'}", rig.dir),
		  "");
	CHECK(daemon_until(&rig, "Search", "{'text': 'summer'}", "hits.0.path",
			   "Summer in Rome.mp4", 0) ||
	      daemon_cnt(&rig, "hits") == 0);
	CHECK_STR(daemon_ask(&rig, "ShowSearch", NULL), "");
	CHECK_STR(daemon_ask(&rig, "ShowSeeding", NULL), "");
	CHECK_STR(daemon_ask(&rig, "ShowAnnounce", NULL), "");
	CHECK_STR(daemon_ask(&rig, "ShowOverlay", NULL), "");
	CHECK_STR(daemon_ask(&rig, "ListLanNodes", NULL), "Refused");
	CHECK_STR(daemon_ask(&rig, "ShowRelay", NULL), "");
	CHECK_EQ(daemon_number(&rig, "relay.flow_count"), 0);
	CHECK_STR(daemon_ask(&rig, "ListRelays", NULL), "");
	CHECK_EQ(daemon_cnt(&rig, "relays"), 0);
	CHECK_STR(daemon_askf(&rig, "ListShareItems", "{'share': 'photos'}"), "");
	CHECK_STR(daemon_askf(&rig, "ListShareItems", "{'share': 'nothing'}"), "NotFound");
	CHECK_STR(daemon_ask(&rig, "WatchLoad", NULL), "");
	CHECK_STR(daemon_text(&rig, "mode"), "normal");
	CHECK_EQ(daemon_cnt(&rig, "sessions"), 0);
	CHECK_EQ(daemon_cnt(&rig, "workers"), 1);
	CHECK(daemon_number(&rig, "rss_bytes") > 1000000);
	CHECK_STR(daemon_askf(&rig, "WatchLoad", "{'interval_ms': 99}"), "InvalidParameter");
	CHECK_STR(daemon_ask(&rig, "ShowConfig", NULL), "");
	CHECK(daemon_cnt(&rig, "settings") > 150);
}

static void test_a_community_is_made_linked_and_left(void)
{
	CHECK_STR(daemon_askf(&rig, "CreateCommunity", "{'name': 'friends'}"), "");
	CHECK_STR(daemon_text(&rig, "community.name"), "friends");
	CHECK(strncmp(daemon_text(&rig, "link"), "mesh:", 5) == 0);
	CHECK(daemon_askf(&rig, "CreateCommunity", "{'name': 'friends'}")[0]);
	CHECK_STR(daemon_askf(&rig, "LinkCommunity", "{'name': 'friends'}"), "");
	CHECK_STR(daemon_askf(&rig, "LinkCommunity", "{'name': 'nobody'}"), "NotFound");
	CHECK_STR(daemon_askf(&rig, "JoinCommunity", "{'link': 'mesh:x'}"), "Invalid");
	CHECK_STR(daemon_askf(&rig, "ListCommunityMembers", "{'name': 'friends'}"), "");
	CHECK_EQ(daemon_cnt(&rig, "members"), 0);
	CHECK_STR(daemon_askf(&rig, "ListCommunityShares", "{'name': 'friends'}"), "");
	CHECK_STR(daemon_askf(&rig, "ListCommunityShares", "{'name': 'nobody'}"), "NotFound");
	CHECK_STR(daemon_askf(&rig, "SetShare", "{'name': 'photos', 'communities': ['friends']}"),
		  "");
	CHECK_STR(daemon_ask(&rig, "ListCommunities", NULL), "");
	CHECK_EQ(daemon_cnt(&rig, "communities"), 1);
	CHECK_STR(daemon_askf(&rig, "LeaveCommunity", "{'name': 'nobody'}"), "NotFound");
	CHECK_STR(daemon_askf(&rig, "SetShare", "{'name': 'photos', 'communities': []}"), "");
	CHECK_STR(daemon_askf(&rig, "LeaveCommunity", "{'name': 'friends'}"), "");
	CHECK_STR(daemon_ask(&rig, "ListCommunities", NULL), "");
	CHECK_EQ(daemon_cnt(&rig, "communities"), 0);
}

int main(void)
{
	daemon_start(&rig, CONFIG);
	RUN(test_a_program_is_offered_called_and_withdrawn);
	RUN(test_a_service_that_cannot_be_is_refused_with_its_reason);
	RUN(test_a_web_server_is_checked_and_called);
	RUN(test_policy_is_shown_and_tried_without_being_changed);
	RUN(test_a_device_that_is_not_there_is_not_attached);
	RUN(test_traffic_limits_are_kept_over_a_restart);
	RUN(test_what_is_shared_is_searched);
	RUN(test_a_community_is_made_linked_and_left);
	daemon_fini(&rig);
	return check_done();
}
