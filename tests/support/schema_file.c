/* SPDX-License-Identifier: Apache-2.0 */
#include "support/schema_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct schema *schema_compile(const char *text, size_t len)
{
	struct schema_fault fault;
	struct schema *schema;

	if (offers_schema_parse(text, len, &schema, &fault) == 0)
		return schema;
	printf("# line %u, %s: %s; %s\n", fault.line, fault.field, fault.what, fault.next);
	exit(1);
}

char *schema_file_text(const char *name, size_t *out_len)
{
	char path[128];
	char *text = malloc(SCHEMA_TEXT_LEN_MAX + 1);
	FILE *file;

	snprintf(path, sizeof(path), "userspace/offers/shipped/%s.ini", name);
	file = fopen(path, "re");
	if (!file || !text) {
		printf("# cannot read %s\n", path);
		exit(1);
	}
	*out_len = fread(text, 1, SCHEMA_TEXT_LEN_MAX, file);
	text[*out_len] = '\0';
	fclose(file);
	return text;
}

struct schema *schema_file_open(const char *name)
{
	size_t len;
	char *text = schema_file_text(name, &len);
	struct schema *schema = schema_compile(text, len);

	free(text);
	return schema;
}

struct schema *schema_of_text(const char *text)
{
	return schema_compile(text, strlen(text));
}
