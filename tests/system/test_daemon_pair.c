/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two daemons that meet: sessions, shares and their revisions, gets, services
 * called, streamed and over the gateway.
 *
 *     a: two workers, built-in services, shares -- session, 127.0.0.1 -- b: asks, has a gateway
 */
#include "support/check.h"
#include "support/daemon_rig.h"

#include <sys/stat.h>
#include <unistd.h>

#include "client/client_loop.h"

#define PRIVATE	 "[dht]\nenabled = no\nbootstrap =\n"
#define OPEN	 "peer_calls = 1000000\ncalls = 1000000\nlookups = 1000000\nfetches = 1000000\n"
#define FILM_LEN (3 * 262144 + 77)

static struct daemon_rig a, b;
static char a_id[80], b_id[80], asked[2048], share_id[80], token[192];
static char film[FILM_LEN];

static void pair_start(void)
{
	daemon_start(&a,
		     PRIVATE "[node]\nworkers = 2\n[service]\nbuiltin = echo mesh-stats\n" OPEN);
	daemon_start(&b, PRIVATE
		     "[service]\nbuiltin =\n" OPEN
		     "[gateway]\nenabled = yes\nlisten = 127.0.0.1:0\nrate = 0\nmesh_rate = 0\n"
		     "mesh = yes\nservices = echo, mesh-stats/GetMeshStatus, absent\n");
	snprintf(token, sizeof(token), "X-Weft-Token: %s\r\n", b.token);
	for (size_t i = 0; i < sizeof(film); i++)
		film[i] = (char)(i * 2654435761u >> 11);
	(void)daemon_ask(&a, "GetNodeId", NULL);
	snprintf(a_id, sizeof(a_id), "%s", daemon_text(&a, "node_id"));
	(void)daemon_ask(&b, "GetNodeId", NULL);
	snprintf(b_id, sizeof(b_id), "%s", daemon_text(&b, "node_id"));
}

static void test_a_node_is_reached_at_the_given_address(void)
{
	char addr[64];

	CHECK_STR(daemon_ask(&a, "Status", NULL), "");
	CHECK_EQ(daemon_cnt(&a, "listen"), 1);
	snprintf(addr, sizeof(addr), "%s", daemon_text(&a, "listen.0"));
	snprintf(asked, sizeof(asked), "{'node_id': '%s', 'addresses': ['%s']}", a_id, addr);
	CHECK_STR(daemon_ask(&b, "ConnectPeer", asked), "");
	CHECK_STR(daemon_text(&b, "peer.node_id"), a_id);
	CHECK_STR(daemon_askf(&b, "PingPeer", "{'node_id': '%s', 'count': 2, 'interval_ms': 1}",
			      a_id),
		  "");
	CHECK_STR(daemon_text(&b, "ping.node_id"), a_id);
	CHECK_STR(daemon_text(&b, "ping.address"), addr);
	CHECK_EQ(daemon_number(&b, "ping.sent"), 2);
	CHECK_EQ(daemon_number(&b, "ping.answered"), 2);
	CHECK(daemon_number(&b, "ping.min_us") > 0);
	CHECK(daemon_number(&b, "ping.avg_us") >= daemon_number(&b, "ping.min_us"));
	CHECK_STR(daemon_ask(&b, "Status", NULL), "");
	CHECK_EQ(daemon_number(&b, "sessions"), 1);
	CHECK_EQ(daemon_number(&b, "connections"), 1);
	CHECK_STR(daemon_ask(&b, "ListPeers", NULL), "");
	CHECK_EQ(daemon_cnt(&b, "peers"), 1);
	CHECK_STR(daemon_askf(&b, "ShowWhy", "{'who': '%s'}", a_id), "");
	snprintf(asked, sizeof(asked), "{'node_id': '%s', 'timeout_ms': 5000}", a_id);
	CHECK_STR(daemon_ask_more(&b, "CheckPeer", asked), "");
	snprintf(asked, sizeof(asked), "replies.%zu.verdict.reachable",
		 daemon_cnt(&b, "replies") - 1);
	CHECK_EQ(daemon_number(&b, asked), 1);
	CHECK_STR(daemon_askf(&b, "SetPeer", "{'node_id': '%s', 'share': 3}", a_id), "");
	CHECK_STR(daemon_askf(&b, "ConnectPeer", "{'node_id': '%.51s'}", a_id), "");
}

static void test_a_folder_is_published_and_its_revisions_are_listed(void)
{
	daemon_file(&a, "root/a.txt", "hello\n", 6);
	daemon_file(&a, "root/sub/film.mp4", film, sizeof(film));
	CHECK_STR(
		daemon_ask(&a, "NewShare", "{'name': 'photos', 'public': true, 'title': 'Of us'}"),
		"");
	snprintf(share_id, sizeof(share_id), "%s", daemon_text(&a, "share.share_id"));
	CHECK_STR(daemon_text(&a, "share.state"), "empty");
	CHECK_STR(daemon_ask(&a, "PublishShare", "{'name': 'nothing', 'path': '%s/root'}"),
		  "NotFound");
	CHECK(daemon_ask(&a, "PublishShare", "{'name': 'photos'}")[0]);
	CHECK_STR(daemon_ask(&a, "PublishShare", "{'name': 'photos', 'path': '%s/root'}"), "");
	CHECK_EQ(daemon_number(&a, "share.revision"), 1);
	CHECK_EQ(daemon_number(&a, "share.items"), 2);
	CHECK_EQ(daemon_number(&a, "share.bytes"), FILM_LEN + 6);
	CHECK_EQ(daemon_number(&a, "unchanged"), 0);
	CHECK_STR(daemon_ask(&a, "PublishShare", "{'name': 'photos'}"), "");
	CHECK_EQ(daemon_number(&a, "unchanged"), 1);
	daemon_file(&a, "root/a.txt", "hello again\n", 12);
	daemon_file(&a, "root/b.txt", "new\n", 4);
	unlink(daemon_path(&a, "root/sub/film.mp4"));
	CHECK_STR(daemon_ask(&a, "PublishShare", "{'name': 'photos'}"), "");
	CHECK_EQ(daemon_number(&a, "share.revision"), 2);
	CHECK_STR(daemon_ask(&a, "DiffShare", "{'name': 'photos'}"), "");
	CHECK_EQ(daemon_number(&a, "from"), 1);
	CHECK_EQ(daemon_number(&a, "to"), 2);
	CHECK_EQ(daemon_number(&a, "added"), 1);
	CHECK_EQ(daemon_number(&a, "removed"), 1);
	CHECK_EQ(daemon_number(&a, "changed"), 1);
	CHECK_EQ(daemon_number(&a, "cut"), 0);
	CHECK_STR(daemon_text(&a, "files.0.path"), "a.txt");
	CHECK_STR(daemon_text(&a, "files.0.change"), "changed");
	CHECK_EQ(daemon_number(&a, "files.0.bytes_before"), 6);
	CHECK_EQ(daemon_number(&a, "files.0.bytes_after"), 12);
	CHECK_STR(daemon_text(&a, "files.1.path"), "b.txt");
	CHECK_STR(daemon_text(&a, "files.1.change"), "added");
	CHECK_EQ(daemon_number(&a, "files.1.bytes_before"), -1);
	CHECK_STR(daemon_text(&a, "files.2.path"), "sub/film.mp4");
	CHECK_STR(daemon_text(&a, "files.2.change"), "removed");
	CHECK_EQ(daemon_number(&a, "files.2.bytes_before"), FILM_LEN);
	CHECK_STR(daemon_ask(&a, "DiffShare", "{'name': 'photos', 'from': 2, 'to': 1}"), "");
	CHECK_STR(daemon_text(&a, "files.1.change"), "removed");
	CHECK_STR(daemon_ask(&a, "DiffShare", "{'name': 'photos', 'from': 1, 'to': 9}"),
		  "NotFound");
	CHECK_STR(daemon_ask(&a, "ShowShare", "{'name': 'photos'}"), "");
	CHECK_EQ(daemon_cnt(&a, "revisions"), 2);
	CHECK_STR(
		daemon_ask(&a, "SetShare", "{'name': 'photos', 'title': 'Of them', 'tags': ['x']}"),
		"");
	CHECK_EQ(daemon_number(&a, "share.revision"), 3);
	CHECK_STR(daemon_text(&a, "share.title"), "Of them");
}

static void test_a_share_that_is_watched_has_a_revision_when_its_folder_was_quiet(void)
{
	CHECK_STR(daemon_ask(&a, "WatchShare", "{'name': 'photos', 'quiet_s': 0}"), "Invalid");
	CHECK_STR(daemon_ask(&a, "WatchShare", "{'name': 'photos', 'quiet_s': 1}"), "");
	daemon_file(&a, "root/later.txt", "later\n", 6);
	CHECK(daemon_until(&a, "ShowShare", "{'name': 'photos'}", "share.revision", NULL, 4));
	CHECK_EQ(daemon_number(&a, "share.items"), 3);
	daemon_file(&a, "root/deep/er/last.txt", "last\n", 5);
	CHECK(daemon_until(&a, "ShowShare", "{'name': 'photos'}", "share.revision", NULL, 5));
	CHECK_EQ(daemon_number(&a, "share.items"), 4);
	CHECK_STR(daemon_text(&a, "share.watch"), "inotify");
	CHECK_STR(daemon_ask(&a, "WatchShare", "{'name': 'photos', 'watch': false}"), "");
	CHECK_STR(daemon_text(&a, "share.watch"), "");
}

static void test_another_node_sees_what_is_public_and_follows_it(void)
{
	char link[1024];

	if (*daemon_askf(&b, "ListNodeShares", "{'node_id': '%s'}", a_id))
		daemon_print(&b);
	CHECK_STR(b.error, "");
	CHECK_EQ(daemon_cnt(&b, "shares"), 1);
	CHECK_EQ(daemon_number(&b, "false_heads"), 0);
	CHECK_STR(daemon_text(&b, "shares.0.share_id"), share_id);
	CHECK_EQ(daemon_number(&b, "shares.0.revision"), 5);
	CHECK_EQ(daemon_number(&b, "shares.0.followed"), 0);
	snprintf(link, sizeof(link), "%s", daemon_text(&b, "shares.0.link"));
	CHECK_STR(daemon_askf(&b, "AddFollow", "{'link': '%s', 'name': 'theirs', 'wait': true}",
			      link),
		  "");
	CHECK_EQ(daemon_number(&b, "follow.revision"), 5);
	CHECK_STR(daemon_text(&b, "follow.state"), "current");
	CHECK_STR(daemon_text(&b, "follow.name"), "theirs");
	CHECK_STR(daemon_text(&b, "follow.title"), "Of them");
	CHECK_STR(daemon_text(&b, "follow.trust"), "normal");
	CHECK_EQ(daemon_number(&b, "follow.weight"), 100);
	if (*daemon_askf(&b, "ListNodeShares", "{'node_id': '%s'}", a_id))
		daemon_print(&b);
	CHECK_STR(b.error, "");
	CHECK_EQ(daemon_number(&b, "shares.0.followed"), 1);
	CHECK_STR(daemon_ask(&b, "ShowFollow", "{'share': 'theirs'}"), "");
	CHECK_STR(daemon_ask(&b, "ShowFollow", "{'share': 'nobody'}"), "NotFound");
	CHECK_STR(daemon_ask(&b, "SetFollow", "{'share': 'theirs', 'trust': 'some'}"), "Invalid");
	CHECK_STR(daemon_ask(&b, "SetFollow", "{'share': 'theirs', 'weight': 1001}"), "Invalid");
	CHECK_STR(daemon_ask(&b, "SetFollow", "{'share': 'theirs', 'get': 'relative'}"), "Invalid");
	CHECK_STR(daemon_ask(&b, "SetFollow",
			     "{'share': 'theirs', 'trust': 'trusted', 'weight': 1000, "
			     "'name': 'mine', 'get': '%s/fetched', 'mirror': true}"),
		  "");
	CHECK_STR(daemon_text(&b, "follow.trust"), "trusted");
	CHECK_EQ(daemon_number(&b, "follow.weight"), 1000);
	CHECK_EQ(daemon_number(&b, "follow.mirror"), 1);
	CHECK(daemon_until(&b, "ShowFollow", "{'share': 'mine'}", "follow.folder_revision", NULL,
			   5));
	CHECK(daemon_until(&b, "ShowFollow", "{'share': 'mine'}", "follow.folder_state", "finished",
			   0));
	CHECK(access(daemon_path(&b, "fetched/deep/er/last.txt"), F_OK) == 0);
	CHECK(access(daemon_path(&b, "fetched/sub/film.mp4"), F_OK) < 0);
	unlink(daemon_path(&a, "root/later.txt"));
	CHECK_STR(daemon_ask(&a, "PublishShare", "{'name': 'photos'}"), "");
	CHECK_STR(daemon_ask(&b, "SyncFollows", "{'share': 'mine'}"), "");
	CHECK_EQ(daemon_number(&b, "follows.0.revision"), 6);
	CHECK(daemon_until(&b, "ShowFollow", "{'share': 'mine'}", "follow.folder_revision", NULL,
			   6));
	CHECK(daemon_until(&b, "ShowFollow", "{'share': 'mine'}", "follow.folder_state", "finished",
			   0));
	CHECK(access(daemon_path(&b, "fetched/later.txt"), F_OK) < 0);
}

static void test_a_file_of_another_node_is_read_over_the_gateway(void)
{
	char path[256];

	snprintf(path, sizeof(path), "/share/%s/a.txt", share_id);
	CHECK_EQ(daemon_http_get(&b, path, NULL), 200);
	CHECK_STR(b.body, "hello again\n");
	snprintf(path, sizeof(path), "/share/%s/", share_id);
	CHECK_EQ(daemon_http_get(&b, path, "Accept: application/json\r\n"), 200);
	CHECK(strstr(b.body, "{\"name\":\"b.txt\",\"kind\":\"file\",\"size\":4}"));
}

static void test_a_get_brings_what_a_link_names_and_is_forgotten_with_its_files(void)
{
	char link[1024];
	struct stat st;

	daemon_file(&a, "films/film.mp4", film, sizeof(film));
	daemon_file(&a, "films/note.txt", "note\n", 5);
	CHECK_STR(daemon_ask(&a, "AddShare", "{'path': '%s/films'}"), "");
	snprintf(link, sizeof(link), "%s", daemon_text(&a, "link"));
	CHECK(daemon_ask_until(&a, "ListShares", "imports.0.import_id", NULL, -1));
	if (!link[0])
		for (size_t i = 0; i < daemon_cnt(&a, "shares"); i++) {
			snprintf(asked, sizeof(asked), "shares.%zu.title", i);
			if (strcmp(daemon_text(&a, asked), "films") == 0) {
				snprintf(asked, sizeof(asked), "shares.%zu.link", i);
				snprintf(link, sizeof(link), "%s", daemon_text(&a, asked));
			}
		}
	CHECK_STR(daemon_ask(&b, "Get", "{'link': 'mesh:x', 'target': '%s/got'}"), "Invalid");
	snprintf(asked, sizeof(asked), "{'link': '%s', 'target': '%%s/got', 'only': ['*.mp4']}",
		 link);
	CHECK_STR(daemon_ask_more(&b, "Get", asked), "");
	CHECK_STR(daemon_ask(&b, "ListGets", NULL), "");
	for (size_t i = 0; i < daemon_cnt(&b, "gets"); i++) {
		snprintf(asked, sizeof(asked), "gets.%zu.title", i);
		if (strcmp(daemon_text(&b, asked), "films") != 0)
			continue;
		snprintf(asked, sizeof(asked), "gets.%zu.get_id", i);
		snprintf(link, sizeof(link), "%lld", daemon_number(&b, asked));
	}
	CHECK_STR(daemon_askf(&b, "WatchGet", "{'get_id': %s}", link), "");
	CHECK_STR(daemon_text(&b, "get.state"), "finished");
	CHECK_EQ(daemon_number(&b, "get.bytes_done"), FILM_LEN);
	CHECK_EQ(daemon_number(&b, "get.bad_chunks"), 0);
	CHECK_STR(daemon_text(&b, "get.only.0"), "*.mp4");
	CHECK_EQ(stat(daemon_path(&b, "got/film.mp4"), &st), 0);
	CHECK_EQ(st.st_size, FILM_LEN);
	CHECK(access(daemon_path(&b, "got/note.txt"), F_OK) < 0);
	CHECK_STR(daemon_askf(&b, "SetSeeding", "{'get_id': %s, 'seeded': false}", link), "");
	CHECK_EQ(daemon_number(&b, "get.seeded"), 0);
	CHECK_STR(daemon_askf(&b, "ListGetSources", "{'get_id': %s}", link), "");
	CHECK_STR(daemon_askf(&b, "PauseGet", "{'get_id': %s}", link), "Refused");
	CHECK_STR(daemon_askf(&b, "ForgetGet", "{'get_id': %s, 'delete': true}", link), "");
	CHECK(access(daemon_path(&b, "got/film.mp4"), F_OK) < 0);
	CHECK_STR(daemon_askf(&b, "WatchGet", "{'get_id': %s}", link), "NotFound");
}

static void test_a_service_is_found_and_called_at_the_other_node(void)
{
	CHECK(daemon_until(&b, "FindService", "{'name': 'echo', 'fresh': true}",
			   "providers.0.node_id", a_id, 0));
	CHECK_STR(daemon_text(&b, "providers.0.name"), "echo");
	CHECK_EQ(daemon_number(&b, "providers.0.own"), 0);
	CHECK_STR(daemon_ask(&b, "CallService",
			     "{'name': 'echo', 'method': 'Any', 'json': {'x': 1}}"),
		  "");
	CHECK_EQ(daemon_number(&b, "status"), 0);
	CHECK_EQ(daemon_number(&b, "json.x"), 1);
	CHECK_STR(daemon_text(&b, "provider"), a_id);
	CHECK_STR(daemon_ask(&b, "CallService",
			     "{'name': 'echo', 'method': 'Any', 'base64': 'AP8K'}"),
		  "");
	CHECK_STR(daemon_text(&b, "base64"), "AP8K");
	CHECK_STR(daemon_ask(&b, "CallService", "{'name': 'echo', 'method': 'Any', 'base64': '?'}"),
		  "InvalidParameter");
	CHECK_STR(daemon_ask(&b, "CallService",
			     "{'name': 'absent', 'method': 'Any', 'timeout_ms': 500}"),
		  "");
	CHECK(daemon_number(&b, "status") > 0);
	CHECK_STR(daemon_ask(&b, "CallService",
			     "{'name': 'mesh-stats', 'method': 'None', 'json': {}}"),
		  "");
	CHECK_STR(daemon_text(&b, "status_name"), "MethodNotFound");
	CHECK_STR(daemon_ask(&a, "ListServiceMethods", NULL), "");
	CHECK(daemon_cnt(&a, "methods") >= 2);
	CHECK_STR(daemon_ask(&b, "ListServices", NULL), "");
	CHECK_EQ(daemon_cnt(&b, "offers"), 0);
	CHECK(daemon_cnt(&b, "known") >= 1);
}

static void test_services_answer_over_http_as_they_are_named(void)
{
	CHECK_EQ(daemon_http(&b, "POST", "/mesh/http/echo/Any", token, "[1, 2]"), 200);
	CHECK_STR(b.body, "[1, 2]");
	CHECK_EQ(daemon_http(&b, "POST", "/mesh/http/echo/Any", NULL, "[1, 2]"), 401);
	CHECK_EQ(daemon_http_get(&b, "/mesh/http/echo/Any?a=b%20c&d=", NULL), 200);
	CHECK_STR(b.body, "{\"a\":\"b c\",\"d\":\"\"}");
	CHECK_EQ(daemon_http_get(&b, "/mesh/http/mesh-stats/GetMeshStatus", NULL), 200);
	CHECK(strstr(b.body, "{"));
	CHECK_EQ(daemon_http_get(&b, "/mesh/http/mesh-stats/GetPeersSummary", NULL), 403);
	CHECK_STR(daemon_http_error(&b), "service_not_allowed");
	CHECK_EQ(daemon_http_get(&b, "/mesh/http/mesh-stat/GetMeshStatus", NULL), 403);
	CHECK_EQ(daemon_http_get(&b, "/mesh/http/absent/x", NULL), 503);
	CHECK_STR(daemon_http_error(&b), "service_unavailable");
	CHECK(atoi(daemon_header(&b, "Retry-After")) >= 1);
	CHECK_EQ(daemon_http_get(&b, "/mesh/other", NULL), 404);
	CHECK_STR(daemon_http_error(&b), "not_found");
	CHECK_EQ(daemon_http_get(&b, "/mesh/http/services", NULL), 200);
	CHECK(strstr(b.body, "\"echo\"") && strstr(b.body, "\"absent\""));
}

/* --- a stream --- */

struct heard {
	char text[256];
	size_t len;
	bool is_open, is_finished, is_ended;
	enum weft_call_status status;
};

static void heard_opened(void *arg, struct weft_stream *stream, const char *provider)
{
	struct heard *heard = arg;

	(void)stream;
	heard->is_open = strcmp(provider, a_id) == 0;
}

static void heard_piece(void *arg, struct weft_stream *stream, const void *data, size_t len,
			unsigned flags)
{
	struct heard *heard = arg;

	(void)stream;
	if (heard->len + len < sizeof(heard->text))
		memcpy(heard->text + heard->len, data, len);
	heard->len += len;
	if (!(flags & WEFT_STREAM_MORE) && heard->len < sizeof(heard->text))
		heard->text[heard->len++] = flags & WEFT_STREAM_TEXT ? '|' : '#';
}

static void heard_finished(void *arg, struct weft_stream *stream)
{
	(void)stream;
	((struct heard *)arg)->is_finished = true;
}

static void heard_ended(void *arg, struct weft_stream *stream, enum weft_call_status status,
			const char *text)
{
	struct heard *heard = arg;

	(void)stream;
	(void)text;
	heard->is_ended = true;
	heard->status = status;
}

static const struct weft_stream_events heard_events = {.opened = heard_opened,
						       .piece = heard_piece,
						       .finished = heard_finished,
						       .ended = heard_ended};

static bool turn_until(const bool *is_done)
{
	for (unsigned i = 0; i < 2000 && !*is_done; i++)
		(void)weft_client_dispatch(b.client, 10);
	return *is_done;
}

static void test_a_stream_carries_messages_of_both_kinds_and_ends_when_both_have_finished(void)
{
	struct heard heard = {.len = 0};
	const struct weft_stream_params params = {.target = {.service = "echo"},
						  .method = "Any",
						  .timeout_ms = 10000,
						  .events = &heard_events,
						  .arg = &heard};
	struct weft_stream *stream;

	CHECK_EQ(weft_stream_open(b.client, &params, &stream, NULL), 0);
	CHECK(turn_until(&heard.is_open));
	CHECK_EQ(weft_stream_send(stream, "one", 3, WEFT_STREAM_TEXT), 0);
	CHECK_EQ(weft_stream_send(stream, "tw", 2, WEFT_STREAM_MORE), 0);
	CHECK_EQ(weft_stream_send(stream, "o", 1, 0), 0);
	CHECK_EQ(weft_stream_send(stream, "", 0, WEFT_STREAM_TEXT), 0);
	weft_stream_finish(stream);
	CHECK(turn_until(&heard.is_ended));
	CHECK_EQ(heard.status, WEFT_CALL_OK);
	CHECK_STR(heard.text, "one|two#|");
}

static void test_a_stream_to_an_unreachable_key_ends_with_the_reason(void)
{
	struct heard heard = {.len = 0};
	const struct weft_stream_params params = {.target = {.service = "absent"},
						  .method = "Any",
						  .timeout_ms = 1000,
						  .events = &heard_events,
						  .arg = &heard};
	struct weft_stream *stream;

	CHECK_EQ(weft_stream_open(b.client, &params, &stream, NULL), 0);
	CHECK(turn_until(&heard.is_ended));
	CHECK(!heard.is_open);
	CHECK(heard.status != WEFT_CALL_OK);
}

static void test_a_follow_that_is_removed_leaves_its_files(void)
{
	CHECK_STR(daemon_ask(&b, "RemoveFollow", "{'share': 'mine'}"), "");
	CHECK_STR(daemon_text(&b, "share_id"), share_id);
	CHECK_STR(daemon_ask(&b, "ListFollows", NULL), "");
	CHECK_EQ(daemon_cnt(&b, "follows"), 0);
	CHECK(access(daemon_path(&b, "fetched/a.txt"), F_OK) == 0);
	CHECK_STR(daemon_ask(&a, "ExportShareKey", "{'name': 'photos', 'path': '%s/key'}"), "");
	CHECK(access(daemon_path(&a, "key"), F_OK) == 0);
	CHECK_STR(daemon_ask(&a, "RevokeShare", "{'name': 'photos'}"), "");
	CHECK_STR(daemon_text(&a, "share.state"), "revoked");
	CHECK(daemon_ask(&a, "PublishShare", "{'name': 'photos'}")[0]);
	CHECK_STR(daemon_ask(&a, "RetireShare", "{'name': 'photos'}"), "");
	CHECK_STR(daemon_ask(&a, "ShowShare", "{'name': 'photos'}"), "NotFound");
	CHECK_STR(daemon_ask(&a, "NewShare", "{'name': 'again', 'key_file': '%s/key'}"), "");
	CHECK_STR(daemon_text(&a, "share.share_id"), share_id);
}

static void test_a_banned_node_loses_its_session_and_gets_none(void)
{
	CHECK_STR(daemon_askf(&a, "AddBan", "{'target': '%s', 'duration_s': 1000}", b_id), "");
	CHECK(daemon_ask_until(&a, "Status", "sessions", NULL, 0));
	CHECK(daemon_ask_until(&b, "Status", "sessions", NULL, 0));
	CHECK(daemon_askf(&b, "PingPeer", "{'node_id': '%s', 'count': 1, 'timeout_ms': 300}",
			  a_id)[0]);
	CHECK_STR(daemon_askf(&a, "RemoveBan", "{'target': '%s'}", b_id), "");
	CHECK_STR(daemon_askf(&a, "RemoveBan", "{'target': '%s'}", b_id), "NotFound");
}

int main(void)
{
	pair_start();
	RUN(test_a_node_is_reached_at_the_given_address);
	RUN(test_a_folder_is_published_and_its_revisions_are_listed);
	RUN(test_a_share_that_is_watched_has_a_revision_when_its_folder_was_quiet);
	RUN(test_another_node_sees_what_is_public_and_follows_it);
	RUN(test_a_file_of_another_node_is_read_over_the_gateway);
	RUN(test_a_get_brings_what_a_link_names_and_is_forgotten_with_its_files);
	RUN(test_a_service_is_found_and_called_at_the_other_node);
	RUN(test_services_answer_over_http_as_they_are_named);
	RUN(test_a_stream_carries_messages_of_both_kinds_and_ends_when_both_have_finished);
	RUN(test_a_stream_to_an_unreachable_key_ends_with_the_reason);
	RUN(test_a_follow_that_is_removed_leaves_its_files);
	RUN(test_a_banned_node_loses_its_session_and_gets_none);
	daemon_fini(&b);
	daemon_fini(&a);
	return check_done();
}
