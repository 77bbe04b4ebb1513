/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_API_H
#define WEFT_API_API_H

#include "api/events/event_log.h"
#include "control/control.h"
#include "firewall/bans.h"
#include "firewall/drop_counters.h"
#include "firewall/firewall.h"
#include "firewall/incidents.h"
#include "firewall/policy_record.h"
#include "locate/locate.h"
#include "mesh/seam.h"
#include "deposits/deposits.h"
#include "offers/service_offers.h"
#include "social/social.h"
#include "port_mapping/port_mapping.h"
#include "punch/punch.h"
#include "reachability/reachability.h"
#include "relay/grants/honoured.h"
#include "relay/messages/relay_messages.h"
#include "relay/pool/relay_pool.h"
#include "relay/role/relay_role.h"
#include "relay/trust/relay_trust.h"
#include "relay/receipts/relay_receipts.h"
#include "relay/relay.h"
#include "relay/slots/relay_slots.h"
#include "relay/web/web.h"
#include "relay/web_end/web_end.h"
#include "config/config.h"
#include "worker/fastpath/fastpath.h"
#include "worker/worker.h"
#include "worker/workers.h"

/* The advice for a damaged store. */
#define API_DAMAGE_NEXT                                                                            \
	"Stop weftd; weft backup restore DIR then puts a backup in its place, weft store salvage " \
	"keeps all of it that is sound"

/* Gets whose progress events are thinned apart from each other's. */
#define API_PROGRESS_SLOTS 8

/*
 * The rooms, as the handlers of methods and routes see them, and the calls that wait for an
 * answer. The node sets the pointers when all rooms are open. Home worker only.
 */
struct api {
	const struct node_config *config;
	const struct node_key *key;
	const uint8_t *own_key;		     /* its public half */
	const struct last_crash *last_crash; /* NULL: the run before ended well */
	struct random *random;
	struct store *store;
	struct worker *home;
	struct workers *workers;       /* NULL: home is the only worker */
	struct blobs_servers *servers; /* likewise: of content, on the workers */
	struct fastpath *fastpath;
	struct bans *bans;
	struct drops *drops;
	struct incidents *incidents;
	struct record *record;
	struct locate *locate;
	struct reachability *reachability;
	struct punch *punch;
	struct port_mapping *port_mapping;     /* NULL: simulated, or off */
	struct relay *relay;		       /* NULL: this node is no relay */
	struct relay_broker *relay_broker;     /* likewise */
	struct relay_honoured *relay_honoured; /* NULL: it honours no grants */
	struct relay_messages *relay_messages; /* likewise */
	const struct relay_role *relay_role;
	struct relay_pool *relay_pool;	       /* NULL: its operator has no other relay */
	struct relay_receipts *relay_receipts; /* of what relays carried */
	struct relay_slots *relay_slots;       /* of this relay, and of this node at others */
	const struct relay_trust_rule *relay_trust;
	struct relay_end *relay_end; /* of flows through other relays */
	struct relay_held *relay_held;
	struct relay_web *relay_web;	     /* NULL: nor one over WebSocket */
	struct relay_web_end *relay_web_end; /* NULL: no relay is used over WebSocket */
	struct control *control;	     /* NULL: simulated without local programs */
	struct service_offers *offers;	     /* NULL: they are off */
	struct deposits *deposits;	     /* NULL: there are none */
	struct social *social;		     /* NULL: it is off */
	uint64_t started_ns;

	/* NULL: services are off. */
	struct overlay *overlay;
	struct relay_find *relay_find;
	struct mesh_pex *pex;
	struct mesh_rendezvous *rendezvous; /* NULL also where it is not wanted */
	struct service *service;
	struct service_directory *directory;
	struct service_publisher *service_publisher;
	struct service_reputation *reputation;
	struct provider *provider; /* NULL also where no local programs are */
	struct builtin *builtin;
	struct provider_tenants *tenants;

	/* NULL: sharing is off. */
	struct publisher *publisher;
	struct watches *watches;
	struct follows *follows;
	struct search *search;
	struct communities *communities;
	struct announce *announce;	 /* NULL also without the overlay */
	const struct lan_discovery *lan; /* NULL also when simulated */

	/* The node's functions for a caller; ctx is the node's. */
	uint64_t (*wall_us)(void *ctx);
	unsigned (*own_addrs)(void *ctx, struct addr addrs[static MESH_PEER_ADDRS_MAX]);
	void (*own_places)(void *ctx, struct peer_places *out_places);
	void (*shares_changed)(void *ctx); /* which peers count as more than one */
	/* That the schemas of a followed share are wanted, or not any more, has changed. */
	void (*read_schemas)(void *ctx, const uint8_t share_id[static 32], uint64_t now_ns);
	void (*stop)(void *ctx);
	/*
	 * This node is a relay as choice says once that is durable; then done(arg, err). With an err
	 * nothing has changed. 0, WEFT_EBUSY (one is on its way), -ENOMEM or of store_submit: then
	 * done is not called.
	 */
	int (*choose_relay)(void *ctx, enum relay_role_choice choice,
			    void (*done)(void *arg, int err), void *arg);
	int (*reload)(void *ctx, config_change_fn changed, void *arg,
		      char message[static CONFIG_MESSAGE_CAP]);
	bool is_stopping; /* set by the node */
	void *ctx;

	/* For events. */
	struct event_log event_log;
	uint64_t progress_told_ns[API_PROGRESS_SLOTS]; /* by get id */
	uint64_t import_told_ns;		       /* one import runs at a time */
	uint64_t access_salt[2]; /* of callers in the access log, until a restart */
	bool has_access_salt;
	uint64_t access_cnt; /* of records in mode sampled */

	/* For the handlers themselves. */
	struct web *web;				       /* http/; NULL: it is off */
	struct import_record *imports;			       /* method_share.c */
	struct get_watch *get_watches;			       /* method_get.c */
	struct ping_run *ping_runs;			       /* method_ping.c */
	struct load_watch *load_watches;		       /* method_top.c */
	struct check_run *check_runs;			       /* method_check.c */
	struct dht_run *dht_runs;			       /* method_dht_lookup.c */
	struct bootstrap_check *bootstrap_checks;	       /* method_bootstrap_check.c */
	struct schema_look *schema_looks;		       /* method_schema_look.c */
	struct group_call *group_calls;			       /* social/method_group.c */
	struct joining *joinings;			       /* method_community.c */
	struct post_writing *post_writings;		       /* social/post_words.c */
	struct reserving *reservings;			       /* method_reservation.c */
	struct saying *offer_sayings;			       /* method_offer.c */
	struct idempotent_reply *idempotent_replies;	       /* method_idempotency.c */
	struct community_question_record *community_questions; /* method_community_show.c */
	struct api_share_call *share_calls;		       /* method_publish.c */
	uint64_t blocked_stamp;			  /* of the blocked contents that search has */
	bool is_checking;			  /* a CheckStore or a BackupStore runs */
	struct bundle_run *bundle_run;		  /* daemon/method_bundle.c */
	struct files_check *files_check;	  /* the CheckFiles that runs */
	struct rows_forgetting *rows_forgettings; /* method_service_forget.c */
};

/* method_table.c: api_new is all zeros; NULL: no memory. api_free takes NULL. */
struct api *api_new(void);
void api_free(struct api *api);
/*
 * method_table.c: api_forget drops what waits to answer a call; after control_close, while content and
 * store are there. share_call.c: api_share_calls_forget drops those that wait for shares, once these
 * are gone.
 */
void api_forget(struct api *api);
void api_share_calls_forget(struct api *api);

/* method_table.c: the method table of the control socket; ctx is the struct api. */
extern const struct control_method api_methods[];
extern const char *const api_upgrades[]; /* of them, those that take the connection */

#endif
