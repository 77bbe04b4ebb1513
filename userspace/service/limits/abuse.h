/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_LIMITS_ABUSE_H
#define WEFT_SERVICE_LIMITS_ABUSE_H

#include <stddef.h>
#include <stdint.h>

#include "mesh/seam.h"
#include "weft/err.h"

struct arena;

/*
 * Callers that look through the directory instead of looking something up. Each is watched for a
 * minute from its first query on; each pattern is reported once a minute. Nothing is refused here:
 * the limits refuse, and so may the receiver of the report.
 */
#define SERVICE_ABUSE_NAMES_MAX	   10u /* distinct names in a minute; more are an enumeration */
#define SERVICE_ABUSE_QUERIES_MAX  50u /* more are rapid fire */
#define SERVICE_ABUSE_SCAN_QUERIES 30u /* more than these, of more than these names, are a scan */
#define SERVICE_ABUSE_SCAN_NAMES   5u
#define SERVICE_ABUSE_CALLERS	   256u /* watched at once; the oldest makes room */
#define SERVICE_ABUSE_NS	   60000000000ull

enum service_abuse_kind {
#define ABUSE(name, word) SERVICE_ABUSE_##name,
#include "abuse_patterns.def"
	SERVICE_ABUSE_CNT,
};
const char *service_abuse_name(enum service_abuse_kind kind); /* "enumeration", ... */

struct service_abuse_event {
	enum service_abuse_kind kind;
	const uint8_t *caller;	      /* MESH_KEY_LEN */
	unsigned query_cnt, name_cnt; /* of this minute so far; names up to NAMES_MAX + 1 */
};

struct service_abuse_caller {
	uint8_t key[MESH_KEY_LEN];
	uint64_t start_ns; /* of its minute */
	uint32_t query_cnt;
	uint32_t name_cnt;
	uint32_t told;				     /* bit per kind */
	uint64_t names[SERVICE_ABUSE_NAMES_MAX + 1]; /* their hashes */
};

struct service_abuse {
	struct service_abuse_caller *callers; /* SERVICE_ABUSE_CALLERS of them */
	uint32_t caller_cnt;
	uint64_t secret[2];
	uint64_t event_cnt;
	void (*on_event)(void *ctx, const struct service_abuse_event *event, uint64_t now_ns);
	void *ctx;
};

/* service_abuse_init: 0 or WEFT_EFULL. on_event may be NULL. */
WEFT_MUST_CHECK
int service_abuse_init(struct service_abuse *abuse, struct arena *arena, const uint64_t secret[2],
		       void (*on_event)(void *ctx, const struct service_abuse_event *event,
					uint64_t now_ns),
		       void *ctx);
/* service_abuse_note: caller asked for the name of len bytes; events come inside. */
void service_abuse_note(struct service_abuse *abuse, const uint8_t *caller, const void *name,
			size_t len, uint64_t now_ns);

#endif
