/* SPDX-License-Identifier: Apache-2.0 */
#include "abuse.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/siphash_bytes.h"

const char *service_abuse_name(enum service_abuse_kind kind)
{
	static const char *const names[SERVICE_ABUSE_CNT] = {
#define ABUSE(name, word) [SERVICE_ABUSE_##name] = word,
#include "abuse_patterns.def"
	};

	return names[kind];
}

int service_abuse_init(struct service_abuse *abuse, struct arena *arena, const uint64_t secret[2],
		       void (*on_event)(void *ctx, const struct service_abuse_event *event,
					uint64_t now_ns),
		       void *ctx)
{
	*abuse = (struct service_abuse){
		.callers = arena_alloc(arena, SERVICE_ABUSE_CALLERS * sizeof(*abuse->callers)),
		.secret = {secret[0], secret[1]},
		.on_event = on_event,
		.ctx = ctx,
	};
	return abuse->callers ? 0 : WEFT_EFULL;
}

/*
 * The entry of caller; else a free one, or the one whose minute began longest ago, made caller's.
 */
static struct service_abuse_caller *caller_acquire(struct service_abuse *abuse, const uint8_t *key,
						   uint64_t now_ns)
{
	struct service_abuse_caller *caller = NULL;

	for (uint32_t i = 0; i < abuse->caller_cnt; i++) {
		struct service_abuse_caller *each = &abuse->callers[i];

		if (memcmp(each->key, key, sizeof(each->key)) == 0)
			return each;
		if (!caller || each->start_ns < caller->start_ns)
			caller = each;
	}
	if (abuse->caller_cnt < SERVICE_ABUSE_CALLERS)
		caller = &abuse->callers[abuse->caller_cnt++];
	*caller = (struct service_abuse_caller){.start_ns = now_ns};
	memcpy(caller->key, key, sizeof(caller->key));
	return caller;
}

static void caller_add_name(struct service_abuse_caller *caller, uint64_t name)
{
	for (uint32_t i = 0; i < caller->name_cnt; i++)
		if (caller->names[i] == name)
			return;
	if (caller->name_cnt < sizeof(caller->names) / sizeof(caller->names[0]))
		caller->names[caller->name_cnt++] = name;
}

static void caller_tell(struct service_abuse *abuse, struct service_abuse_caller *caller,
			enum service_abuse_kind kind, uint64_t now_ns)
{
	struct service_abuse_event event = {
		.kind = kind,
		.caller = caller->key,
		.query_cnt = caller->query_cnt,
		.name_cnt = caller->name_cnt,
	};

	if (caller->told & 1u << kind)
		return;
	caller->told |= 1u << kind;
	abuse->event_cnt++;
	if (abuse->on_event)
		abuse->on_event(abuse->ctx, &event, now_ns);
}

void service_abuse_note(struct service_abuse *abuse, const uint8_t *key, const void *name,
			size_t len, uint64_t now_ns)
{
	struct service_abuse_caller *caller = caller_acquire(abuse, key, now_ns);

	if (now_ns - caller->start_ns >= SERVICE_ABUSE_NS) {
		caller->start_ns = now_ns;
		caller->query_cnt = caller->name_cnt = caller->told = 0;
	}
	caller->query_cnt++;
	caller_add_name(caller, siphash(abuse->secret, name, len));
	if (caller->name_cnt > SERVICE_ABUSE_NAMES_MAX)
		caller_tell(abuse, caller, SERVICE_ABUSE_ENUMERATION, now_ns);
	if (caller->query_cnt > SERVICE_ABUSE_QUERIES_MAX)
		caller_tell(abuse, caller, SERVICE_ABUSE_RAPID_FIRE, now_ns);
	if (caller->query_cnt > SERVICE_ABUSE_SCAN_QUERIES &&
	    caller->name_cnt > SERVICE_ABUSE_SCAN_NAMES)
		caller_tell(abuse, caller, SERVICE_ABUSE_SCANNING, now_ns);
}
