/* SPDX-License-Identifier: Apache-2.0 */
/* The capabilities of an offer: their rules, and their part of its record. Pure. */
#include "provider/capabilities.h"

#include <string.h>

#include "codec/cbor.h"

bool provider_capabilities_are_none(const struct provider_capabilities *view)
{
	return !view->row_cnt_max && !view->row_len_max && !view->value_tag_cnt &&
	       !view->counter_cnt;
}

static bool names_repeat(const char *const *names, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++)
		for (unsigned j = 0; j < i; j++)
			if (strcmp(names[i], names[j]) == 0)
				return true;
	return false;
}

static const char *tags_fault(const struct provider_capabilities *view)
{
	if (view->value_tag_cnt > PROVIDER_TAG_MAX)
		return "more than 8 tags of values";
	for (unsigned i = 0; i < view->value_tag_cnt; i++)
		if (!provider_value_tag_is_valid(view->value_tags[i]))
			return "a tag of values is not 1 to 16 of a-z, 0-9 and -";
	return names_repeat(view->value_tags, view->value_tag_cnt)
		       ? "a tag of values is there twice"
		       : NULL;
}

static const char *counters_fault(const struct provider_capabilities *view)
{
	if (view->counter_cnt > PROVIDER_COUNTER_MAX)
		return "more than 16 counters";
	for (unsigned i = 0; i < view->counter_cnt; i++)
		if (!provider_counter_name_is_valid(view->counters[i]))
			return "the name of a counter is not 1 to 32 of a-z, 0-9 and _";
	return names_repeat(view->counters, view->counter_cnt) ? "a counter is there twice" : NULL;
}

const char *provider_capabilities_fault(const struct provider_capabilities *view,
					enum provider_kind kind)
{
	const char *fault;

	if (provider_capabilities_are_none(view))
		return NULL;
	if (kind == PROVIDER_EXEC)
		return "a program that is run for each call reaches no control socket, so it can "
		       "use no rows, values or counters";
	if (!view->row_cnt_max != !view->row_len_max)
		return "rows have a bound of their number and one of their bytes";
	if (view->row_cnt_max > PROVIDER_ROWS_MAX || view->row_len_max > PROVIDER_ROWS_LEN_MAX)
		return "more rows, or bytes of them, than a service may declare";
	fault = tags_fault(view);
	return fault ? fault : counters_fault(view);
}

/* ---- the record ---- */

static void names_write(struct writer *w, unsigned field, const char *const *names, unsigned cnt)
{
	if (!cnt)
		return;
	cbor_write_uint(w, field);
	cbor_write_array(w, cnt);
	for (unsigned i = 0; i < cnt; i++)
		cbor_write_text(w, names[i], strlen(names[i]));
}

static void number_write(struct writer *w, unsigned field, uint64_t number)
{
	cbor_write_uint(w, field);
	cbor_write_uint(w, number);
}

void provider_capabilities_write(struct writer *w, const struct provider_capabilities *view)
{
	bool has_rows = view->row_cnt_max > 0;

	cbor_write_map(w, 1u + 2u * has_rows + (view->value_tag_cnt > 0) + (view->counter_cnt > 0));
	number_write(w, 0, view->uid);
	if (has_rows) {
		number_write(w, 1, view->row_cnt_max);
		number_write(w, 2, view->row_len_max);
	}
	names_write(w, 3, view->value_tags, view->value_tag_cnt);
	names_write(w, 4, view->counters, view->counter_cnt);
}

/* names_read reads at most cap names of at most len_max letters. */
static unsigned names_read(struct cbor_reader *r, struct capabilities *out, const char **names,
			   unsigned cap)
{
	unsigned cnt = 0;

	if (cbor_enter_array(r) > cap)
		cbor_fail(r);
	while (cbor_next(r)) {
		size_t len;
		const char *name = cbor_read_text(r, &len);

		if (cbor_is_bad(r) || len >= sizeof(out->text) - out->text_len ||
		    memchr(name, '\0', len)) {
			cbor_fail(r);
			continue;
		}
		names[cnt++] = memcpy(out->text + out->text_len, name, len);
		out->text[out->text_len + len] = '\0';
		out->text_len += len + 1;
	}
	return cnt;
}

void provider_capabilities_read(struct cbor_reader *r, struct capabilities *out)
{
	struct provider_capabilities *view = &out->view;
	uint64_t field;

	memset(out, 0, sizeof(*out));
	cbor_enter_map(r);
	while (cbor_next_key(r, &field)) {
		if (field == 0)
			view->uid = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
		else if (field == 1)
			view->row_cnt_max = cbor_read_uint(r);
		else if (field == 2)
			view->row_len_max = cbor_read_uint(r);
		else if (field == 3)
			view->value_tag_cnt = names_read(r, out, out->value_tags, PROVIDER_TAG_MAX);
		else if (field == 4)
			view->counter_cnt = names_read(r, out, out->counters, PROVIDER_COUNTER_MAX);
		else
			cbor_skip(r);
	}
	view->value_tags = out->value_tags;
	view->counters = out->counters;
}

struct provider_declaration provider_capabilities_declare(const struct provider_capabilities *view,
							  const char *service, uint32_t major)
{
	return (struct provider_declaration){
		.service = service,
		.major = major,
		.is_of_program = true,
		.uid = view->uid,
		.row_cnt_max = view->row_cnt_max,
		.row_len_max = view->row_len_max,
		.run_max = view->value_tag_cnt ? PROVIDER_PROGRAM_RUN_MAX : 0,
		.value_tags = view->value_tags,
		.value_tag_cnt = view->value_tag_cnt,
		.counters = view->counters,
		.counter_cnt = view->counter_cnt,
	};
}
