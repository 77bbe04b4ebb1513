/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of peers. Each is counted by its outcome; a refusal carries the reason's text to the
 * asker.
 */
#include "overlay_serve.h"

#include <string.h>

#include "base/monotonic.h"
#include "crypto/sha256.h"
#include "overlay_join.h"

const struct weft_reason_row overlay_reasons[] = {
#define REASON WEFT_REASON_ROW
#include "overlay/overlay_reasons.def"
};

/* An answer on its way: its bytes are lent to the mesh. */
struct answer {
	struct heap *heap;
	uint8_t bytes[];
};

/* The full table, by the name that limits or the configuration give it; NULL: no want of room. */
static const char *pool_of(enum overlay_reason reason, const struct overlay_rule *rule)
{
	switch (reason) {
	case OVERLAY_STORE_FULL:
		return rule && rule->pool ? rule->pool : "overlay.value_cap";
	case OVERLAY_SUBNET_FULL:
		return "overlay.subnet_max";
	case OVERLAY_PREFIX_FULL:
		return "overlay.value_cap: values of a prefix under one key";
	case OVERLAY_NO_MEMORY:
		return "overlay.value_cap: answers";
	case OVERLAY_FLOOD:
		return "overlay.requests_per_minute";
	default:
		return NULL;
	}
}

static void note_refused(struct overlay *overlay, const struct mesh_call *call, const char *pool,
			 uint64_t wait_ms)
{
	if (pool)
		overlay->mesh.ops->note_refused(call->incoming, pool, (uint32_t)wait_ms);
}

static void refuse(struct overlay *overlay, const struct mesh_call *call,
		   enum overlay_reason reason, uint64_t not_before_ms)
{
	overlay_count(overlay, reason);
	note_refused(overlay, call, pool_of(reason, NULL), not_before_ms);
	overlay->mesh.ops->answer_error(call->incoming,
					(enum mesh_code)overlay_reasons[reason].code,
					overlay_reasons[reason].text, not_before_ms);
}

static void answer_done(void *arg)
{
	struct answer *answer = arg;

	heap_release(answer->heap, answer);
}

static void answer_found(struct overlay *overlay, const struct mesh_call *call,
			 const struct overlay_found *found, enum overlay_reason reason)
{
	bool has_values = reason == OVERLAY_VALUES_TOLD;
	size_t cap = OVERLAY_NODES_LEN_MAX;
	struct transport_span span = {.done = answer_done};
	struct answer *answer;
	struct writer w;

	for (unsigned i = 0; i < found->value_cnt; i++)
		cap += found->values[i].len + 5;
	answer = heap_alloc(overlay->answers, sizeof(*answer) + cap);
	if (!answer) {
		refuse(overlay, call, OVERLAY_NO_MEMORY, 0);
		return;
	}
	answer->heap = overlay->answers;
	w = writer_of(answer->bytes, cap);
	overlay_found_write(&w, found, has_values);
	span.data = answer->bytes;
	span.len = writer_len(&w);
	span.arg = answer;
	overlay_count(overlay, reason);
	if (overlay->mesh.ops->answer(call->incoming, call->type, NULL, 0, &span) < 0)
		answer_done(answer);
}

/* --- the asker --- */

bool overlay_node_of(const struct mesh_neighbour *neighbour, struct overlay_node *out_node)
{
	memcpy(out_node->key, neighbour->key, sizeof(out_node->key));
	out_node->addr_cnt =
		mesh_neighbour_addrs(neighbour, out_node->addrs, OVERLAY_NODE_ADDRS_MAX);
	return out_node->addr_cnt > 0;
}

/*
 * An asker that serves itself may become a member. It says so with each request:
 * what its HELLO said may have been before it knew.
 */
static void asker_note(struct overlay *overlay, const struct mesh_neighbour *asker, uint64_t now_ns)
{
	struct overlay_node node;
	struct kad_contact contact;

	if (!overlay_node_of(asker, &node))
		return;
	overlay_book_contacts(&overlay->book, &node, 1, &contact);
	(void)kad_table_asked(overlay->table, &contact, now_ns);
}

/* May call be looked at? If not, it was answered. */
static bool admit(struct overlay *overlay, const struct mesh_call *call,
		  struct mesh_neighbour *out_asker, uint64_t now_ns)
{
	uint64_t wait_ms;

	if (!overlay->neighbours->find(overlay->mesh.mesh, call->peer_key, out_asker)) {
		*out_asker = (struct mesh_neighbour){0};
		memcpy(out_asker->key, call->peer_key, sizeof(out_asker->key));
	}
	overlay_reachable_note(overlay, out_asker, now_ns);
	if (!overlay->is_serving) {
		refuse(overlay, call, OVERLAY_CLIENT, 0);
		return false;
	}
	wait_ms = request_quota_take(&overlay->quota, call->peer_key, now_ns);
	if (wait_ms) {
		refuse(overlay, call, OVERLAY_FLOOD, wait_ms);
		return false;
	}
	return true;
}

/* --- finds --- */

/*
 * A member at its first address, where it had a session with this node, if the asker can use
 * that. Its other announced addresses are its word alone, and not passed on.
 */
static bool node_for(const struct overlay_node *member, const struct addr *asker,
		     struct overlay_node *out_node)
{
	struct overlay_node node = {.addr_cnt = 1};

	if (kad_addr_scope_of(&member->addrs[0]) < kad_addr_scope_of(asker))
		return false;
	memcpy(node.key, member->key, sizeof(node.key));
	node.addrs[0] = member->addrs[0];
	*out_node = node;
	return true;
}

static void nodes_find(struct overlay *overlay, const struct kad_id *target,
		       const struct mesh_neighbour *asker, uint64_t now_ns,
		       struct overlay_found *found)
{
	/* Some may be of no use to this asker. */
	const struct kad_node *closest[2 * OVERLAY_NODES_MAX];
	unsigned cnt =
		kad_table_closest(overlay->table, &(struct kad_near){target, KAD_TELL, now_ns},
				  closest, 2 * OVERLAY_NODES_MAX);

	found->node_cnt = 0;
	for (unsigned i = 0; i < cnt && found->node_cnt < OVERLAY_NODES_MAX; i++) {
		const struct overlay_node *member =
			overlay_book_node(&overlay->book, &closest[i]->contact);

		if (memcmp(member->key, asker->key, sizeof(member->key)) != 0 &&
		    node_for(member, &asker->remote, &found->nodes[found->node_cnt]))
			found->node_cnt++;
	}
}

/* The beginning of both finds; false: call was answered. */
static bool find_begin(struct overlay *overlay, const struct mesh_call *call, uint64_t now_ns,
		       struct overlay_find *find, struct overlay_found *found)
{
	size_t target_len = call->type == MESH_FIND_NODE ? KAD_ID_LEN : OVERLAY_KEY_LEN;
	struct mesh_neighbour asker;
	struct kad_id target;

	if (!admit(overlay, call, &asker, now_ns))
		return false;
	if (overlay_find_parse(call->payload, call->payload_len, target_len, find) < 0) {
		refuse(overlay, call, OVERLAY_MALFORMED, 0);
		return false;
	}
	if (find->is_serving)
		asker_note(overlay, &asker, now_ns);
	memcpy(target.bytes, find->target, sizeof(target.bytes));
	nodes_find(overlay, &target, &asker, now_ns, found);
	return true;
}

static void on_find_node(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct overlay *overlay = ctx;
	struct overlay_found found = {0};
	struct overlay_find find;

	if (find_begin(overlay, call, now_ns, &find, &found))
		answer_found(overlay, call, &found, OVERLAY_NODES_TOLD);
}

static bool claims_are_equal(const struct overlay_claim *a, const struct overlay_claim *b)
{
	return memcmp(a->writer, b->writer, sizeof(a->writer)) == 0 && a->seq == b->seq &&
	       a->created_s == b->created_s && a->expires_s == b->expires_s;
}

/* Is kept, which was taken when it was good, good now? */
static bool stored_is_good(struct overlay *overlay, struct overlay_stored *kept, uint64_t wall_s)
{
	const struct overlay_value value = {kept->bytes, kept->name_len, overlay_stored_value(kept),
					    kept->value_len};
	const struct overlay_rule *rule;
	struct overlay_claim claim;

	if (kept->claim.expires_s <= wall_s) {
		overlay_count(overlay, OVERLAY_STORED_EXPIRED);
		return false;
	}
	if (kept->is_checked)
		return true;
	kept->is_checked = overlay_rules_judge(&overlay->rules, &value, wall_s, &rule, &claim) ==
				   OVERLAY_STORED &&
			   claims_are_equal(&claim, &kept->claim);
	if (!kept->is_checked)
		overlay_count(overlay, OVERLAY_STORED_DAMAGED);
	return kept->is_checked;
}

unsigned overlay_show(struct overlay *overlay, const uint8_t *key, const uint8_t *after,
		      uint64_t now_ns, struct overlay_stored **out)
{
	uint64_t wall_s = overlay_wall_now_s(overlay, now_ns);
	unsigned listed = overlay_values_list(overlay->values, key, after, out), cnt = 0;

	for (unsigned i = 0; i < listed; i++) {
		if (stored_is_good(overlay, out[i], wall_s))
			out[cnt++] = out[i];
		else
			overlay_values_drop(overlay->values, out[i]);
	}
	return cnt;
}

static void page_fill(struct overlay_stored *const *kept, unsigned cnt, struct overlay_found *found)
{
	size_t page_len = 0;

	for (unsigned i = 0; i < cnt; i++) {
		page_len += kept[i]->value_len;
		if (page_len > OVERLAY_PAGE_LEN_MAX) {
			found->next = kept[i - 1]->claim.writer;
			return;
		}
		found->values[found->value_cnt++] =
			(struct overlay_span){overlay_stored_value(kept[i]), kept[i]->value_len};
	}
}

static void on_find_value(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct overlay *overlay = ctx;
	struct overlay_stored *kept[OVERLAY_KEY_MAX];
	struct overlay_found found = {0};
	struct overlay_find find;

	if (!find_begin(overlay, call, now_ns, &find, &found))
		return;
	page_fill(kept, overlay_show(overlay, find.target, find.after, now_ns, kept), &found);
	answer_found(overlay, call, &found, OVERLAY_VALUES_TOLD);
}

/* --- stores --- */

static uint64_t lifetime_s(uint64_t wanted_s, const struct overlay_claim *claim, uint64_t wall_s)
{
	uint64_t ttl_s = wanted_s ?: OVERLAY_TTL_DEFAULT_S;

	if (ttl_s > OVERLAY_TTL_MAX_S)
		ttl_s = OVERLAY_TTL_MAX_S;
	return claim->expires_s - wall_s < ttl_s ? claim->expires_s - wall_s : ttl_s;
}

/* As overlay_rules_judge, but what is kept already was judged before. */
static enum overlay_reason store_judge(struct overlay *overlay, const struct overlay_store *store,
				       uint64_t wall_s, const struct overlay_rule **out_rule,
				       struct overlay_claim *out_claim)
{
	const struct overlay_stored *kept =
		overlay_values_has(overlay->values, store->key, store->value, store->value_len);
	const struct overlay_value value = {store->name, store->name_len, store->value,
					    store->value_len};
	uint8_t hash[SHA256_HASH_LEN];

	sha256(store->name, store->name_len, hash);
	if (memcmp(hash, store->key, sizeof(hash)) != 0)
		return OVERLAY_KEY_MISMATCH;
	if (!kept || !kept->is_checked)
		return overlay_rules_judge(&overlay->rules, &value, wall_s, out_rule, out_claim);
	*out_rule = kept->rule;
	*out_claim = kept->claim;
	return kept->claim.expires_s > wall_s ? OVERLAY_STORED : OVERLAY_EXPIRED;
}

/* That this node dialled a peer says nothing here: to store, it dials nodes that others name. */
static enum fair_class asker_class(const struct mesh_neighbour *asker)
{
	return asker->is_known ? FAIR_KNOWN : FAIR_UNKNOWN;
}

enum overlay_reason overlay_take(struct overlay *overlay, const struct overlay_store *store,
				 const struct mesh_neighbour *asker, uint64_t now_ns,
				 struct overlay_taken *out_taken)
{
	static const struct addr nowhere;
	uint64_t wall_s = overlay_wall_now_s(overlay, now_ns);
	struct overlay_claim claim = {0};
	struct overlay_put put = {
		.key = store->key,
		.name = store->name,
		.name_len = store->name_len,
		.value = store->value,
		.value_len = store->value_len,
		.claim = &claim,
		.source = asker ? asker->remote : nowhere,
		.source_class = asker ? asker_class(asker) : FAIR_CHOSEN,
		.now_ns = now_ns,
		.is_checked = true,
	};
	enum overlay_reason reason = store_judge(overlay, store, wall_s, &put.rule, &claim);
	const struct overlay_stored *kept;

	*out_taken = (struct overlay_taken){0};
	if (reason == OVERLAY_STORED) {
		out_taken->stored_s = lifetime_s(store->ttl_s, &claim, wall_s);
		put.until_ns = now_ns + out_taken->stored_s * NS_PER_S;
		reason = overlay_values_put(overlay->values, &put, &kept);
	}
	if ((reason == OVERLAY_STORED || reason == OVERLAY_REFRESHED) &&
	    overlay_keep_put(&overlay->keep, kept, wall_s + out_taken->stored_s, now_ns) < 0)
		reason = OVERLAY_NOT_STORED;
	out_taken->pool = pool_of(reason, put.rule);
	if (reason == OVERLAY_STORE_FULL)
		out_taken->not_before_ms = overlay_values_not_before_ms(overlay->values, &put);
	overlay_count(overlay, reason);
	return reason;
}

static void on_store(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct overlay *overlay = ctx;
	struct mesh_neighbour asker;
	struct overlay_store store;
	struct overlay_taken taken;
	enum overlay_reason reason;
	int err;

	if (!admit(overlay, call, &asker, now_ns))
		return;
	err = overlay_store_parse(call->payload, call->payload_len, &store);
	if (err < 0) {
		refuse(overlay, call,
		       err == WEFT_ETOOLARGE ? OVERLAY_LONG_VALUE : OVERLAY_MALFORMED, 0);
		return;
	}
	reason = overlay_take(overlay, &store, &asker, now_ns, &taken);
	if (reason == OVERLAY_STORED || reason == OVERLAY_REFRESHED) {
		overlay_keep_answer(&overlay->keep, call->incoming, taken.stored_s);
		return;
	}
	note_refused(overlay, call, taken.pool, taken.not_before_ms);
	overlay->mesh.ops->answer_error(call->incoming,
					(enum mesh_code)overlay_reasons[reason].code,
					overlay_reasons[reason].text, taken.not_before_ms);
}

int overlay_serve_init(struct overlay *overlay)
{
	static const struct {
		unsigned type;
		mesh_handler_fn handler;
	} handlers[] = {
		{MESH_FIND_NODE, on_find_node},
		{MESH_FIND_VALUE, on_find_value},
		{MESH_STORE, on_store},
	};

	for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
		int err = overlay->mesh.ops->handle(overlay->mesh.mesh, handlers[i].type,
						    handlers[i].handler, overlay);

		if (err < 0)
			return err;
	}
	return 0;
}
