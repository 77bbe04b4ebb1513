/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upnp_run: search (SSDP) -> description (HTTP) -> AddPortMapping for each port (SOAP) ->
 * GetExternalIPAddress. WANIPConnection:1 and :2, WANPPPConnection:1 (UPnP Forum, IGD). The job's
 * thread alone.
 */
#include "upnp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <miniupnpc/igd_desc_parse.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpreplyparse.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/monotonic.h"
#include "http/http_get.h"

#define SEARCH_NS    (2 * NS_PER_S)
#define SEARCH_SENDS 2
#define HTTP_NS	     (3 * NS_PER_S)
#define SSDP_PORT    1900
#define SSDP_GROUP   "239.255.255.250"
/* Errors of the services, and how often another port is tried. */
#define ERROR_CONFLICT	     718
#define ERROR_PERMANENT_ONLY 725
#define PORT_TRIES	     4
#define NUMBER_CAP	     12

/* --- SSDP --- */

static void search_send(int fd, const char *ip)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(SSDP_PORT)};
	char search[UPNP_SEARCH_CAP], host[32];
	size_t len;

	snprintf(host, sizeof(host), "%s:%u", ip, SSDP_PORT);
	len = port_mapping_upnp_write_search(host, search);
	if (inet_pton(AF_INET, ip, &to.sin_addr) == 1)
		(void)!sendto(fd, search, len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to,
			      sizeof(to));
}

/* Any host of the network may answer a search: the router's own address alone counts. */
static bool search_read(struct upnp *upnp, int fd, char out_url[static UPNP_URL_CAP])
{
	struct sockaddr_storage sa;
	socklen_t sa_len = sizeof(sa);
	struct addr from;
	ssize_t len = recvfrom(fd, upnp->answer, sizeof(upnp->answer), MSG_DONTWAIT,
			       (struct sockaddr *)&sa, &sa_len);

	return len > 0 && addr_from_sockaddr((struct sockaddr *)&sa, &from) == 0 &&
	       addr_is_same_host(&from, &upnp->router) &&
	       port_mapping_upnp_read_found((const char *)upnp->answer, (size_t)len, &upnp->router,
					    out_url);
}

/* The time counts, not the datagrams: a host that sends without end ends nothing later. */
static bool search_wait(struct upnp *upnp, int fd, uint64_t until_ns,
			char out_url[static UPNP_URL_CAP])
{
	struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
				{.fd = upnp->stop_fd, .events = POLLIN}};
	uint64_t now_ns;

	while ((now_ns = clock_monotonic_ns()) < until_ns) {
		if (poll(fds, 2, (int)((until_ns - now_ns) / NS_PER_MS) + 1) < 0 && errno != EINTR)
			return false;
		if (fds[1].revents)
			return false;
		if (fds[0].revents && search_read(upnp, fd, out_url))
			return true;
	}
	return false;
}

static bool search(struct upnp *upnp, char out_url[static UPNP_URL_CAP])
{
	struct sockaddr_storage sa;
	struct addr client = upnp->client;
	char router[INET_ADDRSTRLEN];
	struct in_addr ip;
	bool is_found = false;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return false;
	client.port = 0;
	memcpy(&ip, client.ip, sizeof(ip));
	if (bind(fd, (struct sockaddr *)&sa, addr_to_sockaddr(&client, &sa)) == 0 &&
	    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &ip, sizeof(ip)) == 0) {
		inet_ntop(AF_INET, upnp->router.ip, router, sizeof(router));
		for (unsigned i = 0; i < SEARCH_SENDS && !is_found; i++) {
			search_send(fd, SSDP_GROUP);
			search_send(fd, router);
			is_found = search_wait(
				upnp, fd, clock_monotonic_ns() + SEARCH_NS / SEARCH_SENDS, out_url);
		}
	}
	close(fd);
	return is_found;
}

/* --- HTTP --- */

static bool fetch(struct upnp *upnp, struct http_get *get)
{
	get->timeout_ns = HTTP_NS;
	get->stop_fd = upnp->stop_fd;
	get->answer = upnp->answer;
	get->answer_cap = sizeof(upnp->answer) - 1;
	if (http_get_run(get) < 0)
		return false;
	upnp->answer[get->answer_len] = '\0';
	upnp->answer_len = get->answer_len;
	return true;
}

static bool service_take(struct upnp *upnp, const char *url, struct IGDdatas *data,
			 struct IGDdatas_service *service)
{
	struct UPNPUrls urls = {0};
	bool is_taken;

	if (!service->controlurl[0] || !port_mapping_upnp_service_is_usable(service->servicetype))
		return false;
	data->first = *service;
	GetUPNPUrls(&urls, data, url, 0);
	is_taken = urls.controlURL && strlen(urls.controlURL) < sizeof(upnp->control_url) &&
		   port_mapping_upnp_is_of(urls.controlURL, &upnp->router);
	if (is_taken) {
		snprintf(upnp->control_url, sizeof(upnp->control_url), "%s", urls.controlURL);
		snprintf(upnp->service, sizeof(upnp->service), "%s", service->servicetype);
	}
	FreeUPNPUrls(&urls);
	return is_taken;
}

static const char *describe(struct upnp *upnp)
{
	struct IGDdatas data = {0}, copy;
	struct http_get get = {.method = "GET"};
	char url[UPNP_URL_CAP];

	if (!search(upnp, url))
		return "no router answers";
	get.url = url;
	if (!fetch(upnp, &get) || get.status != 200)
		return "the router gives no description";
	parserootdesc((const char *)upnp->answer, (int)upnp->answer_len, &data);
	copy = data;
	if (service_take(upnp, url, &copy, &data.first))
		return NULL;
	copy = data;
	return service_take(upnp, url, &copy, &data.second) ? NULL : "the router maps no ports";
}

/* --- SOAP --- */

/*
 * call runs an action. Returns 0; a positive error of the service; or negative, without an answer.
 * value: what the answer says of out_name, or "".
 */
static int call(struct upnp *upnp, const char *action, const struct upnp_argument *arguments,
		const char *out_name, char out_value[static INET_ADDRSTRLEN])
{
	struct NameValueParserData answer;
	char field[UPNP_SERVICE_CAP + 64];
	struct http_get get = {
		.url = upnp->control_url,
		.method = "POST",
		.body = upnp->call,
		.body_type = "text/xml; charset=\"utf-8\"",
		.field = field,
	};
	const char *text;
	int err = -1;

	out_value[0] = '\0';
	snprintf(field, sizeof(field), "SOAPAction: \"%s#%s\"", upnp->service, action);
	get.body_len = port_mapping_upnp_write_call(upnp->service, action, arguments, upnp->call);
	if (!get.body_len || !fetch(upnp, &get))
		return -1;
	ParseNameValue((const char *)upnp->answer, (int)upnp->answer_len, &answer);
	text = GetValueFromNameValueList(&answer, get.status == 200 ? out_name : "errorCode");
	if (get.status == 200)
		err = 0;
	else if (text && atoi(text) > 0)
		err = atoi(text);
	if (!err && text)
		snprintf(out_value, INET_ADDRSTRLEN, "%s", text);
	ClearNameValueList(&answer);
	return err;
}

static const char *transport_word(const struct port_mapping_port *port)
{
	return port->transport == ADDR_TCP ? "TCP" : "UDP";
}

static int add(struct upnp *upnp, unsigned at, uint16_t external_port, uint32_t lifetime_s)
{
	char outside[NUMBER_CAP], inside[NUMBER_CAP], lifetime[NUMBER_CAP];
	char client[INET_ADDRSTRLEN], unused[INET_ADDRSTRLEN];
	const struct upnp_argument arguments[] = {
		{"NewRemoteHost", ""},
		{"NewExternalPort", outside},
		{"NewProtocol", transport_word(&upnp->ports[at])},
		{"NewInternalPort", inside},
		{"NewInternalClient", client},
		{"NewEnabled", "1"},
		{"NewPortMappingDescription", "weft"},
		{"NewLeaseDuration", lifetime},
		{NULL, NULL},
	};

	snprintf(outside, sizeof(outside), "%u", external_port);
	snprintf(inside, sizeof(inside), "%u", upnp->ports[at].port);
	snprintf(lifetime, sizeof(lifetime), "%u", lifetime_s);
	inet_ntop(AF_INET, upnp->client.ip, client, sizeof(client));
	return call(upnp, "AddPortMapping", arguments, "", unused);
}

/* A port that another host has makes room for one drawn at random; 0: none is given. */
static uint16_t map(struct upnp *upnp, unsigned at)
{
	uint16_t port = upnp->external_ports[at] ? upnp->external_ports[at] : upnp->ports[at].port;
	uint32_t lifetime_s = upnp->lifetime_s;

	for (unsigned i = 0; i < PORT_TRIES; i++) {
		int err = add(upnp, at, port, lifetime_s);

		if (err == 0)
			return port;
		/* Given back at the stop; what a crash leaves behind stays (IGD 1, 2.4.16). */
		if (err == ERROR_PERMANENT_ONLY && lifetime_s)
			lifetime_s = 0;
		else if (err == ERROR_CONFLICT)
			port = (uint16_t)(20000 + random_below(&upnp->random, 40000));
		else
			return 0;
	}
	return 0;
}

static void withdraw(struct upnp *upnp)
{
	char outside[NUMBER_CAP], unused[INET_ADDRSTRLEN];

	for (unsigned i = 0; i < upnp->port_cnt && upnp->control_url[0]; i++) {
		const struct upnp_argument arguments[] = {
			{"NewRemoteHost", ""},
			{"NewExternalPort", outside},
			{"NewProtocol", transport_word(&upnp->ports[i])},
			{NULL, NULL},
		};

		snprintf(outside, sizeof(outside), "%u", upnp->external_ports[i]);
		if (upnp->external_ports[i] &&
		    call(upnp, "DeletePortMapping", arguments, "", unused) < 0)
			return;
	}
}

static const char *map_all(struct upnp *upnp)
{
	static const struct upnp_argument none = {NULL, NULL};
	char ip[INET_ADDRSTRLEN];
	bool is_mapped = false;

	for (unsigned i = 0; i < upnp->port_cnt; i++) {
		upnp->end.ports[i] = map(upnp, i);
		is_mapped |= upnp->end.ports[i] != 0;
	}
	if (!is_mapped)
		return "the router refuses the ports, or does not answer";
	if (call(upnp, "GetExternalIPAddress", &none, "NewExternalIPAddress", ip) != 0 ||
	    inet_pton(AF_INET, ip, upnp->end.external.ip) != 1)
		return "the router does not tell its address";
	upnp->end.external.family = ADDR_IPV4;
	if (!addr_is_unicast(&upnp->end.external) || addr_is_loopback(&upnp->end.external))
		return "the router's answer names no address";
	return NULL;
}

void port_mapping_upnp_run(struct job *job)
{
	struct upnp *upnp = (struct upnp *)job;

	upnp->end = (struct mapper_upnp_end){.why = NULL};
	if (upnp->is_withdrawal) {
		withdraw(upnp);
		return;
	}
	if (!upnp->control_url[0])
		upnp->end.why = describe(upnp);
	if (!upnp->end.why)
		upnp->end.why = map_all(upnp);
	/* A router that starts again may serve another port. */
	if (upnp->end.why)
		upnp->control_url[0] = '\0';
}
