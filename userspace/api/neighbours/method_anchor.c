/* SPDX-License-Identifier: Apache-2.0 */
/* ListAnchors, AddAnchor, RemoveAnchor, SetAnchor. */
#include <string.h>

#include "api/durable_reply.h"
#include "api/social/person_words.h"
#include "codec/text/zbase32.h"
#include "config/config.h"
#include "social/anchors/social_anchors.h"
#include "social/people/person_profiles.h"
#include "social/routes/social_routes.h"
#include "social/social.h"

#define MS_PER_S 1000u

/* --- listing --- */

struct anchor_listing {
	struct api *api;
	struct varlink_blocks *blocks;
	uint64_t now_ms;
	struct api_anchor_list rows;
};

static enum api_anchor_state state_of(const struct own_anchor *own)
{
	if (!own->is_enabled)
		return API_ANCHOR_STATE_DISABLED;
	if (own->err < 0)
		return API_ANCHOR_STATE_FAILED;
	return own->checked_in_ms ? API_ANCHOR_STATE_CHECKED_IN : API_ANCHOR_STATE_WAITING;
}

static int64_t age_s(const struct anchor_listing *listing, uint64_t at_ms)
{
	return listing->now_ms > at_ms ? api_uint((listing->now_ms - at_ms) / MS_PER_S) : 0;
}

static void checked_in_set(const struct anchor_listing *listing, const struct own_anchor *own,
			   struct api_anchor *row)
{
	if (own->checked_in_ms) {
		API_SET(row, checked_in_s, api_uint(own->checked_in_ms / MS_PER_S));
		API_SET(row, age_s, age_s(listing, own->checked_in_ms));
	}
	if (own->is_enabled && own->err < 0)
		row->why = own->err == WEFT_EABSENT
				   ? "this node has no address that it may say (social.addresses)"
				   : weft_err_text(own->err);
}

static void own_add(struct anchor_listing *listing, const uint8_t *key, unsigned persona)
{
	const struct social *social = listing->api->social;
	const struct own_anchor *own = social_own_anchor_of(social_anchors_of(social), key);
	struct api_anchor row = {
		.anchor = api_id(listing->blocks, key),
		.kind = API_ANCHOR_KIND_OWN,
		.state = API_ANCHOR_STATE_APART,
	};
	struct persona_view view;

	if (persona == SOCIAL_PERSONA_NONE) {
		row.kind = API_ANCHOR_KIND_LAST_RESORT;
	} else {
		social_persona_view(social_people(social), persona, &view);
		API_SET(&row, persona, view.number);
	}
	if (own) {
		row.state = state_of(own);
		checked_in_set(listing, own, &row);
	}
	varlink_push(listing->blocks, &listing->rows, row);
}

/* A profile's list is copied: what reads a person overwrites it. */
static void profiles_add(struct anchor_listing *listing)
{
	struct people *people = social_people(listing->api->social);
	uint8_t keys[PROFILE_ANCHORS_MAX][NODE_KEY_LEN];

	for (unsigned i = 0; i < social_persona_cnt(people); i++) {
		const struct person *self =
			social_person(people, node_key_public(social_persona(people, i)));
		unsigned cnt = self ? self->anchor_cnt : 0;

		for (unsigned j = 0; j < cnt; j++)
			memcpy(keys[j], self->anchors[j], NODE_KEY_LEN);
		for (unsigned j = 0; j < cnt; j++)
			own_add(listing, keys[j], i);
	}
}

static void last_resort_add(struct anchor_listing *listing)
{
	const struct social_anchors *anchors = social_anchors_of(listing->api->social);
	const struct own_anchor *own;

	for (unsigned i = 0; (own = social_own_anchor(anchors, i)); i++)
		if (own->is_last_resort && !own->is_listed)
			own_add(listing, own->key, SOCIAL_PERSONA_NONE);
}

static void on_route(void *arg, const struct social_route *route)
{
	struct anchor_listing *listing = arg;
	const struct social *social = listing->api->social;
	struct api_anchor row = {.kind = API_ANCHOR_KIND_NETWORK, .state = API_ANCHOR_STATE_KNOWN};

	if (route->tier != SOCIAL_TIER_ANCHOR ||
	    social_anchor_is_own(social_anchors_of(social), route->key) ||
	    social_anchor_persona(social, route->key) != SOCIAL_PERSONA_NONE)
		return;
	row.anchor = api_id(listing->blocks, route->key);
	if (route->record_ms)
		API_SET(&row, age_s, age_s(listing, route->record_ms));
	if (route->is_introduced)
		row.introduced_by = api_id(listing->blocks, route->introduced_by);
	varlink_push(listing->blocks, &listing->rows, row);
}

static const char *role_why(const struct social_anchors_config *config, bool is_anchor)
{
	switch (config->role) {
	case ANCHOR_ROLE_YES:
		return "social.anchor = yes";
	case ANCHOR_ROLE_NO:
		return "social.anchor = no";
	default:
		return is_anchor ? "other nodes can dial this one (weft reachability show)"
				 : "no other node is known to be able to dial this one "
				   "(weft reachability show)";
	}
}

void api_list_anchors(struct api *api, struct control_call *call,
		      const struct api_list_anchors_in *in, uint64_t now_ns)
{
	struct anchor_listing listing = {.api = api, .blocks = control_blocks(call)};
	const struct social_anchors_config *config = &config_live(api->config)->social.anchors;
	struct social_anchors_stats stats;
	bool is_anchor;

	(void)in, (void)now_ns;
	if (!api_people(api, call))
		return;
	listing.now_ms = api->wall_us(api->ctx) / 1000;
	social_anchors_stats(social_anchors_of(api->social), &stats);
	is_anchor = social_anchors_is_anchor(social_anchors_of(api->social));
	profiles_add(&listing);
	last_resort_add(&listing);
	social_routes_each(social_routes_of(api->social), on_route, &listing);
	api_reply(call, list_anchors,
		  .role = {.anchor = is_anchor,
			   .why = role_why(config, is_anchor),
			   .check_ins = api_uint(stats.held_cnt),
			   .check_ins_max = ANCHOR_CHECK_INS_CAP,
			   .kept_s = config->keep_s},
		  .anchors = listing.rows);
}

/* --- changes --- */

static void change_fail(struct control_call *call, int err, const char *name)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "this node does not check in with it",
		 "weft anchor list has the anchors; a persona's own that are apart take no "
		 "check-in"},
		{WEFT_EEXISTS, "it is so already", "weft anchor list shows it"},
		{WEFT_EREFUSED, "it is the last resort, which the configuration names",
		 "weft anchor disable KEY has this node not ask it; or empty social.last_resort"},
		{WEFT_EBUSY, "the disk does not keep up", "try again in some seconds"},
		{0, NULL, "the daemon's log may tell more"},
	};

	control_fail_of(call, err, name, rows);
}

static void add_fail(struct control_call *call, int err, const char *name)
{
	static const struct control_failure_row rows[] = {
		{WEFT_EABSENT, "that persona has no profile to name it",
		 "weft profile set --name NAME makes one"},
		{WEFT_EEXISTS, "the profile names it already", "weft anchor list shows it"},
		{WEFT_EREFUSED, "it is an anchor of another persona, or a key of this node",
		 "give each persona anchors of its own: one that two have links them"},
		{WEFT_EFULL, "the profile names 8 anchors, as many as it may",
		 "weft anchor remove KEY takes one away"},
		{WEFT_EMALFORMED, "it is no key of another node",
		 "weft node id prints a node's id there"},
		{WEFT_EBUSY, "the disk does not keep up", "try again in some seconds"},
		{0, NULL, "the daemon's log may tell more"},
	};

	control_fail_of(call, err, name, rows);
}

void api_add_anchor(struct api *api, struct control_call *call, const struct api_add_anchor_in *in,
		    uint64_t now_ns)
{
	struct people *people = api_people(api, call);
	struct social_anchor_ask ask = {.key = NULL};
	uint8_t key[NODE_KEY_LEN];
	struct peer_places places = {.addr_cnt = 0};
	unsigned persona;
	int err;

	if (!people || !api_persona_read(people, call, API_NUMBER(in, persona), &persona) ||
	    !api_node_id_read(api, call, in->anchor, key) ||
	    (in->has_addresses &&
	     !api_addrs_read(call, in->anchor, &in->addresses, places.addrs, &places.addr_cnt)))
		return;
	ask.key = key;
	ask.places = &places;
	if (!api_person_change_begin(call, "anchor",
				     api_add_anchor_out_write(&(struct api_add_anchor_out){0}),
				     &ask.done))
		return;
	if ((err = social_anchor_add(api->social, persona, &ask, now_ns)) < 0) {
		api_durable_reply_cancel(ask.done.arg);
		add_fail(call, err, in->anchor);
	}
}

void api_remove_anchor(struct api *api, struct control_call *call,
		       const struct api_remove_anchor_in *in, uint64_t now_ns)
{
	struct social_anchor_ask ask = {.key = NULL};
	uint8_t key[NODE_KEY_LEN];
	int err;

	if (!api_people(api, call) || !api_node_id_read(api, call, in->anchor, key))
		return;
	ask.key = key;
	if (!api_person_change_begin(
		    call, "anchor", api_remove_anchor_out_write(&(struct api_remove_anchor_out){0}),
		    &ask.done))
		return;
	if ((err = social_anchor_remove(api->social, &ask, now_ns)) < 0) {
		api_durable_reply_cancel(ask.done.arg);
		change_fail(call, err, in->anchor);
	}
}

void api_set_anchor(struct api *api, struct control_call *call, const struct api_set_anchor_in *in,
		    uint64_t now_ns)
{
	struct anchor_change change = {.is_enabled = in->enabled, .done = api_durable_reply_send};
	uint8_t key[NODE_KEY_LEN];
	int err;

	if (!api_people(api, call) || !api_node_id_read(api, call, in->anchor, key))
		return;
	change.key = key;
	change.arg =
		api_durable_reply_new(call, "anchor", "try it again",
				      api_set_anchor_out_write(&(struct api_set_anchor_out){0}));
	if (!change.arg)
		return;
	err = social_anchor_enable(social_anchors_of(api->social), &change, now_ns);
	if (err < 0) {
		api_durable_reply_cancel(change.arg);
		change_fail(call, err, in->anchor);
	}
}
