/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of posts with as many as POSTS says (1000000), of a thousand people, and what seals them. Posts
 * are put without a signature, which is a row of its own.
 *
 *	put	all of them, durable		start	they are read from the disk
 *	page	50 of the feed at any place, and of those unread where one in 10,000 is; of one author
 *	judge	post, claim and readers off their bytes
 *	seal	a post of 1 KiB to 50 readers; open: by one of them
 *
 * All but put is time of the core, so that what else the machine does is no part of it.
 *
 *	POSTS=1000000 make bench B=social
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "social/ground/social_ground.h"
#include "social/keep/post_store.h"
#include "social/seal/content_key.h"
#include "store/store.h"
#include "support/own_use.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

#define PEOPLE	   1000u
#define PAGES	   2000u
#define PAGE_LEN   50u
#define READERS	   50u
#define SEALS	   2000u
#define TEXT_LEN   1024u
#define BODY_LEN   200u
#define UNREAD_ONE 10000u

static char dir[SCRATCH_CAP];
static struct store *store;
static struct timer_wheel timers;
static struct random dice;
static struct social_ground ground;
static struct post_store *posts;
static uint32_t post_cnt = 1000000;
static uint64_t now_ns = NS_PER_S;

static void die(const char *what)
{
	fprintf(stderr, "bench/social: %s\n", what);
	exit(1);
}

static uint64_t on_wall_ms(void *ctx)
{
	(void)ctx;
	return 1800000000000;
}

static double core_seconds(uint64_t since_ns)
{
	return (double)(own_core_ns() - since_ns) / 1e9;
}

static void open_posts(void)
{
	struct store_config config;
	struct post_store_params params = {.ground = &ground, .now_ns = now_ns};

	store_config_defaults(&config);
	config.dir = dir;
	config.map_len_max = 64ull << 30;
	social_posts_config_defaults(&params.config);
	params.config.post_cap = post_cnt * 2;
	params.config.room_len = 64ull << 30;
	if (store_open(&config, &store) < 0)
		die("the store does not open");
	ground.store = store;
	if (social_posts_open(&params, &posts) < 0)
		die("the posts do not open");
}

static void close_posts(void)
{
	social_posts_close(posts);
	store_close(store);
}

static void turn(void)
{
	now_ns += NS_PER_MS;
	timer_wheel_expire(&timers, now_ns);
	(void)store_reap(store);
}

/* --- put --- */

static uint32_t durable_cnt;
static void on_durable(void *arg, int err)
{
	(void)arg;
	if (err < 0)
		die("a put failed");
	durable_cnt++;
}

static void author_write(uint32_t number, uint8_t key[static NODE_KEY_LEN])
{
	uint32_t person = number % PEOPLE;

	memset(key, 7, NODE_KEY_LEN);
	memcpy(key, &person, sizeof(person));
}

static void put_one(uint32_t number)
{
	static struct judged_post judged;
	uint8_t author[NODE_KEY_LEN], logical_id[POST_LOGICAL_ID_LEN] = {0}, body[3 * BODY_LEN];
	struct post_put put = {
		.parts = {body, body + BODY_LEN, body + 2 * BODY_LEN, BODY_LEN, BODY_LEN, BODY_LEN},
		.judged = &judged,
		.share = POST_WANTED,
		.marks = number % UNREAD_ONE ? POST_READ : 0,
		.done = on_durable};
	int err;

	memset(body, 'a', sizeof(body));
	memcpy(logical_id, &number, sizeof(number));
	author_write(number, author);
	blake3_hash(&number, sizeof(number), judged.id);
	judged.post.author = author;
	judged.post.time_ms = 1700000000000 + (uint64_t)number * 1000;
	judged.claim.logical_id = logical_id;
	while ((err = social_posts_put(posts, &put, now_ns)) == WEFT_EBUSY)
		turn();
	if (err < 0)
		die("a post is refused");
	if (number % 64 == 0)
		turn();
}

static void puts_run(void)
{
	uint64_t began_ns = clock_monotonic_ns();

	for (uint32_t i = 0; i < post_cnt; i++)
		put_one(i);
	while (durable_cnt < post_cnt)
		turn();
	printf("put       %u posts, durable: %.0f a second\n", post_cnt,
	       post_cnt / ((double)(clock_monotonic_ns() - began_ns) / 1e9));
}

static void start_run(void)
{
	uint64_t before_len, began_ns;

	close_posts();
	before_len = own_memory_len();
	began_ns = own_core_ns();
	open_posts();
	printf("start     %u posts: %.2f s, %.0f bytes of memory a post\n", post_cnt,
	       core_seconds(began_ns), (double)(own_memory_len() - before_len) / post_cnt);
}

/* --- pages --- */

static unsigned given_cnt;
static bool on_view(void *arg, const struct post_view *view)
{
	(void)arg, (void)view;
	return ++given_cnt < PAGE_LEN;
}

static int order(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return left < right ? -1 : left > right;
}

enum page_kind { PAGE_ANY, PAGE_UNREAD, PAGE_AUTHOR };

static void pages_run(enum page_kind kind, const char *name)
{
	static uint64_t took[PAGES];
	uint64_t post_total = 0;

	for (unsigned i = 0; i < PAGES; i++) {
		uint32_t number = (uint32_t)random_below(&dice, post_cnt);
		struct post_cursor from = {.time_ms = 1700000000000 + (uint64_t)number * 1000},
				   next;
		struct post_walk ask = {.from = &from};
		uint8_t author[NODE_KEY_LEN];
		uint64_t began_ns;

		author_write(number, author);
		if (kind == PAGE_UNREAD)
			ask.flags_none = POST_READ;
		if (kind == PAGE_AUTHOR)
			ask.author = author;
		given_cnt = 0;
		began_ns = own_core_ns();
		if (social_posts_walk(posts, &ask, on_view, NULL, &next) < 0)
			die("a page cannot be read");
		took[i] = own_core_ns() - began_ns;
		post_total += given_cnt;
	}
	qsort(took, PAGES, sizeof(took[0]), order);
	printf("page      %-7s p50 %.0f us, p99 %.0f us, most %.0f us; %.1f posts\n", name,
	       (double)took[PAGES / 2] / 1e3, (double)took[PAGES * 99 / 100] / 1e3,
	       (double)took[PAGES - 1] / 1e3, (double)post_total / PAGES);
}

/* --- seals and signatures --- */

static struct node_key *people[READERS + 1];
static struct visibility visibility;

static void judge_run(void)
{
	static uint8_t bytes[3][8192];
	struct writer w[3];
	uint8_t id[POST_ID_LEN], logical_id[POST_LOGICAL_ID_LEN] = {1};
	char text[TEXT_LEN];
	struct post post = {.author = node_key_public(people[0]),
			    .time_ms = 1800000000000,
			    .content = text,
			    .content_len = sizeof(text)};
	struct post_parts parts;
	struct judged_post *judged;
	uint64_t began_ns;

	memset(text, 'a', sizeof(text));
	for (unsigned i = 0; i < 3; i++)
		w[i] = writer_of(bytes[i], sizeof(bytes[i]));
	social_post_write(&w[0], &post);
	social_post_id(bytes[0], writer_len(&w[0]), id);
	social_claim_write(&w[1], &(struct post_claim){id, logical_id, NULL, NULL}, people[0]);
	visibility.post = id;
	social_visibility_write(&w[2], &visibility, people[0]);
	parts = (struct post_parts){bytes[0],	       bytes[1],	  bytes[2],
				    writer_len(&w[0]), writer_len(&w[1]), writer_len(&w[2])};
	began_ns = own_core_ns();
	for (unsigned i = 0; i < SEALS; i++) {
		if (social_post_judge(&parts, &judged) < 0)
			die("a post is none");
		social_judged_free(judged);
	}
	printf("judge     %.0f posts a second\n", SEALS / core_seconds(began_ns));
}

static void seals_run(void)
{
	static char sealed[4 * TEXT_LEN], text[TEXT_LEN];
	static uint8_t wraps[READERS][CONTENT_KEY_WRAPPED_LEN], opened[TEXT_LEN];
	uint8_t key[CONTENT_KEY_LEN] = {1}, nonce[CONTENT_NONCE_LEN] = {2}, found[CONTENT_KEY_LEN];
	struct content_wrap wrap = {.author = node_key_public(people[0]), .post_nonce = nonce};
	uint64_t began_ns = own_core_ns();
	unsigned cnt = SEALS / 20;

	for (unsigned i = 0; i < cnt; i++) {
		if (social_content_seal(key, nonce, text, sizeof(text), sealed) < 0)
			die("a text is not sealed");
		for (unsigned reader = 0; reader < READERS; reader++) {
			wrap.reader = node_key_public(people[reader + 1]);
			if (social_key_wrap(&wrap, people[0], key, nonce, wraps[reader]) < 0)
				die("a key is not wrapped");
		}
	}
	printf("seal      %.0f posts a second, to %u readers each\n", cnt / core_seconds(began_ns),
	       READERS);
	began_ns = own_core_ns();
	wrap.reader = node_key_public(people[1]);
	for (unsigned i = 0; i < SEALS; i++) {
		struct writer w = writer_of(opened, sizeof(opened));

		if (social_key_unwrap(&wrap, people[1], wraps[0], found) < 0 ||
		    social_content_open(found, sealed, strlen(sealed), &w) < 0)
			die("a post does not open");
	}
	printf("open      %.0f posts a second\n", SEALS / core_seconds(began_ns));
}

int main(void)
{
	const char *count = getenv("POSTS");

	if (count)
		post_cnt = (uint32_t)strtoul(count, NULL, 0);
	if (post_cnt < 1000)
		die("POSTS is at least 1000");
	random_init_seeded(&dice, 1);
	timer_wheel_init(&timers, now_ns);
	ground = (struct social_ground){.timers = &timers, .random = &dice, .wall_ms = on_wall_ms};
	for (unsigned i = 0; i <= READERS; i++) {
		uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)i, 3};

		if (node_key_from_seed(seed, &people[i]) < 0)
			die("no key");
	}
	scratch_make(dir);
	open_posts();
	puts_run();
	start_run();
	pages_run(PAGE_ANY, "any");
	pages_run(PAGE_UNREAD, "unread");
	pages_run(PAGE_AUTHOR, "author");
	close_posts();
	scratch_remove(dir);
	judge_run();
	seals_run();
	for (unsigned i = 0; i <= READERS; i++)
		node_key_free(people[i]);
	return 0;
}
