/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the mesh slots take from the other parts: people that this node knows publicly, and routes.
 * Posts that all may see are among it, and where a node is. A reporter is asked for that (620). Nothing
 * here asks a locator. Home worker.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "social/bootstrap/social_bootstrap.h"
#include "social/keep/post_store.h"
#include "social/people/person_follows.h"
#include "social/routes/anchor_message.h"
#include "social/slots/social_slot_message.h"
#include "social/social_state.h"

#define LOCATE_CAP	  32u /* reporters that are asked at once; slots ask no more */
#define LOCATE_TIMEOUT_NS (5 * NS_PER_S)
#define HOLD_NS		  (15 * NS_PER_S)

/* A reporter that is asked where a node is. */
struct slot_locating {
	struct slot_links *links;
	struct mesh_request *request;
	struct slots_locate locate; /* without what it borrows */
	uint8_t key[NODE_KEY_LEN];
	bool is_used;
	uint8_t reply[ANCHOR_ANSWER_LEN_MAX + MESH_FRAME_OVERHEAD];
};
/* A session that a person waits for is made, and wanted. */
struct slot_holding {
	struct slot_links *links;
	struct mesh_request *request; /* NULL: its node is looked for */
	uint8_t key[NODE_KEY_LEN];
	bool is_used;
};
struct slot_links {
	struct social *social;
	struct slot_holding holdings[SLOTS_SESSIONS_MAX];
	struct slot_locating locatings[LOCATE_CAP];
};

/* --- nodes --- */

static int on_ask(void *ctx, const struct mesh_ask *ask, uint64_t now_ns,
		  struct mesh_request **out_request)
{
	const struct slot_links *links = ctx;

	return social_ask(links->social->routes, ask, now_ns, out_request);
}

static void places_add(struct peer_places *places, const struct addr *addr)
{
	for (unsigned i = 0; i < places->addr_cnt; i++)
		if (addr_equal(&places->addrs[i], addr))
			return;
	if (places->addr_cnt < PEER_ADDRS_MAX)
		places->addrs[places->addr_cnt++] = *addr;
}

static void on_told(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct slot_locating *locating = arg;
	struct slots_locate locate = locating->locate;
	const struct peer_places *places = NULL;
	struct social_address address;
	struct anchor_answer answer;

	if (reply->err == 0 &&
	    social_anchor_answer_parse(reply->payload, reply->payload_len, &answer) == 0 &&
	    answer.record && social_address_read(answer.record, answer.record_len, &address) == 0 &&
	    memcmp(address.node, locating->key, NODE_KEY_LEN) == 0)
		places = &address.places;
	locating->is_used = false;
	locate.done(locate.arg, locate.ticket, places, now_ns);
}

static struct slot_locating *locating_make(struct slot_links *links)
{
	for (unsigned i = 0; i < LOCATE_CAP; i++)
		if (!links->locatings[i].is_used)
			return &links->locatings[i];
	return NULL;
}

static int reporter_ask(struct slot_links *links, const struct slots_locate *locate,
			uint64_t now_ns)
{
	struct slot_locating *locating = locating_make(links);
	uint8_t bytes[ANCHOR_QUERY_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct mesh_ask ask = {.type = MESH_ANCHOR_QUERY,
			       .payload = bytes,
			       .timeout_ns = LOCATE_TIMEOUT_NS,
			       .reply = on_told,
			       .arg = locating};
	int err;

	if (!locating)
		return WEFT_EFULL;
	locating->links = links;
	locating->locate = *locate;
	memcpy(locating->key, locate->key, NODE_KEY_LEN);
	social_anchor_query_write(&w, locate->key);
	ask.payload_len = writer_len(&w);
	ask.reply_buf = locating->reply;
	ask.reply_cap = sizeof(locating->reply);
	memcpy(ask.peer.key, locate->reporter, NODE_KEY_LEN);
	err = on_ask(links, &ask, now_ns, &locating->request);
	locating->is_used = err == 0;
	return err;
}

static int on_locate(void *ctx, const struct slots_locate *locate, uint64_t now_ns)
{
	struct slot_links *links = ctx;
	struct social_route route;
	struct peer_places places = {.addr_cnt = 0};

	if (social_route_look(links->social->routes, locate->key, &route))
		places = route.places;
	for (unsigned i = 0; i < locate->addr_cnt; i++)
		places_add(&places, &locate->addrs[i]);
	if (places.addr_cnt + places.via_cnt == 0 && locate->reporter)
		return reporter_ask(links, locate, now_ns);
	locate->done(locate->arg, locate->ticket, &places, now_ns);
	return 0;
}

static void on_forget(void *ctx)
{
	struct slot_links *links = ctx;

	for (unsigned i = 0; i < LOCATE_CAP; i++) {
		struct slot_locating *locating = &links->locatings[i];

		if (locating->is_used)
			links->social->ground.mesh.ops->cancel(locating->request);
		locating->is_used = false;
	}
	for (unsigned i = 0; i < SLOTS_SESSIONS_MAX; i++) {
		struct slot_holding *holding = &links->holdings[i];

		social_search_forget(links->social->searches, holding);
		if (holding->request)
			links->social->ground.mesh.ops->cancel(holding->request);
		*holding = (struct slot_holding){.links = links};
	}
}

/* --- sessions that a person waits for --- */

static void on_held(void *arg, int err, const uint8_t *actual_key)
{
	struct slot_holding *holding = arg;

	(void)err, (void)actual_key; /* it is tried again while the person waits */
	holding->request = NULL;
	holding->is_used = false;
}

/* The session that is there, or comes, is that of a chosen node while it lasts. */
static void holding_want(struct slot_holding *holding, uint64_t now_ns)
{
	const struct social *social = holding->links->social;
	const struct mesh_seam *mesh = &social->ground.mesh;
	struct peer_places places;
	struct mesh_peer peer = social_route_peer(social->routes, holding->key, &places);
	const struct mesh_connect connect = {
		.peer = &peer, .timeout_ns = HOLD_NS, .done = on_held, .arg = holding};

	peer.is_wanted = true;
	peer.addr_cnt = 0; /* of the session that is there, wherever it leads */
	holding->is_used = true;
	if (mesh->ops->connect(mesh->mesh, &connect, now_ns, &holding->request) < 0)
		on_held(holding, 0, NULL);
}

static void on_reached(void *arg, const struct social_found *found, uint64_t now_ns)
{
	struct slot_holding *holding = arg;

	holding->is_used = false;
	if (found->err == 0)
		holding_want(holding, now_ns);
}

static void on_hold(void *ctx, const uint8_t *key, uint64_t now_ns)
{
	struct slot_links *links = ctx;
	struct slot_holding *holding = NULL;

	for (unsigned i = 0; i < SLOTS_SESSIONS_MAX; i++) {
		struct slot_holding *at = &links->holdings[i];

		if (at->is_used && memcmp(at->key, key, NODE_KEY_LEN) == 0)
			return;
		if (!at->is_used)
			holding = at;
	}
	if (!holding)
		return;
	holding->links = links;
	memcpy(holding->key, key, NODE_KEY_LEN);
	if (social_has_session(&links->social->ground, key))
		holding_want(holding, now_ns);
	else
		holding->is_used =
			social_search(links->social->searches,
				      &(struct social_search_ask){
					      .key = key, .done = on_reached, .arg = holding},
				      now_ns) == 0;
}

void social_use_session(struct social *social, const uint8_t key[static MESH_KEY_LEN],
			uint64_t now_ns)
{
	if (!social_own_key(social->people, key) && !social_is_blocked(social->people, key))
		(void)social_slots_use(social->slots, key, now_ns);
}

/* --- people --- */

struct contact_walk {
	const struct slot_links *links;
	void (*note)(void *arg, const uint8_t *key);
	void *arg;
};

static bool on_follow(void *arg, const struct follow_view *view)
{
	const struct contact_walk *walk = arg;

	if (view->kind == FOLLOW_PUBLIC && !view->is_frozen)
		walk->note(walk->arg, view->person);
	return true;
}

/* Of personas that no session is to show. */
static uint32_t hidden_personas(const struct people *people)
{
	uint32_t hidden = 0;

	for (unsigned i = 0; i < social_persona_cnt(people); i++)
		hidden |= social_persona_is_via_anchors(people, i) ? 1u << i : 0;
	return hidden;
}

static bool on_audience(void *arg, const uint8_t *person, uint32_t personas)
{
	const struct contact_walk *walk = arg;

	if (personas & ~hidden_personas(walk->links->social->people))
		walk->note(walk->arg, person);
	return true;
}

static void on_contacts(void *ctx, void (*note)(void *arg, const uint8_t *key), void *arg)
{
	const struct slot_links *links = ctx;
	const struct people *people = links->social->people;
	struct contact_walk walk = {links, note, arg};

	for (unsigned i = 0; i < social_persona_cnt(people); i++)
		if (!social_persona_is_via_anchors(people, i))
			social_follows_each(people, i, on_follow, &walk);
	social_audience_each(people, on_audience, &walk);
}

/* Followed publicly by a persona that sessions may show. */
static bool on_friend(void *ctx, const uint8_t *key)
{
	const struct slot_links *links = ctx;
	const struct people *people = links->social->people;

	for (unsigned i = 0; i < social_persona_cnt(people); i++)
		if (!social_persona_is_via_anchors(people, i) &&
		    social_follow_of(people, i, key) == FOLLOW_PUBLIC)
			return true;
	return false;
}

static bool on_blocked(void *ctx, const uint8_t *key)
{
	return social_is_blocked(((const struct slot_links *)ctx)->social->people, key);
}

/* --- nodes to begin with --- */

struct source_walk {
	void (*note)(void *arg, const uint8_t *key, enum slot_tier tier);
	void *arg;
};

static void on_route(void *arg, const struct social_route *route)
{
	const struct source_walk *walk = arg;

	if (route->tier == SOCIAL_TIER_ANCHOR)
		walk->note(walk->arg, route->key, SLOT_TIER_ANCHOR);
}

static void on_contact(void *arg, const uint8_t *key)
{
	const struct source_walk *walk = arg;

	walk->note(walk->arg, key, SLOT_TIER_FOLLOW);
}

/* Anchors, public contacts, and nodes of the LAN that this node has a session with. */
static void on_sources(void *ctx, void (*note)(void *arg, const uint8_t *key, enum slot_tier tier),
		       void *arg)
{
	const struct slot_links *links = ctx;
	const struct social_ground *ground = &links->social->ground;
	struct source_walk walk = {note, arg};
	struct mesh_walk sessions = {.session = NULL};
	struct mesh_neighbour neighbour;

	social_routes_each(links->social->routes, on_route, &walk);
	on_contacts(ctx, on_contact, &walk);
	while (ground->neighbours->next(ground->mesh.mesh, &sessions, &neighbour) &&
	       neighbour.is_connected)
		if (!neighbour.is_relayed && !addr_is_global(&neighbour.remote))
			note(arg, neighbour.key, SLOT_TIER_NEARBY);
}

/* --- records and posts --- */

static bool on_anchor(void *ctx)
{
	const struct slot_links *links = ctx;

	return social_anchors_is_anchor(links->social->anchors);
}

static size_t on_record(void *ctx, const uint8_t *key, uint8_t *out, size_t cap)
{
	const struct slot_links *links = ctx;
	struct writer w = writer_of(out, cap);
	const uint8_t *record;
	size_t len = 0;

	if (memcmp(key, node_key_public(links->social->ground.key), NODE_KEY_LEN) == 0)
		return social_anchors_write_record(links->social->anchors, &w) ? writer_len(&w) : 0;
	record = social_route_record(links->social->routes, key, &len);
	if (!record || len > cap)
		return 0;
	memcpy(out, record, len);
	return len;
}

/* One of a node that these people have nothing to do with is not kept. */
static void on_heard(void *ctx, const uint8_t *from, const uint8_t *record, size_t len,
		     uint64_t now_ns)
{
	const struct slot_links *links = ctx;
	const struct social_record heard = {.bytes = record, .len = len, .introduced_by = from};
	struct social_address address;

	(void)!social_route_take_record(links->social->routes, &heard, &address, now_ns);
}

static bool on_holds(void *ctx, const uint8_t *post)
{
	const struct slot_links *links = ctx;
	struct post_view view;

	return social_posts_look(links->social->posts, post, &view) == 0 &&
	       view.kind == VISIBILITY_PUBLIC && !(view.flags & POST_HIDDEN);
}

static void bootstrap_note(struct social *social, uint64_t now_ns)
{
	for (unsigned i = 0; i < social->bootstrap.cnt; i++) {
		const struct first_node *node = &social->bootstrap.nodes[i];

		social_slots_note_at(social->slots, node->key, SLOT_TIER_ANCHOR, &node->places,
				     now_ns);
	}
}

int social_slot_links_open(struct social *social, const struct slots_config *config,
			   uint64_t now_ns)
{
	struct slots_params params = {.ground = &social->ground,
				      .config = *config,
				      .links = {.ask = on_ask,
						.locate = on_locate,
						.forget = on_forget,
						.sources = on_sources,
						.contacts = on_contacts,
						.is_friend = on_friend,
						.is_blocked = on_blocked,
						.is_anchor = on_anchor,
						.record = on_record,
						.heard_record = on_heard,
						.holds = on_holds,
						.hold = on_hold},
				      .now_ns = now_ns};
	int err;

	social->slot_links = calloc(1, sizeof(*social->slot_links));
	if (!social->slot_links)
		return -ENOMEM;
	social->slot_links->social = social;
	params.links.ctx = social->slot_links;
	if ((err = social_slots_open(&params, &social->slots)) < 0)
		return err;
	bootstrap_note(social, now_ns);
	return 0;
}

void social_slot_links_close(struct social *social)
{
	social_slots_close(social->slots);
	free(social->slot_links);
}
