/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The third node's part. A asks P: on_dial_back -> helper_draw, a neighbour Q in another network ->
 * SEND_PROBE -> on_forwarded -> the answer to A. At Q: on_send_probe -> probe_send. A probe that
 * arrives at A from Q's address, to which A wrote nothing, shows that any node can write to A. Home
 * worker.
 */
#include "dial_back.h"

#include "base/container_of.h"
#include "base/dgram.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "codec/cbor.h"
#include "reachability/reachability.h"
#include "weft/endpoint.h"

#define FORWARD_TIMEOUT_NS (3 * NS_PER_S)
#define BUDGET_NS	   (60 * NS_PER_S)
#define RETRY_MS	   60000
#define TARGET_NS	   (15 * BUDGET_NS)

bool reachability_budget_take(struct probe_budget *budget, uint64_t network, uint64_t now_ns)
{
	struct probe_spent *oldest = &budget->spent[budget->next];
	unsigned cnt = 0;

	for (unsigned i = 0; i < DIAL_BACK_PER_MIN; i++)
		cnt += budget->spent[i].at_ns && budget->spent[i].network == network &&
		       now_ns - budget->spent[i].at_ns < BUDGET_NS;
	if (cnt >= DIAL_BACK_NETWORK_MIN || (oldest->at_ns && now_ns - oldest->at_ns < BUDGET_NS))
		return false;
	*oldest = (struct probe_spent){network, now_ns};
	budget->next = (budget->next + 1) % DIAL_BACK_PER_MIN;
	return true;
}

static void refuse(struct dial_backs *all, const struct mesh_call *call, enum mesh_code code,
		   const char *why)
{
	all->stats->dial_back_refused_cnt++;
	all->mesh.ops->answer_error(call->incoming, code, why,
				    code == MESH_CODE_REFUSED ? RETRY_MS : 0);
}

static void answer_addr(struct dial_backs *all, struct mesh_incoming *incoming, unsigned type,
			const struct addr *addr)
{
	uint8_t payload[PATH_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));

	reachability_address_write(&w, addr);
	(void)all->mesh.ops->answer(incoming, type, payload, writer_len(&w), NULL);
}

static void on_observed(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct dial_backs *all = ctx;
	struct addr addr;

	(void)now_ns;
	all->mesh.ops->asker_addr(call->incoming, &addr);
	if (addr.family == ADDR_NONE || addr.transport != ADDR_UDP)
		refuse(all, call, MESH_CODE_ABSENT, "your UDP address is not known here");
	else
		answer_addr(all, call->incoming, MESH_OBSERVED_ADDR, &addr);
}

/* --- P: a third node is asked --- */

/*
 * One of the neighbours in other networks, each with the same odds. This node dialled it. A probe
 * from a node behind a NAT would open that NAT for its target, and spoil the target's answer to
 * the same question.
 */
static bool helper_draw(struct dial_backs *all, const struct mesh_call *call,
			const struct addr *addr, struct mesh_neighbour *out_helper)
{
	uint64_t network = fair_network_of_addr(all->paths, addr);
	struct mesh_neighbour neighbour;
	struct mesh_walk walk = {0};
	unsigned cnt = 0;

	while (all->neighbours->next(all->mesh.mesh, &walk, &neighbour) && neighbour.is_connected) {
		if (!neighbour.is_dialled || neighbour.is_relayed ||
		    neighbour.remote.transport != ADDR_UDP ||
		    neighbour.remote.family != addr->family ||
		    fair_network_of_addr(all->paths, &neighbour.remote) == network ||
		    memcmp(neighbour.key, call->peer_key, sizeof(neighbour.key)) == 0)
			continue;
		if (random_below(all->random, ++cnt) == 0)
			*out_helper = neighbour;
	}
	return cnt > 0;
}

static void on_forwarded(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct dial_forward *forward = arg;
	struct dial_backs *all = forward->all;
	struct mesh_incoming *incoming = forward->incoming;

	(void)now_ns;
	forward->request = NULL;
	forward->incoming = NULL;
	if (!incoming)
		return;
	if (reply->err < 0)
		all->mesh.ops->answer_error(incoming, MESH_CODE_ABSENT,
					    "no other node sent a probe", 0);
	else
		answer_addr(all, incoming, MESH_DIALLED_BACK, &forward->addr);
}

static void on_asker_gone(void *arg)
{
	((struct dial_forward *)arg)->incoming = NULL;
}

static struct dial_forward *forward_free(struct dial_backs *all)
{
	for (unsigned i = 0; i < DIAL_BACK_FORWARDS; i++)
		if (!all->forwards[i].request)
			return &all->forwards[i];
	return NULL;
}

static int forward_start(struct dial_forward *forward, const struct mesh_neighbour *helper,
			 const struct path_dial_back *asked, uint64_t now_ns)
{
	struct dial_backs *all = forward->all;
	struct path_send_probe message = {.addr = forward->addr};
	uint8_t payload[PATH_MESSAGE_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask ask = {
		.type = MESH_SEND_PROBE,
		.payload = payload,
		.reply_buf = forward->reply,
		.reply_cap = sizeof(forward->reply),
		.timeout_ns = FORWARD_TIMEOUT_NS,
		.reply = on_forwarded,
		.arg = forward,
	};

	memcpy(message.ticket, asked->ticket, sizeof(message.ticket));
	reachability_send_probe_write(&w, &message);
	ask.payload_len = writer_len(&w);
	memcpy(ask.peer.key, helper->key, sizeof(ask.peer.key));
	return all->mesh.ops->ask(all->mesh.mesh, &ask, now_ns, &forward->request);
}

static void on_dial_back(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct dial_backs *all = ctx;
	struct dial_forward *forward = forward_free(all);
	struct mesh_neighbour helper;
	struct path_dial_back asked;
	struct addr addr;

	all->mesh.ops->asker_addr(call->incoming, &addr);
	if (reachability_dial_back_parse(call->payload, call->payload_len, &asked) < 0) {
		refuse(all, call, MESH_CODE_MALFORMED, "no DIAL_BACK");
		return;
	}
	if (addr.family == ADDR_NONE || addr.transport != ADDR_UDP ||
	    !helper_draw(all, call, &addr, &helper)) {
		refuse(all, call, MESH_CODE_ABSENT, "no node of another network is connected here");
		return;
	}
	if (!forward || !reachability_budget_take(
				&all->asked, fair_network_of_addr(all->paths, &addr), now_ns)) {
		refuse(all, call, MESH_CODE_REFUSED, "too many probes in this minute");
		return;
	}
	if (asked.port)
		addr.port = asked.port;
	forward->all = all;
	forward->addr = addr;
	if (forward_start(forward, &helper, &asked, now_ns) < 0) {
		forward->request = NULL;
		refuse(all, call, MESH_CODE_BUSY, "too many requests under way");
		return;
	}
	forward->incoming = call->incoming;
	all->mesh.ops->abandoned(call->incoming, on_asker_gone, forward);
	all->stats->dial_back_asked_cnt++;
}

/* --- Q: sends --- */

bool reachability_dial_back_wrote(const struct dial_backs *all, const struct addr *addr,
				  uint64_t now_ns)
{
	for (unsigned i = 0; i < PROBE_TARGETS; i++) {
		const struct probe_target *row = &all->targets.rows[i];

		if (row->addr.family == addr->family &&
		    memcmp(row->addr.ip, addr->ip, sizeof(addr->ip)) == 0 &&
		    now_ns - row->at_ns < TARGET_NS)
			return true;
	}
	return false;
}

static bool probe_send(struct dial_backs *all, const struct path_send_probe *message,
		       uint64_t now_ns)
{
	const struct dgram_route route = {.remote = message->addr};
	struct dgram_sink *sink = *all->sink;
	struct dgram_slot slot;

	if (!sink->ops->reserve(sink, WEFT_PROBE_LEN, &slot)) {
		all->stats->full_cnt++;
		return false;
	}
	reachability_probe_write(message->ticket, slot.data);
	sink->ops->commit(sink, &slot, WEFT_PROBE_LEN, &route);
	all->targets.rows[all->targets.next++ % PROBE_TARGETS] =
		(struct probe_target){message->addr, now_ns};
	all->stats->probe_sent_cnt++;
	return true;
}

/* A node on the Internet may not have this one write into its own network. */
static bool is_credible(const struct addr *addr, const struct addr *teller)
{
	struct weft_endpoint endpoint = addr_endpoint(addr),
			     teller_endpoint = addr_endpoint(teller);
	enum weft_addr_scope addr_scope = weft_endpoint_scope(&endpoint);

	return addr_scope != WEFT_ADDR_SCOPE_NONE &&
	       addr_scope >= weft_endpoint_scope(&teller_endpoint);
}

static void later_expire(struct timer *timer, uint64_t now_ns)
{
	struct dial_later *later = container_of(timer, struct dial_later, timer);
	struct dial_backs *all = later->all;

	later->all = NULL;
	(void)probe_send(all, &later->message, now_ns);
}

static bool probe_send_later(struct dial_backs *all, const struct path_send_probe *message,
			     uint64_t now_ns)
{
	for (unsigned i = 0; i < DIAL_BACK_LATER; i++) {
		struct dial_later *later = &all->laters[i];

		if (later->all)
			continue;
		*later = (struct dial_later){.all = all, .message = *message};
		timer_init(&later->timer, later_expire);
		timer_set(all->timers, &later->timer, now_ns + message->after_s * NS_PER_S);
		return true;
	}
	return false;
}

static void on_send_probe(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct dial_backs *all = ctx;
	struct path_send_probe message;
	struct addr teller;

	all->mesh.ops->asker_addr(call->incoming, &teller);
	if (reachability_send_probe_parse(call->payload, call->payload_len, &message) < 0) {
		refuse(all, call, MESH_CODE_MALFORMED, "no SEND_PROBE");
		return;
	}
	if (teller.family == ADDR_NONE || !is_credible(&message.addr, &teller)) {
		refuse(all, call, MESH_CODE_ABSENT, "you cannot know a node at that address");
		return;
	}
	/* It measures its own NAT, and has no business with another host then. */
	if (message.after_s && !addr_is_same_host(&message.addr, &teller)) {
		refuse(all, call, MESH_CODE_ABSENT, "a later probe goes to your own address alone");
		return;
	}
	if (!reachability_budget_take(&all->sent, fair_network_of_addr(all->paths, &message.addr),
				      now_ns)) {
		refuse(all, call, MESH_CODE_REFUSED, "too many probes in this minute");
		return;
	}
	if (!(message.after_s ? probe_send_later : probe_send)(all, &message, now_ns))
		refuse(all, call, MESH_CODE_BUSY, "the sender is full");
	else
		answer_addr(all, call->incoming, MESH_PROBE_SENT, &message.addr);
}

int reachability_dial_back_open(struct dial_backs *all)
{
	const struct {
		unsigned type;
		mesh_handler_fn handler;
	} rows[] = {
		{MESH_OBSERVED_ADDR, on_observed},
		{MESH_DIAL_BACK, on_dial_back},
		{MESH_SEND_PROBE, on_send_probe},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && err == 0; i++)
		err = all->mesh.ops->handle(all->mesh.mesh, rows[i].type, rows[i].handler, all);
	return err;
}

void reachability_dial_back_stop(struct dial_backs *all)
{
	for (unsigned i = 0; i < DIAL_BACK_LATER; i++) {
		if (all->laters[i].all)
			timer_cancel(all->timers, &all->laters[i].timer);
		all->laters[i].all = NULL;
	}
	for (unsigned i = 0; i < DIAL_BACK_FORWARDS; i++) {
		if (!all->forwards[i].request)
			continue;
		all->mesh.ops->cancel(all->forwards[i].request);
		all->forwards[i] = (struct dial_forward){.request = NULL};
	}
}
