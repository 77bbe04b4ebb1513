/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_HTTP_WEB_CONTENT_H
#define WEFT_API_HTTP_WEB_CONTENT_H

#include "base/thread/jobs.h"
#include "blobs/manifest/manifest.h"
#include "blobs/read/read.h"
#include "gateway/gateway.h"
#include "api/content/collection_place.h"

/*
 * GET /blob/ID and /share/ID/PATH: files by their hash, and by their path in a share
 * or collection, whole or in part. They come from this disk or are fetched as they
 * are read (blobs/read/). A client that knows an id may read the content that it
 * names. No id can be guessed; names of shares can, so they are not taken.
 *
 *	web_content.c	 from a request to a place: id, path, directory or file
 *	web_content_file.c  Range, ETag; the reader's pieces to the client
 *	web_listing.c	 a directory as HTML or JSON
 *
 * Private to web*.c. Home worker.
 */
struct api;
struct web_content;

#define WEB_CONTENT_ROUTE_CNT 2
#define WEB_CONTENT_RUNS_MAX  64u /* requests at once; READERS_MAX of them read */

WEFT_MUST_CHECK
int api_http_content_new(struct api *api, struct web_content **out_content);
/* api_http_content_free, when the gateway is gone; waits for jobs. Takes NULL. */
void api_http_content_free(struct web_content *content);
void api_http_content_routes(struct web_content *content, struct gateway_route *routes);
size_t api_http_content_footprint(void);

/* The fields of a client's request that decide the answer. Longer fields count as not there. */
#define WEB_CONTENT_FIELD_CAP 512
#define WEB_CONTENT_ETAG_CAP  (2 + 64 + 1)

struct web_content_run {
	struct job job; /* first */
	struct web_content_run *next;
	struct web_content *content;
	struct gateway_exchange *exchange; /* NULL: the client left */
	uint64_t client;		   /* gateway_client */
	bool is_job_out;
	bool wants_json;
	bool is_head;
	char range[WEB_CONTENT_FIELD_CAP];
	char if_range[WEB_CONTENT_FIELD_CAP];
	char if_none_match[WEB_CONTENT_FIELD_CAP];
	struct api_place place; /* of a share or collection */
	char path[MANIFEST_PATH_LEN_MAX + 2];
	size_t path_len;
	bool has_slash; /* behind the path */
	/* the job's */
	int err;
	struct tree_place found;
	struct web_listing *listing; /* of a directory */
	/* a file's */
	uint8_t content_id[32];
	const char *mime;
	struct reader *reader;
	uint64_t size, off, len;
	char etag[WEB_CONTENT_ETAG_CAP];
	bool is_part, is_begun;
};

/* web_content.c */
struct api *api_http_content_api(const struct web_content *content);
/* api_http_content_run_end frees run; its reader is gone, and so is the exchange. */
void api_http_content_run_end(struct web_content_run *run);
/* api_http_content_may_read: run may have a reader beside those of others. */
bool api_http_content_may_read(const struct web_content_run *run);
void api_http_content_refuse(struct web_content_run *run, const struct gateway_error *error,
			     uint64_t now_ns);

/* web_content_file.c: content_id, mime and, of a place that is known, found and place are set. */
void api_http_content_file_start(struct web_content_run *run, const struct reader_origin *origin,
				 uint64_t size, uint64_t now_ns);
extern const struct gateway_events api_http_content_events;

/*
 * web_listing.c: made in a job. api_http_listing_make writes the directory at path into a
 * listing that is zero but for is_json: 0 or what blobs_tree_list says. One with more than WEB_LISTING_MAX entries ends with a note.
 */
#define WEB_LISTING_MAX 10000u
struct web_listing {
	char *text;
	size_t len, cap;
	unsigned cnt;
	bool is_json;
	bool is_cut;   /* there are more entries */
	bool has_room; /* false: no memory */
};
WEFT_MUST_CHECK
int api_http_listing_make(struct store *store, const uint8_t manifest_id[static 32],
			  const char *path, size_t len, struct web_listing *listing);
void api_http_listing_fini(struct web_listing *listing);
/* api_http_listing_type: its Content-Type. */
const char *api_http_listing_type(const struct web_listing *listing);

#endif
