/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Service messages that a node routes in a second of one core. Measured is all that userspace/offers/
 * does with a message 310, from the mesh to the mesh. Eight neighbours are service relays. They send what
 * this node gets, in turn, and take what it sends. They are no part of the time.
 *
 *	new	an announce comes first: signature, schema, store, database, seven neighbours
 *	known	it comes again by another neighbour, as in a flood: its hash is known
 *	query	one of two filters: at most one response back, and seven neighbours
 *	again	the query comes again
 *
 * In a flood each node gets a message from about three neighbours, so one row has one new and two
 * known. Beside it stands what the signature alone takes. No rate is met: the clock goes on by a
 * minute between neighbours' batches.
 *
 *	MESSAGES=20000 make bench B=offers-routed
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "offers/message/service_query.h"
#include "offers/service_offers.h"
#include "store/store.h"
#include "support/made_offers.h"
#include "support/schema_file.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

#define PEERS	 8u
#define BATCH	 64u /* messages between two turns of the node */
#define ROOM_LEN (1ull << 30)

/* --- a mesh of eight neighbours --- */

struct sent {
	void (*reply)(void *arg, const struct mesh_reply *reply, uint64_t now_ns);
	void *arg;
};

static struct mesh_neighbour peers[PEERS];
static mesh_handler_fn handler;
static void *handler_ctx;
static struct sent *waiting;
static size_t waiting_cnt, waiting_cap, sent_cnt, refused_cnt, answered_cnt;
static uint64_t now_ns = NS_PER_S;

static void die(const char *what)
{
	fprintf(stderr, "bench/offers-routed: %s\n", what);
	exit(1);
}

static int on_ask(struct mesh *mesh, const struct mesh_ask *ask, uint64_t at_ns,
		  struct mesh_request **out_request)
{
	(void)mesh, (void)at_ns;
	if (waiting_cnt == waiting_cap) {
		waiting_cap = waiting_cap ? 2 * waiting_cap : 1024;
		waiting = realloc(waiting, waiting_cap * sizeof(*waiting));
		if (!waiting)
			die("no memory is left");
	}
	waiting[waiting_cnt++] = (struct sent){ask->reply, ask->arg};
	*out_request = (struct mesh_request *)(uintptr_t)waiting_cnt;
	sent_cnt++;
	return 0;
}

static void on_cancel(struct mesh_request *request)
{
	waiting[(uintptr_t)request - 1].reply = NULL;
}

static int on_handle(struct mesh *mesh, unsigned type, mesh_handler_fn fn, void *ctx)
{
	(void)mesh;
	if (type == MESH_SERVICE_MESSAGE) {
		handler = fn;
		handler_ctx = ctx;
	}
	return 0;
}

static int on_answer(struct mesh_incoming *incoming, unsigned type, const void *head,
		     size_t head_len, const struct transport_span *tail)
{
	(void)incoming, (void)type, (void)head, (void)head_len, (void)tail;
	answered_cnt++;
	return 0;
}

static void on_answer_error(struct mesh_incoming *incoming, enum mesh_code code, const char *text,
			    uint64_t not_before_ms)
{
	(void)incoming, (void)code, (void)not_before_ms;
	if (!refused_cnt++)
		fprintf(stderr, "# a message is refused: %s\n", text);
}

static void on_asker_path(const struct mesh_incoming *incoming, struct fair_path *out_path)
{
	static const struct fair_paths paths = {.secret = {1, 2}};
	const struct mesh_neighbour *peer = (const void *)incoming;

	fair_path_of_addr(&paths, &peer->remote, FAIR_KNOWN, out_path);
	fair_path_add(&paths, out_path, peer->key, MESH_KEY_LEN);
}

static void on_asker_addr(const struct mesh_incoming *incoming, struct addr *out_addr)
{
	*out_addr = ((const struct mesh_neighbour *)(const void *)incoming)->remote;
}

static void on_note_refused(const struct mesh_incoming *incoming, const char *pool,
			    uint32_t wait_ms)
{
	(void)incoming, (void)pool, (void)wait_ms;
}

static const struct mesh_ops ops = {.ask = on_ask,
				    .cancel = on_cancel,
				    .handle = on_handle,
				    .answer = on_answer,
				    .answer_error = on_answer_error,
				    .asker_addr = on_asker_addr,
				    .asker_path = on_asker_path,
				    .note_refused = on_note_refused};

static bool on_find(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		    struct mesh_neighbour *out_neighbour)
{
	(void)mesh;
	*out_neighbour = peers[key[0] % PEERS];
	return true;
}

static bool on_next(struct mesh *mesh, struct mesh_walk *walk, struct mesh_neighbour *out_neighbour)
{
	uintptr_t at = (uintptr_t)walk->session;

	(void)mesh;
	if (at == PEERS)
		return false;
	*out_neighbour = peers[at];
	walk->session = (struct mesh_session *)(at + 1);
	return true;
}

static bool on_path(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		    struct mesh_path *out_path)
{
	(void)mesh;
	*out_path = (struct mesh_path){.remote = peers[key[0] % PEERS].remote, .session = 1};
	return true;
}

static void on_account(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		       const struct addr *remote, struct fair_path *out_path)
{
	(void)mesh, (void)remote;
	on_asker_path((const void *)&peers[key[0] % PEERS], out_path);
}

static void on_announce(struct mesh *mesh, uint32_t caps, bool is_on)
{
	(void)mesh, (void)caps, (void)is_on;
}

static const struct mesh_neighbour_ops neighbours = {.find = on_find,
						     .next = on_next,
						     .path = on_path,
						     .account = on_account,
						     .announce = on_announce};

/* --- the node --- */

static struct service_offers *offers;
static struct store *store;
static struct timer_wheel timers;
static struct random dice;
static char dir[SCRATCH_CAP];

static uint64_t wall_s(void *ctx)
{
	(void)ctx;
	return MADE_NOON_S;
}

/* Neighbours take all that was sent. */
static void turn(void)
{
	struct pollfd wake = {.fd = store_fd(store), .events = POLLIN};
	struct mesh_reply reply = {.type = MESH_SERVICE_MESSAGE};

	now_ns += 60 * NS_PER_MS; /* more than what a query waits at most */
	timer_wheel_expire(&timers, now_ns);
	for (size_t i = 0; i < waiting_cnt; i++)
		if (waiting[i].reply)
			waiting[i].reply(waiting[i].arg, &reply, now_ns);
	waiting_cnt = 0;
	(void)poll(&wake, 1, 0);
	(void)store_reap(store);
}

static void node_open(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};
	struct service_offers_params params = {.mesh = {.ops = &ops},
					       .neighbours = &neighbours,
					       .timers = &timers,
					       .random = &dice,
					       .wall_s = wall_s,
					       .now_ns = now_ns};
	struct node_key *key;

	for (unsigned i = 0; i < PEERS; i++)
		peers[i] = (struct mesh_neighbour){
			.key = {(uint8_t)i, 7},
			.caps = MESH_CAP_SERVICE_RELAY,
			.remote = {.ip = {20, (uint8_t)i, 0, 1}, .port = 7000, .family = ADDR_IPV4},
			.is_known = true,
			.is_connected = true};
	random_init_system(&dice);
	timer_wheel_init(&timers, now_ns);
	scratch_make(dir);
	store = params.store = scratch_store(dir, false);
	if (node_key_from_seed(seed, &key) < 0)
		die("a key cannot be made");
	params.key = key;
	offers_config_defaults(&params.config);
	params.config.is_on = true;
	params.config.room_len = ROOM_LEN;
	params.config.spread.announces_per_min = params.config.spread.relayed_per_min =
		params.config.spread.queries_per_min = 1u << 30;
	params.config.spread.token_cap = 1u << 17;
	params.config.spread.send_cap = 1u << 16;
	if (offers_open(&params, &offers) < 0)
		die("the node's part does not open");
}

/* --- messages --- */

struct message {
	uint8_t *bytes;
	size_t len;
};

static struct message *announces, *queries;
static size_t cnt = 20000;

static void keep_bytes(struct message *out, const uint8_t *bytes, size_t len)
{
	out->bytes = malloc(len);
	if (!out->bytes)
		die("no memory is left");
	memcpy(out->bytes, bytes, len);
	out->len = len;
}

static void announces_make(const struct schema *schema)
{
	static struct made_message made;
	struct made_offer home;

	for (uint32_t i = 0; i < cnt; i++) {
		uint8_t seed[NODE_KEY_SEED_LEN] = {2};
		struct node_key *key;

		memcpy(seed + 1, &i, sizeof(i));
		if (node_key_from_seed(seed, &key) < 0)
			die("a key cannot be made");
		made_offer(i, &home);
		made_message(schema, i, &home, &made);
		made_message_sign(&made, key);
		keep_bytes(&announces[i], made.bytes, made.len);
		node_key_free(key);
	}
}

static void queries_make(const struct schema *schema)
{
	static struct schema_query query;
	uint8_t filters[256], payload[512], bytes[1024], token[SERVICE_QUERY_TOKEN_LEN] = {0};
	char rent[32], postcode[32];
	struct schema_fault fault;

	for (uint32_t i = 0; i < cnt; i++) {
		struct service_query fields = {.token = token, .part_cnt = 1, .result_max = 20};
		struct service_message message = {.service = schema->id,
						  .type = SERVICE_MESSAGE_QUERY,
						  .version = schema->version,
						  .hop_max = 4,
						  .ttl_hours = 1,
						  .timestamp_s = MADE_NOON_S,
						  .payload = payload};
		struct writer w = writer_of(filters, sizeof(filters));

		snprintf(rent, sizeof(rent), "max_rent=%u", 300 + i % 1000);
		snprintf(postcode, sizeof(postcode), "plz_prefix=%02u", i % 99);
		offers_schema_query_init(&query);
		if (offers_schema_query_from_text(schema, rent, &query, &fault) < 0 ||
		    offers_schema_query_from_text(schema, postcode, &query, &fault) < 0)
			die(fault.what);
		offers_schema_query_write(schema, &query, &w);
		fields.parts[0] = (struct service_query_part){schema->id, filters, writer_len(&w)};
		memcpy(token, &i, sizeof(i));
		w = writer_of(payload, sizeof(payload));
		offers_query_write(&w, schema->id, &fields);
		message.payload_len = writer_len(&w);
		w = writer_of(bytes, sizeof(bytes));
		offers_message_write(&w, &message);
		keep_bytes(&queries[i], bytes, writer_len(&w));
	}
}

/* --- rows --- */

/* ns of this thread for each of all messages, from the neighbour that is so many places on. */
static double hear(const struct message *messages, unsigned place)
{
	uint64_t took_ns = 0;

	for (size_t i = 0; i < cnt;) {
		uint64_t began_ns = clock_thread_ns();

		for (size_t end = i + BATCH; i < cnt && i < end; i++) {
			const struct mesh_neighbour *peer = &peers[(i + place) % PEERS];
			const struct mesh_call call = {
				.incoming = (struct mesh_incoming *)(uintptr_t)peer,
				.peer_key = peer->key,
				.type = MESH_SERVICE_MESSAGE,
				.payload = messages[i].bytes,
				.payload_len = messages[i].len};

			handler(handler_ctx, &call, now_ns);
		}
		turn();
		took_ns += clock_thread_ns() - began_ns;
	}
	return (double)took_ns / (double)cnt;
}

static double verify_ns(void)
{
	uint64_t began_ns = clock_thread_ns();
	struct service_message message;
	struct offer_terms terms;

	for (size_t i = 0; i < cnt; i++)
		if (offers_message_parse(announces[i].bytes, announces[i].len, &message) < 0 ||
		    offer_terms_read(&message, &terms) < 0 ||
		    offers_message_verify(&message, terms.provider_key) < 0)
			die("a signature is wrong");
	return (double)(clock_thread_ns() - began_ns) / (double)cnt;
}

static void row_print(const char *name, double ns, size_t sent)
{
	printf("%-44s %9.2f %14.0f %8.1f\n", name, ns / 1000, 1e9 / ns, (double)sent / (double)cnt);
	fflush(stdout);
}

static double row_run(const char *name, const struct message *messages, unsigned place)
{
	size_t before_cnt = sent_cnt;
	double ns = hear(messages, place);

	row_print(name, ns, sent_cnt - before_cnt);
	return ns;
}

int main(void)
{
	struct schema *schema = schema_file_open("housing");
	double new_ns, known_ns;

	if (getenv("MESSAGES"))
		cnt = strtoul(getenv("MESSAGES"), NULL, 10);
	announces = calloc(cnt, sizeof(*announces));
	queries = calloc(cnt, sizeof(*queries));
	if (!cnt || !announces || !queries)
		die("MESSAGES is no number");
	announces_make(schema);
	queries_make(schema);
	node_open();
	printf("%-44s %9s %14s %8s\n", "message 310", "us", "a core-second", "sent on");
	row_print("the signature alone", verify_ns(), 0);
	new_ns = row_run("announce, new", announces, 0);
	known_ns = row_run("announce, known", announces, 1);
	row_print("announces of a flood: one new, two known", (new_ns + 2 * known_ns) / 3, 0);
	row_run("query", queries, 2);
	row_run("query, again", queries, 3);
	if (refused_cnt)
		die("messages were refused");
	offers_close(offers);
	store_close(store);
	scratch_remove(dir);
	return 0;
}
