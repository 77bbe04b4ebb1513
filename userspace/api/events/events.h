/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_EVENTS_EVENTS_H
#define WEFT_API_EVENTS_EVENTS_H

#include <stdbool.h>

#include "codec/text/zbase32.h"
#include "firewall/bans.h"
#include "firewall/incidents.h"
#include "offers/reserve/reservations.h"
#include "shares/publish/share_watch.h"
#include "varlink/node.h"

struct addr;
struct api;
struct blobs_event;
struct community_event;
struct follow_event;
struct locate_event;
struct mesh_failure;
struct mesh_peer_info;
struct mesh_step;
struct port_mapping_row;
struct relay_end_event;
struct relay_role;
struct provider_event;
struct reachability_view;
struct publish_event;
struct search_event;
struct service_abuse_event;
struct service_access_record;
struct service_event;
struct service_offering;
struct social_event;

/*
 * api_tell numbers an event for the control socket and writes its line into the log, as
 * api_tell(api, "ban.added", ban, .peer = id). The fields are those of the type BanEvent, which
 * names the kind (include/varlink/events.varlink). api_event_tell takes the struct. False: the
 * interface does not name kind, or gives it another type. Such an event is an error in the log
 * and goes nowhere.
 */
#define api_tell(api, kind, shape, ...)                                                            \
	((void)api_event_tell(api, kind, &api_##shape##_event_type,                                \
			      &(struct api_##shape##_event){__VA_ARGS__}))
bool api_event_tell(struct api *api, const char *kind, const struct varlink_type *type,
		    const void *fields);
/* The text of a key, written into text, and that of an error; NULL for NULL and for 0. */
const char *api_event_key(const uint8_t *key, char text[static ZBASE32_KEY_TEXT_CAP]);
const char *api_event_error(int err);

/* events.c, event_network.c: what each room says of what happened. */
void api_tell_content(struct api *api, const struct blobs_event *event);
void api_tell_session(struct api *api, const struct mesh_peer_info *peer, bool is_up);
void api_tell_moved(struct api *api, const uint8_t *key, const struct addr *remote);
void api_tell_step(struct api *api, const struct mesh_step *step);
void api_tell_failure(struct api *api, const struct mesh_failure *failure);
void api_tell_dht(struct api *api, const struct locate_event *event);
void api_tell_reachability(struct api *api, const struct reachability_view *view);
void api_tell_relay_role(struct api *api, const struct relay_role *role);
void api_tell_relay_flow(struct api *api, const struct relay_end_event *event);
void api_tell_mapping(struct api *api, const struct port_mapping_row *row);
void api_tell_ban(struct api *api, enum incident_kind kind, const struct ban *ban);
void api_tell_device(struct api *api, const char *kind, const char *device, const char *text);
/* event_services.c */
void api_tell_violation(struct api *api, const uint8_t *key, const char *why, uint64_t now_ns);
void api_tell_abuse(struct api *api, const struct service_abuse_event *event);
void api_tell_circuit(struct api *api, const struct service_event *event);
void api_tell_program(struct api *api, const struct provider_event *event);
void api_tell_unpublished(struct api *api, const struct service_offering *offering);
void api_tell_reservation(struct api *api, enum reservation_event_kind kind,
			  const struct reservation_view *view);
/* event_social.c */
void api_tell_social(struct api *api, const struct social_event *event);
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
