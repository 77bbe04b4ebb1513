/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_SERVICE_OFFERS_STATE_H
#define WEFT_OFFERS_SERVICE_OFFERS_STATE_H

#include "base/fair/fair_path.h"
#include "base/memory/arena.h"
#include "base/timer.h"
#include "offers/message/offer_terms.h"
#include "offers/message/service_message.h"
#include "offers/message/service_query.h"
#include "offers/store/offer_index.h"
#include "service_offers.h"

/* Private to offers/: what service_offers.c, offers_own.c, offers_heard.c and offers_found.c share. */

#define OFFERS_VERIFIED_CNT 4096u /* messages whose signature need not be looked at again */

/* An offer as it is read from a view; borrows its bytes. */
struct offer_reading {
	struct service_message announce, update;
	struct offer_terms terms;
	struct schema_record record, changes;
	struct found_offer offer;
};

/* An own offer that is about to be changed: its announce, and what its update says so far. */
struct offer_changing {
	struct service_offers *offers;
	const struct schema *schema; /* NULL: none is known for it */
	uint64_t base, newest;	     /* sequences */
	size_t announce_len;
	uint16_t ttl_hours;
	bool is_full_cover;
	bool has_units; /* units: as the update says so far */
	uint32_t units;
	uint8_t offer_id[OFFER_ID_LEN];
	uint8_t update[SERVICE_MESSAGE_LEN_MAX];
	size_t update_len;
	struct service_message message; /* of update */
};

/* Offers of several services that fit, before the newest of them are given. */
struct offer_gathering {
	struct offer_gathered {
		uint64_t order;
		struct offer_name name;
	} rows[OFFERS_WANTED_MAX * OFFER_PAGE_MAX];
	unsigned cnt;
};

struct service_offers {
	struct service_offers_params params;
	struct offer_store *store;
	struct schema_registry *registry;
	struct schema_shares *shares; /* that bring some of them */
	int change_err; /* of the latest change of schemas: the store took it, or did not */
	struct reservations *reservations;
	struct offer_spread *spread;
	struct endorse_book *book;
	struct service_relays *relays;
	struct timer timer, again_timer, level_timer;
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];
	/* Ids of messages that were verified, each in the place that its first bytes name. */
	uint8_t verified[OFFERS_VERIFIED_CNT][SERVICE_MESSAGE_ID_LEN];
	struct offer_reading reading; /* the one at hand */
	struct service_response response;
	struct schema_query query;
	struct offer_choice choice; /* of the latest offers_choose */
	struct offer_gathering gathering;
	unsigned
		hear_left; /* offers of responses that are still looked at, since the latest query */
	struct offer_changing changing;
	struct offer_watch *watches;
	struct arena watch_arena;
	struct fair_places watch_places;
	unsigned watch_walks;	      /* that are under way; no watch is freed meanwhile */
	struct offers_legacy *legacy; /* NULL: off */
	/* The message at hand, and its parts. */
	uint8_t made[SERVICE_MESSAGE_LEN_MAX];
	uint8_t payload[SERVICE_MESSAGE_PAYLOAD_MAX];
	uint8_t fields[SERVICE_MESSAGE_PAYLOAD_MAX];
};

/*
 * offers_read reads an offer of the store into offers->reading; NULL: no schema is known for it, or
 * it has none of its values. A tombstone is no offer.
 */
const struct found_offer *offers_read(struct service_offers *offers, const struct offer_view *view);
/* offers_name_own: the own offer of name, of OFFER_REF_TEXT_MIN letters and more: 0, WEFT_EABSENT, WEFT_EEXISTS, WEFT_EMALFORMED. */
WEFT_MUST_CHECK
int offers_name_own(struct service_offers *offers, const char *name, struct offer_name *out_name);

/* offers_name_any: the same of any offer that is kept here. */
WEFT_MUST_CHECK
int offers_name_any(struct service_offers *offers, const char *name, struct offer_name *out_name);

/* offers_found.c: a view, if it can be read, is given to fn of an offer_showing. */
struct offer_showing {
	struct service_offers *offers;
	const struct schema *schema; /* NULL: of any */
	unsigned skip;		     /* so many are left out at the beginning */
	found_offer_fn fn;
	bool (*is_full)(void *arg); /* NULL: never */
	void *arg;
	bool is_shown;
};
bool offers_view_give(void *showing, const struct offer_view *view);
/* offers_level_wanted: the level from which on ask is for offers of schema. */
uint8_t offers_level_wanted(const struct offer_page_ask *ask, const struct schema *schema);

/*
 * offers_several.c: offers_choose_schemas gives the schemas of names: how many, or a code as
 * offers_choose. offers_choose_words reads words into queries, one for each of them.
 */
WEFT_MUST_CHECK
int offers_choose_schemas(const struct service_offers *offers, const char *names,
			  const struct schema *out_schemas[static OFFERS_WANTED_MAX],
			  struct schema_fault *fault);
WEFT_MUST_CHECK
int offers_choose_words(const struct schema *const *schemas, struct schema_query *queries,
			unsigned cnt, const struct offer_words *words, struct schema_fault *fault);
/* offers_find_several: as offers_find, of more than one service. */
WEFT_MUST_CHECK
int offers_find_several(struct service_offers *offers, const struct offer_page_ask *ask,
			struct offer_search_result *out_result);

/* offers_own.c: a few own offers to one neighbour, or (NULL) to several. */
void offers_say_again(struct service_offers *offers, const uint8_t *key, uint64_t now_ns);

/* offers_schemas.c: offers_rate: as spread_handler.rate. offers_schemas_open: 0, or a negative code. */
uint32_t offers_rate(void *ctx, const struct service_message *message);
/* offers_watch.c: a message of an offer was stored; a schema took another's place, or (NULL) left. */
void offers_stored(struct service_offers *offers, const struct service_message *message,
		   const struct offer_terms *terms);
/* As offer_store_params: an offer's level is above before. */
bool offers_is_watched(void *ctx, uint32_t service);
void offers_lifted(void *ctx, const struct offer_view *view, unsigned before);
void offers_watches_change(struct service_offers *offers, const struct schema *before,
			   const struct schema *after);
WEFT_MUST_CHECK
int offers_watches_open(struct service_offers *offers);
void offers_watches_close(struct service_offers *offers);

/* offers_schemas.c: 0, or a negative code. */
WEFT_MUST_CHECK
int offers_schemas_open(struct service_offers *offers);

/* service_offers.c: the store was changed, so when it is due may have changed, too. */
void offers_due(struct service_offers *offers, uint64_t now_ns);

/* offers_heard.c: what the spread calls; ctx is the service_offers. */
enum spread_verdict offers_keep(void *ctx, const struct spread_message *message,
				const char **out_why);
bool offers_is_kept(void *ctx, const struct spread_message *message);
void offers_answer(void *ctx, const struct spread_message *query, const uint8_t *token);
void offers_hear(void *ctx, const struct spread_message *message,
		 const struct service_response *response);

/* offers_exchanged.c: likewise. */
extern const struct spread_stock offers_stock;

/* offers_reserved.c: likewise. offers_units_left: units of an own offer that are not confirmed. */
uint32_t offers_units_left(const struct service_offers *offers, uint32_t service,
			   const uint8_t *offer_id, uint32_t units);
enum spread_verdict offers_reserve_heard(void *ctx, const struct spread_message *message,
					 const char **out_why);
enum spread_verdict offers_strand(void *ctx, const struct spread_message *message,
				  const char **out_why);
WEFT_MUST_CHECK
int offers_reservations_start(struct service_offers *offers);

/* offers_legacy.c: 0 with offers->legacy, unless it is off; or a negative code. */
WEFT_MUST_CHECK
int offers_legacy_open(struct service_offers *offers);
void offers_legacy_close(struct service_offers *offers);
size_t offers_legacy_footprint(void);

/* --- offers_roles.c --- */

WEFT_MUST_CHECK
int offers_roles_open(struct service_offers *offers);
/* offers_relays_service: offers of others of that schema, NULL for none, are kept and sent on. */
bool offers_relays_service(const struct service_offers *offers, const struct schema *schema);
enum spread_rank offers_rank(void *ctx, uint32_t service, const uint8_t *peer);
/* offers_roles_changed: schemas or own offers did; before offers_roles_open nothing follows. */
void offers_roles_changed(struct service_offers *offers, uint64_t now_ns);

/* --- offers_verify.c --- */

/* A cap of endorsements: one for so many bytes of room. */
#define OFFERS_ROOM_AN_ENDORSEMENT 16384u

WEFT_MUST_CHECK
int offers_verify_open(struct service_offers *offers);
unsigned offers_level(void *ctx, uint32_t service, const uint8_t *provider);
/* offers_verify_expire settles what is due; offers_verify_due sets the timer for it. */
void offers_verify_expire(struct timer *timer, uint64_t now_ns);
void offers_verify_due(struct service_offers *offers, uint64_t now_ns);
/* What the spread calls. */
enum spread_verdict offers_endorsement_keep(void *ctx, const struct spread_endorsement *heard,
					    const char **out_why);
/* offers_endorsements_hear keeps those of a response, before its offers. */
void offers_endorsements_hear(struct service_offers *offers, const struct spread_message *message,
			      const struct service_response *response);
/* offers_endorsements_answer adds to response those of a provider, once. */
struct offer_proof {
	uint32_t service;
	const uint8_t *provider;
	unsigned level; /* that the schema asks for: those that state it come before others */
};
void offers_endorsements_answer(struct service_offers *offers, struct service_response *response,
				const struct offer_proof *proof);
/* offers_endorsements_say_again: some of this node, as offers_say_again. */
void offers_endorsements_say_again(struct service_offers *offers, const uint8_t *key,
				   uint64_t now_ns);

#endif
