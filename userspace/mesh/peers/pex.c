/* SPDX-License-Identifier: Apache-2.0 */
#include "pex.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "kad/kad_contact.h"
#include "base/fair/request_quota.h"

#define REQUEST_TIMEOUT_NS (10 * NS_PER_S)
/*
 * Answers on their way. Any peer can hold one by asking and not reading. While half of them are
 * lent, askers share a page: all get the same answer for some seconds. There is one such answer
 * for each address scope, so an honest asker notices that others got the same.
 */
#define ANSWER_CAP	   16
#define PAGE_NS		   (10 * NS_PER_S)
#define BUSY_NOT_BEFORE_MS 2000

/* Lent to the mesh until it has gone out, to each of its users. */
struct answer {
	struct pool *pool;
	uint32_t use_cnt;
	uint64_t made_ns;
	size_t len;
	uint8_t bytes[MESH_PEX_OFFER_LEN_MAX];
};

struct mesh_pex {
	struct mesh_pex_config config;
	uint8_t own_key[MESH_KEY_LEN];
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours;
	struct random *random;
	void (*found)(void *ctx, const struct mesh_pex_node *node, uint64_t now_ns);
	void *ctx;
	uint64_t wall_s, wall_at_ns;
	struct arena arena;
	struct request_quota quota;
	struct pool answers;
	struct answer
		*pages[KAD_ADDR_SCOPE_GLOBAL + 1]; /* a use of the newest of each; NULL: none */
	uint64_t next_ns;
	struct mesh_request *request; /* the one that is out, or NULL */
	struct addr teller;	      /* the neighbour it is out to */
	uint64_t reasons[MESH_PEX_REASON_CNT];
	uint8_t reply[MESH_PEX_OFFER_LEN_MAX + MESH_FRAME_OVERHEAD];
};

void mesh_pex_config_defaults(struct mesh_pex_config *config)
{
	*config = (struct mesh_pex_config){
		.requests_per_min = 6,
		.asker_cap = 1024,
		.fresh_s = 24 * 3600,
		.every_ns = 600 * NS_PER_S,
		.hungry_ns = 30 * NS_PER_S,
		.hungry_cnt = 8,
	};
}

static void count(struct mesh_pex *pex, enum mesh_pex_reason reason)
{
	pex->reasons[reason]++;
}

static uint64_t wall_now_s(const struct mesh_pex *pex, uint64_t now_ns)
{
	/* The turn that is on may have begun before the clock was looked at. */
	if (now_ns < pex->wall_at_ns)
		return pex->wall_s;
	return pex->wall_s + (now_ns - pex->wall_at_ns) / NS_PER_S;
}

/* --- being asked --- */

struct offer {
	struct mesh_pex *pex;
	const struct mesh_neighbour *asker;
	uint64_t wall_s;
	struct mesh_pex_node nodes[MESH_PEX_OFFER_MAX];
	unsigned cnt, wanted_cnt, seen_cnt;
};

/*
 * Where this node has reached a neighbour, if that is of use to the asker. Its announced
 * addresses are its own words: a node that gets them would dial whatever it names.
 */
static unsigned addrs_for(const struct mesh_neighbour *neighbour, const struct addr *asker,
			  struct addr out[static MESH_PEX_ADDRS_MAX])
{
	const struct addr *remote = &neighbour->remote;

	if (!kad_addr_scope_is_credible(remote, remote) ||
	    kad_addr_scope_of(remote) < kad_addr_scope_of(asker))
		return 0;
	out[0] = *remote;
	return 1;
}

static void offer_take(struct offer *offer, const struct mesh_neighbour *neighbour)
{
	struct mesh_pex_node node = {.caps = neighbour->caps};
	uint64_t at;

	if (offer->wall_s > neighbour->last_seen_s)
		node.age_s = offer->wall_s - neighbour->last_seen_s;
	if (!neighbour->is_proved || node.age_s > offer->pex->config.fresh_s ||
	    memcmp(neighbour->key, offer->asker->key, sizeof(node.key)) == 0)
		return;
	node.addr_cnt = addrs_for(neighbour, &offer->asker->remote, node.addrs);
	if (!node.addr_cnt)
		return;
	memcpy(node.key, neighbour->key, sizeof(node.key));
	/* Each is in the offer with the same odds, however many there are. */
	offer->seen_cnt++;
	at = offer->cnt < offer->wanted_cnt ? offer->cnt++
					    : random_below(offer->pex->random, offer->seen_cnt);
	if (at < offer->wanted_cnt)
		offer->nodes[at] = node;
}

static void refuse(struct mesh_pex *pex, const struct mesh_call *call, enum mesh_pex_reason reason,
		   enum mesh_code code, uint64_t not_before_ms)
{
	count(pex, reason);
	pex->mesh.ops->answer_error(call->incoming, code, mesh_pex_reasons[reason].text,
				    not_before_ms);
}

static void answer_done(void *arg)
{
	struct answer *answer = arg;

	if (--answer->use_cnt == 0)
		pool_release(answer->pool, answer);
}

/* Draws an offer of at most wanted_cnt. NULL: there is no room for one. */
static struct answer *answer_make(struct mesh_pex *pex, struct offer *offer, uint64_t now_ns)
{
	struct answer *answer = pool_acquire(&pex->answers);
	struct mesh_neighbour neighbour;
	struct mesh_walk walk = {0};
	struct writer w;

	if (!answer)
		return NULL;
	while (pex->neighbours->next(pex->mesh.mesh, &walk, &neighbour))
		offer_take(offer, &neighbour);
	answer->pool = &pex->answers;
	answer->use_cnt = 1;
	answer->made_ns = now_ns;
	w = writer_of(answer->bytes, sizeof(answer->bytes));
	mesh_pex_offer_write(&w, offer->nodes, offer->cnt);
	answer->len = writer_len(&w);
	return answer;
}

/* The answer that askers of this reach share; an old one rather than none. */
static struct answer *page_take(struct mesh_pex *pex, struct offer *offer, uint64_t now_ns)
{
	struct answer **page = &pex->pages[kad_addr_scope_of(&offer->asker->remote)];
	struct answer *fresh = NULL;

	if (!*page || now_ns - (*page)->made_ns >= PAGE_NS)
		fresh = answer_make(pex, offer, now_ns);
	if (fresh && *page)
		answer_done(*page);
	if (fresh)
		*page = fresh;
	if (*page)
		(*page)->use_cnt++;
	return *page;
}

/* A use of an answer to what asker wants, or NULL. */
static struct answer *answer_take(struct mesh_pex *pex, struct offer *offer, uint64_t now_ns)
{
	if (pex->answers.used_cnt < ANSWER_CAP / 2)
		return answer_make(pex, offer, now_ns);
	pex->mesh.ops->hurry(pex->mesh.mesh);
	return offer->wanted_cnt == MESH_PEX_OFFER_MAX ? page_take(pex, offer, now_ns) : NULL;
}

static void offer_answer(struct mesh_pex *pex, const struct mesh_call *call, struct offer *offer,
			 uint64_t now_ns)
{
	struct answer *answer = answer_take(pex, offer, now_ns);
	struct transport_span span = {.done = answer_done, .arg = answer};

	if (!answer) {
		refuse(pex, call, MESH_PEX_NO_MEMORY, MESH_CODE_BUSY, BUSY_NOT_BEFORE_MS);
		return;
	}
	span.data = answer->bytes;
	span.len = answer->len;
	count(pex, MESH_PEX_OFFERED);
	if (pex->mesh.ops->answer(call->incoming, MESH_PEX_OFFER, NULL, 0, &span) < 0)
		answer_done(answer);
}

static void on_request(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct mesh_pex *pex = ctx;
	struct mesh_neighbour asker = {0};
	struct offer offer = {.pex = pex, .asker = &asker, .wall_s = wall_now_s(pex, now_ns)};
	uint64_t wait_ms = request_quota_take(&pex->quota, call->peer_key, now_ns);

	if (wait_ms) {
		refuse(pex, call, MESH_PEX_FLOOD, MESH_CODE_REFUSED, wait_ms);
		return;
	}
	if (mesh_pex_request_parse(call->payload, call->payload_len, &offer.wanted_cnt) < 0) {
		refuse(pex, call, MESH_PEX_MALFORMED, MESH_CODE_MALFORMED, 0);
		return;
	}
	(void)pex->neighbours->find(pex->mesh.mesh, call->peer_key, &asker);
	offer_answer(pex, call, &offer, now_ns);
}

/* --- asking --- */

/* Keeps the addresses at which node can be, as far as teller may know. */
static enum mesh_pex_reason node_judge(const struct mesh_pex *pex, struct mesh_pex_node *node)
{
	bool is_private = false;
	unsigned kept = 0;

	if (memcmp(node->key, pex->own_key, sizeof(node->key)) == 0)
		return MESH_PEX_OURSELVES;
	if (node->age_s > pex->config.fresh_s)
		return MESH_PEX_STALE;
	for (unsigned i = 0; i < node->addr_cnt; i++) {
		is_private |= kad_addr_scope_of(&node->addrs[i]) != KAD_ADDR_SCOPE_NONE;
		if (kad_addr_scope_is_credible(&node->addrs[i], &pex->teller))
			node->addrs[kept++] = node->addrs[i];
	}
	node->addr_cnt = kept;
	if (kept)
		return MESH_PEX_TAKEN;
	return is_private ? MESH_PEX_PRIVATE : MESH_PEX_MARTIAN;
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct mesh_pex *pex = arg;
	struct mesh_pex_node nodes[MESH_PEX_OFFER_MAX];
	int cnt;

	pex->request = NULL;
	if (reply->err < 0) {
		count(pex, MESH_PEX_NO_REPLY);
		return;
	}
	cnt = mesh_pex_offer_parse(reply->payload, reply->payload_len, nodes);
	if (cnt < 0)
		count(pex, MESH_PEX_MALFORMED);
	for (int i = 0; i < cnt; i++) {
		enum mesh_pex_reason reason = node_judge(pex, &nodes[i]);

		count(pex, reason);
		if (reason == MESH_PEX_TAKEN)
			pex->found(pex->ctx, &nodes[i], now_ns);
	}
}

static void ask(struct mesh_pex *pex, const struct mesh_neighbour *neighbour, uint64_t now_ns)
{
	uint8_t payload[MESH_PEX_REQUEST_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask request = {
		.type = MESH_PEX_REQUEST,
		.payload = payload,
		.reply_buf = pex->reply,
		.reply_cap = sizeof(pex->reply),
		.timeout_ns = REQUEST_TIMEOUT_NS,
		.reply = on_reply,
		.arg = pex,
	};

	mesh_pex_request_write(&w, MESH_PEX_OFFER_MAX);
	request.payload_len = writer_len(&w);
	memcpy(request.peer.key, neighbour->key, sizeof(request.peer.key));
	pex->teller = neighbour->remote;
	if (pex->mesh.ops->ask(pex->mesh.mesh, &request, now_ns, &pex->request) < 0)
		pex->request = NULL;
	else
		count(pex, MESH_PEX_ASKED);
}

void mesh_pex_expire(struct mesh_pex *pex, uint64_t now_ns)
{
	struct mesh_neighbour neighbour, drawn;
	struct mesh_walk walk = {0};
	unsigned cnt = 0;

	if (now_ns < pex->next_ns)
		return;
	/* One of the connected peers, each with the same odds. */
	while (pex->neighbours->next(pex->mesh.mesh, &walk, &neighbour) && neighbour.is_connected)
		if (random_below(pex->random, ++cnt) == 0)
			drawn = neighbour;
	if (cnt && !pex->request)
		ask(pex, &drawn, now_ns);
	pex->next_ns = now_ns + (cnt < pex->config.hungry_cnt ? pex->config.hungry_ns
							      : pex->config.every_ns);
}

uint64_t mesh_pex_next_ns(const struct mesh_pex *pex)
{
	return pex->next_ns;
}

/* --- life --- */

void mesh_pex_set_wall(struct mesh_pex *pex, uint64_t wall_s, uint64_t now_ns)
{
	pex->wall_s = wall_s;
	pex->wall_at_ns = now_ns;
}

static int pex_lay_out(struct mesh_pex *pex, const struct mesh_pex_config *config,
		       const uint64_t secret[2])
{
	int err = arena_open(&pex->arena, ARENA_GROWS);

	if (err == 0)
		err = request_quota_init(&pex->quota, &pex->arena, config->asker_cap,
					 config->requests_per_min, secret);
	if (err == 0)
		err = pool_init(&pex->answers, &pex->arena, sizeof(struct answer), ANSWER_CAP);
	arena_fit(&pex->arena);
	return err;
}

size_t mesh_pex_footprint(const struct mesh_pex_config *config)
{
	const uint64_t secret[2] = {0};
	struct mesh_pex *pex = calloc(1, sizeof(*pex));
	size_t len = 0;

	if (!pex)
		return 0;
	if (pex_lay_out(pex, config, secret) == 0)
		len = sizeof(*pex) + pex->arena.used_len;
	arena_close(&pex->arena);
	free(pex);
	return len;
}

int mesh_pex_new(const struct mesh_pex_params *params, struct mesh_pex **out_pex)
{
	struct mesh_pex *pex = calloc(1, sizeof(*pex));
	uint64_t secret[2];
	int err;

	if (!pex)
		return -ENOMEM;
	pex->config = params->config;
	pex->mesh = params->mesh;
	pex->neighbours = params->neighbours;
	pex->random = params->random;
	pex->found = params->found;
	pex->ctx = params->ctx;
	pex->next_ns = params->now_ns;
	memcpy(pex->own_key, params->own_key, sizeof(pex->own_key));
	mesh_pex_set_wall(pex, params->wall_s, params->now_ns);
	random_fill(params->random, secret, sizeof(secret));
	if ((err = pex_lay_out(pex, &params->config, secret)) < 0 ||
	    (err = pex->mesh.ops->handle(pex->mesh.mesh, MESH_PEX_REQUEST, on_request, pex)) < 0) {
		mesh_pex_free(pex);
		return err;
	}
	*out_pex = pex;
	return 0;
}

void mesh_pex_stop(struct mesh_pex *pex)
{
	if (!pex || !pex->request)
		return;
	pex->mesh.ops->cancel(pex->request);
	pex->request = NULL;
}

void mesh_pex_free(struct mesh_pex *pex)
{
	if (!pex)
		return;
	arena_close(&pex->arena);
	free(pex);
}

void mesh_pex_stats(const struct mesh_pex *pex, uint64_t out_reasons[static MESH_PEX_REASON_CNT])
{
	memcpy(out_reasons, pex->reasons, sizeof(pex->reasons));
}

const struct weft_reason_row mesh_pex_reasons[] = {
#define REASON WEFT_REASON_ROW
#include "mesh/pex_reasons.def"
};
