/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ShowWhy: what the last day knows of one peer or address.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/zbase32.h"
#include "mesh/session/hello.h"
#include "api/daemon/method_accounts.h"
#include "api/methods.h"
#include "service/limits/reputation.h"

#define INCIDENTS_TOLD_MAX 200
#define PLACE_MAX	   64 /* addresses of one peer */

static const enum api_incident_kind kinds[] = {
	[INCIDENT_SESSION_OPENED] = API_INCIDENT_KIND_SESSION_OPENED,
	[INCIDENT_SESSION_CLOSED] = API_INCIDENT_KIND_SESSION_CLOSED,
	[INCIDENT_BANNED] = API_INCIDENT_KIND_BANNED,
	[INCIDENT_BAN_REMOVED] = API_INCIDENT_KIND_BAN_REMOVED,
	[INCIDENT_BAN_ENDED] = API_INCIDENT_KIND_BAN_ENDED,
	[INCIDENT_WRONG_KEY] = API_INCIDENT_KIND_WRONG_KEY,
	[INCIDENT_DIAL_FAILED] = API_INCIDENT_KIND_DIAL_FAILED,
	[INCIDENT_REFUSED] = API_INCIDENT_KIND_REFUSED,
	[INCIDENT_VIOLATION] = API_INCIDENT_KIND_VIOLATION,
};

#define END_TEXT_CAP 192

/* Sessions that ended without a word from either side. */
static const char *silent_end_text(const struct transport_close *end)
{
	switch (end->err) {
	case WEFT_ETIMEOUT:
		return "nothing was heard for too long";
	case WEFT_EUNREACHABLE:
		return "no answer";
	case WEFT_ECANCELLED:
		return "no answer until it was given up";
	case WEFT_EWRONGKEY:
		return "another key answered";
	case WEFT_EFULL:
		return "no memory left for the connection";
	default:
		return weft_err_text(end->err);
	}
}

/* Dials that TCP did not connect have a code where the HTTP proxy is the cause. */
static const char *proxy_text(const struct transport_close *end, char text[static END_TEXT_CAP])
{
	struct api_proxy_problem problem;

	api_proxy_problem((unsigned)end->code, &problem);
	snprintf(text, END_TEXT_CAP, "%s: %s", problem.why, problem.next);
	return text;
}

static const char *end_text(const struct transport_close *end, char text[static END_TEXT_CAP])
{
	unsigned long long code = end->code;

	if (end->is_reset)
		return "the peer no longer knew the connection (stateless reset)";
	if (end->err == WEFT_EUNREACHABLE && end->code && !end->is_protocol_code)
		return proxy_text(end, text);
	if (end->err == WEFT_EWRONGKEY || end->err == WEFT_ETIMEOUT ||
	    end->err == WEFT_EUNREACHABLE)
		return silent_end_text(end);
	if (end->is_protocol_code && code >> 8 == 1)
		snprintf(text, END_TEXT_CAP, "TLS alert %llu", code & 0xff);
	else if (end->is_protocol_code && code)
		snprintf(text, END_TEXT_CAP, "QUIC error 0x%llx", code);
	else if (end->is_protocol_code)
		return "the connection was closed without an error";
	else if (end->err != WEFT_ECLOSED && end->err != WEFT_EREFUSED && !code)
		return silent_end_text(end);
	else if (mesh_bye_text(code))
		return mesh_bye_text(code);
	else
		snprintf(text, END_TEXT_CAP, "code %llu", code);
	return text;
}

static bool has_end(enum incident_kind kind)
{
	return kind == INCIDENT_SESSION_CLOSED || kind == INCIDENT_WRONG_KEY ||
	       kind == INCIDENT_DIAL_FAILED || kind == INCIDENT_REFUSED;
}

static void end_set(struct varlink_blocks *blocks, const struct transport_close *end,
		    struct api_incident *row)
{
	char text[END_TEXT_CAP];

	row->why = varlink_text(blocks, end_text(end, text));
	API_SET(row, by_peer, end->by_peer);
	API_SET(row, err, end->err);
	API_SET(row, code, api_uint(end->code));
	API_SET(row, protocol_code, end->is_protocol_code);
}

static struct api_incident incident_row(struct varlink_blocks *blocks,
					const struct incident *incident)
{
	char text[BAN_TARGET_TEXT_CAP];
	struct api_incident row = {
		.at_s = api_uint(incident->at_s),
		.kind = kinds[incident->kind],
		.who = varlink_text(blocks, firewall_ban_target_format(&incident->who, text)),
	};

	if (incident->addr.family != ADDR_NONE && !addr_is_relayed(&incident->addr))
		row.address = api_addr(blocks, &incident->addr);
	if (has_end(incident->kind))
		end_set(blocks, &incident->end, &row);
	if (incident->rule)
		row.why = incident->rule;
	if (incident->kind == INCIDENT_WRONG_KEY && incident->end.has_key)
		row.actual_key = api_id(blocks, incident->end.actual_key);
	if (incident->again_cnt) {
		API_SET(&row, times, api_uint(incident->again_cnt + 1));
		API_SET(&row, last_s, api_uint(incident->last_s));
	}
	return row;
}

/* Where drops are looked for: of a peer, all addresses that it was seen at. */
struct places {
	struct ban_target targets[PLACE_MAX];
	unsigned cnt;
};

static void places_add(struct places *places, const struct addr *addr)
{
	if (addr->family == ADDR_NONE || addr_is_relayed(addr) || places->cnt == PLACE_MAX)
		return;
	for (unsigned i = 0; i < places->cnt; i++)
		if (firewall_ban_target_has(&places->targets[i], addr))
			return;
	places->targets[places->cnt++] = firewall_ban_target_of(addr);
}

/* The newest first, for those there is room for. */
static void places_of_peer(struct api *api, const uint8_t *key, const struct incident *found,
			   unsigned cnt, struct places *places)
{
	char id[ZBASE32_KEY_TEXT_CAP];
	struct mesh_peer_info peer;

	zbase32_write(key, BAN_KEY_LEN, id);
	if (api_peer_lookup(api, id, &peer) == 1)
		places_add(places, &peer.last_addr);
	while (cnt-- > 0)
		if (found[cnt].kind != INCIDENT_WRONG_KEY)
			places_add(places, &found[cnt].addr);
}

/* A table of sources keeps IPv6 as a /64. */
static bool offender_is_in(const struct offender *offender, const struct ban_target *where)
{
	struct ban_target cut = *where;
	struct addr addr = {.family = ADDR_IPV6};

	if (weft_endpoint_is_ipv4(&offender->source)) {
		addr.family = ADDR_IPV4;
		memcpy(addr.ip, offender->source.addr + 12, 4);
	} else {
		memcpy(addr.ip, offender->source.addr, 16);
	}
	if (where->kind == BAN_IPV6 && where->prefix_len > 64) {
		cut.prefix_len = 64;
		cut.addr = addr_prefix_key(&where->addr, 64);
	}
	return firewall_ban_target_has(&cut, &addr);
}

static bool offender_is_at(const struct offender *offender, const struct places *places)
{
	for (unsigned i = 0; i < places->cnt; i++)
		if (offender_is_in(offender, &places->targets[i]))
			return true;
	return false;
}

static void drops_add(struct varlink_blocks *blocks, struct api *api, const struct places *places,
		      struct api_drop_source_list *out_drops)
{
	const unsigned cap = OFFENDERS_HOUR_CNT * OFFENDERS_CAP;
	struct offender *all = malloc(cap * sizeof(*all));
	unsigned cnt =
		all ? firewall_offenders_top(&api->drops->offenders, api->home->now_ns, all, cap)
		    : 0;

	for (unsigned i = 0; i < cnt; i++) {
		struct api_drop_source row;

		if (!offender_is_at(&all[i], places))
			continue;
		row = api_method_drop_source(blocks, api->drops, &all[i], CONTROL_ADMIN);
		varlink_push(blocks, out_drops, row);
	}
	free(all);
}

/* The refusals wanted: of the account itself, and of its places. */
struct refused_asked {
	const struct ban_target *who;
	const struct places *places;
};

static bool refused_is_asked(const void *arg, const struct refused *refused)
{
	const struct refused_asked *asked = arg;

	if (refused->kind == REFUSED_KEY)
		return asked->who->kind == BAN_KEY &&
		       memcmp(refused->key, asked->who->key, BAN_KEY_LEN) == 0;
	for (unsigned i = 0; refused->kind == REFUSED_ADDR && i < asked->places->cnt; i++) {
		const struct ban_target *at = &asked->places->targets[i];
		/* IPv6 is kept as a /64. */
		struct ban_target cut = at->kind == BAN_IPV6 && at->prefix_len > 64
						? firewall_ban_target_cut(at, 64)
						: *at;

		if (firewall_ban_target_has(&cut, &refused->addr))
			return true;
	}
	return false;
}

static const struct ban *ban_of(struct api *api, const struct ban_target *who,
				const struct places *places)
{
	const struct ban *ban = firewall_ban_list_lookup(api->bans->list, who);

	/* For a peer, the ban of the place where it was last. */
	if (!ban && places->cnt)
		ban = firewall_ban_list_match(api->bans->list, &places->targets[0].addr);
	return ban;
}

/* Incidents of the last day. */
struct findings {
	struct incident *rows;
	unsigned cnt;
	uint64_t lost_cnt;
};

static bool why_is_relayed(struct api *api, struct varlink_blocks *blocks, const uint8_t *key,
			   struct api_relayed_reason *out, const char **out_no_relay)
{
	struct mesh_peer_info peer = {0};
	char id[ZBASE32_KEY_TEXT_CAP];
	bool is_met;

	zbase32_write(key, MESH_KEY_LEN, id);
	is_met = api_peer_lookup(api, id, &peer) == 1;
	if (!is_met)
		memcpy(peer.key, key, sizeof(peer.key));
	*out_no_relay = api_no_relay(api, &peer);
	return is_met && api_relayed_reason(blocks, api, &peer, out);
}

static void why_reply(struct api *api, struct control_call *call, const struct ban_target *who,
		      const struct findings *found)
{
	struct places places = {.targets = {*who}, .cnt = who->kind != BAN_KEY};
	const struct refused_asked asked = {who, &places};
	const struct accounts_of of = {
		.role = CONTROL_ADMIN, .has = refused_is_asked, .arg = &asked};
	struct varlink_blocks *blocks = control_blocks(call);
	char text[BAN_TARGET_TEXT_CAP], reputation[SERVICE_REPUTATION_TEXT_CAP] = "";
	struct api_show_why_out out = {.who = firewall_ban_target_format(who, text),
				       .lost = api_uint(found->lost_cnt)};
	const struct ban *ban;
	struct api_relayed_reason relayed;
	struct api_ban ban_row;

	if (who->kind == BAN_KEY && why_is_relayed(api, blocks, who->key, &relayed, &out.no_relay))
		out.relayed = &relayed;
	if (who->kind == BAN_KEY)
		places_of_peer(api, who->key, found->rows, found->cnt, &places);
	for (unsigned i = 0; i < found->cnt; i++)
		varlink_push(blocks, &out.incidents, incident_row(blocks, &found->rows[i]));
	api_refusals(blocks, api, &of, &out.refusals);
	drops_add(blocks, api, &places, &out.drops);
	ban = ban_of(api, who, &places);
	if (ban) {
		ban_row = api_method_ban(blocks, ban);
		out.ban = &ban_row;
	}
	/* In words, as what is said depends on so much. */
	if (who->kind == BAN_KEY && api->service &&
	    service_reputation_explain(api->reputation, who->key, reputation)[0] != '\0')
		out.reputation = reputation;
	control_reply(call, api_show_why_out_write(&out));
}

void api_show_why(struct api *api, struct control_call *call, const struct api_show_why_in *in,
		  uint64_t now_ns)
{
	struct findings found = {0};
	struct ban_target who;

	(void)now_ns;
	if (!api_target_read(api, call, in->who, &who))
		return;
	firewall_drops_fetch(api->drops);
	found.rows = malloc(INCIDENTS_TOLD_MAX * sizeof(*found.rows));
	found.lost_cnt = firewall_incidents_lost_cnt(api->incidents, api->home->now_ns);
	if (found.rows)
		found.cnt = firewall_incidents_find(api->incidents, api->home->now_ns, &who,
						    found.rows, INCIDENTS_TOLD_MAX);
	why_reply(api, call, &who, &found);
	free(found.rows);
}
