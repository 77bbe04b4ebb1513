/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The room's datagrams. A STUN request is answered with the address it came from: reachability_input ->
 * on_request -> the sink. XDP answers a request without attributes itself, by the same bytes
 * (weft/stun.h). Ingress has paid for each answer from the byte budget of the DHT
 * (weft/stun_policy.h), so no answer is limited here. Home worker.
 */
#include "reachability/reachability.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/dgram.h"
#include "codec/stun.h"

struct reachability {
	struct reachability_params params;
	struct reachability_stats stats;
};

int reachability_new(const struct reachability_params *params,
		     struct reachability **out_reachability)
{
	struct reachability *reachability = calloc(1, sizeof(*reachability));

	if (!reachability)
		return -ENOMEM;
	reachability->params = *params;
	*out_reachability = reachability;
	return 0;
}

void reachability_free(struct reachability *reachability)
{
	free(reachability);
}

/* An answer leaves from the address that was asked, or a NAT on the way drops it. */
static void reply(struct reachability *reachability, const struct dgram *asked, const uint8_t *data,
		  size_t len)
{
	const struct dgram_route route = {.local = asked->local, .remote = asked->remote};
	struct dgram_sink *sink = reachability->params.sink;
	struct dgram_slot slot;

	if (!sink->ops->reserve(sink, len, &slot)) {
		reachability->stats.full_cnt++;
		return;
	}
	memcpy(slot.data, data, len);
	sink->ops->commit(sink, &slot, len, &route);
}

static void on_request(struct reachability *reachability, const struct dgram *dgram,
		       const struct stun_message *request)
{
	uint8_t answer[STUN_WRITE_CAP];

	if (request->unknown_cnt) {
		reachability->stats.stun_refused_cnt++;
		reply(reachability, dgram, answer, stun_write_error(request, answer));
		return;
	}
	reachability->stats.stun_answered_cnt++;
	reply(reachability, dgram, answer, stun_write_success(request, &dgram->remote, answer));
}

static void on_stun(struct reachability *reachability, const struct dgram *dgram)
{
	struct stun_message message;

	if (stun_read(dgram->data, dgram->len, &message) < 0)
		reachability->stats.stun_malformed_cnt++;
	else if (message.type == STUN_REQUEST)
		on_request(reachability, dgram, &message);
	else
		reachability->stats.stun_stray_cnt++;
}

void reachability_input(struct reachability *reachability, const struct dgram *dgram,
			uint64_t now_ns)
{
	(void)now_ns;
	if (dgram->judged.flow == WEFT_FLOW_STUN)
		on_stun(reachability, dgram);
}

void reachability_set_sink(struct reachability *reachability, struct dgram_sink *sink)
{
	reachability->params.sink = sink;
}

const struct reachability_stats *reachability_stats(const struct reachability *reachability)
{
	return &reachability->stats;
}
