/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_METHODS_H
#define WEFT_API_METHODS_H

#include <jansson.h>

#include "api/api.h"
#include "varlink/node.h"
#include "control/control.h"
#include "mesh/mesh.h"

/*
 * The handlers behind the control socket, one file per object, named as their
 * methods are: ShowDht is api_show_dht. in is borrowed until a handler returns.
 */
#define METHOD(name, word, role)                                                                   \
	void api_##word(struct api *api, struct control_call *call,                                \
			const struct api_##word##_in *in, uint64_t now_ns);
API_METHODS(METHOD)
#undef METHOD

/* api_reply(call, list_bans, .bans = bans) ends a call of ListBans; api_reply_more does not. */
#define api_reply(call, method, ...)                                                               \
	control_reply(call, api_##method##_out_write(&(struct api_##method##_out){__VA_ARGS__}))
#define api_reply_more(call, method, ...)                                                          \
	control_reply_more(call,                                                                   \
			   api_##method##_out_write(&(struct api_##method##_out){__VA_ARGS__}))

/* method_traffic.c. traffic: of all workers. api_rates: the rows of timetables that are not empty. */
struct blobs_traffic api_traffic(struct api *api, uint64_t now_ns);
struct api_traffic_limit_list api_rates(struct varlink_blocks *blocks, struct api *api,
					uint64_t now_ns);

/* method_share.c: an import of path. */
struct blobs_import;
struct api_import api_import(struct varlink_blocks *blocks, const struct blobs_import *import,
			     const char *path);

/* method_get.c: blobs/ says that a get moved; its watchers are notified. */
void api_get_moved(struct api *api, uint64_t get_id);

/* method_offer.c, method_schema.c: as their methods give them; texts are in blocks. */
struct api_offer api_offer_row(struct varlink_blocks *blocks, const struct found_offer *offer);
/*
 * A page of offers ends behind the row that passes OFFER_PAGE_LEN. A row has 320 KiB at most, by what
 * a message and a schema may have, and a reply of the control socket 1 MiB.
 */
#define OFFER_PAGE_LEN (512u * 1024)
size_t api_offer_row_len(const struct api_offer *row);
struct api_schema api_schema_row(struct varlink_blocks *blocks, const struct schema_entry *entry,
				 bool is_on);
/* method_reservation.c: likewise. */
struct api_reservation api_reservation_row(struct service_offers *offers,
					   struct varlink_blocks *blocks,
					   const struct reservation_view *view);

/* Parts of api_forget. */
void api_imports_forget(struct api *api);
void api_files_check_forget(struct api *api);
void api_get_watches_forget(struct api *api);
void api_pings_forget(struct api *api);
void api_load_watches_forget(struct api *api);
void api_checks_forget(struct api *api);
void api_dht_runs_forget(struct api *api);
void api_bootstrap_checks_forget(struct api *api);
void api_joinings_forget(struct api *api);
void api_group_calls_forget(struct api *api);
void api_rows_forgettings_forget(struct api *api);
void api_offer_sayings_forget(struct api *api);
void api_schema_looks_forget(struct api *api);
void api_reservings_forget(struct api *api);
void api_post_writings_forget(struct api *api);
void api_bundle_forget(struct api *api);
/*
 * method_idempotency.c: api_reply_idempotent answers call by reply, which it takes, once what was given to the
 * store before is durable, or says that it is not. _forget: callers are gone, the store is not.
 */
void api_reply_idempotent(struct api *api, struct control_call *call, json_t *reply);
void api_idempotency_forget(struct api *api);

/*
 * method_peer.c. api_peer: as the caller may see it; its texts are of the next reply.
 * api_peer_address: where addr is, as the caller may see it; NULL: nowhere, or a label of a relay's
 * flow. api_peer_relay: the key of the relay of a label; NULL: addr is none.
 * api_peer_lookup: how many known peers' NodeIds begin with
 * name (2: several); *out_peer is written for 1. api_peer_read reads the known peer that a call
 * names; false: call was failed. api_node_id_read reads the
 * key a call names, which may be cut when it is a known peer's; false: call was
 * failed.
 */
const char *api_peer_address(struct control_call *call, const struct api *api,
			     const struct addr *addr);
const char *api_peer_relay(struct varlink_blocks *blocks, const struct api *api,
			   const struct addr *addr);
bool api_peer_read(struct api *api, struct control_call *call, const char *name,
		   struct mesh_peer_info *out_peer);
struct api_peer api_peer(struct control_call *call, const struct api *api,
			 const struct mesh_peer_info *peer);
/* api_service_roles: method_endorse.c: what the peer of key says of its services, or NULL. */
const char *api_service_roles(struct api *api, struct varlink_blocks *blocks, const uint8_t *key);
/* api_contribution: method_contribution.c */
struct api_contribution api_contribution(struct control_call *call, const struct api *api,
					 const uint8_t *key);
unsigned api_peer_lookup(struct api *api, const char *name, struct mesh_peer_info *out_peer);
/*
 * peer_social.c. api_peer_social: what the peer, whose HELLO says caps, is to the people of this node.
 * api_peer_introduced: a node that others named to this one's people; false: it has no route.
 */
struct api_peer_social api_peer_social(struct control_call *call, const struct api *api,
				       const uint8_t *key, uint32_t caps, uint64_t now_ns);
bool api_peer_introduced(const struct api *api, const uint8_t *key,
			 struct mesh_peer_info *out_peer);
bool api_node_id_read(struct api *api, struct control_call *call, const char *name,
		      uint8_t key[static MESH_KEY_LEN]);
/* api_addrs_read: addresses with ports, for name; false: call was failed. */
bool api_addrs_read(struct control_call *call, const char *name,
		    const struct api_string_list *given,
		    struct addr out_addrs[static MESH_PEER_ADDRS_MAX], unsigned *out_cnt);

/*
 * relayed_reason.c. api_relayed_reason: why the session with peer goes through a relay; false: it does
 * not, or there is none. api_punching_text: what came of hole punching with key, or NULL.
 */
bool api_relayed_reason(struct varlink_blocks *blocks, const struct api *api,
			const struct mesh_peer_info *peer, struct api_relayed_reason *out);
const char *api_punching_text(struct varlink_blocks *blocks, const struct api *api,
			      const uint8_t *key);

/*
 * method_relay_role.c. api_no_relay: why relay.unknown leaves no relay to reach peer through. NULL:
 * some relay is left, none is known at all, or peer has a session.
 */
const char *api_no_relay(const struct api *api, const struct mesh_peer_info *peer);

/*
 * proxy_fault.c. api_proxy_problem: what a fault of the HTTP proxy means (enum tcp_proxy_fault).
 * api_proxy_failed: the newest connection through it failed, since_ns or later.
 * api_proxy_is_to_blame: and the destination is not why. api_proxy_text: how it does.
 */
struct api_proxy_problem {
	char why[64];
	const char *next;
};
void api_proxy_problem(unsigned fault, struct api_proxy_problem *out);
bool api_proxy_failed(const struct api *api, uint64_t since_ns, struct api_proxy_problem *out);
bool api_proxy_is_to_blame(const struct api *api, struct api_proxy_problem *out);
const char *api_proxy_text(struct varlink_blocks *blocks, const struct api *api);

/*
 * method_ban.c. api_target_read reads the address, prefix or node id that a call
 * names. The id may be cut when it is a known peer's. False: call was failed.
 */
struct api_ban api_method_ban(struct varlink_blocks *blocks, const struct ban *ban);
bool api_target_read(struct api *api, struct control_call *call, const char *text,
		     struct ban_target *out_target);
/* method_drops.c: what a caller of role may see, of an address or /64 and of what was dropped. */
#define METHOD_SOURCE_CAP 50
const char *api_source_name(const struct drops *drops, const struct weft_endpoint *source,
			    enum control_role role, char text[static METHOD_SOURCE_CAP]);
struct api_drop_source api_method_drop_source(struct varlink_blocks *blocks,
					      const struct drops *drops,
					      const struct offender *offender,
					      enum control_role role);
struct api_drop api_method_drop(const struct drops *drops, enum weft_reason reason);
void api_drops(struct varlink_blocks *blocks, const struct drops *drops,
	       struct api_drop_list *out_drops);

/* method_dht.c. api_dht_is_on: false: call was failed. */
struct kad_id;
bool api_dht_is_on(const struct api *api, struct control_call *call);
/* api_kad_id, api_addr, method_table.c: api_id: texts in blocks. */
const char *api_kad_id(struct varlink_blocks *blocks, const struct kad_id *id);
const char *api_addr(struct varlink_blocks *blocks, const struct addr *addr);
const char *api_id(struct varlink_blocks *blocks, const uint8_t id[static 32]); /* z-base-32 */
/*
 * method_service.c. api_services_are_on: false: call was failed. api_offer: an offer of this node,
 * in blocks, or NULL. method_service_offer.c: api_offer_describe adds what is known of its program.
 */
bool api_services_are_on(const struct api *api, struct control_call *call);
const struct api_service_offer *api_offer(struct api *api, struct varlink_blocks *blocks,
					  const char *name, const char *version);
void api_offer_describe(struct api *api, struct varlink_blocks *blocks,
			struct api_service_offer *offer);
/*
 * method_route.c: api_record is an address record of key, in blocks; packet is what it was signed
 * as, NULL: it was not. NULL without memory.
 */
/* api_published_relays: rows of vias, which a caller of the role view sees without addresses. */
void api_published_relays(struct control_call *call, const struct peer_via *vias, unsigned cnt,
			  struct api_published_relay_list *relays);
const struct api_address_record *api_record(struct varlink_blocks *blocks, const uint8_t *key,
					    const struct pkarr_record *record,
					    const struct pkarr_packet *packet);

/*
 * method_share.c: the collection that a call names by its link, its id or the beginning of that;
 * false: call was failed.
 */
bool api_share_read(struct api *api, struct control_call *call, const char *name,
		    uint8_t manifest_id[static 32]);

struct packet_counters;
/* method_state.c: each worker; bytes of this process that are resident, 0 when /proc is not there. */
void api_workers(struct varlink_blocks *blocks, const struct api *api,
		 struct api_worker_list *out_workers);
/* method_health.c: Health of the interface. */
struct figures;
struct api_health api_health(struct varlink_blocks *blocks, struct api *api,
			     const struct figures *figures, uint64_t now_ns);
uint64_t api_resident_len(void);
/* method_get.c: gets, those that run or all. */
struct api_get_info_list api_gets(struct varlink_blocks *blocks, struct api *api, bool wants_all);
/*
 * method_peer.c. An api_peer_iter walks the known peers of all workers, connected ones first; false:
 * behind the last. Peers may not change meanwhile.
 */
struct api_peer_iter {
	struct api *api;
	struct mesh_walk walk;
	bool is_past; /* the connected ones */
};
bool api_peers_next(struct api_peer_iter *iter, struct mesh_peer_info *out_peer);
/* method_xdp.c. */
void api_devices(struct varlink_blocks *blocks, const struct api *api,
		 struct api_xdp_device_list *out_devices);
/* method_pools.c: those that are shared fairly; role decides how networks are named. */
void api_pools(struct varlink_blocks *blocks, struct api *api, enum control_role role,
	       struct api_pool_list *out_pools);
/* method_limits.c: of all tables, as ShowLimits tells them. */
void api_limits(struct varlink_blocks *blocks, struct api *api, struct api_limit_list *out_limits);
/* method_state.c: one side of packet I/O. */
struct api_packet_side api_side(const char *backend, const char *reason,
				const struct packet_counters *counts);
/*
 * method_table.c. api_fail_link fails call for a text that blobs_link_parse refused with err;
 * wanted tells whose text is no link at all what to give.
 */
void api_fail_link(struct control_call *call, int err, const char *text, const char *wanted);

#endif
