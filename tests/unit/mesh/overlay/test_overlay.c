/* SPDX-License-Identifier: Apache-2.0 */
/* Puts and gets between a few nodes. */
#include "base/clock.h"
#include "support/check.h"
#include "support/overlay_lab.h"

static struct overlay_lab lab;
static struct overlay_lab_result result;

static struct overlay_lab_value value_of(uint8_t writer, uint64_t seq)
{
	return (struct overlay_lab_value){.writer = writer,
					  .seq = seq,
					  .created_s = mesh_lab_wall_s(&lab.mesh),
					  .expires_s = mesh_lab_wall_s(&lab.mesh) + 86400};
}

static void begin(unsigned cnt)
{
	overlay_lab_init(&lab, 5, 64, NULL);
	overlay_lab_grow(&lab, cnt, NS_PER_S);
	(void)overlay_lab_run(&lab, 60 * NS_PER_S, NULL, NULL);
}

static void test_value_is_found_by_all(void)
{
	struct overlay_lab_value value;

	begin(12);
	value = value_of(1, 7);
	CHECK_EQ(overlay_lab_put(&lab, &lab.nodes[3], "lab:a", &value, &result), 0);
	CHECK_EQ(result.result.err, 0);
	CHECK_EQ(result.result.stored_cnt, 12); /* fewer than K nodes: all hold it */
	for (unsigned i = 0; i < 12; i++) {
		CHECK_EQ(overlay_lab_get(&lab, &lab.nodes[i], "lab:a", &result), 0);
		CHECK_EQ(result.result.err, 0);
		CHECK_EQ(result.value_cnt, 1);
		CHECK_EQ(result.claims[0].seq, 7);
	}
	overlay_lab_fini(&lab);
}

int main(void)
{
	RUN(test_value_is_found_by_all);
	return check_done();
}
