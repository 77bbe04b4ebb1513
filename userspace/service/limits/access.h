/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_LIMITS_ACCESS_H
#define WEFT_SERVICE_LIMITS_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mesh/seam.h"

struct service_offer;

/*
 * Which caller may call which method of an offer. The router judges it before the handler gets the
 * call, by grants (service.h) of the offer's owner.
 *
 *	service_admit	  all facts in the head of a call
 *	call_hand_stream  of HTTP, whose method is in the request's own head; of a subscription, whose
 *			  topic is: it is judged as a method is
 */
enum service_access {
	SERVICE_ACCESS_GIVEN,
	SERVICE_ACCESS_NONE,	   /* the caller is named nowhere */
	SERVICE_ACCESS_NOT_METHOD, /* others are named for this method */
	SERVICE_ACCESS_LATER,	   /* the request's head decides */
};
enum service_access service_access_of(const struct service_offer *offer, const uint8_t *key,
				      const char *method, bool is_stream);
/*
 * service_access_of_verb judges a request of HTTP with that method, once service_access_of said
 * LATER. "": the bytes are no request. The handler refuses them to callers that may ask something.
 */
enum service_access service_access_of_verb(const struct service_offer *offer, const uint8_t *key,
					   const char *verb);
/* service_offer_is_http: its streams of HttpInvoke are requests. */
bool service_offer_is_http(const struct service_offer *offer);
/* service_access_text: why not, in one sentence. */
const char *service_access_text(enum service_access access);

/* service_groups_are_valid: a list as "friends:ID,ID lab:ID". */
bool service_groups_are_valid(const char *groups);
bool service_group_has(const char *groups, const char *group, const uint8_t key[MESH_KEY_LEN]);

#endif
