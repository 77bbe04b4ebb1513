/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses on their way into ngtcp2's paths and back. */
#include "quic/engine.h"
#include "support/check.h"

static const struct addr four = {.ip = {192, 0, 2, 1}, .port = 7000, .family = ADDR_IPV4};
static const struct addr six = {
	.ip = {0xfe, 0x80, [15] = 9}, .port = 7001, .scope_id = 3, .family = ADDR_IPV6};
static const struct addr none;

static void test_addresses_of_both_families_come_back_as_they_were(void)
{
	const struct addr *remotes[] = {&four, &six};

	for (unsigned i = 0; i < 2; i++) {
		struct addr local = *remotes[i], got;
		ngtcp2_path_storage storage;

		local.ip[3] ^= 1;
		local.port += 5;
		quic_path_init(&storage, &local, remotes[i]);
		quic_path_addr(&storage.path.remote, &got);
		CHECK(addr_equal(&got, remotes[i]));
		CHECK_EQ(got.scope_id, remotes[i]->scope_id);
		CHECK_EQ(got.family, remotes[i]->family);
		quic_path_addr(&storage.path.local, &got);
		CHECK(addr_equal(&got, &local));
	}
}

static void test_an_unknown_local_address_is_the_wildcard_of_the_remotes_family(void)
{
	ngtcp2_path_storage storage;

	quic_path_init(&storage, &none, &six);
	CHECK_EQ(storage.path.local.addrlen, sizeof(struct sockaddr_in6));
	CHECK_EQ(storage.local_addrbuf.sa.sa_family, AF_INET6);
	quic_path_init(&storage, &none, &four);
	CHECK_EQ(storage.path.local.addrlen, sizeof(struct sockaddr_in));
	CHECK_EQ(storage.local_addrbuf.sa.sa_family, AF_INET);
}

static void test_an_address_of_no_family_is_none(void)
{
	ngtcp2_sockaddr_union sa = {0};
	ngtcp2_addr from = {.addr = &sa.sa, .addrlen = sizeof(sa.sa) - 1};
	struct addr got = six;

	quic_path_addr(&from, &got);
	CHECK(addr_equal(&got, &none));
}

int main(void)
{
	RUN(test_addresses_of_both_families_come_back_as_they_were);
	RUN(test_an_unknown_local_address_is_the_wildcard_of_the_remotes_family);
	RUN(test_an_address_of_no_family_is_none);
	return check_done();
}
