/* SPDX-License-Identifier: Apache-2.0 */
#include "fast_path.h"

#include <stdio.h>
#include <stdlib.h>

#define NS_PER_S   1000000000ULL
#define BUFFER_LEN (4u << 20)

void fast_path_fail(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(1);
}

static void no_limits(struct weft_config *policy)
{
	const struct weft_bucket_rate any = {.cost_ns = 1, .credit_max_ns = NS_PER_S};

	*policy = (struct weft_config){.validated = any, .token_life_ns = NS_PER_S};
	for (int total = 0; total < WEFT_TOTAL_CNT; total++)
		policy->totals[total] = any;
	for (unsigned answer = 0; answer < WEFT_ANSWERS_CNT; answer++)
		policy->answers[answer] = any;
	policy->samples = (struct weft_bucket_rate){NS_PER_S / 10, NS_PER_S};
	policy->salt[0] = 0x9e3779b97f4a7c15;
	policy->salt[1] = 0xbf58476d1ce4e5b9;
	policy->salt[2] = 0x94d049bb133111eb;
	for (int class = 0; class < WEFT_CLASS_ALL_CNT; class ++)
		for (int level = 0; level < WEFT_LEVEL_CNT; level++)
			policy->rates[class][level] = any;
	/* Nor is any source reported as new to userspace. */
	policy->rates[WEFT_CLASS_SENDER][0] = (struct weft_bucket_rate){1ull << 50, 1};
}

/* Writes where it listens; how many addresses these are. */
static unsigned listen_on(struct fast_path *path,
			  const char *const listens[static FAST_PATH_LISTENS],
			  struct addr out_locals[static FAST_PATH_LISTENS])
{
	struct udp_config config = {.rx_buffer_len = BUFFER_LEN, .tx_buffer_len = BUFFER_LEN};
	unsigned failed_idx;
	int err = 0;

	for (unsigned i = 0; i < FAST_PATH_LISTENS && err == 0; i++) {
		err = addr_parse(listens[i], &out_locals[i]);
		if (i == 0 || !addr_equal(&out_locals[0], &out_locals[i]))
			config.listen[config.listen_cnt++] = out_locals[i];
	}
	if (err == 0)
		err = net_udp_open(&config, &path->udp_rx, &path->udp_tx, &failed_idx);
	if (err < 0)
		fast_path_fail(listens[0], weft_err_text(err));
	return config.listen_cnt;
}

static void attach(struct fast_path *path, const char *name, enum xdp_send send)
{
	struct xdp_device *device;
	char why[XDP_WHY_CAP];
	struct xdp_config config;
	struct xdp_queue *queue;
	int number;

	net_xdp_config_defaults(&config);
	config.mode = XDP_NATIVE;
	config.send = send;
	if (net_xdp_device_open(path->xdp, &config, name, &device, why) < 0)
		fast_path_fail(name, why);
	number = net_xdp_take(path->xdp, device);
	if (number < 0)
		fast_path_fail(name, weft_err_text(number));
	path->device = (unsigned)number;
	for (unsigned i = 0; (queue = net_xdp_queue_of(path->xdp, path->device, i)); i++)
		net_xdp_worker_add(path->lane, queue);
}

void fast_path_apply(struct fast_path *path)
{
	int err = net_xdp_set_config(path->xdp, &path->policy);

	if (err == 0)
		err = net_xdp_set_cid_keys(path->xdp, &path->keys);
	if (err < 0)
		fast_path_fail("tables of the program", weft_err_text(err));
}

static void path_open(struct fast_path *path, const char *device,
		      const char *const listens[static FAST_PATH_LISTENS], enum xdp_send send,
		      const struct weft_relay_tables *relay)
{
	static const __u64 key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	static const uint64_t secret[2] = {1, 2};
	const struct xdp_params params = {0};
	struct addr locals[FAST_PATH_LISTENS];
	unsigned local_cnt;
	int err;

	*path = (struct fast_path){.udp_rx = NULL};
	no_limits(&path->policy);
	weft_cid_keys_rotate(&path->keys, key);
	local_cnt = listen_on(path, listens, locals);
	if (!device)
		return;
	err = net_xdp_new(&params, &path->xdp);
	if (err == 0)
		err = net_xdp_worker_new(path->udp_tx, secret, &path->lane);
	if (err < 0)
		fast_path_fail("XDP", weft_err_text(err));
	if (relay)
		net_xdp_set_relay(path->xdp, relay);
	attach(path, device, send);
	fast_path_apply(path);
	if (net_xdp_set_locals(path->xdp, locals, local_cnt) < 0)
		fast_path_fail(listens[0], "cannot be given to the program");
}

void fast_path_open(struct fast_path *path, const char *device, const char *listen,
		    enum xdp_send send)
{
	path_open(path, device, (const char *const[]){listen, listen}, send, NULL);
}

void fast_path_open_relay(struct fast_path *path, const char *device,
			  const char *const listens[static FAST_PATH_LISTENS],
			  const struct weft_relay_tables *tables)
{
	path_open(path, device, listens, XDP_SEND_AUTO, tables);
}

void fast_path_close(struct fast_path *path)
{
	net_xdp_worker_free(path->lane);
	net_xdp_free(path->xdp);
	packet_tx_close(path->udp_tx);
	packet_rx_close(path->udp_rx);
}
