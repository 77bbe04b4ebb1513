/* SPDX-License-Identifier: Apache-2.0 */
#include "overlay_query.h"

#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "run.h"
#include "overlay_serve.h"

/*
 * With a handshake on the way. A lookup does not wait so long: kad/lookup.h gives
 * the place of a slow node to another.
 */
#define QUERY_TIMEOUT_NS (5 * NS_PER_S)
/* A node that is pinged before it is evicted has so long to answer. */
#define PING_TIMEOUT_NS (1500 * NS_PER_MS)
/* A node that was silent just now, and is asked for want of others. */
#define SILENT_TIMEOUT_NS (450 * NS_PER_MS)

struct overlay_query {
	struct overlay *overlay;
	struct overlay_run *run;
	enum overlay_query_kind kind;
	uint16_t slot;
	struct kad_contact contact;
	struct addr teller; /* of the contact; of family ADDR_NONE: this node's table */
	uint64_t sent_ns;
	struct mesh_request *request; /* NULL while its answer is read */
	uint8_t *reply;
};

size_t overlay_query_size(void)
{
	return sizeof(struct overlay_query);
}

void overlay_queries_mark(struct overlay *overlay)
{
	struct overlay_query *query = NULL;

	while ((query = pool_next(&overlay->queries, query)))
		overlay_book_mark(&overlay->book, &query->contact);
}

static void query_free(struct overlay_query *query)
{
	struct overlay *overlay = query->overlay;

	heap_release(overlay->work, query->reply);
	pool_release(&overlay->queries, query);
}

/* --- what the table learns --- */

/*
 * The contact as it has proved to be: if we have dialled it, at the address
 * that did it, whatever it said of others.
 */
static struct kad_contact contact_proved(struct overlay *overlay, const struct kad_contact *asked)
{
	const struct overlay_node *node = overlay_book_node(&overlay->book, asked);
	struct kad_contact contact = *asked;
	struct mesh_neighbour neighbour;
	struct overlay_node proved;

	if (overlay->neighbours->find(overlay->mesh.mesh, node->key, &neighbour) &&
	    neighbour.is_dialled && !addr_equal(&neighbour.remote, &asked->addr) &&
	    overlay_node_of(&neighbour, &proved))
		overlay_book_contacts(&overlay->book, &proved, 1, &contact);
	return contact;
}

static void table_note(struct overlay *overlay, const struct overlay_query *query, int err,
		       uint64_t now_ns)
{
	const struct kad_contact *asked = &query->contact;
	uint64_t rtt_ns = now_ns - query->sent_ns;
	struct kad_contact contact;

	if (err == 0) {
		contact = contact_proved(overlay, asked);
		overlay_count(overlay, OVERLAY_REPLY);
		kad_rtt_sample(&overlay->rtt, rtt_ns);
		(void)kad_table_answered(overlay->table, &contact, rtt_ns, now_ns);
	} else if (err == WEFT_EUNKNOWN) {
		overlay_count(overlay, OVERLAY_NO_SERVER);
		kad_table_drop(overlay->table, &asked->id, &asked->addr);
	} else if (err == WEFT_EREFUSED || err == WEFT_EBUSY) {
		overlay_count(overlay, OVERLAY_REFUSED); /* it lives, and has enough for now */
	} else if (err == WEFT_EMALFORMED || err == WEFT_ETOOLARGE) {
		overlay_count(overlay, OVERLAY_BAD_REPLY);
		kad_table_drop(overlay->table, &asked->id, &asked->addr);
	} else {
		overlay_silent_note(&overlay->silent, asked, &query->teller, now_ns);
		overlay_count(overlay, OVERLAY_NO_REPLY);
		kad_table_failed(overlay->table, &asked->id, &asked->addr, now_ns);
	}
}

/* --- answers --- */

/* Keeps the addresses that teller may know of; false: none. */
static bool node_believe(struct overlay_node *node, const struct addr *teller)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < node->addr_cnt; i++)
		if (kad_addr_scope_is_credible(&node->addrs[i], teller))
			node->addrs[cnt++] = node->addrs[i];
	node->addr_cnt = cnt;
	return cnt > 0;
}

static void nodes_believe(struct overlay *overlay, struct overlay_found *found,
			  const struct addr *teller)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < found->node_cnt; i++) {
		if (node_believe(&found->nodes[i], teller))
			found->nodes[cnt++] = found->nodes[i];
		else
			overlay_count(overlay, OVERLAY_MARTIAN);
	}
	found->node_cnt = cnt;
}

static int heard_parse(const struct overlay_query *query, const struct mesh_reply *reply,
		       struct overlay_found *out_found)
{
	uint64_t stored_s;

	if (reply->err < 0)
		return reply->err;
	if (query->kind == OVERLAY_QUERY_STORE)
		return overlay_stored_parse(reply->payload, reply->payload_len, &stored_s);
	return overlay_found_parse(reply->payload, reply->payload_len, out_found);
}

static void query_replied(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct overlay_query *query = arg;
	struct overlay *overlay = query->overlay;
	struct overlay_found found = {0};
	struct overlay_heard heard = {.kind = query->kind,
				      .slot = query->slot,
				      .found = &found,
				      .err = heard_parse(query, reply, &found)};

	query->request = NULL;
	if (heard.err != WEFT_ETIMEOUT && heard.err != WEFT_EUNREACHABLE &&
	    heard.err != WEFT_ECLOSED)
		overlay_silent_forget(&overlay->silent, &query->contact, now_ns);
	/* A value that was not taken says nothing against the node that refused it. */
	if (query->kind != OVERLAY_QUERY_STORE || heard.err == WEFT_ETIMEOUT)
		table_note(overlay, query, heard.err, now_ns);
	if (query->run) {
		nodes_believe(overlay, &found, &query->contact.addr);
		overlay_run_hear(query->run, &heard, now_ns);
	}
	query_free(query);
}

/* --- sending --- */

static size_t reply_cap(const struct overlay_query_params *params)
{
	switch (params->type) {
	case MESH_FIND_VALUE:
		return OVERLAY_VALUES_LEN_MAX + MESH_FRAME_OVERHEAD;
	case MESH_STORE:
		return OVERLAY_STORED_LEN_MAX + MESH_FRAME_OVERHEAD;
	default:
		return OVERLAY_NODES_LEN_MAX + MESH_FRAME_OVERHEAD;
	}
}

static uint64_t query_timeout_ns(const struct overlay *overlay,
				 const struct overlay_query_params *params, uint64_t now_ns)
{
	if (params->kind == OVERLAY_QUERY_PING)
		return PING_TIMEOUT_NS;
	return overlay_silent_has(&overlay->silent, params->contact, now_ns) ? SILENT_TIMEOUT_NS
									     : QUERY_TIMEOUT_NS;
}

int overlay_query_send(struct overlay *overlay, const struct overlay_query_params *params,
		       uint64_t now_ns)
{
	const struct overlay_node *node = overlay_book_node(&overlay->book, params->contact);
	struct overlay_query *query = pool_acquire(&overlay->queries);
	struct mesh_ask ask = {
		.peer = {.addrs = node->addrs,
			 .addr_cnt = node->addr_cnt,
			 .told_cnt = node->addr_cnt},
		.type = params->type,
		.payload = params->payload,
		.payload_len = params->payload_len,
		.reply_cap = reply_cap(params),
		.timeout_ns = query_timeout_ns(overlay, params, now_ns),
		.reply = query_replied,
		.arg = query,
	};
	int err;

	if (!query)
		return WEFT_EFULL;
	*query = (struct overlay_query){.overlay = overlay,
					.run = params->run,
					.kind = params->kind,
					.slot = params->slot,
					.contact = *params->contact,
					.sent_ns = now_ns};
	if (params->run)
		query->teller = overlay_run_teller(params->run, params->slot);
	query->reply = heap_alloc(overlay->work, ask.reply_cap);
	if (!query->reply) {
		pool_release(&overlay->queries, query);
		return WEFT_EFULL;
	}
	memcpy(ask.peer.key, node->key, sizeof(ask.peer.key));
	ask.reply_buf = query->reply;
	err = overlay->mesh.ops->ask(overlay->mesh.mesh, &ask, now_ns, &query->request);
	if (err < 0)
		query_free(query);
	else
		overlay->sent_cnt++;
	return err;
}

int overlay_query_ping(struct overlay *overlay, const struct kad_contact *contact, uint64_t now_ns)
{
	struct kad_id target = kad_id_random_in(&overlay->own_id, 0, overlay->random);
	struct overlay_find find = {.target = target.bytes, .is_serving = overlay->is_serving};
	uint8_t payload[OVERLAY_FIND_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct overlay_query_params params = {
		.kind = OVERLAY_QUERY_PING,
		.type = MESH_FIND_NODE,
		.payload = payload,
		.contact = contact,
	};

	overlay_find_write(&w, &find, KAD_ID_LEN);
	params.payload_len = writer_len(&w);
	return overlay_query_send(overlay, &params, now_ns);
}

/*
 * Whether a query goes on without its run: it is slow, so its contact is not asked again until it
 * answers, which may be soon. Half of the queries at most do.
 */
static bool query_outlives(const struct overlay_query *query, uint64_t now_ns)
{
	const struct overlay *overlay = query->overlay;

	return query->kind == OVERLAY_QUERY_FIND &&
	       now_ns - query->sent_ns >= overlay->rtt.slow_ns &&
	       overlay->queries.used_cnt <= overlay->queries.cap_cnt / 2;
}

void overlay_queries_cancel(struct overlay *overlay, const struct overlay_run *run, uint64_t now_ns)
{
	struct overlay_query *query = NULL;

	while ((query = pool_next(&overlay->queries, query))) {
		if (query->run != run)
			continue;
		query->run = NULL;
		if (!query->request)
			continue; /* its answer is being read, and its owner frees it */
		if (run && query_outlives(query, now_ns)) {
			overlay_silent_note(&overlay->silent, &query->contact, &query->teller,
					    now_ns);
			continue;
		}
		overlay->mesh.ops->cancel(query->request);
		query_free(query);
	}
}
