/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_OUTGOING_CALL_CLIENT_H
#define WEFT_SERVICE_OUTGOING_CALL_CLIENT_H

#include "service/service.h"

struct service_local_ask_ops;

WEFT_MUST_CHECK
int service_client_init(struct service *service);
void service_client_fini(struct service *service);

/* An opening of a stream for service_channel.c: as service_call_start. */
WEFT_MUST_CHECK
int service_client_open(struct service *service, const struct service_request *request,
			struct service_channel *channel, uint64_t now_ns);
/* service_client_opened: the local stream that ask opens was taken; ask is gone. */
void service_client_opened(struct service_ask *ask, uint64_t now_ns);
/* service_client_gone: the mesh's stream of an ask that is open is gone, and ask with it. */
void service_client_gone(struct service_ask *ask);
/* service_client_is_started: bytes may follow the opening. */
bool service_client_is_started(const struct service_ask *ask);

/* What a call of this node to itself wants of its ask. */
extern const struct service_local_ask_ops service_client_local_ops;

#endif
