/* SPDX-License-Identifier: Apache-2.0 */
#include "support/content_duo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fair/fair_path.h"
#include "base/monotonic.h"

#define TURN_NS		(NS_PER_MS / 10)
#define DUO_REQUEST_CAP 40000

enum request_state { REQUEST_ASKED, REQUEST_HANDED, REQUEST_ANSWERED };

struct mesh_incoming {
	struct mesh_request *request; /* NULL: the asker left */
	struct duo *duo;
	void (*gone)(void *arg);
	void *gone_arg;
};

struct mesh_request {
	struct mesh_request *next;
	struct duo *duo;
	unsigned to;
	uint8_t from_key[32]; /* of the asker, when it asked */
	struct addr from;     /* likewise */
	enum request_state state;
	uint64_t due_ns;
	unsigned type;
	uint8_t payload[DUO_REQUEST_CAP];
	size_t payload_len;
	uint8_t *reply_buf;
	size_t reply_cap;
	uint64_t deadline_ns;
	void (*reply)(void *arg, const struct mesh_reply *reply, uint64_t now_ns);
	void *arg;
	struct mesh_incoming *incoming;
	struct duo_answer answer;
	struct transport_span span;
};

static unsigned handler_idx(unsigned type)
{
	return type == MESH_GET_MANIFEST       ? 0
	       : type == MESH_GET_CHUNK	       ? 1
	       : type == MESH_GET_CHUNK_HASHES ? 2
	       : type == MESH_HAVE_CONTENT     ? 3
	       : type == MESH_HOLDERS	       ? 4
					       : 5;
}

static int seam_handle(struct mesh *mesh, unsigned type, mesh_handler_fn handler, void *ctx)
{
	mesh->handlers[handler_idx(type)] = handler;
	mesh->handler_ctx[handler_idx(type)] = ctx;
	return 0;
}

static int seam_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t now_ns,
		    struct mesh_request **out_request)
{
	struct duo *duo = mesh->duo;
	struct mesh_request *request = calloc(1, sizeof(*request)), **end = &duo->requests;
	unsigned cnt = 1;

	request->duo = duo;
	request->to = 1 - mesh->idx;
	memcpy(request->from_key, duo->nodes[mesh->idx].key, sizeof(request->from_key));
	request->from = duo->nodes[mesh->idx].addr;
	memcpy(request->answer.asked_key, ask->peer.key, sizeof(request->answer.asked_key));
	request->due_ns = now_ns + TURN_NS;
	request->type = ask->type;
	memcpy(request->payload, ask->payload, ask->payload_len);
	request->payload_len = ask->payload_len;
	request->reply_buf = ask->reply_buf;
	request->reply_cap = ask->reply_cap;
	request->deadline_ns = now_ns + ask->timeout_ns;
	request->reply = ask->reply;
	request->arg = ask->arg;
	for (; *end; end = &(*end)->next)
		cnt++;
	*end = request;
	duo->asked_cnt++;
	if (cnt > duo->asked_peak_cnt)
		duo->asked_peak_cnt = cnt;
	*out_request = request;
	return 0;
}

static void request_unlink(struct mesh_request *request)
{
	struct mesh_request **at = &request->duo->requests;

	while (*at != request)
		at = &(*at)->next;
	*at = request->next;
}

static void request_free(struct mesh_request *request)
{
	request_unlink(request);
	if (request->incoming)
		request->incoming->request = NULL;
	if (request->span.done) {
		request->duo->lent_cnt--;
		request->span.done(request->span.arg);
	}
	free(request->answer.payload);
	free(request);
}

static void seam_cancel(struct mesh_request *request)
{
	struct mesh_incoming *incoming = request->incoming;

	request_free(request);
	if (incoming && incoming->gone) {
		incoming->gone(incoming->gone_arg);
		free(incoming);
	}
}

/* The answer's bytes as they would arrive, and then what the hook makes of them. */
static void request_answered(struct mesh_request *request, unsigned type, const void *head,
			     size_t head_len, const struct transport_span *tail)
{
	struct duo_answer *answer = &request->answer;

	answer->request_type = request->type;
	answer->type = type;
	answer->len = head_len + (tail ? tail->len : 0);
	answer->payload = malloc(answer->len + 1);
	if (head_len)
		memcpy(answer->payload, head, head_len);
	if (tail)
		memcpy(answer->payload + head_len, tail->data, tail->len);
	request->state = REQUEST_ANSWERED;
	if (request->duo->on_answer)
		request->duo->on_answer(request->duo, answer);
	request->due_ns = request->duo->now_ns + TURN_NS + answer->delay_ns;
}

static int seam_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
		       size_t head_len, const struct transport_span *tail)
{
	struct mesh_request *request = incoming->request;

	free(incoming);
	if (!request)
		return WEFT_ECLOSED;
	request->incoming = NULL;
	request_answered(request, type, head, head_len, tail);
	if (tail) {
		request->span = *tail;
		request->duo->lent_cnt++;
	}
	return 0;
}

static int code_err(enum mesh_code code)
{
	return code == MESH_CODE_ABSENT	    ? WEFT_EABSENT
	       : code == MESH_CODE_BUSY	    ? WEFT_EBUSY
	       : code == MESH_CODE_CHANGED  ? WEFT_ECHANGED
	       : code == MESH_CODE_INTERNAL ? -EIO
					    : WEFT_EREFUSED;
}

static void seam_answer_error(struct mesh_incoming *incoming, enum mesh_code code, const char *text,
			      uint64_t not_before_ms)
{
	struct mesh_request *request = incoming->request;

	(void)text;
	free(incoming);
	if (!request)
		return;
	request->incoming = NULL;
	request->answer.code = code;
	request->answer.err = code_err(code);
	request->answer.not_before_ns =
		not_before_ms ? request->duo->now_ns + not_before_ms * NS_PER_MS : 0;
	request_answered(request, MESH_ERROR, NULL, 0, NULL);
}

static void seam_abandoned(struct mesh_incoming *incoming, void (*gone)(void *arg), void *arg)
{
	incoming->gone = gone;
	incoming->gone_arg = arg;
}

static void seam_asker_addr(const struct mesh_incoming *incoming, struct addr *out_addr)
{
	*out_addr = incoming->request->from;
}

static void seam_note_refused(const struct mesh_incoming *incoming, const char *pool,
			      uint32_t wait_ms)
{
	(void)wait_ms;
	incoming->duo->refused_pool = pool;
}

static void seam_asker_path(const struct mesh_incoming *incoming, struct fair_path *out_path)
{
	static const struct fair_paths paths;
	const struct mesh_request *request = incoming->request;

	fair_path_of_addr(&paths, &request->from, FAIR_UNKNOWN, out_path);
	fair_path_add(&paths, out_path, request->from_key, sizeof(request->from_key));
	if (request->duo->on_path)
		request->duo->on_path(request->from_key, out_path);
}

static void seam_hurry(struct mesh *mesh)
{
	(void)mesh;
}

static const struct mesh_ops seam_ops = {
	.ask = seam_ask,
	.cancel = seam_cancel,
	.handle = seam_handle,
	.answer = seam_answer,
	.answer_error = seam_answer_error,
	.abandoned = seam_abandoned,
	.asker_addr = seam_asker_addr,
	.asker_path = seam_asker_path,
	.note_refused = seam_note_refused,
	.hurry = seam_hurry,
};

const struct mesh_ops *duo_ops(void)
{
	return &seam_ops;
}

static void request_hand(struct mesh_request *request)
{
	struct duo *duo = request->duo;
	struct mesh *mesh = &duo->nodes[request->to].mesh;
	unsigned idx = handler_idx(request->type);
	struct mesh_call call = {
		.peer_key = request->from_key,
		.type = request->type,
		.payload = request->payload,
		.payload_len = request->payload_len,
	};

	request->state = REQUEST_HANDED;
	if (!duo->nodes[request->to].content)
		return; /* no node is there: the asker's time runs out */
	call.incoming = calloc(1, sizeof(*call.incoming));
	call.incoming->request = request;
	call.incoming->duo = duo;
	request->incoming = call.incoming;
	if (!mesh->handlers[idx])
		seam_answer_error(call.incoming, MESH_CODE_UNKNOWN, "unknown", 0);
	else
		mesh->handlers[idx](mesh->handler_ctx[idx], &call, duo->now_ns);
}

static void request_reply(struct mesh_request *request, int err)
{
	struct duo_answer *answer = &request->answer;
	struct mesh_reply reply = {
		.err = err ? err : answer->err,
		.type = answer->type,
		.code = err ? 0 : answer->code,
		.not_before_ns = answer->not_before_ns,
		.payload = request->reply_buf,
		.payload_len = answer->len,
		.actual_key = answer->actual_key,
	};
	struct duo *duo = request->duo;
	void (*fn)(void *arg, const struct mesh_reply *reply, uint64_t now_ns) = request->reply;
	void *arg = request->arg;

	if (!reply.err && answer->len > request->reply_cap)
		reply.err = WEFT_ETOOLARGE;
	else if (!reply.err)
		memcpy(request->reply_buf, answer->payload, answer->len);
	request_free(request);
	fn(arg, &reply, duo->now_ns);
}

static bool requests_run(struct duo *duo)
{
	struct mesh_request *request = duo->requests;
	bool is_busy = false;

	while (request) {
		struct mesh_request *next = request->next;

		if (duo->now_ns >= request->deadline_ns) {
			request_reply(request, WEFT_ETIMEOUT);
			return true; /* the list may be another now */
		}
		if (request->state == REQUEST_ASKED && duo->now_ns >= request->due_ns) {
			request_hand(request);
			is_busy = true;
		} else if (request->state == REQUEST_ANSWERED && duo->now_ns >= request->due_ns) {
			request_reply(request, 0);
			return true;
		}
		request = next;
	}
	return is_busy;
}

static bool node_turn(struct duo_node *node)
{
	bool is_busy;

	if (!node->content)
		return false;
	is_busy = jobs_reap(node->jobs) > 0;
	is_busy |= store_reap(node->store) > 0;
	blobs_reap(node->content, node->duo->now_ns);
	timer_wheel_expire(&node->timers, node->duo->now_ns);
	return is_busy || jobs_in_flight(node->jobs) > 0 || store_is_pending(node->store);
}

static uint64_t next_due(const struct duo *duo)
{
	uint64_t due_ns = TIMER_NEVER;

	for (unsigned i = 0; i < 2; i++) {
		uint64_t at_ns = duo->nodes[i].content ? timer_wheel_next_ns(&duo->nodes[i].timers)
						       : TIMER_NEVER;

		due_ns = at_ns < due_ns ? at_ns : due_ns;
	}
	for (const struct mesh_request *r = duo->requests; r; r = r->next) {
		uint64_t at_ns = r->state == REQUEST_HANDED ? r->deadline_ns : r->due_ns;

		due_ns = at_ns < due_ns ? at_ns : due_ns;
		due_ns = r->deadline_ns < due_ns ? r->deadline_ns : due_ns;
	}
	return due_ns;
}

static bool turn_until(struct duo *duo, uint64_t end_ns)
{
	uint64_t due_ns;
	bool is_busy = requests_run(duo);

	is_busy |= node_turn(&duo->nodes[DUO_A]);
	is_busy |= node_turn(&duo->nodes[DUO_B]);
	due_ns = next_due(duo);
	if (is_busy || due_ns <= duo->now_ns) {
		duo->now_ns += TURN_NS / 10;
		return true;
	}
	if (due_ns == TIMER_NEVER)
		return false;
	duo->now_ns = due_ns < end_ns ? due_ns : end_ns;
	return true;
}

bool duo_turn(struct duo *duo)
{
	return turn_until(duo, TIMER_NEVER);
}

void duo_pass(struct duo *duo, uint64_t for_ns)
{
	uint64_t end_ns = duo->now_ns + for_ns;

	while (duo->now_ns < end_ns && turn_until(duo, end_ns))
		;
}

static void on_event(void *ctx, const struct blobs_event *event)
{
	struct duo_node *node = ctx;

	node->event_cnt[event->kind]++;
}

static void on_verified(void *ctx, const uint8_t key[static MESH_KEY_LEN], size_t len)
{
	struct duo_node *node = ctx;

	memcpy(node->verified_key, key, MESH_KEY_LEN);
	node->verified_len += len;
}

static void on_sent(void *ctx, const uint8_t key[static MESH_KEY_LEN], uint64_t len)
{
	struct duo_node *node = ctx;

	memcpy(node->sent_key, key, MESH_KEY_LEN);
	node->sent_len += len;
}

static uint64_t wall_s(void *ctx)
{
	return ((struct duo_node *)ctx)->wall_s;
}

void duo_node_open(struct duo *duo, unsigned idx)
{
	struct duo_node *node = &duo->nodes[idx];
	struct store_config store_config;
	struct blobs_params params = {.own_key = node->key};

	store_config_defaults(&store_config);
	store_config.dir = node->state;
	store_config.is_inline = true;
	store_config.map_len_max = 1ull << 30;
	timer_wheel_init(&node->timers, duo->now_ns);
	if (store_open(&store_config, &node->store) < 0 || jobs_new(0, 64, &node->jobs) < 0)
		abort();
	params.config = node->config;
	params.store = node->store;
	params.jobs = node->jobs;
	params.timers = &node->timers;
	params.mesh = (struct mesh_seam){&seam_ops, &node->mesh};
	params.now_ns = duo->now_ns;
	params.wall_s = wall_s;
	params.on_event = on_event;
	params.on_verified = on_verified;
	params.on_sent = on_sent;
	params.ctx = node;
	if (blobs_new(&params, &node->content) < 0)
		abort();
}

static void node_requests_drop(struct duo *duo, unsigned idx)
{
	struct mesh_request *request = duo->requests;

	while (request) {
		struct mesh_request *next = request->next;

		/* What it was asked is never answered; what it asked is gone. */
		if (request->to == idx && request->incoming) {
			free(request->incoming);
			request->incoming = NULL;
		}
		if (request->to != idx) {
			free(request->incoming);
			request->incoming = NULL;
			request_free(request);
		}
		request = next;
	}
}

void duo_node_close(struct duo *duo, unsigned idx)
{
	struct duo_node *node = &duo->nodes[idx];

	if (!node->content)
		return;
	blobs_free(node->content);
	node->content = NULL;
	node_requests_drop(duo, idx);
	jobs_free(node->jobs);
	store_close(node->store);
}

void duo_open(struct duo *duo, const char *dir)
{
	memset(duo, 0, sizeof(*duo));
	snprintf(duo->dir, sizeof(duo->dir), "%s", dir);
	duo->now_ns = 1000 * NS_PER_S;
	for (unsigned i = 0; i < 2; i++) {
		struct duo_node *node = &duo->nodes[i];

		node->duo = duo;
		node->mesh.duo = duo;
		node->mesh.idx = i;
		memset(node->key, 'a' + (int)i, sizeof(node->key));
		snprintf(node->state, sizeof(node->state), "%.150s/state-%c", duo->dir,
			 'a' + (char)i);
		blobs_config_defaults(&node->config);
		node->config.import_threads = 0;
		duo_node_open(duo, i);
	}
}

void duo_init(struct duo *duo)
{
	char dir[SCRATCH_CAP];

	/* Commits are many here, and what a disk makes of them is not the question. */
	if (access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 0);
	duo_open(duo, scratch_make(dir));
}

void duo_close(struct duo *duo)
{
	duo_node_close(duo, DUO_A);
	duo_node_close(duo, DUO_B);
	while (duo->requests)
		request_free(duo->requests);
}

void duo_fini(struct duo *duo)
{
	duo_close(duo);
	scratch_remove(duo->dir);
}

static void on_share_done(void *arg, int err, const struct blobs_import *import, const char *detail)
{
	struct duo *duo = arg;

	if (err)
		printf("# share: %d %s\n", err, detail ? detail : "");
	duo->share_is_done = true;
	duo->share_err = err;
	duo->import = *import;
}

bool duo_share_at(struct duo *duo, unsigned idx, const char *path, struct link *link)
{
	struct blobs_share_ask ask = {.path = path, .done = on_share_done, .arg = duo};
	uint64_t id;
	int err = blobs_share_add(duo->nodes[idx].content, &ask, duo->now_ns, &id);

	duo->share_is_done = false;
	for (unsigned i = 0; i < 100000 && !err && !duo->share_is_done; i++)
		if (!duo_turn(duo))
			duo->now_ns += TURN_NS;
	if (err || !duo->share_is_done || duo->share_err) {
		printf("# share of %s: %d, done %d\n", path, err, duo->share_is_done);
		return false;
	}
	memset(link, 0, sizeof(*link));
	link->kind = LINK_COLLECTION;
	memcpy(link->manifest_id, duo->import.manifest_id, sizeof(link->manifest_id));
	memcpy(link->node_key, duo->nodes[idx].key, sizeof(link->node_key));
	link->places.addr_cnt = 1;
	link->places.addrs[0] =
		(struct addr){.ip = {127, 0, 0, 1}, .port = 7000, .family = ADDR_IPV4};
	return true;
}

bool duo_share(struct duo *duo, const char *path, struct link *link)
{
	return duo_share_at(duo, DUO_A, path, link);
}

const struct blobs_get *duo_run(struct duo *duo, uint64_t id, unsigned turn_max)
{
	const struct blobs_get *get = NULL;

	for (unsigned i = 0; i < turn_max; i++) {
		bool is_busy = duo_turn(duo);

		get = blobs_get_lookup(duo->nodes[DUO_B].content, id);
		if (!get || get->state >= BLOBS_GET_FINISHED || !is_busy)
			break;
	}
	/* The end is reported after its commit. */
	for (unsigned i = 0; i < 50; i++)
		(void)duo_turn(duo);
	if (get && get->err)
		printf("# get: %d, %s\n", get->err, get->detail);
	return get;
}

const char *duo_path(const struct duo *duo, const char *name)
{
	static char paths[8][SCRATCH_CAP + 300];
	static unsigned next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", duo->dir, name);
	return path;
}

uint64_t duo_get_start(struct duo *duo, const struct link *link, const char *target)
{
	struct blobs_get_ask ask = {.link = link, .target = duo_path(duo, target)};
	uint64_t id = 0;
	int err = blobs_get_start(duo->nodes[DUO_B].content, &ask, duo->now_ns, &id);

	if (err)
		printf("# get_start: %d\n", err);
	return id;
}

bool duo_trees_equal(const struct duo *duo, const char *a, const char *b)
{
	char command[2 * SCRATCH_CAP + 700];

	snprintf(command, sizeof(command), "diff -r %s %s", duo_path(duo, a), duo_path(duo, b));
	return system(command) == 0;
}
