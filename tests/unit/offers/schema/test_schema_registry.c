/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/schema/schema_registry.h"
#include "offers/schema/schema_shipped.h"
#include "support/check.h"
#include "support/fail_alloc.h"
#include "support/schema_file.h"
#include "support/scratch.h"
#include "support/scratch_store.h"

static struct schema_registry *registry;
static struct schema_fault fault;
/* What on_change was called with last. */
static char change[128];

static void on_change(void *ctx, const struct schema *before, const struct schema *after)
{
	(void)ctx;
	snprintf(change, sizeof(change), "%s %u > %s %u", before ? before->name : "-",
		 before ? before->version : 0, after ? after->name : "-",
		 after ? after->version : 0);
}

static void registry_begin(void)
{
	registry = offers_schema_registry_new(on_change, NULL);
	if (!registry || offers_schema_registry_ship(registry) < 0)
		abort();
	change[0] = '\0';
}

static int add(const char *text)
{
	return offers_schema_registry_add(registry, text, strlen(text), &fault);
}

#define BIKES(version) "[service]\nname = bikes\nversion = " #version "\n"
#define SIZE	       "[field size]\ntype = number\nmin = 1\nmax = 9\n"
#define KIND(words)    "[field kind]\ntype = choice\nchoices = " words "\n"
#define BY_SIZE	       "[filter by]\nfield = size\nmatch = at-most\n"

static void test_the_shipped_texts_are_those_of_the_files(void)
{
	unsigned cnt = 0;

	for (const struct schema_shipped *row = offers_schema_shipped; row->name; row++, cnt++) {
		size_t len;
		char *text = schema_file_text(row->name, &len);

		CHECK_EQ(row->len, len);
		CHECK_MEM(row->text, text, len);
		free(text);
	}
	CHECK_EQ(cnt, 10);
}

static void test_core_services_are_there_at_start(void)
{
	struct schema_entry entry;
	char last[SCHEMA_NAME_CAP] = "";
	unsigned cnt = 0, off_cnt = 0;

	registry_begin();
	CHECK_STR(offers_schema_registry_lookup(registry, 1, NULL, 0)->name, "fapp");
	CHECK_STR(offers_schema_registry_lookup(registry, 2, NULL, 0)->name, "housing");
	CHECK_STR(offers_schema_registry_lookup(registry, 3, NULL, 0)->name, "repair");
	CHECK_EQ(offers_schema_registry_named(registry, "HOUSING")->id, 2);
	CHECK(!offers_schema_registry_lookup(registry, 6, NULL, 0));
	CHECK(!offers_schema_registry_named(registry, "hous"));
	for (; offers_schema_registry_at(registry, cnt, &entry); cnt++) {
		CHECK(strcmp(last, entry.schema->name) < 0);
		CHECK_EQ(entry.origin, SCHEMA_OF_CORE);
		strcpy(last, entry.schema->name);
	}
	CHECK_EQ(cnt, 3);
	for (; offers_schema_registry_off_at(registry, off_cnt, &entry); off_cnt++) {
		CHECK(!offers_schema_registry_named(registry, entry.schema->name));
		CHECK(!offers_schema_registry_lookup(registry, entry.schema->id, NULL, 0));
		CHECK_EQ(entry.origin, SCHEMA_SHIPPED);
	}
	CHECK_EQ(off_cnt, 7);
	offers_schema_registry_free(registry);
	offers_schema_registry_free(NULL);
}

/* The text of a schema that ships, with the version given. */
static char *shipped_text(const char *name, char version)
{
	size_t len;
	char *text = schema_file_text(name, &len);

	strstr(text, "version = ")[strlen("version = ")] = version;
	return text;
}

static void test_a_shipped_schema_is_on_once_it_is_added(void)
{
	struct schema_entry entry;
	char *text = shipped_text("tutor", '1'), *later = shipped_text("tutor", '2');
	unsigned at = 0;

	registry_begin();
	CHECK_EQ(offers_schema_registry_remove(registry, "tutor"), WEFT_EABSENT);
	CHECK_EQ(add(text), 0);
	CHECK_STR(change, "- 0 > tutor 1");
	CHECK_EQ(offers_schema_registry_lookup(registry, 4, NULL, 0)->version, 1);
	while (offers_schema_registry_at(registry, at, &entry) && entry.schema->id != 4)
		at++;
	CHECK_EQ(entry.origin, SCHEMA_SHIPPED);
	CHECK_EQ(add(later), 0);
	CHECK_STR(change, "tutor 1 > tutor 2");
	CHECK(offers_schema_registry_at(registry, at, &entry));
	CHECK_EQ(entry.origin, SCHEMA_ADDED);
	CHECK_EQ(offers_schema_registry_remove(registry, "tutor"), 0);
	CHECK_STR(change, "tutor 2 > - 0");
	CHECK(!offers_schema_registry_named(registry, "tutor"));
	/* The shipped version is not to be changed without raising it; blanks change nothing. */
	text[strlen(text) - 1] = ' ';
	CHECK_EQ(add(text), 0);
	strstr(text, "title = ")[8] = 'X';
	CHECK_EQ(add(text), WEFT_EEXISTS);
	offers_schema_registry_free(registry);
	free(text);
	free(later);
}

static void test_a_schema_is_added_raised_and_removed(void)
{
	struct schema_entry entry;
	unsigned at = 0;

	registry_begin();
	CHECK_EQ(add(BIKES(1) SIZE), 0);
	CHECK_STR(change, "- 0 > bikes 1");
	change[0] = '\0';
	CHECK_EQ(add(BIKES(1) SIZE), 0);
	CHECK_STR(change, "");
	CHECK_EQ(add("# of the lake\n" BIKES(1) SIZE), 0);
	CHECK_STR(change, "bikes 1 > bikes 1");
	CHECK_EQ(add(BIKES(1) SIZE "label = Wheels\n"), WEFT_EEXISTS);
	CHECK(strstr(fault.next, "raise version"));
	CHECK_EQ(add(BIKES(2) SIZE "label = Wheels\n"), 0);
	CHECK_STR(change, "bikes 1 > bikes 2");
	CHECK_EQ(add(BIKES(1) SIZE), WEFT_ESTALE);
	while (offers_schema_registry_at(registry, at, &entry) &&
	       strcmp(entry.schema->name, "bikes") != 0)
		at++;
	CHECK_EQ(entry.origin, SCHEMA_ADDED);
	CHECK_STR(entry.text, BIKES(2) SIZE "label = Wheels\n");
	CHECK_EQ(offers_schema_registry_remove(registry, "bikes"), 0);
	CHECK_STR(change, "bikes 2 > - 0");
	CHECK_EQ(offers_schema_registry_remove(registry, "bikes"), WEFT_EABSENT);
	CHECK(!offers_schema_registry_named(registry, "bikes"));
	offers_schema_registry_free(registry);
}

static void test_a_shipped_schema_is_raised_and_comes_back(void)
{
	char *text = shipped_text("housing", '2');

	registry_begin();
	CHECK_EQ(offers_schema_registry_remove(registry, "housing"), WEFT_EREFUSED);
	CHECK_EQ(add(text), 0);
	CHECK_STR(change, "housing 1 > housing 2");
	CHECK_EQ(offers_schema_registry_lookup(registry, 2, NULL, 0)->version, 2);
	CHECK_EQ(offers_schema_registry_remove(registry, "housing"), 0);
	CHECK_STR(change, "housing 2 > housing 1");
	CHECK_EQ(offers_schema_registry_lookup(registry, 2, NULL, 0)->version, 1);
	offers_schema_registry_free(registry);
	free(text);
}

/* What a later version may not do to offers of the former. */
static const struct {
	const char *former, *later;
	int want;
} successors[] = {
	{BIKES(1) SIZE, BIKES(2) SIZE, 0},
	{BIKES(1) SIZE, BIKES(2) SIZE KIND("a, b"), 0},
	{BIKES(1) SIZE KIND("a, b"), BIKES(2) SIZE, 0},
	{BIKES(1) SIZE KIND("a, b"), BIKES(2) SIZE KIND("a, b, c"), 0},
	{BIKES(1) SIZE KIND("a, b"), BIKES(2) SIZE KIND("b, a"), WEFT_EMALFORMED},
	{BIKES(1) SIZE KIND("a, b"), BIKES(2) SIZE KIND("a"), WEFT_EMALFORMED},
	{BIKES(1) SIZE KIND("a, b"), BIKES(2) KIND("a, b") SIZE, WEFT_EMALFORMED},
	{BIKES(1) SIZE, BIKES(2) "[field size]\ntype = text\n", WEFT_EMALFORMED},
	{BIKES(1) SIZE, BIKES(2) "[field size]\ntype = number\ndecimals = 1\n", WEFT_EMALFORMED},
	{BIKES(1) SIZE, BIKES(2) "[field size]\ntype = number\n", 0},
	{BIKES(1) SIZE, BIKES(2) "[field size]\ntype = number\nmin = 2\n", WEFT_EMALFORMED},
	{BIKES(1) SIZE, BIKES(2) "[field size]\ntype = number\nmax = 8\n", WEFT_EMALFORMED},
	{BIKES(1) SIZE, BIKES(2) "[field width]\ntype = number\n", WEFT_EMALFORMED},
	{BIKES(1) SIZE, BIKES(2) SIZE "key = 2\n", WEFT_EMALFORMED},
	{BIKES(1) SIZE, BIKES(2) SIZE "required = yes\n", WEFT_EMALFORMED},
	{BIKES(1) SIZE, BIKES(2) SIZE "required = yes\nsince = 2\n", 0},
	{BIKES(1) SIZE BY_SIZE, BIKES(2) SIZE, 0},
	{BIKES(1) SIZE BY_SIZE, BIKES(2) SIZE BY_SIZE, 0},
	{BIKES(1) SIZE BY_SIZE, BIKES(2) SIZE "[filter by]\nfield = size\n", WEFT_EMALFORMED},
	{BIKES(1) SIZE BY_SIZE, BIKES(2) SIZE "[filter by]\nkey = 2\nfield = size\n", 0},
};

static void test_a_later_version_only_widens(void)
{
	for (size_t i = 0; i < sizeof(successors) / sizeof(successors[0]); i++) {
		int err;

		registry_begin();
		CHECK_EQ(add(successors[i].former), 0);
		err = add(successors[i].later);
		if (err != successors[i].want)
			printf("# row %zu: %s: %s\n", i, fault.field, fault.what);
		CHECK_EQ(err, successors[i].want);
		CHECK_EQ(offers_schema_registry_named(registry, "bikes")->version, err ? 1 : 2);
		offers_schema_registry_free(registry);
	}
}

/* The dynamic ids of these names are alike; they were looked for. */
static void test_two_names_with_one_id_are_a_clash(void)
{
	registry_begin();
	CHECK_EQ(offers_schema_id_of_name("s85826"), offers_schema_id_of_name("s107251"));
	CHECK_EQ(add("[service]\nname = s85826\n" SIZE), 0);
	CHECK_EQ(add("[service]\nname = s107251\n" SIZE), WEFT_EEXISTS);
	CHECK(strstr(fault.next, "another name"));
	offers_schema_registry_free(registry);
}

static void test_experiments_share_an_id_and_have_names(void)
{
	char *text;

	registry_begin();
	CHECK_EQ(add("[service]\nname = cheese\nid = 0xFFFF\n" SIZE), 0);
	CHECK_EQ(add("[service]\nname = bread\nid = 0xFFFF\n" SIZE), 0);
	CHECK_EQ(add("[service]\nname = bread\nversion = 2\n" SIZE), WEFT_EEXISTS);
	CHECK_STR(offers_schema_registry_lookup(registry, 0xffff, "cheese", 6)->name, "cheese");
	CHECK_STR(offers_schema_registry_lookup(registry, 0xffff, "bread2", 5)->name, "bread");
	CHECK(!offers_schema_registry_lookup(registry, 0xffff, NULL, 0));
	text = shipped_text("custom", '1');
	CHECK_EQ(add(text), 0);
	CHECK_STR(offers_schema_registry_lookup(registry, 0xffff, NULL, 0)->name, "custom");
	CHECK(!offers_schema_registry_lookup(registry, 0xffff, "wine", 4));
	offers_schema_registry_free(registry);
	free(text);
}

/* --- of shares --- */

static const uint8_t share_a[SCHEMA_SHARE_ID_LEN] = {1}, share_b[SCHEMA_SHARE_ID_LEN] = {2};

static int share(const uint8_t *share_id, const char *name, const char *text)
{
	const struct schema_shared shared = {
		.share_id = share_id, .name = name, .text = text, .len = strlen(text)};

	change[0] = '\0';
	return offers_schema_registry_share(registry, &shared, &fault);
}

static void test_a_share_brings_a_schema_and_raises_it(void)
{
	struct schema_entry entry;
	unsigned at = 0;

	registry_begin();
	CHECK_EQ(share(share_a, "bikes", BIKES(2) SIZE), 0);
	CHECK_STR(change, "- 0 > bikes 2");
	while (offers_schema_registry_at(registry, at, &entry) &&
	       strcmp(entry.schema->name, "bikes") != 0)
		at++;
	CHECK_EQ(entry.origin, SCHEMA_OF_SHARE);
	CHECK_MEM(entry.share_id, share_a, sizeof(share_a));
	CHECK_EQ(share(share_a, "bikes", BIKES(2) SIZE), 0);
	CHECK_STR(change, "");
	CHECK_EQ(share(share_a, "bikes", BIKES(1) SIZE), WEFT_ESTALE);
	CHECK_EQ(share(share_a, "bikes", BIKES(2) SIZE KIND("a, b")), WEFT_EEXISTS);
	CHECK_EQ(share(share_a, "bikes", BIKES(3) KIND("a, b")), WEFT_EMALFORMED);
	CHECK_EQ(share(share_a, "bikes", "[service]\n"), WEFT_EMALFORMED);
	CHECK_EQ(share(share_a, "boats", BIKES(3) SIZE), WEFT_EMALFORMED);
	CHECK_STR(fault.next, "name the file as the service");
	CHECK_EQ(share(share_b, "bikes", BIKES(3) SIZE), WEFT_EEXISTS);
	CHECK_STR(change, "");
	CHECK_EQ(share(share_a, "Bikes", BIKES(3) SIZE KIND("a, b")), 0);
	CHECK_STR(change, "bikes 2 > bikes 3");
	offers_schema_registry_unshare(registry, share_b, "bikes");
	CHECK_EQ(offers_schema_registry_remove(registry, "bikes"), WEFT_EREFUSED);
	CHECK(offers_schema_registry_named(registry, "bikes"));
	offers_schema_registry_unshare(registry, share_a, "bikes");
	CHECK_STR(change, "bikes 3 > - 0");
	CHECK(!offers_schema_registry_named(registry, "bikes"));
	CHECK_EQ(share(share_b, "bikes", BIKES(1) SIZE), 0);
	offers_schema_registry_free(registry);
}

static void test_a_share_replaces_what_ships_only_where_it_may(void)
{
	char *text = shipped_text("housing", '2'), *tutor = shipped_text("tutor", '2');
	struct schema_shared shared = {
		.share_id = share_a, .name = "housing", .text = text, .len = strlen(text)};

	registry_begin();
	CHECK_EQ(share(share_a, "housing", text), WEFT_EREFUSED);
	CHECK(strstr(fault.next, "--replace"));
	CHECK_EQ(share(share_a, "tutor", tutor), WEFT_EREFUSED);
	shared.may_replace = true;
	CHECK_EQ(offers_schema_registry_share(registry, &shared, &fault), 0);
	CHECK_STR(change, "housing 1 > housing 2");
	offers_schema_registry_unshare(registry, share_a, "housing");
	CHECK_STR(change, "housing 2 > housing 1");
	offers_schema_registry_free(registry);
	free(text);
	free(tutor);
}

static void test_the_later_one_of_share_and_operator_holds(void)
{
	registry_begin();
	CHECK_EQ(add(BIKES(1) SIZE), 0);
	CHECK_EQ(share(share_a, "bikes", BIKES(2) SIZE KIND("a, b")), 0);
	CHECK_STR(change, "bikes 1 > bikes 2");
	CHECK_EQ(add(BIKES(1) SIZE), WEFT_ESTALE);
	CHECK_EQ(add(BIKES(2) SIZE KIND("a, b")), 0);
	CHECK_EQ(add(BIKES(3) SIZE KIND("a, b")), 0);
	CHECK_EQ(share(share_a, "bikes", BIKES(2) SIZE KIND("a, b")), WEFT_ESTALE);
	offers_schema_registry_unshare(registry, share_a, "bikes");
	CHECK_EQ(offers_schema_registry_named(registry, "bikes")->version, 3);
	CHECK_EQ(share(share_a, "bikes", BIKES(4) SIZE KIND("a, b")), 0);
	CHECK_EQ(offers_schema_registry_remove(registry, "bikes"), 0);
	CHECK_EQ(offers_schema_registry_named(registry, "bikes")->version, 4);
	offers_schema_registry_free(registry);
}

static void test_shares_have_64_schemas_and_no_more(void)
{
	char text[128], name[16];

	registry_begin();
	for (unsigned i = 0; i <= SCHEMA_SHARED_MAX; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		snprintf(text, sizeof(text), "[service]\nname = %s\n" SIZE, name);
		CHECK_EQ(share(i % 2 ? share_a : share_b, name, text),
			 i < SCHEMA_SHARED_MAX ? 0 : WEFT_EFULL);
	}
	CHECK_EQ(share(share_b, "s0", "[service]\nname = s0\nversion = 2\n" SIZE), 0);
	/* The operator's room is not theirs. */
	CHECK_EQ(add(text), 0);
	offers_schema_registry_free(registry);
}

static void test_128_schemas_are_taken_and_one_more_is_not(void)
{
	char text[128];

	registry_begin();
	for (unsigned i = 0; i <= SCHEMA_REGISTRY_MAX - 10; i++) {
		snprintf(text, sizeof(text), "[service]\nname = s%u\n" SIZE, i);
		CHECK_EQ(add(text), i < SCHEMA_REGISTRY_MAX - 10 ? 0 : WEFT_EFULL);
	}
	CHECK_EQ(add("[service]\nname = s7\nversion = 2\n" SIZE), 0);
	CHECK_EQ(offers_schema_registry_remove(registry, "s7"), 0);
	CHECK_EQ(add(text), 0);
	offers_schema_registry_free(registry);
}

static void test_without_memory_nothing_changes(void)
{
	for (unsigned n = 1; n <= 2; n++) {
		registry_begin();
		fail_alloc_arm(n, 1);
		CHECK(add(BIKES(1) SIZE) < 0);
		fail_alloc_disarm();
		CHECK(!offers_schema_registry_named(registry, "bikes"));
		CHECK_STR(change, "");
		offers_schema_registry_free(registry);
	}
	fail_alloc_arm(1, 1);
	CHECK(!offers_schema_registry_new(NULL, NULL));
	fail_alloc_disarm();
}

static char refused_name[SCHEMA_NAME_CAP];

static void on_refused(void *ctx, const char *name, const struct schema_fault *why)
{
	(void)ctx;
	if (why->what[0])
		snprintf(refused_name, sizeof(refused_name), "%s", name);
}

static void put(struct store *store, const char *name, const char *text)
{
	struct store_batch *batch = store_batch_new(store);

	if (text)
		offers_schema_rows_put(batch, name, text, strlen(text));
	else
		offers_schema_rows_delete(batch, name);
	if (store_submit(store, batch, NULL, NULL) < 0)
		abort();
	store_flush(store);
}

static void test_added_schemas_are_there_after_a_restart(void)
{
	char dir[SCRATCH_CAP];
	struct store *store = scratch_store(scratch_make(dir), true);

	put(store, "bikes", BIKES(3) SIZE);
	put(store, "cars", "[service]\nname = cars\n" SIZE);
	put(store, "damaged", "[service]\n");
	put(store, "gone", "[service]\nname = gone\n" SIZE);
	put(store, "gone", NULL);
	registry_begin();
	CHECK_EQ(offers_schema_rows_load(store, registry, on_refused, NULL), 0);
	CHECK_STR(refused_name, "damaged");
	CHECK_EQ(offers_schema_registry_named(registry, "bikes")->version, 3);
	CHECK(offers_schema_registry_named(registry, "cars"));
	CHECK(!offers_schema_registry_named(registry, "gone"));
	offers_schema_registry_free(registry);
	store_close(store);
	scratch_remove(dir);
}

int main(void)
{
	RUN(test_the_shipped_texts_are_those_of_the_files);
	RUN(test_core_services_are_there_at_start);
	RUN(test_a_shipped_schema_is_on_once_it_is_added);
	RUN(test_a_schema_is_added_raised_and_removed);
	RUN(test_a_shipped_schema_is_raised_and_comes_back);
	RUN(test_a_later_version_only_widens);
	RUN(test_two_names_with_one_id_are_a_clash);
	RUN(test_experiments_share_an_id_and_have_names);
	RUN(test_a_share_brings_a_schema_and_raises_it);
	RUN(test_a_share_replaces_what_ships_only_where_it_may);
	RUN(test_the_later_one_of_share_and_operator_holds);
	RUN(test_shares_have_64_schemas_and_no_more);
	RUN(test_128_schemas_are_taken_and_one_more_is_not);
	RUN(test_without_memory_nothing_changes);
	RUN(test_added_schemas_are_there_after_a_restart);
	return check_done();
}
