/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_NODE_METHODS_H
#define WEFT_NODE_METHODS_H

#include <jansson.h>

#include "control/control.h"
#include "mesh/mesh.h"
#include "node/node_state.h"

/*
 * The handlers behind the control socket, one file per object. ctx is the
 * struct node; parameters were checked against the interface description
 * before a handler sees them, so a field has its declared type or is
 * missing if optional.
 */
typedef void method_fn(void *ctx, struct control_call *call, const json_t *parameters,
		       uint64_t now_ns);

/* share.c */
method_fn method_add_share, method_list_shares, method_remove_share, method_cancel_import;
method_fn method_cancel_call;
method_fn method_plan_gc, method_run_gc;
/* traffic.c. traffic: of all workers. json_rates: the rows of timetables that are not empty. */
struct content_traffic method_traffic(struct node *node, uint64_t now_ns);
json_t *method_json_rates(struct node *node, uint64_t now_ns);
method_fn method_list_traffic_limits, method_set_traffic_limit;
/* seeding.c */
method_fn method_show_seeding, method_list_share_items;
/* publish.c */
method_fn method_new_share, method_publish_share, method_set_share, method_show_share;
method_fn method_revoke_share, method_rotate_share, method_retire_share, method_export_share_key;
method_fn method_watch_share;
/* share_browse.c */
method_fn method_list_node_shares;
/* share_diff.c */
method_fn method_diff_share;
/* get.c */
method_fn method_get, method_watch_get, method_list_gets, method_cancel_get, method_resume_get;
method_fn method_pause_get, method_set_get, method_list_get_sources;
/* get_keep.c */
method_fn method_forget_get, method_set_seeding;
/* sub.c */
method_fn method_add_follow, method_list_follows, method_set_follow, method_remove_follow;
method_fn method_show_follow, method_sync_follows;
/* community.c */
method_fn method_create_community, method_join_community, method_leave_community;
method_fn method_list_communities, method_link_community, method_make_community_token;
method_fn method_expel_community_member;
/* community_show.c */
method_fn method_list_community_members, method_list_community_shares, method_search_community;
/* peer.c */
method_fn method_list_peers, method_show_peer, method_set_peer;
/* connect.c */
method_fn method_connect_peer;
/* ping.c */
method_fn method_ping_peer;
/* lan.c */
method_fn method_list_lan_nodes;

/* announce.c */
method_fn method_show_announce;
/* search.c */
method_fn method_search, method_show_search;

/* overlay.c */
method_fn method_show_overlay;
/* dht.c */
method_fn method_show_dht, method_list_dht_nodes;
/* dht_search.c */
method_fn method_lookup_dht, method_get_dht_item, method_put_dht_item;
method_fn method_find_dht_peers, method_announce_dht, method_find_route;
/* route.c */
method_fn method_show_published, method_publish_route;
/* check.c */
method_fn method_check_peer;
/* top.c */
method_fn method_watch_load;
/* state.c */
method_fn method_status, method_get_node_id, method_show_memory;
/* limits.c */
method_fn method_show_limits;
/* xdp.c */
method_fn method_plan_xdp, method_attach_xdp, method_keep_xdp, method_detach_xdp, method_show_xdp;
method_fn method_set_xdp_mode, method_list_xdp_counters;
/* ban.c */
method_fn method_add_ban, method_list_bans, method_remove_ban;
/* why.c */
method_fn method_show_why;
/* policy.c */
method_fn method_show_policy, method_test_policy;
/* service.c */
method_fn method_list_services, method_find_service, method_open_service,
	method_show_service_limits;
/* service_offer.c */
method_fn method_publish_service, method_withdraw_service, method_reset_service,
	method_set_service_access, method_list_service_methods;
/* service_call.c */
method_fn method_call_service;
method_fn method_describe_service;
/* service_stream.c */
method_fn method_open_service_stream;
/* drops.c */
method_fn method_list_drops, method_list_drop_sources;
/* backup.c */
method_fn method_backup_store;
/* backup_keys.c */
method_fn method_backup_keys;
/* daemon.c */
method_fn method_watch_events, method_show_config, method_check_store, method_check_files,
	method_reload, method_shutdown;

/* share.c: an import of path. publish.c: the shares that this node publishes. */
struct content_import;
json_t *method_json_import(const struct content_import *import, const char *path);
json_t *method_json_published_shares(const struct node *node);

/* get.c: content/ says that a get moved; its watchers are told. */
void method_get_moved(struct node *node, uint64_t get_id);

/* After control_close: what waited to reply to a call is dropped. */
void method_imports_forget(struct node *node);
/* method_files_check_forget: while content/ is there. */
void method_files_check_forget(struct node *node);
void method_get_watches_forget(struct node *node);
void method_pings_forget(struct node *node);
void method_load_watches_forget(struct node *node);
void method_checks_forget(struct node *node);
void method_dht_runs_forget(struct node *node);
void method_joinings_forget(struct node *node);
/*
 * kept.c: method_reply_kept answers call by reply, which it takes, once what was given to the
 * store before is durable, or says that it is not. _forget: callers are gone, the store is not.
 */
void method_reply_kept(struct node *node, struct control_call *call, json_t *reply);
void method_kept_forget(struct node *node);

/*
 * peer.c. method_json_peer: as a caller of role may see it.
 * method_peer_lookup: how many known peers' NodeIds begin with
 * name (2: several); *out_peer is written for 1. method_node_id_read reads the
 * key a call names, which may be cut when it is a known peer's; false: call was
 * failed.
 */
json_t *method_json_peer(const struct node *node, const struct mesh_peer_info *peer,
			 enum control_role role);
unsigned method_peer_lookup(struct node *node, const char *name, struct mesh_peer_info *out_peer);
bool method_node_id_read(struct node *node, struct control_call *call, const char *name,
			 uint8_t key[static MESH_KEY_LEN]);

/*
 * ban.c. method_target_read reads the address, prefix or node id, which
 * may be cut when it is a known peer's, that a call names; false: call was failed.
 */
json_t *method_json_ban(const struct ban *ban);
bool method_target_read(struct node *node, struct control_call *call, const char *text,
			struct ban_target *out_target);
/* drops.c: what a caller of role may see, of an address or /64 and of what was dropped. */
#define METHOD_SOURCE_CAP 50
const char *method_source_name(const struct drops *drops, const struct weft_endpoint *source,
			       enum control_role role, char text[static METHOD_SOURCE_CAP]);
json_t *method_json_drop_source(const struct drops *drops, const struct offender *offender,
				enum control_role role);

/* dht.c. method_dht_is_on: false: call was failed. */
struct kad_id;
bool method_dht_is_on(const struct node *node, struct control_call *call);
json_t *method_json_kad_id(const struct kad_id *id);
/* dht.c: how full a table is, and what to set for a larger one. */
json_t *method_json_fill(const char *name, uint64_t used, uint64_t cap, const char *setting);
/*
 * service.c. method_services_are_on: false: call was failed. method_json_offer: an offer of
 * this node, or NULL. service_offer.c: method_offer_describe adds to the offer of info what
 * is known of its program.
 */
struct service_info;
bool method_services_are_on(const struct node *node, struct control_call *call);
json_t *method_json_offer(struct node *node, const char *name, const char *version);
void method_offer_describe(struct node *node, const struct service_info *info, json_t *json);
/* route.c: an address record of key; what is only known when it is signed, beside it. */
json_t *method_json_record(const uint8_t *key, const struct pkarr_record *record);
void method_json_record_packet(json_t *json, const struct pkarr_packet *packet);

/*
 * share.c: the collection that a call names by its link, its id or the beginning of that;
 * false: call was failed.
 */
bool method_share_read(struct node *node, struct control_call *call, const char *name,
		       uint8_t manifest_id[static 32]);

struct packet_counters;
/* state.c: each worker; bytes of this process that are resident, 0 when /proc is not there. */
json_t *method_json_workers(const struct node *node);
/* health.c: Health of the interface. */
struct figures;
json_t *method_json_health(struct node *node, const struct figures *figures, uint64_t now_ns);
uint64_t method_resident_len(void);
/* xdp.c: attached devices. get.c: gets, those that run or all. drops.c: by reason. */
json_t *method_json_devices(const struct node *node);
json_t *method_json_gets(struct node *node, bool wants_all);
json_t *method_json_drops(const struct drops *drops);
json_t *method_json_drop(const struct drops *drops, enum weft_reason reason);
/* peer.c: fn for each known peer of all workers, connected ones first, until it returns false. */
void method_peers_each(struct node *node, bool (*fn)(void *arg, const struct mesh_peer_info *peer),
		       void *arg);
/* pools.c: those that are shared fairly; role decides how networks are named. */
json_t *method_json_pools(struct node *node, enum control_role role);
/* limits.c: of all tables, as ShowLimits tells them. */
json_t *method_json_limits(struct node *node);
/* state.c: one side of packet I/O. */
json_t *method_json_side(const char *backend, const char *reason,
			 const struct packet_counters *counts);
/* table.c: small shapes several files need. */
json_t *method_json_id(const uint8_t id[static 32]); /* z-base-32 */
json_t *method_json_uint(uint64_t value);
/*
 * method_fail_link fails call for a text that link_parse refused with err;
 * wanted tells whose text is no link at all what to give.
 */
void method_fail_link(struct control_call *call, int err, const char *text, const char *wanted);

#endif
