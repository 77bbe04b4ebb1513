/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory/arena.h"
#include "overlay/book.h"
#include "support/check.h"

#define CAP 8

static struct arena arena;
static struct overlay_book book;
static struct kad_contact used[CAP];
static unsigned used_cnt;

static void mark_used(void *ctx)
{
	(void)ctx;
	for (unsigned i = 0; i < used_cnt; i++)
		overlay_book_mark(&book, &used[i]);
}

static void begin(void)
{
	static const uint64_t secret[2] = {1, 2};

	used_cnt = 0;
	book.mark_all = mark_used;
	arena_close(&arena);
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    overlay_book_init(&book, &arena, CAP, secret) < 0)
		abort();
}

static struct overlay_node node_of(uint8_t key, uint8_t host)
{
	struct overlay_node node = {.addr_cnt = 1};

	memset(node.key, key, sizeof(node.key));
	node.addrs[0] = (struct addr){.ip = {20, 0, 0, host}, .port = 7000, .family = ADDR_IPV4};
	return node;
}

static void test_place_is_the_hash_of_the_key(void)
{
	/* SHA-256 of 32 zero bytes, from sha256sum. */
	static const uint8_t want[] = {0x66, 0x68, 0x7a, 0xad, 0xf8, 0x62, 0xbd, 0x77, 0x6c, 0x8f,
				       0xc1, 0x8b, 0x8e, 0x9f, 0x8e, 0x20, 0x08, 0x97, 0x14, 0x85};
	static const uint8_t key[MESH_KEY_LEN];
	struct kad_id id = overlay_id_of(key);

	CHECK_MEM(id.bytes, want, sizeof(want));
}

static void test_same_node_is_the_same_contact(void)
{
	struct overlay_node node = node_of(1, 1), elsewhere = node_of(1, 2), longer = node_of(1, 1);
	struct kad_contact a, b;

	begin();
	longer.addrs[longer.addr_cnt++] = elsewhere.addrs[0];
	overlay_book_contacts(&book, &node, 1, &a);
	overlay_book_contacts(&book, &longer, 1, &b);
	CHECK(a.tag == b.tag);
	CHECK_EQ(overlay_book_node(&book, &b)->addr_cnt, 1); /* an entry does not change */
	overlay_book_contacts(&book, &elsewhere, 1, &b);
	CHECK(a.tag != b.tag);
	CHECK(kad_id_equal(&a.id, &b.id));
	CHECK_EQ(overlay_book_node(&book, &b)->addrs[0].ip[3], 2);
}

static void test_full_book_keeps_what_is_in_use(void)
{
	struct overlay_node nodes[CAP];
	struct kad_contact contacts[CAP];

	begin();
	for (uint8_t i = 0; i < CAP; i++)
		nodes[i] = node_of(i, i);
	overlay_book_contacts(&book, nodes, CAP, contacts);
	used[0] = contacts[2];
	used[1] = contacts[5];
	used_cnt = 2;
	for (uint8_t i = 0; i < CAP; i++)
		nodes[i] = node_of((uint8_t)(100 + i), i);
	/* As many as there is room for, all at once: none of them may give way to another. */
	overlay_book_contacts(&book, nodes, CAP - 2, contacts);
	for (unsigned i = 0; i < CAP - 2; i++)
		CHECK_EQ(overlay_book_node(&book, &contacts[i])->key[0], 100 + i);
	CHECK_EQ(overlay_book_node(&book, &used[0])->key[0], 2);
	CHECK_EQ(overlay_book_node(&book, &used[1])->key[0], 5);
	CHECK_EQ(book.pool.used_cnt, CAP);
}

int main(void)
{
	RUN(test_place_is_the_hash_of_the_key);
	RUN(test_same_node_is_the_same_contact);
	RUN(test_full_book_keeps_what_is_in_use);
	arena_close(&arena);
	return check_done();
}
