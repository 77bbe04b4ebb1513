/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WEFTD_NOTIFY_H
#define WEFT_WEFTD_NOTIFY_H

#include <stdint.h>

/*
 * A service's messages to its manager (sd_notify(3)), spoken by hand:
 * datagrams of NAME=VALUE lines to the socket named by $NOTIFY_SOCKET.
 * Without one every call does nothing.
 */
struct notify {
	int fd;		      /* -1: no service manager listens */
	uint64_t watchdog_ns; /* how often WATCHDOG=1 is expected; 0: not */
};

/* weftd_notify_open reads the environment and takes the variables out of it. */
void weftd_notify_open(struct notify *notify);
void weftd_notify_close(struct notify *notify);

/* notify_{ready,stopping,alive}: READY=1, STOPPING=1, WATCHDOG=1; status may be NULL. */
void weftd_notify_ready(const struct notify *notify, const char *status);
void weftd_notify_stopping(const struct notify *notify);
void weftd_notify_alive(const struct notify *notify);
/* weftd_notify_reloading comes before a reload, weftd_notify_ready after it. */
void weftd_notify_reloading(const struct notify *notify, uint64_t now_ns);

#endif
