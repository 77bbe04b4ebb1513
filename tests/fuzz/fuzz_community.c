/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records, requests, answers and cursors of communities: what parses holds its limits and is
 * written again as it was read. The first byte says which.
 */
#include <string.h>

#include "base/assert.h"
#include "community/record/community_message.h"
#include "crypto/node_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_records(const uint8_t *data, size_t len)
{
	struct community_token token;
	struct community_member member;
	struct community_share share;
	static struct community_revocations revocations;
	struct community_hint hint;

	if (community_token_parse(data, len, &token) == 0)
		weft_assert(token.expires_s - token.issued_s <= COMMUNITY_TOKEN_LIFE_S_MAX);
	if (community_member_parse(data, len, &member) == 0) {
		weft_assert(member.places.via_cnt <= PEER_VIAS_MAX);
		weft_assert(member.places.addr_cnt <= PEER_ADDRS_MAX);
		weft_assert(member.token_len <= COMMUNITY_TOKEN_LEN_MAX);
		weft_assert(!community_member_is_newer(&member, &member));
	}
	if (community_share_parse(data, len, &share) == 0) {
		weft_assert(share.binding.title_len <= COMMUNITY_TITLE_LEN_MAX);
		weft_assert(share.binding.text_len <= COMMUNITY_TEXT_LEN_MAX);
		weft_assert(memcmp(share.id, share.binding.id, sizeof(share.id)) == 0);
		weft_assert(!community_share_is_newer(&share, &share));
	}
	if (community_revocations_parse(data, len, &revocations) == 0) {
		weft_assert(revocations.epoch > 0 &&
			    revocations.expelled_cnt <= COMMUNITY_EXPELLED_MAX);
		for (unsigned i = 0; i < revocations.expelled_cnt; i++)
			weft_assert(
				community_revocations_has(&revocations, revocations.expelled[i]));
		weft_assert(!community_revocations_is_newer(&revocations, &revocations));
	}
	if (community_hint_parse(data, len, &hint) == 0)
		weft_assert(hint.sample_cnt <= COMMUNITY_SAMPLES_MAX);
}

static void check_request(const uint8_t *data, size_t len)
{
	static uint8_t bytes[2 * 65536];
	struct community_request request, again;
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (len > 65535 || community_request_parse(data, len, &request) < 0)
		return;
	weft_assert(request.first_bucket <= request.last_bucket);
	weft_assert(request.last_bucket < COMMUNITY_BUCKETS);
	community_request_write(&w, &request);
	weft_assert(!w.bad);
	weft_assert(community_request_parse(bytes, writer_len(&w), &again) == 0);
	weft_assert(again.words_len == request.words_len && again.epoch == request.epoch &&
		    again.key_epoch == request.key_epoch);
	weft_assert(again.last_bucket == request.last_bucket);
	weft_assert(memcmp(again.id, request.id, COMMUNITY_ID_LEN) == 0);
}

static void check_answers(const uint8_t *data, size_t len)
{
	static uint8_t bytes[2 * 65536];
	struct community_shown shown;
	struct community_state state;
	static struct community_page page, again;
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (len > 65535)
		return;
	if (community_state_parse(data, len, &state) == 0)
		weft_assert(state.cursor.len <= COMMUNITY_CURSOR_LEN);
	if (community_shown_parse(data, len, &shown) == 0)
		weft_assert(shown.revocations.len <= COMMUNITY_REVOCATIONS_LEN_MAX &&
			    shown.token.len <= COMMUNITY_TOKEN_LEN_MAX);
	if (community_shown_parse(data, len, &shown) == 0) {
		struct community_shown reread;

		community_shown_write(&w, &shown);
		weft_assert(!w.bad && community_shown_parse(bytes, writer_len(&w), &reread) == 0);
		weft_assert(reread.revocations.len == shown.revocations.len &&
			    !reread.box == !shown.box);
		w = writer_of(bytes, sizeof(bytes));
	}
	if (community_page_parse(data, len, &page) < 0)
		return;
	weft_assert(page.member_cnt + page.share_cnt <= COMMUNITY_PAGE_MAX);
	community_page_write(&w, &page);
	weft_assert(!w.bad);
	weft_assert(community_page_parse(bytes, writer_len(&w), &again) == 0);
	weft_assert(again.member_cnt == page.member_cnt && again.share_cnt == page.share_cnt);
	weft_assert(again.has_more == page.has_more && again.cursor.len == page.cursor.len);
}

/* The MAC decides: no input is a cursor of this node. */
static void check_cursor(const uint8_t *data, size_t len)
{
	static const uint8_t key[COMMUNITY_CURSOR_KEY_LEN] = {7}, id[32], asker[32];
	struct community_cursor_scope scope = {.key = key, .id = id, .asker = asker};
	struct community_cursor cursor;

	for (unsigned kind = COMMUNITY_CURSOR_MEMBERS; kind <= COMMUNITY_CURSOR_EVENTS; kind++) {
		scope.kind = (enum community_cursor_kind)kind;
		weft_assert(community_cursor_parse(&scope, data, len, 1800000000, &cursor) < 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!len)
		return 0;
	switch (data[0] % 4) {
	case 0:
		check_records(data + 1, len - 1);
		break;
	case 1:
		check_request(data + 1, len - 1);
		break;
	case 2:
		check_answers(data + 1, len - 1);
		break;
	default:
		check_cursor(data + 1, len - 1);
	}
	return 0;
}
