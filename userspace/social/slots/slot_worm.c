/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searches over the layers (635, 636). The asker gives each question a part of WORM_BURST_MAX, the
 * questions that the next hop may ask in all. So a search asks at most 101 nodes for each of three
 * hops, however many neighbours they have. Nodes that named the id, or whose digest has it, are asked
 * first; half of the burst is left for the others.
 *
 * A node answers each token once. It says of a person what its N1 says, and of a post only whether it
 * holds one that any peer may see. It passes a question on without the name of the asker.
 */
#include <string.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "social_slots_state.h"

static void search_step(struct slot_search *search, uint64_t now_ns);

static const struct fair_config search_pool = {
	.name = "searches over slots",
	.kind = FAIR_WORK,
	.cap_cnt = SLOTS_SEARCH_CAP,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

/* --- tokens that were answered --- */

static bool token_is_seen(const struct slots *slots, const uint8_t *token)
{
	return map_lookup(&slots->by_token, token) != NULL;
}

/* The oldest is forgotten: a question that comes again so late is asked again. */
static void token_note(struct slots *slots, const uint8_t *token)
{
	uint8_t *place = slots->seen[slots->seen_cnt % SLOTS_SEEN_CAP];
	int err;

	if (slots->seen_cnt >= SLOTS_SEEN_CAP)
		map_delete(&slots->by_token, place);
	slots->seen_cnt++;
	memcpy(place, token, SLOT_TOKEN_LEN);
	err = map_put(&slots->by_token, place, place);
	weft_assert(err == 0);
}

/* --- what is known here --- */

/* What this node says of id, as it would to any peer. */
static bool answer_here(struct slots *slots, const struct worm_query *query, uint8_t *record,
			struct worm_answer *out_answer)
{
	const struct slots_links *links = &slots->links;
	const uint8_t *own = social_slots_own_key(slots);
	bool is_found;

	*out_answer = (struct worm_answer){.is_found = false};
	social_slots_own_refresh(slots);
	if (query->kind == WORM_POST)
		is_found = links->holds(links->ctx, query->id);
	else
		is_found = memcmp(query->id, own, MESH_KEY_LEN) == 0 ||
			   social_slots_own_has(slots, query->id);
	if (!is_found)
		return false;
	out_answer->is_found = out_answer->has_node = true;
	memcpy(out_answer->node, own, MESH_KEY_LEN);
	out_answer->record_len =
		social_slots_record_of(slots, query->kind == WORM_POST ? own : query->id, record);
	out_answer->record = out_answer->record_len ? record : NULL;
	return true;
}

/* --- the end of a search --- */

static void answer_send(struct slots *slots, struct mesh_incoming *incoming,
			const struct worm_answer *answer)
{
	uint8_t bytes[WORM_ANSWER_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	const struct mesh_call call = {.incoming = incoming};

	social_worm_answer_write(&w, answer);
	weft_assert(!w.bad);
	(void)social_slots_answer(slots, &call, MESH_WORM_ANSWER, bytes, writer_len(&w));
}

static void search_free(struct slot_search *search, uint64_t now_ns)
{
	struct slots *slots = search->slots;
	struct slot_question *question = NULL;

	while (search->waiting_cnt > 0 && (question = pool_next(&slots->questions, question))) {
		if (question->search != search)
			continue;
		slots->ground->mesh.ops->cancel(question->request);
		search->waiting_cnt--;
		pool_release(&slots->questions, question);
	}
	if (search->is_own)
		slots->own_search_cnt--;
	else
		fair_release(&slots->search_places.fair, &search->share, now_ns);
	pool_release(&slots->searches, search);
}

/* answer NULL: nothing was found, or the time is over. */
static void search_end(struct slot_search *search, const struct worm_answer *answer,
		       uint64_t now_ns)
{
	static const struct worm_answer nothing;
	struct slots *slots = search->slots;
	struct slots_find find = search->find;
	struct slots_finding finding = {.question_cnt = search->asked_cnt};
	bool is_own = search->is_own;

	if (!is_own && search->incoming)
		answer_send(slots, search->incoming, answer ? answer : &nothing);
	if (answer) {
		finding.node = answer->node;
		finding.record = answer->record;
		finding.record_len = answer->record_len;
		finding.hops = answer->hops;
	}
	search->incoming = NULL;
	search_free(search, now_ns);
	if (!is_own)
		return;
	slots->stats.found_cnt += answer != NULL;
	find.done(find.arg, answer ? 0 : WEFT_EABSENT, &finding, now_ns);
}

/* --- questions --- */

static void on_answer(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct slot_question *question = arg;
	struct slot_search *search = question->search;
	struct slots *slots = search->slots;
	uint8_t record[SLOT_RECORD_LEN_MAX];
	struct worm_answer answer = {.is_found = false};

	if (reply->err < 0 ||
	    social_worm_answer_parse(reply->payload, reply->payload_len, &answer) < 0)
		answer.is_found = false;
	/* It is in the buffer of the question. */
	if (answer.record) {
		memcpy(record, answer.record, answer.record_len);
		answer.record = record;
	}
	search->waiting_cnt--;
	pool_release(&slots->questions, question);
	if (answer.is_found && answer.hops <= search->query.hops) {
		answer.hops++;
		search_end(search, &answer, now_ns);
		return;
	}
	search_step(search, now_ns);
}

static bool question_ask(struct slot_search *search, const struct slot *slot, unsigned budget,
			 uint64_t now_ns)
{
	struct slots *slots = search->slots;
	struct slot_question *question = pool_acquire(&slots->questions);
	struct worm_query query = search->query;
	uint8_t bytes[WORM_QUERY_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct mesh_ask ask = {.type = MESH_WORM_QUERY,
			       .payload = bytes,
			       .timeout_ns = (query.hops + 1) * SLOTS_SEARCH_NS / 3,
			       .reply = on_answer,
			       .arg = question};

	if (!question)
		return false;
	query.budget = (uint8_t)budget;
	social_worm_query_write(&w, &query);
	weft_assert(!w.bad);
	ask.payload_len = writer_len(&w);
	ask.reply_buf = question->reply;
	ask.reply_cap = sizeof(question->reply);
	memcpy(ask.peer.key, slot->key, MESH_KEY_LEN);
	question->search = search;
	if (slots->links.ask(slots->links.ctx, &ask, now_ns, &question->request) < 0) {
		pool_release(&slots->questions, question);
		return false;
	}
	search->asked_cnt++;
	search->waiting_cnt++;
	slots->stats.question_cnt++;
	return true;
}

/* --- the nodes that are asked --- */

struct burst {
	const struct slot *slots[SLOTS_MAX + 1];
	unsigned cnt;
};

/* Whether slot's node named the id, or its peers seem to know it. */
static bool slot_leads(const struct slots *slots, const struct slot *slot,
		       const struct worm_query *query)
{
	const struct slot_reported *node;

	if (query->kind != WORM_PERSON)
		return false;
	if (social_slot_digest_has(slot->digest, slot->digest_len, query->id))
		return true;
	node = social_slots_reported(slots, query->id);
	for (const struct list_node *at = node ? node->reports.next : NULL;
	     node && at != &node->reports; at = at->next)
		if (container_of((struct list_node *)(uintptr_t)at, struct slot_report, of_node)
			    ->slot == slot)
			return true;
	return false;
}

static void burst_fill(const struct slot_search *search, bool leads, struct burst *burst)
{
	struct slots *slots = search->slots;
	const struct slot *slot = NULL;

	while ((slot = pool_next(&slots->pool, slot)) && burst->cnt <= SLOTS_MAX)
		if (memcmp(slot->key, search->asker, MESH_KEY_LEN) != 0 &&
		    memcmp(slot->key, search->query.id, MESH_KEY_LEN) != 0 &&
		    slot_leads(slots, slot, &search->query) == leads)
			burst->slots[burst->cnt++] = slot;
	/* By chance, where not all can be asked. */
	for (unsigned i = burst->cnt; i > 1; i--) {
		unsigned at = (unsigned)random_below(slots->ground->random, i);
		const struct slot *swap = burst->slots[i - 1];

		burst->slots[i - 1] = burst->slots[at];
		burst->slots[at] = swap;
	}
}

/* Asks at most cnt_max of burst, which share budget. Returns whether any was asked. */
static bool burst_ask(struct slot_search *search, const struct burst *burst, unsigned cnt_max,
		      unsigned budget)
{
	unsigned cnt = burst->cnt < cnt_max ? burst->cnt : cnt_max;
	uint64_t now_ns = search->now_ns;
	bool is_asked = false;

	for (unsigned i = 0; i < cnt; i++) {
		/* The parts add up to budget. */
		unsigned part = budget / cnt + (i < budget % cnt);

		is_asked |= question_ask(search, burst->slots[i], part, now_ns);
	}
	return is_asked;
}

/* The next questions, when all that were asked have answered. */
static void search_step(struct slot_search *search, uint64_t now_ns)
{
	unsigned left = search->query.budget - search->asked_cnt;
	/* Of the next hop; what nodes that lead there got is not for the others. */
	unsigned budget = search->query.hops > 0 ? search->query.budget : 0;
	struct burst burst = {.cnt = 0};

	search->now_ns = now_ns;
	if (search->waiting_cnt > 0)
		return;
	if (!search->has_tried_leads) {
		search->has_tried_leads = true;
		burst_fill(search, true, &burst);
		if (burst_ask(search, &burst, (left + 1) / 2, budget / 2))
			return;
	}
	if (!search->has_tried_all && search->query.budget > search->asked_cnt) {
		search->has_tried_all = true;
		burst.cnt = 0;
		burst_fill(search, false, &burst);
		if (burst_ask(search, &burst, left,
			      search->asked_cnt ? budget - budget / 2 : budget))
			return;
	}
	search_end(search, NULL, now_ns);
}

static struct slot_search *search_make(struct slots *slots, const struct worm_query *query)
{
	struct slot_search *search = pool_acquire(&slots->searches);

	if (!search)
		return NULL;
	search->slots = slots;
	search->query = *query;
	return search;
}

int social_slots_find(struct slots *slots, const struct slots_find *find, uint64_t now_ns)
{
	uint8_t record[SLOT_RECORD_LEN_MAX];
	/* hops: of the questions that are sent */
	struct worm_query query = {.kind = find->is_post ? WORM_POST : WORM_PERSON,
				   .hops = WORM_HOPS_MAX,
				   .budget = WORM_BURST_MAX};
	struct worm_answer answer;
	struct slot_search *search;

	memcpy(query.id, find->id, MESH_KEY_LEN);
	if (answer_here(slots, &query, record, &answer)) {
		const struct slots_finding finding = {.node = answer.node,
						      .record = answer.record,
						      .record_len = answer.record_len};

		slots->stats.search_cnt++;
		slots->stats.found_cnt++;
		find->done(find->arg, 0, &finding, now_ns);
		return 0;
	}
	if (slots->own_search_cnt >= SLOTS_SEARCH_OWN_MAX || slots->is_stopped)
		return WEFT_EFULL;
	random_fill(slots->ground->random, query.token, sizeof(query.token));
	search = search_make(slots, &query);
	if (!search)
		return WEFT_EFULL;
	slots->own_search_cnt++;
	slots->stats.search_cnt++;
	search->is_own = true;
	search->find = *find;
	token_note(slots, query.token);
	search_step(search, now_ns);
	return 0;
}

/* --- questions of peers --- */

/* NULL: its account has its share of the searches. */
static struct slot_search *passed_make(struct slots *slots, const struct mesh_call *call,
				       const struct worm_query *query, uint64_t now_ns)
{
	struct fair_path account = social_slots_account(slots, call->peer_key);
	struct slot_search *search = search_make(slots, query);
	struct fair_item *victim;

	weft_assert(search != NULL); /* one more than places, and those of this node */
	switch (fair_take(&slots->search_places.fair, &account, &search->share, now_ns, &victim)) {
	case FAIR_TAKEN:
		break;
	case FAIR_TAKEN_FROM:
		search_end((struct slot_search *)victim, NULL, now_ns);
		break;
	case FAIR_BUSY:
		pool_release(&slots->searches, search);
		return NULL;
	}
	search->incoming = call->incoming;
	memcpy(search->asker, call->peer_key, MESH_KEY_LEN);
	/* One that is refused is not answered, and may come again. */
	token_note(slots, query->token);
	return search;
}

static void on_gone(void *arg)
{
	struct slot_search *search = arg;

	search->incoming = NULL;
	search_free(search, search->now_ns);
}

static void on_query(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	static const struct worm_answer nothing;
	struct slots *slots = ctx;
	uint8_t record[SLOT_RECORD_LEN_MAX];
	struct slot_search *search;
	struct worm_answer answer;
	struct worm_query query;

	if (!social_slots_admit(slots, &slots->queries, call, now_ns))
		return;
	if (social_worm_query_parse(call->payload, call->payload_len, &query) < 0) {
		social_slots_refuse(slots, call, MESH_CODE_MALFORMED, "no search");
		return;
	}
	/* Only nodes with slots search; others, and those that are blocked, find nothing. */
	if (token_is_seen(slots, query.token) || !social_slots_lookup(slots, call->peer_key) ||
	    slots->links.is_blocked(slots->links.ctx, call->peer_key)) {
		answer_send(slots, call->incoming, &nothing);
		return;
	}
	if (answer_here(slots, &query, record, &answer) || query.hops == 0 || query.budget == 0) {
		token_note(slots, query.token);
		answer_send(slots, call->incoming, &answer);
		return;
	}
	query.hops--;
	search = passed_make(slots, call, &query, now_ns);
	if (!search) {
		social_slots_refuse(slots, call, MESH_CODE_BUSY, "too many searches");
		return;
	}
	slots->stats.passed_cnt++;
	slots->ground->mesh.ops->abandoned(call->incoming, on_gone, search);
	search_step(search, now_ns);
}

/* --- life --- */

int social_slots_worm_init(struct slots *slots, const uint64_t secret[2])
{
	struct arena *arena = &slots->arena;
	int err;

	if ((err = fair_places_init(&slots->search_places, arena, &search_pool)) < 0 ||
	    (err = pool_init(&slots->searches, arena, sizeof(struct slot_search),
			     SLOTS_SEARCH_CAP + SLOTS_SEARCH_OWN_MAX + 1)) < 0 ||
	    (err = pool_init(&slots->questions, arena, sizeof(struct slot_question),
			     SLOTS_QUESTION_CAP)) < 0 ||
	    (err = map_init(&slots->by_token, arena, SLOT_TOKEN_LEN, SLOTS_SEEN_CAP, secret)) < 0)
		return err;
	slots->seen = arena_alloc(arena, sizeof(*slots->seen) * SLOTS_SEEN_CAP);
	return slots->seen ? 0 : WEFT_EFULL;
}

int social_slots_worm_handle(struct slots *slots)
{
	const struct mesh_seam *mesh = &slots->ground->mesh;

	return mesh->ops->handle(mesh->mesh, MESH_WORM_QUERY, on_query, slots);
}

void social_slots_worm_stop(struct slots *slots)
{
	struct slot_search *search = NULL;

	while ((search = pool_next(&slots->searches, NULL)))
		search_end(search, NULL, slots->search_places.fair.now_ns);
}

void social_slots_searches(const struct slots *slots, struct fair_view *out)
{
	fair_read(&slots->search_places.fair, out);
}
