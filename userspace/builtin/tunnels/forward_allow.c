/* SPDX-License-Identifier: Apache-2.0 */
#include "builtin/tunnels/forward_allow.h"

#include <string.h>

#include "codec/text/zbase32.h"

#define BLANKS	  " \t"
#define COMMUNITY "community:"

/* member_read reads MEMBER of len bytes. */
static int member_read(const char *text, size_t len, struct forward_member *member)
{
	size_t head_len = sizeof(COMMUNITY) - 1;

	member->is_community = len > head_len && memcmp(text, COMMUNITY, head_len) == 0;
	if (member->is_community) {
		text += head_len;
		len -= head_len;
	}
	return zbase32_parse(text, len, member->id, sizeof(member->id)) == MESH_KEY_LEN
		       ? 0
		       : WEFT_EMALFORMED;
}

/* target_read reads one ADDRESS:PORT of len bytes. */
static int target_read(const char *text, size_t len, struct forward_member *member)
{
	struct addr *target = &member->targets[member->target_cnt];
	char copy[ADDR_TEXT_CAP];

	if (member->target_cnt == FORWARD_TARGET_MAX)
		return WEFT_EFULL;
	if (len >= sizeof(copy))
		return WEFT_EMALFORMED;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (addr_parse(copy, target) < 0 || target->port == 0 || !addr_is_unicast(target))
		return WEFT_EMALFORMED;
	member->target_cnt++;
	return 0;
}

/* row_read reads one row of len bytes. */
static int row_read(const char *text, size_t len, struct forward_member *member)
{
	const char *end = text + len, *equals = memchr(text, '=', len);
	int err;

	if (!equals || equals + 1 == end)
		return WEFT_EMALFORMED;
	err = member_read(text, (size_t)(equals - text), member);
	for (text = equals + 1; err == 0; text += len + 1) {
		const char *comma = memchr(text, ',', (size_t)(end - text));

		len = (size_t)((comma ? comma : end) - text);
		err = target_read(text, len, member);
		if (!comma)
			break;
	}
	return err;
}

int builtin_forward_allow_parse(const char *text, struct forward_allow *out_allow)
{
	struct forward_allow allow = {.member_cnt = 0};
	int err = 0;

	for (text += strspn(text, BLANKS); *text; text += strspn(text, BLANKS)) {
		size_t len = strcspn(text, BLANKS);

		if (allow.member_cnt == FORWARD_MEMBER_MAX)
			return WEFT_EFULL;
		err = row_read(text, len, &allow.members[allow.member_cnt++]);
		if (err < 0)
			return err;
		text += len;
	}
	*out_allow = allow;
	return 0;
}
