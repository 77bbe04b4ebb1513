/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file to a client. The head waits until the length is known and the first
 * bytes were verified. So content that cannot be had is an error and no broken
 * file.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "shares/publish/label.h"
#include "codec/text/hex.h"
#include "gateway/range.h"
#include "web_content.h"
#include "api/api.h"

/* Bytes that wait for the client before the reader is held up. */
#define BACKLOG_MAX (1024u * 1024u)

static const struct gateway_error many_readers = {
	503, "too_many_readers", "As many files are read at once as may be; try again soon.", 2};

static void etag_write(struct web_content_run *run)
{
	char id[HEX_TEXT_CAP(32)];

	snprintf(run->etag, sizeof(run->etag), "\"%s\"",
		 hex_write(run->content_id, sizeof(run->content_id), id));
}

/* A list of tags, weak ones too: what a hash names is one thing only (RFC 9110, 13.1.2). */
static bool is_held_by_client(const struct web_content_run *run)
{
	return strcmp(run->if_none_match, "*") == 0 || strstr(run->if_none_match, run->etag);
}

/* A Range counts unless it is of another version of the file (13.1.5). */
static const char *range_of(const struct web_content_run *run)
{
	if (run->range[0] == '\0' || (run->if_range[0] && strcmp(run->if_range, run->etag) != 0))
		return NULL;
	return run->range;
}

#define HEADERS_CAP 512

/* A file never changes under its hash; under a path of a share it may with a revision. */
static void headers_write(const struct web_content_run *run, char headers[static HEADERS_CAP])
{
	bool is_path = run->path_len > 0;
	int len = snprintf(headers, HEADERS_CAP,
			   "Accept-Ranges: bytes\r\nETag: %s\r\nCache-Control: %s\r\n", run->etag,
			   is_path ? "no-cache" : "max-age=31536000, immutable");

	if (run->is_part)
		snprintf(headers + len, HEADERS_CAP - (size_t)len,
			 "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64 "\r\n", run->off,
			 run->off + run->len - 1, run->size);
}

static void reply_begin(struct web_content_run *run, uint64_t now_ns)
{
	char headers[HEADERS_CAP];
	const struct gateway_reply reply = {
		.status = run->is_part ? 206 : 200,
		.type = run->mime,
		.headers = headers,
		.body_len = run->len,
		.is_foreign = true,
	};

	headers_write(run, headers);
	gateway_reply_begin(run->exchange, &reply, now_ns);
	run->is_begun = true;
}

/* The exchange ends here without a byte of the file. */
static void reply_without_body(struct web_content_run *run, unsigned status, const char *headers,
			       uint64_t now_ns)
{
	const struct gateway_reply reply = {.status = status, .headers = headers};
	struct gateway_exchange *exchange = run->exchange;

	run->exchange = NULL;
	gateway_reply(exchange, &reply, now_ns);
}

static void reply_unsatisfiable(struct web_content_run *run, uint64_t now_ns)
{
	char headers[64];

	snprintf(headers, sizeof(headers), "Content-Range: bytes */%" PRIu64 "\r\n", run->size);
	reply_without_body(run, 416, headers, now_ns);
}

static void reply_not_modified(struct web_content_run *run, uint64_t now_ns)
{
	char headers[HEADERS_CAP];

	headers_write(run, headers);
	reply_without_body(run, 304, headers, now_ns);
}

/* The length is known: what is wanted of it? false: all is said. */
static bool file_opened(void *arg, uint64_t size, uint64_t *out_off, uint64_t *out_len,
			uint64_t now_ns)
{
	struct web_content_run *run = arg;
	enum range_kind range;

	run->size = run->len = size;
	run->off = 0;
	range = gateway_range_parse(range_of(run), size, &run->off, &run->len);
	run->is_part = range == RANGE_PART;
	if (is_held_by_client(run)) {
		reply_not_modified(run, now_ns);
	} else if (range == RANGE_BEYOND) {
		reply_unsatisfiable(run, now_ns);
	} else if (run->is_head) {
		struct gateway_exchange *exchange = run->exchange;

		reply_begin(run, now_ns);
		run->exchange = NULL;
		gateway_reply_end(exchange, now_ns);
	} else {
		*out_off = run->off;
		*out_len = run->len;
		return true;
	}
	run->reader = NULL;
	api_http_content_run_end(run);
	return false;
}

/*
 * The gateway's memory is full of others' bytes: no bytes of this run are on their way whose
 * departure could wake it.
 */
static void file_cut(struct web_content_run *run, uint64_t now_ns)
{
	struct gateway_exchange *exchange = run->exchange;

	run->exchange = NULL;
	gateway_abort(exchange, now_ns);
	blobs_reader_cancel(run->reader);
	run->reader = NULL;
	api_http_content_run_end(run);
}

static bool file_piece(void *arg, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct web_content_run *run = arg;

	if (!run->is_begun)
		reply_begin(run, now_ns);
	if (gateway_backlog_len(run->exchange) > BACKLOG_MAX)
		return false;
	if (gateway_reply_more(run->exchange, data, len, now_ns) == 0)
		return true;
	if (gateway_backlog_len(run->exchange) == 0)
		file_cut(run, now_ns);
	return false;
}

static const struct gateway_error *error_of(int err, const char *detail,
					    struct gateway_error *error)
{
	*error = (struct gateway_error){.message = detail, .retry_after_s = 5};
	switch (err) {
	case WEFT_EABSENT:
		error->status = 404;
		error->name = "not_found";
		error->retry_after_s = 0;
		break;
	case WEFT_ETIMEOUT:
		error->status = 504;
		error->name = "no_source_answers";
		break;
	default:
		error->status = 503;
		error->name = "no_source";
	}
	return error;
}

static void file_done(void *arg, int err, const char *detail, uint64_t now_ns)
{
	struct web_content_run *run = arg;
	struct gateway_exchange *exchange = run->exchange;
	struct gateway_error error;

	run->reader = NULL;
	if (!run->is_begun && !err)
		reply_begin(run, now_ns);
	run->exchange = NULL;
	if (!run->is_begun)
		gateway_reply_error(exchange, error_of(err, detail, &error), now_ns);
	else if (err)
		gateway_abort(exchange, now_ns);
	else
		gateway_reply_end(exchange, now_ns);
	api_http_content_run_end(run);
}

static void client_drained(void *arg, uint64_t now_ns)
{
	struct web_content_run *run = arg;

	if (run->reader)
		blobs_reader_resume(run->reader, now_ns);
}

static void client_gone(void *arg)
{
	struct web_content_run *run = arg;

	run->exchange = NULL;
	if (run->reader)
		blobs_reader_cancel(run->reader);
	run->reader = NULL;
	api_http_content_run_end(run);
}

const struct gateway_events api_http_content_events = {.drained = client_drained,
						       .gone = client_gone};

void api_http_content_file_start(struct web_content_run *run, const struct reader_origin *origin,
				 uint64_t size, uint64_t now_ns)
{
	struct reader_ask ask = {
		.size = size,
		.origin = origin,
		.opened = file_opened,
		.piece = file_piece,
		.done = file_done,
		.arg = run,
	};
	struct blobs *content = api_http_content_api(run->content)->home->content;

	memcpy(ask.content_id, run->content_id, sizeof(ask.content_id));
	etag_write(run);
	if (!api_http_content_may_read(run) ||
	    blobs_reader_start(content, &ask, now_ns, &run->reader) < 0) {
		run->reader = NULL;
		api_http_content_refuse(run, &many_readers, now_ns);
	}
}
