/* SPDX-License-Identifier: Apache-2.0 */
#include "node/node_state.h"
#include "support/check.h"

static void test_every_method_described_has_its_handler(void)
{
	char name[CONTROL_METHOD_NAME_CAP];

	if (!control_methods_agree(node_methods, name))
		printf("# %s\n", name);
	CHECK(control_methods_agree(node_methods, name));
}

int main(void)
{
	RUN(test_every_method_described_has_its_handler);
	return check_done();
}
