/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_EXEC_LAUNCHER_PROCESS_H
#define WEFT_PROVIDER_EXEC_LAUNCHER_PROCESS_H

/*
 * Private to provider/: the launcher's own process. provider_launcher_process_run serves
 * weftd at the other end of fd until that end closes, then ends all programs
 * and itself. It does not return.
 */
_Noreturn void provider_launcher_process_run(int fd);

#endif
