/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/dns.h"

#include "support/check.h"
#include "support/hex_digits.h"

#define MESSAGE_CAP 1200

/* Header with these counts: questions, answers, authorities, additionals. */
#define HEAD(qd, an, ns, ar) "00008000" qd an ns ar

static uint8_t message[MESSAGE_CAP];

static int walk(const uint8_t *data, size_t len, unsigned *out_answer_cnt)
{
	struct dns_reader r;
	struct dns_record record;

	*out_answer_cnt = 0;
	dns_reader_init(&r, data, len);
	while (dns_next_answer(&r, &record))
		++*out_answer_cnt;
	return dns_reader_finish(&r);
}

#define TXT_TAIL                                                                                   \
	"00100001000000"                                                                           \
	"1e"                                                                                       \
	"0003"                                                                                     \
	"026162" /* type, class, ttl 30, "ab" */
static const struct {
	const char *hex;
	int answer_cnt; /* -1: refused */
	const char *why;
} rows[] = {
	{HEAD("0000", "0000", "0000", "0000"), 0, "nothing in it"},
	{HEAD("0000", "0001", "0000", "0000") "016100" TXT_TAIL, 1, "one record"},
	{HEAD("0000", "0001", "0000", "0000") "00" TXT_TAIL, 1, "the root's own"},
	{HEAD("0001", "0001", "0000", "0000") "0161000010"
					      "0001"
					      "c00c" TXT_TAIL,
	 1, "an answer that points to the question"},
	{HEAD("0000", "0002", "0000", "0000") "016100" TXT_TAIL "0162c00c" TXT_TAIL, 2,
	 "label and pointer"},
	{HEAD("0000", "0003", "0000", "0000") "016100" TXT_TAIL "0162c00c" TXT_TAIL
					      "0163c01c" TXT_TAIL,
	 3, "a pointer to a name with a pointer"},
	{HEAD("0000", "0000", "0001", "0001") "016100" TXT_TAIL "016200" TXT_TAIL, 0,
	 "authority and additional"},
	{HEAD("0000", "0001", "0000", "0000") "016100"
					      "0001"
					      "0001"
					      "0000001e"
					      "0000",
	 1, "data of no bytes"},
	{"00008000000000000000", -1, "header cut short"},
	{HEAD("0000", "0000", "0000", "0000") "00", -1, "a byte left over"},
	{HEAD("0000", "0002", "0000", "0000") "016100" TXT_TAIL, -1, "fewer answers than said"},
	{HEAD("0001", "0000", "0000", "0000"), -1, "fewer questions than said"},
	{HEAD("0000", "0000", "ffff", "ffff"), -1, "more other records than a counter holds"},
	{HEAD("0000", "0001", "0000", "0000") "c00c" TXT_TAIL, -1, "a pointer to itself"},
	{HEAD("0000", "0001", "0000", "0000") "0161c00c" TXT_TAIL, -1, "a pointer to its own name"},
	{HEAD("0000", "0001", "0000", "0000") "c00e" TXT_TAIL, -1, "a pointer forward"},
	{HEAD("0000", "0001", "0000", "0000") "ffff" TXT_TAIL, -1, "a pointer behind the end"},
	{HEAD("0000", "0001", "0000", "0000") "c000" TXT_TAIL, -1, "a pointer into the header"},
	{HEAD("0000", "0001", "0000", "0000") "c00b" TXT_TAIL, -1,
	 "a pointer to the header's last byte"},
	{HEAD("0000", "0001", "0000", "0000") "c0", -1, "half a pointer"},
	{HEAD("0000", "0001", "0000", "0000") "4161" TXT_TAIL, -1, "label of kind 01"},
	{HEAD("0000", "0001", "0000", "0000") "8161" TXT_TAIL, -1, "label of kind 10"},
	{HEAD("0000", "0001", "0000", "0000") "0261", -1, "label cut short"},
	{HEAD("0000", "0001", "0000", "0000") "016100"
					      "00100001"
					      "0000001e"
					      "0004"
					      "026162",
	 -1, "data cut short"},
	/* The second name points at a label whose rest runs into the second name itself. */
	{HEAD("0000", "0002", "0000", "0000") "00"
					      "00100001"
					      "0000001e"
					      "0002"
					      "0161"
					      "c018" TXT_TAIL,
	 -1, "a name without an end before the pointer"},
};

static void test_every_rule_is_enforced(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = hex_parse(rows[i].hex, message);
		unsigned cnt;
		int err = walk(message, len, &cnt);

		if ((err == 0) != (rows[i].answer_cnt >= 0))
			printf("# %s\n", rows[i].why);
		CHECK_EQ(err, rows[i].answer_cnt < 0 ? WEFT_EMALFORMED : 0);
		if (err == 0)
			CHECK_EQ(cnt, rows[i].answer_cnt);
	}
}

static void test_every_prefix_is_refused(void)
{
	size_t len = hex_parse(rows[5].hex, message);
	unsigned cnt;

	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);
		int err;

		CHECK(exact);
		memcpy(exact, message, cut);
		err = walk(exact, cut, &cnt);
		free(exact);
		CHECK_EQ(err, WEFT_EMALFORMED);
	}
}

/* Three labels of 63 and one of 61 with their lengths and the root are 255. */
static size_t long_name_write(struct writer *w, unsigned last_len)
{
	size_t begin = writer_len(w);

	for (unsigned i = 0; i < 4; i++) {
		unsigned len = i < 3 ? DNS_LABEL_LEN_MAX : last_len;

		writer_u8(w, (uint8_t)len);
		memset(writer_reserve(w, len), 'a', len);
	}
	writer_u8(w, 0);
	return writer_len(w) - begin;
}

static void test_a_name_of_255_bytes_is_the_longest(void)
{
	for (unsigned last_len = 61; last_len <= 62; last_len++) {
		struct writer w = writer_of(message, sizeof(message));
		unsigned cnt;

		w.pos += hex_parse(HEAD("0000", "0001", "0000", "0000"), message);
		CHECK_EQ(long_name_write(&w, last_len), DNS_NAME_LEN_MAX + last_len - 61);
		w.pos += hex_parse(TXT_TAIL, w.pos);
		CHECK_EQ(walk(message, writer_len(&w), &cnt), last_len == 61 ? 0 : WEFT_EMALFORMED);
	}
}

/* Names that each are a label and a pointer to the last: bounded by the name's length, not by time. */
static void test_a_chain_of_pointers_ends_at_255_bytes(void)
{
	struct writer w = writer_of(message, sizeof(message));
	uint16_t last = DNS_HEADER_LEN;
	unsigned cnt;

	w.pos += hex_parse(HEAD("0000", "0040", "0000", "0000"), message);
	w.pos += hex_parse("0361626300" TXT_TAIL, w.pos);
	for (unsigned i = 1; i < 64; i++) {
		uint16_t at = (uint16_t)writer_len(&w);

		w.pos += hex_parse("03616263", w.pos);
		writer_be16(&w, (uint16_t)(0xc000 | last));
		w.pos += hex_parse("00010001000000000000", w.pos);
		last = at;
		CHECK(!w.bad);
	}
	CHECK_EQ(walk(message, writer_len(&w), &cnt), WEFT_EMALFORMED);
	CHECK_EQ(cnt, 63); /* 63 * 4 + 1 = 253 bytes; one more would be 257 */
}

static void test_names_from_text(void)
{
	static const char *const good[] = {"a", "_mesh.example", "a.b.c.d"};
	static const char *const bad[] = {"", ".", "a.", ".a", "a..b"};
	char label[DNS_LABEL_LEN_MAX + 2] = {0}, whole[4 * (DNS_LABEL_LEN_MAX + 1)];
	struct dns_name name, other;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK_EQ(dns_name_parse(good[i], &name), 0);
		CHECK_EQ(name.len, strlen(good[i]) + 2);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(dns_name_parse(bad[i], &name), WEFT_EMALFORMED);
	memset(label, 'x', DNS_LABEL_LEN_MAX);
	CHECK_EQ(dns_name_parse(label, &name), 0);
	snprintf(whole, sizeof(whole), "%s.%s.%s.%.61s", label, label, label, label);
	CHECK_EQ(dns_name_parse(whole, &name), 0);
	CHECK_EQ(name.len, DNS_NAME_LEN_MAX);
	snprintf(whole, sizeof(whole), "%s.%s.%s.%.62s", label, label, label, label);
	CHECK_EQ(dns_name_parse(whole, &name), WEFT_EMALFORMED);
	label[DNS_LABEL_LEN_MAX] = 'x';
	CHECK_EQ(dns_name_parse(label, &name), WEFT_EMALFORMED);

	CHECK_EQ(dns_name_parse("_Mesh.eXample", &name), 0);
	CHECK_EQ(dns_name_parse("_mesh.Example", &other), 0);
	CHECK(dns_name_equal(&name, &other));
	CHECK_EQ(dns_name_parse("_mesh.exampla", &other), 0);
	CHECK(!dns_name_equal(&name, &other));
	CHECK_EQ(dns_name_parse("_mesh", &other), 0);
	CHECK(!dns_name_equal(&name, &other));
}

static void test_strings_of_a_txt_record_are_walked(void)
{
	static const uint8_t data[] = "\x02"
				      "ab"
				      "\x00"
				      "\x03"
				      "cde";
	struct cursor c = cursor_of(data, sizeof(data) - 1);
	const char *text;
	size_t len;

	CHECK(dns_txt_next(&c, &text, &len) && len == 2 && memcmp(text, "ab", 2) == 0);
	CHECK(dns_txt_next(&c, &text, &len) && len == 0);
	CHECK(dns_txt_next(&c, &text, &len) && len == 3 && memcmp(text, "cde", 3) == 0);
	CHECK(!dns_txt_next(&c, &text, &len) && !c.bad);
	c = cursor_of(data, 2);
	CHECK(!dns_txt_next(&c, &text, &len) && c.bad);
}

static const struct {
	const char *name;
	const char *text;
} written[] = {
	{"_mesh.example", "one"}, {"_mesh.example", ""}, {"example", "three"},
	{"_iroh.example", "4"},	  {"_mesh.other", "5"},
};

static void test_what_is_written_is_read_back_and_compressed(void)
{
	struct dns_writer w;
	struct dns_reader r;
	struct dns_record record;
	int len;

	dns_writer_init(&w, message, sizeof(message));
	for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
		struct dns_name name;

		CHECK_EQ(dns_name_parse(written[i].name, &name), 0);
		dns_write_txt(&w, &name, 30, written[i].text, strlen(written[i].text));
	}
	len = dns_writer_finish(&w);
	/* Names take 15, 2, 2, 6 + 2 and 6 + 7 bytes; "_mesh" alone is nothing to point to. */
	CHECK_EQ(len, DNS_HEADER_LEN + 15 + 2 + 2 + 8 + 13 + 5 * 11 + 3 + 0 + 5 + 1 + 1);

	dns_reader_init(&r, message, (size_t)len);
	CHECK_EQ(r.flags, DNS_FLAG_RESPONSE);
	for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
		struct dns_name name;
		const char *text;
		size_t text_len;

		CHECK(dns_next_answer(&r, &record));
		CHECK_EQ(dns_name_parse(written[i].name, &name), 0);
		CHECK(dns_name_equal(&record.name, &name));
		CHECK_EQ(record.type, DNS_TYPE_TXT);
		CHECK_EQ(record.class, DNS_CLASS_IN);
		CHECK_EQ(record.ttl_s, 30);
		CHECK(dns_txt_next(&record.data, &text, &text_len));
		CHECK_EQ(text_len, strlen(written[i].text));
		CHECK_MEM(text, written[i].text, text_len);
	}
	CHECK_EQ(dns_reader_finish(&r), 0);
}

/* Every buffer that is too small is refused, and no byte behind it is written. */
static void test_a_small_buffer_is_refused_and_a_record_taken_back(void)
{
	struct dns_name name;
	struct dns_writer w, before;

	CHECK_EQ(dns_name_parse("_mesh.example", &name), 0);
	for (size_t cap = 0; cap < 12 + 15 + 10 + 4; cap++) {
		memset(message, 0xee, sizeof(message));
		dns_writer_init(&w, message, cap);
		dns_write_txt(&w, &name, 30, "abc", 3);
		CHECK_EQ(dns_writer_finish(&w), WEFT_ETOOSMALL);
		CHECK_EQ(message[cap], 0xee);
	}
	dns_writer_init(&w, message, 12 + 15 + 10 + 4);
	before = w;
	dns_write_txt(&w, &name, 30, "abcd", 4);
	CHECK(w.w.bad);
	w = before;
	dns_write_txt(&w, &name, 30, "abc", 3);
	CHECK_EQ(dns_writer_finish(&w), 12 + 15 + 10 + 4);
}

/* More names than there are labels to point to: written in full, and right. */
static void test_names_beyond_the_table_are_written_in_full(void)
{
	char text[16];
	struct dns_name name;
	struct dns_writer w;
	struct dns_reader r;
	struct dns_record record;
	int len;

	dns_writer_init(&w, message, sizeof(message));
	for (int i = 0; i < 2 * DNS_WRITER_LABELS_MAX; i++) {
		snprintf(text, sizeof(text), "n%02d", i % (DNS_WRITER_LABELS_MAX + 2));
		CHECK_EQ(dns_name_parse(text, &name), 0);
		dns_write_txt(&w, &name, 0, "", 0);
	}
	len = dns_writer_finish(&w);
	CHECK(len > 0);
	dns_reader_init(&r, message, (size_t)len);
	for (int i = 0; i < 2 * DNS_WRITER_LABELS_MAX; i++) {
		snprintf(text, sizeof(text), "n%02d", i % (DNS_WRITER_LABELS_MAX + 2));
		CHECK_EQ(dns_name_parse(text, &name), 0);
		CHECK(dns_next_answer(&r, &record));
		CHECK(dns_name_equal(&record.name, &name));
	}
	CHECK_EQ(dns_reader_finish(&r), 0);
}

int main(void)
{
	RUN(test_every_rule_is_enforced);
	RUN(test_every_prefix_is_refused);
	RUN(test_a_name_of_255_bytes_is_the_longest);
	RUN(test_a_chain_of_pointers_ends_at_255_bytes);
	RUN(test_names_from_text);
	RUN(test_strings_of_a_txt_record_are_walked);
	RUN(test_what_is_written_is_read_back_and_compressed);
	RUN(test_a_small_buffer_is_refused_and_a_record_taken_back);
	RUN(test_names_beyond_the_table_are_written_in_full);
	return check_done();
}
