/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "social/chain/group_change.h"
#include "social/chain/group_message.h"
#include "social/object/group_note.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t out[GROUP_PAGE_LEN_MAX + 65536];

/* What is parsed is written as a state that is parsed again, with the same members. */
static void check_state(const uint8_t *data, size_t len)
{
	static struct group_state state, again;
	struct writer w = writer_of(out, sizeof(out));

	if (social_group_parse(data, len, &state) < 0)
		return;
	social_group_rewrite(&w, &state, state.admin, state.signature);
	if (w.bad || writer_len(&w) != len || memcmp(out, data, len) != 0 ||
	    social_group_parse(out, len, &again) < 0 || again.member_cnt != state.member_cnt)
		abort();
	(void)social_group_member(&state, state.admin);
}

/* A change is applied to a state of a few members, and what comes of it is a state. */
static void check_change(const uint8_t *data, size_t len)
{
	static const uint8_t id[GROUP_ID_LEN] = {1}, hash[GROUP_HASH_LEN] = {2};
	static struct group_change change, again;
	static struct group_state before, next;
	struct writer w = writer_of(out, sizeof(out));

	if (social_change_read(data, len, &change) < 0)
		return;
	social_change_write(&w, &change);
	if (w.bad || social_change_read(out, writer_len(&w), &again) < 0 ||
	    again.set_cnt != change.set_cnt || again.gone_cnt != change.gone_cnt)
		abort();
	before = (struct group_state){.group = id, .key = id, .shard_cnt = 1, .member_cnt = 4};
	for (unsigned i = 0; i < 4; i++) {
		before.members[i].key[0] = (uint8_t)i;
		before.members[i].role = (enum group_role)i;
	}
	w = writer_of(out, sizeof(out));
	if (social_change_apply(&before, &change, &w) < 0)
		return;
	if (social_group_parse(out, writer_len(&w), &next) < 0)
		abort();
	(void)social_group_judge(&before, hash, &next);
}

static void check_messages(const uint8_t *data, size_t len)
{
	static struct group_key_message key;
	static struct group_ask_message ask, ask_again;
	static struct group_page_message page, page_again;
	struct writer w = writer_of(out, sizeof(out));
	uint64_t epoch;

	if (social_group_key_read(data, len, &key) == 0) {
		social_group_key_write(&w, &key);
		if (w.bad || social_group_key_read(out, writer_len(&w), &key) < 0)
			abort();
	}
	w = writer_of(out, sizeof(out));
	if (social_group_ask_read(data, len, &ask) == 0) {
		social_group_ask_write(&w, &ask);
		if (w.bad || social_group_ask_read(out, writer_len(&w), &ask_again) < 0 ||
		    ask_again.head_cnt != ask.head_cnt || ask_again.note_cnt != ask.note_cnt)
			abort();
	}
	w = writer_of(out, sizeof(out));
	if (len <= GROUP_PAGE_LEN_MAX && social_group_page_read(data, len, &page) == 0) {
		social_group_page_write(&w, &page);
		if (w.bad || social_group_page_read(out, writer_len(&w), &page_again) < 0 ||
		    page_again.change_cnt != page.change_cnt)
			abort();
	}
	w = writer_of(out, sizeof(out));
	if (social_group_ack_read(data, len, &epoch) == 0) {
		social_group_ack_write(&w, epoch);
		if (w.bad)
			abort();
	}
}

static void check_notes(const uint8_t *data, size_t len)
{
	struct group_hide hide;
	struct group_leave leave;
	struct group_proof proof;

	unsigned kind_cnt = 0;

	/* The tag is signed and not sent, so what is one kind of note is no other. */
	kind_cnt += social_hide_read(data, len, &hide) == 0;
	kind_cnt += social_leave_read(data, len, &leave) == 0;
	kind_cnt += social_proof_read(data, len, &proof) == 0;
	if (kind_cnt > 1)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	check_state(data, len);
	check_change(data, len);
	check_messages(data, len);
	check_notes(data, len);
	return 0;
}
