/* SPDX-License-Identifier: Apache-2.0 */
/* What is looked for, as programs say it, and finds in several services at once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "offers/schema/schema_type.h"
#include "service_offers_state.h"

/* --- what is looked for --- */

static int choose_fail(struct schema_fault *fault, const char *next, const char *what)
{
	return offers_schema_fault_set(fault, "", next, "%s", what);
}

/* The schema of a name of len letters; NULL, with *fault. */
static const struct schema *schema_named(const struct service_offers *offers, const char *name,
					 size_t len, struct schema_fault *fault)
{
	char text[SCHEMA_NAME_CAP] = "";
	const struct schema *schema = NULL;

	if (len > 0 && len < sizeof(text)) {
		memcpy(text, name, len);
		schema = offers_schema_registry_named(offers->registry, text);
	}
	if (!schema)
		(void)offers_schema_fault_set(
			fault, text, "weft schema list shows all; weft schema add turns one on",
			"no schema of that name is on");
	return schema;
}

/* One more behind cnt others. 0 or WEFT_EMALFORMED. */
static int schema_add(const struct schema *schema, const struct schema **schemas, unsigned cnt,
		      struct schema_fault *fault)
{

	if (cnt == OFFERS_WANTED_MAX)
		return choose_fail(fault, "ask for the others by themselves",
				   "at most four schemas are looked through at once");
	/* A query names one of them at most. */
	if (cnt && (schema->id == SCHEMA_ID_CUSTOM || schemas[0]->id == SCHEMA_ID_CUSTOM))
		return choose_fail(
			fault, "ask for each of them by itself",
			"schemas of the service of experiments are looked through alone");
	for (unsigned i = 0; i < cnt; i++)
		if (schemas[i]->id == schema->id)
			return offers_schema_fault_set(
				fault, schema->name,
				schemas[i] == schema ? "name each schema once"
						     : "ask for each of them by itself",
				schemas[i] == schema ? "%s is given twice"
						     : "%s has the service id of another one",
				schema->name);
	schemas[cnt] = schema;
	return 0;
}

int offers_choose_schemas(const struct service_offers *offers, const char *names,
			  const struct schema *out_schemas[static OFFERS_WANTED_MAX],
			  struct schema_fault *fault)
{
	int cnt = 0;

	for (;; cnt++) {
		size_t len = strcspn(names, ",");
		const struct schema *schema = schema_named(offers, names, len, fault);
		int err = schema ? schema_add(schema, out_schemas, (unsigned)cnt, fault)
				 : WEFT_EABSENT;

		if (err < 0)
			return err;
		if (!names[len])
			return cnt + 1;
		names += len + 1;
	}
}

/* Whether word begins with "SCHEMA." of schema; *out_rest is what is behind that. */
static bool is_for(const struct schema *schema, const char *word, const char **out_rest)
{
	size_t len = strlen(schema->name);

	if (strncasecmp(word, schema->name, len) != 0 || word[len] != '.')
		return false;
	*out_rest = word + len + 1;
	return true;
}

/* A filter that not all of them have is asked of those that do, by name. */
static int word_missing(const struct schema *const *schemas, unsigned cnt, const char *word,
			struct schema_fault *fault)
{
	int len = (int)strcspn(word, "=");
	char next[sizeof(fault->next)];

	for (unsigned i = 0; i < cnt; i++)
		if (offers_schema_filter_named(schemas[i], word, (size_t)len) >= 0) {
			snprintf(next, sizeof(next), "%s.%.*s=VALUE asks %s alone",
				 schemas[i]->name, len > 40 ? 40 : len, word, schemas[i]->name);
			strcpy(fault->next, next);
		}
	return WEFT_EMALFORMED;
}

static int word_choose(const struct schema *const *schemas, struct schema_query *queries,
		       unsigned cnt, const char *word, struct schema_fault *fault)
{
	const char *rest;
	int err = 0;

	for (unsigned i = 0; i < cnt; i++)
		if (is_for(schemas[i], word, &rest))
			return offers_schema_query_from_text(schemas[i], rest, &queries[i], fault);
	for (unsigned i = 0; i < cnt && err == 0; i++) {
		err = offers_schema_query_from_text(schemas[i], word, &queries[i], fault);
		if (err < 0 && cnt > 1 &&
		    offers_schema_filter_named(schemas[i], word, strcspn(word, "=")) < 0)
			return word_missing(schemas, cnt, word, fault);
	}
	return err;
}

int offers_choose_words(const struct schema *const *schemas, struct schema_query *queries,
			unsigned cnt, const struct offer_words *words, struct schema_fault *fault)
{
	int err = 0;

	for (unsigned i = 0; i < cnt; i++)
		offers_schema_query_init(&queries[i]);
	for (size_t i = 0; i < words->word_cnt && err == 0; i++)
		err = word_choose(schemas, queries, cnt, words->words[i], fault);
	return err;
}

int offers_choose(struct service_offers *offers, const struct offer_words *words,
		  const struct offer_choice **out_choice, struct schema_fault *fault)
{
	const struct schema *schemas[OFFERS_WANTED_MAX];
	struct offer_choice *choice = &offers->choice;
	int cnt = offers_choose_schemas(offers, words->names, schemas, fault);
	int err;

	if (cnt < 0)
		return cnt;
	err = offers_choose_words(schemas, choice->queries, (unsigned)cnt, words, fault);
	if (err < 0)
		return err;
	choice->cnt = (unsigned)cnt;
	for (unsigned i = 0; i < choice->cnt; i++)
		choice->wanted[i] = (struct offer_wanted){schemas[i], &choice->queries[i]};
	*out_choice = choice;
	return 0;
}

/* --- finds --- */

static bool on_gathered(void *arg, const struct offer_view *view)
{
	struct offer_gathering *gathering = arg;
	struct offer_gathered *row = &gathering->rows[gathering->cnt++];

	row->order = view->order;
	row->name.service = view->service;
	memcpy(row->name.provider, view->provider, sizeof(row->name.provider));
	memcpy(row->name.offer_id, view->offer_id, sizeof(row->name.offer_id));
	return true;
}

/*
 * A page of each service. A search that ended early says nothing of what is older than its next.
 * *out_end is the greatest of those, so what is not older is complete.
 */
static int pages_gather(struct service_offers *offers, const struct offer_page_ask *ask,
			struct offer_search_result *out_sum, uint64_t *out_end)
{
	struct offer_search search = {
		.before = ask->before,
		.page_max = ask->page_max,
		.visit_max = OFFER_VISITS_MAX / ask->wanted_cnt,
		.now_s = offers->params.wall_s(offers->params.ctx),
		.fn = on_gathered,
		.arg = &offers->gathering,
	};

	offers->gathering.cnt = 0;
	*out_sum = (struct offer_search_result){.cnt = 0};
	*out_end = 0;
	for (unsigned i = 0; i < ask->wanted_cnt; i++) {
		struct offer_search_result result;
		int err;

		search.schema = ask->wanted[i].schema;
		search.query = ask->wanted[i].query;
		search.level_min = offers_level_wanted(ask, search.schema);
		err = offers_store_search(offers->store, &search, &result);
		if (err < 0)
			return err;
		out_sum->is_partial |= result.is_partial;
		out_sum->about_cnt += result.about_cnt;
		out_sum->visit_cnt += result.visit_cnt;
		*out_end = result.next > *out_end ? result.next : *out_end;
	}
	return 0;
}

static int newer_first(const void *a, const void *b)
{
	const struct offer_gathered *x = a, *y = b;

	return x->order < y->order ? 1 : x->order > y->order ? -1 : 0;
}

int offers_find_several(struct service_offers *offers, const struct offer_page_ask *ask,
			struct offer_search_result *out_result)
{
	struct offer_gathering *gathering = &offers->gathering;
	struct offer_showing showing = {.offers = offers, .fn = ask->fn, .arg = ask->arg};
	struct offer_search_result sum;
	uint64_t end;
	int err = pages_gather(offers, ask, &sum, &end);

	if (err < 0)
		return err;
	qsort(gathering->rows, gathering->cnt, sizeof(gathering->rows[0]), newer_first);
	for (bool is_full = false; !is_full && sum.cnt < gathering->cnt && sum.cnt < ask->page_max;
	     sum.cnt++) {
		const struct offer_gathered *row = &gathering->rows[sum.cnt];

		if (row->order < end)
			break;
		/* What cannot be read is left out, as in a find of one service. */
		(void)!offers_store_get(offers->store, &row->name, offers_view_give, &showing);
		is_full = ask->is_full && ask->is_full(ask->arg);
	}
	/* Rows that are gathered and not given: the last one given is where they begin. */
	sum.next = sum.cnt && sum.cnt < gathering->cnt && gathering->rows[sum.cnt].order >= end
			   ? gathering->rows[sum.cnt - 1].order
			   : end;
	*out_result = sum;
	return 0;
}
