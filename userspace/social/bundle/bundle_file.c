/* SPDX-License-Identifier: Apache-2.0 */
#include "social/bundle/bundle_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/blake3/blake3.h"
#include "crypto/sealed_file.h"

#define MAGIC	   "weft social bundle 1\n"
#define MAGIC_LEN  (sizeof(MAGIC) - 1)
#define MAGIC_STEM 18u /* without the version */
#define HEAD_LEN   5u
#define END_LEN	   (8u + BLAKE3_HASH_LEN)
#define OUT_CAP	   (64u << 10)

static bool is_secret(enum bundle_kind kind)
{
	return kind == BUNDLE_PERSONA || kind == BUNDLE_SECRET;
}

/* --- the writer --- */

struct bundle_writer {
	int fd;
	struct sealed_writer *sealed; /* NULL: the file is plain */
	struct blake3 hash;
	uint64_t record_cnt;
	int err;
	size_t out_len;
	uint8_t out[OUT_CAP];
};

static void out_flush(struct bundle_writer *writer)
{
	size_t at = 0;

	while (writer->err == 0 && at < writer->out_len) {
		ssize_t cnt = write(writer->fd, writer->out + at, writer->out_len - at);

		if (cnt < 0 && errno != EINTR)
			writer->err = -errno;
		at += cnt > 0 ? (size_t)cnt : 0;
	}
	writer->out_len = 0;
}

static void out_add(struct bundle_writer *writer, const void *bytes, size_t len)
{
	if (writer->err < 0)
		return;
	blake3_update(&writer->hash, bytes, len);
	if (writer->sealed) {
		sealed_writer_add(writer->sealed, bytes, len);
		return;
	}
	for (size_t at = 0; at < len;) {
		size_t take =
			len - at < OUT_CAP - writer->out_len ? len - at : OUT_CAP - writer->out_len;

		memcpy(writer->out + writer->out_len, (const uint8_t *)bytes + at, take);
		writer->out_len += take;
		at += take;
		if (writer->out_len == OUT_CAP)
			out_flush(writer);
	}
}

int social_bundle_writer_open(int fd, const char *passphrase, struct bundle_writer **out_writer)
{
	struct bundle_writer *writer = calloc(1, sizeof(*writer));
	int err = writer ? 0 : -ENOMEM;

	if (err == 0 && passphrase)
		err = sealed_writer_open(fd, passphrase, &writer->sealed);
	if (err < 0) {
		free(writer);
		return err;
	}
	writer->fd = fd;
	blake3_init(&writer->hash);
	out_add(writer, MAGIC, MAGIC_LEN);
	*out_writer = writer;
	return 0;
}

static void record_add(struct bundle_writer *writer, enum bundle_kind kind, const void *bytes,
		       size_t len)
{
	uint8_t head[HEAD_LEN];
	struct writer w = writer_of(head, sizeof(head));

	writer_u8(&w, (uint8_t)kind);
	writer_be32(&w, (uint32_t)len);
	out_add(writer, head, sizeof(head));
	out_add(writer, bytes, len);
}

void social_bundle_add(struct bundle_writer *writer, enum bundle_kind kind, const void *bytes,
		       size_t len)
{
	if (writer->err == 0 && len > BUNDLE_RECORD_MAX)
		writer->err = WEFT_ETOOLARGE;
	if (writer->err == 0 && is_secret(kind) && !writer->sealed)
		writer->err = WEFT_EREFUSED;
	if (writer->err < 0)
		return;
	record_add(writer, kind, bytes, len);
	writer->record_cnt++;
}

int social_bundle_finish(struct bundle_writer *writer)
{
	uint8_t end[END_LEN];
	struct writer w = writer_of(end, sizeof(end));

	writer_be64(&w, writer->record_cnt);
	blake3_final(&writer->hash, writer_reserve(&w, BLAKE3_HASH_LEN), BLAKE3_HASH_LEN);
	record_add(writer, BUNDLE_END, end, sizeof(end));
	if (writer->err < 0)
		return writer->err;
	if (writer->sealed)
		return sealed_writer_finish(writer->sealed);
	out_flush(writer);
	if (writer->err == 0 && fsync(writer->fd) < 0)
		writer->err = -errno;
	return writer->err;
}

void social_bundle_writer_close(struct bundle_writer *writer)
{
	if (!writer)
		return;
	sealed_writer_close(writer->sealed);
	explicit_bzero(writer->out, sizeof(writer->out));
	free(writer);
}

/* --- the reader --- */

struct bundle_reader {
	int fd;
	struct sealed_reader *sealed;
	struct blake3 hash;
	uint64_t off, record_off, record_cnt;
	size_t in_at, in_len;
	bool is_over;
	uint8_t in[OUT_CAP];
	uint8_t record[BUNDLE_RECORD_MAX];
};

/* 0, WEFT_EDAMAGED (the file ends before) or -errno. */
static int in_take(struct bundle_reader *reader, void *dst, size_t len)
{
	uint8_t *to = dst;
	int err;

	if (reader->sealed && (err = sealed_reader_take(reader->sealed, dst, len)) < 0)
		return err;
	for (size_t at = 0; !reader->sealed && at < len;) {
		size_t take = reader->in_len - reader->in_at;
		ssize_t cnt;

		if (take > len - at)
			take = len - at;
		memcpy(to + at, reader->in + reader->in_at, take);
		reader->in_at += take;
		at += take;
		if (at == len)
			break;
		cnt = read(reader->fd, reader->in, sizeof(reader->in));
		if (cnt < 0 && errno == EINTR)
			continue;
		if (cnt <= 0)
			return cnt < 0 ? -errno : WEFT_EDAMAGED;
		reader->in_at = 0;
		reader->in_len = (size_t)cnt;
	}
	reader->off += len;
	return 0;
}

/* Whether nothing follows. */
static bool in_is_at_end(struct bundle_reader *reader)
{
	uint8_t byte;

	if (reader->sealed)
		return sealed_reader_is_at_end(reader->sealed);
	return in_take(reader, &byte, 1) == WEFT_EDAMAGED;
}

static int end_judge(struct bundle_reader *reader, struct bundle_record *record)
{
	uint8_t hash[BLAKE3_HASH_LEN];
	struct cursor c = cursor_of(record->bytes, record->len);
	uint64_t cnt = cursor_be64(&c);

	blake3_final(&reader->hash, hash, sizeof(hash));
	if (record->len != END_LEN || cnt != reader->record_cnt ||
	    memcmp(c.pos, hash, sizeof(hash)) != 0 || !in_is_at_end(reader))
		return WEFT_EDAMAGED;
	reader->is_over = true;
	return 0;
}

int social_bundle_next(struct bundle_reader *reader, struct bundle_record *out_record)
{
	struct bundle_record record = {.bytes = reader->record};
	uint8_t head[HEAD_LEN];
	struct cursor c = cursor_of(head, sizeof(head));
	int err;

	if (reader->is_over)
		return 0;
	reader->record_off = reader->off;
	if ((err = in_take(reader, head, sizeof(head))) < 0)
		return err;
	record.kind = cursor_u8(&c);
	record.len = cursor_be32(&c);
	if (record.len > BUNDLE_RECORD_MAX || (is_secret(record.kind) && !reader->sealed))
		return WEFT_EDAMAGED;
	if ((err = in_take(reader, reader->record, record.len)) < 0)
		return err;
	if (record.kind == BUNDLE_END)
		return end_judge(reader, &record);
	blake3_update(&reader->hash, head, sizeof(head));
	blake3_update(&reader->hash, record.bytes, record.len);
	reader->record_cnt++;
	*out_record = record;
	return 1;
}

/* From the first record on. */
static int reader_begin(struct bundle_reader *reader)
{
	uint8_t magic[MAGIC_LEN];
	int err;

	reader->off = reader->record_off = reader->record_cnt = 0;
	reader->in_at = reader->in_len = 0;
	reader->is_over = false;
	err = in_take(reader, magic, sizeof(magic));
	if (err == WEFT_EDAMAGED || (err == 0 && memcmp(magic, MAGIC, MAGIC_LEN) != 0))
		return WEFT_EMALFORMED;
	blake3_init(&reader->hash);
	blake3_update(&reader->hash, magic, sizeof(magic));
	return err;
}

/* Goes over the whole of it. */
static int reader_prove(struct bundle_reader *reader, struct bundle_fault *fault)
{
	struct bundle_record record;
	int err = reader_begin(reader);

	if (err < 0) {
		fault->what = "no bundle of posts, or one of a later version";
		return err;
	}
	do
		err = social_bundle_next(reader, &record);
	while (err > 0);
	fault->off = reader->record_off;
	fault->what = "the bundle was altered, or ends before its end";
	return err;
}

static int sealed_open(struct bundle_reader *reader, const char *passphrase,
		       struct bundle_fault *fault)
{
	sealed_reader_close(reader->sealed);
	reader->sealed = NULL;
	if (lseek(reader->fd, 0, SEEK_SET) < 0)
		return -errno;
	fault->what = "the sealed file was altered, or ends before its end";
	return sealed_reader_open(reader->fd, passphrase, &reader->sealed);
}

/* A sealed file is none to the reader of plain ones, so that one is asked first. */
static int reader_start(struct bundle_reader *reader, const char *passphrase,
			struct bundle_fault *fault)
{
	int err = passphrase ? sealed_open(reader, passphrase, fault) : 0;

	if (err < 0 && err != WEFT_EMALFORMED)
		return err;
	if (!reader->sealed && lseek(reader->fd, 0, SEEK_SET) < 0)
		return -errno;
	return reader_prove(reader, fault);
}

int social_bundle_reader_open(int fd, const char *passphrase, struct bundle_reader **out_reader,
			      struct bundle_fault *out_fault)
{
	struct bundle_reader *reader = calloc(1, sizeof(*reader));
	int err;

	*out_fault = (struct bundle_fault){.what = "it cannot be read"};
	if (!reader)
		return -ENOMEM;
	reader->fd = fd;
	err = reader_start(reader, passphrase, out_fault);
	if (err == 0 && reader->sealed)
		err = sealed_open(reader, passphrase, out_fault);
	else if (err == 0 && lseek(fd, 0, SEEK_SET) < 0)
		err = -errno;
	if (err == 0)
		err = reader_begin(reader);
	if (err < 0) {
		social_bundle_reader_close(reader);
		return err;
	}
	*out_reader = reader;
	return 0;
}

uint64_t social_bundle_off(const struct bundle_reader *reader)
{
	return reader->record_off;
}

void social_bundle_reader_close(struct bundle_reader *reader)
{
	if (!reader)
		return;
	sealed_reader_close(reader->sealed);
	explicit_bzero(reader->record, sizeof(reader->record));
	explicit_bzero(reader->in, sizeof(reader->in));
	free(reader);
}

/* --- records --- */

void social_bundle_post_write(struct writer *w, const struct bundle_post *post)
{
	writer_be16(w, post->marks);
	writer_be32(w, (uint32_t)post->post_len);
	writer_be32(w, (uint32_t)post->claim_len);
	writer_bytes(w, post->post, post->post_len);
	writer_bytes(w, post->claim, post->claim_len);
	writer_bytes(w, post->visibility, post->visibility_len);
}

int social_bundle_post_parse(const struct bundle_record *record, struct bundle_post *out_post)
{
	struct cursor c = cursor_of(record->bytes, record->len);
	struct bundle_post post = {.marks = cursor_be16(&c)};

	post.post_len = cursor_be32(&c);
	post.claim_len = cursor_be32(&c);
	post.post = cursor_bytes(&c, post.post_len);
	post.claim = cursor_bytes(&c, post.claim_len);
	post.visibility_len = cursor_left(&c);
	post.visibility = c.pos;
	if (c.bad)
		return WEFT_EMALFORMED;
	*out_post = post;
	return 0;
}
