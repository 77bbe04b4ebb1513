/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store of service offers against SQLite over the same ones. Measured are finds by each kind of
 * filter, the memory of an offer, and how many offers become durable in a second.
 *
 * Offers are made up by the schema of homes to let. weft's side does all that a node does. A find
 * is planned and run. The messages of a page of twenty are read from the database and checked.
 *
 * SQLite's side has a table with a column for each filter and the message, and an index on each
 * column. Words have a table of their own. It has its statistics (ANALYZE), prepared statements,
 * and its file mapped into memory. Both find the newest first, and every page is compared.
 *
 * Times of finds are CPU time of the one thread that does it all, with all files in the page
 * cache. Durable puts are measured by the wall clock. SQLite writes ahead (WAL) and syncs each
 * transaction (synchronous=FULL). One has one offer, or all of the window in which weft collects.
 *
 *	OFFERS=100000,1000000 QUERIES=1000 make bench B=offers
 */
#include <poll.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "offers/store/offer_index.h"
#include "offers/store/offer_store.h"
#include "store/store.h"
#include "support/made_offers.h"
#include "support/own_use.h"
#include "support/schema_file.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

#define PAGE 20u
#define PUTS 20000u

static struct schema *schema;
static struct store *store;
static struct offer_store *offers;
static struct random dice;
static char dir[SCRATCH_CAP];
static sqlite3 *db;
static size_t query_cnt = 1000;

static void die(const char *what)
{
	fprintf(stderr, "bench/offers: %s\n", what);
	exit(1);
}

/* --- ours --- */

static void ours_open(uint32_t unit_cap)
{
	struct offer_store_params params = {.random = &dice, .unit_cap = unit_cap};

	random_init_system(&dice);
	store = params.store = scratch_store(dir, false);
	if (offers_store_open(&params, &offers) < 0 || offers_store_add(offers, schema) < 0 ||
	    offers_store_load(offers, MADE_NOON_S, clock_monotonic_ns()) < 0)
		die("the store does not open");
}

static void ours_close(void)
{
	offers_store_close(offers);
	store_close(store);
}

static uint32_t durable_cnt;

static void note_done(void *arg, int err)
{
	(void)arg;
	if (err < 0)
		die("a put fails");
	durable_cnt++;
}

static void ours_turn(bool waits)
{
	struct pollfd wake = {.fd = store_fd(store), .events = POLLIN};

	(void)offers_store_expire(offers, MADE_NOON_S, clock_monotonic_ns());
	(void)poll(&wake, 1, waits ? 1 : 0);
	(void)store_reap(store);
}

/* Waits where a put has to: the disk bounds what is on its way. */
static void ours_put(const struct made_message *message)
{
	struct addr source = {.ip = {20, message->key[1], message->key[0], 1}, .family = ADDR_IPV4};
	struct offer_put put = {.bytes = message->bytes,
				.len = message->len,
				.msg = &message->msg,
				.terms = &message->terms,
				.source = &source,
				.now_s = MADE_NOON_S,
				.done = note_done};
	enum offer_verdict verdict;

	for (;;) {
		put.now_ns = clock_monotonic_ns();
		verdict = offers_store_put(offers, &put, NULL);
		if (verdict == OFFER_STORED)
			return;
		if (verdict != OFFER_LAGS)
			die("an offer is refused");
		ours_turn(true);
	}
}

/* --- SQLite --- */

static void sql_run(const char *text)
{
	char *err = NULL;

	if (sqlite3_exec(db, text, NULL, NULL, &err) != SQLITE_OK)
		die(err ? err : "SQLite");
}

static sqlite3_stmt *sql_prepare(const char *text)
{
	sqlite3_stmt *made = NULL;

	if (sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, &made, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(db));
	return made;
}

static sqlite3_stmt *insert_offer, *insert_word;

static void sql_open(void)
{
	char path[SCRATCH_CAP + 32];

	if (sqlite3_open(scratch_path(path, sizeof(path), dir, "offers.db"), &db) != SQLITE_OK)
		die("SQLite does not open");
	sql_run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA locking_mode=EXCLUSIVE;"
		"PRAGMA mmap_size=8589934592; PRAGMA cache_size=-1048576; PRAGMA temp_store=MEMORY;"
		"CREATE TABLE offers(id INTEGER PRIMARY KEY, name BLOB, kind INT, size INT, rent "
		"INT,"
		" from_s INT, postcode TEXT, rooms INT, stay INT, furnished INT, pets INT,"
		" expires INT, message BLOB);"
		"CREATE UNIQUE INDEX by_name ON offers(name);"
		"CREATE INDEX by_kind ON offers(kind); CREATE INDEX by_size ON offers(size);"
		"CREATE INDEX by_rent ON offers(rent); CREATE INDEX by_from ON offers(from_s);"
		"CREATE INDEX by_postcode ON offers(postcode);"
		"CREATE INDEX by_rooms ON offers(rooms); CREATE INDEX by_stay ON offers(stay);"
		"CREATE INDEX by_furnished ON offers(furnished);"
		"CREATE INDEX by_pets ON offers(pets); CREATE INDEX by_expires ON offers(expires);"
		"CREATE TABLE words(word TEXT, id INT, PRIMARY KEY(word, id)) WITHOUT ROWID;");
	insert_offer = sql_prepare("INSERT INTO offers VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)");
	insert_word = sql_prepare("INSERT INTO words VALUES(?,?)");
}

static void sql_close(void)
{
	sqlite3_finalize(insert_offer);
	sqlite3_finalize(insert_word);
	sqlite3_close(db);
}

static void sql_put(uint32_t id, const struct made_offer *made, const struct made_message *message)
{
	uint8_t name[SERVICE_MESSAGE_ADDRESS_LEN + OFFER_ID_LEN];
	const int64_t numbers[] = {made->kind, made->size, made->rent, (int64_t)made->from_s};
	const int64_t more[] = {made->rooms, made->stay, made->is_furnished, made->has_pets,
				(int64_t)MADE_NOON_S + 720 * 3600};

	memcpy(name, message->address, SERVICE_MESSAGE_ADDRESS_LEN);
	memcpy(name + SERVICE_MESSAGE_ADDRESS_LEN, message->terms.offer_id, OFFER_ID_LEN);
	sqlite3_bind_int64(insert_offer, 1, id);
	sqlite3_bind_blob(insert_offer, 2, name, sizeof(name), SQLITE_STATIC);
	for (int i = 0; i < 4; i++)
		sqlite3_bind_int64(insert_offer, 3 + i, numbers[i]);
	sqlite3_bind_text(insert_offer, 7, made->postcode, -1, SQLITE_STATIC);
	for (int i = 0; i < 5; i++)
		sqlite3_bind_int64(insert_offer, 8 + i, more[i]);
	sqlite3_bind_blob(insert_offer, 13, message->bytes, (int)message->len, SQLITE_STATIC);
	if (sqlite3_step(insert_offer) != SQLITE_DONE)
		die(sqlite3_errmsg(db));
	sqlite3_reset(insert_offer);
	for (unsigned i = 0; i < MADE_WORDS; i++) {
		if (!(made->word_mask & 1u << i))
			continue;
		sqlite3_bind_text(insert_word, 1, made_words[i], -1, SQLITE_STATIC);
		sqlite3_bind_int64(insert_word, 2, id);
		if (sqlite3_step(insert_word) != SQLITE_DONE)
			die(sqlite3_errmsg(db));
		sqlite3_reset(insert_word);
	}
}

/* --- finds --- */

/* What a find asks; a filter is asked for if its bit is set. */
enum {
	BY_KIND = 1,
	BY_RENT = 2,
	BY_SIZE = 4,
	BY_POSTCODE = 8,
	BY_FROM = 16,
	BY_WORD = 32,
	BY_PETS = 64,
	BY_FURNISHED = 128,
};
struct asked {
	unsigned filters, kind, rent, size, word, other_word;
	uint64_t from_s;
	char postcode[6];
};

/* The newest that were found. */
struct found {
	uint64_t orders[PAGE];
	unsigned cnt;
	uint64_t byte_sum, visit_cnt;
};

static bool found_note(void *arg, const struct offer_view *view)
{
	struct found *found = arg;

	found->orders[found->cnt++] = view->order;
	found->byte_sum += view->announce[view->announce_len - 1];
	return true;
}

static void find_ours(const struct asked *asked, struct found *out)
{
	static const char *const kinds[] = {"shared-flat", "apartment", "house"};
	static struct schema_query query;
	static struct schema_item from;
	char text[10][64];
	struct schema_fault fault;
	struct offer_search search = {.schema = schema,
				      .query = &query,
				      .before = OFFER_NEWEST,
				      .page_max = PAGE,
				      .now_s = MADE_NOON_S,
				      .fn = found_note,
				      .arg = out};
	struct offer_search_result result;
	unsigned cnt = 0;

	offers_schema_query_init(&query);
#define FILTER(bit, ...)                                                                           \
	do {                                                                                       \
		if (!(asked->filters & (bit)))                                                     \
			break;                                                                     \
		snprintf(text[cnt], sizeof(text[cnt]), __VA_ARGS__);                               \
		if (offers_schema_query_from_text(schema, text[cnt++], &query, &fault) < 0)        \
			die(fault.what);                                                           \
	} while (0)
	FILTER(BY_KIND, "room_type=%s", kinds[asked->kind - 1]);
	FILTER(BY_RENT, "max_rent=%u", asked->rent);
	FILTER(BY_SIZE, "min_size=%u", asked->size);
	FILTER(BY_POSTCODE, "plz_prefix=%s", asked->postcode);
	FILTER(BY_WORD, "amenities=%s,%s", made_words[asked->word], made_words[asked->other_word]);
	FILTER(BY_PETS, "pets=yes");
	FILTER(BY_FURNISHED, "furnished=yes");
#undef FILTER
	if (asked->filters & BY_FROM) {
		int at = offers_schema_filter_named(schema, "available_before",
						    strlen("available_before"));

		from.number = (int64_t)asked->from_s;
		query.values[at] = (struct schema_value){SCHEMA_PRESENT, 1, &from};
	}
	out->cnt = 0;
	/* A page may be short where a call has done its part; the next one goes on. */
	do {
		search.page_max = PAGE - out->cnt;
		if (offers_store_search(offers, &search, &result) < 0)
			die("a search fails");
		search.before = result.next;
		out->visit_cnt += result.visit_cnt;
	} while (result.next && out->cnt < PAGE);
}

static sqlite3_stmt *find_prepare(unsigned filters)
{
	char text[1024];

	snprintf(text, sizeof(text),
		 "SELECT o.id, o.message FROM %soffers o%s%s%s%s%s%s%s%s "
		 "ORDER BY %s DESC LIMIT 20",
		 filters & BY_WORD ? "words a CROSS JOIN " : "",
		 filters & BY_WORD
			 ? " ON o.id=a.id WHERE a.word=?1 AND EXISTS(SELECT 1 FROM words b"
			   " WHERE b.word=?2 AND b.id=a.id)"
			 : " WHERE expires>?3",
		 filters & BY_KIND ? " AND kind=?4" : "", filters & BY_RENT ? " AND rent<=?5" : "",
		 filters & BY_SIZE ? " AND size>=?6" : "",
		 filters & BY_POSTCODE ? " AND postcode>=?7 AND postcode<?8" : "",
		 filters & BY_FROM ? " AND from_s<=?9" : "", filters & BY_PETS ? " AND pets=1" : "",
		 filters & BY_FURNISHED ? " AND furnished=1" : "",
		 filters & BY_WORD ? "a.id" : "o.id");
	return sql_prepare(text);
}

static void find_sqlite(sqlite3_stmt *find, const struct asked *asked, struct found *out)
{
	char end[8];

	snprintf(end, sizeof(end), "%s:", asked->postcode);
	sqlite3_bind_text(find, 1, made_words[asked->word], -1, SQLITE_STATIC);
	sqlite3_bind_text(find, 2, made_words[asked->other_word], -1, SQLITE_STATIC);
	sqlite3_bind_int64(find, 3, (int64_t)MADE_NOON_S);
	sqlite3_bind_int64(find, 4, asked->kind);
	sqlite3_bind_int64(find, 5, asked->rent);
	sqlite3_bind_int64(find, 6, asked->size);
	sqlite3_bind_text(find, 7, asked->postcode, -1, SQLITE_STATIC);
	sqlite3_bind_text(find, 8, end, -1, SQLITE_STATIC);
	sqlite3_bind_int64(find, 9, (int64_t)asked->from_s);
	out->cnt = 0;
	while (sqlite3_step(find) == SQLITE_ROW) {
		const uint8_t *bytes = sqlite3_column_blob(find, 1);

		out->orders[out->cnt++] = (uint64_t)sqlite3_column_int64(find, 0);
		out->byte_sum += bytes[sqlite3_column_bytes(find, 1) - 1];
	}
	sqlite3_reset(find);
}

static const struct kind {
	const char *name;
	unsigned filters, rent_max, postcode_len;
} kinds[] = {
	{"everything", 0, 0, 0},
	{"equal: one of three", BY_KIND, 0, 0},
	{"at most: a rent of 1 %", BY_RENT, 180, 0},
	{"at least: a size of 5 %", BY_SIZE, 0, 0},
	{"prefix: three digits", BY_POSTCODE, 0, 3},
	{"time: within ten days", BY_FROM, 0, 0},
	{"flags: furnished, pets", BY_PETS | BY_FURNISHED, 0, 0},
	{"words: both of two", BY_WORD, 0, 0},
	{"rent and size, few", BY_RENT | BY_SIZE, 1500, 0},
	{"rent and size, none", BY_RENT | BY_SIZE, 200, 0},
	{"all five", BY_KIND | BY_RENT | BY_SIZE | BY_POSTCODE | BY_FROM, 1200, 2},
	{"all eight", 255, 1200, 1},
};

static void asked_make(const struct kind *kind, struct asked *out)
{
	*out = (struct asked){.filters = kind->filters,
			      .kind = 1 + (unsigned)random_below(&dice, 3),
			      .rent = kind->rent_max - (unsigned)random_below(&dice, 20),
			      .size = 150 + (unsigned)random_below(&dice, 20),
			      .word = (unsigned)random_below(&dice, MADE_WORDS),
			      .from_s = MADE_NOON_S + random_below(&dice, 10) * 86400};
	if (kind->filters & BY_KIND)
		out->size = 30 + (unsigned)random_below(&dice, 60);
	if (kind->filters == (BY_KIND | BY_RENT | BY_SIZE | BY_POSTCODE | BY_FROM) ||
	    kind->filters == 255)
		out->from_s = MADE_NOON_S + (60 + random_below(&dice, 60)) * 86400;
	do
		out->other_word = (unsigned)random_below(&dice, MADE_WORDS);
	while (out->other_word == out->word);
	snprintf(out->postcode, sizeof(out->postcode), "%05u",
		 (unsigned)(random_below(&dice, 99) * 1000 + random_below(&dice, 60)));
	out->postcode[kind->postcode_len] = '\0';
}

static int by_number(const void *a_arg, const void *b_arg)
{
	double a = *(const double *)a_arg, b = *(const double *)b_arg;

	return (a > b) - (a < b);
}

static void kind_run(const struct kind *kind)
{
	double *ours = calloc(query_cnt, sizeof(*ours)),
	       *theirs = calloc(query_cnt, sizeof(*theirs));
	sqlite3_stmt *find = find_prepare(kind->filters);
	static struct found a, b;
	uint64_t hit_cnt = 0;
	struct asked asked;

	random_init_seeded(&dice, 5);
	a.visit_cnt = 0;
	for (size_t i = 0; i < query_cnt + query_cnt / 10; i++) {
		size_t at = i < query_cnt ? i : i - query_cnt; /* a tenth is asked again, warm */
		uint64_t began_ns;

		asked_make(kind, &asked);
		began_ns = clock_thread_ns();
		find_ours(&asked, &a);
		ours[at] = (double)(clock_thread_ns() - began_ns) / 1000;
		began_ns = clock_thread_ns();
		find_sqlite(find, &asked, &b);
		theirs[at] = (double)(clock_thread_ns() - began_ns) / 1000;
		if (a.cnt != b.cnt || memcmp(a.orders, b.orders, a.cnt * sizeof(a.orders[0])) != 0)
			die("the two find different offers");
		hit_cnt += a.cnt;
	}
	sqlite3_finalize(find);
	qsort(ours, query_cnt, sizeof(*ours), by_number);
	qsort(theirs, query_cnt, sizeof(*theirs), by_number);
	printf("%-24s %5.1f %8.0f %10.1f %10.1f %12.1f %12.1f %8.1f %8.1f\n", kind->name,
	       (double)hit_cnt / (double)(query_cnt + query_cnt / 10),
	       (double)a.visit_cnt / (double)(query_cnt + query_cnt / 10), ours[query_cnt / 2],
	       ours[query_cnt * 99 / 100], theirs[query_cnt / 2], theirs[query_cnt * 99 / 100],
	       theirs[query_cnt / 2] / ours[query_cnt / 2],
	       theirs[query_cnt * 99 / 100] / ours[query_cnt * 99 / 100]);
	fflush(stdout);
	free(ours);
	free(theirs);
}

static struct made_message message;

static void finds_run(uint32_t cnt)
{
	uint64_t byte_cnt = 0, began_ns;
	size_t before_len;
	const char *filter = getenv("FILTER");
	struct made_offer made;

	scratch_make(dir);
	ours_open(cnt + cnt / 16 + 64);
	sql_open();
	sql_run("BEGIN");
	for (uint32_t i = 0; i < cnt; i++) {
		made_offer(i, &made);
		made_message(schema, i, &made, &message);
		byte_cnt += message.len;
		ours_put(&message);
		sql_put(i + 1, &made, &message);
		if (i % 256 == 0)
			ours_turn(false);
	}
	sql_run("COMMIT; ANALYZE");
	ours_close();
	before_len = own_memory_len();
	began_ns = clock_monotonic_ns();
	ours_open(cnt + cnt / 16 + 64);
	printf("%u offers of %.0f bytes: started in %.2f s, %.0f bytes of memory each (%.2f x)\n\n",
	       cnt, (double)byte_cnt / cnt, (double)(clock_monotonic_ns() - began_ns) / 1e9,
	       (double)(own_memory_len() - before_len) / cnt,
	       (double)(own_memory_len() - before_len) / (double)byte_cnt);
	printf("%-24s %5s %8s %10s %10s %12s %12s %8s %8s\n", "filter", "found", "looked at",
	       "weft p50", "p99 us", "SQLite p50", "p99 us", "x p50", "x p99");
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!filter || strstr(kinds[i].name, filter))
			kind_run(&kinds[i]);
	printf("\n");
	sql_close();
	ours_close();
	scratch_remove(dir);
}

/* --- durable puts --- */

static struct made_offer *ready;
static uint8_t *ready_bytes;
static size_t *ready_at;

/* Messages are made before, and are read as they come. */
static void puts_make(void)
{
	ready = calloc(PUTS, sizeof(*ready));
	ready_at = calloc(PUTS + 1, sizeof(*ready_at));
	ready_bytes = malloc((size_t)PUTS * sizeof(message.bytes));
	for (uint32_t i = 0; i < PUTS; i++) {
		made_offer(i, &ready[i]);
		made_message(schema, i, &ready[i], &message);
		memcpy(ready_bytes + ready_at[i], message.bytes, message.len);
		ready_at[i + 1] = ready_at[i] + message.len;
	}
}

static void puts_read(uint32_t at)
{
	message.len = ready_at[at + 1] - ready_at[at];
	memcpy(message.bytes, ready_bytes + ready_at[at], message.len);
	if (offers_message_parse(message.bytes, message.len, &message.msg) < 0 ||
	    offer_terms_read(&message.msg, &message.terms) < 0)
		die("a message is not read");
	memcpy(message.address, message.msg.provider, sizeof(message.address));
	memcpy(message.key, message.terms.provider_key, sizeof(message.key));
}

/* All of one window make a transaction; 0: each its own. */
static double sqlite_rate(uint32_t cnt, uint64_t window_ns)
{
	uint64_t began_ns = clock_monotonic_ns(), opened_ns = 0;

	for (uint32_t i = 0; i < cnt; i++) {
		puts_read(i);
		if (window_ns && !opened_ns) {
			opened_ns = clock_monotonic_ns();
			sql_run("BEGIN");
		} else if (!window_ns) {
			sql_run("BEGIN");
		}
		sql_put(i + 1, &ready[i], &message);
		if (clock_monotonic_ns() - opened_ns >= window_ns || i + 1 == cnt) {
			sql_run("COMMIT");
			opened_ns = 0;
		}
	}
	return cnt / ((double)(clock_monotonic_ns() - began_ns) / 1e9);
}

static double ours_rate(uint32_t cnt)
{
	uint64_t began_ns = clock_monotonic_ns();

	durable_cnt = 0;
	for (uint32_t i = 0; i < cnt; i++) {
		puts_read(i);
		ours_put(&message);
		if (i % 16 == 0)
			ours_turn(false);
	}
	while (durable_cnt < cnt)
		ours_turn(true);
	return cnt / ((double)(clock_monotonic_ns() - began_ns) / 1e9);
}

static void puts_run(void)
{
	double ours, each, grouped;

	puts_make();
	scratch_make(dir);
	ours_open(2 * PUTS);
	ours = ours_rate(PUTS);
	ours_close();
	scratch_remove(dir);
	scratch_make(dir);
	sql_open();
	each = sqlite_rate(PUTS / 10, 0);
	sql_close();
	scratch_remove(dir);
	scratch_make(dir);
	sql_open();
	grouped = sqlite_rate(PUTS, OFFER_KEEP_WINDOW_NS);
	sql_close();
	scratch_remove(dir);
	printf("durable offers a second: weft %.0f; SQLite %.0f, one a transaction (%.1f x), and "
	       "%.0f, as many as 5 ms bring (%.1f x)\n",
	       ours, each, ours / each, grouped, ours / grouped);
	free(ready);
	free(ready_bytes);
	free(ready_at);
}

int main(void)
{
	const char *counts = getenv("OFFERS"), *queries = getenv("QUERIES");
	char copy[100], *rest = copy;

	snprintf(copy, sizeof(copy), "%s", counts ? counts : "100000,1000000");
	if (queries)
		query_cnt = strtoull(queries, NULL, 0);
	if (query_cnt < 10)
		die("QUERIES is at least 10");
	schema = schema_file_open("housing");
	for (char *count; (count = strsep(&rest, ","));)
		if (strtoul(count, NULL, 0) > 0) /* 0: durable puts alone */
			finds_run((uint32_t)strtoul(count, NULL, 0));
	puts_run();
	offers_schema_free(schema);
	return 0;
}
