/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org.varlink.service: what every varlink service answers, so that
 * varlinkctl and others find their way. Home worker.
 */
#include "control/control_server.h"

#include <string.h>

#include "varlink/node.h"
#include "varlink/standard.h"
#include "weft/version.h"

const struct varlink_interface *control_interface_lookup(const char *name)
{
	for (size_t i = 0; i < API_INTERFACE_CNT; i++)
		if (strcmp(api_interfaces[i].name, name) == 0)
			return &api_interfaces[i];
	return NULL;
}

static void get_info(struct control_call *call)
{
	struct api_standard_get_info_out info = {.vendor = "weft",
						 .product = "weftd",
						 .version = WEFT_VERSION,
						 .url = "file:///usr/share/doc/weft"};

	for (size_t i = 0; i < API_INTERFACE_CNT; i++)
		varlink_push(control_blocks(call), &info.interfaces, api_interfaces[i].name);
	control_reply(call, api_standard_get_info_out_write(&info));
}

static void get_interface_description(struct control_call *call, json_t *parameters)
{
	const struct api_standard_get_interface_description_in *in =
		varlink_read(&api_standard_get_interface_description_in_type, parameters,
			     control_blocks(call), NULL);
	const char *name = in ? in->interface : "";
	const struct varlink_interface *interface = control_interface_lookup(name);

	if (!*name)
		control_fail_parameter(call, "interface");
	else if (!interface)
		control_call_fail_standard(call, API_INTERFACE_NOT_FOUND_ERROR,
					   &(struct api_failure){.interface = name});
	else
		control_reply(call, api_standard_get_interface_description_out_write(
					    &(struct api_standard_get_interface_description_out){
						    .description = interface->text}));
}

void control_service_dispatch(struct control_call *call, const char *name, json_t *parameters)
{
	if (strcmp(name, "GetInfo") == 0)
		get_info(call);
	else if (strcmp(name, "GetInterfaceDescription") == 0)
		get_interface_description(call, parameters);
	else
		control_call_fail_standard(
			call, API_METHOD_NOT_FOUND_ERROR,
			&(struct api_failure){.method = varlink_format(control_blocks(call),
								       API_STANDARD_INTERFACE ".%s",
								       name)});
}
