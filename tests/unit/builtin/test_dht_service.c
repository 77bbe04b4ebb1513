/* SPDX-License-Identifier: Apache-2.0 */
/* The service dht over a DHT of the test's. */
#include "builtin_rig.h"
#include "builtin/dht_service.h"

#define KEY_HEX	   "0101010101010101010101010101010101010101010101010101010101010101"
#define TARGET_HEX "2222222222222222222222222222222222222222"

static const uint8_t some_key[MESH_KEY_LEN] = {0x77};

static struct {
	struct builtin_dht_lookup *searches[64];
	unsigned cnt, cancelled_cnt;
	struct builtin_dht_item item; /* of the last get or put */
	char salt[80];
	int err;
	bool is_off;
} fake;

static bool fake_own_id(void *ctx, uint8_t out_id[BUILTIN_DHT_ID_LEN])
{
	(void)ctx;
	memset(out_id, 0xab, BUILTIN_DHT_ID_LEN);
	return !fake.is_off;
}

static unsigned fake_nearest(void *ctx, const uint8_t target[BUILTIN_DHT_ID_LEN],
			     struct builtin_dht_node *out_nodes, unsigned cap)
{
	(void)ctx;
	for (unsigned i = 0; i < cap; i++) {
		memcpy(out_nodes[i].id, target, BUILTIN_DHT_ID_LEN);
		snprintf(out_nodes[i].address, sizeof(out_nodes[i].address), "192.0.2.%u:1", i);
	}
	return cap;
}

static int fake_begin(const struct builtin_dht_item *item, struct builtin_dht_lookup *search)
{
	if (fake.err)
		return fake.err;
	fake.item = *item;
	snprintf(fake.salt, sizeof(fake.salt), "%.*s", (int)item->salt_len,
		 item->salt ? (const char *)item->salt : "");
	fake.searches[fake.cnt++] = search;
	return 0;
}

static int fake_get(void *ctx, const uint8_t target[BUILTIN_DHT_ID_LEN],
		    const struct builtin_dht_item *name, struct builtin_dht_lookup *search,
		    uint64_t budget_ns)
{
	(void)ctx, (void)target;
	return budget_ns == DHT_SERVICE_LOOKUP_NS ? fake_begin(name, search) : WEFT_EFULL;
}

static int fake_put(void *ctx, const struct builtin_dht_item *item,
		    struct builtin_dht_lookup *search)
{
	(void)ctx;
	return fake_begin(item, search);
}

static void fake_cancel(void *ctx, struct builtin_dht_lookup *search)
{
	(void)ctx, (void)search;
	fake.cancelled_cnt++;
}

static void start(void)
{
	memset(&fake, 0, sizeof(fake));
	rig_start();
	rig.config.offered = 1u << BUILTIN_DHT;
	rig.dht = (struct builtin_dht){.own_id = fake_own_id,
				       .nearest = fake_nearest,
				       .get = fake_get,
				       .put = fake_put,
				       .cancel = fake_cancel};
	rig_up();
}

/* Begins a call that a search answers. */
static void ask(unsigned who, const char *method, const char *fields)
{
	rig_ask_bytes(BUILTIN_DHT, who, method, fields, strlen(fields));
}

static enum service_status refused(const char *method, const char *fields)
{
	ask(1, method, fields);
	return rig.call.is_answered && fake.cnt == 0 ? rig.call.status : SERVICE_OK;
}

static void end(unsigned number, unsigned stored_cnt, bool is_answered)
{
	struct builtin_dht_outcome outcome = {.stored_cnt = stored_cnt, .is_answered = is_answered};

	memset(outcome.target, 0x33, sizeof(outcome.target));
	fake.searches[number]->ended(fake.searches[number], &outcome, rig.now_ns);
}

static void test_ping_and_find_node_answer_at_once(void)
{
	json_t *nodes;

	start();
	ask(1, "Ping", "");
	CHECK_STR(rig_text(rig.call.reply, "id"), "abababababababababababababababababababab");
	ask(1, "FindNode", "{\"id\":\"" TARGET_HEX "\"}");
	nodes = json_object_get(rig.call.reply, "nodes");
	CHECK_EQ(json_array_size(nodes), DHT_SERVICE_NODES_MAX);
	CHECK_STR(rig_text(json_array_get(nodes, 0), "id"), TARGET_HEX);
	CHECK_STR(rig_text(json_array_get(nodes, 1), "address"), "192.0.2.1:1");
	fake.is_off = true;
	ask(1, "Ping", "");
	CHECK_EQ(rig.call.status, SERVICE_UNAVAILABLE);
	rig_stop();
}

static void test_a_found_item_is_answered_with_its_signature(void)
{
	static const uint8_t sig[64] = {0x55};
	struct builtin_dht_item item = {.value = (const uint8_t *)"5:hello",
					.value_len = 7,
					.key = some_key,
					.sig = sig,
					.seq = INT64_MAX};
	json_t *told;

	start();
	ask(1, "FindValue", "{\"key\":\"" KEY_HEX "\",\"salt\":\"s\"}");
	CHECK(!rig.call.is_answered);
	CHECK_EQ(rig.call.work_left, 9);
	CHECK_STR(fake.salt, "s");
	fake.searches[0]->found(fake.searches[0], &item);
	end(0, 0, true);
	told = json_object_get(rig.call.reply, "item");
	CHECK_STR(rig_text(told, "value"), "353a68656c6c6f");
	CHECK_EQ(json_integer_value(json_object_get(told, "seq")), INT64_MAX);
	CHECK_EQ(strlen(rig_text(told, "key")), 64);
	CHECK_EQ(strlen(rig_text(told, "signature")), 128);
	/* What is not there is no failure; that no node answers is one. */
	ask(1, "FindValue", "{\"key\":\"" TARGET_HEX "\"}");
	end(1, 0, true);
	CHECK_EQ(rig.call.status, SERVICE_OK);
	CHECK(json_is_null(json_object_get(rig.call.reply, "item")));
	ask(1, "FindValue", "{\"key\":\"" TARGET_HEX "\"}");
	end(2, 0, false);
	CHECK_EQ(rig.call.status, SERVICE_UNAVAILABLE);
	rig_stop();
}

static void test_an_item_is_put_and_its_place_is_answered(void)
{
	start();
	ask(1, "Store", "{\"value\":\"353a68656c6c6f\"}");
	CHECK_EQ(fake.item.value_len, 7);
	CHECK(!fake.item.key);
	end(0, 8, true);
	CHECK_EQ(json_integer_value(json_object_get(rig.call.reply, "stored")), 8);
	CHECK_STR(rig_text(rig.call.reply, "target"), "3333333333333333333333333333333333333333");
	rig_stop();
}

static void test_what_is_no_item_is_refused(void)
{
	static const char *const puts[] = {
		"{}",
		"{\"value\":\"3\"}",
		"{\"value\":\"zz\"}",
		"{\"value\":\"30\",\"salt\":\"s\"}",
		"{\"value\":\"30\",\"seq\":1}",
		"{\"value\":\"30\",\"key\":\"" KEY_HEX "\"}",
		"{\"value\":\"30\",\"key\":\"ab\"}",
		"{\"value\":\"30\",\"more\":1}",
	};
	static const char *const gets[] = {
		"{}",
		"{\"key\":\"ab\"}",
		"{\"key\":\"" TARGET_HEX "\",\"salt\":\"s\"}",
		"{\"key\":1}",
	};
	char fields[2200], salt[66];

	start();
	for (unsigned i = 0; i < sizeof(puts) / sizeof(puts[0]); i++)
		CHECK_EQ(refused("Store", puts[i]), SERVICE_INVALID_PAYLOAD);
	for (unsigned i = 0; i < sizeof(gets) / sizeof(gets[0]); i++)
		CHECK_EQ(refused("FindValue", gets[i]), SERVICE_INVALID_PAYLOAD);
	CHECK_EQ(refused("FindNode", "{\"id\":\"22\"}"), SERVICE_INVALID_PAYLOAD);
	/* A byte more than a value, and than a salt, may have. */
	snprintf(fields, sizeof(fields), "{\"value\":\"%0*d\"}", 2002, 0);
	CHECK_EQ(refused("Store", fields), SERVICE_INVALID_PAYLOAD);
	memset(salt, 'x', 65);
	salt[65] = 0;
	snprintf(fields, sizeof(fields), "{\"key\":\"" KEY_HEX "\",\"salt\":\"%s\"}", salt);
	CHECK_EQ(refused("FindValue", fields), SERVICE_INVALID_PAYLOAD);
	fake.err = WEFT_EMALFORMED;
	CHECK_EQ(refused("Store", "{\"value\":\"30\"}"), SERVICE_INVALID_PAYLOAD);
	fake.err = WEFT_EFULL;
	CHECK_EQ(refused("Store", "{\"value\":\"30\"}"), SERVICE_UNAVAILABLE);
	fake.err = 0;
	snprintf(fields, sizeof(fields), "{\"value\":\"%0*d\"}", 2000, 0);
	ask(1, "Store", fields);
	CHECK_EQ(fake.item.value_len, 1000);
	salt[64] = 0;
	snprintf(fields, sizeof(fields), "{\"key\":\"" KEY_HEX "\",\"salt\":\"%s\"}", salt);
	ask(1, "FindValue", fields);
	CHECK_STR(fake.salt, salt);
	rig_stop();
}

static void test_searches_are_shared_by_network(void)
{
	static const char fields[] = "{\"key\":\"" TARGET_HEX "\"}";
	enum { HALF = DHT_SERVICE_LOOKUP_MAX / 2 };

	start();
	/* Each with a key of its own. */
	for (unsigned i = 0; i < DHT_SERVICE_LOOKUP_MAX; i++) {
		ask(RIG_OF_NETWORK(1, i), "FindValue", fields);
		CHECK(!rig.call.is_answered);
	}
	ask(RIG_OF_NETWORK(1, 99), "FindValue", fields);
	CHECK_EQ(rig.call.status, SERVICE_RATE_LIMITED);
	CHECK_EQ(fake.cancelled_cnt, 0);
	for (unsigned i = 0; i < HALF; i++) {
		/* All calls are the rig's one call: the status is that of the search that made room. */
		ask(RIG_OF_NETWORK(2, 200), "FindValue", fields);
		CHECK_EQ(rig.call.status, SERVICE_RATE_LIMITED);
		CHECK_EQ(fake.cnt, DHT_SERVICE_LOOKUP_MAX + i + 1);
		CHECK_EQ(fake.cancelled_cnt, i + 1);
	}
	ask(RIG_OF_NETWORK(2, 200), "FindValue", fields);
	CHECK_EQ(rig.call.status, SERVICE_RATE_LIMITED);
	CHECK_EQ(fake.cnt, DHT_SERVICE_LOOKUP_MAX + HALF);
	rig.call = (struct service_call){0};
	end(DHT_SERVICE_LOOKUP_MAX, 0, true);
	ask(RIG_OF_NETWORK(2, 200), "FindValue", fields);
	CHECK(!rig.call.is_answered);
	rig_stop();
}

static void test_a_caller_that_left_frees_its_search(void)
{
	const struct service_offering *offering;

	start();
	ask(1, "FindValue", "{\"key\":\"" TARGET_HEX "\"}");
	offering = rig_offering(BUILTIN_DHT);
	offering->handler->cancelled(offering->ctx, &rig.call);
	CHECK_EQ(fake.cancelled_cnt, 1);
	rig_stop();
	CHECK_EQ(fake.cancelled_cnt, 1);
}

static void test_a_call_without_work_left_searches_nothing(void)
{
	struct service_caller caller = {.key = {1}};
	const struct service_offering *offering;
	static const char fields[] = "{\"key\":\"" TARGET_HEX "\"}";

	start();
	rig_path(1, &caller.path);
	offering = rig_offering(BUILTIN_DHT);
	rig.call = (struct service_call){.work_left = 0};
	offering->handler->call(offering->ctx, &rig.call,
				&(struct service_input){&caller, "FindValue",
							(const uint8_t *)fields, strlen(fields)},
				rig.now_ns);
	CHECK_EQ(rig.call.status, SERVICE_RATE_LIMITED);
	CHECK_EQ(fake.cnt, 0);
	rig_stop();
}

int main(void)
{
	RUN(test_ping_and_find_node_answer_at_once);
	RUN(test_a_found_item_is_answered_with_its_signature);
	RUN(test_an_item_is_put_and_its_place_is_answered);
	RUN(test_what_is_no_item_is_refused);
	RUN(test_searches_are_shared_by_network);
	RUN(test_a_caller_that_left_frees_its_search);
	RUN(test_a_call_without_work_left_searches_nothing);
	return check_done();
}
