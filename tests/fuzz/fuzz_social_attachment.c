/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "social/attachments/attachment_message.h"
#include "social/object/attachment_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void get_try(const uint8_t *data, size_t len)
{
	struct attachment_get get, again;
	uint8_t out[64];
	struct writer w = writer_of(out, sizeof(out));

	if (social_attachment_get_parse(data, len, &get) < 0)
		return;
	social_attachment_get_write(&w, &get);
	if (w.bad || social_attachment_get_parse(out, writer_len(&w), &again) < 0 ||
	    memcmp(again.post, get.post, sizeof(get.post)) != 0 || again.piece != get.piece ||
	    again.attachment != get.attachment || again.is_list != get.is_list)
		abort();
}

/* Whatever a head says, what is shown of it is a type and a name in one folder. */
static void judged_check(const struct attachment_head *head)
{
	if (!strchr(head->type, '/') || strchr(head->name, '/') || head->name[0] == '.')
		abort();
}

static void head_try(const uint8_t *data, size_t len)
{
	struct attachment_head head, again;
	uint8_t out[ATTACHMENT_HEAD_MAX];
	struct writer w = writer_of(out, sizeof(out));
	size_t off;

	if (social_attachment_head_parse(data, len, &head, &off) < 0)
		return;
	judged_check(&head);
	social_attachment_head_write(&w, &head);
	if (off > len || w.bad ||
	    social_attachment_head_parse(out, writer_len(&w), &again, &off) < 0 ||
	    strcmp(head.name, again.name) != 0 || strcmp(head.type, again.type) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct attachment_head head;
	const uint8_t *bytes;
	size_t bytes_len;

	get_try(data, len);
	head_try(data, len);
	social_attachment_type_parse((const char *)data, len, &head);
	judged_check(&head);
	if (social_attachment_data_parse(data, len, &bytes, &bytes_len) == 0 && bytes_len > len)
		abort();
	return 0;
}
