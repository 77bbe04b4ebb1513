/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListDrops, ListDropSources.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "base/clock.h"
#include "node/methods/methods.h"
#include "weft/reason.h"

#define SOURCES_DEFAULT 20
#define SOURCES_MAX	200

json_t *method_json_drop(const struct drops *drops, enum weft_reason reason)
{
	const struct weft_counter *total = &drops->totals[reason];

	return json_pack("{s:s, s:s, s:o, s:o, s:o}", "reason", weft_reason_word(reason), "text",
			 weft_reason_text(reason), "packets", method_json_uint(total->packet_cnt),
			 "bytes", method_json_uint(total->byte_cnt), "per_s",
			 method_json_uint(drops_rate(drops, reason)));
}

json_t *method_json_drops(const struct drops *drops)
{
	json_t *list = json_array();

	for (enum weft_reason reason = 0; reason < WEFT_REASON_CNT; reason++)
		if (weft_verdict(reason) == WEFT_DROP && drops->totals[reason].packet_cnt)
			json_array_append_new(list, method_json_drop(drops, reason));
	return list;
}

void method_list_drops(void *ctx, struct control_call *call, const json_t *parameters,
		       uint64_t now_ns)
{
	struct node *node = ctx;

	(void)parameters, (void)now_ns;
	drops_fetch(&node->drops);
	control_reply(call,
		      json_pack("{s:o, s:o}", "since_s", method_json_uint(node->drops.since_s),
				"drops", method_json_drops(&node->drops)));
}

/* What a caller of role may know of who source is. */
const char *method_source_name(const struct drops *drops, const struct weft_endpoint *source,
			       enum control_role role, char text[static METHOD_SOURCE_CAP])
{
	char ip[INET6_ADDRSTRLEN] = "?";
	bool is_ipv4 = weft_endpoint_is_ipv4(source);

	if (role < CONTROL_ADMIN)
		return drops_pseudonym(drops, source, text);
	inet_ntop(is_ipv4 ? AF_INET : AF_INET6, source->addr + (is_ipv4 ? 12 : 0), ip, sizeof(ip));
	snprintf(text, METHOD_SOURCE_CAP, "%s%s", ip, is_ipv4 ? "" : "/64");
	return text;
}

json_t *method_json_drop_source(const struct drops *drops, const struct offender *offender,
				enum control_role role)
{
	uint64_t now_ns = clock_monotonic_ns(), now_s = clock_wall_s();
	char name[METHOD_SOURCE_CAP];

	return json_pack(
		"{s:s, s:s, s:o, s:o, s:o, s:o}", "source",
		method_source_name(drops, &offender->source, role, name), "reason",
		weft_reason_word(offender->reason), "packets", method_json_uint(offender->cnt),
		"error", method_json_uint(offender->error_cnt), "first_s",
		method_json_uint(now_s - (now_ns - offender->first_ns) / NS_PER_S), "last_s",
		method_json_uint(now_s - (now_ns - offender->last_ns) / NS_PER_S));
}

void method_list_drop_sources(void *ctx, struct control_call *call, const json_t *parameters,
			      uint64_t now_ns)
{
	struct node *node = ctx;
	struct drops *drops = &node->drops;
	json_int_t wanted = json_integer_value(json_object_get(parameters, "count"));
	struct offender top[SOURCES_MAX];
	json_t *list = json_array();
	unsigned cnt;

	if (wanted <= 0)
		wanted = SOURCES_DEFAULT;
	drops_fetch(drops);
	cnt = offenders_top(&drops->offenders, now_ns, top,
			    wanted < SOURCES_MAX ? (unsigned)wanted : SOURCES_MAX);
	for (unsigned i = 0; i < cnt; i++)
		json_array_append_new(
			list, method_json_drop_source(drops, &top[i], control_role_of(call)));
	control_reply(call, json_pack("{s:o}", "sources", list));
}
