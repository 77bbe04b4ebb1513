/* SPDX-License-Identifier: Apache-2.0 */
/* The target of a ban as an operator types it, and a ban's record in the store. */
#include <string.h>

#include "base/assert.h"
#include "base/byte_cursor.h"
#include "firewall/ban_rule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* What is accepted prints as text that is accepted as the same. */
static void check_target(const uint8_t *data, size_t len)
{
	char text[256], again_text[BAN_TARGET_TEXT_CAP];
	struct ban_target target, again;
	uint8_t id[BAN_ID_LEN], again_id[BAN_ID_LEN];

	if (len >= sizeof(text))
		return;
	memcpy(text, data, len);
	text[len] = '\0';
	if (firewall_ban_target_parse(text, &target) < 0)
		return;
	firewall_ban_target_format(&target, again_text);
	weft_assert(firewall_ban_target_parse(again_text, &again) == 0);
	firewall_ban_target_id(&target, id);
	firewall_ban_target_id(&again, again_id);
	weft_assert(memcmp(id, again_id, sizeof(id)) == 0);
	weft_assert(firewall_ban_target_has(&target, &target.addr));
}

static void check_record(const uint8_t *data, size_t len)
{
	uint8_t record[BAN_RECORD_LEN_MAX], id[BAN_ID_LEN];
	struct writer w = writer_of(record, sizeof(record));
	struct ban ban, again;

	if (len < BAN_ID_LEN ||
	    firewall_ban_record_parse(data, data + BAN_ID_LEN, len - BAN_ID_LEN, &ban) < 0)
		return;
	firewall_ban_target_id(&ban.target, id);
	firewall_ban_record_write(&w, &ban);
	weft_assert(!w.bad);
	weft_assert(firewall_ban_record_parse(id, record, writer_len(&w), &again) == 0);
	weft_assert(ban.added_s == again.added_s && ban.expires_s == again.expires_s);
	weft_assert(strcmp(ban.reason, again.reason) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_target(data, len);
	check_record(data, len);
	return 0;
}
