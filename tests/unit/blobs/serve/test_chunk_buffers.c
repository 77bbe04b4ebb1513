/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/serve/chunk_buffers.h"

#include "support/check.h"

static struct chunk_buffers buffers;

static struct chunk_name name_of(uint8_t content, uint64_t chunk)
{
	struct chunk_name name = {.content_id = {content}, .chunk = chunk};

	return name;
}

/* A buffer with a name, filled, with one use. */
static struct chunk_buffer *filled(const struct chunk_name *name)
{
	struct chunk_buffer *buffer =
		blobs_chunk_buffers_at(&buffers, blobs_chunk_buffers_acquire(&buffers));

	blobs_chunk_buffers_name(&buffers, buffer, name);
	buffer->is_filled = true;
	buffer->len = 5;
	return buffer;
}

static void test_one_more_than_there_are_is_refused(void)
{
	uint8_t *all[3];

	CHECK_EQ(blobs_chunk_buffers_init(&buffers, 3, CHUNK_BUFFER_LEN), 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK((all[i] = blobs_chunk_buffers_acquire(&buffers)) != NULL);
	CHECK(!blobs_chunk_buffers_acquire(&buffers));
	blobs_chunk_buffers_release(&buffers, all[1]);
	CHECK(blobs_chunk_buffers_acquire(&buffers) == all[1]);
	blobs_chunk_buffers_fini(&buffers);
}

static void test_named_buffer_is_shared_until_the_last_lets_go(void)
{
	struct chunk_name name = name_of(1, 7);
	struct chunk_buffer *buffer;

	CHECK_EQ(blobs_chunk_buffers_init(&buffers, 2, CHUNK_BUFFER_LEN), 0);
	buffer = filled(&name);
	CHECK(blobs_chunk_buffers_find(&buffers, &name) == buffer);
	CHECK_EQ(buffer->use_cnt, 2);
	CHECK_EQ(buffers.free_cnt, 1);
	blobs_chunk_buffers_release(&buffers, buffer->bytes);
	CHECK_EQ(buffers.free_cnt, 1);
	blobs_chunk_buffers_release(&buffers, buffer->bytes);
	CHECK_EQ(buffers.free_cnt, 2);
	blobs_chunk_buffers_fini(&buffers);
}

static void test_unused_buffer_is_found_until_it_is_taken(void)
{
	struct chunk_name name = name_of(1, 7);
	struct chunk_buffer *buffer;

	CHECK_EQ(blobs_chunk_buffers_init(&buffers, 2, CHUNK_BUFFER_LEN), 0);
	buffer = filled(&name);
	blobs_chunk_buffers_release(&buffers, buffer->bytes);
	CHECK(blobs_chunk_buffers_find(&buffers, &name) == buffer && buffer->is_filled);
	blobs_chunk_buffers_release(&buffers, buffer->bytes);
	CHECK(blobs_chunk_buffers_acquire(&buffers) == buffer->bytes);
	CHECK(!buffer->is_named);
	CHECK(!blobs_chunk_buffers_find(&buffers, &name));
	blobs_chunk_buffers_fini(&buffers);
}

/* Neither content nor chunk alone makes a name. */
static void test_other_names_are_not_found(void)
{
	struct chunk_name name = name_of(1, 7);
	const struct chunk_name others[] = {name_of(1, 8), name_of(2, 7)};

	CHECK_EQ(blobs_chunk_buffers_init(&buffers, 2, CHUNK_BUFFER_LEN), 0);
	CHECK(filled(&name));
	for (unsigned i = 0; i < 2; i++)
		CHECK(!blobs_chunk_buffers_find(&buffers, &others[i]));
	blobs_chunk_buffers_fini(&buffers);
}

/* A filler that gave up must not leave it to be found. */
static void test_buffer_that_was_never_filled_loses_its_name(void)
{
	struct chunk_name name = name_of(1, 7);
	struct chunk_buffer *buffer;

	CHECK_EQ(blobs_chunk_buffers_init(&buffers, 1, CHUNK_BUFFER_LEN), 0);
	buffer = blobs_chunk_buffers_at(&buffers, blobs_chunk_buffers_acquire(&buffers));
	blobs_chunk_buffers_name(&buffers, buffer, &name);
	blobs_chunk_buffers_release(&buffers, buffer->bytes);
	CHECK(!blobs_chunk_buffers_find(&buffers, &name));
	blobs_chunk_buffers_fini(&buffers);
}

static void test_every_buffer_may_have_a_name(void)
{
	CHECK_EQ(blobs_chunk_buffers_init(&buffers, 100, CHUNK_BUFFER_LEN), 0);
	for (uint8_t i = 0; i < 100; i++) {
		struct chunk_name name = name_of(i, i);

		CHECK(filled(&name)->is_named);
	}
	for (uint8_t i = 0; i < 100; i++) {
		struct chunk_name name = name_of(i, i);

		CHECK(blobs_chunk_buffers_find(&buffers, &name) != NULL);
	}
	blobs_chunk_buffers_fini(&buffers);
}

int main(void)
{
	RUN(test_one_more_than_there_are_is_refused);
	RUN(test_named_buffer_is_shared_until_the_last_lets_go);
	RUN(test_unused_buffer_is_found_until_it_is_taken);
	RUN(test_other_names_are_not_found);
	RUN(test_buffer_that_was_never_filled_loses_its_name);
	RUN(test_every_buffer_may_have_a_name);
	return check_done();
}
