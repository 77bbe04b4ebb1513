/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <string.h>

#include "base/monotonic.h"
#include "crypto/sha256.h"
#include "overlay_join.h"
#include "run_state.h"
#include "overlay_serve.h"

/* Seeds of a lookup: twice K, so that dead ones do not end it. */
#define SEED_CNT 40
/* However slowly nodes answer, it ends after this. */
#define BUDGET_NS (60 * NS_PER_S)
/* Refused for want of room, whose end no event announces: tried again after this. */
#define RETRY_NS (20 * NS_PER_MS)
/* Stores of one put that are out at once: each may be 64 KiB. */
#define WRITE_OUT_MAX 8

size_t overlay_run_size(void)
{
	return sizeof(struct overlay_run);
}

void overlay_runs_mark(struct overlay *overlay)
{
	struct overlay_run *run = NULL;

	while ((run = pool_next(&overlay->runs, run)))
		for (unsigned i = 0; i < run->lookup.node_cnt; i++)
			overlay_book_mark(&overlay->book, &run->lookup.nodes[i].contact);
}

void overlay_run_wake(struct overlay_run *run)
{
	run->wants_flush = true;
	run->overlay->wants_flush = true;
}

/* --- the beginning --- */

static void run_seed(void *arg, const struct kad_contact *contact)
{
	struct overlay_run *run = arg;

	if (!overlay_silent_has(&run->overlay->silent, contact, run->begin_ns))
		(void)kad_lookup_seed(&run->lookup, contact);
}

static void run_seed_any(void *arg, const struct kad_contact *contact)
{
	struct overlay_run *run = arg;

	(void)kad_lookup_seed(&run->lookup, contact);
}

/* Those that were silent are asked when no others are known. */
static void run_seeds(struct overlay_run *run, uint64_t now_ns)
{
	struct overlay *overlay = run->overlay;
	const struct kad_node *seeds[SEED_CNT];
	unsigned cnt = kad_table_closest(
		overlay->table, &(struct kad_near){&run->lookup.params.target, KAD_ASK, now_ns},
		seeds, SEED_CNT);
	void (*seed)(void *arg, const struct kad_contact *contact) = run_seed;

	for (unsigned round = 0; round < 2 && !run->lookup.node_cnt; round++) {
		for (unsigned i = 0; i < cnt; i++)
			seed(run, &seeds[i]->contact);
		if (run->lookup.node_cnt < overlay->config.lookup.k)
			overlay_join_entries(overlay, seed, run);
		seed = run_seed_any;
	}
}

static struct overlay_run *run_start(struct overlay *overlay, enum overlay_run_kind kind,
				     const struct kad_id *target, uint64_t now_ns)
{
	struct overlay_run *run = pool_acquire(&overlay->runs);
	struct kad_lookup_params params = {
		.config = &overlay->config.lookup,
		.rtt = &overlay->rtt,
		.target = *target,
		.own_id = overlay->own_id,
		.kind = kind == RUN_NODES ? KAD_FIND_NODE : KAD_FIND_VALUE,
		.family = ADDR_NONE,
	};

	if (!run)
		return NULL;
	run->overlay = overlay;
	run->kind = kind;
	run->begin_ns = now_ns;
	run->retry_ns = UINT64_MAX;
	kad_lookup_init(&run->lookup, &params, now_ns);
	run_seeds(run, now_ns);
	kad_table_note_lookup(overlay->table, target, now_ns);
	overlay_run_wake(run);
	return run;
}

static struct overlay_run *run_start_named(struct overlay *overlay, enum overlay_run_kind kind,
					   const void *name, size_t name_len, uint64_t now_ns)
{
	uint8_t key[OVERLAY_KEY_LEN];
	struct overlay_run *run;
	struct kad_id target;

	sha256(name, name_len, key);
	memcpy(target.bytes, key, sizeof(target.bytes));
	run = run_start(overlay, kind, &target, now_ns);
	if (!run)
		return NULL;
	memcpy(run->key, key, sizeof(run->key));
	memcpy(run->name, name, name_len);
	run->name_len = name_len;
	return run;
}

static void run_free(struct overlay_run *run)
{
	struct overlay *overlay = run->overlay;

	overlay_queries_cancel(overlay, run, overlay->now_ns);
	heap_release(overlay->work, run->message);
	pool_release(&overlay->runs, run);
}

void overlay_run_cancel(struct overlay_run *run)
{
	run_free(run);
}

static int judgement_err(enum overlay_reason reason)
{
	switch (reason) {
	case OVERLAY_STORED:
		return 0;
	case OVERLAY_UNKNOWN_TAG:
		return WEFT_EUNKNOWN;
	case OVERLAY_BAD_SIGNATURE:
		return WEFT_EDAMAGED;
	case OVERLAY_EXPIRED:
		return WEFT_ESTALE;
	case OVERLAY_AGAINST_RULE:
		return WEFT_EREFUSED;
	case OVERLAY_LONG_VALUE:
		return WEFT_ETOOLARGE;
	default:
		return WEFT_EMALFORMED;
	}
}

static int put_write_message(struct overlay_run *run, const uint8_t *value, size_t len,
			     uint64_t ttl_s)
{
	struct overlay_store store = {
		.key = run->key,
		.name = run->name,
		.name_len = run->name_len,
		.value = value,
		.value_len = len,
		.ttl_s = ttl_s,
	};
	size_t cap = OVERLAY_STORE_LEN_MAX - OVERLAY_VALUE_LEN_MAX + len;
	struct writer w;

	run->message = heap_alloc(run->overlay->work, cap);
	if (!run->message)
		return WEFT_EFULL;
	w = writer_of(run->message, cap);
	overlay_store_write(&w, &store);
	run->message_len = writer_len(&w);
	return 0;
}

int overlay_run_put(struct overlay *overlay, const struct overlay_put_params *params,
		    uint64_t now_ns, struct overlay_run **out_run)
{
	uint64_t wall_s = overlay_wall_now_s(overlay, now_ns), ttl_s;
	const struct overlay_value *value = &params->value;
	const struct overlay_rule *rule;
	struct overlay_claim claim = {0};
	struct overlay_run *run;
	int err = judgement_err(overlay_rules_judge(&overlay->rules, value, wall_s, &rule, &claim));

	if (err < 0)
		return err;
	run = run_start_named(overlay, RUN_PUT, value->name, value->name_len, now_ns);
	if (!run)
		return WEFT_EFULL;
	run->done = params->done;
	run->arg = params->arg;
	ttl_s = claim.expires_s - wall_s;
	err = put_write_message(run, value->bytes, value->len,
				ttl_s < OVERLAY_TTL_MAX_S ? ttl_s : OVERLAY_TTL_MAX_S);
	if (err < 0) {
		run_free(run);
		return err;
	}
	overlay->put_cnt++;
	*out_run = run;
	return 0;
}

int overlay_run_get(struct overlay *overlay, const struct overlay_get_params *params,
		    uint64_t now_ns, struct overlay_run **out_run)
{
	const struct overlay_rule *rule = overlay_rules_find(&overlay->rules, params->tag);
	struct overlay_run *run;

	if (!rule)
		return WEFT_EUNKNOWN;
	if (!overlay_rule_has_name(rule, params->name, params->name_len))
		return WEFT_EMALFORMED;
	run = run_start_named(overlay, RUN_GET, params->name, params->name_len, now_ns);
	if (!run)
		return WEFT_EFULL;
	run->done = params->done;
	run->arg = params->arg;
	run->tag = params->tag;
	run->value = params->value;
	overlay->get_cnt++;
	*out_run = run;
	return 0;
}

struct overlay_run *overlay_run_nodes(struct overlay *overlay, const struct kad_id *target,
				      overlay_done_fn done, void *arg, uint64_t now_ns)
{
	struct overlay_run *run = run_start(overlay, RUN_NODES, target, now_ns);

	if (run) {
		run->done = done;
		run->arg = arg;
	}
	return run;
}

/* --- the end --- */

static void run_end(struct overlay_run *run, uint64_t now_ns)
{
	const struct kad_lookup_stats *stats = &run->lookup.stats;
	struct overlay_result result = run->result;
	overlay_done_fn done = run->done;
	void *arg = run->arg;

	result.asked_cnt = stats->asked_cnt;
	result.took_ns = now_ns - run->begin_ns;
	if (!stats->answered_cnt && !result.stored_cnt)
		result.err = stats->asked_cnt ? WEFT_ETIMEOUT : WEFT_EUNREACHABLE;
	run_free(run);
	done(arg, &result, now_ns);
}

struct addr overlay_run_teller(const struct overlay_run *run, uint16_t slot)
{
	const struct overlay *overlay = run->overlay;
	uint16_t teller = run->lookup.nodes[slot].teller;
	const struct kad_contact *contact;
	struct mesh_neighbour neighbour;

	if (teller == KAD_NO_SLOT)
		return (struct addr){.family = ADDR_NONE};
	contact = &run->lookup.nodes[teller].contact;
	if (overlay->neighbours->find(overlay->mesh.mesh,
				      overlay_book_node(&overlay->book, contact)->key, &neighbour))
		return neighbour.remote;
	return contact->addr;
}

int overlay_run_ask(struct overlay_run *run, enum overlay_query_kind kind, uint16_t slot,
		    const uint8_t *after, uint64_t now_ns)
{
	bool is_get = run->kind == RUN_GET;
	struct overlay_find find = {.target = is_get ? run->key : run->lookup.params.target.bytes,
				    .after = after,
				    .is_serving = run->overlay->is_serving};
	uint8_t payload[OVERLAY_FIND_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct overlay_query_params params = {
		.kind = kind,
		.type = is_get ? MESH_FIND_VALUE : MESH_FIND_NODE,
		.payload = payload,
		.contact = &run->lookup.nodes[slot].contact,
		.run = run,
		.slot = slot,
	};

	overlay_find_write(&w, &find, is_get ? OVERLAY_KEY_LEN : KAD_ID_LEN);
	params.payload_len = writer_len(&w);
	return overlay_query_send(run->overlay, &params, now_ns);
}

/* --- storing --- */

static bool is_own_place(const struct overlay_run *run, const struct kad_closest *closest,
			 unsigned cnt)
{
	const struct overlay *overlay = run->overlay;

	return overlay->is_serving &&
	       (cnt < overlay->config.lookup.k ||
		kad_id_is_nearer(&run->lookup.params.target, &overlay->own_id,
				 &closest[cnt - 1].contact->id));
}

static void store_own(struct overlay_run *run, uint64_t now_ns)
{
	struct overlay_store store;
	struct overlay_taken taken;
	enum overlay_reason reason;

	if (overlay_store_parse(run->message, run->message_len, &store) < 0)
		return;
	reason = overlay_take(run->overlay, &store, NULL, now_ns, &taken);
	run->result.stored_cnt += reason == OVERLAY_STORED || reason == OVERLAY_REFRESHED;
}

static void write_begin(struct overlay_run *run, uint64_t now_ns)
{
	struct kad_closest closest[KAD_K_MAX];
	unsigned cnt = kad_lookup_result(&run->lookup, closest, KAD_K_MAX);

	run->is_writing = true;
	if (is_own_place(run, closest, cnt)) {
		cnt -= cnt == run->overlay->config.lookup.k;
		store_own(run, now_ns);
	}
	for (unsigned i = 0; i < cnt; i++)
		run->to_write[run->write_cnt++] = (uint16_t)closest[i].answer_tag;
}

static int write_go_on(struct overlay_run *run, uint64_t now_ns)
{
	while (run->written_cnt < run->write_cnt && run->write_out_cnt < WRITE_OUT_MAX) {
		uint16_t slot = run->to_write[run->written_cnt];
		struct overlay_query_params params = {
			.kind = OVERLAY_QUERY_STORE,
			.type = MESH_STORE,
			.payload = run->message,
			.payload_len = run->message_len,
			.contact = &run->lookup.nodes[slot].contact,
			.run = run,
			.slot = slot,
		};
		int err = overlay_query_send(run->overlay, &params, now_ns);

		if (err == WEFT_EFULL)
			return err;
		run->written_cnt++;
		run->write_out_cnt += err == 0;
	}
	return 0;
}

/* --- asking --- */

static int ask_go_on(struct overlay_run *run, uint64_t now_ns)
{
	struct kad_ask ask;

	while (kad_lookup_next(&run->lookup, &ask)) {
		int err = overlay_run_ask(run, OVERLAY_QUERY_FIND, ask.slot, NULL, now_ns);

		if (err == WEFT_EFULL)
			return err;
		if (err < 0)
			kad_lookup_failed(&run->lookup, ask.slot, now_ns);
		else
			kad_lookup_asked(&run->lookup, ask.slot, now_ns);
	}
	return 0;
}

/* As far as it goes now; run may be gone after that. */
static void run_go_on(struct overlay_run *run, uint64_t now_ns)
{
	int err = 0;

	run->wants_flush = false;
	if (!run->has_looked) {
		run->has_looked = true;
		if (run->kind == RUN_GET && !overlay_run_tell_own(run, now_ns))
			return;
	}
	if (!run->is_writing) {
		kad_lookup_expire(&run->lookup, now_ns);
		err = ask_go_on(run, now_ns);
		if (kad_lookup_is_done(&run->lookup) && run->kind == RUN_PUT)
			write_begin(run, now_ns);
	}
	if (run->is_writing)
		err = write_go_on(run, now_ns);
	run->retry_ns = err == WEFT_EFULL ? now_ns + RETRY_NS : UINT64_MAX;
	if (now_ns >= run->begin_ns + BUDGET_NS ||
	    (run->is_writing ? run->written_cnt == run->write_cnt && !run->write_out_cnt
			     : kad_lookup_is_done(&run->lookup) && !run->page_out_cnt))
		run_end(run, now_ns);
}

static uint64_t run_next_ns(const struct overlay_run *run)
{
	uint64_t next_ns = run->begin_ns + BUDGET_NS, slow_ns = kad_lookup_next_ns(&run->lookup);

	if (run->retry_ns < next_ns)
		next_ns = run->retry_ns;
	return !run->is_writing && slow_ns < next_ns ? slow_ns : next_ns;
}

void overlay_runs_expire(struct overlay *overlay, uint64_t now_ns)
{
	struct overlay_run *run = NULL;

	/* An end may start new ones: those go on as well, in this or the next round. */
	do {
		overlay->wants_flush = false;
		while ((run = pool_next(&overlay->runs, run)))
			if (run->wants_flush || run_next_ns(run) <= now_ns)
				run_go_on(run, now_ns);
	} while (overlay->wants_flush);
}

uint64_t overlay_runs_next_ns(const struct overlay *overlay)
{
	const struct overlay_run *run = NULL;
	uint64_t next_ns = UINT64_MAX;

	if (overlay->wants_flush)
		return 0;
	while ((run = pool_next(&overlay->runs, run)))
		if (run_next_ns(run) < next_ns)
			next_ns = run_next_ns(run);
	return next_ns;
}
