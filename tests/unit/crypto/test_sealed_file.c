/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/sealed_file.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "crypto/blake3/blake3.h"
#include "support/check.h"

#define HEAD_LEN   60
#define DIGEST_LEN 32

static const char secret[] = "correct horse battery";

/* A file with len bytes of a pattern in it. */
static int sealed_make(size_t len)
{
	int fd = memfd_create("sealed", MFD_CLOEXEC);
	struct sealed_writer *writer;
	uint8_t *bytes = malloc(len + 1);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(i * 7);
	if (sealed_writer_open(fd, secret, &writer) < 0)
		abort();
	/* In two pieces: where they meet leaves no trace. */
	sealed_writer_add(writer, bytes, len / 3);
	sealed_writer_add(writer, bytes + len / 3, len - len / 3);
	if (sealed_writer_finish(writer) < 0)
		abort();
	sealed_writer_close(writer);
	free(bytes);
	return fd;
}

static int open_err(int fd, const char *passphrase)
{
	struct sealed_reader *reader = NULL;
	int err = sealed_reader_open(fd, passphrase, &reader);

	sealed_reader_close(reader);
	return err;
}

static void test_what_was_written_is_read_again(void)
{
	static const size_t lens[] = {0, 1, 65535, 65536, 65537, 131072, 200000};

	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		int fd = sealed_make(lens[i]);
		struct sealed_reader *reader = NULL;
		bool is_same = true;
		uint8_t byte;

		CHECK_EQ(sealed_reader_open(fd, secret, &reader), 0);
		for (size_t at = 0; at < lens[i]; at++)
			is_same = is_same && sealed_reader_take(reader, &byte, 1) == 0 &&
				  byte == (uint8_t)(at * 7);
		CHECK(is_same);
		CHECK(sealed_reader_is_at_end(reader));
		CHECK_EQ(sealed_reader_take(reader, &byte, 1), WEFT_EDAMAGED);
		sealed_reader_close(reader);
		close(fd);
	}
}

static void test_a_wrong_passphrase_is_distinguished_from_damage(void)
{
	int fd = sealed_make(100);

	CHECK_EQ(open_err(fd, "correct horse batterz"), WEFT_ESEALED);
	CHECK_EQ(open_err(fd, ""), WEFT_ESEALED);
	close(fd);
}

static void test_no_byte_of_it_may_be_another(void)
{
	int fd = sealed_make(100);
	off_t len = lseek(fd, 0, SEEK_END);

	for (off_t at = 0; at < len; at++) {
		uint8_t byte = 0;
		int err;

		CHECK_EQ(pread(fd, &byte, 1, at), 1);
		byte ^= 4;
		CHECK_EQ(pwrite(fd, &byte, 1, at), 1);
		err = open_err(fd, secret);
		CHECK(err == WEFT_EDAMAGED || (at < 12 && err == WEFT_EMALFORMED));
		byte ^= 4;
		CHECK_EQ(pwrite(fd, &byte, 1, at), 1);
	}
	close(fd);
}

static void test_no_prefix_of_it_is_taken(void)
{
	int fd = sealed_make(100);
	off_t len = lseek(fd, 0, SEEK_END);

	while (len-- > 0) {
		int err;

		CHECK_EQ(ftruncate(fd, len), 0);
		err = open_err(fd, secret);
		CHECK(err == WEFT_EDAMAGED || (len < 12 && err == WEFT_EMALFORMED));
	}
	close(fd);
}

/* digest_mend makes the digest right again, as an attacker can. */
static void digest_mend(int fd)
{
	size_t len = (size_t)lseek(fd, 0, SEEK_END);
	uint8_t *bytes = malloc(len), digest[DIGEST_LEN];

	CHECK_EQ(pread(fd, bytes, len, 0), (ssize_t)len);
	blake3_hash(bytes, len - DIGEST_LEN, digest);
	CHECK_EQ(pwrite(fd, digest, DIGEST_LEN, (off_t)(len - DIGEST_LEN)), DIGEST_LEN);
	free(bytes);
}

static void test_a_block_that_was_forged_is_refused_though_the_digest_is_right(void)
{
	int fd = sealed_make(100000);
	struct sealed_reader *reader = NULL;
	static uint8_t bytes[65536];
	uint8_t byte;

	CHECK_EQ(pread(fd, &byte, 1, 80000), 1); /* of the second block */
	byte ^= 1;
	CHECK_EQ(pwrite(fd, &byte, 1, 80000), 1);
	digest_mend(fd);
	CHECK_EQ(sealed_reader_open(fd, secret, &reader), 0);
	CHECK_EQ(sealed_reader_take(reader, bytes, sizeof(bytes)), 0);
	CHECK(!sealed_reader_is_at_end(reader));
	CHECK_EQ(sealed_reader_take(reader, &byte, 1), WEFT_EDAMAGED);
	sealed_reader_close(reader);
	close(fd);
}

static void test_a_file_that_asks_for_all_memory_is_refused(void)
{
	static const uint8_t all[4] = {0xff, 0xff, 0xff, 0xff};
	int fd = sealed_make(100);

	CHECK_EQ(pwrite(fd, all, sizeof(all), 16), 4);
	digest_mend(fd);
	CHECK_EQ(open_err(fd, secret), WEFT_EMALFORMED);
	close(fd);
}

int main(void)
{
	RUN(test_what_was_written_is_read_again);
	RUN(test_a_wrong_passphrase_is_distinguished_from_damage);
	RUN(test_no_byte_of_it_may_be_another);
	RUN(test_no_prefix_of_it_is_taken);
	RUN(test_a_block_that_was_forged_is_refused_though_the_digest_is_right);
	RUN(test_a_file_that_asks_for_all_memory_is_refused);
	return check_done();
}
