/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Search in a million items against SQLite's FTS5 over the same ones: the time to make the
 * index, its size, and the time of queries.
 *
 * weft's side does all that a node does. Manifests are read from the store, verified and
 * parsed, the index is committed. A query is parsed, run, and its first twenty hits are
 * read. SQLite gets the texts from memory and neither journals nor syncs. Its tables:
 *
 * 	rows	fts5(name, folder, tags), which keeps the texts: a hit can be shown
 * 	index	the same with content='': hits are numbers, whose texts are elsewhere
 * 	inside	fts5(name) with the trigram tokenizer and content='', for substrings
 *
 * Times are CPU time of the one thread that does it all, with all files in the page cache.
 * Other load of the machine is not in them.
 *
 * SQLite's queries are for the first twenty by rank. Ours also say how many there are,
 * and find the words within words in the same pass.
 *
 * 	ITEMS=1000000 QUERIES=1000 make bench B=search
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/monotonic.h"
#include "support/made_items.h"
#include "unit/search/search_rig.h"

#define PART_ITEMS 2500u
#define HITS	   20u

static struct made_items made;
static size_t query_cnt = 1000;
static char (*queries)[MADE_QUERY_CAP], (*insides)[MADE_QUERY_CAP];
static char dir[SCRATCH_CAP];

static void die(const char *what)
{
	fprintf(stderr, "bench/search: %s\n", what);
	exit(1);
}

static double seconds_since(uint64_t began_ns)
{
	return (double)(clock_thread_ns() - began_ns) / 1e9;
}

static int by_number(const void *a_arg, const void *b_arg)
{
	const double *a = a_arg, *b = b_arg;

	return (*a > *b) - (*a < *b);
}

struct figures {
	double p50, p99, mean; /* ms */
	uint64_t hit_cnt;
};

static struct figures figures_of(double *took_ms, size_t cnt, uint64_t hit_cnt)
{
	struct figures f = {.hit_cnt = hit_cnt};

	qsort(took_ms, cnt, sizeof(*took_ms), by_number);
	f.p50 = took_ms[cnt / 2];
	f.p99 = took_ms[cnt * 99 / 100];
	for (size_t i = 0; i < cnt; i++)
		f.mean += took_ms[i] / (double)cnt;
	return f;
}

typedef uint64_t (*ask_fn)(void *arg, const char *text);

static struct figures run_queries(char (*texts)[MADE_QUERY_CAP], size_t cnt, ask_fn ask, void *arg)
{
	double *took_ms = calloc(cnt, sizeof(*took_ms));
	struct figures figures;
	uint64_t hit_cnt = 0;

	/* A tenth to warm up. */
	for (size_t i = 0; i < cnt / 10; i++)
		(void)ask(arg, texts[i]);
	for (size_t i = 0; i < cnt; i++) {
		uint64_t began_ns = clock_thread_ns();

		hit_cnt += ask(arg, texts[i]);
		took_ms[i] = (double)(clock_thread_ns() - began_ns) / 1e6;
	}
	figures = figures_of(took_ms, cnt, hit_cnt);
	free(took_ms);
	return figures;
}

static void print_row(const char *name, double index_s, uint64_t index_len,
		      const struct figures *words, const struct figures *inside)
{
	printf("%-14s %8.2f %9.1f", name, index_s, (double)index_len / (1 << 20));
	if (words)
		printf(" %9.3f %9.3f %9.3f %8llu", words->p50, words->p99, words->mean,
		       (unsigned long long)words->hit_cnt);
	else
		printf(" %9s %9s %9s %8s", "-", "-", "-", "-");
	if (inside)
		printf(" %9.3f %9.3f %8llu", inside->p50, inside->p99,
		       (unsigned long long)inside->hit_cnt);
	printf("\n");
	fflush(stdout);
}

/* --- ours --- */

static struct search_rig rig;

static void part_keep(struct manifest_builder *builder, struct manifest_builder *root)
{
	struct manifest_part part = {.item_cnt = blobs_manifest_builder_item_cnt(builder),
				     .byte_cnt = blobs_manifest_builder_byte_cnt(builder)};
	uint8_t id[32];
	size_t len;
	const uint8_t *bytes = blobs_manifest_builder_encode(builder, MANIFEST_PART, 0, "", &len);

	part.len = len;
	part.manifest_id = id;
	search_rig_keep(&rig, bytes, len, id);
	if (blobs_manifest_builder_add_part(root, &part) < 0)
		die("a manifest is not kept");
	blobs_manifest_builder_reset(builder);
}

static void share_keep(uint8_t manifest_id[static 32])
{
	struct manifest_builder *builder, *root;
	const uint8_t *bytes;
	size_t len;

	if (blobs_manifest_builder_new(&builder) < 0 || blobs_manifest_builder_new(&root) < 0)
		die("no memory");
	for (size_t i = 0; i < made.cnt; i++) {
		const struct made_item *item = &made.items[i];
		struct manifest_tag tags[MADE_TAGS_MAX];
		struct manifest_item added = {.content_id = item->content_id,
					      .size = item->size,
					      .path = item->path,
					      .path_len = strlen(item->path)};

		while (added.tag_cnt < MADE_TAGS_MAX && item->tags[added.tag_cnt]) {
			const char *tag = item->tags[added.tag_cnt];

			tags[added.tag_cnt++] = (struct manifest_tag){tag, strlen(tag)};
		}
		added.tags = added.tag_cnt ? tags : NULL;
		if (blobs_manifest_builder_add_item(builder, &added) < 0)
			die("an item is refused");
		if (blobs_manifest_builder_item_cnt(builder) == PART_ITEMS || i + 1 == made.cnt)
			part_keep(builder, root);
	}
	bytes = blobs_manifest_builder_encode(root, MANIFEST_ROOT, 5, "Made up", &len);
	search_rig_keep(&rig, bytes, len, manifest_id);
	if (search_rig_commit(&rig) < 0)
		die("a manifest is not kept");
	blobs_manifest_builder_free(builder);
	blobs_manifest_builder_free(root);
}

static void hits_count(void *arg, const struct search_result *result)
{
	*(uint64_t *)arg = result->hit_cnt;
}

static uint64_t ask_ours(void *arg, const char *text)
{
	uint64_t hit_cnt = UINT64_MAX;
	struct search_ask ask = {.text = text,
				 .text_len = strcspn(text, "*"),
				 .tiers = SEARCH_RIG_TIERS,
				 .page_len = HITS,
				 .done = hits_count,
				 .arg = &hit_cnt};
	struct search_run *run;

	(void)arg;
	if (search_query(rig.search, &ask, &run) < 0)
		die("a query is refused");
	(void)jobs_reap(rig.jobs);
	if (hit_cnt == UINT64_MAX)
		die("a query was not answered");
	return hit_cnt;
}

static void measure_ours(void)
{
	struct figures words, inside;
	struct search_stats stats;
	uint8_t manifest_id[32];
	uint64_t began_ns;
	struct rusage usage;
	double index_s;
	long before_kib;

	if (!search_rig_begin(&rig))
		die("no search");
	share_keep(manifest_id);
	getrusage(RUSAGE_SELF, &usage);
	before_kib = usage.ru_maxrss;
	began_ns = clock_thread_ns();
	if (search_rig_put(&rig, 1, SEARCH_NORMAL, 100, manifest_id) < 0)
		die("the share is refused");
	while (!rig.events[SEARCH_SHARE_READY])
		search_rig_turn(&rig);
	index_s = seconds_since(began_ns);
	getrusage(RUSAGE_SELF, &usage);
	search_stats(rig.search, &stats);
	words = run_queries(queries, query_cnt, ask_ours, NULL);
	inside = run_queries(insides, query_cnt, ask_ours, NULL);
	print_row("weft", index_s, stats.index_len, &words, &inside);
	printf("# weft: %llu shards; peak memory while indexing %.0f MiB above what was there\n",
	       (unsigned long long)stats.built_cnt, (double)(usage.ru_maxrss - before_kib) / 1024);
	search_rig_close(&rig);
	began_ns = clock_thread_ns();
	if (search_rig_open(&rig) < 0 ||
	    search_rig_put(&rig, 1, SEARCH_NORMAL, 100, manifest_id) < 0)
		die("the index does not open again");
	while (!rig.events[SEARCH_SHARE_READY])
		search_rig_turn(&rig);
	search_stats(rig.search, &stats);
	printf("# weft: taken up again after a restart in %.3f s, %llu shards verified\n",
	       seconds_since(began_ns), (unsigned long long)stats.reused_cnt);
	search_rig_end(&rig);
}

/* --- SQLite --- */

struct fts {
	sqlite3 *db;
	sqlite3_stmt *ask;
};

static void fts_run(struct fts *fts, const char *sql)
{
	char *message = NULL;

	if (sqlite3_exec(fts->db, sql, NULL, NULL, &message) != SQLITE_OK)
		die(message);
}

static void fts_open(struct fts *fts, const char *name, const char *create, const char *ask)
{
	char path[SCRATCH_CAP + 32];

	if (sqlite3_open(scratch_path(path, sizeof(path), dir, name), &fts->db) != SQLITE_OK)
		die("SQLite does not open");
	fts_run(fts, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
		     "PRAGMA cache_size = -262144; PRAGMA mmap_size = 1073741824;");
	fts_run(fts, create);
	if (sqlite3_prepare_v2(fts->db, ask, -1, &fts->ask, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(fts->db));
}

static uint64_t fts_len(struct fts *fts, const char *name)
{
	char path[SCRATCH_CAP + 32];
	struct stat st;

	(void)fts;
	return stat(scratch_path(path, sizeof(path), dir, name), &st) < 0 ? 0
									  : (uint64_t)st.st_size;
}

static void fts_close(struct fts *fts)
{
	sqlite3_finalize(fts->ask);
	sqlite3_close(fts->db);
}

static void fts_fill(struct fts *fts, const char *insert, bool is_name_only)
{
	sqlite3_stmt *stmt;

	if (sqlite3_prepare_v2(fts->db, insert, -1, &stmt, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(fts->db));
	fts_run(fts, "BEGIN");
	for (size_t i = 0; i < made.cnt; i++) {
		const struct made_item *item = &made.items[i];
		const char *slash = strrchr(item->path, '/');
		char tags[128] = "";

		sqlite3_bind_int64(stmt, 1, (sqlite3_int64)i + 1);
		sqlite3_bind_text(stmt, 2, slash + 1, -1, SQLITE_STATIC);
		if (!is_name_only) {
			for (unsigned k = 0; k < MADE_TAGS_MAX && item->tags[k]; k++) {
				strcat(tags, item->tags[k]);
				strcat(tags, " ");
			}
			sqlite3_bind_text(stmt, 3, item->path, (int)(slash - item->path),
					  SQLITE_STATIC);
			sqlite3_bind_text(stmt, 4, tags, -1, SQLITE_TRANSIENT);
		}
		if (sqlite3_step(stmt) != SQLITE_DONE)
			die(sqlite3_errmsg(fts->db));
		sqlite3_reset(stmt);
	}
	fts_run(fts, "COMMIT");
	sqlite3_finalize(stmt);
}

/* Words in quotes, so that none is an operator; a star stays behind the last. */
static uint64_t ask_fts(void *arg, const char *text)
{
	char match[2 * MADE_QUERY_CAP] = "";
	struct fts *fts = arg;
	uint64_t hit_cnt = 0;

	while (*text) {
		size_t len = strcspn(text, " *"), at = strlen(match);

		snprintf(match + at, sizeof(match) - at, "\"%.*s\"%s ", (int)len, text,
			 text[len] == '*' ? "*" : "");
		text += len + strspn(text + len, " *");
	}
	sqlite3_bind_text(fts->ask, 1, match, -1, SQLITE_STATIC);
	while (sqlite3_step(fts->ask) == SQLITE_ROW)
		hit_cnt += sqlite3_column_bytes(fts->ask, 0) > 0;
	sqlite3_reset(fts->ask);
	return hit_cnt;
}

static void measure_fts(const char *name, const char *create, const char *insert, const char *ask,
			bool is_name_only)
{
	struct figures figures;
	struct fts fts = {0};
	uint64_t began_ns;
	double index_s;

	fts_open(&fts, name, create, ask);
	began_ns = clock_thread_ns();
	fts_fill(&fts, insert, is_name_only);
	index_s = seconds_since(began_ns);
	figures = run_queries(is_name_only ? insides : queries, query_cnt, ask_fts, &fts);
	print_row(name, index_s, fts_len(&fts, name), is_name_only ? NULL : &figures,
		  is_name_only ? &figures : NULL);
	fts_close(&fts);
}

static size_t setting(const char *name, size_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

int main(void)
{
	size_t item_cnt = setting("ITEMS", 1000000);

	query_cnt = setting("QUERIES", query_cnt);
	made_items_new(&made, item_cnt, 7);
	queries = calloc(query_cnt, sizeof(*queries));
	insides = calloc(query_cnt, sizeof(*insides));
	if (!queries || !insides)
		die("no memory");
	for (size_t i = 0; i < query_cnt; i++) {
		made_query(&made, 100 + i, queries[i]);
		made_inside(&made, 100 + i, insides[i]);
	}
	scratch_make(dir);
	printf("# %zu items, %zu queries of words and as many of parts of words; ms\n", made.cnt,
	       query_cnt);
	printf("%-14s %8s %9s %9s %9s %9s %8s %9s %9s %8s\n", "", "index s", "MiB", "p50", "p99",
	       "mean", "hits", "inside50", "inside99", "hits");
	measure_ours();
	measure_fts("fts5 index",
		    "CREATE VIRTUAL TABLE f USING fts5(name, folder, tags, content='')",
		    "INSERT INTO f(rowid, name, folder, tags) VALUES (?, ?, ?, ?)",
		    "SELECT rowid FROM f WHERE f MATCH ? ORDER BY rank LIMIT 20", false);
	measure_fts("fts5 rows", "CREATE VIRTUAL TABLE f USING fts5(name, folder, tags)",
		    "INSERT INTO f(rowid, name, folder, tags) VALUES (?, ?, ?, ?)",
		    "SELECT name, folder FROM f WHERE f MATCH ? ORDER BY rank LIMIT 20", false);
	measure_fts("fts5 inside",
		    "CREATE VIRTUAL TABLE f USING fts5(name, content='', tokenize='trigram')",
		    "INSERT INTO f(rowid, name) VALUES (?, ?)",
		    "SELECT rowid FROM f WHERE f MATCH ? ORDER BY rank LIMIT 20", true);
	scratch_remove(dir);
	return 0;
}
