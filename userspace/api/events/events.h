/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_EVENTS_EVENTS_H
#define WEFT_API_EVENTS_EVENTS_H

#include <jansson.h>

#include "firewall/bans.h"
#include "firewall/incidents.h"
#include "shares/publish/share_watch.h"

struct api;
struct blobs_event;
struct community_event;
struct follow_event;
struct locate_event;
struct mesh_failure;
struct mesh_peer_info;
struct mesh_step;
struct port_mapping_row;
struct provider_event;
struct reachability_view;
struct publish_event;
struct search_event;
struct service_abuse_event;
struct service_access_record;
struct service_event;
struct service_offering;

/*
 * api_tell numbers an event for the control socket and writes its line into the log; fields is
 * taken. api_tell_of adds the key of a peer, unless it is NULL.
 */
void api_tell(struct api *api, const char *kind, json_t *fields);
void api_tell_of(struct api *api, const char *kind, const uint8_t *peer_key, json_t *fields);
/* Both leave fields alone for NULL and for 0. */
void api_event_set_key(json_t *fields, const char *name, const uint8_t *key);
void api_event_set_error(json_t *fields, int err);

/* events.c, event_network.c: what each room says of what happened. */
void api_tell_content(struct api *api, const struct blobs_event *event);
void api_tell_session(struct api *api, const struct mesh_peer_info *peer, bool is_up);
void api_tell_step(struct api *api, const struct mesh_step *step);
void api_tell_failure(struct api *api, const struct mesh_failure *failure);
void api_tell_dht(struct api *api, const struct locate_event *event);
void api_tell_reachability(struct api *api, const struct reachability_view *view);
void api_tell_mapping(struct api *api, const struct port_mapping_row *row);
void api_tell_ban(struct api *api, enum incident_kind kind, const struct ban *ban);
void api_tell_device(struct api *api, const char *kind, const char *device, const char *text);
/* event_services.c */
void api_tell_violation(struct api *api, const uint8_t *key, const char *why, uint64_t now_ns);
void api_tell_abuse(struct api *api, const struct service_abuse_event *event);
void api_tell_circuit(struct api *api, const struct service_event *event);
void api_tell_program(struct api *api, const struct provider_event *event);
void api_tell_unpublished(struct api *api, const struct service_offering *offering);
void api_log_access(struct api *api, const struct service_access_record *record);
/* event_shares.c */
struct watch_notice {
	enum watch_event_kind kind;
	const struct published *share; /* NULL: it is gone */
	const uint8_t *share_id;
	int err;
};
void api_tell_watch(struct api *api, const struct watch_notice *told);
void api_tell_publish(struct api *api, const struct publish_event *event);
void api_tell_follow(struct api *api, const struct follow_event *event);
void api_tell_search(struct api *api, const struct search_event *event);
void api_tell_community(struct api *api, const struct community_event *event);

#endif
