/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon's gateway: health, figures, methods, events, files and folders over HTTP. */
#include "support/check.h"
#include "support/daemon_rig.h"

#include <unistd.h>

#include "crypto/blake3/blake3.h"
#include "codec/text/hex.h"

#define CONFIG                                                                                     \
	"[gateway]\nenabled = yes\nlisten = 127.0.0.1:0\nrate = 0\nmesh_rate = 0\nfile_rate = 0\n"
#define FILM_LEN (2 * 262144 + 4321)

static struct daemon_rig rig;
static char film[FILM_LEN], film_id[65], empty_id[65], share[128], token[192];

static const char *id_of(const void *data, size_t len, char text[static 65])
{
	uint8_t id[32];

	blake3_hash(data, len, id);
	return hex_write(id, sizeof(id), text);
}

static void films_make(void)
{
	unsigned x = 3;

	for (size_t i = 0; i < sizeof(film); i++)
		film[i] = (char)((x = x * 1103515245 + 12345) >> 16);
	id_of(film, sizeof(film), film_id);
	id_of("", 0, empty_id);
}

static void tree_share(void)
{
	daemon_file(&rig, "root/a note.txt", "hello\n", 6);
	daemon_file(&rig, "root/film.mp4", film, sizeof(film));
	daemon_file(&rig, "root/sub/<b>&\"q\".html", "<script>1</script>", 18);
	daemon_file(&rig, "root/sub/deep/empty", "", 0);
	if (*daemon_ask(&rig, "AddShare", "{'path': '%s/root'}") ||
	    !daemon_ask_until(&rig, "ListShares", "shares.0.items", NULL, 4))
		daemon_print(&rig);
	snprintf(share, sizeof(share), "/share/%s", daemon_text(&rig, "shares.0.collection_id"));
}

static int get(const char *path, const char *headers)
{
	char whole[512];

	snprintf(whole, sizeof(whole), "%s%s", share, path);
	return daemon_http_get(&rig, whole, headers);
}

static bool body_is(const char *data, size_t len)
{
	return rig.body && rig.body_len == len && memcmp(rig.body, data, len) == 0;
}

static void test_health_is_shown_to_every_client(void)
{
	CHECK_EQ(daemon_http_get(&rig, "/healthz", NULL), 200);
	CHECK_STR(rig.body, "ok\n");
	CHECK_EQ(daemon_http_get(&rig, "/readyz", NULL), 200);
	CHECK_STR(rig.body, "ready\n");
	CHECK_EQ(daemon_http(&rig, "POST", "/healthz", token, ""), 405);
	CHECK_EQ(daemon_http_get(&rig, "/nothing/here", NULL) / 100, 4);
	CHECK_EQ(daemon_http_get(&rig, "/mesh/http/echo/x", NULL), 404);
	CHECK_STR(daemon_http_error(&rig), "mesh_gateway_disabled");
}

static void test_a_file_is_read_by_its_path(void)
{
	CHECK_EQ(get("/film.mp4", NULL), 200);
	CHECK(body_is(film, sizeof(film)));
	CHECK_STR(daemon_header(&rig, "Content-Type"), "video/mp4");
	CHECK_STR(daemon_header(&rig, "Accept-Ranges"), "bytes");
	CHECK_STR(daemon_header(&rig, "Cache-Control"), "no-cache");
	CHECK(strncmp(daemon_header(&rig, "ETag") + 1, film_id, 64) == 0);
	CHECK(strstr(daemon_header(&rig, "Content-Security-Policy"), "sandbox"));
	CHECK_EQ(get("/a%20note.txt", NULL), 200);
	CHECK(body_is("hello\n", 6));
	CHECK_EQ(get("/sub/deep/empty", NULL), 200);
	CHECK_STR(daemon_header(&rig, "Content-Length"), "0");
	CHECK(body_is("", 0));
	CHECK_EQ(get("/sub/%3Cb%3E%26%22q%22.html", NULL), 200);
	CHECK(body_is("<script>1</script>", 18));
}

static void test_a_path_that_is_not_there_or_not_safe_is_refused(void)
{
	static const struct {
		const char *path, *error;
		int status;
	} rows[] = {
		{"/nothing", "no_such_path", 404},	 {"/film.mp4/", "no_such_path", 404},
		{"/film.mp4/x", "no_such_path", 404},	 {"/sub/deep/empty/", "no_such_path", 404},
		{"/%00", "invalid_path", 400},		 {"/a%2", "invalid_path", 400},
		{"/..%2f..%2fetc", "invalid_path", 400},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(get(rows[i].path, NULL), rows[i].status);
		CHECK_STR(daemon_http_error(&rig), rows[i].error);
	}
	CHECK_EQ(daemon_http_get(&rig, "/share/00", NULL), 400);
	CHECK_STR(daemon_http_error(&rig), "invalid_id");
	CHECK_EQ(
		daemon_http_get(
			&rig,
			"/share/0000000000000000000000000000000000000000000000000000000000000000/x",
			NULL),
		404);
	CHECK_STR(daemon_http_error(&rig), "not_found");
}

static void test_a_part_of_a_file_is_answered_exactly(void)
{
	static const struct {
		const char *range;
		size_t off, len;
	} rows[] = {{"0-0", 0, 1},
		    {"262143-262144", 262143, 2},
		    {"-5", FILM_LEN - 5, 5},
		    {"500000-", 500000, FILM_LEN - 500000},
		    {"0-99999999", 0, FILM_LEN}};
	char text[192];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "Range: bytes=%s\r\n", rows[i].range);
		CHECK_EQ(get("/film.mp4", text), 206);
		CHECK(body_is(film + rows[i].off, rows[i].len));
		snprintf(text, sizeof(text), "bytes %zu-%zu/%d", rows[i].off,
			 rows[i].off + rows[i].len - 1, FILM_LEN);
		CHECK_STR(daemon_header(&rig, "Content-Range"), text);
	}
	snprintf(text, sizeof(text), "Range: bytes=%d-\r\n", FILM_LEN);
	CHECK_EQ(get("/film.mp4", text), 416);
	snprintf(text, sizeof(text), "bytes */%d", FILM_LEN);
	CHECK_STR(daemon_header(&rig, "Content-Range"), text);
	CHECK_EQ(get("/film.mp4", "Range: lines=1-2\r\n"), 200);
}

static void test_what_a_client_holds_is_not_sent_again(void)
{
	char text[256];

	snprintf(text, sizeof(text), "If-None-Match: \"x\", \"%s\"\r\n", film_id);
	CHECK_EQ(get("/film.mp4", text), 304);
	CHECK(body_is("", 0));
	CHECK(strncmp(daemon_header(&rig, "ETag") + 1, film_id, 64) == 0);
	CHECK_EQ(get("/film.mp4", "If-None-Match: *\r\n"), 304);
	CHECK_EQ(get("/film.mp4", "If-None-Match: \"x\"\r\n"), 200);
	snprintf(text, sizeof(text), "Range: bytes=0-1\r\nIf-Range: \"%s\"\r\n", film_id);
	CHECK_EQ(get("/film.mp4", text), 206);
	CHECK_EQ(get("/film.mp4", "Range: bytes=0-1\r\nIf-Range: \"x\"\r\n"), 200);
}

static void test_head_answers_the_length_and_sends_nothing(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/film.mp4", share);
	CHECK_EQ(daemon_http(&rig, "HEAD", path, NULL, NULL), 200);
	CHECK_EQ(atoi(daemon_header(&rig, "Content-Length")), FILM_LEN);
	CHECK(body_is("", 0));
	CHECK_EQ(daemon_http(&rig, "HEAD", path, "Range: bytes=7-9\r\n", NULL), 206);
	CHECK_EQ(atoi(daemon_header(&rig, "Content-Length")), 3);
}

static void test_a_file_is_read_by_its_hash(void)
{
	static const char zeros[] =
		"/blob/"
		"0000000000000000000000000000000000000000000000000000000000000000";
	char path[160];

	snprintf(path, sizeof(path), "/blob/%s", film_id);
	CHECK_EQ(daemon_http_get(&rig, path, NULL), 200);
	CHECK(body_is(film, sizeof(film)));
	CHECK_STR(daemon_header(&rig, "Content-Type"), "application/octet-stream");
	CHECK_STR(daemon_header(&rig, "Cache-Control"), "max-age=31536000, immutable");
	snprintf(path, sizeof(path), "/blob/%s", empty_id);
	CHECK_EQ(daemon_http_get(&rig, path, NULL), 200);
	CHECK(body_is("", 0));
	snprintf(path, sizeof(path), "/blob/%s/x", film_id);
	CHECK_EQ(daemon_http_get(&rig, path, NULL), 400);
	CHECK_STR(daemon_http_error(&rig), "invalid_id");
	snprintf(path, sizeof(path), "/blob/%s0", film_id);
	CHECK_EQ(daemon_http_get(&rig, path, NULL), 400);
	CHECK_EQ(daemon_http_get(&rig, "/blob/", NULL), 400);
	CHECK_EQ(daemon_http_get(&rig, zeros, NULL) / 100, 4);
}

static void test_a_directory_is_listed_for_people_and_for_programs(void)
{
	CHECK_EQ(get("/", NULL), 200);
	CHECK_STR(daemon_header(&rig, "Content-Type"), "text/html; charset=utf-8");
	CHECK_STR(daemon_header(&rig, "Vary"), "Accept");
	CHECK(strstr(rig.body,
		     "<tr><td><a href=\"./a%20note.txt\">a note.txt</a></td><td>6</td></tr>\n"));
	CHECK(strstr(rig.body, "<tr><td><a href=\"./sub/\">sub/</a></td><td></td></tr>\n"));
	CHECK(!strstr(rig.body, "../"));
	CHECK(strstr(rig.body, "<title>/</title>"));
	CHECK(!strstr(rig.body, "more entries"));
	CHECK_EQ(get("/sub/", NULL), 200);
	CHECK(strstr(rig.body, "<title>/sub</title>"));
	CHECK(strstr(rig.body, "<a href=\"../\">../</a>"));
	CHECK(strstr(rig.body,
		     "<a "
		     "href=\"./%3Cb%3E%26%22q%22.html\">&lt;b&gt;&amp;&quot;q&quot;.html</a></"
		     "td><td>18</td>"));
	CHECK_EQ(get("/sub/", "Accept: application/json\r\n"), 200);
	CHECK_STR(daemon_header(&rig, "Content-Type"), "application/json");
	CHECK_STR(rig.body,
		  "{\"path\":\"sub\",\"entries\":[{\"name\":\"<b>&\\\"q\\\".html\",\"kind\":"
		  "\"file\",\"size\":18},{\"name\":\"deep\",\"kind\":\"directory\"}],"
		  "\"is_cut\":false}");
	CHECK_EQ(get("/sub/deep", NULL), 301);
	CHECK_STR(daemon_header(&rig, "Location"), "%64%65%65%70/");
}

static void test_methods_are_called_with_the_token_alone(void)
{
	CHECK_EQ(daemon_http(&rig, "POST", "/api/v1/GetNodeId", NULL, "{}"), 401);
	CHECK_EQ(daemon_http(&rig, "POST", "/api/v1/GetNodeId", token, "{}"), 200);
	CHECK_STR(daemon_header(&rig, "Cache-Control"), "no-store");
	CHECK(strncmp(rig.body, "{\"node_id\":\"", 12) == 0);
	CHECK_EQ(rig.body_len, 12 + 52 + 2);
	CHECK_EQ(daemon_http(&rig, "POST", "/api/v1/GetNodeId", token, ""), 200);
}

static void test_an_error_of_a_method_has_its_status_and_its_reason(void)
{
	static const struct {
		const char *method, *body, *error, *message;
		int status;
	} rows[] = {
		{"Nothing", "{}", "MethodNotFound", "There is no such method.", 404},
		{"ShowPeer", "{}", "InvalidParameter",
		 "The parameter node_id is missing or not of its type.", 400},
		{"ShowPeer", "{\"node_id\": 1}", "InvalidParameter",
		 "The parameter node_id is missing or not of its type.", 400},
		{"PauseGet", "{\"get_id\": 77}", "NotFound", NULL, 404},
		{"RemoveBan", "{\"target\": \"192.0.2.1\"}", "PermissionDenied", NULL, 403},
		{"WatchEvents", "{}", "Refused", NULL, 409},
		{"Shutdown", "{}", "PermissionDenied",
		 "The method needs a higher role than gateway.role grants.", 403},
		{"GetNodeId", "[]", "invalid_body", NULL, 400},
		{"GetNodeId", "{", "invalid_body", NULL, 400},
	};
	char path[128];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *body;

		snprintf(path, sizeof(path), "/api/v1/%s", rows[i].method);
		if (daemon_http(&rig, "POST", path, token, rows[i].body) != rows[i].status)
			daemon_print(&rig);
		CHECK_EQ(rig.status, rows[i].status);
		if (rows[i].error)
			CHECK_STR(daemon_http_error(&rig), rows[i].error);
		body = json_loads(rig.body, 0, NULL);
		CHECK(json_string_length(json_object_get(body, "message")) > 0);
		if (rows[i].message)
			CHECK_STR(json_string_value(json_object_get(body, "message")),
				  rows[i].message);
		json_decref(body);
	}
}

/* Returns the value of a sample, -1: there is none. */
static long long sample(const char *name)
{
	char line[160];
	const char *at;

	snprintf(line, sizeof(line), "\n%s ", name);
	at = strstr(rig.body, line);
	return at ? atoll(at + strlen(line)) : -1;
}

static void test_metrics_are_those_of_status(void)
{
	CHECK_EQ(daemon_http_get(&rig, "/metrics", NULL), 200);
	CHECK(strncmp(daemon_header(&rig, "Content-Type"), "text/plain; version=0.0.4", 25) == 0);
	CHECK_EQ(sample("weft_shares"), 1);
	CHECK_EQ(sample("weft_sessions"), 0);
	CHECK_EQ(sample("weft_gets"), 0);
	CHECK_EQ(sample("weft_imports"), 0);
	CHECK_EQ(sample("weft_connections"), 0);
	CHECK_EQ(sample("weft_bad_chunks_total"), 0);
	CHECK(sample("weft_store_bytes") > 0);
	CHECK(sample("weft_store_max_bytes") > sample("weft_store_bytes"));
	CHECK(sample("weft_uptime_seconds") >= 0);
}

/* Every family has HELP and TYPE before its samples, once. */
static void test_metrics_are_of_the_text_format(void)
{
	char *save, name[128] = "", type[32] = "";
	unsigned family_cnt = 0, sample_cnt = 0;

	CHECK_EQ(daemon_http_get(&rig, "/metrics", NULL), 200);
	for (char *line = strtok_r(rig.body, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char helped[128];

		if (strncmp(line, "# HELP ", 7) == 0) {
			CHECK(sscanf(line, "# HELP %127s %*c", helped) == 1);
			line = strtok_r(NULL, "\n", &save);
			CHECK(line && sscanf(line, "# TYPE %127s %31s", name, type) == 2);
			CHECK_STR(name, helped);
			CHECK(strcmp(type, "counter") == 0 || strcmp(type, "gauge") == 0 ||
			      strcmp(type, "histogram") == 0);
			family_cnt++;
			continue;
		}
		CHECK(name[0] && strncmp(line, name, strlen(name)) == 0);
		CHECK(strcmp(type, "counter") != 0 || strstr(name, "_total"));
		CHECK(strrchr(line, ' ')[1] >= '0' && strrchr(line, ' ')[1] <= '9');
		sample_cnt++;
	}
	CHECK(family_cnt > 80);
	CHECK(sample_cnt > family_cnt);
}

static void test_events_are_sent_as_they_happen_and_again_from_a_number(void)
{
	char text[4096] = "", path[64];
	size_t len = 0;
	int fd = daemon_connect(&rig);
	ssize_t took;

	CHECK(fd >= 0);
	CHECK_EQ(daemon_http_get(&rig, "/events", NULL), 401);
	dprintf(fd, "GET /events HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s\r\n", rig.web_port, token);
	while (!strstr(text, "\r\n\r\n") &&
	       (took = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		text[len += (size_t)took] = '\0';
	CHECK(strstr(text, "text/event-stream"));
	CHECK_STR(daemon_ask(&rig, "AddBan", "{'target': '192.0.2.7'}"), "");
	while (!strstr(text, "ban.added") &&
	       (took = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		text[len += (size_t)took] = '\0';
	close(fd);
	CHECK(strstr(text, "\nid: "));
	CHECK(strstr(text, "ban.added"));
	snprintf(path, sizeof(path), "%llu", strtoull(strstr(text, "\nid: ") + 5, NULL, 10) - 1);
	fd = daemon_connect(&rig);
	dprintf(fd, "GET /events?since=%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s\r\n", path,
		rig.web_port, token);
	memset(text, 0, sizeof(text));
	len = 0;
	while (!strstr(text, "ban.added") &&
	       (took = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		text[len += (size_t)took] = '\0';
	close(fd);
	CHECK(strstr(text, "ban.added"));
	CHECK(!strstr(text, "event: gap"));
}

static void test_what_is_not_shared_any_more_is_not_read(void)
{
	char asked[160];

	snprintf(asked, sizeof(asked), "{'share': '%s'}", share + sizeof("/share/") - 1);
	CHECK_STR(daemon_ask(&rig, "RemoveShare", asked), "");
	CHECK_EQ(get("/film.mp4", NULL), 404);
	CHECK_STR(daemon_http_error(&rig), "not_found");
}

int main(void)
{
	films_make();
	daemon_start(&rig, CONFIG);
	snprintf(token, sizeof(token), "X-Weft-Token: %s\r\n", rig.token);
	tree_share();
	RUN(test_health_is_shown_to_every_client);
	RUN(test_a_file_is_read_by_its_path);
	RUN(test_a_path_that_is_not_there_or_not_safe_is_refused);
	RUN(test_a_part_of_a_file_is_answered_exactly);
	RUN(test_what_a_client_holds_is_not_sent_again);
	RUN(test_head_answers_the_length_and_sends_nothing);
	RUN(test_a_file_is_read_by_its_hash);
	RUN(test_a_directory_is_listed_for_people_and_for_programs);
	RUN(test_methods_are_called_with_the_token_alone);
	RUN(test_an_error_of_a_method_has_its_status_and_its_reason);
	RUN(test_metrics_are_those_of_status);
	RUN(test_metrics_are_of_the_text_format);
	RUN(test_events_are_sent_as_they_happen_and_again_from_a_number);
	RUN(test_what_is_not_shared_any_more_is_not_read);
	daemon_fini(&rig);
	return check_done();
}
