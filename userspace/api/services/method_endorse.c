/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MakeEndorsement, AddEndorsement, RevokeEndorsement, ListEndorsements, TrustEndorser,
 * DistrustEndorser, ListEndorsers, ListServiceRelays; and why an offer is left out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/durable_reply.h"
#include "codec/text/base64.h"
#include "codec/text/hex.h"
#include "method_offer.h"

#define LIST_MAX 200u
#define DAY_S	 86400u
#define TEXT_CAP (BASE64_LEN(ENDORSEMENT_LEN_MAX) + 1)
#define DAYS_MAX 1827

/* --- names --- */

/* A schema's name, or a number; false: call was failed. */
static bool service_read(struct service_offers *offers, struct control_call *call, const char *text,
			 uint32_t *out_service)
{
	const struct schema *schema = offers_schema_registry_named(offers_registry(offers), text);
	unsigned long long number;
	char *end;

	if (schema && schema->id == OFFERS_CUSTOM_SERVICE) {
		control_fail(
			call, WEFT_EMALFORMED, text,
			"its id is shared by all schemas of that kind, so no endorsement is of it "
			"alone",
			"give the schema an id of its own, or none: weft-schema(5)");
		return false;
	}
	if (schema) {
		*out_service = schema->id;
		return true;
	}
	number = strtoull(text, &end, 0);
	if (*text >= '0' && *text <= '9' && !*end && number < OFFERS_ANY_SERVICE &&
	    number != OFFERS_RESERVED_SERVICE && number != OFFERS_CUSTOM_SERVICE) {
		*out_service = (uint32_t)number;
		return true;
	}
	control_fail(call, WEFT_EABSENT, text,
		     "no schema has that name, and it is no service's number",
		     "weft schema list shows those that are known");
	return false;
}

static const char *service_text(struct service_offers *offers, struct varlink_blocks *blocks,
				uint32_t service)
{
	const struct schema *schema =
		offers_schema_registry_lookup(offers_registry(offers), service, NULL, 0);

	return schema ? varlink_text(blocks, schema->name)
		      : varlink_format(blocks, "%" PRIu32, service);
}

/* A provider's address, by its key or in hex; false: call was failed. */
static bool provider_read(struct api *api, struct control_call *call, const char *text,
			  uint8_t address[static SERVICE_MESSAGE_ADDRESS_LEN])
{
	uint8_t key[MESH_KEY_LEN];

	if (hex_read(text, address, SERVICE_MESSAGE_ADDRESS_LEN))
		return true;
	if (!api_node_id_read(api, call, text, key))
		return false;
	offers_address(key, address);
	return true;
}

/* --- why --- */

const char *api_offer_left_out(struct varlink_blocks *blocks, const struct found_offer *offer)
{
	unsigned needs = offer->schema->min_verification, cnt = offer->endorsement_cnt;
	const char *why, *expired = "";

	if (offer->is_own || offer->level >= needs)
		return "";
	if (offer->expired_cnt)
		expired = varlink_format(blocks, "; %u of them expired lately", offer->expired_cnt);
	if (cnt == 0)
		why = "no endorsement of its provider is known here";
	else if (offer->level == 0 && offer->expired_cnt == cnt)
		return varlink_format(blocks,
				      "level %u is needed, and the endorsements of its provider "
				      "have expired",
				      needs);
	else if (offer->level == 0)
		why = varlink_format(blocks,
				     "none of the %u endorsements of its provider is by a node "
				     "that is trusted here or near one",
				     cnt);
	else
		why = varlink_format(blocks, "the endorsements of its provider count as %u here",
				     offer->level);
	return varlink_format(blocks, "level %u is needed, and %s%s", needs, why, expired);
}

static const char *why_counts(struct varlink_blocks *blocks, const struct endorse_view *view)
{
	if (view->endorsement.level == 0)
		return "it withdraws an earlier one";
	if (view->is_expired)
		return "it has expired";
	if (view->endorsement.is_seed_form && view->trust == 1 && view->endorsement.level > 1)
		return "the seed form counts as 1, but of a registry";
	if (view->trust)
		return varlink_format(blocks, "its endorser is trusted to level %u", view->trust);
	if (view->distance <= ENDORSE_DISTANCE_MAX)
		return varlink_format(blocks, "its endorser is %u endorsements from a trusted one",
				      view->distance);
	return "its endorser is not trusted here, nor near one that is";
}

/* --- made, added, withdrawn --- */

static const struct control_failure_row sign_rows[] = {
	{WEFT_EABSENT, "this node vouches for it in no way",
	 "weft endorse list shows what is kept"},
	{WEFT_EMALFORMED, "a node does not vouch for itself, and a reason has at most 200 bytes",
	 "name another provider, or a shorter reason"},
	{0, NULL, "the daemon's log may tell more"},
};

static void verdict_fail(struct control_call *call, enum endorse_verdict verdict, const char *what)
{
	static const struct {
		int err;
		const char *why, *next;
	} rows[ENDORSE_VERDICT_CNT] = {
		[ENDORSE_KNOWN] = {WEFT_EEXISTS, "it is here already, or a newer one is",
				   "weft endorse list shows what is kept"},
		[ENDORSE_MALFORMED] = {WEFT_EMALFORMED, "it is no endorsement",
				       "give what weft endorse make printed"},
		[ENDORSE_UNTIMELY] =
			{WEFT_ESTALE, "it has expired, or its time is ahead of this node's clock",
			 "ask its endorser for another one; if it is of this node, set the "
			 "clock, or wait until it is past the last one"},
		[ENDORSE_NO_KEY] = {WEFT_EABSENT, "its endorser's key is not known here",
				    "weft endorse trust NODE makes it known"},
		[ENDORSE_FORGED] = {WEFT_EDAMAGED, "its signature is not the endorser's",
				    "ask its endorser for another one"},
		[ENDORSE_FULL] = {WEFT_EFULL, "no place is left for it",
				  "raise offers.room in weft.conf(5)"},
		[ENDORSE_LAGS] = {WEFT_EBUSY, "the disk does not keep up",
				  "try again in some seconds"},
	};

	control_fail(call, rows[verdict].err, what, rows[verdict].why, rows[verdict].next);
}

/* Keeps an endorsement, and replies when that is durable. */
static void endorsement_keep(struct api *api, struct control_call *call, const struct writer *said,
			     json_t *reply, uint64_t now_ns)
{
	struct endorse_put put = {.bytes = said->start,
				  .len = writer_len(said),
				  .now_ns = now_ns,
				  .done = api_durable_reply_send};
	enum endorse_verdict verdict;

	put.arg = api_durable_reply_new(call, "endorsement", "try it again", reply);
	if (!put.arg)
		return;
	verdict = offers_add_endorsement(api->offers, &put);
	if (verdict == ENDORSE_KEPT)
		return;
	api_durable_reply_cancel(put.arg);
	verdict_fail(call, verdict, "endorsement");
}

/* false: call was failed. */
static bool draft_read(struct control_call *call, const struct api_make_endorsement_in *in,
		       struct endorsement *draft,
		       uint8_t credential[static ENDORSEMENT_CREDENTIAL_LEN], uint64_t wall_s)
{
	if (in->has_level && (in->level < 1 || in->level > ENDORSEMENT_LEVEL_MAX)) {
		control_fail(call, WEFT_EMALFORMED, "level", "it is not in 1 to 3",
			     "1 knows the provider, 2 is a registry, 3 has checked a credential");
		return false;
	}
	if (in->has_days && (in->days < 1 || in->days > DAYS_MAX)) {
		control_fail(call, WEFT_EMALFORMED, "days", "it is not in 1 to 1827",
			     "an endorsement lasts for five years at most");
		return false;
	}
	if (in->has_days && in->has_seed && in->seed) {
		control_fail(call, WEFT_EMALFORMED, "days",
			     "the seed form has no field for it, and holds for 365 days",
			     "leave out days, or seed");
		return false;
	}
	if (in->credential && !hex_read(in->credential, credential, ENDORSEMENT_CREDENTIAL_LEN)) {
		control_fail(call, WEFT_EMALFORMED, "credential",
			     "it is no hash of 32 bytes in hex",
			     "give 64 letters, as sha256sum prints them");
		return false;
	}
	draft->level = in->has_level ? (uint8_t)in->level : 1;
	draft->is_seed_form = in->has_seed && in->seed;
	draft->credential = in->credential ? credential : NULL;
	draft->reason = in->reason && in->reason[0] ? in->reason : NULL;
	draft->reason_len = draft->reason ? strlen(draft->reason) : 0;
	if (in->has_days)
		draft->expires_s = wall_s + (uint64_t)in->days * DAY_S;
	return true;
}

void api_make_endorsement(struct api *api, struct control_call *call,
			  const struct api_make_endorsement_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN], credential[ENDORSEMENT_CREDENTIAL_LEN];
	uint8_t bytes[ENDORSEMENT_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct endorsement draft = {.provider = address};
	char text[TEXT_CAP];
	int err;

	if (!offers || !service_read(offers, call, in->service, &draft.service) ||
	    !provider_read(api, call, in->provider, address) ||
	    !draft_read(call, in, &draft, credential, api->wall_us(api->ctx) / 1000000))
		return;
	err = offers_sign_endorsement(offers, &draft, &w);
	if (err < 0) {
		control_fail_of(call, err, in->provider, sign_rows);
		return;
	}
	endorsement_keep(api, call, &w,
			 api_make_endorsement_out_write(&(struct api_make_endorsement_out){
				 .text = base64_write(bytes, writer_len(&w), text)}),
			 now_ns);
}

void api_revoke_endorsement(struct api *api, struct control_call *call,
			    const struct api_revoke_endorsement_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN], bytes[ENDORSEMENT_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct endorsement draft = {.provider = address, .level = 0};
	int err;

	if (!offers || !service_read(offers, call, in->service, &draft.service) ||
	    !provider_read(api, call, in->provider, address))
		return;
	err = offers_sign_endorsement(offers, &draft, &w);
	if (err < 0) {
		control_fail_of(call, err, in->provider, sign_rows);
		return;
	}
	endorsement_keep(api, call, &w,
			 api_revoke_endorsement_out_write(&(struct api_revoke_endorsement_out){0}),
			 now_ns);
}

void api_add_endorsement(struct api *api, struct control_call *call,
			 const struct api_add_endorsement_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	uint8_t bytes[ENDORSEMENT_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t len;

	if (!offers)
		return;
	if (base64_read(in->text, strlen(in->text), bytes, sizeof(bytes), &len) < 0) {
		verdict_fail(call, ENDORSE_MALFORMED, "text");
		return;
	}
	(void)writer_reserve(&w, len);
	endorsement_keep(api, call, &w,
			 api_add_endorsement_out_write(&(struct api_add_endorsement_out){0}),
			 now_ns);
}

/* --- lists --- */

struct listing {
	struct service_offers *offers;
	struct varlink_blocks *blocks;
	struct api_endorsement_list list;
	const uint8_t *provider; /* NULL: of any */
	uint32_t service;
	bool has_service;
};

static bool on_listed(void *arg, const struct endorse_view *view)
{
	const struct endorsement *said = &view->endorsement;
	struct listing *listing = arg;
	struct varlink_blocks *blocks = listing->blocks;
	char address[HEX_TEXT_CAP(SERVICE_MESSAGE_ADDRESS_LEN)], text[TEXT_CAP];

	if ((listing->has_service && said->service != listing->service) ||
	    (listing->provider &&
	     memcmp(said->provider, listing->provider, SERVICE_MESSAGE_ADDRESS_LEN) != 0))
		return true;
	varlink_push(
		blocks, &listing->list,
		((struct api_endorsement){
			.endorser = api_id(blocks, view->endorser),
			.provider = varlink_text(
				blocks,
				hex_write(said->provider, SERVICE_MESSAGE_ADDRESS_LEN, address)),
			.service = service_text(listing->offers, blocks, said->service),
			.level = said->level,
			.counts = view->counts,
			.why = why_counts(blocks, view),
			.made_s = api_uint(said->made_s),
			.expires_s = api_uint(said->expires_s),
			.reason = varlink_format(blocks, "%.*s", (int)said->reason_len,
						 said->reason ? said->reason : ""),
			.seed = said->is_seed_form,
			.own = view->is_own,
			.text = varlink_text(blocks, base64_write(view->bytes, view->len, text)),
		}));
	return listing->list.cnt < LIST_MAX;
}

void api_list_endorsements(struct api *api, struct control_call *call,
			   const struct api_list_endorsements_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];
	struct listing listing = {.offers = offers,
				  .blocks = control_blocks(call),
				  .provider = in->provider ? address : NULL,
				  .has_service = in->service != NULL};
	uint32_t at = in->has_cursor && in->cursor > 0 && in->cursor < UINT32_MAX
			      ? (uint32_t)in->cursor
			      : 0;
	struct fair_view fair;

	(void)now_ns;
	if (!offers ||
	    (in->service && !service_read(offers, call, in->service, &listing.service)) ||
	    (in->provider && !provider_read(api, call, in->provider, address)))
		return;
	offers_endorse_each(offers_endorse_book(offers), &at, on_listed, &listing);
	offers_endorse_fair(offers_endorse_book(offers), &fair);
	struct api_fill fills[] = {
		{"endorsements kept", fair.held_cnt, fair.cap_cnt, "offers.room"},
	};
	api_reply(call, list_endorsements, .endorsements = listing.list, .has_cursor = at > 0,
		  .cursor = at, .fills = {fills, sizeof(fills) / sizeof(fills[0])});
}

/* --- trust --- */

struct trust_words {
	const char *node_id, *service; /* service NULL: each */
	int64_t max_level;
};

/* false: call was failed. */
static bool trust_read(struct api *api, struct control_call *call, const struct trust_words *words,
		       struct endorse_trust *out)
{
	out->service = ENDORSE_EACH_SERVICE;
	if (words->max_level < 0 || words->max_level > ENDORSEMENT_LEVEL_MAX) {
		control_fail(call, WEFT_EMALFORMED, "max_level", "it is not in 1 to 3",
			     "1 knows the provider, 2 is a registry, 3 has checked a credential");
		return false;
	}
	out->level_max = (uint8_t)words->max_level;
	return (!words->service ||
		service_read(api->offers, call, words->service, &out->service)) &&
	       api_node_id_read(api, call, words->node_id, out->key);
}

static void trust_change(struct api *api, struct control_call *call,
			 const struct trust_words *words, json_t *reply, uint64_t now_ns)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "it is not trusted so", "weft endorse trusted shows what is"},
		{WEFT_EFULL, "256 endorsers are trusted already, or the disk does not keep up",
		 "weft endorse distrust takes one away"},
		{0, NULL, "try again in some seconds"},
	};
	struct endorse_put put = {.now_ns = now_ns, .done = api_durable_reply_send};
	struct endorse_trust trust;
	int err;

	if (!trust_read(api, call, words, &trust)) {
		json_decref(reply);
		return;
	}
	put.arg = api_durable_reply_new(call, "endorser", "try it again", reply);
	if (!put.arg)
		return;
	err = offers_trust(api->offers, &trust, &put);
	if (err == 0)
		return;
	api_durable_reply_cancel(put.arg);
	control_fail_of(call, err, words->node_id, rows);
}

void api_trust_endorser(struct api *api, struct control_call *call,
			const struct api_trust_endorser_in *in, uint64_t now_ns)
{
	int64_t max_level = in->has_max_level ? in->max_level : 1;
	/* 0 would take trust away, and is refused as any other number is. */
	const struct trust_words words = {in->node_id, in->service,
					  max_level == 0 ? -1 : max_level};

	if (api_offers(api, call))
		trust_change(api, call, &words,
			     api_trust_endorser_out_write(&(struct api_trust_endorser_out){0}),
			     now_ns);
}

void api_distrust_endorser(struct api *api, struct control_call *call,
			   const struct api_distrust_endorser_in *in, uint64_t now_ns)
{
	const struct trust_words words = {in->node_id, in->service, 0};

	if (api_offers(api, call))
		trust_change(
			api, call, &words,
			api_distrust_endorser_out_write(&(struct api_distrust_endorser_out){0}),
			now_ns);
}

void api_list_endorsers(struct api *api, struct control_call *call,
			const struct api_list_endorsers_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	struct varlink_blocks *blocks = control_blocks(call);
	struct api_endorser_list list = {0};
	struct endorse_trust trust;

	(void)in, (void)now_ns;
	if (!offers)
		return;
	for (unsigned i = 0; offers_endorse_trust_at(offers_endorse_book(offers), i, &trust); i++)
		varlink_push(
			blocks, &list,
			((struct api_endorser){
				.node_id = api_id(blocks, trust.key),
				.service = trust.service == ENDORSE_EACH_SERVICE
						   ? NULL
						   : service_text(offers, blocks, trust.service),
				.max_level = trust.level_max,
			}));
	api_reply(call, list_endorsers, .endorsers = list);
}

/* --- services of a neighbour --- */

#define SERVICES_TEXT_CAP 2048

/* The services of caps that have role, by name. */
static const char *roles_text(struct service_offers *offers, struct varlink_blocks *blocks,
			      const struct service_caps *caps, uint8_t role)
{
	char text[SERVICES_TEXT_CAP] = "";
	size_t len = 0;

	for (unsigned i = 0; i < caps->row_cnt && len < sizeof(text); i++)
		if (caps->rows[i].roles & role)
			len += (size_t)snprintf(
				text + len, sizeof(text) - len, "%s%s", len ? " " : "",
				service_text(offers, blocks, caps->rows[i].service));
	return varlink_text(blocks, text);
}

const char *api_service_roles(struct api *api, struct varlink_blocks *blocks, const uint8_t *key)
{
	const struct service_caps *caps =
		api->offers ? offers_relays_caps(offers_service_relays(api->offers), key) : NULL;
	const char *offered;

	if (!caps)
		return NULL;
	offered = roles_text(api->offers, blocks, caps, SERVICE_ROLE_PROVIDER);
	return varlink_format(blocks, "relays %s%s%s",
			      roles_text(api->offers, blocks, caps, SERVICE_ROLE_RELAY),
			      *offered ? "; offers " : "", offered);
}

struct relays_listing {
	struct api *api;
	struct varlink_blocks *blocks;
	struct api_service_relay_list list;
	uint32_t service;
	bool has_service, is_full;
	uint32_t seen_cnt;
};

static void relay_push(struct relays_listing *listing, const struct service_caps *caps, bool is_own)
{
	const struct service_caps_row *row = offers_caps_row(caps, listing->service);
	const struct service_relays *relays = offers_service_relays(listing->api->offers);

	if (listing->has_service && !(row && row->roles & SERVICE_ROLE_RELAY))
		return;
	varlink_push(listing->blocks, &listing->list,
		     ((struct api_service_relay){
			     .node_id = api_id(listing->blocks, caps->node),
			     .connected = is_own || offers_relays_is_connected(relays, caps->node),
			     .relayed = roles_text(listing->api->offers, listing->blocks, caps,
						   SERVICE_ROLE_RELAY),
			     .offered = roles_text(listing->api->offers, listing->blocks, caps,
						   SERVICE_ROLE_PROVIDER),
			     .made_s = api_uint(caps->made_s),
			     .own = is_own,
		     }));
}

static bool on_relay(void *arg, const struct service_caps *caps)
{
	struct relays_listing *listing = arg;

	listing->is_full = listing->list.cnt == LIST_MAX;
	if (listing->is_full)
		return false;
	listing->seen_cnt++;
	relay_push(listing, caps, false);
	return true;
}

void api_list_service_relays(struct api *api, struct control_call *call,
			     const struct api_list_service_relays_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	struct relays_listing listing = {
		.api = api, .blocks = control_blocks(call), .has_service = in->service != NULL};
	uint32_t at = in->has_cursor && in->cursor > 0 && in->cursor < UINT32_MAX
			      ? (uint32_t)in->cursor
			      : 0;

	(void)now_ns;
	if (!offers || (in->service && !service_read(offers, call, in->service, &listing.service)))
		return;
	if (at == 0)
		relay_push(&listing, offers_relays_own(offers_service_relays(offers)), true);
	offers_relays_each(offers_service_relays(offers), at, on_relay, &listing);
	api_reply(call, list_service_relays, .relays = listing.list, .has_cursor = listing.is_full,
		  .cursor = at + listing.seen_cnt);
}
