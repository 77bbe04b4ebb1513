/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_EXEC_EXEC_LAUNCH_H
#define WEFT_PROVIDER_EXEC_EXEC_LAUNCH_H

#include "launch_message.h"
#include "provider/program_offer.h"

/*
 * Private to provider/: requests to the launcher for an offer of exec. A start is named by the
 * handle of its process, a check by that of its offer.
 */
#define EXEC_CHECK_ID (1ull << 63)

enum { EXEC_IN, EXEC_OUT, EXEC_ERR };

struct exec_call {
	const struct service_caller *caller;
	const char *method;
	uint64_t id;
};
/*
 * provider_exec_launch starts it: 0 and the provider's ends of its standard files, which do not
 * block; else as provider_launcher_start.
 */
WEFT_MUST_CHECK
int provider_exec_launch(const struct offer *offer, const struct exec_call *call, uint64_t now_ns,
			 int out_files[static LAUNCH_FD_CNT]);
/* provider_exec_launch_check asks whether the program could be run. As provider_launcher_start. */
WEFT_MUST_CHECK
int provider_exec_launch_check(const struct offer *offer);
/*
 * provider_exec_confine_fault returns why a program of spec may not be offered here, and the
 * remedy; NULL: it may.
 */
const char *provider_exec_confine_fault(const struct provider *provider,
					const struct provider_spec *spec);
/*
 * provider_exec_launch_fault: why a start failed; static. provider_exec_error_fault: why none could
 * be asked for.
 */
const char *provider_exec_launch_fault(const struct launch_end *end);
const char *provider_exec_error_fault(int err);

#endif
