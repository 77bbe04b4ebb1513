/* SPDX-License-Identifier: Apache-2.0 */
#include "semver.h"

#include <string.h>

#include "base/byte_cursor.h"

/* --- versions --- */

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_identifier_char(uint8_t c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

static bool next_is(const struct cursor *c, char want)
{
	return cursor_left(c) && *c->pos == want;
}

static bool take(struct cursor *c, char want)
{
	if (!next_is(c, want))
		return false;
	c->pos++;
	return true;
}

/* A number without leading zeros. */
static uint32_t number_read(struct cursor *c)
{
	const uint8_t *start = c->pos;
	uint64_t value = 0;

	while (cursor_left(c) && is_digit(*c->pos) && value <= SEMVER_NUMBER_MAX)
		value = 10 * value + (uint64_t)(*c->pos++ - '0');
	if (c->pos == start || (*start == '0' && c->pos - start > 1) || value > SEMVER_NUMBER_MAX)
		c->bad = true;
	return (uint32_t)value;
}

/* Identifiers divided by dots; a number among them has no leading zeros where numbers are compared. */
static void identifiers_read(struct cursor *c, bool are_compared)
{
	do {
		const uint8_t *start = c->pos;
		bool is_number = true;

		for (; cursor_left(c) && is_identifier_char(*c->pos); c->pos++)
			is_number = is_number && is_digit(*c->pos);
		if (c->pos == start ||
		    (are_compared && is_number && *start == '0' && c->pos - start > 1))
			c->bad = true;
	} while (take(c, '.'));
}

static void suffixes_read(struct cursor *c, struct semver *version)
{
	if (take(c, '-')) {
		version->pre = (const char *)c->pos;
		identifiers_read(c, true);
		version->pre_len = (size_t)((const char *)c->pos - version->pre);
	}
	if (take(c, '+'))
		identifiers_read(c, false);
}

int semver_parse(const char *text, size_t len, struct semver *out_version)
{
	struct cursor c = cursor_of(text, len);
	struct semver version = {0};

	if (len > SEMVER_LEN_MAX)
		return WEFT_EMALFORMED;
	version.major = number_read(&c);
	c.bad |= !take(&c, '.');
	version.minor = number_read(&c);
	c.bad |= !take(&c, '.');
	version.patch = number_read(&c);
	suffixes_read(&c, &version);
	if (c.bad || cursor_left(&c))
		return WEFT_EMALFORMED;
	*out_version = version;
	return 0;
}

static int number_compare(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

static int bytes_compare(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	int order = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return order ? order : (a_len > b_len) - (a_len < b_len);
}

static size_t identifier_len(const struct cursor *c, bool *out_is_number)
{
	size_t len = 0;

	*out_is_number = true;
	for (; len < cursor_left(c) && c->pos[len] != '.'; len++)
		*out_is_number = *out_is_number && is_digit(c->pos[len]);
	return len;
}

/* Semantic Versioning, 11.4: numbers by value and before words, words by their bytes. */
static int identifier_compare(struct cursor *a, struct cursor *b)
{
	bool a_is_number, b_is_number;
	size_t a_len = identifier_len(a, &a_is_number), b_len = identifier_len(b, &b_is_number);
	const uint8_t *a_at = cursor_bytes(a, a_len), *b_at = cursor_bytes(b, b_len);

	if (a_is_number != b_is_number)
		return a_is_number ? -1 : 1;
	/* Without leading zeros the longer number is the greater. */
	if (a_is_number && a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return bytes_compare(a_at, a_len, b_at, b_len);
}

static int pre_compare(const struct semver *a, const struct semver *b)
{
	struct cursor a_at = cursor_of(a->pre, a->pre_len), b_at = cursor_of(b->pre, b->pre_len);

	if (!a->pre_len || !b->pre_len)
		return (a->pre_len == 0) - (b->pre_len == 0);
	for (;;) {
		int order = identifier_compare(&a_at, &b_at);

		if (order)
			return order;
		if (!take(&a_at, '.'))
			return next_is(&b_at, '.') ? -1 : 0;
		if (!take(&b_at, '.'))
			return 1;
	}
}

int semver_compare(const struct semver *a, const struct semver *b)
{
	int order = number_compare(a->major, b->major);

	if (order == 0)
		order = number_compare(a->minor, b->minor);
	if (order == 0)
		order = number_compare(a->patch, b->patch);
	return order ? order : pre_compare(a, b);
}

/* --- ranges --- */

enum comparator { OP_EQUAL, OP_CARET, OP_TILDE, OP_AT_LEAST, OP_BELOW };

static enum comparator comparator_read(struct cursor *c)
{
	if (take(c, '^'))
		return OP_CARET;
	if (take(c, '~'))
		return OP_TILDE;
	if (take(c, '<'))
		return OP_BELOW;
	if (take(c, '>')) {
		c->bad |= !take(c, '=');
		return OP_AT_LEAST;
	}
	(void)take(c, '=');
	return OP_EQUAL;
}

/* One to three numbers, a pre-release and build only after three. Returns how many numbers. */
static unsigned partial_read(struct cursor *c, struct semver *version)
{
	*version = (struct semver){.major = number_read(c)};
	if (!take(c, '.'))
		return 1;
	version->minor = number_read(c);
	if (!take(c, '.'))
		return 2;
	version->patch = number_read(c);
	suffixes_read(c, version);
	return 3;
}

/* The first version after all that share the first number_cnt numbers of version. */
static struct semver version_after(const struct semver *version, unsigned number_cnt)
{
	switch (number_cnt) {
	case 1:
		return (struct semver){.major = version->major + 1};
	case 2:
		return (struct semver){.major = version->major, .minor = version->minor + 1};
	default:
		return (struct semver){.major = version->major,
				       .minor = version->minor,
				       .patch = version->patch + 1};
	}
}

/* How many numbers ^ holds fast: up to the first that is not 0, of those that are given. */
static unsigned caret_number_cnt(const struct semver *version, unsigned given_cnt)
{
	if (version->major || given_cnt == 1)
		return 1;
	return version->minor || given_cnt == 2 ? 2 : 3;
}

static void part_read(struct cursor *c, struct semver_range_part *part)
{
	enum comparator comparator = comparator_read(c);
	unsigned number_cnt;

	*part = (struct semver_range_part){.has_high = true};
	number_cnt = partial_read(c, &part->low);
	switch (comparator) {
	case OP_EQUAL:
		part->is_exact = number_cnt == 3;
		part->high = version_after(&part->low, number_cnt);
		break;
	case OP_CARET:
		part->high = version_after(&part->low, caret_number_cnt(&part->low, number_cnt));
		break;
	case OP_TILDE:
		part->high = version_after(&part->low, number_cnt == 1 ? 1 : 2);
		break;
	case OP_AT_LEAST:
		part->has_high = false;
		break;
	case OP_BELOW:
		part->high = part->low;
		part->low = (struct semver){0};
		break;
	}
}

int semver_range_parse(const char *text, size_t len, struct semver_range *out_range)
{
	struct cursor c = cursor_of(text, len);
	struct semver_range range = {0};

	if (len > SEMVER_RANGE_LEN_MAX)
		return WEFT_EMALFORMED;
	if (len == 1 && text[0] == '*')
		len = 0;
	while (len && !c.bad && cursor_left(&c)) {
		if (range.part_cnt == SEMVER_RANGE_PARTS_MAX)
			return WEFT_EMALFORMED;
		part_read(&c, &range.parts[range.part_cnt++]);
		/* One space between parts, and none at the end. */
		if (cursor_left(&c) && (!take(&c, ' ') || !cursor_left(&c)))
			c.bad = true;
	}
	if (c.bad)
		return WEFT_EMALFORMED;
	*out_range = range;
	return 0;
}

static bool part_has(const struct semver_range_part *part, const struct semver *version)
{
	int order = semver_compare(version, &part->low);

	if (part->is_exact || order < 0)
		return order == 0;
	return !part->has_high || semver_compare(version, &part->high) < 0;
}

/* part names a pre-release of version's three numbers. */
static bool part_names_pre(const struct semver_range_part *part, const struct semver *version)
{
	const struct semver *named = part->low.pre_len ? &part->low : &part->high;

	return named->pre_len && named->major == version->major && named->minor == version->minor &&
	       named->patch == version->patch;
}

bool semver_range_has(const struct semver_range *range, const struct semver *version)
{
	bool is_named = version->pre_len == 0;

	for (unsigned i = 0; i < range->part_cnt; i++) {
		if (!part_has(&range->parts[i], version))
			return false;
		is_named = is_named || part_names_pre(&range->parts[i], version);
	}
	return is_named;
}
