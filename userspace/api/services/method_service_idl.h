/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_API_SERVICES_METHOD_SERVICE_IDL_H
#define WEFT_API_SERVICES_METHOD_SERVICE_IDL_H

#include <stddef.h>

#include <jansson.h>

#include "weft/err.h"

/*
 * api_service_idl_description makes the description of a service from its program's varlink
 * interface, as service/directory/description.h has it. Each method has its fields, with types
 * spelled out, and the comment lines above it. A line "Example: {...}" is the method's example.
 *
 * 0, -ENOMEM, or WEFT_EMALFORMED with why in a few words, the line among them.
 */
#define SERVICE_IDL_WHY_CAP 96
WEFT_MUST_CHECK
int api_service_idl_description(const char *text, json_t **out_description,
				char why[static SERVICE_IDL_WHY_CAP]);

#endif
