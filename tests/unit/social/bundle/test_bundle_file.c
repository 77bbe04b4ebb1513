/* SPDX-License-Identifier: Apache-2.0 */
#include "social/bundle/bundle_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/check.h"
#include "support/scratch.h"

#define PASSPHRASE "a long passphrase"
#define RECORDS	   5u

static char dir[SCRATCH_CAP], path[SCRATCH_CAP + 16];
static uint8_t bytes[1u << 20], record_bytes[BUNDLE_RECORD_MAX + 1];
static struct bundle_fault fault;

static int file_open(int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);

	if (fd < 0)
		abort();
	return fd;
}

/* Records of the lengths 0, 1000, 2000, ...; the outcome of finish. */
static int bundle_make(const char *passphrase, enum bundle_kind last)
{
	struct bundle_writer *writer;
	int fd = file_open(O_RDWR | O_CREAT | O_TRUNC), err;

	if (social_bundle_writer_open(fd, passphrase, &writer) < 0)
		abort();
	for (unsigned i = 0; i < RECORDS; i++) {
		memset(record_bytes, (int)i, sizeof(record_bytes));
		social_bundle_add(writer, i + 1 < RECORDS ? BUNDLE_BLOCK : last, record_bytes,
				  i * 1000);
	}
	err = social_bundle_finish(writer);
	social_bundle_writer_close(writer);
	close(fd);
	return err;
}

/* How many records are read, each as it was written; or the error of the file. */
static int bundle_read(const char *passphrase)
{
	struct bundle_reader *reader = NULL;
	struct bundle_record record;
	int fd = file_open(O_RDONLY), cnt = 0;
	int err = social_bundle_reader_open(fd, passphrase, &reader, &fault);

	while (err == 0 && (err = social_bundle_next(reader, &record)) > 0) {
		for (size_t i = 0; i < record.len; i++)
			err = record.bytes[i] == cnt ? err : WEFT_ECHANGED;
		if (record.len != (size_t)cnt * 1000 || err < 0)
			abort();
		cnt++;
		err = 0;
	}
	social_bundle_reader_close(reader);
	close(fd);
	return err < 0 ? err : cnt;
}

static size_t file_load(void)
{
	int fd = file_open(O_RDONLY);
	ssize_t len = read(fd, bytes, sizeof(bytes));

	close(fd);
	return len < 0 ? 0 : (size_t)len;
}

static void file_store(size_t len)
{
	scratch_write(path, bytes, len);
}

static void test_a_bundle_is_read_as_written(void)
{
	CHECK_EQ(bundle_make(NULL, BUNDLE_FOLLOW), 0);
	CHECK_EQ(bundle_read(NULL), RECORDS);
	/* A passphrase that is not needed does not harm. */
	CHECK_EQ(bundle_read(PASSPHRASE), RECORDS);
}

static void test_a_bundle_that_was_cut_anywhere_is_refused(void)
{
	size_t len;

	CHECK_EQ(bundle_make(NULL, BUNDLE_FOLLOW), 0);
	len = file_load();
	CHECK(len > 10000);
	for (size_t cut = 0; cut < len; cut += cut < 60 || cut > len - 60 ? 1 : 97) {
		int err;

		file_store(cut);
		err = bundle_read(NULL);
		CHECK_EQ(err, cut < 21 ? WEFT_EMALFORMED : WEFT_EDAMAGED);
		CHECK(fault.what && fault.off <= cut);
	}
}

static void test_a_bundle_that_was_altered_anywhere_is_refused(void)
{
	size_t len;

	CHECK_EQ(bundle_make(NULL, BUNDLE_FOLLOW), 0);
	len = file_load();
	for (size_t at = 0; at < len; at += at < 60 || at > len - 60 ? 1 : 97) {
		bytes[at] ^= 1;
		file_store(len);
		CHECK(bundle_read(NULL) < 0);
		bytes[at] ^= 1;
	}
	bytes[len] = 0;
	file_store(len + 1);
	CHECK_EQ(bundle_read(NULL), WEFT_EDAMAGED);
	file_store(len);
	CHECK_EQ(bundle_read(NULL), RECORDS);
}

static void test_a_fault_says_where_it_is(void)
{
	const size_t first_three = 21 + 3 * 5 + 3000;
	size_t len;

	CHECK_EQ(bundle_make(NULL, BUNDLE_FOLLOW), 0);
	len = file_load();
	memset(bytes + first_three + 1, 0xff, 4); /* the length of the fourth */
	file_store(len);
	CHECK_EQ(bundle_read(NULL), WEFT_EDAMAGED);
	CHECK_EQ(fault.off, first_three);
}

static void test_a_foreign_file_is_no_bundle(void)
{
	memset(bytes, 'x', 1000);
	file_store(1000);
	CHECK_EQ(bundle_read(NULL), WEFT_EMALFORMED);
	CHECK_EQ(bundle_read(PASSPHRASE), WEFT_EMALFORMED);
	file_store(0);
	CHECK_EQ(bundle_read(NULL), WEFT_EMALFORMED);
}

static void test_a_record_of_a_key_lies_in_a_sealed_bundle_alone(void)
{
	CHECK_EQ(bundle_make(NULL, BUNDLE_PERSONA), WEFT_EREFUSED);
	CHECK_EQ(bundle_make(PASSPHRASE, BUNDLE_PERSONA), 0);
	CHECK_EQ(bundle_read(PASSPHRASE), RECORDS);
	CHECK_EQ(bundle_read("another passphrase"), WEFT_ESEALED);
	CHECK_EQ(bundle_read(NULL), WEFT_EMALFORMED);
}

static void test_a_sealed_bundle_that_was_cut_or_altered_is_refused(void)
{
	size_t len;

	CHECK_EQ(bundle_make(PASSPHRASE, BUNDLE_PERSONA), 0);
	len = file_load();
	file_store(len - 1);
	CHECK_EQ(bundle_read(PASSPHRASE), WEFT_EDAMAGED);
	bytes[len / 2] ^= 1;
	file_store(len);
	CHECK_EQ(bundle_read(PASSPHRASE), WEFT_EDAMAGED);
}

static void test_the_longest_record_fits_and_one_byte_more_does_not(void)
{
	struct bundle_writer *writer;
	int fd = file_open(O_RDWR | O_CREAT | O_TRUNC);

	CHECK_EQ(social_bundle_writer_open(fd, NULL, &writer), 0);
	social_bundle_add(writer, BUNDLE_POST, record_bytes, BUNDLE_RECORD_MAX);
	CHECK_EQ(social_bundle_finish(writer), 0);
	social_bundle_writer_close(writer);
	CHECK_EQ(social_bundle_writer_open(fd, NULL, &writer), 0);
	social_bundle_add(writer, BUNDLE_POST, record_bytes, BUNDLE_RECORD_MAX + 1);
	CHECK_EQ(social_bundle_finish(writer), WEFT_ETOOLARGE);
	social_bundle_writer_close(writer);
	close(fd);
}

static void test_a_post_is_taken_apart_as_it_was_put_together(void)
{
	const struct bundle_post post = {.marks = 0x83,
					 .post = (const uint8_t *)"post",
					 .post_len = 4,
					 .claim = (const uint8_t *)"claim",
					 .claim_len = 5,
					 .visibility = (const uint8_t *)"vis",
					 .visibility_len = 3};
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct bundle_record record = {.kind = BUNDLE_POST, .bytes = bytes};
	struct bundle_post heard;

	social_bundle_post_write(&w, &post);
	record.len = writer_len(&w);
	CHECK_EQ(social_bundle_post_parse(&record, &heard), 0);
	CHECK_EQ(heard.marks, 0x83);
	CHECK_EQ(heard.visibility_len, 3);
	CHECK_MEM(heard.claim, "claim", 5);
	for (record.len = 0; record.len < BUNDLE_POST_HEAD_LEN + 9; record.len++)
		CHECK_EQ(social_bundle_post_parse(&record, &heard), WEFT_EMALFORMED);
}

int main(void)
{
	scratch_path(path, sizeof(path), scratch_make(dir), "bundle");
	RUN(test_a_bundle_is_read_as_written);
	RUN(test_a_bundle_that_was_cut_anywhere_is_refused);
	RUN(test_a_bundle_that_was_altered_anywhere_is_refused);
	RUN(test_a_fault_says_where_it_is);
	RUN(test_a_foreign_file_is_no_bundle);
	RUN(test_a_record_of_a_key_lies_in_a_sealed_bundle_alone);
	RUN(test_a_sealed_bundle_that_was_cut_or_altered_is_refused);
	RUN(test_the_longest_record_fits_and_one_byte_more_does_not);
	RUN(test_a_post_is_taken_apart_as_it_was_put_together);
	scratch_remove(dir);
	return check_done();
}
