/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_URING_PROBE_H
#define WEFT_TESTS_URING_PROBE_H

/*
 * uring_probe_refusal finds the one io_uring that this process has open and
 * asks it to register something. Returns 0 when it does, -errno as it
 * refuses (-EACCES: it is restricted), -ENOENT without a ring.
 */
int uring_probe_refusal(void);

#endif
