/* SPDX-License-Identifier: Apache-2.0 */
#include "community/record/page_cursor.h"

#include "support/check.h"

#define WALL_S 1800000000ull

static const uint8_t key[COMMUNITY_CURSOR_KEY_LEN] = {1}, other_key[COMMUNITY_CURSOR_KEY_LEN] = {2};
static const uint8_t id[32] = {3}, other_id[32] = {4}, asker[32] = {5}, other_asker[32] = {6};

static struct community_cursor_scope scope_of(const uint8_t *of, const uint8_t *by,
					      const char *what)
{
	return (struct community_cursor_scope){
		.id = of, .asker = by, .question = what, .question_len = strlen(what)};
}

static void make(enum community_cursor_kind kind, uint8_t out[static COMMUNITY_CURSOR_LEN])
{
	struct community_cursor_scope scope = scope_of(id, asker, "words");
	struct community_cursor cursor = {.issued_s = WALL_S, .place = {9, 8, 7}};

	scope.key = key;
	scope.kind = kind;
	community_cursor_write(&scope, &cursor, out);
}

static int parse_in(const uint8_t *with, struct community_cursor_scope scope,
		    enum community_cursor_kind kind, const uint8_t *bytes, size_t len,
		    uint64_t wall_s)
{
	struct community_cursor cursor;
	int err;

	scope.key = with;
	scope.kind = kind;
	err = community_cursor_parse(&scope, bytes, len, wall_s, &cursor);
	return err == 0 && (cursor.place[0] != 9 || cursor.place[2] != 7) ? -1 : err;
}

static void test_a_cursor_holds_for_what_it_was_made_for(void)
{
	uint8_t bytes[COMMUNITY_CURSOR_LEN];
	struct community_cursor_scope scope = scope_of(id, asker, "words");
	const enum community_cursor_kind kind = COMMUNITY_CURSOR_SEARCH;

	make(kind, bytes);
	CHECK_EQ(parse_in(key, scope, kind, bytes, sizeof(bytes), WALL_S), 0);
	CHECK_EQ(parse_in(other_key, scope, kind, bytes, sizeof(bytes), WALL_S), WEFT_EDAMAGED);
	CHECK_EQ(parse_in(key, scope_of(other_id, asker, "words"), kind, bytes, sizeof(bytes),
			  WALL_S),
		 WEFT_EDAMAGED);
	CHECK_EQ(parse_in(key, scope_of(id, other_asker, "words"), kind, bytes, sizeof(bytes),
			  WALL_S),
		 WEFT_EDAMAGED);
	CHECK_EQ(parse_in(key, scope_of(id, asker, "other"), kind, bytes, sizeof(bytes), WALL_S),
		 WEFT_EDAMAGED);
	CHECK_EQ(parse_in(key, scope, COMMUNITY_CURSOR_SHARES, bytes, sizeof(bytes), WALL_S),
		 WEFT_EMALFORMED);
}

static void test_every_changed_bit_is_noticed(void)
{
	uint8_t bytes[COMMUNITY_CURSOR_LEN];
	struct community_cursor_scope scope = scope_of(id, asker, "words");

	make(COMMUNITY_CURSOR_MEMBERS, bytes);
	for (unsigned bit = 0; bit < COMMUNITY_CURSOR_LEN * 8; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		CHECK_EQ(parse_in(key, scope, COMMUNITY_CURSOR_MEMBERS, bytes, sizeof(bytes),
				  WALL_S),
			 WEFT_EDAMAGED);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void test_every_other_length_is_refused(void)
{
	uint8_t bytes[COMMUNITY_CURSOR_LEN + 1] = {0};
	struct community_cursor_scope scope = scope_of(id, asker, "words");

	make(COMMUNITY_CURSOR_MEMBERS, bytes);
	for (size_t len = 0; len <= sizeof(bytes); len++)
		CHECK_EQ(parse_in(key, scope, COMMUNITY_CURSOR_MEMBERS, bytes, len, WALL_S),
			 len == COMMUNITY_CURSOR_LEN ? 0 : WEFT_EMALFORMED);
}

static void test_an_old_cursor_is_refused(void)
{
	static const struct {
		enum community_cursor_kind kind;
		uint64_t life_s;
	} rows[] = {{COMMUNITY_CURSOR_MEMBERS, COMMUNITY_PAGE_LIFE_S},
		    {COMMUNITY_CURSOR_EVENTS, COMMUNITY_EVENTS_LIFE_S}};
	struct community_cursor_scope scope = scope_of(id, asker, "words");
	uint8_t bytes[COMMUNITY_CURSOR_LEN];

	for (size_t i = 0; i < 2; i++) {
		make(rows[i].kind, bytes);
		CHECK_EQ(parse_in(key, scope, rows[i].kind, bytes, sizeof(bytes),
				  WALL_S + rows[i].life_s - 1),
			 0);
		CHECK_EQ(parse_in(key, scope, rows[i].kind, bytes, sizeof(bytes),
				  WALL_S + rows[i].life_s),
			 WEFT_ESTALE);
		CHECK_EQ(parse_in(key, scope, rows[i].kind, bytes, sizeof(bytes),
				  WALL_S - COMMUNITY_SKEW_S - 1),
			 WEFT_ESTALE);
	}
}

int main(void)
{
	RUN(test_a_cursor_holds_for_what_it_was_made_for);
	RUN(test_every_changed_bit_is_noticed);
	RUN(test_every_other_length_is_refused);
	RUN(test_an_old_cursor_is_refused);
	return check_done();
}
