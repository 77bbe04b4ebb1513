/* SPDX-License-Identifier: Apache-2.0 */
#include "upnp_text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http/url.h"

size_t port_mapping_upnp_write_search(const char *host, char out[static UPNP_SEARCH_CAP])
{
	return (size_t)snprintf(out, UPNP_SEARCH_CAP,
				"M-SEARCH * HTTP/1.1\r\nHOST: %s\r\nMAN: \"ssdp:discover\"\r\n"
				"MX: 1\r\nST: urn:schemas-upnp-org:device:"
				"InternetGatewayDevice:1\r\n\r\n",
				host);
}

bool port_mapping_upnp_is_of(const char *url, const struct addr *router)
{
	struct url parsed;
	struct in_addr ip;

	return http_url_parse(url, &parsed) == 0 && !parsed.is_tls &&
	       inet_pton(AF_INET, parsed.target.host, &ip) == 1 && router->family == ADDR_IPV4 &&
	       memcmp(&ip, router->ip, sizeof(ip)) == 0;
}

/* A line of the head, without its end; false: no more. */
static bool line_next(const char **at, const char *end, const char **out_line, size_t *out_len)
{
	const char *newline;

	if (*at >= end)
		return false;
	newline = memchr(*at, '\n', (size_t)(end - *at));
	*out_line = *at;
	*out_len = (size_t)((newline ? newline : end) - *at);
	*at = newline ? newline + 1 : end;
	if (*out_len && (*out_line)[*out_len - 1] == '\r')
		--*out_len;
	return true;
}

bool port_mapping_upnp_read_found(const char *data, size_t len, const struct addr *router,
				  char out_url[static UPNP_URL_CAP])
{
	static const char status[] = "HTTP/1.1 200", field[] = "location:";
	const char *at = data, *line;
	char url[UPNP_URL_CAP];
	size_t line_len;

	if (!line_next(&at, data + len, &line, &line_len) || line_len < sizeof(status) - 1 ||
	    memcmp(line, status, sizeof(status) - 1) != 0)
		return false;
	while (line_next(&at, data + len, &line, &line_len)) {
		if (line_len < sizeof(field) - 1 ||
		    strncasecmp(line, field, sizeof(field) - 1) != 0)
			continue;
		for (line += sizeof(field) - 1, line_len -= sizeof(field) - 1;
		     line_len && *line == ' '; line++, line_len--)
			;
		if (line_len >= sizeof(url) || memchr(line, '\0', line_len))
			return false;
		memcpy(url, line, line_len);
		url[line_len] = '\0';
		if (!port_mapping_upnp_is_of(url, router))
			return false;
		memcpy(out_url, url, line_len + 1);
		return true;
	}
	return false;
}

bool port_mapping_upnp_service_is_usable(const char *service)
{
	static const char *const mapping[] = {
		"urn:schemas-upnp-org:service:WANIPConnection:",
		"urn:schemas-upnp-org:service:WANPPPConnection:",
	};

	for (size_t i = 0; i < sizeof(mapping) / sizeof(mapping[0]); i++) {
		size_t len = strlen(mapping[i]);

		if (strncmp(service, mapping[i], len) == 0)
			return service[len] && !service[len + strspn(service + len, "0123456789")];
	}
	return false;
}

size_t port_mapping_upnp_write_call(const char *service, const char *action,
				    const struct upnp_argument *arguments,
				    char out[static UPNP_CALL_CAP])
{
	size_t len =
		(size_t)snprintf(out, UPNP_CALL_CAP,
				 "<?xml version=\"1.0\"?>\r\n<s:Envelope "
				 "xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
				 "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\">"
				 "<s:Body><u:%s xmlns:u=\"%s\">",
				 action, service);

	for (; arguments->name && len < UPNP_CALL_CAP; arguments++)
		len += (size_t)snprintf(out + len, UPNP_CALL_CAP - len, "<%s>%s</%s>",
					arguments->name, arguments->value, arguments->name);
	if (len < UPNP_CALL_CAP)
		len += (size_t)snprintf(out + len, UPNP_CALL_CAP - len,
					"</u:%s></s:Body></s:Envelope>\r\n", action);
	return len < UPNP_CALL_CAP ? len : 0;
}
