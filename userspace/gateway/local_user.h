/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_GATEWAY_LOCAL_USER_H
#define WEFT_GATEWAY_LOCAL_USER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

/*
 * Which user of this machine is behind a TCP connection over loopback, as
 * sock_diag(7) tells. All users share the address 127.0.0.1; without this
 * one of them could take what all have. Needs no privilege.
 */

/* gateway_local_user_open: a socket to ask by, or -1 where the kernel has none. */
int gateway_local_user_open(void);
/*
 * gateway_local_user_of asks for the owner of the other end of fd, an accepted
 * connection from remote. False: remote is not loopback, its socket is
 * closed already, or the kernel does not tell.
 * Context: about 5 us (2026-11-22, Linux 6); the kernel answers at once.
 */
bool gateway_local_user_of(int diag_fd, int fd, const struct addr *remote, uint32_t *out_uid);

#endif
