/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/shared/schema_shares.h"

#include "support/check.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

#define SIZE		    "[field size]\ntype = number\nmin = 1\nmax = 9\n"
#define TEXT(name, version) "[service]\nname = " name "\nversion = " #version "\n" SIZE

static char dir[SCRATCH_CAP];
static struct store *store;
static struct schema_registry *registry;
static struct schema_shares *shares;
static unsigned done_cnt;

static void on_done(void *arg, int err)
{
	(void)arg;
	CHECK_EQ(err, 0);
	done_cnt++;
}

static void open_all(void)
{
	store = scratch_store(dir, true);
	registry = offers_schema_registry_new(NULL, NULL);
	if (!registry || offers_schema_registry_ship(registry) < 0 ||
	    offers_schema_shares_open(store, registry, &shares) < 0)
		abort();
}

static void close_all(void)
{
	store_flush(store);
	offers_schema_shares_close(shares);
	offers_schema_registry_free(registry);
	store_close(store);
}

static void begin(void)
{
	scratch_make(dir);
	open_all();
}

static void end(void)
{
	close_all();
	scratch_remove(dir);
}

static void id_of(unsigned number, uint8_t out_id[static SCHEMA_SHARE_ID_LEN])
{
	memset(out_id, 0, SCHEMA_SHARE_ID_LEN);
	out_id[5] = (uint8_t)number;
}

static int follow(unsigned number)
{
	uint8_t id[SCHEMA_SHARE_ID_LEN];
	const struct schema_share_change change = {.share_id = id, .done = on_done};
	int err;

	id_of(number, id);
	err = offers_schema_shares_follow(shares, &change);
	store_flush(store);
	return err;
}

static int unfollow(unsigned number)
{
	uint8_t id[SCHEMA_SHARE_ID_LEN];
	const struct schema_share_change change = {.share_id = id};
	int err;

	id_of(number, id);
	err = offers_schema_shares_unfollow(shares, &change);
	store_flush(store);
	return err;
}

/* A revision of pairs of names and texts, up to NULL. */
static const struct schema_share *take(unsigned number, const char *const *files)
{
	static uint64_t seq;
	struct schema_file rows[SCHEMA_SHARE_FILES_MAX + 2];
	uint8_t id[SCHEMA_SHARE_ID_LEN];
	struct schema_revision revision = {.share_id = id, .revision = ++seq, .files = rows};

	id_of(number, id);
	for (; files[0]; files += 2) {
		struct schema_file *row = &rows[revision.file_cnt++];

		snprintf(row->name, sizeof(row->name), "%s", files[0]);
		row->text = files[1];
		row->len = files[1] ? strlen(files[1]) : 0;
	}
	offers_schema_shares_take(shares, &revision);
	return offers_schema_shares_lookup(shares, id);
}

static unsigned version_of(const char *name)
{
	const struct schema *schema = offers_schema_registry_named(registry, name);

	return schema ? schema->version : 0;
}

static void test_what_a_revision_has_is_used_and_what_it_lacks_goes(void)
{
	const struct schema_share *share;

	begin();
	CHECK_EQ(follow(1), 0);
	CHECK_EQ(done_cnt, 1);
	share = take(1,
		     (const char *[]){"boats", TEXT("boats", 1), "Sails", TEXT("sails", 1), NULL});
	CHECK_EQ(share->used_cnt, 2);
	CHECK_STR(share->used[1], "sails");
	CHECK_EQ(share->refusal_cnt, 0);
	share = take(1, (const char *[]){"boats", TEXT("boats", 2), NULL});
	CHECK_EQ(share->used_cnt, 1);
	CHECK_EQ(version_of("boats"), 2);
	CHECK_EQ(version_of("sails"), 0);
	/* An earlier version, a damaged file and one that is too long leave what is there. */
	share = take(1, (const char *[]){"boats", TEXT("boats", 1), NULL});
	CHECK_EQ(share->refusal_cnt, 1);
	CHECK(strstr(share->refusals[0].fault.what, "later version"));
	CHECK_EQ(version_of("boats"), 2);
	share = take(1, (const char *[]){"boats", "?", NULL});
	CHECK_EQ(share->refusal_cnt, 1);
	CHECK_EQ(share->refusals[0].fault.line, 1);
	CHECK_EQ(version_of("boats"), 2);
	share = take(1, (const char *[]){"boats", NULL, NULL});
	CHECK_STR(share->refusals[0].name, "boats");
	CHECK(strstr(share->refusals[0].fault.what, "65536"));
	CHECK_EQ(version_of("boats"), 2);
	CHECK_EQ(unfollow(1), 0);
	CHECK_EQ(version_of("boats"), 0);
	CHECK_EQ(unfollow(1), WEFT_EABSENT);
	CHECK(!take(1, (const char *[]){"boats", TEXT("boats", 2), NULL}));
	CHECK_EQ(version_of("boats"), 0);
	end();
}

static void test_a_start_has_what_was_used(void)
{
	begin();
	CHECK_EQ(follow(1), 0);
	CHECK_EQ(follow(2), 0);
	(void)take(1, (const char *[]){"boats", TEXT("boats", 3), "oars", TEXT("oars", 1), NULL});
	(void)take(2, (const char *[]){"boats", TEXT("boats", 4), "sails", TEXT("sails", 1), NULL});
	(void)take(1, (const char *[]){"boats", TEXT("boats", 3), NULL});
	close_all();
	open_all();
	CHECK_EQ(version_of("boats"), 3);
	CHECK_EQ(version_of("sails"), 1);
	CHECK_EQ(version_of("oars"), 0);
	CHECK_EQ(offers_schema_shares_at(shares, 0)->used_cnt, 1);
	CHECK_EQ(offers_schema_shares_at(shares, 1)->used_cnt, 1);
	CHECK_EQ(unfollow(1), 0);
	close_all();
	open_all();
	CHECK_EQ(version_of("boats"), 0);
	CHECK(offers_schema_shares_at(shares, 0));
	CHECK(!offers_schema_shares_at(shares, 1));
	end();
}

static void test_16_shares_are_followed_and_one_more_is_not(void)
{
	begin();
	for (unsigned i = 0; i < SCHEMA_SHARES_MAX; i++)
		CHECK_EQ(follow(i), 0);
	CHECK_EQ(follow(SCHEMA_SHARES_MAX), WEFT_EFULL);
	CHECK_EQ(follow(3), 0);
	CHECK_EQ(unfollow(3), 0);
	CHECK_EQ(follow(SCHEMA_SHARES_MAX), 0);
	end();
}

static void test_a_share_has_16_schemas_and_one_more_is_refused(void)
{
	static char names[SCHEMA_SHARE_FILES_MAX + 1][8], texts[SCHEMA_SHARE_FILES_MAX + 1][128];
	const char *files[2 * (SCHEMA_SHARE_FILES_MAX + 1) + 1];
	const struct schema_share *share;
	unsigned cnt = 0;

	for (unsigned i = 0; i <= SCHEMA_SHARE_FILES_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "s%02u", i);
		snprintf(texts[i], sizeof(texts[i]), "[service]\nname = s%02u\n" SIZE, i);
		files[cnt++] = names[i];
		files[cnt++] = texts[i];
	}
	files[cnt] = NULL;
	begin();
	CHECK_EQ(follow(1), 0);
	share = take(1, files);
	CHECK_EQ(share->used_cnt, SCHEMA_SHARE_FILES_MAX);
	CHECK_EQ(share->refusal_cnt, 1);
	CHECK_STR(share->refusals[0].name, "");
	/* Others in their place: what goes makes room, and refusals have room beside them. */
	for (unsigned i = 0; i <= SCHEMA_SHARE_FILES_MAX; i++)
		texts[i][0] = '?';
	share = take(1, files);
	CHECK_EQ(share->used_cnt, SCHEMA_SHARE_FILES_MAX);
	CHECK_EQ(share->refusal_cnt, SCHEMA_SHARE_FILES_MAX + 1);
	share = take(1, (const char *[]){"new", TEXT("new", 1), NULL});
	CHECK_EQ(share->used_cnt, 1);
	end();
}

static void test_a_share_that_moves_keeps_what_the_operator_said(void)
{
	const struct schema_share_change change = {.share_id = (const uint8_t[32]){9},
						   .may_replace = true};
	uint8_t id[SCHEMA_SHARE_ID_LEN];

	begin();
	CHECK_EQ(offers_schema_shares_follow(shares, &change), 0);
	offers_schema_shares_take(
		shares, &(const struct schema_revision){
				.share_id = change.share_id,
				.revision = 1,
				.file_cnt = 1,
				.files = &(const struct schema_file){"boats", TEXT("boats", 1),
								     strlen(TEXT("boats", 1))}});
	id_of(7, id);
	offers_schema_shares_move(shares, change.share_id, id);
	CHECK(!offers_schema_shares_lookup(shares, change.share_id));
	CHECK(offers_schema_shares_lookup(shares, id)->may_replace);
	CHECK_EQ(version_of("boats"), 1);
	offers_schema_shares_move(shares, change.share_id, id);
	CHECK(offers_schema_shares_lookup(shares, id));
	store_flush(store);
	close_all();
	open_all();
	/* And what it brought, under its new name alone. */
	CHECK_EQ(version_of("boats"), 1);
	CHECK_EQ(take(7, (const char *[]){NULL})->used_cnt, 0);
	CHECK_EQ(version_of("boats"), 0);
	end();
}

int main(void)
{
	RUN(test_what_a_revision_has_is_used_and_what_it_lacks_goes);
	RUN(test_a_start_has_what_was_used);
	RUN(test_16_shares_are_followed_and_one_more_is_not);
	RUN(test_a_share_has_16_schemas_and_one_more_is_refused);
	RUN(test_a_share_that_moves_keeps_what_the_operator_said);
	return check_done();
}
