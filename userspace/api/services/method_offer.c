/* SPDX-License-Identifier: Apache-2.0 */
/* PublishOffer, UpdateOffer, RevokeOffer, ListOffers, ShowOffer, AskOffers, FindOffers. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/text/zbase32.h"
#include "method_offer.h"
#include "offers/store/offer_index.h"

#define FIND_LIMIT 20
#define LIMIT_MAX  200
/* A payload of texts, and commas; numbers and times are longer in words. */
#define VALUE_CAP   (2u * SERVICE_MESSAGE_PAYLOAD_MAX)
#define SUMMARY_CAP 200
/* Around the texts of a row, and of a value. */
#define ROW_FRAME_LEN	512u
#define VALUE_FRAME_LEN 64u

struct service_offers *api_offers(struct api *api, struct control_call *call)
{
	if (api->offers)
		return api->offers;
	control_fail(call, WEFT_EREFUSED, "offers", "they are switched off",
		     "set offers.enabled = yes in weft.conf and start weftd again");
	return NULL;
}

const struct schema *api_schema(struct service_offers *offers, struct control_call *call,
				const char *name)
{
	const struct schema *schema = offers_schema_registry_named(offers_registry(offers), name);

	if (!schema)
		control_fail(call, WEFT_EABSENT, name, "no schema of that name is on",
			     "weft schema list shows all; weft schema add turns one on");
	return schema;
}

/* --- rows --- */

static struct api_offer_value_list values_of(struct varlink_blocks *blocks,
					     const struct found_offer *offer, char *summary)
{
	struct api_offer_value_list list = {0};
	const struct schema *schema = offer->schema;
	char *text = malloc(VALUE_CAP);
	size_t len = 0;

	summary[0] = '\0';
	/* Without memory the reply has none either, and fails. */
	for (unsigned i = 0; text && i < schema->field_cnt; i++) {
		const struct schema_field *field = &schema->fields[i];
		const struct schema_value *value = &offer->record->values[i];

		if (value->state != SCHEMA_PRESENT)
			continue;
		offers_schema_value_print(field, value, text, VALUE_CAP);
		varlink_push(blocks, &list,
			     ((struct api_offer_value){
				     .field = varlink_text(blocks, field->name),
				     .value = varlink_text(blocks, text),
				     .unit = varlink_text(blocks, field->unit),
				     .label = varlink_text(blocks, field->label),
			     }));
		if (field->is_listed && len < SUMMARY_CAP)
			len += (size_t)snprintf(summary + len, SUMMARY_CAP - len, "%s%s=%s",
						len ? " " : "", field->name, text);
	}
	if (len >= SUMMARY_CAP)
		offers_schema_text_trim(summary);
	free(text);
	return list;
}

/* At most, in JSON: line ends, quotes and backslashes take two bytes. */
size_t api_offer_row_len(const struct api_offer *row)
{
	size_t len = ROW_FRAME_LEN + 2 * (strlen(row->summary) + strlen(row->why));

	for (size_t i = 0; i < row->values.cnt; i++) {
		const struct api_offer_value *value = &row->values.rows[i];

		len += VALUE_FRAME_LEN + strlen(value->field) +
		       2 * (strlen(value->value) + strlen(value->unit) + strlen(value->label));
	}
	return len;
}

struct api_offer api_offer_row(struct varlink_blocks *blocks, const struct found_offer *offer)
{
	char ref[OFFER_REF_TEXT_CAP], summary[SUMMARY_CAP];
	struct api_offer row = {
		.offer_id = varlink_text(blocks, zbase32_write(offer->ref, OFFER_REF_LEN, ref)),
		.schema = varlink_text(blocks, offer->schema->name),
		.provider = api_id(blocks, offer->provider_key),
		.own = offer->is_own,
		.units = offer->units,
		API_IF(units_left, offer->is_own, offer->units_left),
		.sequence = api_uint(offer->sequence),
		.published_s = api_uint(offer->published_s),
		.expires_s = api_uint(offer->expires_s),
		/* Its own word of an offer is what a node has most of. */
		.level = offer->is_own ? ENDORSEMENT_LEVEL_MAX : offer->level,
		.needs = offer->schema->min_verification,
		.why = api_offer_left_out(blocks, offer),
		.values = values_of(blocks, offer, summary),
	};

	row.summary = varlink_text(blocks, summary);
	return row;
}

struct collecting {
	struct varlink_blocks *blocks;
	struct api_offer_list list;
	size_t len; /* of its rows */
};

static void on_offer(void *arg, const struct found_offer *offer)
{
	struct collecting *collecting = arg;
	const struct api_offer row = api_offer_row(collecting->blocks, offer);

	varlink_push(collecting->blocks, &collecting->list, row);
	collecting->len += api_offer_row_len(&row);
}

static bool is_full(void *arg)
{
	return ((const struct collecting *)arg)->len > OFFER_PAGE_LEN;
}

/* The offer of name, in the memory of call's next reply; false: call was failed. */
static bool offer_show(struct service_offers *offers, struct control_call *call, const char *name,
		       struct api_offer *out_row)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "this node keeps no such offer", "weft offer find looks for offers"},
		{WEFT_EEXISTS, "several offers begin so", "give more letters"},
		{WEFT_EMALFORMED, "an offer is named by 8 to 26 letters",
		 "copy them from weft offer list or weft offer find"},
		{WEFT_EUNKNOWN, "its schema is not known here", "add it, with weft schema add"},
		{0, NULL, "the daemon's log may tell more"},
	};
	struct collecting collecting = {.blocks = control_blocks(call)};
	int err = offers_show(offers, name, on_offer, &collecting);

	if (err == 0 && collecting.list.cnt) {
		*out_row = collecting.list.rows[0];
		return true;
	}
	control_fail_of(call, err < 0 ? err : WEFT_EABSENT, name, rows);
	return false;
}

void api_show_offer(struct api *api, struct control_call *call, const struct api_show_offer_in *in,
		    uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	struct api_offer row;

	(void)now_ns;
	if (offers && offer_show(offers, call, in->offer_id, &row))
		api_reply(call, show_offer, .offer = row);
}

/* --- own offers --- */

/* A call that waits until its message is durable. */
struct saying {
	struct saying *next;
	struct api *api;
	struct control_call *call; /* NULL: the caller left */
	enum { SAYING_PUBLISH, SAYING_UPDATE, SAYING_REVOKE } kind;
	uint8_t ref[OFFER_REF_LEN];
};

static void saying_forget(struct saying *saying)
{
	struct saying **at = &saying->api->offer_sayings;

	while (*at != saying)
		at = &(*at)->next;
	*at = saying->next;
	free(saying);
}

void api_offer_sayings_forget(struct api *api)
{
	while (api->offer_sayings)
		saying_forget(api->offer_sayings);
}

static void saying_reply(const struct saying *saying)
{
	char name[OFFER_REF_TEXT_CAP];
	struct api_offer row;

	if (saying->kind == SAYING_REVOKE) {
		api_reply(saying->call, revoke_offer);
		return;
	}
	if (!offer_show(saying->api->offers, saying->call,
			zbase32_write(saying->ref, OFFER_REF_LEN, name), &row))
		return;
	if (saying->kind == SAYING_PUBLISH)
		api_reply(saying->call, publish_offer, .offer = row);
	else
		api_reply(saying->call, update_offer, .offer = row);
}

static void saying_done(void *arg, int err)
{
	struct saying *saying = arg;

	if (saying->call && err < 0)
		control_fail(saying->call, err, "offer", "it could not be saved",
			     "see that the state directory can be written, and try again");
	else if (saying->call)
		saying_reply(saying);
	saying_forget(saying);
}

static struct saying *saying_new(struct api *api, struct control_call *call, int kind)
{
	struct saying *saying = calloc(1, sizeof(*saying));

	if (!saying) {
		control_fail(call, -ENOMEM, "offer", "no memory", "free some and try again");
		return NULL;
	}
	saying->api = api;
	saying->kind = kind;
	saying->next = api->offer_sayings;
	api->offer_sayings = saying;
	control_hold(call, &saying->call);
	return saying;
}

/* What making the message came to; one that was made ends in saying_done. */
static void saying_judge(struct saying *saying, int err, const char *name,
			 const struct schema_fault *fault)
{
	if (err == 0)
		return;
	control_fail(saying->call, err, fault->field[0] ? fault->field : name,
		     fault->what[0] ? fault->what : weft_err_text(err),
		     fault->next[0] ? fault->next : "weft schema show SCHEMA lists the fields");
	saying_forget(saying);
}

/* false: a number is none that an offer may have, and call was failed. */
static bool draft_check(struct control_call *call, bool has_units, int64_t units, bool has_hours,
			int64_t hours)
{
	if (has_units && (units < 1 || units > UINT32_MAX))
		control_fail(call, WEFT_EMALFORMED, "units", "it is not in 1 to 4294967295",
			     "say how many of it there are");
	else if (has_hours && (hours < 1 || hours > SERVICE_MESSAGE_LIFE_H_MAX))
		control_fail(call, WEFT_EMALFORMED, "ttl_hours", "it is not in 1 to 8760",
			     "an offer lives for a year at most");
	else
		return true;
	return false;
}

void api_publish_offer(struct api *api, struct control_call *call,
		       const struct api_publish_offer_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	const struct schema *schema = offers ? api_schema(offers, call, in->schema) : NULL;
	bool is_valid = schema && draft_check(call, in->has_units, in->units, in->has_ttl_hours,
					      in->ttl_hours);
	struct saying *saying = is_valid ? saying_new(api, call, SAYING_PUBLISH) : NULL;
	const struct offer_draft draft = {
		.schema = schema,
		.words = in->values.rows,
		.word_cnt = in->values.cnt,
		.units = in->has_units ? (uint32_t)in->units : 0,
		.ttl_hours = in->has_ttl_hours ? (uint16_t)in->ttl_hours : 0,
		.is_seed_form = in->has_seed && in->seed,
		.done = saying_done,
		.arg = saying,
	};
	struct schema_fault fault = {0};

	if (saying)
		saying_judge(saying, offers_publish(offers, &draft, now_ns, saying->ref, &fault),
			     in->schema, &fault);
}

void api_update_offer(struct api *api, struct control_call *call,
		      const struct api_update_offer_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	bool is_valid = offers && draft_check(call, in->has_units, in->units, false, 0);
	struct saying *saying = is_valid ? saying_new(api, call, SAYING_UPDATE) : NULL;
	const struct offer_draft draft = {
		.name = in->offer_id,
		.words = in->values.rows,
		.word_cnt = in->values.cnt,
		.units = in->has_units ? (uint32_t)in->units : 0,
		.done = saying_done,
		.arg = saying,
	};
	struct schema_fault fault = {0};

	if (saying)
		saying_judge(saying, offers_update(offers, &draft, now_ns, saying->ref, &fault),
			     in->offer_id, &fault);
}

void api_revoke_offer(struct api *api, struct control_call *call,
		      const struct api_revoke_offer_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	struct saying *saying = offers ? saying_new(api, call, SAYING_REVOKE) : NULL;
	const struct offer_draft draft = {.name = in->offer_id, .done = saying_done, .arg = saying};
	struct schema_fault fault = {0};

	if (saying)
		saying_judge(saying, offers_revoke(offers, &draft, now_ns, &fault), in->offer_id,
			     &fault);
}

/* --- lists --- */

static bool limit_read(struct control_call *call, bool has_limit, int64_t limit, unsigned usual,
		       unsigned *out)
{
	*out = has_limit ? (unsigned)limit : usual;
	if (!has_limit || (limit >= 1 && limit <= LIMIT_MAX))
		return true;
	control_fail(call, WEFT_EMALFORMED, "limit", "it is not in 1 to 200",
		     "give a number of rows");
	return false;
}

/* A cursor is a number in digits: the order of the last row, or how many rows were before. */
static bool cursor_read(struct control_call *call, const char *text, uint64_t *out)
{
	char *end;

	*out = OFFER_NEWEST;
	if (!text)
		return true;
	*out = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && *out)
		return true;
	control_fail(call, WEFT_EMALFORMED, "cursor", "it is not that of a page",
		     "give what the page before said");
	return false;
}

void api_list_offers(struct api *api, struct control_call *call,
		     const struct api_list_offers_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	struct collecting collecting = {.blocks = control_blocks(call)};
	struct own_offers_ask ask = {.fn = on_offer, .is_full = is_full, .arg = &collecting};
	struct offer_store_counts counts;
	uint64_t skip = 0;
	int err;

	(void)now_ns;
	if (!offers || (in->schema && !(ask.schema = api_schema(offers, call, in->schema))) ||
	    (in->cursor && !cursor_read(call, in->cursor, &skip)))
		return;
	ask.skip = skip < UINT32_MAX ? (unsigned)skip : UINT32_MAX;
	err = offers_each_own(offers, &ask);
	if (err < 0) {
		control_fail(call, err, "offers", "they cannot be read", "see weft store check");
		return;
	}
	offers_store_count(offers_store(offers), &counts);
	struct api_fill fills[] = {
		{"offers kept, in units of 1,024 bytes", counts.unit_cnt, counts.unit_cap,
		 "offers.room"},
	};
	api_reply(call, list_offers, .offers = collecting.list,
		  .fills = {fills, sizeof(fills) / sizeof(fills[0])},
		  .cursor = is_full(&collecting) ? varlink_format(control_blocks(call), "%zu",
								  ask.skip + collecting.list.cnt)
						 : NULL);
}

void api_choose_fail(struct control_call *call, int err, const char *names,
		     const struct schema_fault *fault)
{
	control_fail(call, err, fault->field[0] ? fault->field : names,
		     fault->what[0] ? fault->what : weft_err_text(err),
		     fault->next[0] ? fault->next : "weft schema show SCHEMA lists the filters");
}

/* What the caller looks for; NULL: call was failed. */
static const struct offer_choice *choose(struct service_offers *offers, struct control_call *call,
					 const char *names, const struct api_string_list *filters)
{
	const struct offer_words words = {names, (const char *const *)filters->rows, filters->cnt};
	const struct offer_choice *choice;
	struct schema_fault fault = {0};
	int err = offers_choose(offers, &words, &choice, &fault);

	if (err == 0)
		return choice;
	api_choose_fail(call, err, names, &fault);
	return NULL;
}

void api_ask_offers(struct api *api, struct control_call *call, const struct api_ask_offers_in *in,
		    uint64_t now_ns)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EFULL, "as many queries as may be are on their way", "try again in a minute"},
		{WEFT_ETOOLARGE, "the filters are longer than a query",
		 "give fewer, or shorter ones"},
		{0, NULL, "the daemon's log may tell more"},
	};
	struct service_offers *offers = api_offers(api, call);
	const struct offer_choice *choice =
		offers ? choose(offers, call, in->schema, &in->filters) : NULL;
	int cnt;

	if (!choice)
		return;
	cnt = offers_ask(offers, choice->wanted, choice->cnt, now_ns);
	if (cnt < 0)
		control_fail_of(call, cnt, in->schema, rows);
	else
		api_reply(call, ask_offers, .neighbours = cnt);
}

static bool level_read(struct control_call *call, const struct api_find_offers_in *in,
		       struct offer_page_ask *ask)
{
	ask->has_level = in->has_level;
	ask->level = (uint8_t)in->level;
	if (!in->has_level || (in->level >= 0 && in->level <= ENDORSEMENT_LEVEL_MAX))
		return true;
	control_fail(call, WEFT_EMALFORMED, "level", "it is not in 0 to 3",
		     "0 finds offers of providers that no node vouches for, too");
	return false;
}

void api_find_offers(struct api *api, struct control_call *call,
		     const struct api_find_offers_in *in, uint64_t now_ns)
{
	struct service_offers *offers = api_offers(api, call);
	const struct offer_choice *choice =
		offers ? choose(offers, call, in->schema, &in->filters) : NULL;
	struct collecting collecting = {.blocks = control_blocks(call)};
	struct offer_page_ask ask = {.fn = on_offer, .is_full = is_full, .arg = &collecting};
	struct offer_search_result result;
	int err;

	(void)now_ns;
	if (!choice || !level_read(call, in, &ask) ||
	    !limit_read(call, in->has_limit, in->limit, FIND_LIMIT, &ask.page_max) ||
	    !cursor_read(call, in->cursor, &ask.before))
		return;
	ask.wanted = choice->wanted;
	ask.wanted_cnt = choice->cnt;
	err = offers_find(offers, &ask, &result);
	if (err < 0) {
		control_fail(call, err, in->schema, "its offers cannot be read",
			     "see weft store check");
		return;
	}
	api_reply(call, find_offers, .offers = collecting.list,
		  .left_out = ask.before == OFFER_NEWEST ? offers_left_out(offers, &ask) : 0,
		  .cursor = result.next
				    ? varlink_format(control_blocks(call), "%" PRIu64, result.next)
				    : NULL);
}
