/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps one revocation list at all relays of an operator: relay_pool.h. */
#include "relay_pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/cbor_fields.h"
#include "codec/text/zbase32.h"

#define ASK_TIMEOUT_NS (5 * NS_PER_S)
#define CONNECT_NS     (5 * NS_PER_S)
/* From one list sent to a relay to the next, whatever it says of its own. */
#define GAP_NS		NS_PER_S
#define PAUSE_SHIFT_MAX 3u /* beyond RELAY_POOL_ASK_NS */
#define REPLY_CAP	(64 + MESH_FRAME_OVERHEAD)

struct pool_member {
	struct relay_pool *pool;
	struct relay_pool_place place;
	struct mesh_request *request;
	bool is_connecting;
	bool is_connected; /* by the last dial, and not asked since */
	bool is_sought;	   /* its address did not lead to it: the next dial looks for its key */
	bool is_heard;	   /* serial is what it said last */
	uint64_t serial;   /* of its list */
	unsigned fail_cnt;
	uint64_t heard_ns;
	uint64_t sent_ns; /* a list */
	uint64_t next_ns; /* not before */
	uint8_t reply[REPLY_CAP];
};

struct relay_pool {
	struct relay_pool_params params;
	struct pool_member members[RELAY_POOL_MAX];
	unsigned member_cnt;
	uint64_t serial; /* of the list in force, as the last turn saw it */
	uint64_t now_ns;
	struct relay_pool_stats stats;
	uint8_t payload[RELAY_POOL_MESSAGE_LEN_MAX];
};

/* --- text and message --- */

/* [*text, end) is one relay. */
static int place_parse(const char *text, size_t len, struct relay_pool_place *out)
{
	const char *at = memchr(text, '@', len);
	size_t key_len = at ? (size_t)(at - text) : len;
	struct relay_pool_place place = {.addr.family = ADDR_NONE};
	char addr[ADDR_TEXT_CAP];

	if (zbase32_parse(text, key_len, place.key, sizeof(place.key)) != sizeof(place.key))
		return WEFT_EMALFORMED;
	if (at) {
		len -= key_len + 1;
		if (len >= sizeof(addr))
			return WEFT_EMALFORMED;
		memcpy(addr, at + 1, len);
		addr[len] = '\0';
		if (addr_parse(addr, &place.addr) < 0)
			return WEFT_EMALFORMED;
	}
	*out = place;
	return 0;
}

int relay_pool_parse(const char *text, const uint8_t own_key[static MESH_KEY_LEN],
		     struct relay_pool_place out[static RELAY_POOL_MAX])
{
	static const char space[] = " \t";
	unsigned cnt = 0;

	while (*(text += strspn(text, " \t,"))) {
		size_t len = strcspn(text, ",");
		const char *next = text + len;
		struct relay_pool_place place;

		while (len && strchr(space, text[len - 1]))
			len--;
		if (place_parse(text, len, &place) < 0)
			return WEFT_EMALFORMED;
		text = next;
		if (memcmp(place.key, own_key, MESH_KEY_LEN) == 0)
			continue;
		for (unsigned i = 0; i < cnt; i++)
			if (memcmp(place.key, out[i].key, MESH_KEY_LEN) == 0)
				return WEFT_EEXISTS;
		if (cnt == RELAY_POOL_MAX)
			return WEFT_EFULL;
		out[cnt++] = place;
	}
	return (int)cnt;
}

static const struct cbor_field message_fields[] = {
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct relay_pool_message, serial)},
	{2, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct relay_pool_message, list),
	 CBOR_LEN(struct relay_pool_message, list_len), .min = 1, .max = RELAY_REVOCATIONS_LEN_MAX},
};
static const struct cbor_table message_table = {CBOR_FIELDS(message_fields)};

void relay_pool_message_write(struct writer *w, const struct relay_pool_message *message)
{
	cbor_fields_write(w, &message_table, message);
}

int relay_pool_message_parse(const uint8_t *data, size_t len,
			     struct relay_pool_message *out_message)
{
	struct relay_pool_message message = {.serial = 0};

	if (cbor_fields_parse(data, len, &message_table, &message) < 0)
		return WEFT_EMALFORMED;
	*out_message = message;
	return 0;
}

/* --- asking --- */

static void member_heard(struct pool_member *member, uint64_t serial, uint64_t now_ns)
{
	struct relay_pool *pool = member->pool;

	member->is_heard = true;
	member->is_sought = false;
	member->fail_cnt = 0;
	member->serial = serial;
	member->heard_ns = now_ns;
	member->next_ns = now_ns + RELAY_POOL_ASK_NS;
	/* A list that it did not take, or has lost, goes out again after a while. */
	if (serial < relay_honoured_list(pool->params.honoured)->serial)
		member->next_ns = member->sent_ns + GAP_NS;
}

static void member_failed(struct pool_member *member, uint64_t now_ns)
{
	uint64_t pause_ns = RELAY_POOL_RETRY_NS << member->fail_cnt;

	member->pool->stats.failed_cnt++;
	member->is_heard = false;
	member->fail_cnt += member->fail_cnt < PAUSE_SHIFT_MAX;
	member->next_ns = now_ns + (pause_ns < RELAY_POOL_ASK_NS ? pause_ns : RELAY_POOL_ASK_NS);
}

static void on_reply(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct pool_member *member = arg;
	struct relay_pool_message message;

	member->request = NULL;
	if (reply->err < 0 ||
	    relay_pool_message_parse(reply->payload, reply->payload_len, &message) < 0)
		member_failed(member, now_ns);
	else
		member_heard(member, message.serial, now_ns);
}

static void on_connected(void *arg, int err, const uint8_t *actual_key)
{
	struct pool_member *member = arg;
	struct relay_pool *pool = member->pool;

	(void)actual_key;
	member->is_connecting = false;
	member->is_connected = err == 0;
	if (err == 0) {
		member->next_ns = pool->now_ns;
		return;
	}
	member->is_sought = !member->is_sought;
	member_failed(member, pool->now_ns);
}

/* At its address, and by its key alone, by turns. */
static void member_connect(struct pool_member *member)
{
	struct relay_pool *pool = member->pool;
	struct mesh_peer peer = {.is_chosen = true};

	memcpy(peer.key, member->place.key, sizeof(peer.key));
	if (member->place.addr.family != ADDR_NONE && !member->is_sought) {
		peer.addrs = &member->place.addr;
		peer.addr_cnt = 1;
	}
	member->is_connecting = true;
	if (pool->params.connect(pool->params.ctx, &peer, CONNECT_NS, on_connected, member) == 0)
		return;
	member->is_connecting = false;
	member->is_sought = !member->is_sought;
	member_failed(member, pool->now_ns);
}

static void member_ask(struct pool_member *member, const struct addr *remote)
{
	struct relay_pool *pool = member->pool;
	const struct relay_pool_params *params = &pool->params;
	struct relay_pool_message message = {.serial = pool->serial};
	struct writer w = writer_of(pool->payload, sizeof(pool->payload));
	struct mesh_ask ask = {
		.peer = {.addrs = remote, .addr_cnt = remote ? 1 : 0},
		.type = MESH_REVOCATIONS,
		.payload = pool->payload,
		.reply_buf = member->reply,
		.reply_cap = sizeof(member->reply),
		.timeout_ns = ASK_TIMEOUT_NS,
		.reply = on_reply,
		.arg = member,
	};
	bool is_behind = member->is_heard && member->serial < pool->serial;
	size_t list_len;

	memcpy(ask.peer.key, member->place.key, sizeof(ask.peer.key));
	if (is_behind) {
		message.list = relay_honoured_list_bytes(params->honoured, &list_len);
		message.list_len = (uint32_t)list_len;
	}
	relay_pool_message_write(&w, &message);
	ask.payload_len = writer_len(&w);
	if (is_behind)
		member->sent_ns = pool->now_ns;
	if (params->mesh.ops->ask(params->mesh.mesh, &ask, pool->now_ns, &member->request) < 0) {
		member->request = NULL;
		member_failed(member, pool->now_ns);
		return;
	}
	*(is_behind ? &pool->stats.sent_cnt : &pool->stats.asked_cnt) += 1;
}

static void member_turn(struct pool_member *member)
{
	struct relay_pool *pool = member->pool;
	struct mesh_path path;

	if (member->request || member->is_connecting || pool->now_ns < member->next_ns)
		return;
	/* A session of another worker is dialled where it is, and lives on home from then on. */
	if (pool->params.neighbours->path(pool->params.mesh.mesh, member->place.key, &path))
		member_ask(member, &path.remote);
	else if (member->is_connected)
		member_ask(member, NULL);
	else
		member_connect(member);
	member->is_connected = false;
}

void relay_pool_turn(struct relay_pool *pool, uint64_t now_ns)
{
	uint64_t serial = relay_honoured_list(pool->params.honoured)->serial;
	bool is_new = serial != pool->serial;

	if (now_ns > pool->now_ns)
		pool->now_ns = now_ns;
	pool->serial = serial;
	for (unsigned i = 0; i < pool->member_cnt; i++) {
		struct pool_member *member = &pool->members[i];

		/* Several relays may have it from elsewhere by now: they are asked before it is sent. */
		if (is_new && !(member->is_heard && member->serial == serial)) {
			member->is_heard = false;
			member->next_ns = pool->now_ns;
		}
		member_turn(member);
	}
}

uint64_t relay_pool_next_ns(const struct relay_pool *pool)
{
	uint64_t next_ns = UINT64_MAX;

	if (relay_honoured_list(pool->params.honoured)->serial != pool->serial)
		return 0;
	for (unsigned i = 0; i < pool->member_cnt; i++) {
		const struct pool_member *member = &pool->members[i];

		if (!member->request && !member->is_connecting && member->next_ns < next_ns)
			next_ns = member->next_ns;
	}
	return next_ns;
}

/* --- being asked --- */

static struct pool_member *member_find(struct relay_pool *pool, const uint8_t *key)
{
	for (unsigned i = 0; i < pool->member_cnt; i++)
		if (memcmp(pool->members[i].place.key, key, MESH_KEY_LEN) == 0)
			return &pool->members[i];
	return NULL;
}

static void refuse(struct relay_pool *pool, const struct mesh_call *call, enum mesh_code code,
		   const char *text)
{
	pool->stats.refused_cnt++;
	pool->params.mesh.ops->answer_error(call->incoming, code, text, 0);
}

/* It is in force already, and a store that fails says so itself. */
static void on_durable(void *arg, int err)
{
	(void)arg, (void)err;
}

static int list_take(struct relay_pool *pool, const struct relay_pool_message *message)
{
	int err;

	if (!message->list_len)
		return 0;
	err = relay_honoured_revoke(pool->params.honoured, message->list, message->list_len,
				    on_durable, NULL);
	pool->stats.taken_cnt += err == 0;
	return err == WEFT_EEXISTS ? 0 : err;
}

static void on_ask(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct relay_pool *pool = ctx;
	struct pool_member *member = member_find(pool, call->peer_key);
	struct relay_pool_message message;
	uint8_t payload[16];
	struct writer w = writer_of(payload, sizeof(payload));

	if (!relay_messages_admit(pool->params.messages, call, now_ns))
		return;
	if (!member) {
		refuse(pool, call, MESH_CODE_REFUSED, "no relay of this one's pool");
		return;
	}
	if (relay_pool_message_parse(call->payload, call->payload_len, &message) < 0) {
		refuse(pool, call, MESH_CODE_MALFORMED, "no serial of a revocation list");
		return;
	}
	if (list_take(pool, &message) < 0) {
		refuse(pool, call, MESH_CODE_REFUSED, "no revocation list that holds here");
		return;
	}
	member_heard(member, message.serial, now_ns);
	message = (struct relay_pool_message){
		.serial = relay_honoured_list(pool->params.honoured)->serial};
	relay_pool_message_write(&w, &message);
	(void)pool->params.mesh.ops->answer(call->incoming, MESH_REVOCATIONS, payload,
					    writer_len(&w), NULL);
}

/* --- life --- */

int relay_pool_new(const struct relay_pool_params *params, struct relay_pool **out_pool)
{
	struct relay_pool *pool = calloc(1, sizeof(*pool));
	int err;

	if (!pool)
		return -ENOMEM;
	pool->params = *params;
	pool->member_cnt = params->place_cnt;
	pool->now_ns = params->now_ns;
	pool->serial = relay_honoured_list(params->honoured)->serial;
	for (unsigned i = 0; i < pool->member_cnt; i++) {
		pool->members[i].pool = pool;
		pool->members[i].place = params->places[i];
	}
	err = params->mesh.ops->handle(params->mesh.mesh, MESH_REVOCATIONS, on_ask, pool);
	if (err < 0) {
		free(pool);
		return err;
	}
	*out_pool = pool;
	return 0;
}

void relay_pool_stop(struct relay_pool *pool)
{
	for (unsigned i = 0; pool && i < pool->member_cnt; i++) {
		struct pool_member *member = &pool->members[i];

		if (member->request)
			pool->params.mesh.ops->cancel(member->request);
		member->request = NULL;
	}
}

void relay_pool_free(struct relay_pool *pool)
{
	free(pool);
}

bool relay_pool_row(const struct relay_pool *pool, unsigned idx, struct relay_pool_row *out_row)
{
	const struct pool_member *member = &pool->members[idx];

	if (idx >= pool->member_cnt)
		return false;
	*out_row = (struct relay_pool_row){
		.key = member->place.key,
		.is_heard = member->is_heard,
		.serial = member->serial,
		.heard_ns = member->heard_ns,
	};
	return true;
}

void relay_pool_stats(const struct relay_pool *pool, struct relay_pool_stats *out_stats)
{
	uint64_t serial = relay_honoured_list(pool->params.honoured)->serial;

	*out_stats = pool->stats;
	for (unsigned i = 0; i < pool->member_cnt; i++)
		out_stats->behind_now +=
			!pool->members[i].is_heard || pool->members[i].serial < serial;
}
