/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org.varlink.service: what every varlink service answers, so that
 * varlinkctl and others find their way. Home worker.
 */
#include "control/control_server.h"

#include <string.h>

#include "varlink/node.h"
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
	json_t *names = json_array();

	for (size_t i = 0; i < API_INTERFACE_CNT; i++)
		(void)json_array_append_new(names, json_string(api_interfaces[i].name));
	control_reply(call, json_pack("{s:s, s:s, s:s, s:s, s:o}", "vendor", "weft", "product",
				      "weftd", "version", WEFT_VERSION, "url",
				      "file:///usr/share/doc/weft", "interfaces", names));
}

static void get_interface_description(struct control_call *call, const json_t *parameters)
{
	const char *name = json_string_value(json_object_get(parameters, "interface"));
	const struct varlink_interface *interface = name ? control_interface_lookup(name) : NULL;

	if (!name)
		control_fail_parameter(call, "interface");
	else if (!interface)
		control_call_fail_standard(call, API_INTERFACE_NOT_FOUND_ERROR,
					   &(struct api_failure){.interface = name});
	else
		control_reply(call, json_pack("{s:s}", "description", interface->text));
}

void control_service_dispatch(struct control_call *call, const char *name, const json_t *parameters)
{
	if (strcmp(name, "GetInfo") == 0)
		get_info(call);
	else if (strcmp(name, "GetInterfaceDescription") == 0)
		get_interface_description(call, parameters);
	else
		control_call_fail_standard(
			call, API_METHOD_NOT_FOUND_ERROR,
			&(struct api_failure){.method = varlink_format(control_blocks(call),
								       INTERFACE_SERVICE ".%s",
								       name)});
}
