/* SPDX-License-Identifier: Apache-2.0 */
#include "usage.h"

#include <string.h>

int blobs_usage_init(struct usage *usage, struct arena *arena, const uint64_t secret[2])
{
	int err = pool_init(&usage->entries, arena, sizeof(struct usage_entry), USAGE_CAP);

	return err ? err : map_init(&usage->by_key, arena, USAGE_KEY_LEN, USAGE_CAP, secret);
}

/* Looks at all of them, once for a key that is new while the table is full. */
static void least_forget(struct usage *usage, uint64_t now_ns)
{
	struct usage_entry *entry = NULL, *least = NULL;
	uint64_t least_per_s = 0;

	while ((entry = pool_next(&usage->entries, entry))) {
		uint64_t per_s = blobs_byte_meter_per_s(&entry->meter, now_ns);

		if (least && (per_s > least_per_s ||
			      (per_s == least_per_s && entry->meter.at_ns >= least->meter.at_ns)))
			continue;
		least = entry;
		least_per_s = per_s;
	}
	(void)map_delete(&usage->by_key, least->key);
	pool_release(&usage->entries, least);
}

static struct usage_entry *entry_add(struct usage *usage, const uint8_t *key, uint64_t now_ns)
{
	struct usage_entry *entry;

	if (usage->entries.used_cnt == usage->entries.cap_cnt)
		least_forget(usage, now_ns);
	entry = pool_acquire(&usage->entries);
	memcpy(entry->key, key, sizeof(entry->key));
	if (map_put(&usage->by_key, key, entry) == 0)
		return entry;
	pool_release(&usage->entries, entry);
	return NULL;
}

void blobs_usage_note(struct usage *usage, const uint8_t key[static USAGE_KEY_LEN], uint64_t len,
		      uint64_t cnt, uint64_t now_ns)
{
	struct usage_entry *entry = map_lookup(&usage->by_key, key);

	if (!entry)
		entry = entry_add(usage, key, now_ns);
	if (!entry)
		return;
	entry->len += len;
	entry->cnt += cnt;
	blobs_byte_meter_note(&entry->meter, len, now_ns);
}

const struct usage_entry *blobs_usage_next(const struct usage *usage,
					   const struct usage_entry *entry)
{
	return pool_next(&usage->entries, entry);
}

bool blobs_usage_change_next(struct usage_change_iter *iter)
{
	struct usage_entry *entry = iter->entry;

	do
		entry = pool_next(&iter->usage->entries, entry);
	while (entry && entry->len == entry->told_len);
	iter->entry = entry;
	if (!entry)
		return false;
	iter->len = entry->len - entry->told_len;
	iter->cnt = entry->cnt - entry->told_cnt;
	entry->told_len = entry->len;
	entry->told_cnt = entry->cnt;
	return true;
}
