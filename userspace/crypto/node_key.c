/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The node's Ed25519 key, in memory and in its file. The seed is kept in
 * memory of libsodium's guarded heap: locked, between guard pages, wiped
 * when freed. It never passes through a buffer that is not wiped.
 *
 * The file, all of fixed length:
 *	magic "WEFTKEY1" | form u8
 *	form 0: seed 32
 *	form 1: opslimit u32be | memlimit u32be | salt 16 | nonce 24 |
 *		secretbox of the seed 48, key = Argon2id(passphrase, salt)
 * and in both at the end the public key 32, so that damage is noticed.
 */
#include "crypto/node_key.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/byte_cursor.h"

#define KEY_MAGIC     "WEFTKEY1"
#define KEY_MAGIC_LEN 8
#define KEY_BOX_LEN   (crypto_secretbox_MACBYTES + NODE_KEY_SEED_LEN)

#define KEY_SEALED_LEN                                                                             \
	(KEY_MAGIC_LEN + 1 + 8 + crypto_pwhash_SALTBYTES + crypto_secretbox_NONCEBYTES +           \
	 KEY_BOX_LEN + NODE_KEY_LEN)

/*
 * Cost of a passphrase. For files that we write it is libsodium's
 * "interactive"; from a file that we read at most its "sensitive". So an
 * altered file cannot take all memory.
 */
#define KEY_OPSLIMIT	 crypto_pwhash_OPSLIMIT_INTERACTIVE
#define KEY_MEMLIMIT	 crypto_pwhash_MEMLIMIT_INTERACTIVE
#define KEY_OPSLIMIT_MAX crypto_pwhash_OPSLIMIT_SENSITIVE
#define KEY_MEMLIMIT_MAX crypto_pwhash_MEMLIMIT_SENSITIVE

enum key_form { KEY_PLAIN = 0, KEY_SEALED = 1 };

_Static_assert(NODE_KEY_LEN == crypto_sign_PUBLICKEYBYTES, "Ed25519 public key");
_Static_assert(NODE_KEY_SEED_LEN == crypto_sign_SEEDBYTES, "Ed25519 seed");
_Static_assert(NODE_KEY_DERIVED_LEN == crypto_auth_hmacsha256_BYTES, "HMAC-SHA256");
_Static_assert(NODE_KEY_SIG_LEN == crypto_sign_BYTES, "Ed25519 signature");

/*
 * The y of the eight points of small order (RFC 7748 4.1: cofactor 8), each
 * of two x except for 1 and -1. They solve one of (x = 0), (y = 0), (x^2 = -y^2).
 */
static const uint8_t small_order[][NODE_KEY_LEN] = {
	/* order 4 */
	{0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00},
	/* order 1 */
	{0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00},
	/* order 2 */
	{0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	/* order 8 */
	{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
	 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
	 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
	/* order 8 */
	{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
	 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
	 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
};

/* In sodium_malloc memory as a whole. The secret begins with the seed. */
struct node_key {
	uint8_t secret[crypto_sign_SECRETKEYBYTES];
	uint8_t public[NODE_KEY_LEN];
};

static struct node_key *key_alloc(void)
{
	return sodium_init() < 0 ? NULL : sodium_malloc(sizeof(struct node_key));
}

int node_key_from_seed(const uint8_t seed[static NODE_KEY_SEED_LEN], struct node_key **out_key)
{
	struct node_key *key = key_alloc();

	if (!key)
		return -ENOMEM;
	crypto_sign_seed_keypair(key->public, key->secret, seed);
	*out_key = key;
	return 0;
}

int node_key_generate(struct node_key **out_key)
{
	struct node_key *key = key_alloc();

	if (!key)
		return -ENOMEM;
	crypto_sign_keypair(key->public, key->secret);
	*out_key = key;
	return 0;
}

void node_key_free(struct node_key *key)
{
	sodium_free(key);
}

const uint8_t *node_key_public(const struct node_key *key)
{
	return key->public;
}

const uint8_t *node_key_seed(const struct node_key *key)
{
	return key->secret;
}

void node_key_sign(const struct node_key *key, const void *data, size_t len,
		   uint8_t out_sig[static NODE_KEY_SIG_LEN])
{
	crypto_sign_detached(out_sig, NULL, data, len, key->secret);
}

void node_key_derive(const struct node_key *key, const char *label,
		     uint8_t out[static NODE_KEY_DERIVED_LEN])
{
	crypto_auth_hmacsha256_state state;

	crypto_auth_hmacsha256_init(&state, key->secret, NODE_KEY_SEED_LEN);
	crypto_auth_hmacsha256_update(&state, (const uint8_t *)label, strlen(label));
	crypto_auth_hmacsha256_final(&state, out);
	/* The inner state could still be used to go on from the seed. */
	sodium_memzero(&state, sizeof(state));
}

/* p = 2^255 - 19, and what is above it stands for the same as what is below. */
static bool key_is_canonical(const uint8_t *key)
{
	if ((key[NODE_KEY_LEN - 1] & 0x7f) != 0x7f || key[0] < 0xed)
		return true;
	for (unsigned i = 1; i < NODE_KEY_LEN - 1; i++)
		if (key[i] != 0xff)
			return true;
	return false;
}

bool node_key_is_sound(const uint8_t key[static NODE_KEY_LEN])
{
	uint8_t y[NODE_KEY_LEN];

	memcpy(y, key, sizeof(y));
	/* The sign of x: both points of one y have the same order. */
	y[NODE_KEY_LEN - 1] &= 0x7f;
	for (size_t i = 0; i < sizeof(small_order) / sizeof(small_order[0]); i++)
		if (memcmp(y, small_order[i], sizeof(y)) == 0)
			return false;
	return key_is_canonical(key);
}

int node_key_verify(const uint8_t key[static NODE_KEY_LEN], const void *data, size_t len,
		    const uint8_t sig[static NODE_KEY_SIG_LEN])
{
	return crypto_sign_verify_detached(sig, data, len, key) == 0 ? 0 : WEFT_EDAMAGED;
}

/* Derives the sealing key in guarded memory; NULL when there is none to have. */
static uint8_t *seal_key(const char *passphrase, const uint8_t *salt, uint64_t opslimit,
			 size_t memlimit)
{
	uint8_t *key = sodium_malloc(crypto_secretbox_KEYBYTES);

	if (key && crypto_pwhash(key, crypto_secretbox_KEYBYTES, passphrase, strlen(passphrase),
				 salt, opslimit, memlimit, crypto_pwhash_ALG_ARGON2ID13) != 0) {
		sodium_free(key);
		key = NULL;
	}
	return key;
}

static int key_write_sealed(const struct node_key *key, const char *passphrase, struct writer *w)
{
	uint8_t salt[crypto_pwhash_SALTBYTES], nonce[crypto_secretbox_NONCEBYTES];
	uint8_t box[KEY_BOX_LEN];
	uint8_t *seal;

	randombytes_buf(salt, sizeof(salt));
	randombytes_buf(nonce, sizeof(nonce));
	seal = seal_key(passphrase, salt, KEY_OPSLIMIT, KEY_MEMLIMIT);
	if (!seal)
		return -ENOMEM;
	crypto_secretbox_easy(box, key->secret, NODE_KEY_SEED_LEN, nonce, seal);
	sodium_free(seal);
	writer_be32(w, (uint32_t)KEY_OPSLIMIT);
	writer_be32(w, (uint32_t)KEY_MEMLIMIT);
	writer_bytes(w, salt, sizeof(salt));
	writer_bytes(w, nonce, sizeof(nonce));
	writer_bytes(w, box, sizeof(box));
	return 0;
}

static int key_write(const struct node_key *key, const char *passphrase, struct writer *w)
{
	int err = 0;

	writer_bytes(w, KEY_MAGIC, KEY_MAGIC_LEN);
	writer_u8(w, passphrase ? KEY_SEALED : KEY_PLAIN);
	if (passphrase)
		err = key_write_sealed(key, passphrase, w);
	else
		writer_bytes(w, key->secret, NODE_KEY_SEED_LEN);
	writer_bytes(w, key->public, NODE_KEY_LEN);
	return err;
}

static int key_open_sealed(struct cursor *c, const char *passphrase, uint8_t *seed)
{
	uint32_t opslimit = cursor_be32(c);
	uint32_t memlimit = cursor_be32(c);
	const uint8_t *salt = cursor_bytes(c, crypto_pwhash_SALTBYTES);
	const uint8_t *nonce = cursor_bytes(c, crypto_secretbox_NONCEBYTES);
	const uint8_t *box = cursor_bytes(c, KEY_BOX_LEN);
	uint8_t *seal;
	int err;

	if (c->bad || opslimit < crypto_pwhash_OPSLIMIT_MIN || opslimit > KEY_OPSLIMIT_MAX ||
	    memlimit < crypto_pwhash_MEMLIMIT_MIN || memlimit > KEY_MEMLIMIT_MAX)
		return WEFT_EMALFORMED;
	if (!passphrase)
		return WEFT_EUNKNOWN;
	seal = seal_key(passphrase, salt, opslimit, memlimit);
	if (!seal)
		return -ENOMEM;
	err = crypto_secretbox_open_easy(seed, box, KEY_BOX_LEN, nonce, seal) ? WEFT_EDAMAGED : 0;
	sodium_free(seal);
	return err;
}

static int key_parse_seed(struct cursor *c, const char *passphrase, uint8_t *seed)
{
	const uint8_t *magic = cursor_bytes(c, KEY_MAGIC_LEN);
	uint8_t form = cursor_u8(c);

	if (c->bad || memcmp(magic, KEY_MAGIC, KEY_MAGIC_LEN) != 0)
		return WEFT_EMALFORMED;
	if (form == KEY_SEALED)
		return key_open_sealed(c, passphrase, seed);
	if (form != KEY_PLAIN)
		return WEFT_EMALFORMED;
	cursor_copy(c, seed, NODE_KEY_SEED_LEN);
	return c->bad ? WEFT_EMALFORMED : 0;
}

static int key_parse(const uint8_t *data, size_t len, const char *passphrase,
		     struct node_key **out_key)
{
	struct cursor c = cursor_of(data, len);
	uint8_t *seed = sodium_malloc(NODE_KEY_SEED_LEN);
	struct node_key *key = NULL;
	const uint8_t *public;
	int err = seed ? key_parse_seed(&c, passphrase, seed) : -ENOMEM;

	if (err)
		goto free_seed;
	public = cursor_bytes(&c, NODE_KEY_LEN);
	err = public && cursor_left(&c) == 0 ? 0 : WEFT_EMALFORMED;
	if (err || (err = node_key_from_seed(seed, &key)))
		goto free_seed;
	if (memcmp(key->public, public, NODE_KEY_LEN) != 0) {
		node_key_free(key);
		err = WEFT_EDAMAGED;
		goto free_seed;
	}
	*out_key = key;
free_seed:
	sodium_free(seed);
	return err;
}

/* A key that others may read or replace is no secret. */
static int key_file_check(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (st.st_mode & 077) || st.st_uid != geteuid())
		return WEFT_EREFUSED;
	return st.st_size > (off_t)KEY_SEALED_LEN ? WEFT_EMALFORMED : 0;
}

static ssize_t read_whole(int fd, uint8_t *dst, size_t cap)
{
	size_t len = 0;
	ssize_t got;

	do {
		got = read(fd, dst + len, cap - len);
		if (got > 0)
			len += (size_t)got;
	} while (got > 0 || (got < 0 && errno == EINTR));
	return got < 0 ? -errno : (ssize_t)len;
}

int node_key_load(const char *path, const char *passphrase, struct node_key **out_key)
{
	uint8_t *data;
	ssize_t len;
	int fd, err;

	if (sodium_init() < 0)
		return -ENOMEM;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? WEFT_EABSENT : errno == ELOOP ? WEFT_EREFUSED : -errno;
	err = key_file_check(fd);
	if (err)
		goto close_file;
	data = sodium_malloc(KEY_SEALED_LEN);
	if (!data) {
		err = -ENOMEM;
		goto close_file;
	}
	len = read_whole(fd, data, KEY_SEALED_LEN);
	err = len < 0 ? (int)len : key_parse(data, (size_t)len, passphrase, out_key);
	sodium_free(data);
close_file:
	close(fd);
	return err;
}

static int write_whole(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t put = write(fd, data, len);

		if (put < 0 && errno != EINTR)
			return -errno;
		if (put > 0) {
			data += put;
			len -= (size_t)put;
		}
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* The directory part of path as an open directory; *out_name is the rest. */
static int dir_open(const char *path, const char **out_name)
{
	const char *slash = strrchr(path, '/');
	char *dir;
	int fd;

	*out_name = slash ? slash + 1 : path;
	if (!slash || slash == path)
		fd = open(slash ? "/" : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	else {
		dir = strndup(path, (size_t)(slash - path));
		if (!dir)
			return -ENOMEM;
		fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		free(dir);
	}
	return fd < 0 ? -errno : fd;
}

static int file_replace(int dir, const char *name, const uint8_t *data, size_t len)
{
	char temporary[NAME_MAX + 1];
	int fd, err;

	if (snprintf(temporary, sizeof(temporary), ".%s.%08x", name, randombytes_random()) >=
	    (int)sizeof(temporary))
		return -ENAMETOOLONG;
	fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	err = write_whole(fd, data, len);
	if (close(fd) < 0 && !err)
		err = -errno;
	if (!err && renameat(dir, temporary, dir, name) < 0)
		err = -errno;
	if (err) {
		unlinkat(dir, temporary, 0);
		return err;
	}
	return fsync(dir) < 0 ? -errno : 0;
}

int node_key_save(const struct node_key *key, const char *path, const char *passphrase)
{
	uint8_t *data = sodium_malloc(KEY_SEALED_LEN);
	struct writer w = writer_of(data, data ? KEY_SEALED_LEN : 0);
	const char *name;
	int dir, err;

	if (!data)
		return -ENOMEM;
	err = key_write(key, passphrase, &w);
	if (err)
		goto free_data;
	dir = dir_open(path, &name);
	if (dir < 0) {
		err = dir;
		goto free_data;
	}
	err = file_replace(dir, name, data, writer_len(&w));
	close(dir);
free_data:
	sodium_free(data);
	return err;
}
