/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of small order: any node can sign for them, so TLS must not take them for a peer. */
#include "support/check.h"
#include "support/quic_net.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/monotonic.h"
#include "quic/engine.h"
#include "tls/signer.h"

/* The neutral element: R = 0, S = 0 is a signature of all data by it. */
static const uint8_t neutral[TRANSPORT_KEY_LEN] = {1};

static void sign_anything(const void *ctx, const void *data, size_t len,
			  uint8_t out_signature[static TLS_SIGNATURE_LEN])
{
	(void)ctx;
	(void)data;
	(void)len;
	memset(out_signature, 0, TLS_SIGNATURE_LEN);
	memcpy(out_signature, neutral, sizeof(neutral));
}

static EVP_PKEY *forged_key(void)
{
	struct tls_signer signer = {.sign = sign_anything};

	memcpy(signer.public_key, neutral, sizeof(neutral));
	return tls_signer_key(&signer);
}

/* ctx proves the neutral element from now on, as raw public key or in a certificate alone. */
static void use_forged_key(SSL_CTX *ctx, bool is_x509)
{
	EVP_PKEY *key = forged_key();
	X509 *cert = X509_new();

	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 1000);
	CHECK(X509_set_pubkey(cert, key) && X509_sign(cert, key, NULL) > 0);
	CHECK(SSL_CTX_use_certificate(ctx, cert) && SSL_CTX_use_PrivateKey(ctx, key));
	if (is_x509) {
		SSL_CTX_set1_server_cert_type(ctx, NULL, 0);
		SSL_CTX_set1_client_cert_type(ctx, NULL, 0);
	}
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* Or the tests below would see another refusal than that of the key. */
static void test_openssl_takes_the_forged_signature(void)
{
	EVP_PKEY *public = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, neutral, 32);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t signature[TLS_SIGNATURE_LEN];

	sign_anything(NULL, NULL, 0, signature);
	CHECK(EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, public) == 1);
	CHECK_EQ(EVP_DigestVerify(ctx, signature, sizeof(signature), (const uint8_t *)"abc", 3), 1);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(public);
}

static void test_dialler_with_a_key_of_small_order_has_no_key(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct quic_test_conn *conn;
		struct quic_pair p;

		quic_pair_init(&p, 40 + i, NULL);
		use_forged_key(p.a->engine->tls.client, i);
		conn = quic_net_connect(p.a, p.b);
		CHECK(conn);
		quic_net_settle(&p.net, NS_PER_S);
		CHECK(conn->is_closed && conn->close.by_peer);
		CHECK_EQ(conn->close.err, WEFT_EREFUSED);
		CHECK_EQ(conn->close.code, QUIC_CLOSE_NO_KEY);
		CHECK_EQ(p.b->conn_cnt, 0);
		quic_pair_fini(&p);
	}
}

/* Even where that key is the one dialled. */
static void test_listener_with_a_key_of_small_order_is_refused(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct quic_test_conn *conn;
		struct quic_pair p;

		quic_pair_init(&p, 42 + i, NULL);
		use_forged_key(p.b->engine->tls.server, i);
		conn = quic_net_dial_key(p.a, &p.b->outer, neutral);
		CHECK(conn);
		quic_net_settle(&p.net, 10 * NS_PER_S);
		CHECK(conn->is_closed && !conn->is_ready);
		CHECK_EQ(conn->close.err, WEFT_EWRONGKEY);
		CHECK_EQ(conn->close.code, 0x100 + TLS_ALERT_UNSUPPORTED_CERTIFICATE);
		CHECK(!conn->close.has_key);
		quic_pair_fini(&p);
	}
}

int main(void)
{
	RUN(test_openssl_takes_the_forged_signature);
	RUN(test_dialler_with_a_key_of_small_order_has_no_key);
	RUN(test_listener_with_a_key_of_small_order_is_refused);
	return check_done();
}
