/* SPDX-License-Identifier: Apache-2.0 */
/* Files sealed by a passphrase (sealed_file.h): libsodium's pwhash and secretstream, in blocks. */
#include "crypto/sealed_file.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/byte_cursor.h"
#include "crypto/blake3/blake3.h"

#define MAGIC	   "weft-backup1"
#define MAGIC_LEN  12u
#define BLOCK_LEN  65536u
#define SEALED_LEN (BLOCK_LEN + crypto_secretstream_xchacha20poly1305_ABYTES)
#define STREAM_LEN crypto_secretstream_xchacha20poly1305_HEADERBYTES
#define HEAD_LEN   (MAGIC_LEN + 8 + crypto_pwhash_SALTBYTES + STREAM_LEN)

/*
 * libsodium's "moderate" (256 MiB, 3 passes): a backup leaves the machine. A file that is read
 * asks for no more than "sensitive", so that an altered one cannot take all memory.
 */
#define OPSLIMIT     crypto_pwhash_OPSLIMIT_MODERATE
#define MEMLIMIT     crypto_pwhash_MEMLIMIT_MODERATE
#define OPSLIMIT_MAX crypto_pwhash_OPSLIMIT_SENSITIVE
#define MEMLIMIT_MAX crypto_pwhash_MEMLIMIT_SENSITIVE

#define TAG_FINAL   crypto_secretstream_xchacha20poly1305_TAG_FINAL
#define TAG_MESSAGE crypto_secretstream_xchacha20poly1305_TAG_MESSAGE

/* In sodium_malloc memory as a whole. */
struct sealed_writer {
	crypto_secretstream_xchacha20poly1305_state stream;
	struct blake3 digest;
	uint8_t head[HEAD_LEN]; /* authenticated with the first block */
	bool is_first;
	int fd;
	int err;
	size_t len; /* of block */
	uint8_t block[BLOCK_LEN];
	uint8_t sealed[SEALED_LEN];
};

struct sealed_reader {
	crypto_secretstream_xchacha20poly1305_state stream;
	uint8_t head[HEAD_LEN];
	bool is_first, is_final;
	int fd;
	uint64_t left_len; /* of the sealed blocks */
	size_t at, len;	   /* in block */
	uint8_t block[BLOCK_LEN];
	uint8_t sealed[SEALED_LEN];
};

/* --- the file --- */

static int bytes_write(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

static int bytes_read(int fd, uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = read(fd, data, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return WEFT_EDAMAGED;
		if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* --- the key --- */

/* NULL: there is no memory for it. */
static uint8_t *key_derive(const char *passphrase, const uint8_t *salt, uint64_t opslimit,
			   size_t memlimit)
{
	uint8_t *key = sodium_malloc(crypto_secretstream_xchacha20poly1305_KEYBYTES);

	if (key && crypto_pwhash(key, crypto_secretstream_xchacha20poly1305_KEYBYTES, passphrase,
				 strlen(passphrase), salt, opslimit, memlimit,
				 crypto_pwhash_ALG_ARGON2ID13) != 0) {
		sodium_free(key);
		key = NULL;
	}
	return key;
}

/* --- writing --- */

static int writer_begin(struct sealed_writer *writer, const char *passphrase)
{
	uint8_t salt[crypto_pwhash_SALTBYTES], *key;
	struct writer w = writer_of(writer->head, sizeof(writer->head));

	randombytes_buf(salt, sizeof(salt));
	key = key_derive(passphrase, salt, OPSLIMIT, MEMLIMIT);
	if (!key)
		return -ENOMEM;
	writer_bytes(&w, MAGIC, MAGIC_LEN);
	writer_be32(&w, (uint32_t)OPSLIMIT);
	writer_be32(&w, (uint32_t)MEMLIMIT);
	writer_bytes(&w, salt, sizeof(salt));
	crypto_secretstream_xchacha20poly1305_init_push(&writer->stream,
							writer_reserve(&w, STREAM_LEN), key);
	sodium_free(key);
	blake3_init(&writer->digest);
	blake3_update(&writer->digest, writer->head, HEAD_LEN);
	return bytes_write(writer->fd, writer->head, HEAD_LEN);
}

int sealed_writer_open(int fd, const char *passphrase, struct sealed_writer **out_writer)
{
	struct sealed_writer *writer = sodium_init() < 0 ? NULL : sodium_malloc(sizeof(*writer));
	int err;

	if (!writer)
		return -ENOMEM;
	sodium_memzero(writer, sizeof(*writer));
	writer->fd = fd;
	writer->is_first = true;
	err = writer_begin(writer, passphrase);
	if (err < 0) {
		sodium_free(writer);
		return err;
	}
	*out_writer = writer;
	return 0;
}

static void block_seal(struct sealed_writer *writer, uint8_t tag)
{
	size_t len = writer->len + crypto_secretstream_xchacha20poly1305_ABYTES;

	if (writer->err < 0)
		return;
	crypto_secretstream_xchacha20poly1305_push(
		&writer->stream, writer->sealed, NULL, writer->block, writer->len,
		writer->is_first ? writer->head : NULL, writer->is_first ? HEAD_LEN : 0, tag);
	writer->is_first = false;
	writer->len = 0;
	blake3_update(&writer->digest, writer->sealed, len);
	writer->err = bytes_write(writer->fd, writer->sealed, len);
}

void sealed_writer_add(struct sealed_writer *writer, const void *data, size_t len)
{
	const uint8_t *at = data;

	while (len && writer->err == 0) {
		size_t n = BLOCK_LEN - writer->len < len ? BLOCK_LEN - writer->len : len;

		memcpy(writer->block + writer->len, at, n);
		writer->len += n;
		at += n;
		len -= n;
		/* The last one is shorter, be it empty: so a reader knows each by its length. */
		if (writer->len == BLOCK_LEN)
			block_seal(writer, TAG_MESSAGE);
	}
}

int sealed_writer_finish(struct sealed_writer *writer)
{
	uint8_t digest[BLAKE3_HASH_LEN];

	block_seal(writer, TAG_FINAL);
	blake3_final(&writer->digest, digest, sizeof(digest));
	if (writer->err == 0)
		writer->err = bytes_write(writer->fd, digest, sizeof(digest));
	if (writer->err == 0 && fsync(writer->fd) < 0)
		writer->err = -errno;
	return writer->err;
}

void sealed_writer_close(struct sealed_writer *writer)
{
	sodium_free(writer);
}

/* --- reading --- */

/* digest_check leaves the file behind its head. */
static int digest_check(struct sealed_reader *reader)
{
	uint8_t is[BLAKE3_HASH_LEN], written[BLAKE3_HASH_LEN];
	uint64_t left_len = reader->left_len;
	struct blake3 digest;
	int err = 0;

	blake3_init(&digest);
	blake3_update(&digest, reader->head, HEAD_LEN);
	while (left_len && err == 0) {
		size_t n = left_len < SEALED_LEN ? (size_t)left_len : SEALED_LEN;

		err = bytes_read(reader->fd, reader->sealed, n);
		if (err == 0)
			blake3_update(&digest, reader->sealed, n);
		left_len -= n;
	}
	if (err == 0)
		err = bytes_read(reader->fd, written, sizeof(written));
	blake3_final(&digest, is, sizeof(is));
	if (err == 0 && memcmp(is, written, sizeof(is)) != 0)
		err = WEFT_EDAMAGED;
	if (err == 0 && lseek(reader->fd, (off_t)HEAD_LEN, SEEK_SET) < 0)
		err = -errno;
	return err;
}

static int stream_begin(struct sealed_reader *reader, const char *passphrase)
{
	struct cursor c = cursor_of(reader->head + MAGIC_LEN, HEAD_LEN - MAGIC_LEN);
	uint32_t opslimit = cursor_be32(&c), memlimit = cursor_be32(&c);
	const uint8_t *salt = cursor_bytes(&c, crypto_pwhash_SALTBYTES);
	uint8_t *key;
	int err;

	if (opslimit < crypto_pwhash_OPSLIMIT_MIN || opslimit > OPSLIMIT_MAX ||
	    memlimit < crypto_pwhash_MEMLIMIT_MIN || memlimit > MEMLIMIT_MAX)
		return WEFT_EMALFORMED;
	key = key_derive(passphrase, salt, opslimit, memlimit);
	if (!key)
		return -ENOMEM;
	err = crypto_secretstream_xchacha20poly1305_init_pull(
		      &reader->stream, cursor_bytes(&c, STREAM_LEN), key) == 0
		      ? 0
		      : WEFT_EDAMAGED;
	sodium_free(key);
	return err;
}

static int block_open(struct sealed_reader *reader)
{
	size_t len = reader->left_len < SEALED_LEN ? (size_t)reader->left_len : SEALED_LEN;
	uint8_t tag = 0;
	int err;

	if (reader->is_final || len < crypto_secretstream_xchacha20poly1305_ABYTES)
		return WEFT_EDAMAGED;
	err = bytes_read(reader->fd, reader->sealed, len);
	if (err < 0)
		return err;
	reader->left_len -= len;
	reader->at = reader->len = 0;
	if (crypto_secretstream_xchacha20poly1305_pull(
		    &reader->stream, reader->block, NULL, &tag, reader->sealed, len,
		    reader->is_first ? reader->head : NULL, reader->is_first ? HEAD_LEN : 0) != 0)
		return reader->is_first ? WEFT_ESEALED : WEFT_EDAMAGED;
	reader->is_first = false;
	reader->is_final = tag == TAG_FINAL;
	if (reader->is_final != (reader->left_len == 0))
		return WEFT_EDAMAGED;
	reader->len = len - crypto_secretstream_xchacha20poly1305_ABYTES;
	return 0;
}

static int reader_begin(struct sealed_reader *reader, const char *passphrase)
{
	struct stat st;
	int err;

	if (fstat(reader->fd, &st) < 0 || lseek(reader->fd, 0, SEEK_SET) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < MAGIC_LEN)
		return WEFT_EMALFORMED;
	if ((uint64_t)st.st_size < HEAD_LEN + BLAKE3_HASH_LEN) {
		err = bytes_read(reader->fd, reader->head, MAGIC_LEN);
		return err < 0					     ? err
		       : memcmp(reader->head, MAGIC, MAGIC_LEN) == 0 ? WEFT_EDAMAGED
								     : WEFT_EMALFORMED;
	}
	reader->left_len = (uint64_t)st.st_size - HEAD_LEN - BLAKE3_HASH_LEN;
	err = bytes_read(reader->fd, reader->head, HEAD_LEN);
	if (err == 0 && memcmp(reader->head, MAGIC, MAGIC_LEN) != 0)
		err = WEFT_EMALFORMED;
	if (err == 0)
		err = digest_check(reader);
	if (err == 0)
		err = stream_begin(reader, passphrase);
	return err < 0 ? err : block_open(reader);
}

int sealed_reader_open(int fd, const char *passphrase, struct sealed_reader **out_reader)
{
	struct sealed_reader *reader = sodium_init() < 0 ? NULL : sodium_malloc(sizeof(*reader));
	int err;

	if (!reader)
		return -ENOMEM;
	sodium_memzero(reader, sizeof(*reader));
	reader->fd = fd;
	reader->is_first = true;
	err = reader_begin(reader, passphrase);
	if (err < 0) {
		sodium_free(reader);
		return err;
	}
	*out_reader = reader;
	return 0;
}

int sealed_reader_take(struct sealed_reader *reader, void *dst, size_t len)
{
	uint8_t *to = dst;
	int err;

	while (len) {
		size_t n = reader->len - reader->at < len ? reader->len - reader->at : len;

		memcpy(to, reader->block + reader->at, n);
		reader->at += n;
		to += n;
		len -= n;
		if (len && (err = block_open(reader)) < 0)
			return err;
	}
	return 0;
}

bool sealed_reader_is_at_end(struct sealed_reader *reader)
{
	while (reader->at == reader->len && !reader->is_final)
		if (block_open(reader) < 0)
			return false;
	return reader->at == reader->len;
}

void sealed_reader_close(struct sealed_reader *reader)
{
	sodium_free(reader);
}
