/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LookUpSchema: a name's TXT record, and the text that it points to, by HTTP or from the mesh. Names
 * and HTTP are waited for in a job, which ends when its caller leaves. Home worker.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "api/services/method_offer.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/thread/jobs.h"
#include "blobs/read/read.h"
#include "codec/text/hex.h"
#include "crypto/blake3/blake3.h"
#include "http/http_get.h"
#include "net/resolver.h"
#include "offers/shared/schema_pointer.h"

#define LOOKS_MAX  1u /* it holds a thread of the disk while it waits */
#define TIME_NS	   (10 * NS_PER_S)
#define POINTS_MAX 2u /* records that are looked at; a second one is a fault */

struct schema_look {
	struct job job; /* first */
	struct schema_look *next;
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	int stop_fd;		   /* readable: no caller waits any more */
	bool is_job_out;
	char name[RESOLVER_HOST_CAP];

	/* What the job finds. */
	struct schema_pointer pointer;
	unsigned point_cnt, bad_cnt;
	unsigned status;  /* of HTTP */
	bool is_fetching; /* the name had a record */
	int err;
	char text[SCHEMA_TEXT_LEN_MAX];
	size_t len;
	struct reader *reader; /* NULL: none runs */
	bool is_too_long;
};

/* --- in the job --- */

static void on_record(void *arg, const char *text, size_t len)
{
	struct schema_look *look = arg;
	struct schema_pointer pointer;
	int err = offers_schema_pointer_parse(text, len, &pointer);

	look->bad_cnt += err == WEFT_EMALFORMED;
	if (err == 0 && look->point_cnt++ == 0)
		look->pointer = pointer;
}

static void look_fetch(struct schema_look *look)
{
	struct http_get get = {
		.url = look->pointer.url,
		.method = "GET",
		.is_foreign = true,
		.timeout_ns = TIME_NS,
		.stop_fd = look->stop_fd,
		.answer = (uint8_t *)look->text,
		.answer_cap = sizeof(look->text),
	};

	look->is_fetching = true;
	look->err = http_get_run(&get);
	look->status = get.status;
	look->len = get.answer_len;
}

static void look_run(struct job *job)
{
	struct schema_look *look = (struct schema_look *)job;

	look->err = net_resolver_texts(look->name, clock_monotonic_ns() + TIME_NS, look->stop_fd,
				       on_record, look);
	if (look->err == 0 && look->point_cnt == 1 && look->bad_cnt == 0 && *look->pointer.url)
		look_fetch(look);
}

/* --- at home --- */

static void look_free(struct schema_look *look)
{
	struct schema_look **at = &look->api->schema_looks;

	while (*at != look)
		at = &(*at)->next;
	*at = look->next;
	if (look->reader)
		blobs_reader_cancel(look->reader);
	close(look->stop_fd);
	free(look);
}

static void look_fail(struct schema_look *look, int err, const char *why, const char *next)
{
	if (look->call)
		control_fail(look->call, err, look->name, why, next);
	look_free(look);
}

/* The text is here: it is what the record says, and a schema. */
static void look_reply(struct schema_look *look)
{
	struct varlink_blocks *blocks = control_blocks(look->call);
	const struct schema_pointer *pointer = &look->pointer;
	char hash_text[HEX_TEXT_CAP(BLAKE3_HASH_LEN)];
	uint8_t hash[BLAKE3_HASH_LEN];
	struct schema_entry entry = {.origin = SCHEMA_ADDED};
	struct schema_fault fault = {0};
	struct schema *schema;

	blake3_hash(look->text, look->len, hash);
	if (memcmp(hash, pointer->hash, sizeof(hash)) != 0) {
		look_fail(look, WEFT_EDAMAGED, "what its record points to has another BLAKE3",
			  "ask its publisher: text and record do not belong together");
		return;
	}
	if (offers_schema_parse(look->text, look->len, &schema, &fault) < 0) {
		look_fail(look, WEFT_EMALFORMED,
			  varlink_format(blocks, "line %u: %s", fault.line, fault.what),
			  "ask its publisher: what the record points to is no schema");
		return;
	}
	entry.schema = schema;
	if (schema->id == pointer->id)
		api_reply(look->call, look_up_schema,
			  .schema = api_schema_row(blocks, &entry, false),
			  .hash = varlink_text(blocks, hex_write(hash, sizeof(hash), hash_text)),
			  .url = *pointer->url ? varlink_text(blocks, pointer->url) : NULL,
			  .text = varlink_format(blocks, "%.*s", (int)look->len, look->text));
	else
		control_fail(look->call, WEFT_EDAMAGED, look->name,
			     "its record has the id of another service",
			     "ask its publisher: text and record do not belong together");
	offers_schema_free(schema);
	look_free(look);
}

/* --- from the mesh --- */

static bool on_opened(void *arg, uint64_t size, uint64_t *out_off, uint64_t *out_len,
		      uint64_t now_ns)
{
	struct schema_look *look = arg;

	(void)now_ns;
	look->is_too_long = size > SCHEMA_TEXT_LEN_MAX;
	*out_off = 0;
	/* A byte at least, so that the reader ends by done. */
	*out_len = look->is_too_long ? 1 : size;
	return true;
}

static bool on_piece(void *arg, const uint8_t *data, size_t len, uint64_t now_ns)
{
	struct schema_look *look = arg;

	(void)now_ns;
	if (len > SCHEMA_TEXT_LEN_MAX - look->len)
		len = SCHEMA_TEXT_LEN_MAX - look->len;
	memcpy(look->text + look->len, data, len);
	look->len += len;
	return true;
}

static void on_read(void *arg, int err, const char *detail, uint64_t now_ns)
{
	struct schema_look *look = arg;

	(void)detail, (void)now_ns;
	look->reader = NULL;
	if (!look->call)
		look_free(look);
	else if (look->is_too_long)
		look_fail(look, WEFT_ETOOLARGE, "what its record points to is no schema",
			  "a schema has at most 65536 bytes");
	else if (err < 0)
		look_fail(look, err, "no node that has the text was found",
			  "its record names no place (u=): ask its publisher for one");
	else
		look_reply(look);
}

static void look_read(struct schema_look *look)
{
	const struct reader_origin anybody = {.has_manifest = false};
	struct reader_ask ask = {
		.size = READER_SIZE_UNTOLD,
		.origin = &anybody,
		.opened = on_opened,
		.piece = on_piece,
		.done = on_read,
		.arg = look,
	};
	int err;

	memcpy(ask.content_id, look->pointer.hash, sizeof(ask.content_id));
	err = blobs_reader_start(look->api->home->content, &ask, look->api->home->now_ns,
				 &look->reader);
	if (err < 0)
		look_fail(look, err, weft_err_text(err), "try again in some seconds");
}

/* --- life --- */

static void look_done(struct job *job)
{
	struct schema_look *look = (struct schema_look *)job;

	look->is_job_out = false;
	if (!look->call)
		look_free(look);
	else if (look->err < 0 && look->is_fetching)
		look_fail(look, look->err,
			  varlink_format(control_blocks(look->call),
					 "%s does not give its text: %s", look->pointer.url,
					 weft_err_text(look->err)),
			  "try again, or ask its publisher");
	else if (look->err < 0)
		look_fail(look, look->err, weft_err_text(look->err),
			  "see whether the name is right");
	else if (look->point_cnt + look->bad_cnt == 0)
		look_fail(look, WEFT_EABSENT,
			  "it has no TXT record that begins with v=mesh-schema1",
			  "weft-schema(5) says how one is written");
	else if (look->point_cnt + look->bad_cnt >= POINTS_MAX)
		look_fail(look, WEFT_EEXISTS, "it has several records of schemas",
			  "ask its publisher for a name with one");
	else if (look->bad_cnt)
		look_fail(look, WEFT_EMALFORMED, "its record of a schema is malformed",
			  "weft-schema(5) says how one is written");
	else if (!*look->pointer.url)
		look_read(look);
	else if (look->status != 200)
		look_fail(look, WEFT_EUNREACHABLE,
			  varlink_format(control_blocks(look->call), "%s answers %u",
					 look->pointer.url, look->status),
			  "ask its publisher");
	else
		look_reply(look);
}

static void look_stop(struct schema_look *look)
{
	(void)!eventfd_write(look->stop_fd, 1);
	look->call = NULL;
}

static void caller_left(void *arg)
{
	struct schema_look *look = arg;

	look_stop(look);
	if (!look->is_job_out)
		look_free(look);
}

void api_schema_looks_forget(struct api *api)
{
	while (api->schema_looks) {
		struct schema_look *look = api->schema_looks;

		look_stop(look);
		if (look->is_job_out)
			jobs_reap_wait(api->home->jobs);
		else
			look_free(look);
	}
}

static unsigned looks_cnt(const struct api *api)
{
	unsigned cnt = 0;

	for (const struct schema_look *look = api->schema_looks; look; look = look->next)
		cnt++;
	return cnt;
}

static struct schema_look *look_new(struct api *api, struct control_call *call, const char *name)
{
	struct schema_look *look = calloc(1, sizeof(*look));

	if (look)
		look->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!look || look->stop_fd < 0) {
		control_fail(call, -ENOMEM, name, "no memory", "free some and try again");
		free(look);
		return NULL;
	}
	look->api = api;
	look->call = call;
	memcpy(look->name, name, strlen(name) + 1);
	look->job = (struct job){.run = look_run, .done = look_done};
	look->next = api->schema_looks;
	api->schema_looks = look;
	return look;
}

void api_look_up_schema(struct api *api, struct control_call *call,
			const struct api_look_up_schema_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	struct schema_look *look;

	(void)now_ns;
	if (!offers)
		return;
	if (!net_resolver_is_name(in->name)) {
		control_fail(call, WEFT_EMALFORMED, in->name, "it is no name of DNS",
			     "for example: boats.example.org");
		return;
	}
	if (looks_cnt(api) == LOOKS_MAX) {
		control_fail(call, WEFT_EFULL, in->name, "another name is being looked up",
			     "try again in some seconds");
		return;
	}
	look = look_new(api, call, in->name);
	if (!look)
		return;
	if (jobs_submit(api->home->jobs, &look->job) < 0) {
		look_fail(look, WEFT_EFULL, "the daemon is busy", "try again in some seconds");
		return;
	}
	look->is_job_out = true;
	control_on_gone(call, caller_left, look);
}
