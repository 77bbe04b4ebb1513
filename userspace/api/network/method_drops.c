/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ListDrops, ListDropSources.
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "base/monotonic.h"
#include "api/methods.h"
#include "weft/reason.h"

#define SOURCES_DEFAULT 20
#define SOURCES_MAX	200

struct api_drop api_method_drop(const struct drops *drops, enum weft_reason reason)
{
	const struct weft_counter *total = &drops->totals[reason];

	return (struct api_drop){
		.reason = weft_reason_word(reason),
		.text = weft_reason_text(reason),
		.packets = api_uint(total->packet_cnt),
		.bytes = api_uint(total->byte_cnt),
		.per_s = api_uint(firewall_drops_rate(drops, reason)),
	};
}

void api_drops(struct varlink_blocks *blocks, const struct drops *drops,
	       struct api_drop_list *out_drops)
{
	for (enum weft_reason reason = 0; reason < WEFT_REASON_CNT; reason++)
		if (weft_verdict(reason) == WEFT_DROP && drops->totals[reason].packet_cnt)
			varlink_push(blocks, out_drops, api_method_drop(drops, reason));
}

void api_list_drops(struct api *api, struct control_call *call, const struct api_list_drops_in *in,
		    uint64_t now_ns)
{
	struct api_list_drops_out out = {.drops = {0}};

	(void)in, (void)now_ns;
	firewall_drops_fetch(api->drops);
	out.since_s = api_uint(api->drops->since_s);
	api_drops(control_blocks(call), api->drops, &out.drops);
	control_reply(call, api_list_drops_out_write(&out));
}

/* The facts about a source that a caller of role may see. */
const char *api_source_name(const struct drops *drops, const struct weft_endpoint *source,
			    enum control_role role, char text[static METHOD_SOURCE_CAP])
{
	char ip[INET6_ADDRSTRLEN] = "?";
	bool is_ipv4 = weft_endpoint_is_ipv4(source);

	if (role < CONTROL_ADMIN)
		return firewall_drops_pseudonym(drops, source, text);
	inet_ntop(is_ipv4 ? AF_INET : AF_INET6, source->addr + (is_ipv4 ? 12 : 0), ip, sizeof(ip));
	snprintf(text, METHOD_SOURCE_CAP, "%s%s", ip, is_ipv4 ? "" : "/64");
	return text;
}

struct api_drop_source api_method_drop_source(struct varlink_blocks *blocks,
					      const struct drops *drops,
					      const struct offender *offender,
					      enum control_role role)
{
	uint64_t now_ns = clock_monotonic_ns(), now_s = clock_wall_s();
	char name[METHOD_SOURCE_CAP];

	return (struct api_drop_source){
		.source =
			varlink_text(blocks, api_source_name(drops, &offender->source, role, name)),
		.reason = weft_reason_word(offender->reason),
		.packets = api_uint(offender->cnt),
		.error = api_uint(offender->error_cnt),
		.first_s = api_uint(now_s - (now_ns - offender->first_ns) / NS_PER_S),
		.last_s = api_uint(now_s - (now_ns - offender->last_ns) / NS_PER_S),
	};
}

void api_list_drop_sources(struct api *api, struct control_call *call,
			   const struct api_list_drop_sources_in *in, uint64_t now_ns)
{
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_list_drop_sources_out out = {.sources = {0}};
	int64_t wanted = in->count > 0 ? in->count : SOURCES_DEFAULT;
	struct drops *drops = api->drops;
	struct offender top[SOURCES_MAX];
	unsigned cnt;

	firewall_drops_fetch(drops);
	cnt = firewall_offenders_top(&drops->offenders, now_ns, top,
				     wanted < SOURCES_MAX ? (unsigned)wanted : SOURCES_MAX);
	for (unsigned i = 0; i < cnt; i++)
		varlink_push(blocks, &out.sources,
			     api_method_drop_source(blocks, drops, &top[i], control_role_of(call)));
	control_reply(call, api_list_drop_sources_out_write(&out));
}
