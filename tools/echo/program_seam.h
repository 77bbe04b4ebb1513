/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_ECHO_PROGRAM_SEAM_H
#define WEFT_ECHO_PROGRAM_SEAM_H

#include "service/service.h"
#include "weft/client.h"

/*
 * The seam of a service, by libweft. A service that is linked into weftd answers by service_reply and
 * the functions of a channel (service/service.h). Here they are those of a program: a call is a
 * request of libweft, a channel its stream. handler and ctx are as of the offer in weftd.
 */
struct program_seam {
	const struct service_handler *handler;
	void *ctx;
};
/* program_seam_handler: its ctx is a struct program_seam. */
extern const struct weft_handler program_seam_handler;

#endif
