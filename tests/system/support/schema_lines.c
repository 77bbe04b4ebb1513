/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests/system/test_schema_match.py: reads lines of hexadecimal digits, of payloads behind
 * "offer" and of maps of filters behind "query", by a schema's file. For each query it prints the
 * numbers of the offers that match. It prints them twice: by offers_schema_match, and by keys and
 * ranges as an index has them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "offers/schema/schema_keys.h"
#include "support/hex_digits.h"

#define OFFERS_MAX 4096
#define LINE_CAP   8192

static struct schema *schema;
static struct schema_record *offers[OFFERS_MAX];
static unsigned offer_cnt;

static void fail(const struct schema_fault *fault, const char *line)
{
	printf("line %u, %s: %s; %s: %s\n", fault->line, fault->field, fault->what, fault->next,
	       line);
	exit(1);
}

static void schema_load(const char *path)
{
	static char text[SCHEMA_TEXT_LEN_MAX];
	FILE *file = fopen(path, "re");
	struct schema_fault fault;

	if (!file)
		exit(1);
	if (offers_schema_parse(text, fread(text, 1, sizeof(text), file), &schema, &fault) < 0)
		fail(&fault, path);
	fclose(file);
}

static void offer_add(const char *hex)
{
	uint8_t *bytes = malloc(strlen(hex) / 2 + 1);
	struct schema_payload payload = {.bytes = bytes, .version = 1};
	struct schema_fault fault;

	offers[offer_cnt] = malloc(sizeof(*offers[0]));
	if (!bytes || !offers[offer_cnt] || offer_cnt == OFFERS_MAX - 1)
		exit(1);
	payload.len = hex_parse(hex, bytes);
	if (offers_schema_read(schema, &payload, offers[offer_cnt++], &fault) < 0)
		fail(&fault, hex);
}

static bool condition_fits(const struct schema_condition *condition,
			   const struct schema_record *offer)
{
	uint64_t keys[SCHEMA_KEYS_MAX];
	unsigned cnt = offers_schema_keys(schema, condition->column, offer, keys);

	for (unsigned r = 0; r < condition->range_cnt; r++)
		for (unsigned i = 0; i < cnt; i++)
			if (keys[i] >= condition->ranges[r].first &&
			    keys[i] <= condition->ranges[r].last)
				return true;
	return false;
}

static bool index_fits(const struct schema_query *query, const struct schema_record *offer)
{
	struct schema_condition conditions[SCHEMA_FILTERS_MAX];
	unsigned cnt = offers_schema_conditions(schema, query, conditions);
	bool is_exact = true;

	for (unsigned i = 0; i < cnt; i++) {
		if (!condition_fits(&conditions[i], offer))
			return false;
		is_exact &= conditions[i].is_exact;
	}
	return is_exact || offers_schema_match(schema, offer, query);
}

static void query_run(const char *hex)
{
	static uint8_t bytes[LINE_CAP];
	static struct schema_query query;
	struct schema_fault fault;

	if (offers_schema_query_read(schema, bytes, hex_parse(hex, bytes), &query, &fault) < 0)
		fail(&fault, hex);
	for (unsigned i = 0; i < offer_cnt; i++)
		if (offers_schema_match(schema, offers[i], &query))
			printf(" %u", i);
	printf(" |");
	for (unsigned i = 0; i < offer_cnt; i++)
		if (index_fits(&query, offers[i]))
			printf(" %u", i);
	printf("\n");
}

int main(int argc, char **argv)
{
	static char line[LINE_CAP];

	if (argc != 2)
		return 2;
	schema_load(argv[1]);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "offer ", 6) == 0)
			offer_add(line + 6);
		else if (strncmp(line, "query ", 6) == 0)
			query_run(line + 6);
		else
			return 2;
	}
	return 0;
}
