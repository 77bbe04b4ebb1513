/* SPDX-License-Identifier: Apache-2.0 */
#include "service/directory/read_only.h"

#include <string.h>

#include "codec/cbor.h"
#include "service/topic_event.h"
#include "service/service.h"

_Static_assert(SERVICE_READ_ONLY_LEN_MAX == SERVICE_READ_ONLY_MAX * SERVICE_METHOD_LEN_MAX,
	       "all names at their longest");

static int name_compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	if (order)
		return order;
	return a_len == b_len ? 0 : (a_len < b_len ? -1 : 1);
}

static bool name_is_valid(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (name[i] < 0x21 || name[i] > 0x7e)
			return false;
	return len > 0 && len <= SERVICE_METHOD_LEN_MAX;
}

enum service_fault service_read_only_check(const struct service_read_only *list)
{
	if (list->cnt > SERVICE_READ_ONLY_MAX)
		return SERVICE_MANY_READ_ONLY;
	for (unsigned i = 0; i < list->cnt; i++)
		if (!name_is_valid(list->names[i], list->lens[i]) ||
		    (i && name_compare(list->names[i - 1], list->lens[i - 1], list->names[i],
				       list->lens[i]) >= 0))
			return SERVICE_BAD_READ_ONLY;
	return SERVICE_FINE;
}

enum service_fault service_read_only_take(const char *const *names, unsigned cnt,
					  struct service_read_only *out_list)
{
	struct service_read_only list = {0};
	enum service_fault fault;

	if (cnt > SERVICE_READ_ONLY_MAX)
		return SERVICE_MANY_READ_ONLY;
	for (; list.cnt < cnt; list.cnt++) {
		const char *name = names[list.cnt];
		size_t len = strnlen(name, SERVICE_METHOD_LEN_MAX + 1);
		unsigned at = list.cnt;

		for (; at > 0 && name_compare(list.names[at - 1], list.lens[at - 1], name, len) > 0;
		     at--) {
			list.names[at] = list.names[at - 1];
			list.lens[at] = list.lens[at - 1];
		}
		list.names[at] = name;
		list.lens[at] = (uint8_t)len;
	}
	fault = service_read_only_check(&list);
	if (!fault)
		*out_list = list;
	return fault;
}

bool service_read_only_has(const struct service_read_only *list, const char *method)
{
	size_t len = strlen(method);

	if (strcmp(method, SERVICE_DESCRIBE) == 0 || strcmp(method, SERVICE_SUBSCRIBE) == 0)
		return true;
	for (unsigned i = 0; i < list->cnt; i++)
		if (name_compare(list->names[i], list->lens[i], method, len) == 0 ||
		    name_compare(list->names[i], list->lens[i], SERVICE_READ_ONLY_ALL, 1) == 0)
			return true;
	return false;
}

bool service_read_only_equals(const struct service_read_only *a, const struct service_read_only *b)
{
	if (a->cnt != b->cnt)
		return false;
	for (unsigned i = 0; i < a->cnt; i++)
		if (name_compare(a->names[i], a->lens[i], b->names[i], b->lens[i]) != 0)
			return false;
	return true;
}

void service_read_only_write(struct writer *w, const struct service_read_only *list)
{
	cbor_write_array(w, list->cnt);
	for (unsigned i = 0; i < list->cnt; i++)
		cbor_write_text(w, list->names[i], list->lens[i]);
}
