/* SPDX-License-Identifier: Apache-2.0 */
/* The libraries that the store is linked with. */
#include "store/store_library.h"

#include <stdio.h>

#include <lmdb.h>

void store_libraries(struct library out[static STORE_LIBRARY_CNT])
{
	int major, minor, patch;

	(void)mdb_version(&major, &minor, &patch);
	out[0].name = "lmdb";
	snprintf(out[0].version, sizeof(out[0].version), "%d.%d.%d", major, minor, patch);
}
