/* SPDX-License-Identifier: Apache-2.0 */
/* The libraries for packets and names, and those that libbpf brings. */
#include "net/net_library.h"

#include <stdio.h>

#include <ares.h>
#include <bpf/libbpf.h>
#include <elfutils/version.h>
#include <liburing.h>
#include <zlib.h>
#include <zstd.h>

void net_libraries(struct library out[static NET_LIBRARY_CNT])
{
	out[0].name = "libbpf";
	snprintf(out[0].version, sizeof(out[0].version), "%s", libbpf_version_string());
	out[1].name = "liburing";
	snprintf(out[1].version, sizeof(out[1].version), "%d.%d", io_uring_major_version(),
		 io_uring_minor_version());
	out[2].name = "c-ares";
	snprintf(out[2].version, sizeof(out[2].version), "%s", ares_version(NULL));
	/* It has no function that returns its version. */
	out[3].name = "libelf";
	snprintf(out[3].version, sizeof(out[3].version), "%d", _ELFUTILS_VERSION);
	out[4].name = "zlib";
	snprintf(out[4].version, sizeof(out[4].version), "%s", zlibVersion());
	out[5].name = "libzstd";
	snprintf(out[5].version, sizeof(out[5].version), "%s", ZSTD_versionString());
}
