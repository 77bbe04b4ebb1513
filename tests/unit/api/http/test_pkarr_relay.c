/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The relay behind a connection of the gateway, in front of a DHT that the
 * test plays: bytes of HTTP in, bytes of HTTP out.
 */
#include "api/http/pkarr_relay.h"

#include <errno.h>

#include "base/monotonic.h"
#include "base/memory/heap.h"
#include "codec/text/zbase32.h"
#include "gateway/http_conn_state.h"
#include "support/check.h"

#define WALL_S	  1700000100
#define CALL_CAP  2
#define CACHE_CAP 4

static struct {
	struct node_key *key;
	char path[ZBASE32_KEY_TEXT_CAP + 1];
	struct pkarr_relay *relay;
	struct gateway_route routes[2];
	struct conn_shared shared;
	struct gateway_conn conn;
	struct heap *heap;
	char out[OUTPUT_BLOCK_LEN + 1];
	uint64_t now_ns;
	struct pkarr_relay_call *call; /* what the DHT works for */
	unsigned get_cnt, put_cnt, cancel_cnt;
	bool knows_nobody;
} rig;

static uint64_t wall_s(void)
{
	return WALL_S;
}

static const struct guard guard; /* the relay's route is open to all */

static bool admits(struct conn_shared *shared, const struct gateway_conn *conn, uint64_t now_ns)
{
	(void)shared;
	(void)conn;
	(void)now_ns;
	return true;
}

static void *run_begin(struct pkarr_relay_call *call, unsigned *cnt)
{
	++*cnt;
	rig.call = rig.knows_nobody ? NULL : call;
	return rig.call;
}

static void *dht_get(void *ctx, const uint8_t key[static NODE_KEY_LEN],
		     struct pkarr_relay_call *call, uint64_t now_ns)
{
	(void)ctx;
	(void)now_ns;
	return memcmp(key, node_key_public(rig.key), NODE_KEY_LEN) == 0
		       ? run_begin(call, &rig.get_cnt)
		       : NULL;
}

static void *dht_put(void *ctx, const struct pkarr_packet *packet, struct pkarr_relay_call *call,
		     uint64_t now_ns)
{
	(void)ctx;
	(void)packet;
	(void)now_ns;
	return run_begin(call, &rig.put_cnt);
}

static void dht_cancel(void *ctx, void *run)
{
	(void)ctx;
	rig.cancel_cnt += run == rig.call;
}

static void conn_begin(struct gateway_conn *conn)
{
	struct addr remote = {.family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = 1};

	memset(conn, 0, sizeof(*conn));
	gateway_conn_init(conn, &rig.shared, &remote, rig.now_ns);
}

static bool rig_open(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {21};
	static const uint64_t secret[2] = {3, 4};
	struct pkarr_relay_params params = {
		.dht = {.get = dht_get, .put = dht_put, .cancel = dht_cancel},
		.cache_cap = CACHE_CAP,
		.call_cap = CALL_CAP,
		.wall_s = wall_s,
		.secret = secret,
	};

	memset(&rig, 0, sizeof(rig));
	rig.now_ns = NS_PER_S;
	if (node_key_from_seed(seed, &rig.key) < 0 ||
	    api_pkarr_relay_new(&params, &rig.relay) < 0 || heap_new(1 << 20, &rig.heap) < 0)
		return false;
	rig.path[0] = '/';
	zbase32_write(node_key_public(rig.key), NODE_KEY_LEN, rig.path + 1);
	rig.routes[0] = api_pkarr_relay_route(rig.relay);
	rig.shared = (struct conn_shared){.guard = &guard,
					  .routes = rig.routes,
					  .heap = rig.heap,
					  .wall_s = wall_s,
					  .admits = admits};
	conn_begin(&rig.conn);
	return true;
}

static void rig_close(void)
{
	gateway_conn_fini(&rig.conn);
	heap_free(rig.heap);
	api_pkarr_relay_free(rig.relay);
	node_key_free(rig.key);
}

static void say(struct gateway_conn *conn, const void *data, size_t len)
{
	char *room;

	if (gateway_conn_reserve(conn, &room) < len)
		abort();
	memcpy(room, data, len);
	gateway_conn_commit(conn, len, rig.now_ns);
}

static const char *hear(void)
{
	const char *data;
	size_t len = gateway_conn_output(&rig.conn, &data);

	memcpy(rig.out, data, len);
	rig.out[len] = '\0';
	gateway_conn_sent(&rig.conn, len, rig.now_ns);
	return rig.out;
}

static void ask(const char *fields)
{
	char request[512];
	int len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: r\r\n%s\r\n",
			   rig.path, fields);

	say(&rig.conn, request, (size_t)len);
}

static struct pkarr_packet packet_at(uint64_t seq)
{
	struct pkarr_record record = {.addr_cnt = 1};
	struct pkarr_packet packet;

	record.addrs[0] = (struct addr){.family = ADDR_IPV4, .ip = {192, 0, 2, 7}, .port = 7};
	dht_pkarr_packet_sign(&record, rig.key, seq, &packet);
	return packet;
}

static void store_body(const uint8_t *body, size_t len)
{
	char request[256];
	int head_len = snprintf(request, sizeof(request),
				"PUT %s HTTP/1.1\r\nHost: r\r\nContent-Length: %zu\r\n\r\n",
				rig.path, len);

	say(&rig.conn, request, (size_t)head_len);
	say(&rig.conn, body, len);
}

static void store(uint64_t seq)
{
	struct pkarr_packet packet = packet_at(seq);
	uint8_t body[PKARR_BODY_LEN_MAX];

	store_body(body, dht_pkarr_packet_write_body(&packet, body));
}

static void end(int err, unsigned stored_cnt)
{
	struct pkarr_relay_outcome outcome = {.err = err, .stored_cnt = stored_cnt};

	api_pkarr_relay_ended(rig.call, &outcome, rig.now_ns);
}

static void show(uint64_t seq)
{
	struct pkarr_packet packet = packet_at(seq);

	api_pkarr_relay_found(rig.call, &packet);
}

static bool status_is(const char *heard, const char *status)
{
	char want[32];

	snprintf(want, sizeof(want), "HTTP/1.1 %s ", status);
	if (strncmp(heard, want, strlen(want)) == 0)
		return true;
	printf("# %.80s\n", heard);
	return false;
}

static void test_a_packet_is_stored_and_served(void)
{
	struct pkarr_packet packet;
	uint8_t body[PKARR_BODY_LEN_MAX];
	size_t len;
	const char *heard;

	CHECK(rig_open());
	store(1700000000000000);
	CHECK_EQ(rig.put_cnt, 1);
	CHECK_STR(hear(), "");
	end(0, 8);
	heard = hear();
	CHECK(status_is(heard, "204"));
	CHECK(strstr(heard, "Pkarr-Dht-Stored-Nodes: 8\r\n"));
	CHECK(strstr(heard, "Access-Control-Allow-Origin: *\r\n"));

	ask("");
	CHECK_EQ(rig.get_cnt, 0); /* it is known, and fresh */
	heard = hear();
	CHECK(status_is(heard, "200"));
	CHECK(strstr(heard, "Content-Type: application/pkarr.org/relays#payload\r\n"));
	CHECK(strstr(heard, "Cache-Control: public, max-age=30\r\n"));
	CHECK(strstr(heard, "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT\r\n"));
	CHECK(strstr(heard, "Memento-Datetime: Tue, 14 Nov 2023 22:15:00 GMT\r\n"));
	CHECK(strstr(heard, "Access-Control-Allow-Origin: *\r\n"));
	packet = packet_at(1700000000000000);
	len = dht_pkarr_packet_write_body(&packet, body);
	CHECK_MEM(strstr(heard, "\r\n\r\n") + 4, body, len);
	rig_close();
}

static void test_a_packet_not_modified_is_not_sent_again(void)
{
	CHECK(rig_open());
	store(1700000000000000);
	end(0, 1);
	(void)hear();
	ask("If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT\r\n");
	CHECK(status_is(hear(), "304"));
	CHECK(strstr(rig.out, "Last-Modified: "));
	CHECK(!strstr(rig.out, "Content-Length"));
	ask("If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT\r\n");
	CHECK(status_is(hear(), "200"));
	ask("If-Modified-Since: yesterday\r\n");
	CHECK(status_is(hear(), "200"));
	rig_close();
}

static void test_the_dht_is_asked_for_what_is_not_known_or_not_fresh(void)
{
	CHECK(rig_open());
	ask("");
	CHECK_EQ(rig.get_cnt, 1);
	CHECK_STR(hear(), "");
	show(5000000);
	show(9000000);
	show(7000000); /* an older one after a newer one */
	end(0, 0);
	CHECK(status_is(hear(), "200"));
	CHECK(strstr(rig.out, "Last-Modified: Thu, 01 Jan 1970 00:00:09 GMT\r\n"));
	ask("");
	CHECK_EQ(rig.get_cnt, 1);
	(void)hear();
	rig.now_ns += 300 * NS_PER_S - 1;
	ask("");
	CHECK_EQ(rig.get_cnt, 1);
	(void)hear();
	rig.now_ns += 1;
	ask("");
	CHECK_EQ(rig.get_cnt, 2);
	end(WEFT_EABSENT, 0); /* the DHT forgot it; we say when it was last seen */
	CHECK(status_is(hear(), "200"));
	ask("");
	CHECK_EQ(rig.get_cnt, 3);
	end(WEFT_EUNREACHABLE, 0);
	CHECK(status_is(hear(), "200"));
	rig_close();
}

static void test_a_missing_record_has_its_status(void)
{
	static const struct {
		int err;
		const char *status;
	} rows[] = {
		{WEFT_EABSENT, "404"},	    {0, "404"},	   {WEFT_ETIMEOUT, "404"},
		{WEFT_EUNREACHABLE, "503"}, {-EIO, "503"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK(rig_open());
		ask("");
		end(rows[i].err, 0);
		CHECK(status_is(hear(), rows[i].status));
		rig_close();
	}
	CHECK(rig_open());
	rig.knows_nobody = true;
	ask("");
	CHECK(status_is(hear(), "503"));
	store(1);
	CHECK(status_is(hear(), "503"));
	rig_close();
}

static void test_a_failed_store_has_its_status(void)
{
	static const struct {
		int err;
		unsigned stored_cnt;
		const char *status;
	} rows[] = {
		{0, 1, "204"},
		{WEFT_ETIMEOUT, 1, "204"},
		{WEFT_ESTALE, 3, "409"},
		{WEFT_EUNREACHABLE, 0, "503"},
		{WEFT_EREFUSED, 0, "500"},
		{0, 0, "500"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK(rig_open());
		store(1000);
		end(rows[i].err, rows[i].stored_cnt);
		CHECK(status_is(hear(), rows[i].status));
		/* Only what the DHT took is served. */
		ask("");
		CHECK_EQ(rig.get_cnt, strcmp(rows[i].status, "204") != 0);
		rig_close();
	}
}

static void test_an_older_packet_is_a_conflict(void)
{
	CHECK(rig_open());
	store(2000);
	end(0, 1);
	(void)hear();
	store(1999);
	CHECK(status_is(hear(), "409"));
	CHECK_EQ(rig.put_cnt, 1);
	store(2000); /* the same bytes again: a refresh */
	CHECK_EQ(rig.put_cnt, 2);
	end(0, 1);
	CHECK(status_is(hear(), "204"));
	store(2001);
	CHECK_EQ(rig.put_cnt, 3);
	end(0, 1);
	CHECK(status_is(hear(), "204"));
	rig_close();
}

static void test_another_packet_of_the_same_number_is_a_conflict(void)
{
	struct pkarr_record record = {.addr_cnt = 1};
	struct pkarr_packet packet;
	uint8_t body[PKARR_BODY_LEN_MAX];

	CHECK(rig_open());
	store(2000);
	end(0, 1);
	(void)hear();
	record.addrs[0] = (struct addr){.family = ADDR_IPV4, .ip = {192, 0, 2, 8}, .port = 8};
	dht_pkarr_packet_sign(&record, rig.key, 2000, &packet);
	store_body(body, dht_pkarr_packet_write_body(&packet, body));
	CHECK(status_is(hear(), "409"));
	rig_close();
}

static void test_bodies_that_are_no_packet_of_this_key_are_refused(void)
{
	struct pkarr_packet packet;
	uint8_t body[PKARR_BODY_LEN_MAX + 1] = {0};
	size_t len;

	CHECK(rig_open());
	packet = packet_at(1);
	len = dht_pkarr_packet_write_body(&packet, body);
	body[0] ^= 1;
	store_body(body, len);
	CHECK(status_is(hear(), "400"));
	body[0] ^= 1;
	store_body(body, PKARR_BODY_HEAD_LEN);
	CHECK(status_is(hear(), "400"));
	store_body(body, 0);
	CHECK(status_is(hear(), "400"));
	store_body(body, len - 1);
	CHECK(status_is(hear(), "400"));
	CHECK_EQ(rig.put_cnt, 0);
	store_body(body, sizeof(body));
	CHECK(status_is(hear(), "413"));
	rig_close();
}

static void test_paths_that_are_no_key_are_refused(void)
{
	static const char *const paths[] = {
		"/",
		"/favicon.ico",
		"/ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1",
		"/ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1uw",
		"/ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1l",
		"/yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy/x"};
	char request[128];

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		int len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: r\r\n\r\n",
				   paths[i]);

		CHECK(rig_open());
		say(&rig.conn, request, (size_t)len);
		CHECK(status_is(hear(), "400"));
		rig_close();
	}
}

static void test_unknown_methods_are_reported(void)
{
	char request[128];
	int len;

	CHECK(rig_open());
	len = snprintf(request, sizeof(request), "DELETE %s HTTP/1.1\r\nHost: r\r\n\r\n", rig.path);
	say(&rig.conn, request, (size_t)len);
	CHECK(status_is(hear(), "405"));
	CHECK(strstr(rig.out, "Allow: GET, HEAD, PUT, OPTIONS\r\n"));
	len = snprintf(request, sizeof(request), "OPTIONS %s HTTP/1.1\r\nHost: r\r\n\r\n",
		       rig.path);
	say(&rig.conn, request, (size_t)len);
	CHECK(status_is(hear(), "204"));
	CHECK(strstr(rig.out, "Access-Control-Allow-Methods: GET, HEAD, PUT, OPTIONS\r\n"));
	rig_close();
}

static void test_a_client_that_leaves_cancels_its_search(void)
{
	CHECK(rig_open());
	ask("");
	gateway_conn_fini(&rig.conn);
	CHECK_EQ(rig.cancel_cnt, 1);
	/* Its place is free again. */
	for (int i = 0; i < CALL_CAP + 1; i++) {
		conn_begin(&rig.conn);
		ask("");
		CHECK_STR(hear(), "");
		gateway_conn_fini(&rig.conn);
	}
	CHECK_EQ(rig.cancel_cnt, CALL_CAP + 2);
	rig_close();
}

static void test_one_call_more_than_can_wait_is_refused_with_its_status(void)
{
	static struct gateway_conn conns[CALL_CAP];
	char request[128];

	CHECK(rig_open());
	for (int i = 0; i < CALL_CAP; i++) {
		int len = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: r\r\n\r\n",
				   rig.path);

		conn_begin(&conns[i]);
		say(&conns[i], request, (size_t)len);
	}
	ask("");
	CHECK(status_is(hear(), "503"));
	for (int i = 0; i < CALL_CAP; i++)
		gateway_conn_fini(&conns[i]);
	rig_close();
}

/* What pkarr allows and Mainline does not: verified, served, on no node. */
static void test_a_packet_of_1000_bytes_is_served_from_here(void)
{
	uint8_t dns[PKARR_DNS_LEN_MAX] = {[2] = 0x80, [7] = 1}, value[DHT_SIGNED_VALUE_LEN_MAX];
	uint8_t body[PKARR_BODY_LEN_MAX];
	size_t data_len = PKARR_DNS_LEN_MAX - 12 - 11;
	struct dht_item item = {.value = value, .value_len = sizeof(value), .seq = 1};

	CHECK(rig_open());
	/* One record of type 1 at the root, filled up with data. */
	dns[12 + 2] = 1;
	dns[12 + 4] = 1;
	dns[12 + 9] = (uint8_t)(data_len >> 8);
	dns[12 + 10] = (uint8_t)data_len;
	memcpy(value, "1000:", 5);
	memcpy(value + 5, dns, sizeof(dns));
	dht_item_sign(&item, rig.key, body);
	memcpy(body + NODE_KEY_SIG_LEN, "\0\0\0\0\0\0\0\1", 8);
	memcpy(body + PKARR_BODY_HEAD_LEN, dns, sizeof(dns));
	store_body(body, sizeof(body));
	CHECK(status_is(hear(), "204"));
	CHECK(strstr(rig.out, "Pkarr-Dht-Stored-Nodes: 0\r\n"));
	CHECK_EQ(rig.put_cnt, 0);
	ask("");
	CHECK(status_is(hear(), "200"));
	CHECK(strstr(rig.out, "Content-Length: 1072\r\n"));
	rig_close();
}

int main(void)
{
	RUN(test_a_packet_is_stored_and_served);
	RUN(test_a_packet_not_modified_is_not_sent_again);
	RUN(test_the_dht_is_asked_for_what_is_not_known_or_not_fresh);
	RUN(test_a_missing_record_has_its_status);
	RUN(test_a_failed_store_has_its_status);
	RUN(test_an_older_packet_is_a_conflict);
	RUN(test_another_packet_of_the_same_number_is_a_conflict);
	RUN(test_bodies_that_are_no_packet_of_this_key_are_refused);
	RUN(test_paths_that_are_no_key_are_refused);
	RUN(test_unknown_methods_are_reported);
	RUN(test_a_client_that_leaves_cancels_its_search);
	RUN(test_one_call_more_than_can_wait_is_refused_with_its_status);
	RUN(test_a_packet_of_1000_bytes_is_served_from_here);
	return check_done();
}
