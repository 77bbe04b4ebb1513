/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of members (404 to 416): admitted, answered from a snapshot in the turn they come in; a
 * search is answered by a job (community_search.c).
 */
#include "community_serve.h"

#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "community/community_state.h"
#include "community/roster/roster_page.h"
#include "community_search.h"
#include "store/store.h"

const struct weft_reason_row community_reasons[] = {
#define REASON WEFT_REASON_ROW
#include "community/community_reasons.def"
};

#define MINUTE_NS (60 * NS_PER_S)

/* --- refusing --- */

static void refuse(struct communities *all, const struct mesh_call *call,
		   enum community_reason reason, enum mesh_code code, uint64_t not_before_ms)
{
	all->counts[reason]++;
	all->params.mesh.ops->answer_error(call->incoming, code,
					   reason == COMMUNITY_NOT_ADMITTED
						   ? "no such community"
						   : community_reasons[reason].text,
					   not_before_ms);
}

static void refuse_cursor(struct communities *all, const struct mesh_call *call, int err)
{
	if (err == WEFT_ESTALE)
		refuse(all, call, COMMUNITY_OLD_CURSOR, MESH_CODE_CHANGED, 0);
	else
		refuse(all, call, COMMUNITY_BAD_CURSOR, MESH_CODE_MALFORMED, 0);
}

/* --- answering --- */

/* The answers of one asker that acknowledges nothing: others are to find memory. */
#define ANSWERS_LENT_MAX 4u

struct answer {
	struct heap *heap;
	struct list_node node; /* of those that are lent, or being written */
	uint8_t asker[COMMUNITY_KEY_LEN];
	size_t cap;
	uint8_t bytes[];
};

static void answer_done(void *arg)
{
	struct answer *answer = arg;

	list_unlink(&answer->node);
	heap_release(answer->heap, answer);
}

static unsigned answers_lent_cnt(const struct communities *all, const uint8_t *asker)
{
	unsigned cnt = 0;

	for (const struct list_node *at = all->lent.next; at != &all->lent; at = at->next)
		cnt += memcmp(container_of(at, struct answer, node)->asker, asker,
			      COMMUNITY_KEY_LEN) == 0;
	return cnt;
}

static struct answer *answer_new(struct communities *all, const uint8_t *asker, size_t cap)
{
	struct answer *answer;

	if (answers_lent_cnt(all, asker) >= ANSWERS_LENT_MAX)
		return NULL;
	answer = heap_alloc(all->answers, sizeof(*answer) + cap);
	if (answer) {
		answer->heap = all->answers;
		answer->cap = cap;
		memcpy(answer->asker, asker, sizeof(answer->asker));
		list_push_back(&all->lent, &answer->node);
	}
	return answer;
}

/* w was begun over answer's bytes, which are lent to the mesh until they are gone. */
static void answer_send(struct communities *all, const struct mesh_call *call,
			struct answer *answer, const struct writer *w)
{
	struct transport_span span = {
		.data = answer->bytes, .len = writer_len(w), .done = answer_done, .arg = answer};

	if (w->bad) {
		answer_done(answer);
		refuse(all, call, COMMUNITY_BUSY, MESH_CODE_INTERNAL, 0);
		return;
	}
	all->counts[COMMUNITY_ANSWERED]++;
	if (all->params.mesh.ops->answer(call->incoming, call->type + 1, NULL, 0, &span) < 0)
		answer_done(answer);
}

void community_answer_page(struct communities *all, const struct mesh_call *call,
			   const struct community_page *page)
{
	struct answer *answer = answer_new(all, call->peer_key, COMMUNITY_PAGE_LEN_MAX);
	struct writer w;

	if (!answer) {
		refuse(all, call, COMMUNITY_BUSY, MESH_CODE_BUSY, 0);
		return;
	}
	w = writer_of(answer->bytes, answer->cap);
	community_page_write(&w, page);
	answer_send(all, call, answer, &w);
}

/* --- admission --- */

/* A place for key among the counted ones; the one counted longest ago gives way. */
static struct community_peer_count *peer_count(struct communities *all, const uint8_t *key,
					       uint64_t now_ns)
{
	struct community_peer_count *oldest = &all->peers[0];

	for (unsigned i = 0; i < COMMUNITY_PEERS_MAX; i++) {
		struct community_peer_count *peer = &all->peers[i];

		if (memcmp(peer->key, key, sizeof(peer->key)) == 0)
			return peer;
		if (peer->began_ns < oldest->began_ns)
			oldest = peer;
	}
	*oldest = (struct community_peer_count){.began_ns = now_ns};
	memcpy(oldest->key, key, sizeof(oldest->key));
	return oldest;
}

/* 0, or in how many ms it may ask again. */
static uint64_t rate_take(struct communities *all, const uint8_t *key, uint64_t now_ns)
{
	struct community_peer_count *peer = peer_count(all, key, now_ns);

	if (now_ns - peer->began_ns >= MINUTE_NS) {
		peer->began_ns = now_ns;
		peer->cnt = 0;
	}
	if (peer->cnt >= all->params.config.requests_per_min)
		return (peer->began_ns + MINUTE_NS - now_ns) / NS_PER_MS + 1;
	peer->cnt++;
	return 0;
}

/* COMMUNITY_TAKEN, or why the asker is no member. */
static enum community_reason member_check(const struct community *community,
					  const struct mesh_call *call,
					  const struct community_bytes *record)
{
	uint64_t wall_s = community_wall_s(community->all);
	struct community_token token;
	struct community_member member;

	if (community_member_parse(record->data, record->len, &member) < 0 ||
	    memcmp(member.key, call->peer_key, COMMUNITY_KEY_LEN) != 0 ||
	    memcmp(member.id, community->roster.id, COMMUNITY_ID_LEN) != 0 ||
	    community_roster_is_expelled(&community->roster, member.key) ||
	    community_time_check(member.time_s, COMMUNITY_RECORD_LIFE_S, wall_s) < 0)
		return COMMUNITY_NOT_ADMITTED;
	if (!community->roster.is_strict)
		return COMMUNITY_TAKEN;
	if (!member.token || community_token_parse(member.token, member.token_len, &token) < 0)
		return COMMUNITY_NOT_ADMITTED;
	return community_token_is_valid(&token, wall_s) ? COMMUNITY_TAKEN : COMMUNITY_OLD_TOKEN;
}

/* Is the record, byte for byte, one whose signatures were verified before? */
static bool record_is_known(const struct community *community, const struct mesh_call *call,
			    const struct community_bytes *record)
{
	struct store_snapshot *snapshot;
	struct roster_row row;
	bool is_known;

	if (store_snapshot_open(community->all->params.store, &snapshot) < 0)
		return false;
	is_known = community_roster_get(snapshot, community->roster.id, ROSTER_MEMBER,
					call->peer_key, &row) == 0 &&
		   row.len == record->len && memcmp(row.record, record->data, row.len) == 0;
	store_snapshot_close(snapshot);
	return is_known;
}

static void heard_done(void *arg, struct intake_lot *lot, uint64_t now_ns)
{
	struct community *community = arg;

	(void)lot;
	/* An asker can be asked: it has a session. */
	if (!community->partner_cnt && community->phase == COMMUNITY_IN)
		community_sync_start(community, now_ns);
}

/*
 * The asker's record is news. While other records wait to be stored, this one is taken in with
 * the next request.
 */
static void record_take(struct community *community, const struct mesh_call *call,
			const struct community_bytes *record)
{
	/* It has a session with this node. */
	const struct peer_places nowhere = {.addr_cnt = 0};
	struct intake_lot *lot = &community->heard;

	if (lot->is_waiting) {
		community->all->counts[COMMUNITY_BUSY]++;
		return;
	}
	memcpy(community->heard_bytes, record->data, record->len);
	*lot = (struct intake_lot){
		.roster = &community->roster, .done = heard_done, .arg = community};
	(void)community_intake_lot_add(lot, ROSTER_MEMBER, community->heard_bytes, record->len);
	community_intake_submit(community->all->intake, lot);
	community_partners_told(community, call->peer_key, &nowhere);
}

/* The community that call is about, or NULL: it was answered. */
static struct community *admit(struct communities *all, const struct mesh_call *call,
			       struct community_request *out_request, uint64_t now_ns)
{
	uint64_t wait_ms = rate_take(all, call->peer_key, now_ns);
	enum community_reason reason;
	struct community *community;

	if (wait_ms) {
		refuse(all, call, COMMUNITY_FLOOD, MESH_CODE_REFUSED, wait_ms);
		return NULL;
	}
	if (community_request_parse(call->payload, call->payload_len, out_request) < 0) {
		refuse(all, call, COMMUNITY_MALFORMED, MESH_CODE_MALFORMED, 0);
		return NULL;
	}
	community = community_lookup(all, out_request->id);
	reason = community && community->phase == COMMUNITY_IN
			 ? member_check(community, call, &out_request->record)
			 : COMMUNITY_NOT_ADMITTED;
	if (reason != COMMUNITY_NOT_ADMITTED &&
	    !record_is_known(community, call, &out_request->record)) {
		if (community_member_verify(out_request->record.data, out_request->record.len) < 0)
			reason = COMMUNITY_NOT_ADMITTED;
		else if (reason == COMMUNITY_TAKEN)
			record_take(community, call, &out_request->record);
	}
	if (reason == COMMUNITY_TAKEN)
		return community;
	refuse(all, call, reason,
	       reason == COMMUNITY_NOT_ADMITTED ? MESH_CODE_ABSENT : MESH_CODE_REFUSED, 0);
	return NULL;
}

/* The record of a node that left is taken in, and the node gets no answer. */
static bool is_leaving(struct communities *all, const struct mesh_call *call,
		       const struct community_request *request)
{
	struct community_member member;

	if (community_member_parse(request->record.data, request->record.len, &member) == 0 &&
	    member.is_joined)
		return false;
	refuse(all, call, COMMUNITY_NOT_ADMITTED, MESH_CODE_ABSENT, 0);
	return true;
}

/* --- 416 --- */

/*
 * The node with the community's key gives a member its next token. The token before was made for
 * the whole time that tokens have, and has half of it left at most. A shorter token ends as it
 * says.
 */
static size_t token_write(const struct community *community, const struct mesh_call *call,
			  const struct community_request *request,
			  uint8_t bytes[static COMMUNITY_TOKEN_LEN_MAX])
{
	uint64_t wall_s = community_wall_s(community->all);
	struct community_member member;
	struct community_token token;
	int len;

	if (!community->secret ||
	    community_member_parse(request->record.data, request->record.len, &member) < 0 ||
	    !member.token || community_token_parse(member.token, member.token_len, &token) < 0 ||
	    token.expires_s - token.issued_s < COMMUNITY_TOKEN_LIFE_S_MAX ||
	    token.expires_s > wall_s + COMMUNITY_TOKEN_LIFE_S_MAX / 2 ||
	    (len = community_token(community->all, community->roster.id, call->peer_key,
				   wall_s + COMMUNITY_TOKEN_LIFE_S_MAX, bytes)) < 0)
		return 0;
	return (size_t)len;
}

static void handle_show(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct communities *all = ctx;
	struct community_request request;
	struct community *community = admit(all, call, &request, now_ns);
	uint8_t token[COMMUNITY_TOKEN_LEN_MAX], asker[COMMUNITY_KEY_LEN];
	uint8_t box[KEY_WRAP_LEN];
	struct community_shown shown = {0};
	struct answer *answer;
	struct writer w;

	if (!community || is_leaving(all, call, &request))
		return;
	if (!(answer = answer_new(all, call->peer_key, COMMUNITY_SHOWN_CAP))) {
		refuse(all, call, COMMUNITY_BUSY, MESH_CODE_BUSY, 0);
		return;
	}
	if (community->revocations.epoch > request.epoch)
		shown.revocations = (struct community_bytes){community->revocations_bytes,
							     community->revocations_len};
	shown.token.len = token_write(community, call, &request, token);
	if (shown.token.len)
		shown.token.data = token;
	if (request.key_epoch < community->revocations.epoch &&
	    community_revocations_box(community, call->peer_key, box))
		shown.box = box;
	w = writer_of(answer->bytes, answer->cap);
	community_shown_write(&w, &shown);
	/* The call is gone once it is answered. */
	memcpy(asker, call->peer_key, sizeof(asker));
	answer_send(all, call, answer, &w);
	if (request.epoch > community->revocations.epoch)
		community_revocations_show_key(community, asker, now_ns);
}

/* --- 404 --- */

static void handle_state(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct communities *all = ctx;
	struct community_request request;
	struct community *community = admit(all, call, &request, now_ns);
	uint8_t cursor[COMMUNITY_CURSOR_LEN];
	struct community_state state;
	struct answer *answer;
	struct writer w;

	if (!community || is_leaving(all, call, &request))
		return;
	answer =
		community->record_len ? answer_new(all, call->peer_key, COMMUNITY_STATE_CAP) : NULL;
	if (!answer) {
		refuse(all, call, COMMUNITY_BUSY, MESH_CODE_BUSY, 0);
		return;
	}
	community_listing_events_cursor(community, call->peer_key, community->roster.event + 1,
					cursor);
	state = (struct community_state){
		.record = {community->record, community->record_len},
		.member_cnt = community->roster.joined_cnt,
		.share_cnt = community->roster.bound_cnt,
		.cursor = {cursor, sizeof(cursor)},
		.members = community->roster.members,
		.shares = community->roster.shares,
	};
	w = writer_of(answer->bytes, answer->cap);
	community_state_write(&w, &state);
	answer_send(all, call, answer, &w);
}

/* --- 406, 408, 410, 414 --- */

static void handle_page(struct communities *all, const struct mesh_call *call,
			enum listing_kind kind, uint64_t now_ns)
{
	struct community_request request;
	struct community *community = admit(all, call, &request, now_ns);
	struct listing listing = {
		.kind = kind, .asker = call->peer_key, .limit = COMMUNITY_PAGE_MAX};
	struct store_snapshot *snapshot;
	int err;

	if (!community || is_leaving(all, call, &request))
		return;
	listing.community = community;
	listing.first_bucket = request.first_bucket;
	listing.last_bucket = request.last_bucket;
	if ((err = community_listing_begin(&listing, request.cursor.data, request.cursor.len)) <
	    0) {
		refuse_cursor(all, call, err);
		return;
	}
	if (store_snapshot_open(all->params.store, &snapshot) < 0) {
		refuse(all, call, COMMUNITY_STORE_FAILED, MESH_CODE_INTERNAL, 0);
		return;
	}
	if (community_listing_fill(&listing, snapshot) < 0)
		refuse(all, call, COMMUNITY_STORE_FAILED, MESH_CODE_INTERNAL, 0);
	else
		community_answer_page(all, call, &listing.page);
	store_snapshot_close(snapshot);
}

static void handle_own(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	handle_page(ctx, call, LISTING_OWN_SHARES, now_ns);
}

static void handle_members(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	handle_page(ctx, call, LISTING_MEMBERS, now_ns);
}

static void handle_shares(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	handle_page(ctx, call, LISTING_SHARES, now_ns);
}

static void handle_events(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	handle_page(ctx, call, LISTING_EVENTS, now_ns);
}

/* --- 412 --- */

static void handle_search(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct communities *all = ctx;
	struct community_request request;
	struct community *community = admit(all, call, &request, now_ns);
	int err;

	if (!community || is_leaving(all, call, &request))
		return;
	err = community_search_answer(community, call, &request);
	if (err == WEFT_EBUSY)
		refuse(all, call, COMMUNITY_BUSY, MESH_CODE_BUSY, 0);
	else if (err == WEFT_EABSENT)
		refuse(all, call, COMMUNITY_MALFORMED, MESH_CODE_MALFORMED, 0);
	else if (err < 0)
		refuse_cursor(all, call, err);
}

int community_serve_init(struct communities *all)
{
	static const struct {
		unsigned type;
		mesh_handler_fn handler;
	} rows[] = {
		{MESH_ASK_COMMUNITY, handle_state},	{MESH_LIST_OWN_SHARES, handle_own},
		{MESH_LIST_MEMBERS, handle_members},	{MESH_LIST_COMMUNITY_SHARES, handle_shares},
		{MESH_SEARCH_COMMUNITY, handle_search}, {MESH_ASK_EVENTS, handle_events},
		{MESH_SHOW_MEMBER, handle_show},
	};
	struct mesh_seam *mesh = &all->params.mesh;
	int err = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && err == 0; i++)
		err = mesh->ops->handle(mesh->mesh, rows[i].type, rows[i].handler, all);
	return err;
}
