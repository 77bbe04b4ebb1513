/* SPDX-License-Identifier: Apache-2.0 */
/* From a request's path to a file or a directory. */
#include "web_content.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fair/fair_path.h"
#include "codec/text/hex.h"
#include "codec/text/percent.h"
#include "codec/text/zbase32.h"
#include "shares/publish/label.h"
#include "api/api.h"

#define BLOB_PATH  "/blob/"
#define SHARE_PATH "/share/"

struct web_content {
	struct api *api;
	struct web_content_run *runs;
};

static const struct gateway_error bad_id = {400, "invalid_id",
					    "An id is 64 hexadecimal or 52 z-base-32 letters.", 0};
static const struct gateway_error bad_path = {
	400, "invalid_path", "The path is to be percent-encoded UTF-8, and less than 4096 bytes.",
	0};
static const struct gateway_error many_requests = {
	503, "too_many_requests", "As many files are asked for at once as may be; try again soon.",
	2};
static const struct gateway_error not_here = {
	404, "not_found",
	"No share or collection of this id is here; follow it first: weft sub add LINK.", 0};
static const struct gateway_error no_path = {404, "no_such_path", "It has no file or folder there.",
					     0};
static const struct gateway_error blocked = {
	403, "blocked", "A blocklist that this node follows names it, or its key was given up.", 0};
static const struct gateway_error not_ready = {
	503, "no_revision_yet", "No revision of this share has come yet; try again soon.", 5};
static const struct gateway_error broken = {
	500, "damaged", "The stored collection cannot be read; see weft store check.", 0};

size_t api_http_content_footprint(void)
{
	return WEB_CONTENT_RUNS_MAX * sizeof(struct web_content_run);
}

int api_http_content_new(struct api *api, struct web_content **out_content)
{
	struct web_content *content = calloc(1, sizeof(*content));

	if (!content)
		return -ENOMEM;
	content->api = api;
	*out_content = content;
	return 0;
}

void api_http_content_free(struct web_content *content)
{
	struct jobs *jobs;

	if (!content)
		return;
	jobs = content->api->home->jobs;
	while (content->runs)
		jobs_reap_wait(jobs);
	free(content);
}

struct api *api_http_content_api(const struct web_content *content)
{
	return content->api;
}

void api_http_content_run_end(struct web_content_run *run)
{
	struct web_content_run **at = &run->content->runs;

	if (run->is_job_out)
		return; /* its done comes back here */
	while (*at != run)
		at = &(*at)->next;
	*at = run->next;
	if (run->listing)
		api_http_listing_fini(run->listing);
	free(run->listing);
	free(run);
}

void api_http_content_refuse(struct web_content_run *run, const struct gateway_error *error,
			     uint64_t now_ns)
{
	struct gateway_exchange *exchange = run->exchange;

	run->exchange = NULL;
	gateway_reply_error(exchange, error, now_ns);
	api_http_content_run_end(run);
}

/*
 * client_has_part: neither a request nor a reader is taken back. So a client holds at most
 * three times what it leaves free of either (base/fair/fair.h, dynamic threshold).
 */
static bool client_has_part(const struct web_content *content, uint64_t client, bool reads,
			    unsigned cap)
{
	unsigned cnt = 0, own_cnt = 0;

	for (const struct web_content_run *run = content->runs; run; run = run->next) {
		if (reads && !run->reader)
			continue;
		cnt++;
		own_cnt += run->client == client;
	}
	return cnt >= cap || own_cnt >= FAIR_NETWORK_FACTOR * (cap - cnt);
}

bool api_http_content_may_read(const struct web_content_run *run)
{
	return !client_has_part(run->content, run->client, true, READERS_MAX);
}

/* --- requests --- */

static void field_copy(const struct gateway_request *request, const char *name,
		       char text[static WEB_CONTENT_FIELD_CAP])
{
	const char *value = gateway_header(request, name);

	if (value && strlen(value) < WEB_CONTENT_FIELD_CAP)
		strcpy(text, value);
}

static struct web_content_run *run_begin(struct web_content *content,
					 struct gateway_exchange *exchange,
					 const struct gateway_request *request, uint64_t now_ns)
{
	struct web_content_run *run = NULL;
	const char *accept = gateway_header(request, "Accept");

	const uint64_t client = gateway_client(exchange);

	if (!client_has_part(content, client, false, WEB_CONTENT_RUNS_MAX))
		run = calloc(1, sizeof(*run));
	if (!run) {
		gateway_reply_error(exchange, &many_requests, now_ns);
		return NULL;
	}
	run->content = content;
	run->exchange = exchange;
	run->client = client;
	run->is_head = request->is_head;
	run->wants_json = accept && strstr(accept, "application/json");
	field_copy(request, "Range", run->range);
	field_copy(request, "If-Range", run->if_range);
	field_copy(request, "If-None-Match", run->if_none_match);
	run->next = content->runs;
	content->runs = run;
	gateway_watch(exchange, &api_http_content_events, run);
	return run;
}

/* id_take reads an id and leaves at behind it: at the end or at a '/'. */
static bool id_take(const char **at, uint8_t id[static 32])
{
	size_t len = strcspn(*at, "/");
	char text[HEX_TEXT_CAP(32)];

	if (len >= sizeof(text))
		return false;
	memcpy(text, *at, len);
	text[len] = '\0';
	*at += len;
	if (len == HEX_TEXT_CAP(32) - 1)
		return hex_read(text, id, 32);
	return len == ZBASE32_TEXT_LEN(32) && zbase32_parse(text, len, id, 32) == 32;
}

static void blob_asked(void *ctx, struct gateway_exchange *exchange,
		       const struct gateway_request *request, uint64_t now_ns)
{
	struct web_content *content = ctx;
	struct web_content_run *run = run_begin(content, exchange, request, now_ns);
	const char *at = request->path + sizeof(BLOB_PATH) - 1;
	const struct reader_origin anybody = {.has_manifest = false};

	if (!run)
		return;
	if (!id_take(&at, run->content_id) || *at) {
		api_http_content_refuse(run, &bad_id, now_ns);
	} else if (api_is_blocked(content->api, run->content_id)) {
		api_http_content_refuse(run, &blocked, now_ns);
	} else {
		run->mime = "application/octet-stream";
		api_http_content_file_start(run, &anybody, READER_SIZE_UNTOLD, now_ns);
	}
}

/* path_take decodes what stands behind the id; a '/' at its end is noted and left out. */
static bool path_take(struct web_content_run *run, const char *at)
{
	const char *end = at + strlen(at);
	size_t took;

	for (at += *at == '/'; at < end; at += took) {
		uint8_t byte;

		took = percent_read(at, (size_t)(end - at), &byte);
		if (!took || byte == '\0' || run->path_len > MANIFEST_PATH_LEN_MAX)
			return false;
		run->path[run->path_len++] = (char)byte;
	}
	run->has_slash = run->path_len > 0 && run->path[run->path_len - 1] == '/';
	run->path_len -= run->has_slash;
	run->path[run->path_len] = '\0';
	return run->path_len == 0 || blobs_manifest_path_is_safe(run->path, run->path_len);
}

/* --- a place in a collection --- */

/* The links of a directory are relative to its name with a '/' behind. */
static void directory_redirect(struct web_content_run *run, uint64_t now_ns)
{
	struct gateway_exchange *exchange = run->exchange;
	char headers[MANIFEST_NAME_LEN_MAX * 3 + 32] = "Location: ";
	const struct gateway_reply reply = {.status = 301, .headers = headers};
	const char *slash = strrchr(run->path, '/');
	size_t len = strlen(headers);

	for (const char *name = slash ? slash + 1 : run->path; *name; name++)
		len += (size_t)snprintf(headers + len, sizeof(headers) - len, "%%%02X",
					(unsigned char)*name);
	snprintf(headers + len, sizeof(headers) - len, "/\r\n");
	run->exchange = NULL;
	gateway_reply(exchange, &reply, now_ns);
	api_http_content_run_end(run);
}

static void directory_reply(struct web_content_run *run, uint64_t now_ns)
{
	const struct gateway_reply reply = {
		.status = 200,
		.type = api_http_listing_type(run->listing),
		.headers = "Cache-Control: no-cache\r\nVary: Accept\r\n",
		.body = run->listing->text,
		.body_len = run->listing->len,
		.is_foreign = true,
	};
	struct gateway_exchange *exchange = run->exchange;

	run->exchange = NULL;
	gateway_reply(exchange, &reply, now_ns);
	api_http_content_run_end(run);
}

static void file_reply(struct web_content_run *run, uint64_t now_ns)
{
	struct reader_origin origin = {
		.has_manifest = true,
		.item = run->found.item,
		.hints = run->place.peers,
		.hint_cnt = run->place.peer_cnt,
	};
	const char *known = shares_label_mime(run->path);

	memcpy(origin.manifest_id, run->place.manifest_id, sizeof(origin.manifest_id));
	memcpy(origin.part_id, run->found.part_id, sizeof(origin.part_id));
	memcpy(run->content_id, run->found.content_id, sizeof(run->content_id));
	if (run->found.mime[0])
		run->mime = run->found.mime;
	else
		run->mime = known ? known : "application/octet-stream";
	if (api_is_blocked(run->content->api, run->content_id))
		api_http_content_refuse(run, &blocked, now_ns);
	else
		api_http_content_file_start(run, &origin, run->found.size, now_ns);
}

static void place_done(struct job *job)
{
	struct web_content_run *run = (struct web_content_run *)job;
	uint64_t now_ns = run->content->api->home->now_ns;

	run->is_job_out = false;
	if (!run->exchange)
		api_http_content_run_end(run);
	else if (run->err == WEFT_EABSENT)
		api_http_content_refuse(run, &no_path, now_ns);
	else if (run->err == WEFT_EUNKNOWN)
		api_http_content_refuse(run, &not_here, now_ns);
	else if (run->err)
		api_http_content_refuse(run, &broken, now_ns);
	else if (run->found.kind == TREE_FILE && !run->has_slash)
		file_reply(run, now_ns);
	else if (run->found.kind == TREE_FILE)
		api_http_content_refuse(run, &no_path, now_ns);
	else if (run->path_len > 0 && !run->has_slash)
		directory_redirect(run, now_ns);
	else
		directory_reply(run, now_ns);
}

static void place_run(struct job *job)
{
	struct web_content_run *run = (struct web_content_run *)job;
	struct store *store = run->content->api->store;

	run->err = blobs_tree_find(
		store, &(struct tree_ask){run->place.manifest_id, run->path, run->path_len},
		&run->found);
	if (run->err || run->found.kind != TREE_DIR)
		return;
	run->listing = calloc(1, sizeof(*run->listing));
	run->err = -ENOMEM;
	if (!run->listing)
		return;
	run->listing->is_json = run->wants_json;
	run->err = api_http_listing_make(store, run->place.manifest_id, run->path, run->path_len,
					 run->listing);
}

static const struct gateway_error *place_error(int err)
{
	switch (err) {
	case WEFT_EREFUSED:
		return &blocked;
	case WEFT_EBUSY:
		return &not_ready;
	default:
		return &not_here;
	}
}

static void share_asked(void *ctx, struct gateway_exchange *exchange,
			const struct gateway_request *request, uint64_t now_ns)
{
	struct web_content *content = ctx;
	struct web_content_run *run = run_begin(content, exchange, request, now_ns);
	const char *at = request->path + sizeof(SHARE_PATH) - 1;
	uint8_t id[32];
	int err;

	if (!run)
		return;
	if (!id_take(&at, id)) {
		api_http_content_refuse(run, &bad_id, now_ns);
		return;
	}
	if (!path_take(run, at)) {
		api_http_content_refuse(run, &bad_path, now_ns);
		return;
	}
	err = api_place_of(content->api, id, &run->place);
	if (err) {
		api_http_content_refuse(run, place_error(err), now_ns);
		return;
	}
	run->job.run = place_run;
	run->job.done = place_done;
	if (jobs_submit(content->api->home->jobs, &run->job) < 0)
		api_http_content_refuse(run, &many_requests, now_ns);
	else
		run->is_job_out = true;
}

void api_http_content_routes(struct web_content *content, struct gateway_route *routes)
{
	routes[0] = (struct gateway_route){.path = BLOB_PATH,
					   .methods = GATEWAY_GET,
					   .access = GATEWAY_OPEN,
					   .is_file = true,
					   .handle = blob_asked,
					   .ctx = content};
	routes[1] = (struct gateway_route){.path = SHARE_PATH,
					   .methods = GATEWAY_GET,
					   .access = GATEWAY_OPEN,
					   .is_file = true,
					   .handle = share_asked,
					   .ctx = content};
}
