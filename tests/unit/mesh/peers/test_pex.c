/* SPDX-License-Identifier: Apache-2.0 */
/* Peer exchange: which peers are exchanged, what is believed. */
#include "base/monotonic.h"
#include "mesh/session/hello.h"
#include "mesh/peers/pex.h"
#include "support/check.h"
#include "support/mesh_lab.h"

#define FOUND_MAX 128

static struct mesh_lab lab;
static struct random dice[8];
static struct mesh_pex *pexes[8];
static struct mesh_pex_node found[FOUND_MAX];
static unsigned found_cnt;
static struct mesh_lab_ask ask;
static struct mesh_pex_node nodes[MESH_PEX_OFFER_MAX + 1], got[MESH_PEX_OFFER_MAX];
static uint8_t bytes[2 * MESH_PEX_OFFER_LEN_MAX];
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};

static void note_found(void *ctx, const struct mesh_pex_node *node, uint64_t now_ns)
{
	(void)ctx;
	(void)now_ns;
	if (found_cnt < FOUND_MAX)
		found[found_cnt++] = *node;
}

static void pex_expire(void *ctx, uint64_t now_ns)
{
	mesh_pex_expire(ctx, now_ns);
}

static uint64_t pex_next_ns(void *ctx)
{
	return mesh_pex_next_ns(ctx);
}

static struct mesh *node_start(bool is_asking)
{
	struct mesh *node = mesh_lab_add(&lab);
	struct mesh_pex_params params = {
		.own_key = node->key,
		.neighbours = &mesh_lab_neighbours,
		.random = &dice[node->number],
		.now_ns = lab.now_ns,
		.wall_s = mesh_lab_wall_s(&lab),
		.found = note_found,
	};

	mesh_lab_up(node);
	mesh_pex_config_defaults(&params.config);
	random_init_seeded(&dice[node->number], node->number);
	params.mesh = mesh_lab_seam_of(node);
	if (mesh_pex_new(&params, &pexes[node->number]) < 0)
		abort();
	if (is_asking) {
		node->expire = pex_expire;
		node->next_ns = pex_next_ns;
		node->ctx = pexes[node->number];
	}
	return node;
}

static void begin(void)
{
	found_cnt = 0;
	mesh_lab_init(&lab, 4, 256, &calm);
}

static void end(void)
{
	for (unsigned i = 0; i < 8; i++)
		mesh_pex_stop(pexes[i]);
	mesh_lab_fini(&lab);
	for (unsigned i = 0; i < 8; i++) {
		mesh_pex_stop(pexes[i]);
		mesh_pex_free(pexes[i]);
		pexes[i] = NULL;
	}
}

static uint64_t reason_cnt(const struct mesh *node, enum mesh_pex_reason reason)
{
	uint64_t reasons[MESH_PEX_REASON_CNT];

	mesh_pex_stats(pexes[node->number], reasons);
	return reasons[reason];
}

/* from dials to, by a request without an answer. */
static void dial(struct mesh *from, const struct mesh *to)
{
	mesh_lab_ask(from, to, MESH_GET_CHUNK, "", 0, &ask);
}

static void request(struct mesh *from, const struct mesh *to, unsigned wanted_cnt)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	mesh_pex_request_write(&w, wanted_cnt);
	mesh_lab_ask(from, to, MESH_PEX_REQUEST, bytes, writer_len(&w), &ask);
}

static struct mesh *unknown_peer(void)
{
	struct mesh *node = mesh_lab_add(&lab);

	mesh_lab_up(node);
	return node;
}

static void test_neighbours_neighbour_is_found(void)
{
	struct mesh *a, *b, *c;

	begin();
	a = node_start(true);
	b = node_start(false);
	c = unknown_peer();
	c->caps = MESH_CAP_DHT;
	dial(b, c);
	dial(a, b);
	a->due_ns = 0;
	(void)mesh_lab_run(&lab, 40 * NS_PER_S, NULL, NULL);
	CHECK_EQ(found_cnt, 1);
	CHECK_MEM(found[0].key, c->key, MESH_KEY_LEN);
	CHECK(addr_equal(&found[0].addrs[0], &c->addr));
	CHECK_EQ(found[0].caps, MESH_CAP_DHT);
	CHECK_EQ(reason_cnt(a, MESH_PEX_TAKEN), 1);
	CHECK_EQ(reason_cnt(b, MESH_PEX_OFFERED), reason_cnt(a, MESH_PEX_ASKED));
	end();
}

/* A peer that dialled us may be unreachable for others; the asker knows itself. */
static void test_only_dialled_peers_are_exchanged(void)
{
	struct mesh *b, *c, *asker;

	begin();
	b = node_start(false);
	c = unknown_peer();
	asker = unknown_peer();
	dial(c, b);
	dial(b, asker);
	request(asker, b, MESH_PEX_OFFER_MAX);
	CHECK_EQ(mesh_pex_offer_parse(ask.reply.payload, ask.reply.payload_len, got), 0);
	end();
}

static void test_a_private_address_is_exchanged_on_its_own_site_only(void)
{
	struct mesh *b, *near, *asker, *insider;

	begin();
	b = node_start(false);
	near = mesh_lab_add(&lab);
	near->addr = (struct addr){.ip = {10, 0, 0, 5}, .port = 7000, .family = ADDR_IPV4};
	mesh_lab_up(near);
	insider = mesh_lab_add(&lab);
	insider->addr = (struct addr){.ip = {10, 0, 0, 6}, .port = 7000, .family = ADDR_IPV4};
	mesh_lab_up(insider);
	asker = unknown_peer();
	dial(b, near);
	request(asker, b, MESH_PEX_OFFER_MAX);
	CHECK_EQ(mesh_pex_offer_parse(ask.reply.payload, ask.reply.payload_len, got), 0);
	request(insider, b, MESH_PEX_OFFER_MAX);
	CHECK_EQ(mesh_pex_offer_parse(ask.reply.payload, ask.reply.payload_len, got), 1);
	end();
}

static void test_no_more_than_wanted_are_exchanged_and_all_in_turn(void)
{
	struct mesh *b, *asker;
	bool seen[256] = {false};
	unsigned seen_cnt = 0;

	begin();
	b = node_start(false);
	for (unsigned i = 0; i < 100; i++)
		dial(b, unknown_peer());
	asker = unknown_peer();
	for (unsigned round = 0; round < 5; round++) {
		int cnt;

		request(asker, b, MESH_PEX_OFFER_MAX);
		cnt = mesh_pex_offer_parse(ask.reply.payload, ask.reply.payload_len, got);
		CHECK_EQ(cnt, MESH_PEX_OFFER_MAX);
		for (int i = 0; i < cnt; i++) {
			unsigned at = (unsigned)got[i].addrs[0].ip[2];

			seen_cnt += !seen[at];
			seen[at] = true;
		}
	}
	CHECK(seen_cnt > 90); /* drawn at random, so that all come to be known */
	lab.idle_ns = 3600 * NS_PER_S;
	(void)mesh_lab_run(&lab, 120 * NS_PER_S, NULL, NULL);
	request(asker, b, 3);
	CHECK_EQ(mesh_pex_offer_parse(ask.reply.payload, ask.reply.payload_len, got), 3);
	end();
}

/* What is lent is not given back: as when askers do not read. */
static void test_askers_that_do_not_read_leave_an_answer_for_others(void)
{
	struct mesh *b, *late;

	begin();
	b = node_start(false);
	for (unsigned i = 0; i < 10; i++)
		dial(b, unknown_peer());
	b->is_unacknowledged = true;
	for (unsigned i = 0; i < 24; i++) {
		request(unknown_peer(), b, MESH_PEX_OFFER_MAX);
		CHECK_EQ(ask.reply.err, 0);
		CHECK(mesh_pex_offer_parse(ask.reply.payload, ask.reply.payload_len, got) >= 10);
	}
	CHECK_EQ(reason_cnt(b, MESH_PEX_OFFERED), 24);
	late = unknown_peer();
	/* Only the page is left, and that is more than it wants. */
	request(late, b, 1);
	CHECK_EQ(ask.reply.code, MESH_CODE_BUSY);
	CHECK(ask.reply.not_before_ns > 0);
	mesh_lab_acknowledge(b);
	b->is_unacknowledged = false;
	request(late, b, 1);
	CHECK_EQ(ask.reply.err, 0);
	end();
}

static void test_one_request_too_many_in_a_minute_is_refused(void)
{
	struct mesh *b, *asker;

	begin();
	b = node_start(false);
	asker = unknown_peer();
	for (unsigned i = 0; i < 6; i++) {
		request(asker, b, 1);
		CHECK_EQ(ask.reply.err, 0);
	}
	request(asker, b, 1);
	CHECK_EQ(ask.reply.err, WEFT_EREFUSED);
	CHECK(ask.reply.not_before_ns > lab.now_ns + 50 * NS_PER_S);
	CHECK_EQ(reason_cnt(b, MESH_PEX_FLOOD), 1);
	end();
}

static void test_requests_of_another_form_are_refused(void)
{
	static const char *const payloads[] = {"", "\xa0", "\xa1\x00\x00", "\xa1\x00\x18\x41",
					       "\xa1\x00\x40"};
	static const size_t lens[] = {0, 1, 3, 4, 3};
	struct mesh *b, *asker;

	begin();
	b = node_start(false);
	asker = unknown_peer();
	for (unsigned i = 0; i < 5; i++) {
		mesh_lab_ask(asker, b, MESH_PEX_REQUEST, payloads[i], lens[i], &ask);
		CHECK_EQ(ask.reply.err, WEFT_EMALFORMED);
	}
	CHECK_EQ(reason_cnt(b, MESH_PEX_MALFORMED), 5);
	end();
}

/* --- a neighbour that tells what it likes --- */

static unsigned offer_cnt;

static void tell_nodes(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct mesh *node = ctx;
	struct transport_span span = {.data = bytes};
	struct writer w = writer_of(bytes, sizeof(bytes));

	(void)now_ns;
	mesh_pex_offer_write(&w, nodes, offer_cnt);
	span.len = writer_len(&w);
	(void)mesh_lab_seam_of(node).ops->answer(call->incoming, MESH_PEX_OFFER, NULL, 0, &span);
}

/* A node that asks one that lists nodes. */
static struct mesh *believer_run(void)
{
	struct mesh *a = node_start(true), *liar = unknown_peer();

	(void)mesh_lab_seam_of(liar).ops->handle(liar, MESH_PEX_REQUEST, tell_nodes, liar);
	memcpy(nodes[0].key, a->key, MESH_KEY_LEN);
	dial(a, liar);
	a->due_ns = 0;
	(void)mesh_lab_run(&lab, 35 * NS_PER_S, NULL, NULL);
	return a;
}

static struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static void test_martians_and_unknown_peers_neighbours_are_refused(void)
{
	static const char *const addrs[] =
		{
			"20.1.1.1:7000",  /* ourselves: its key is set below */
			"20.1.1.1:7000",  /* good */
			"0.0.0.0:7000",	  /* none */
			"224.0.0.1:7000", /* a group */
			"255.255.255.255:7000", "[ff02::1]:7000",
			"20.1.1.1:0",	 /* no port is an error of the form, see below */
			"10.0.0.1:7000", /* networks that the teller is not on with us */
			"192.168.1.1:7000",	"127.0.0.1:7000",
			"169.254.1.1:7000",	"[fe80::1]:7000",
			"[fd00::1]:7000",	"100.64.0.1:7000",
			"[2001:db8::1]:7000", /* good */
			"20.1.1.2:7000",      /* met too long ago */
		};
	struct mesh *a;

	begin();
	memset(nodes, 0, sizeof(nodes));
	offer_cnt = 0;
	for (unsigned i = 0; i < sizeof(addrs) / sizeof(addrs[0]); i++) {
		struct mesh_pex_node *node = &nodes[offer_cnt];

		node->addrs[0] = addr_of(addrs[i]);
		if (!node->addrs[0].port)
			continue;
		node->addr_cnt = 1;
		memset(node->key, (int)i, MESH_KEY_LEN);
		node->age_s = i == 15 ? 24 * 3600 + 1 : 24 * 3600;
		offer_cnt++;
	}
	nodes[offer_cnt++].key[0] = 99; /* at no address at all */
	a = believer_run();
	CHECK_EQ(reason_cnt(a, MESH_PEX_ASKED), 1);
	CHECK_EQ(reason_cnt(a, MESH_PEX_OURSELVES), 1);
	CHECK_EQ(reason_cnt(a, MESH_PEX_STALE), 1);
	CHECK_EQ(reason_cnt(a, MESH_PEX_MARTIAN), 5);
	CHECK_EQ(reason_cnt(a, MESH_PEX_PRIVATE), 7);
	CHECK_EQ(reason_cnt(a, MESH_PEX_TAKEN), 2);
	CHECK_EQ(found_cnt, 2);
	CHECK_EQ(found[0].key[0], 1);
	CHECK_EQ(found[1].key[0], 14);
	end();
}

static void test_good_address_is_kept_beside_a_bad_one(void)
{
	begin();
	memset(nodes, 0, sizeof(nodes));
	offer_cnt = 2;
	memset(nodes[1].key, 7, MESH_KEY_LEN);
	nodes[1].addrs[0] = addr_of("10.0.0.1:7000");
	nodes[1].addrs[1] = addr_of("20.1.1.1:7000");
	nodes[1].addr_cnt = 2;
	(void)believer_run();
	CHECK_EQ(found_cnt, 1);
	CHECK_EQ(found[0].addr_cnt, 1);
	CHECK_EQ(found[0].addrs[0].ip[0], 20);
	end();
}

static void offers_fill(void)
{
	memset(nodes, 0, sizeof(nodes));
	for (unsigned i = 0; i <= MESH_PEX_OFFER_MAX; i++) {
		memset(nodes[i].key, (int)i + 1, MESH_KEY_LEN);
		nodes[i].addr_cnt = MESH_PEX_ADDRS_MAX;
		for (unsigned at = 0; at < MESH_PEX_ADDRS_MAX; at++) {
			nodes[i].addrs[at] = addr_of("[2001:db8::1]:65535");
			nodes[i].addrs[at].ip[15] = (uint8_t)at;
		}
		nodes[i].caps = UINT32_MAX;
		nodes[i].age_s = 3600;
	}
}

static void test_one_node_too_many_spoils_the_offer(void)
{
	struct mesh *a;

	begin();
	offers_fill();
	offer_cnt = MESH_PEX_OFFER_MAX + 1;
	a = believer_run();
	CHECK_EQ(reason_cnt(a, MESH_PEX_MALFORMED), 1);
	CHECK_EQ(found_cnt, 0);
	end();
}

static void test_offer_is_read_as_written(void)
{
	struct writer w = writer_of(bytes, MESH_PEX_OFFER_LEN_MAX);
	size_t len;

	offers_fill();
	mesh_pex_offer_write(&w, nodes, MESH_PEX_OFFER_MAX);
	CHECK(!w.bad); /* the longest there is fits what is said of it */
	len = writer_len(&w);
	CHECK_EQ(mesh_pex_offer_parse(bytes, len, got), MESH_PEX_OFFER_MAX);
	CHECK_MEM(got, nodes, sizeof(got));
	for (size_t cut = 0; cut < len; cut++)
		CHECK_EQ(mesh_pex_offer_parse(bytes, cut, got), WEFT_EMALFORMED);
	CHECK_EQ(mesh_pex_offer_parse((const uint8_t *)"\xa0", 1, got), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_neighbours_neighbour_is_found);
	RUN(test_only_dialled_peers_are_exchanged);
	RUN(test_a_private_address_is_exchanged_on_its_own_site_only);
	RUN(test_no_more_than_wanted_are_exchanged_and_all_in_turn);
	RUN(test_askers_that_do_not_read_leave_an_answer_for_others);
	RUN(test_one_request_too_many_in_a_minute_is_refused);
	RUN(test_requests_of_another_form_are_refused);
	RUN(test_martians_and_unknown_peers_neighbours_are_refused);
	RUN(test_good_address_is_kept_beside_a_bad_one);
	RUN(test_one_node_too_many_spoils_the_offer);
	RUN(test_offer_is_read_as_written);
	return check_done();
}
