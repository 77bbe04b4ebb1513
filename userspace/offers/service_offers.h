/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OFFERS_SERVICE_OFFERS_H
#define WEFT_OFFERS_SERVICE_OFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair_path.h"
#include "mesh/seam.h"
#include "mesh/seam_neighbours.h"
#include "offers/endorse/endorse.h"
#include "offers/relays/service_relays.h"
#include "offers/reserve/reservations.h"
#include "offers/schema/schema.h"
#include "offers/schema/schema_registry.h"
#include "offers/shared/schema_shares.h"
#include "offers/spread/offer_spread.h"
#include "offers/store/offer_store.h"

struct node_key;
struct random;
struct store;
struct timer_wheel;

/*
 * The service offers of this node, and those of others that it keeps (docs/offers.md).
 *
 *	publish, update, revoke -> sign -> store -> spread	offers_own.c
 *	spread -> verify -> store -> spread			offers_heard.c
 *	spread -> query -> store -> response			offers_heard.c
 *	ask -> spread -> responses -> verify -> store		offers_heard.c
 *	find, show, list <- store				offers_found.c
 *	finds in several services				offers_several.c
 *	stored -> watches					offers_watch.c
 *	reserve -> reservations -> spread, boxes		offers_reserved.c
 *	spread, boxes -> reservations, or a box for another	offers_reserved.c
 *	older programs -> service messages -> store -> spread	offers_legacy.c
 *	schemas: shipped, added, removed			offers_schemas.c
  *	endorsements: made, heard; levels of offers		offers_verify.c
 *	service relays: which neighbour gets what		offers_roles.c
 *	life, time						service_offers.c
 *
 * Home worker only; nothing blocks.
 */
struct service_offers;

/* The neighbours that messages of a service go to. */
enum offers_relays_use {
	OFFERS_RELAYS_ANY,
	OFFERS_RELAYS_ENDORSED, /* those that are of level 1 and more in the service */
};

#define OFFERS_SERVICES_CAP 512
struct service_offers_config {
	bool is_on;
	enum offers_relays_use relays_use;
	/* names of the services that it relays, with spaces between them; empty: all of its schemas */
	char services[OFFERS_SERVICES_CAP];
	bool has_legacy_fapp; /* programs of the older wire of FAPP are answered */
	uint64_t
		room_len; /* bytes of offers and of their keys, by fair shares (store/offer_store.h) */
	struct spread_config spread;
};
void offers_config_defaults(struct service_offers_config *config);
/* offers_footprint: bytes of the store of offers, of reservations, and of messages on their way. */
size_t offers_footprint(const struct service_offers_config *config);

/* All borrowed until offers_close, but config, site and the seams, which are copied. */
struct service_offers_params {
	struct service_offers_config config;
	struct fair_site site;
	const struct node_key *key;
	struct store *store;
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours;
	struct timer_wheel *timers;
	struct random *random;
	struct offers_boxes boxes; /* put NULL: there are none, and so no reservations */
	uint64_t (*wall_s)(void *ctx);
	/* What became of a reservation; NULL: not wanted. */
	void (*happened)(void *ctx, enum reservation_event_kind kind,
			 const struct reservation_view *view);
	void *ctx;
	uint64_t now_ns;
};
/* offers_open: 0 or a negative code. offers_close writes what waits; takes NULL. */
WEFT_MUST_CHECK
int offers_open(const struct service_offers_params *params, struct service_offers **out_offers);
void offers_close(struct service_offers *offers);

/* offers_session_up: a neighbour is there. It gets some of this node's offers. Takes NULL. */
void offers_session_up(struct service_offers *offers, const uint8_t key[static MESH_KEY_LEN],
		       uint64_t now_ns);
/*
 * offers_add_schema adds a schema, or a later version of one that was added. offers_remove_schema
 * takes one away, so offers of it are not found any more. 0, and done is called once that is
 * durable. Else nothing has changed: the codes of schema_registry.h, or WEFT_EFULL.
 */
struct offer_schema_change {
	const char *text; /* of a schema that is added */
	size_t text_len;
	const char *name; /* its name, or that of one that is taken away */
	void (*done)(void *arg, int err);
	void *arg;
};
WEFT_MUST_CHECK
int offers_add_schema(struct service_offers *offers, const struct offer_schema_change *change,
		      struct schema_fault *fault);
WEFT_MUST_CHECK
int offers_remove_schema(struct service_offers *offers, const struct offer_schema_change *change);

/* The ref of an offer (store/offer_store.h) as text. */
#define OFFER_REF_TEXT_CAP 27u /* z-base-32, with its NUL */
#define OFFER_REF_TEXT_MIN 8u  /* letters that name one: OFFER_REF_PREFIX_LEN bytes */

/* An offer with what its newest update changed; borrowed for the call that it is given to. */
struct found_offer {
	uint8_t ref[OFFER_REF_LEN];
	const struct schema *schema;
	const struct schema_record *record;
	const uint8_t *provider_key;
	const uint8_t *provider; /* its address */
	bool is_own;
	uint8_t level;		    /* of verification, 0 to 3; OFFER_LEVEL_OWN: this node's own */
	unsigned endorsement_cnt;   /* of its provider in the service, whatever they count for */
	unsigned expired_cnt;	    /* of these, those that have expired */
	uint32_t units, units_left; /* of an own one, those that are not confirmed */
	uint64_t sequence, published_s, expires_s;
};
typedef void (*found_offer_fn)(void *arg, const struct found_offer *offer);

/* What a provider says of its own offer; words are FIELD=VALUE, by the schema. */
struct offer_draft {
	const struct schema *schema; /* of a new one */
	const char *name;	     /* of one that is there: the first letters of its id */
	const char *const *words;
	size_t word_cnt;
	uint32_t units;	    /* 0: 1, or as before */
	uint16_t ttl_hours; /* 0: the schema's */
	bool is_seed_form;
	/* called once with 0 when it is durable, unless the call itself fails */
	void (*done)(void *arg, int err);
	void *arg;
};
/*
 * offers_publish announces a new offer, offers_update changes one of this node, offers_revoke
 * withdraws it. 0, with ref of the offer, or an error with what is wrong in *fault:
 *   WEFT_EMALFORMED a word is none of the schema, or one that is needed is missing
 *   WEFT_EABSENT    this node has no such offer
 *   WEFT_EEXISTS    several of its offers begin so
 *   WEFT_EFULL      no room is left for it
 *   WEFT_EBUSY      the disk does not keep up
 */
WEFT_MUST_CHECK
int offers_publish(struct service_offers *offers, const struct offer_draft *draft, uint64_t now_ns,
		   uint8_t out_ref[static OFFER_REF_LEN], struct schema_fault *fault);
WEFT_MUST_CHECK
int offers_update(struct service_offers *offers, const struct offer_draft *draft, uint64_t now_ns,
		  uint8_t out_ref[static OFFER_REF_LEN], struct schema_fault *fault);
WEFT_MUST_CHECK
int offers_revoke(struct service_offers *offers, const struct offer_draft *draft, uint64_t now_ns,
		  struct schema_fault *fault);

/* offers_schema_of: the schema of an offer, or NULL; that of an experiment is read in the offer. */
const struct schema *offers_schema_of(struct service_offers *offers, const struct offer_name *name);
/*
 * offers_show gives the offer whose name, the text of its ref, begins with name: 0, WEFT_EABSENT, WEFT_EEXISTS
 * (several do) or WEFT_EMALFORMED. offers_each_own gives this node's own, of schema or (NULL) all, in no order that means anything.
 */
WEFT_MUST_CHECK
int offers_show(struct service_offers *offers, const char *name, found_offer_fn fn, void *arg);
struct own_offers_ask {
	const struct schema *schema;
	unsigned skip; /* so many are left out at the beginning */
	found_offer_fn fn;
	bool (*is_full)(void *arg); /* as of offer_page_ask */
	void *arg;
};
WEFT_MUST_CHECK
int offers_each_own(struct service_offers *offers, const struct own_offers_ask *ask);

/*
 * What is looked for: services, and what is asked of each. offers_choose reads
 * SCHEMA[,SCHEMA...] and words. FILTER=VALUE asks each service, and SCHEMA.FILTER=VALUE that one
 * alone. The choice is the offers' own: it lasts until the next one, and words as long. Else:
 *   WEFT_EABSENT     no schema has the name in fault->field
 *   WEFT_EMALFORMED  what is wrong is in *fault
 */
#define OFFERS_WANTED_MAX 4u /* as SERVICE_QUERY_PARTS_MAX */
struct offer_wanted {
	const struct schema *schema;
	const struct schema_query *query;
};
struct offer_choice {
	unsigned cnt;
	struct offer_wanted wanted[OFFERS_WANTED_MAX];
	struct schema_query queries[OFFERS_WANTED_MAX];
};
struct offer_words {
	const char *names;
	const char *const *words;
	size_t word_cnt;
};
WEFT_MUST_CHECK
int offers_choose(struct service_offers *offers, const struct offer_words *words,
		  const struct offer_choice **out_choice, struct schema_fault *fault);

struct offer_page_ask {
	const struct offer_wanted *wanted;
	unsigned wanted_cnt; /* 1 to OFFERS_WANTED_MAX */
	uint64_t before;     /* OFFER_NEWEST, or next of the page before */
	unsigned page_max;
	bool has_level; /* level: at least that one; else what each schema asks for */
	uint8_t level;
	found_offer_fn fn;
	/* asked behind each offer: true ends the page; NULL: page_max alone does */
	bool (*is_full)(void *arg);
	void *arg;
};
/* offers_find: offers that are kept here, of all services the newest first. 0 or a negative code. */
WEFT_MUST_CHECK
int offers_find(struct service_offers *offers, const struct offer_page_ask *ask,
		struct offer_search_result *out_result);
/*
 * offers_left_out: how many offers fit but for their level, at most OFFERS_LEFT_OUT_MAX, which stands
 * for that and more.
 */
#define OFFERS_LEFT_OUT_MAX 100u
unsigned offers_left_out(struct service_offers *offers, const struct offer_page_ask *ask);

/*
 * offers_ask sends a query to the nodes around. What they answer is kept as other offers are, for a
 * while after: offers_find finds it. Returns how many neighbours were asked, or WEFT_EFULL (too many
 * queries of this node in a minute), or WEFT_ETOOLARGE.
 */
WEFT_MUST_CHECK
int offers_ask(struct service_offers *offers, const struct offer_wanted *wanted, unsigned cnt,
	       uint64_t now_ns);

/*
 * offers_sign_endorsement writes what this node says of a provider: its address, service, level,
 * credential, reason, form, and when it expires (0: in a year). Level 0 withdraws what it said
 * before. Nothing is kept yet. 0, or:
 *   WEFT_EMALFORMED  said is no endorsement, or one of this node itself
 *   WEFT_EABSENT     nothing is there to withdraw
 */
WEFT_MUST_CHECK
int offers_sign_endorsement(struct service_offers *offers, const struct endorsement *said,
			    struct writer *w);
/*
 * offers_add_endorsement keeps one that the operator made or has from elsewhere, and sends it to
 * the neighbours. put has its bytes, done, arg and the time.
 */
enum endorse_verdict offers_add_endorsement(struct service_offers *offers,
					    const struct endorse_put *put);
/*
 * offers_trust changes the trust of the operator: a level_max of 0 takes it away. Levels of
 * offers are others at once. As offers_endorse_trust and offers_endorse_distrust.
 */
WEFT_MUST_CHECK
int offers_trust(struct service_offers *offers, const struct endorse_trust *trust,
		 const struct endorse_put *put);
struct endorse_book *offers_endorse_book(struct service_offers *offers);
struct service_relays *offers_service_relays(struct service_offers *offers);

/*
 * A watch gives the offers that fit from when they are stored here. These are new ones, and those
 * that a change makes fit, of the offer or of its provider's level. Each comes once, as far as the
 * latest 1,024 that were given tell. Programs of this machine and readers of the gateway have
 * OFFER_WATCHES_MAX in all, by fair shares of their users and networks. Where all are taken, the youngest watch of the user that has most ends
 * for that of another.
 */
#define OFFER_WATCHES_MAX 64u
struct offer_watch;
struct offer_watch_ask {
	struct offer_words words; /* as offers_choose; copied */
	bool has_level;		  /* as of offer_page_ask */
	uint8_t level;
	enum fair_class class; /* FAIR_CHOSEN: a user of this machine, with half of the places */
	uint64_t account;      /* of the program's user, or of a network of the gateway's */
	found_offer_fn fn;     /* it calls no function of offers but offers_unwatch */
	/* The watch is no more: WEFT_EABSENT, as a schema of it is none, or WEFT_EFULL, for another. */
	void (*ended)(void *arg, int err);
	void *arg;
};
/* offers_watch: 0, WEFT_EFULL, -ENOMEM, or as offers_choose. */
WEFT_MUST_CHECK
int offers_watch(struct service_offers *offers, const struct offer_watch_ask *ask,
		 struct offer_watch **out_watch, struct schema_fault *fault);
/* offers_unwatch takes NULL. */
void offers_unwatch(struct offer_watch *watch);
void offers_watches_fair(const struct service_offers *offers, struct fair_view *out_view);

/*
 * A message of the older wire of FAPP, of a program that has the right to publish. What it announces is
 * kept as if a neighbour had sent it, in the seed form, and goes on. A query is answered from what
 * is kept here. Numbers of a minute: those of spread_config for a provider, for all providers
 * together, and for queries.
 */
#define OFFERS_LEGACY_ANSWER_MAX 65536u
/* 2027-05-26, half a year after the first weft that speaks both. It is to go after that. */
#define OFFERS_LEGACY_FAPP_UNTIL_S 1811289600ull
enum offers_legacy_verdict {
	OFFERS_LEGACY_TAKEN,
	OFFERS_LEGACY_ANSWERED, /* by what was written to answer */
	OFFERS_LEGACY_OFF,
	OFFERS_LEGACY_MALFORMED,
	OFFERS_LEGACY_REFUSED,
	OFFERS_LEGACY_TOO_MANY, /* in this minute */
};
struct offers_legacy_ask {
	const uint8_t *bytes;
	size_t len;
	struct writer *answer; /* of OFFERS_LEGACY_ANSWER_MAX bytes */
	char why[256];	       /* set: what is wrong */
	uint64_t now_ns;
};
enum offers_legacy_verdict offers_legacy_input(struct service_offers *offers,
					       struct offers_legacy_ask *ask);
struct offers_legacy_stats {
#define FIGURE FIGURE_FIELD
#include "offers/legacy/offers_legacy_counters.def"
};
void offers_legacy_stats(const struct service_offers *offers, uint64_t now_ns,
			 struct offers_legacy_stats *out_stats);

/* --- reservations --- */

struct offer_reserve_ask {
	const char *name; /* of the offer, its first letters */
	uint32_t units;
	uint16_t hours; /* for the provider to answer; 0: RESERVATION_HOURS */
	const char *text;
	size_t text_len;
	const uint8_t *store; /* the STORE node that gets the answer; NULL: a neighbour is chosen */
	/* called once with 0 when it is durable, unless the call itself fails */
	void (*done)(void *arg, int err);
	void *arg;
};
/*
 * offers_reserve asks the provider of an offer for units of it. 0, with the id of the reservation, or
 * an error with what is wrong in *fault: those of offers_show, of offers_reservations_make, and
 *   WEFT_EUNREACHABLE  no neighbour keeps answers
 *   WEFT_EREFUSED      the offer is this node's own, or its answer would come to the provider, or to
 *                      this node, itself
 */
WEFT_MUST_CHECK
int offers_reserve(struct service_offers *offers, const struct offer_reserve_ask *ask,
		   uint64_t now_ns, uint8_t out_id[static RESERVATION_ID_LEN],
		   struct schema_fault *fault);

/* What became of a message that a box had. */
enum offers_delivery {
	OFFERS_DELIVERY_TAKEN, /* offers_boxes.settle follows */
	OFFERS_DELIVERY_UNFIT, /* it is not wanted here */
	OFFERS_DELIVERY_LATER, /* there is no room for it now */
};
struct offers_delivered {
	const uint8_t *recipient; /* this node's key, or a one-time key of a reservation */
	const uint8_t *bytes;	  /* a service message; not looked at */
	size_t len;
	uint64_t ticket;
};
enum offers_delivery offers_deliver(struct service_offers *offers,
				    const struct offers_delivered *delivered, uint64_t now_ns);

struct reservations *offers_reservations(struct service_offers *offers);

struct offer_store *offers_store(struct service_offers *offers);
struct offer_spread *offers_spread(struct service_offers *offers);
struct schema_registry *offers_registry(struct service_offers *offers);
struct schema_shares *offers_schema_shares(struct service_offers *offers);

#endif
