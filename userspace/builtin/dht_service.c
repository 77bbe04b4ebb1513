/* SPDX-License-Identifier: Apache-2.0 */
#include "dht_service.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/fair/fair_path.h"
#include "base/random.h"
#include "codec/text/hex.h"
#include "codec/text/zbase32.h"

#define SIG_LEN	       64u
#define VALUE_HEX_MAX  (2 * BUILTIN_DHT_VALUE_MAX)
#define KEY_TEXT_WORDS "key: 64 hexadecimal digits, or the 52 letters of a node's id"

struct dht_lookup {
	struct builtin_dht_lookup base; /* first */
	struct dht_service *service;
	struct service_call *call;
	struct fair_item place;
	json_t *item; /* found so far; NULL: none */
	bool is_put;
};

/* --- searches --- */

static void search_free(struct dht_lookup *search)
{
	struct dht_service *service = search->service;

	json_decref(search->item);
	fair_release(&service->places, &search->place, service->now_ns);
	pool_release(&service->searches, search);
}

static void search_found(struct builtin_dht_lookup *base, const struct builtin_dht_item *item)
{
	struct dht_lookup *search = (struct dht_lookup *)base;
	char value[VALUE_HEX_MAX + 1], key[HEX_TEXT_CAP(MESH_KEY_LEN)], sig[HEX_TEXT_CAP(SIG_LEN)];

	if (item->value_len > BUILTIN_DHT_VALUE_MAX)
		return;
	json_decref(search->item);
	search->item =
		builtin_json(dht_item, .value = hex_write(item->value, item->value_len, value),
			     .key = item->key ? hex_write(item->key, MESH_KEY_LEN, key) : NULL,
			     .signature = item->key ? hex_write(item->sig, SIG_LEN, sig) : NULL,
			     API_IF(seq, item->key != NULL, item->seq));
}

static void search_ended(struct builtin_dht_lookup *base, const struct builtin_dht_outcome *outcome,
			 uint64_t now_ns)
{
	struct dht_lookup *search = (struct dht_lookup *)base;
	char target[HEX_TEXT_CAP(BUILTIN_DHT_ID_LEN)];
	json_t *reply;

	search->service->now_ns = now_ns;
	if (!outcome->is_answered) {
		service_fail(search->call, SERVICE_UNAVAILABLE,
			     "no node of the DHT answered this one", now_ns);
	} else if (search->is_put) {
		builtin_reply_end(
			search->call,
			builtin_json(dht_stored,
				     .target =
					     hex_write(outcome->target, BUILTIN_DHT_ID_LEN, target),
				     .stored = outcome->stored_cnt, .newer = outcome->newer_cnt),
			now_ns);
	} else {
		/* null says that no node has it: the one field that a type would leave out. */
		reply = json_object();
		json_object_set(reply, "item", search->item ? search->item : json_null());
		builtin_reply_end(search->call, reply, now_ns);
	}
	search_free(search);
}

/* Another caller got its place. */
static void search_evict(struct dht_lookup *search, uint64_t now_ns)
{
	struct dht_service *service = search->service;

	service->dht.cancel(service->dht.ctx, &search->base);
	service_fail(search->call, SERVICE_RATE_LIMITED,
		     "its place went to a caller that has fewer searches", now_ns);
	search_free(search);
}

/* NULL: the call was answered. */
static struct dht_lookup *search_new(struct dht_service *service, const struct request *request)
{
	struct dht_lookup *search = pool_acquire(&service->searches);
	struct fair_item *victim = NULL;

	weft_assert(search); /* there is one more than there are places */
	service->now_ns = request->now_ns;
	*search = (struct dht_lookup){.base = {.found = search_found, .ended = search_ended},
				      .service = service,
				      .call = request->call};
	if (fair_take(&service->places, &request->caller->path, &search->place, request->now_ns,
		      &victim) == FAIR_BUSY) {
		builtin_request_refuse(request, SERVICE_RATE_LIMITED,
				       "too many searches of this caller's network are under way");
		search_free(search);
		return NULL;
	}
	if (victim)
		search_evict(container_of(victim, struct dht_lookup, place), request->now_ns);
	if (service_spend(request->call, 1, request->now_ns))
		return search;
	builtin_request_refuse(request, SERVICE_RATE_LIMITED, "the caller's work is used up");
	search_free(search);
	return NULL;
}

static void search_refused(struct dht_lookup *search, const struct request *request, int err)
{
	if (err == WEFT_EMALFORMED)
		builtin_request_refuse(
			request, SERVICE_INVALID_PAYLOAD,
			"the DHT takes no such item: a value is bencoded and has at most "
			"1000 bytes, and its signature is the key's");
	else
		builtin_request_refuse(
			request, SERVICE_UNAVAILABLE,
			"this node knows no node of the DHT to ask, or asks for too much");
	search_free(search);
}

/* --- reading fields --- */

static bool read_hex(const struct request *request, const char *text, uint8_t *out, size_t len,
		     const char *why)
{
	if (hex_read(text, out, len))
		return true;
	builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD, why);
	return false;
}

static bool read_key(const struct request *request, const char *text, uint8_t out[MESH_KEY_LEN])
{
	if (hex_read(text, out, MESH_KEY_LEN) ||
	    (strlen(text) == ZBASE32_TEXT_LEN(MESH_KEY_LEN) &&
	     zbase32_parse(text, strlen(text), out, MESH_KEY_LEN) == MESH_KEY_LEN))
		return true;
	builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD, KEY_TEXT_WORDS);
	return false;
}

static bool read_salt(const struct request *request, const char *text,
		      struct builtin_dht_item *item)
{
	item->salt = (const uint8_t *)text;
	item->salt_len = text ? strlen(text) : 0;
	if (item->salt_len <= BUILTIN_DHT_SALT_MAX)
		return true;
	builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD, "salt: at most 64 bytes");
	return false;
}

/* --- methods --- */

static void ping(void *ctx, struct request *request)
{
	const struct dht_service *service = ctx;
	uint8_t id[BUILTIN_DHT_ID_LEN];
	char text[HEX_TEXT_CAP(BUILTIN_DHT_ID_LEN)];

	if (!builtin_request_unpack(request, "{}"))
		return;
	if (!service->dht.own_id(service->dht.ctx, id)) {
		builtin_request_refuse(request, SERVICE_UNAVAILABLE, "this node is not on the DHT");
		return;
	}
	builtin_answer(request, dht_id, .id = hex_write(id, sizeof(id), text));
}

static void find_node(void *ctx, struct request *request)
{
	const struct dht_service *service = ctx;
	struct builtin_dht_node nodes[DHT_SERVICE_NODES_MAX];
	struct api_builtin_dht_node rows[DHT_SERVICE_NODES_MAX];
	char ids[DHT_SERVICE_NODES_MAX][HEX_TEXT_CAP(BUILTIN_DHT_ID_LEN)];
	uint8_t target[BUILTIN_DHT_ID_LEN];
	const char *text;
	unsigned cnt;

	if (!builtin_request_unpack(request, "{s:s}", "id", &text) ||
	    !read_hex(request, text, target, sizeof(target), "id: 40 hexadecimal digits"))
		return;
	cnt = service->dht.nearest(service->dht.ctx, target, nodes, DHT_SERVICE_NODES_MAX);
	for (unsigned i = 0; i < cnt; i++)
		rows[i] = (struct api_builtin_dht_node){
			.id = hex_write(nodes[i].id, sizeof(nodes[i].id), ids[i]),
			.address = nodes[i].address};
	builtin_answer(request, dht_nodes, .nodes = {rows, cnt, cnt});
}

static void find_value(void *ctx, struct request *request)
{
	struct dht_service *service = ctx;
	struct builtin_dht_item name = {0};
	uint8_t target[BUILTIN_DHT_ID_LEN], key[MESH_KEY_LEN];
	const char *text, *salt = NULL;
	struct dht_lookup *search;
	int err;

	if (!builtin_request_unpack(request, "{s:s, s?s}", "key", &text, "salt", &salt))
		return;
	if (!hex_read(text, target, sizeof(target))) {
		if (!read_key(request, text, key) || !read_salt(request, salt, &name))
			return;
		name.key = key;
	} else if (salt) {
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
				       "salt: an item of a target has none; name its key");
		return;
	}
	search = search_new(service, request);
	if (!search)
		return;
	err = service->dht.get(service->dht.ctx, target, &name, &search->base,
			       DHT_SERVICE_LOOKUP_NS);
	if (err < 0)
		search_refused(search, request, err);
}

static void store(void *ctx, struct request *request)
{
	struct dht_service *service = ctx;
	uint8_t value[BUILTIN_DHT_VALUE_MAX], key[MESH_KEY_LEN], sig[SIG_LEN];
	const char *value_text, *key_text = NULL, *sig_text = NULL, *salt = NULL;
	struct builtin_dht_item item = {.value = value};
	struct dht_lookup *search;
	json_int_t seq = -1;
	int err;

	if (!builtin_request_unpack(request, "{s:s, s?s, s?s, s?s, s?I}", "value", &value_text,
				    "key", &key_text, "signature", &sig_text, "salt", &salt, "seq",
				    &seq))
		return;
	item.value_len = strlen(value_text) / 2;
	if (item.value_len > sizeof(value) || !hex_read(value_text, value, item.value_len)) {
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
				       "value: hexadecimal digits of at most 1000 bytes");
		return;
	}
	if (key_text) {
		if (!read_key(request, key_text, key) || !read_salt(request, salt, &item) ||
		    !read_hex(request, sig_text ? sig_text : "", sig, sizeof(sig),
			      "signature: 128 hexadecimal digits, where there is a key"))
			return;
		item.key = key;
		item.sig = sig;
		item.seq = seq;
	} else if (sig_text || salt || seq != -1) {
		builtin_request_refuse(request, SERVICE_INVALID_PAYLOAD,
				       "signature, salt and seq belong to an item with a key");
		return;
	}
	search = search_new(service, request);
	if (!search)
		return;
	search->is_put = true;
	err = service->dht.put(service->dht.ctx, &item, &search->base);
	if (err < 0)
		search_refused(search, request, err);
}

const struct request_method builtin_dht_methods[] = {
	{"Ping", ping, true, .takes = "", .gives = "id:string",
	 .about = "The id of this node on the DHT", .example = "{}"},
	{"FindNode", find_node, true, .takes = "id:string", .gives = "nodes:[]object",
	 .about = "The 8 nearest nodes that this one knows",
	 .example = "{\"id\": \"0123456789abcdef0123456789abcdef01234567\"}"},
	{"FindValue", find_value, true, .takes = "key:string salt:?string", .gives = "item:?object",
	 .about = "The item under a target, or of a key that signed it",
	 .example = "{\"key\": \"0123456789abcdef0123456789abcdef01234567\"}"},
	{"Store", store, false,
	 .takes = "value:string key:?string signature:?string seq:?int salt:?string",
	 .gives = "target:string stored:int newer:int",
	 .about = "Puts an item of BEP 44, which is bencoded",
	 .example = "{\"value\": \"353a68656c6c6f\"}"},
	{.name = NULL},
};

/* --- life --- */

static const struct fair_config places_config = {.name = "searches of the service dht",
						 .kind = FAIR_WORK,
						 .cap_cnt = DHT_SERVICE_LOOKUP_MAX,
						 .level_cnt = FAIR_PEER_LEVELS,
						 .parts = FAIR_PEER_PARTS};

int builtin_dht_init(struct dht_service *service, struct arena *arena,
		     const struct builtin_dht *dht, struct random *random)
{
	uint64_t secret[2];
	int err = pool_init(&service->searches, arena, sizeof(struct dht_lookup),
			    DHT_SERVICE_LOOKUP_MAX + 1);

	service->dht = *dht;
	random_fill(random, secret, sizeof(secret));
	return err < 0 ? err : fair_init(&service->places, arena, &places_config, secret);
}

void builtin_dht_service_places(const struct dht_service *service, struct fair_view *out)
{
	fair_read(&service->places, out);
}

void builtin_dht_forget(void *ctx, const struct service_call *call)
{
	struct dht_service *service = ctx;
	struct dht_lookup *search = NULL;

	while ((search = pool_next(&service->searches, search))) {
		if (call && search->call != call)
			continue;
		service->dht.cancel(service->dht.ctx, &search->base);
		search_free(search);
	}
}

void builtin_dht_fini(struct dht_service *service)
{
	builtin_dht_forget(service, NULL);
}
