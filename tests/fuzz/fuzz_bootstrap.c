/* SPDX-License-Identifier: Apache-2.0 */
/* A bootstrap list, as text and as bytes whose body is signed here, so that its fields are reached. */
#include <string.h>

#include "base/assert.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "locate/bootstrap_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_text(const uint8_t *data, size_t len)
{
	static char text[2 * BOOTSTRAP_TEXT_CAP], again[BOOTSTRAP_TEXT_CAP];
	static uint8_t bytes[BOOTSTRAP_LEN_MAX], back[BOOTSTRAP_LEN_MAX];
	size_t read_len, back_len;

	if (len >= sizeof(text))
		return;
	memcpy(text, data, len);
	text[len] = '\0';
	if (locate_bootstrap_text_read(text, bytes, &read_len) < 0)
		return;
	locate_bootstrap_text_write(bytes, read_len, again);
	weft_assert(locate_bootstrap_text_read(again, back, &back_len) == 0);
	weft_assert(back_len == read_len && memcmp(bytes, back, read_len) == 0);
}

/* What is read is written so that it is read as the same. */
static void check_body(const uint8_t *data, size_t len)
{
	static struct node_key *key;
	static uint8_t bytes[BOOTSTRAP_LEN_MAX + SIGNED_OVERHEAD_MAX];
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct bootstrap_list list, again;

	if (!key)
		weft_assert(node_key_from_seed(seed, &key) == 0);
	signed_write(&w, key, BOOTSTRAP_TAG, data, len);
	if (w.bad || locate_bootstrap_list_parse(bytes, writer_len(&w), &list) < 0)
		return;
	w = writer_of(bytes, sizeof(bytes));
	locate_bootstrap_list_write(&w, key, &list);
	weft_assert(!w.bad);
	weft_assert(locate_bootstrap_list_parse(bytes, writer_len(&w), &again) == 0);
	weft_assert(locate_bootstrap_list_equal(&list, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct bootstrap_list list;

	if (locate_bootstrap_list_parse(data, len, &list) == 0)
		weft_assert(list.entry_cnt <= BOOTSTRAP_ENTRIES_MAX && list.serial > 0);
	check_text(data, len);
	check_body(data, len);
	return 0;
}
