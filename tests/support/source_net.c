/* SPDX-License-Identifier: Apache-2.0 */
#include "support/source_net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "blobs/serve/served_index.h"
#include "blobs/content_message_have.h"
#include "blobs/content_message_holders.h"
#include "crypto/blake3/blake3.h"

#define PAYLOAD_CAP (70u * 1024u)

const uint8_t source_net_manifest[64] = "what a manifest is does not matter to a swarm";

struct mesh_request {
	struct mesh_request *next;
	struct source_net *net;
	struct net_source *source;
	struct mesh_ask ask;
	uint8_t payload[256];
	uint64_t due_ns;
	uint64_t deadline_ns;
};

static struct net_source *source_of(struct source_net *net, const uint8_t *key)
{
	return &net->sources[(unsigned)(key[0] | key[1] << 8) - 1];
}

static size_t chunk_answer(struct mesh_request *request, const struct message_request *asked)
{
	struct source_net *net = request->net;
	struct message_answer answer = {.first = asked->first, .len = net->chunk_len};
	struct writer w = writer_of(request->ask.reply_buf, request->ask.reply_cap);
	size_t head;

	memcpy(answer.id, asked->id, sizeof(answer.id));
	blobs_message_answer_write_head(&w, MESH_CHUNK_DATA, &answer);
	head = writer_len(&w);
	memset(request->ask.reply_buf + head,
	       (uint8_t)(asked->first + (request->source->is_liar ? 1 : 0)), net->chunk_len);
	request->source->chunk_cnt++;
	return head + net->chunk_len;
}

static size_t manifest_answer(struct mesh_request *request, const struct message_request *asked)
{
	struct message_answer answer = {.len = sizeof(source_net_manifest)};
	struct writer w = writer_of(request->ask.reply_buf, request->ask.reply_cap);
	size_t head;

	memcpy(answer.id, asked->id, sizeof(answer.id));
	blobs_message_answer_write_head(&w, MESH_MANIFEST_DATA, &answer);
	head = writer_len(&w);
	memcpy(request->ask.reply_buf + head, source_net_manifest, answer.len);
	if (request->source->is_liar)
		request->ask.reply_buf[head] ^= 1;
	return head + answer.len;
}

static size_t have_answer(struct mesh_request *request)
{
	const struct net_source *source = request->source;
	static struct message_have_answer answer;
	static uint8_t bits[HAVE_BITS_LEN_MAX];
	struct writer w = writer_of(request->ask.reply_buf, request->ask.reply_cap);

	answer.has_all = source->chunks_end == 0;
	answer.is_growing = source->is_growing;
	answer.whole = bits + sizeof(bits) - 1;
	answer.whole_len = 0;
	answer.in_progress_cnt = 1;
	memset(bits, 0, sizeof(bits));
	for (uint64_t i = source->chunks_begin; i < source->chunks_end; i++)
		bits[i / 8] |= (uint8_t)(1u << i % 8);
	answer.in_progress[0] = (struct message_have_file){
		.bits = bits,
		.bits_len = (size_t)(source->chunks_end + 7) / 8,
	};
	blobs_message_have_answer_write(&w, &answer);
	return writer_len(&w);
}

static size_t holders_answer(struct mesh_request *request)
{
	static struct message_holder holders[HOLDERS_MAX];
	const struct net_source *source = request->source;
	struct writer w = writer_of(request->ask.reply_buf, request->ask.reply_cap);

	for (unsigned i = 0; i < source->holder_cnt; i++) {
		struct mesh_peer peer = source_net_peer(request->net, source->holder_first + i);

		memcpy(holders[i].key, peer.key, sizeof(peer.key));
		holders[i].addr_cnt = peer.addr_cnt;
		memcpy(holders[i].addrs, peer.addrs, peer.addr_cnt * sizeof(struct addr));
	}
	blobs_message_holders_write(&w, holders, source->holder_cnt);
	return writer_len(&w);
}

static enum mesh_code refusal(const struct mesh_request *request,
			      const struct message_request *asked)
{
	const struct net_source *source = request->source;

	if (request->net->now_ns < source->busy_until_ns)
		return MESH_CODE_BUSY;
	if (request->ask.type == MESH_HAVE_CONTENT)
		return !source->knows_have ? MESH_CODE_UNKNOWN
		       : source->has_none  ? MESH_CODE_ABSENT
					   : 0;
	if (request->ask.type == MESH_HOLDERS)
		return source->holder_cnt ? 0 : MESH_CODE_UNKNOWN;
	if (request->ask.type == MESH_GET_CHUNK && source->chunks_end &&
	    (asked->first < source->chunks_begin || asked->first >= source->chunks_end))
		return MESH_CODE_ABSENT;
	return source->code;
}

static int code_err(enum mesh_code code)
{
	switch (code) {
	case MESH_CODE_ABSENT:
		return WEFT_EABSENT;
	case MESH_CODE_CHANGED:
		return WEFT_ECHANGED;
	case MESH_CODE_BUSY:
		return WEFT_EBUSY;
	default:
		return WEFT_EREFUSED;
	}
}

static void request_unlink(struct mesh_request *request)
{
	struct mesh_request **at = &request->net->requests;

	while (*at != request)
		at = &(*at)->next;
	*at = request->next;
	request->source->open_cnt--;
}

static void request_end(struct mesh_request *request, bool is_late)
{
	struct source_net *net = request->net;
	struct message_request asked = {.first = 0};
	struct mesh_reply reply = {.err = is_late ? WEFT_ETIMEOUT : 0};
	unsigned type = request->ask.type;

	if (type != MESH_HAVE_CONTENT && type != MESH_HOLDERS &&
	    blobs_message_request_parse(type, request->payload, request->ask.payload_len, &asked) <
		    0)
		abort();
	request_unlink(request);
	if (!is_late)
		reply.code = refusal(request, &asked);
	if (reply.code) {
		reply.err = code_err(reply.code);
		reply.not_before_ns = request->source->busy_until_ns;
	} else if (!is_late) {
		reply.payload = request->ask.reply_buf;
		reply.payload_len = type == MESH_HAVE_CONTENT ? have_answer(request)
				    : type == MESH_HOLDERS    ? holders_answer(request)
				    : type == MESH_GET_CHUNK  ? chunk_answer(request, &asked)
							      : manifest_answer(request, &asked);
	}
	request->ask.reply(request->ask.arg, &reply, net->now_ns);
	free(request);
}

static int seam_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
		    struct mesh_request **out_request)
{
	struct source_net *net = (struct source_net *)mesh;
	struct net_source *source = source_of(net, ask->peer.key);
	struct mesh_request *request;
	uint64_t begin_ns = now_ns > source->free_ns ? now_ns : source->free_ns;

	if (net->full_cnt) {
		net->full_cnt--;
		return WEFT_EFULL;
	}
	request = calloc(1, sizeof(*request));
	request->net = net;
	request->source = source;
	request->ask = *ask;
	memcpy(request->payload, ask->payload, ask->payload_len);
	request->deadline_ns =
		now_ns + (ask->stall_ns && ask->stall_ns < ask->timeout_ns ? ask->stall_ns
									   : ask->timeout_ns);
	if (ask->type == MESH_GET_CHUNK && source->rate)
		source->free_ns = begin_ns + net->chunk_len * NS_PER_S / source->rate;
	else
		source->free_ns = begin_ns;
	request->due_ns = source->free_ns + source->delay_ns;
	request->next = net->requests;
	net->requests = request;
	net->asked_cnt++;
	source->asked_cnt++;
	if (++source->open_cnt > source->open_peak)
		source->open_peak = source->open_cnt;
	*out_request = request;
	return 0;
}

static void seam_cancel(struct mesh_request *request)
{
	request->net->cancelled_cnt++;
	request_unlink(request);
	free(request);
}

static const struct mesh_ops seam_ops = {.ask = seam_ask, .cancel = seam_cancel};

static void on_event(void *ctx, const struct blobs_event *event)
{
	((struct source_net *)ctx)->bad_cnt += event->kind == BLOBS_PEER_BAD;
}

void source_net_init(struct source_net *net)
{
	static const uint8_t own_key[MESH_KEY_LEN] = {0xff, 0xff, 0xff};

	memset(net, 0, sizeof(*net));
	net->now_ns = 1000 * NS_PER_S;
	net->chunk_cnt = 64;
	net->chunk_len = 1024;
	blake3_hash(source_net_manifest, sizeof(source_net_manifest), net->manifest_id);
	timer_wheel_init(&net->timers, net->now_ns);
	for (unsigned i = 0; i < NET_SOURCES_MAX; i++) {
		net->sources[i].key[0] = (uint8_t)(i + 1);
		net->sources[i].key[1] = (uint8_t)((i + 1) >> 8);
		net->sources[i].delay_ns = 10 * NS_PER_MS;
		net->sources[i].knows_have = true;
	}
	blobs_config_defaults(&net->content.params.config);
	net->content.params.own_key = own_key;
	net->content.params.timers = &net->timers;
	net->content.params.mesh = (struct mesh_seam){&seam_ops, (struct mesh *)net};
	net->content.params.now_ns = net->now_ns;
	net->content.params.on_event = on_event;
	net->content.params.ctx = net;
	/* A collection that every node may read. */
	net->content.served_index = blobs_served_index_new();
	if (!net->content.served_index ||
	    blobs_served_index_add_manifest(net->content.served_index, net->manifest_id) < 0 ||
	    blobs_swarms_new(&net->content, &net->content.swarms) < 0)
		abort();
	blobs_served_index_seal(net->content.served_index);
}

void source_net_fini(struct source_net *net)
{
	blobs_swarms_free(net->content.swarms);
	blobs_served_index_free(net->content.served_index);
}

struct mesh_peer source_net_peer(const struct source_net *net, unsigned idx)
{
	static const struct addr addr = {.ip = {192, 0, 2, 1}, .port = 7000, .family = ADDR_IPV4};
	struct mesh_peer peer = {.addrs = &addr, .addr_cnt = 1};

	memcpy(peer.key, net->sources[idx].key, sizeof(peer.key));
	return peer;
}

struct swarm *source_net_join(struct source_net *net, unsigned first, unsigned cnt)
{
	struct mesh_peer hints[16];

	for (unsigned i = 0; i < cnt; i++)
		hints[i] = source_net_peer(net, first + i);
	return blobs_swarm_join(
		&net->content,
		&(struct swarm_join){.id = net->manifest_id, .hints = hints, .hint_cnt = cnt},
		net->now_ns);
}

/* The next request that is due, by its time and then the order of asking. */
static struct mesh_request *request_next(const struct source_net *net, uint64_t *at_ns)
{
	struct mesh_request *found = NULL;

	for (struct mesh_request *at = net->requests; at; at = at->next) {
		bool is_answered = !at->source->is_dead && at->due_ns < at->deadline_ns;
		uint64_t due_ns = is_answered ? at->due_ns : at->deadline_ns;

		if (found && due_ns > *at_ns)
			continue;
		found = at;
		*at_ns = due_ns;
	}
	return found;
}

bool source_net_run(struct source_net *net, uint64_t for_ns, bool (*is_over)(void *arg), void *arg)
{
	uint64_t end_ns = net->now_ns + for_ns;

	while (net->now_ns < end_ns && !(is_over && is_over(arg))) {
		uint64_t request_ns = 0, timer_ns = timer_wheel_next_ns(&net->timers);
		struct mesh_request *request = request_next(net, &request_ns);

		if (request && request_ns <= timer_ns) {
			if (request_ns > net->now_ns)
				net->now_ns = request_ns;
			request_end(request, request->source->is_dead ||
						     request->due_ns >= request->deadline_ns);
			continue;
		}
		if (timer_ns == TIMER_NEVER)
			break;
		if (timer_ns > net->now_ns)
			net->now_ns = timer_ns;
		timer_wheel_expire(&net->timers, net->now_ns);
	}
	return is_over && is_over(arg);
}
