/* SPDX-License-Identifier: Apache-2.0 */
#include "support/check.h"

unsigned check_test_cnt;
unsigned check_fail_cnt;
bool check_failed;

int check_done(void)
{
	printf("1..%u\n", check_test_cnt);
	return check_fail_cnt ? 1 : 0;
}

void check_hex(const char *name, const void *data, size_t len)
{
	const uint8_t *bytes = data;

	printf("# %s ", name);
	for (size_t i = 0; i < len; i++)
		printf("%02x", bytes[i]);
	printf("\n");
}
