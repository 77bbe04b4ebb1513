/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's key as TLS uses it: an OpenSSL provider inside this process that knows one kind of
 * key, Ed25519, and one operation, to sign. OpenSSL keeps private keys of its own in ordinary
 * memory, which is paged out and dumped. Here the seed stays in the signer's locked pages
 * (libsodium), and never passes OpenSSL. Keys of peers, and every other algorithm, are the default
 * provider's. Any thread; a key is not changed once made.
 */
#include "tls/signer.h"

#include <pthread.h>
#include <string.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include "tls/tls_library.h"

#define SIGNER_NAME  "weft"
#define SIGNER_QUERY "provider=" SIGNER_NAME
/* As the default provider names it: TLS and X.509 look for these. */
#define ED25519_NAMES "ED25519:1.3.101.112"
/* The parameter by which tls_signer_key hands over its signer. */
#define PARAM_SIGNER "weft-signer"
#define ED25519_BITS 256
/* RFC 7748 7: about. */
#define ED25519_SECURITY_BITS 128

/* AlgorithmIdentifier of Ed25519 (RFC 8410 3). */
static const uint8_t ed25519_algorithm[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};

/* Without sign it is a public key that OpenSSL compares the own one with. */
struct signer_key {
	struct tls_signer signer;
	bool has_public;
};

/* --- Keys (provider-keymgmt(7)) --- */

static void *key_new(void *provider)
{
	(void)provider;
	return OPENSSL_zalloc(sizeof(struct signer_key));
}

static void key_free(void *data)
{
	OPENSSL_free(data);
}

static int key_has(const void *data, int selection)
{
	const struct signer_key *key = data;

	if (!key)
		return 0;
	if ((selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) && !key->has_public)
		return 0;
	return !(selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || key->signer.sign;
}

/* Equal public keys have equal private keys; nothing else is compared. */
static int key_match(const void *left_data, const void *right_data, int selection)
{
	const struct signer_key *left = left_data, *right = right_data;

	(void)selection;
	return left->has_public && right->has_public &&
	       memcmp(left->signer.public_key, right->signer.public_key, TRANSPORT_KEY_LEN) == 0;
}

static int key_take_signer(struct signer_key *key, const OSSL_PARAM *param)
{
	const void *signer;

	if (!OSSL_PARAM_get_octet_ptr(param, &signer, NULL))
		return 0;
	key->signer = *(const struct tls_signer *)signer;
	key->has_public = true;
	return 1;
}

static int key_import(void *data, int selection, const OSSL_PARAM params[])
{
	struct signer_key *key = data;
	const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, PARAM_SIGNER);
	void *public_key = key->signer.public_key;
	size_t len;

	if (param)
		return key_take_signer(key, param);
	param = OSSL_PARAM_locate_const(params, OSSL_PKEY_PARAM_PUB_KEY);
	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || !param ||
	    !OSSL_PARAM_get_octet_string(param, &public_key, TRANSPORT_KEY_LEN, &len) ||
	    len != TRANSPORT_KEY_LEN)
		return 0;
	key->has_public = true;
	return 1;
}

/* The public half alone: where more is asked for, the answer is no. */
static int key_export(void *data, int selection, OSSL_CALLBACK *take, void *arg)
{
	struct signer_key *key = data;
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, key->signer.public_key,
						  TRANSPORT_KEY_LEN),
		OSSL_PARAM_END,
	};

	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) || !key->has_public)
		return 0;
	return take(params, arg);
}

static const OSSL_PARAM *key_types(int selection)
{
	static const OSSL_PARAM types[] = {
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_END,
	};

	return selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY ? types : NULL;
}

static int key_get_params(void *data, OSSL_PARAM params[])
{
	const struct signer_key *key = data;
	OSSL_PARAM *bits = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_BITS);
	OSSL_PARAM *security = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_SECURITY_BITS);
	OSSL_PARAM *size = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_MAX_SIZE);
	OSSL_PARAM *digest = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_MANDATORY_DIGEST);
	OSSL_PARAM *public_key = OSSL_PARAM_locate(params, OSSL_PKEY_PARAM_PUB_KEY);

	/* It hashes by itself: no digest may be named. */
	return (!bits || OSSL_PARAM_set_int(bits, ED25519_BITS)) &&
	       (!security || OSSL_PARAM_set_int(security, ED25519_SECURITY_BITS)) &&
	       (!size || OSSL_PARAM_set_int(size, TLS_SIGNATURE_LEN)) &&
	       (!digest || OSSL_PARAM_set_utf8_string(digest, "")) &&
	       (!public_key ||
		OSSL_PARAM_set_octet_string(public_key, key->signer.public_key, TRANSPORT_KEY_LEN));
}

static const OSSL_PARAM *key_gettable_params(void *provider)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)provider;
	return params;
}

/* --- Signatures (provider-signature(7)) --- */

struct signature {
	const struct signer_key *key; /* lives longer: the caller's context holds it */
};

static void *signature_new(void *provider, const char *properties)
{
	(void)provider;
	(void)properties;
	return OPENSSL_zalloc(sizeof(struct signature));
}

static void signature_free(void *data)
{
	OPENSSL_free(data);
}

static int signature_begin(void *data, const char *digest, void *key, const OSSL_PARAM params[])
{
	struct signature *signature = data;

	(void)params;
	if ((digest && *digest) || !key || !((struct signer_key *)key)->signer.sign)
		return 0;
	signature->key = key;
	return 1;
}

static int signature_make(void *data, unsigned char *out, size_t *out_len, size_t cap,
			  const unsigned char *text, size_t len)
{
	const struct tls_signer *signer = &((const struct signature *)data)->key->signer;

	if (out && cap < TLS_SIGNATURE_LEN)
		return 0;
	*out_len = TLS_SIGNATURE_LEN;
	if (out)
		signer->sign(signer->ctx, text, len, out);
	return 1;
}

static int signature_get_params(void *data, OSSL_PARAM params[])
{
	OSSL_PARAM *param = OSSL_PARAM_locate(params, OSSL_SIGNATURE_PARAM_ALGORITHM_ID);

	(void)data;
	return !param ||
	       OSSL_PARAM_set_octet_string(param, ed25519_algorithm, sizeof(ed25519_algorithm));
}

static const OSSL_PARAM *signature_gettable_params(void *data, void *provider)
{
	static const OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_SIGNATURE_PARAM_ALGORITHM_ID, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)data;
	(void)provider;
	return params;
}

/* --- The provider (provider(7)) --- */

#define ENTRY(id, function) {id, (void (*)(void))(function)}

static const OSSL_DISPATCH key_functions[] = {
	ENTRY(OSSL_FUNC_KEYMGMT_NEW, key_new),
	ENTRY(OSSL_FUNC_KEYMGMT_FREE, key_free),
	ENTRY(OSSL_FUNC_KEYMGMT_HAS, key_has),
	ENTRY(OSSL_FUNC_KEYMGMT_MATCH, key_match),
	ENTRY(OSSL_FUNC_KEYMGMT_IMPORT, key_import),
	ENTRY(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_types),
	ENTRY(OSSL_FUNC_KEYMGMT_EXPORT, key_export),
	ENTRY(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, key_types),
	ENTRY(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),
	ENTRY(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params),
	OSSL_DISPATCH_END,
};

static const OSSL_DISPATCH signature_functions[] = {
	ENTRY(OSSL_FUNC_SIGNATURE_NEWCTX, signature_new),
	ENTRY(OSSL_FUNC_SIGNATURE_FREECTX, signature_free),
	ENTRY(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signature_begin),
	ENTRY(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signature_make),
	ENTRY(OSSL_FUNC_SIGNATURE_GET_CTX_PARAMS, signature_get_params),
	ENTRY(OSSL_FUNC_SIGNATURE_GETTABLE_CTX_PARAMS, signature_gettable_params),
	OSSL_DISPATCH_END,
};

static const OSSL_ALGORITHM *signer_query(void *provider, int operation, int *no_cache)
{
	static const OSSL_ALGORITHM keys[] = {
		{ED25519_NAMES, SIGNER_QUERY, key_functions, NULL},
		{NULL, NULL, NULL, NULL},
	};
	static const OSSL_ALGORITHM signatures[] = {
		{ED25519_NAMES, SIGNER_QUERY, signature_functions, NULL},
		{NULL, NULL, NULL, NULL},
	};

	(void)provider;
	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_KEYMGMT:
		return keys;
	case OSSL_OP_SIGNATURE:
		return signatures;
	default:
		return NULL;
	}
}

static const OSSL_DISPATCH signer_functions[] = {
	ENTRY(OSSL_FUNC_PROVIDER_QUERY_OPERATION, signer_query),
	OSSL_DISPATCH_END,
};

static int signer_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
		       const OSSL_DISPATCH **out, void **out_provider)
{
	(void)in;
	*out = signer_functions;
	*out_provider = (void *)handle;
	return 1;
}

/*
 * Providers are OpenSSL's own global state. The first engine of any worker loads
 * them once, and OpenSSL frees them when the process ends.
 */
static pthread_once_t load_once = PTHREAD_ONCE_INIT;
static OSSL_PROVIDER *loaded[2];

static void signer_unload(void)
{
	for (size_t i = 0; i < sizeof(loaded) / sizeof(loaded[0]); i++)
		if (loaded[i])
			OSSL_PROVIDER_unload(loaded[i]);
	loaded[0] = loaded[1] = NULL;
}

/*
 * The default provider goes first: of two that know Ed25519, OpenSSL takes
 * for a peer's key the one loaded earlier.
 */
static void signer_load(void)
{
	loaded[0] = OSSL_PROVIDER_load(NULL, "default");
	if (loaded[0] && OSSL_PROVIDER_add_builtin(NULL, SIGNER_NAME, signer_init))
		loaded[1] = OSSL_PROVIDER_load(NULL, SIGNER_NAME);
	if (!OPENSSL_atexit(signer_unload))
		signer_unload();
}

EVP_PKEY *tls_signer_key(const struct tls_signer *signer)
{
	void *handed = (void *)signer;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_ptr(PARAM_SIGNER, &handed, 0),
		OSSL_PARAM_END,
	};
	EVP_PKEY_CTX *ctx;
	EVP_PKEY *pkey = NULL;

	if (pthread_once(&load_once, signer_load) != 0 || !loaded[1])
		return NULL;
	ctx = EVP_PKEY_CTX_new_from_name(NULL, "ED25519", SIGNER_QUERY);
	if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
	    EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_KEYPAIR, params) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(ctx);
	return pkey;
}

void tls_openssl_init(void)
{
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
}
