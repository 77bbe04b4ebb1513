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
	unsigned cnt = 0;

	registry_begin();
	CHECK_STR(offers_schema_registry_lookup(registry, 1, NULL, 0)->name, "fapp");
	CHECK_STR(offers_schema_registry_lookup(registry, 2, NULL, 0)->name, "housing");
	CHECK_STR(offers_schema_registry_lookup(registry, 3, NULL, 0)->name, "repair");
	CHECK_STR(offers_schema_registry_lookup(registry, 0xffff, NULL, 0)->name, "custom");
	CHECK_EQ(offers_schema_registry_named(registry, "HOUSING")->id, 2);
	CHECK(!offers_schema_registry_lookup(registry, 6, NULL, 0));
	CHECK(!offers_schema_registry_named(registry, "hous"));
	for (; offers_schema_registry_at(registry, cnt, &entry); cnt++) {
		CHECK(strcmp(last, entry.schema->name) < 0);
		CHECK(entry.is_shipped);
		strcpy(last, entry.schema->name);
	}
	CHECK_EQ(cnt, 10);
	offers_schema_registry_free(registry);
	offers_schema_registry_free(NULL);
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
	CHECK_EQ(add(BIKES(1) SIZE "label = Wheels\n"), WEFT_EEXISTS);
	CHECK(strstr(fault.next, "raise version"));
	CHECK_EQ(add(BIKES(2) SIZE "label = Wheels\n"), 0);
	CHECK_STR(change, "bikes 1 > bikes 2");
	CHECK_EQ(add(BIKES(1) SIZE), WEFT_ESTALE);
	while (offers_schema_registry_at(registry, at, &entry) &&
	       strcmp(entry.schema->name, "bikes") != 0)
		at++;
	CHECK(!entry.is_shipped);
	CHECK_STR(entry.text, BIKES(2) SIZE "label = Wheels\n");
	CHECK_EQ(offers_schema_registry_remove(registry, "bikes"), 0);
	CHECK_STR(change, "bikes 2 > - 0");
	CHECK_EQ(offers_schema_registry_remove(registry, "bikes"), WEFT_EABSENT);
	CHECK(!offers_schema_registry_named(registry, "bikes"));
	offers_schema_registry_free(registry);
}

static void test_a_shipped_schema_is_raised_and_comes_back(void)
{
	size_t len;
	char *text = schema_file_text("housing", &len);
	char *version = strstr(text, "version = 1");

	registry_begin();
	version[strlen("version = ")] = '2';
	CHECK_EQ(offers_schema_registry_remove(registry, "housing"), WEFT_EREFUSED);
	CHECK_EQ(offers_schema_registry_add(registry, text, len, &fault), 0);
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
	registry_begin();
	CHECK_EQ(add("[service]\nname = cheese\nid = 0xFFFF\n" SIZE), 0);
	CHECK_EQ(add("[service]\nname = bread\nid = 0xFFFF\n" SIZE), 0);
	CHECK_EQ(add("[service]\nname = bread\nversion = 2\n" SIZE), WEFT_EEXISTS);
	CHECK_STR(offers_schema_registry_lookup(registry, 0xffff, "cheese", 6)->name, "cheese");
	CHECK_STR(offers_schema_registry_lookup(registry, 0xffff, "bread2", 5)->name, "bread");
	CHECK_STR(offers_schema_registry_lookup(registry, 0xffff, NULL, 0)->name, "custom");
	CHECK(!offers_schema_registry_lookup(registry, 0xffff, "wine", 4));
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
	RUN(test_a_schema_is_added_raised_and_removed);
	RUN(test_a_shipped_schema_is_raised_and_comes_back);
	RUN(test_a_later_version_only_widens);
	RUN(test_two_names_with_one_id_are_a_clash);
	RUN(test_experiments_share_an_id_and_have_names);
	RUN(test_128_schemas_are_taken_and_one_more_is_not);
	RUN(test_without_memory_nothing_changes);
	RUN(test_added_schemas_are_there_after_a_restart);
	return check_done();
}
