/* SPDX-License-Identifier: Apache-2.0 */
#include "ack.h"

#include "builtin.h"
#include "builtin_request.h"

struct ack_waiting {
	struct acks *acks;
	struct ack ack;
};

int builtin_acks_init(struct acks *acks, struct arena *arena, struct provider_tenants *tenants,
		      const struct builtin_clock *clock)
{
	acks->tenants = tenants;
	acks->clock = clock;
	return pool_init(&acks->waiting, arena, sizeof(struct ack_waiting), ACK_MAX);
}

static void ack_end(const struct ack *ack, bool is_kept, uint64_t now_ns)
{
	if (ack->done)
		ack->done(ack->arg, is_kept, now_ns);
	if (ack->call && is_kept) {
		builtin_reply_end(ack->call, ack->reply, now_ns);
		return;
	}
	if (ack->call)
		service_fail(ack->call, SERVICE_UNAVAILABLE, "this node cannot keep it now",
			     now_ns);
	json_decref(ack->reply);
}

static void write_done(void *arg, int err)
{
	struct ack_waiting *waiting = arg;
	struct acks *acks = waiting->acks;
	const struct ack ack = waiting->ack;

	pool_release(&acks->waiting, waiting);
	ack_end(&ack, err == 0, acks->clock->now_ns(acks->clock->ctx));
}

void builtin_acks_submit(struct acks *acks, struct provider_write *write, const struct ack *ack,
			 uint64_t now_ns)
{
	struct ack_waiting *waiting = pool_acquire(&acks->waiting);

	if (waiting) {
		*waiting = (struct ack_waiting){acks, *ack};
		if (provider_write_submit(write, write_done, waiting) == 0)
			return;
		pool_release(&acks->waiting, waiting);
	}
	provider_write_free(write);
	ack_end(ack, false, now_ns);
}

void builtin_acks_forget(struct acks *acks, const struct service_call *call)
{
	struct ack_waiting *waiting = NULL;

	while ((waiting = pool_next(&acks->waiting, waiting)))
		if (waiting->ack.call == call)
			waiting->ack.call = NULL;
}

void builtin_acks_stop(struct acks *acks)
{
	struct ack_waiting *waiting = NULL;

	while ((waiting = pool_next(&acks->waiting, waiting)))
		waiting->ack.call = NULL;
	if (acks->waiting.used_cnt)
		provider_tenants_flush(acks->tenants);
}
