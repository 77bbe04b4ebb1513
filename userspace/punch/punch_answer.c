/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rounds that peers ask for. on_candidates takes a row by fair shares and answers with this node's own
 * addresses. on_punch_now begins to probe, and is answered when a probe was, or at the round's end.
 * Home worker.
 */
#include <string.h>

#include "punch_state.h"

#define RETRY_MS 2000

static void answered_free(struct punch_round *round, uint64_t now_ns)
{
	struct punch *punch = round->punch;

	timer_cancel(punch->params.timers, &round->timer);
	fair_release(&punch->places.fair, &round->share, now_ns);
	round->phase = PUNCH_IDLE;
	round->used_ns = 0;
}

static void refuse(struct punch *punch, const struct mesh_call *call, enum mesh_code code,
		   const char *why, uint64_t wait_ms)
{
	punch->stats.refused_cnt++;
	punch->params.mesh.ops->answer_error(call->incoming, code, why, wait_ms);
}

static struct punch_round *answered_find(struct punch *punch, const uint8_t *key)
{
	for (unsigned i = 0; i < PUNCH_ANSWERED_MAX + 1; i++) {
		struct punch_round *round = &punch->answered[i];

		if (round->phase != PUNCH_IDLE && memcmp(round->key, key, sizeof(round->key)) == 0)
			return round;
	}
	return NULL;
}

void punch_answer_say(struct punch_round *round)
{
	const struct punch_result result = {.addr = round->proved};
	uint8_t payload[PUNCH_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_incoming *incoming = round->incoming;

	if (!incoming)
		return;
	round->incoming = NULL;
	punch_result_write(&w, &result);
	(void)round->punch->params.mesh.ops->answer(incoming, MESH_PUNCH_RESULT, payload,
						    writer_len(&w), NULL);
}

static void answered_expire(struct timer *timer, uint64_t now_ns)
{
	struct punch_round *round = container_of(timer, struct punch_round, timer);

	if (round->phase == PUNCH_WARM && punch_warm_is_kept(round, now_ns))
		return;
	punch_answer_say(round);
	if (round->is_direct && round->phase == PUNCH_PROBING)
		punch_warm_begin(round, now_ns);
	else
		answered_free(round, now_ns);
}

static void answered_evict(struct punch_round *round, uint64_t now_ns)
{
	struct mesh_incoming *incoming = round->incoming;

	round->incoming = NULL;
	if (incoming)
		round->punch->params.mesh.ops->answer_error(incoming, MESH_CODE_BUSY,
							    "too many rounds", RETRY_MS);
	answered_free(round, now_ns);
}

static struct punch_round *answered_take(struct punch *punch, const struct mesh_call *call,
					 uint64_t now_ns)
{
	struct punch_round *round = NULL;
	struct fair_item *victim = NULL;
	struct fair_path path;

	for (unsigned i = 0; i < PUNCH_ANSWERED_MAX + 1 && !round; i++)
		if (punch->answered[i].phase == PUNCH_IDLE)
			round = &punch->answered[i];
	punch->params.mesh.ops->asker_path(call->incoming, &path);
	switch (fair_take(&punch->places.fair, &path, &round->share, now_ns, &victim)) {
	case FAIR_TAKEN_FROM:
		answered_evict((struct punch_round *)victim, now_ns);
		/* fallthrough */
	case FAIR_TAKEN:
		break;
	case FAIR_BUSY:
		return NULL;
	}
	punch_round_charge(round, &path);
	if (punch_round_begin(round, call->peer_key, now_ns))
		return round;
	fair_release(&punch->places.fair, &round->share, now_ns);
	return NULL;
}

static void on_candidates(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct punch *punch = ctx;
	struct punch_round *round = answered_find(punch, call->peer_key);
	uint8_t payload[PUNCH_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct punch_candidates theirs, own;
	struct addr addr;

	punch->params.mesh.ops->asker_addr(call->incoming, &addr);
	if (punch_candidates_parse(call->payload, call->payload_len, &theirs) < 0) {
		refuse(punch, call, MESH_CODE_MALFORMED, "no CANDIDATES", 0);
		return;
	}
	if (addr.family == ADDR_NONE || addr.transport == ADDR_TCP) {
		refuse(punch, call, MESH_CODE_ABSENT, "the session is not on QUIC", 0);
		return;
	}
	/* A second question of a key takes the place of its first one. */
	if (round)
		answered_evict(round, now_ns);
	round = answered_take(punch, call, now_ns);
	if (!round) {
		refuse(punch, call, MESH_CODE_BUSY, "too many rounds", RETRY_MS);
		return;
	}
	round->is_direct = !addr_is_relayed(&addr);
	round->theirs = theirs;
	round->is_agreed = true;
	punch_own_candidates(round, &own);
	punch_candidates_write(&w, &own);
	timer_set(punch->params.timers, &round->timer, now_ns + PUNCH_PATIENCE_NS);
	punch->stats.answered_cnt++;
	(void)punch->params.mesh.ops->answer(call->incoming, MESH_CANDIDATES, payload,
					     writer_len(&w), NULL);
}

static void on_asker_gone(void *arg)
{
	((struct punch_round *)arg)->incoming = NULL;
}

static void on_punch_now(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct punch *punch = ctx;
	struct punch_round *round = answered_find(punch, call->peer_key);
	struct punch_now message;

	if (punch_now_parse(call->payload, call->payload_len, &message) < 0) {
		refuse(punch, call, MESH_CODE_MALFORMED, "no PUNCH_NOW", 0);
		return;
	}
	if (!round || round->phase != PUNCH_AGREEING ||
	    memcmp(message.handle, round->handle, sizeof(message.handle)) != 0) {
		refuse(punch, call, MESH_CODE_ABSENT, "no round has this handle", 0);
		return;
	}
	round->phase = PUNCH_PROBING;
	round->incoming = call->incoming;
	punch->params.mesh.ops->abandoned(call->incoming, on_asker_gone, round);
	timer_set(punch->params.timers, &round->timer, now_ns + PUNCH_ROUND_NS);
	punch_probe_all(round, now_ns);
}

int punch_answer_open(struct punch *punch)
{
	const struct mesh_seam *mesh = &punch->params.mesh;
	int err;

	for (unsigned i = 0; i < PUNCH_ANSWERED_MAX + 1; i++) {
		punch->answered[i].punch = punch;
		timer_init(&punch->answered[i].timer, answered_expire);
	}
	err = mesh->ops->handle(mesh->mesh, MESH_CANDIDATES, on_candidates, punch);
	return err < 0 ? err : mesh->ops->handle(mesh->mesh, MESH_PUNCH_NOW, on_punch_now, punch);
}
