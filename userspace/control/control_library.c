/* SPDX-License-Identifier: Apache-2.0 */
/* The libraries that JSON is linked with. */
#include "control/control_library.h"

#include <stdio.h>

#include <jansson.h>

void control_libraries(struct library out[static CONTROL_LIBRARY_CNT])
{
	out[0].name = "jansson";
	snprintf(out[0].version, sizeof(out[0].version), "%s", jansson_version_str());
}
