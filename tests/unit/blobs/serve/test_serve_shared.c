/* SPDX-License-Identifier: Apache-2.0 */
/* Askers of one chunk share a buffer; the file behind it may change meanwhile. */
#include "serve_rig.h"

static void slow_unless_refused(struct duo *d, struct duo_answer *answer)
{
	(void)d;
	answer->delay_ns = answer->err ? 0 : 50 * NS_PER_S;
}

/* One that asks while the bytes are lent to another is not given them when their file changed. */
static void test_a_referenced_chunk_of_a_changed_file_is_not_shared(void)
{
	static struct question many[3];
	struct blobs_stats stats;
	char command[2 * SCRATCH_CAP];

	CHECK(duo_begin());
	duo.on_answer = slow_unless_refused;
	ask(&many[0], MESH_GET_CHUNK, small_id, 0, 0);
	for (unsigned turn = 0; turn < 300 && duo.lent_cnt < 1; turn++)
		(void)duo_turn(&duo);
	duo.nodes[DUO_B].key[0]++;
	ask(&many[1], MESH_GET_CHUNK, small_id, 0, 0);
	for (unsigned turn = 0; turn < 300 && duo.lent_cnt < 2; turn++)
		(void)duo_turn(&duo);
	CHECK_EQ(duo.lent_cnt, 2);
	blobs_stats(duo.nodes[DUO_A].content, &stats);
	CHECK_EQ(stats.chunk_buffer_used_cnt, 1); /* until it changes, one buffer for both */
	CHECK_EQ(stats.changed_cnt, 0);
	snprintf(command, sizeof(command), "printf X | dd of=%s bs=1 conv=notrunc status=none",
		 duo_path(&duo, "in/small"));
	CHECK_EQ(system(command), 0);
	duo.nodes[DUO_B].key[0]++;
	ask(&many[2], MESH_GET_CHUNK, small_id, 0, 0);
	CHECK(answered(&many[2]));
	CHECK_EQ(many[2].code, MESH_CODE_CHANGED);
	blobs_stats(duo.nodes[DUO_A].content, &stats);
	CHECK_EQ(stats.changed_cnt, 1);
	for (unsigned i = 0; i < 2; i++)
		CHECK(answered(&many[i]) && many[i].err == 0);
	CHECK_EQ(duo.lent_cnt, 0);
	blobs_stats(duo.nodes[DUO_A].content, &stats);
	CHECK_EQ(stats.chunk_buffer_used_cnt, 0);
	duo_fini(&duo);
}

int main(void)
{
	RUN(test_a_referenced_chunk_of_a_changed_file_is_not_shared);
	return check_done();
}
