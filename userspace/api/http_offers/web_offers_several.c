/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /offers/SCHEMA,SCHEMA?FILTER=VALUE&SCHEMA.FILTER=VALUE: what is asked of several schemas. The
 * answers are JSON alone, as a page is of one schema. A filter with the name of a parameter, such as
 * limit, is asked as SCHEMA.limit. Home worker.
 */
#include <string.h>

#include "web_offers_state.h"

/* A pair whose name was not there before. */
static bool is_first(const struct web_form *form, unsigned idx)
{
	for (unsigned i = 0; i < idx; i++)
		if (strcmp(form->pairs[i].name, form->pairs[idx].name) == 0)
			return false;
	return true;
}

size_t api_http_offers_words(struct web_offers_view *view,
			     const char *words[static WEB_FORM_PAIRS_MAX])
{
	struct web_form *form = &view->form;
	size_t cnt = 0;

	form->words_len = 0;
	for (unsigned i = 0; i < form->cnt; i++) {
		const char *word = NULL;

		if (!api_http_offers_is_own(form->pairs[i].name) && is_first(form, i))
			word = api_http_form_word(form, form->pairs[i].name);
		if (word)
			words[cnt++] = word;
	}
	return cnt;
}

static void choose_fail(struct web_offers_view *view, int err, const struct schema_fault *fault)
{
	char message[sizeof(fault->what) + sizeof(fault->next) + 8];
	bool is_absent = err == WEFT_EABSENT;

	snprintf(message, sizeof(message), "%s%s%s", fault->what, fault->next[0] ? "; " : "",
		 fault->next);
	api_http_offers_fail(
		view, &(struct web_offers_failure){is_absent ? 404 : 400,
						   is_absent ? "not_found" : "invalid_filter",
						   message, fault->field[0] ? fault->field : NULL});
}

bool api_http_offers_choose(struct web_offers_view *view)
{
	const char *words[WEB_FORM_PAIRS_MAX];
	const struct offer_words asked = {view->names, words, api_http_offers_words(view, words)};
	const struct offer_choice *choice;
	struct schema_fault fault = {0};
	int err = offers_choose(api_http_offers_of(view->offers), &asked, &choice, &fault);

	if (err < 0) {
		choose_fail(view, err, &fault);
		return false;
	}
	memcpy(view->wanted, choice->wanted, sizeof(view->wanted));
	view->wanted_cnt = choice->cnt;
	return true;
}
