/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reservations among the offers: what is known of the offer of one, and which neighbours bring it and
 * keep its answer. And what comes by neighbours and boxes.
 */
#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "codec/text/hex.h"
#include "crypto/agreed_box.h"
#include "crypto/node_key.h"
#include "service_offers_state.h"

/* --- offers, as reservations see them --- */

struct looking {
	struct service_offers *offers;
	struct reservation_offer *offer;
	bool is_found, is_withdrawn;
};

/* The first of an offer's times that is ahead, by its schema; 0: none is, or no schema is known. */
static uint64_t slot_of(struct service_offers *offers, const struct offer_view *view)
{
	const struct found_offer *found = offers_read(offers, view);
	int64_t now_s = (int64_t)offers->params.wall_s(offers->params.ctx), slot_s = 0;

	for (unsigned i = 0; found && i < found->schema->field_cnt; i++) {
		const struct schema_value *value = &found->record->values[i];
		enum schema_type type = found->schema->fields[i].type;

		if ((type != SCHEMA_TIME && type != SCHEMA_TIMES) || value->state != SCHEMA_PRESENT)
			continue;
		for (unsigned k = 0; k < value->item_cnt; k++)
			if (value->items[k].number > now_s &&
			    (slot_s == 0 || value->items[k].number < slot_s))
				slot_s = value->items[k].number;
	}
	return (uint64_t)slot_s;
}

static bool on_looked(void *arg, const struct offer_view *view)
{
	struct looking *looking = arg;
	struct reservation_offer *offer = looking->offer;
	struct service_message announce, update;
	struct offer_terms terms, changes;

	looking->is_withdrawn = view->is_tombstone;
	if (view->is_tombstone ||
	    offers_message_parse(view->announce, view->announce_len, &announce) < 0 ||
	    offer_terms_read(&announce, &terms) < 0 || !terms.provider_key)
		return false;
	memcpy(offer->provider_key, terms.provider_key, sizeof(offer->provider_key));
	if (view->update && offers_message_parse(view->update, view->update_len, &update) == 0 &&
	    offer_terms_read(&update, &changes) == 0)
		offer_terms_update(&terms, &changes);
	offer->is_own = memcmp(announce.provider, looking->offers->address,
			       SERVICE_MESSAGE_ADDRESS_LEN) == 0;
	offer->version = announce.version;
	offer->units = terms.units;
	offer->expires_s = view->expires_s;
	offer->slot_s = slot_of(looking->offers, view);
	looking->is_found = true;
	if (terms.reserve_key)
		memcpy(offer->reserve_key, terms.reserve_key, sizeof(offer->reserve_key));
	else
		looking->is_found =
			agreed_public_of_node(offer->provider_key, offer->reserve_key) == 0;
	return false;
}

static int offer_look(void *ctx, const struct offer_name *name, struct reservation_offer *out_offer)
{
	struct service_offers *offers = ctx;
	struct looking looking = {.offers = offers, .offer = out_offer};
	int err = offers_store_get(offers->store, name, on_looked, &looking);

	if (err < 0)
		return err;
	if (!looking.is_found)
		return looking.is_withdrawn ? WEFT_ESTALE : WEFT_EABSENT;
	return out_offer->expires_s <= offers->params.wall_s(offers->params.ctx) ? WEFT_ESTALE : 0;
}

static bool message_send(void *ctx, const struct reservation_sent *sent, uint64_t now_ns)
{
	struct service_offers *offers = ctx;

	/* The node that has the box sees the session that looks into it. */
	return offers_spread_walk(
		offers->spread,
		&(struct spread_walk){.bytes = sent->bytes, .len = sent->len, .avoid = sent->store},
		now_ns);
}

static void on_happened(void *ctx, enum reservation_event_kind kind,
			const struct reservation_view *view)
{
	const struct service_offers_params *params = &((struct service_offers *)ctx)->params;

	if (params->happened)
		params->happened(params->ctx, kind, view);
}

static uint64_t on_wall_s(void *ctx)
{
	const struct service_offers_params *params = &((struct service_offers *)ctx)->params;

	return params->wall_s(params->ctx);
}

int offers_reservations_start(struct service_offers *offers)
{
	const struct service_offers_params *params = &offers->params;
	const struct reservations_params reservations = {
		.key = params->key,
		.store = params->store,
		.timers = params->timers,
		.random = params->random,
		.site = params->site,
		.around = {.offer = offer_look,
			   .send = message_send,
			   .happened = on_happened,
			   .wall_s = on_wall_s,
			   .ctx = offers},
		.boxes = params->boxes,
		.now_ns = params->now_ns,
	};

	return offers_reservations_open(&reservations, &offers->reservations);
}

/* --- reserve --- */

static int fault_of(struct schema_fault *fault, int err, const char *what, const char *next)
{
	*fault = (struct schema_fault){0};
	snprintf(fault->what, sizeof(fault->what), "%s", what);
	snprintf(fault->next, sizeof(fault->next), "%s", next);
	return err;
}

/* One without a session that was there so lately has the box rather than the one that brings the Reserve. */
#define STORE_SEEN_S 3600u

/*
 * A neighbour that keeps answers, each as likely as another. It is not the provider, which would see
 * the session that looks for them. If there are others, it is not the one that brings the Reserve.
 * That one would see both. Connected ones come first.
 */
static bool store_choose(struct service_offers *offers, const uint8_t *provider_key,
			 const uint8_t *bringer, uint8_t out_key[static MESH_KEY_LEN])
{
	const struct service_offers_params *params = &offers->params;
	struct mesh_walk walk = {.session = NULL};
	struct mesh_neighbour neighbour;
	uint64_t wall_s = params->wall_s(params->ctx);
	unsigned seen_cnt = 0;
	bool has_bringer = false;

	while (params->neighbours->next(params->mesh.mesh, &walk, &neighbour) &&
	       (neighbour.is_connected || seen_cnt == 0)) {
		if (!(neighbour.caps & MESH_CAP_STORE) ||
		    memcmp(neighbour.key, provider_key, MESH_KEY_LEN) == 0 ||
		    (!neighbour.is_connected &&
		     (!has_bringer || neighbour.last_seen_s + STORE_SEEN_S < wall_s)))
			continue;
		if (bringer && memcmp(neighbour.key, bringer, MESH_KEY_LEN) == 0)
			has_bringer = true;
		else if (random_below(params->random, ++seen_cnt) == 0)
			memcpy(out_key, neighbour.key, MESH_KEY_LEN);
	}
	if (seen_cnt == 0 && has_bringer)
		memcpy(out_key, bringer, MESH_KEY_LEN);
	return seen_cnt > 0 || has_bringer;
}

/* What a neighbour says of itself; of a node without a session nothing is known. */
static bool keeps_nothing(const struct service_offers *offers, const uint8_t *key)
{
	const struct service_offers_params *params = &offers->params;
	struct mesh_neighbour neighbour;

	return params->neighbours->find(params->mesh.mesh, key, &neighbour) &&
	       neighbour.is_connected && !(neighbour.caps & MESH_CAP_STORE);
}

static int store_of(struct service_offers *offers, const struct offer_reserve_ask *ask,
		    const struct reservation_offer *offer, uint8_t out_key[static MESH_KEY_LEN],
		    struct schema_fault *fault)
{
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];

	offers_address(offer->provider_key, address);
	if (!offers->params.boxes.put)
		return fault_of(fault, WEFT_EUNREACHABLE, "this node keeps no outbox",
				"set offers.enabled = yes in weft.conf and start weftd again");
	if (!ask->store) {
		if (store_choose(offers, offer->provider_key,
				 offers_spread_next(offers->spread, address, NULL), out_key))
			return 0;
		return fault_of(fault, WEFT_EUNREACHABLE,
				"no neighbour but the provider keeps answers",
				"meet one, with weft peer connect NODE ADDR:PORT, or name one: "
				"--reply-at NODE");
	}
	if (memcmp(ask->store, node_key_public(offers->params.key), MESH_KEY_LEN) == 0 ||
	    memcmp(ask->store, offer->provider_key, MESH_KEY_LEN) == 0)
		return fault_of(fault, WEFT_EREFUSED,
				"the provider would learn which node asks by that box",
				"name a third node that keeps answers");
	if (keeps_nothing(offers, ask->store))
		return fault_of(fault, WEFT_EREFUSED,
				"the node that is to keep the answer keeps no deposits",
				"name another one, or none, and a neighbour is chosen");
	memcpy(out_key, ask->store, MESH_KEY_LEN);
	return 0;
}

static int name_failed(int err, struct schema_fault *fault)
{
	switch (err) {
	case WEFT_EEXISTS:
		return fault_of(fault, err, "several offers begin so", "give more letters");
	case WEFT_EMALFORMED:
		return fault_of(fault, err, "an offer is named by 8 to 26 letters",
				"copy them from weft offer find");
	case WEFT_ESTALE:
		return fault_of(fault, err, "the offer was withdrawn, or its life is over",
				"weft offer find looks for others");
	default:
		return fault_of(fault, err, "this node keeps no such offer",
				"weft offer find looks for offers");
	}
}

static int make_failed(int err, struct schema_fault *fault)
{
	switch (err) {
	case WEFT_ETOOLARGE:
		return fault_of(fault, err, "the message is longer than 2,000 bytes", "shorten it");
	case WEFT_ETOOSMALL:
		return fault_of(fault, WEFT_EREFUSED, "the offer has not so many units",
				"weft offer show says how many units it has");
	case WEFT_EREFUSED:
		return fault_of(fault, err,
				"no more reservations of a service may be made in this minute",
				"try again in a minute");
	case WEFT_EFULL:
		return fault_of(fault, err, "as many reservations as may be are open",
				"cancel one, with weft reservation cancel");
	case WEFT_EBUSY:
		return fault_of(fault, err, "the disk does not keep up",
				"try again in some seconds");
	default:
		return fault_of(fault, err, "it cannot be sealed for the offer's key",
				"ask its provider to publish it again");
	}
}

int offers_reserve(struct service_offers *offers, const struct offer_reserve_ask *ask,
		   uint64_t now_ns, uint8_t out_id[static RESERVATION_ID_LEN],
		   struct schema_fault *fault)
{
	uint8_t store[MESH_KEY_LEN];
	struct reservation_offer offer;
	struct offer_name name;
	struct reservation_ask made = {
		.name = &name,
		.offer = &offer,
		.store = store,
		.units = ask->units ? ask->units : 1,
		.hours = ask->hours,
		.text = ask->text,
		.text_len = ask->text_len,
		.now_ns = now_ns,
		.done = ask->done,
		.arg = ask->arg,
	};
	const struct schema *schema;
	int err = offers_name_any(offers, ask->name, &name);

	if (err == 0)
		err = offer_look(offers, &name, &offer);
	if (err < 0)
		return name_failed(err, fault);
	if (offer.is_own)
		return fault_of(fault, WEFT_EREFUSED, "the offer is this node's own",
				"take a unit away, with weft offer update OFFER --units N");
	err = store_of(offers, ask, &offer, store, fault);
	if (err < 0)
		return err;
	schema = offers_schema_of(offers, &name);
	if (schema)
		made.per_min = schema->reserves_per_min;
	err = offers_reservations_make(offers->reservations, &made, out_id);
	return err < 0 ? make_failed(err, fault) : 0;
}

uint32_t offers_units_left(const struct service_offers *offers, uint32_t service,
			   const uint8_t *offer_id, uint32_t units)
{
	struct offer_name name = {.service = service};
	uint64_t taken;

	memcpy(name.provider, offers->address, sizeof(name.provider));
	memcpy(name.offer_id, offer_id, sizeof(name.offer_id));
	taken = offers_reservations_confirmed(offers->reservations, &name);
	return taken < units ? units - (uint32_t)taken : 0;
}

/* --- what comes --- */

static const char *const verdict_words[RESERVATION_VERDICT_CNT] = {
	[RESERVATION_NOT_FOR] = "it is malformed, or not sealed for the offer",
	[RESERVATION_NO_OFFER] = "its offer is not here, or its life is over",
	[RESERVATION_NO_ROOM] = "no room is left for reservations of its neighbour",
	[RESERVATION_LAGS] = "this node cannot keep it now",
};

enum spread_verdict offers_reserve_heard(void *ctx, const struct spread_message *message,
					 const char **out_why)
{
	struct service_offers *offers = ctx;
	const struct service_offers_params *params = &offers->params;
	struct mesh_neighbour neighbour = {.is_known = false};
	struct mesh_path path = {.remote.family = ADDR_NONE};
	struct reservation_heard heard = {.message = message->parsed,
					  .neighbour = message->peer,
					  .source = &path.remote,
					  .now_ns = message->now_ns};
	enum reservation_verdict verdict;

	(void)params->neighbours->path(params->mesh.mesh, message->peer, &path);
	(void)params->neighbours->find(params->mesh.mesh, message->peer, &neighbour);
	heard.class = neighbour.is_known ? FAIR_KNOWN : FAIR_UNKNOWN;
	verdict = offers_reservations_hear(offers->reservations, &heard);
	if (verdict == RESERVATION_TAKEN)
		return SPREAD_NEW;
	if (verdict == RESERVATION_KNOWN)
		return SPREAD_KNOWN;
	*out_why = verdict_words[verdict];
	return SPREAD_REFUSED;
}

/* 16 bytes that only this node knows, the same ones for each copy of a message. */
static void receipt_of(const struct service_offers *offers, const struct service_message *message,
		       uint8_t out[static NODE_KEY_DERIVED_LEN])
{
	char text[2 * SERVICE_MESSAGE_ID_LEN + 1], label[96];
	uint8_t id[SERVICE_MESSAGE_ID_LEN];

	offers_message_id(message, id);
	hex_write(id, sizeof(id), text);
	snprintf(label, sizeof(label), "mesh/svc/strand/v1/%s", text);
	node_key_derive(offers->params.key, label, out);
}

enum spread_verdict offers_strand(void *ctx, const struct spread_message *message,
				  const char **out_why)
{
	struct service_offers *offers = ctx;
	const struct offers_boxes *boxes = &offers->params.boxes;
	const struct service_message *parsed = message->parsed;
	struct offer_name name = {.service = parsed->service};
	struct reservation_message reservation;
	uint8_t receipt[NODE_KEY_DERIVED_LEN];
	struct reservation_offer offer;
	struct offers_deposit deposit = {.recipient = offer.provider_key,
					 .bytes = message->bytes,
					 .len = message->len,
					 .expires_s = offers_message_expires_s(parsed),
					 .receipt = receipt};

	if (!boxes->keep || offers_reservation_parse(parsed, &reservation) < 0)
		return SPREAD_REFUSED;
	memcpy(name.provider, parsed->provider, sizeof(name.provider));
	memcpy(name.offer_id, reservation.offer_id, sizeof(name.offer_id));
	if (offer_look(offers, &name, &offer) < 0) {
		*out_why = "its offer is not known here, or its life is over";
		return SPREAD_REFUSED;
	}
	receipt_of(offers, parsed, receipt);
	return boxes->keep(boxes->ctx, &deposit, message->peer, message->now_ns) < 0
		       ? SPREAD_REFUSED
		       : SPREAD_NEW;
}

enum offers_delivery offers_deliver(struct service_offers *offers,
				    const struct offers_delivered *delivered, uint64_t now_ns)
{
	static const enum offers_delivery outcomes[RESERVATION_VERDICT_CNT] = {
		[RESERVATION_TAKEN] = OFFERS_DELIVERY_TAKEN,
		[RESERVATION_KNOWN] = OFFERS_DELIVERY_UNFIT,
		[RESERVATION_NOT_FOR] = OFFERS_DELIVERY_UNFIT,
		[RESERVATION_NO_OFFER] = OFFERS_DELIVERY_UNFIT,
		[RESERVATION_NO_ROOM] = OFFERS_DELIVERY_LATER,
		[RESERVATION_LAGS] = OFFERS_DELIVERY_LATER,
	};
	const uint8_t *own = node_key_public(offers->params.key);
	struct service_message message;
	const struct reservation_heard heard = {.message = &message,
						.class = FAIR_UNKNOWN,
						.ticket = delivered->ticket,
						.now_ns = now_ns};

	if (offers_message_parse(delivered->bytes, delivered->len, &message) < 0)
		return OFFERS_DELIVERY_UNFIT;
	switch (offers_message_time(&message, offers->params.wall_s(offers->params.ctx))) {
	case SERVICE_MESSAGE_EARLY:
		return OFFERS_DELIVERY_LATER; /* this node's clock may be behind */
	case SERVICE_MESSAGE_EXPIRED:
		return OFFERS_DELIVERY_UNFIT;
	case SERVICE_MESSAGE_TIMELY:
		break;
	}
	if (memcmp(delivered->recipient, own, MESH_KEY_LEN) != 0)
		return outcomes[offers_reservations_answer(offers->reservations,
							   delivered->recipient, &heard)];
	if (memcmp(message.provider, offers->address, SERVICE_MESSAGE_ADDRESS_LEN) != 0)
		return OFFERS_DELIVERY_UNFIT;
	return outcomes[offers_reservations_hear(offers->reservations, &heard)];
}
