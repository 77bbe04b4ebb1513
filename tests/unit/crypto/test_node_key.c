/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/node_key.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/check.h"

static char dir[64];
static char path[80];

static bool dir_make(void)
{
	snprintf(dir, sizeof(dir), "/tmp/weft-key-XXXXXX");
	if (!mkdtemp(dir))
		return false;
	snprintf(path, sizeof(path), "%s/key", dir);
	return true;
}

static void dir_remove(void)
{
	unlink(path);
	rmdir(dir);
}

static unsigned file_cnt(void)
{
	DIR *stream = opendir(dir);
	unsigned cnt = 0;

	while (stream && readdir(stream))
		cnt++;
	if (stream)
		closedir(stream);
	return cnt - 2; /* . and .. */
}

static size_t file_read(uint8_t *dst, size_t cap)
{
	FILE *file = fopen(path, "r");
	size_t len = file ? fread(dst, 1, cap, file) : 0;

	if (file)
		fclose(file);
	return len;
}

static bool file_write(const uint8_t *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	bool ok = fd >= 0 && write(fd, data, len) == (ssize_t)len;

	if (fd >= 0)
		close(fd);
	return ok;
}

static bool contains(const uint8_t *data, size_t len, const uint8_t *part, size_t part_len)
{
	for (size_t i = 0; i + part_len <= len; i++)
		if (memcmp(data + i, part, part_len) == 0)
			return true;
	return false;
}

/* RFC 8032, 7.1, test 2. */
static void test_key_of_a_seed_signs_as_the_rfc_says(void)
{
	static const uint8_t seed[] = {0x4c, 0xcd, 0x08, 0x9b, 0x28, 0xff, 0x96, 0xda,
				       0x9d, 0xb6, 0xc3, 0x46, 0xec, 0x11, 0x4e, 0x0f,
				       0x5b, 0x8a, 0x31, 0x9f, 0x35, 0xab, 0xa6, 0x24,
				       0xda, 0x8c, 0xf6, 0xed, 0x4f, 0xb8, 0xa6, 0xfb};
	static const uint8_t public[] = {0x3d, 0x40, 0x17, 0xc3, 0xe8, 0x43, 0x89, 0x5a,
					 0x92, 0xb7, 0x0a, 0xa7, 0x4d, 0x1b, 0x7e, 0xbc,
					 0x9c, 0x98, 0x2c, 0xcf, 0x2e, 0xc4, 0x96, 0x8c,
					 0xc0, 0xcd, 0x55, 0xf1, 0x2a, 0xf4, 0x66, 0x0c};
	static const uint8_t sig_start[] = {0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8};
	uint8_t sig[NODE_KEY_SIG_LEN];
	struct node_key *key;

	CHECK_EQ(node_key_from_seed(seed, &key), 0);
	CHECK_MEM(node_key_public(key), public, sizeof(public));
	CHECK_MEM(node_key_seed(key), seed, sizeof(seed));
	node_key_sign(key, "\x72", 1, sig);
	CHECK_MEM(sig, sig_start, sizeof(sig_start));
	CHECK_EQ(node_key_verify(public, "\x72", 1, sig), 0);
	CHECK_EQ(node_key_verify(public, "\x73", 1, sig), WEFT_EDAMAGED);
	node_key_free(key);
}

static void test_altered_signature_is_refused(void)
{
	/* The group order, little-endian: S + L signs the same and is not canonical. */
	static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a,	      0x63,
					  0x12, 0x58, 0xd6, 0x9c, 0xf7,	      0xa2,
					  0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
	uint8_t sig[NODE_KEY_SIG_LEN], zero_key[NODE_KEY_LEN] = {1};
	struct node_key *key;
	unsigned carry = 0;

	CHECK_EQ(node_key_generate(&key), 0);
	node_key_sign(key, "abc", 3, sig);
	for (size_t i = 0; i < sizeof(sig); i++) {
		sig[i] ^= 1;
		CHECK_EQ(node_key_verify(node_key_public(key), "abc", 3, sig), WEFT_EDAMAGED);
		sig[i] ^= 1;
	}
	for (size_t i = 0; i < 32; i++) {
		carry += sig[32 + i] + (unsigned)order[i];
		sig[32 + i] = (uint8_t)carry;
		carry >>= 8;
	}
	CHECK_EQ(node_key_verify(node_key_public(key), "abc", 3, sig), WEFT_EDAMAGED);
	node_key_free(key);

	/* The neutral element as key and R, S = 0: small order. */
	memset(sig, 0, sizeof(sig));
	sig[0] = 1;
	CHECK_EQ(node_key_verify(zero_key, "abc", 3, sig), WEFT_EDAMAGED);
}

/* The last byte of y, the rest of which is of one value but for the first. */
static void key_fill(uint8_t key[static NODE_KEY_LEN], uint8_t first, uint8_t rest, uint8_t last)
{
	memset(key, rest, NODE_KEY_LEN);
	key[0] = first;
	key[NODE_KEY_LEN - 1] = last;
}

/* R = key and S = 0 verify as soon as the order of key divides the hash plus one. */
static void check_unsound(const uint8_t key[static NODE_KEY_LEN])
{
	uint8_t sig[NODE_KEY_SIG_LEN] = {0};

	memcpy(sig, key, NODE_KEY_LEN);
	CHECK(!node_key_is_sound(key));
	for (unsigned i = 0; i < 64; i++)
		CHECK_EQ(node_key_verify(key, &i, sizeof(i), sig), WEFT_EDAMAGED);
}

static void test_all_encodings_of_small_order_are_unsound(void)
{
	/* y of order 8, and with the sign of y turned. */
	static const uint8_t order_8[][NODE_KEY_LEN] = {
		{0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
		 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
		 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
		{0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
		 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
		 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
	};
	uint8_t key[NODE_KEY_LEN];

	for (unsigned sign = 0; sign < 0x100; sign += 0x80) {
		for (unsigned i = 0; i < 2; i++) {
			memcpy(key, order_8[i], sizeof(key));
			key[NODE_KEY_LEN - 1] |= (uint8_t)sign;
			check_unsound(key);
			/* y = 0 and y = 1, of order 4 and 1. */
			key_fill(key, (uint8_t)i, 0, (uint8_t)sign);
			check_unsound(key);
		}
		/* y = p - 1, of order 2, and everything from p on, which is not canonical. */
		for (unsigned first = 0xec; first < 0x100; first++) {
			key_fill(key, (uint8_t)first, 0xff, (uint8_t)(0x7f | sign));
			check_unsound(key);
		}
		key_fill(key, 0xeb, 0xff, (uint8_t)(0x7f | sign));
		CHECK(node_key_is_sound(key));
		key_fill(key, 2, 0, (uint8_t)sign);
		CHECK(node_key_is_sound(key));
	}
}

static void check_save_and_load(const char *passphrase)
{
	uint8_t public[NODE_KEY_LEN];
	struct node_key *key, *loaded;
	struct stat st;

	CHECK(dir_make());
	CHECK_EQ(node_key_load(path, passphrase, &loaded), WEFT_EABSENT);
	CHECK_EQ(node_key_generate(&key), 0);
	memcpy(public, node_key_public(key), sizeof(public));
	CHECK_EQ(node_key_save(key, path, passphrase), 0);
	CHECK_EQ(node_key_save(key, path, passphrase), 0);
	node_key_free(key);
	CHECK_EQ(stat(path, &st), 0);
	CHECK_EQ(st.st_mode & 07777, 0600);
	CHECK_EQ(file_cnt(), 1);
	CHECK_EQ(node_key_load(path, passphrase, &loaded), 0);
	CHECK_MEM(node_key_public(loaded), public, sizeof(public));
	node_key_free(loaded);
	dir_remove();
}

static void test_saved_key_is_loaded(void)
{
	check_save_and_load(NULL);
}

static void test_sealed_key_is_loaded_with_its_passphrase(void)
{
	check_save_and_load("correct horse");
}

static void test_sealed_key_needs_its_passphrase(void)
{
	uint8_t data[256];
	struct node_key *key, *loaded;
	size_t len;

	CHECK(dir_make());
	CHECK_EQ(node_key_generate(&key), 0);
	CHECK_EQ(node_key_save(key, path, "right"), 0);
	CHECK_EQ(node_key_load(path, NULL, &loaded), WEFT_EUNKNOWN);
	CHECK_EQ(node_key_load(path, "wrong", &loaded), WEFT_EDAMAGED);
	len = file_read(data, sizeof(data));
	CHECK(!contains(data, len, node_key_seed(key), NODE_KEY_SEED_LEN));
	node_key_free(key);
	dir_remove();
}

static void test_key_file_others_may_read_is_refused(void)
{
	struct node_key *key, *loaded;

	CHECK(dir_make());
	CHECK_EQ(node_key_generate(&key), 0);
	CHECK_EQ(node_key_save(key, path, NULL), 0);
	node_key_free(key);
	CHECK_EQ(chmod(path, 0640), 0);
	CHECK_EQ(node_key_load(path, NULL, &loaded), WEFT_EREFUSED);
	dir_remove();
}

static void test_symlink_as_key_file_is_refused(void)
{
	char other[96];
	struct node_key *key, *loaded;

	CHECK(dir_make());
	snprintf(other, sizeof(other), "%s/other", dir);
	CHECK_EQ(node_key_generate(&key), 0);
	CHECK_EQ(node_key_save(key, other, NULL), 0);
	node_key_free(key);
	CHECK_EQ(symlink(other, path), 0);
	CHECK_EQ(node_key_load(path, NULL, &loaded), WEFT_EREFUSED);
	unlink(other);
	dir_remove();
}

static void test_damaged_key_file_is_refused(void)
{
	uint8_t data[256];
	struct node_key *key, *loaded;
	size_t len;

	CHECK(dir_make());
	CHECK_EQ(node_key_generate(&key), 0);
	CHECK_EQ(node_key_save(key, path, NULL), 0);
	node_key_free(key);
	len = file_read(data, sizeof(data));
	CHECK_EQ(len, 73);
	for (size_t i = 0; i < len; i++) {
		CHECK(file_write(data, i));
		CHECK_EQ(node_key_load(path, NULL, &loaded), WEFT_EMALFORMED);
	}
	for (size_t i = 0; i < len; i++) {
		data[i] ^= 4;
		CHECK(file_write(data, len));
		CHECK_EQ(node_key_load(path, NULL, &loaded),
			 i < 9 ? WEFT_EMALFORMED : WEFT_EDAMAGED);
		data[i] ^= 4;
	}
	data[len] = 0;
	CHECK(file_write(data, len + 1));
	CHECK_EQ(node_key_load(path, NULL, &loaded), WEFT_EMALFORMED);
	dir_remove();
}

static void test_altered_sealing_cost_is_refused_before_it_is_paid(void)
{
	uint8_t data[256];
	struct node_key *key, *loaded;
	size_t len;

	CHECK(dir_make());
	CHECK_EQ(node_key_generate(&key), 0);
	CHECK_EQ(node_key_save(key, path, "p"), 0);
	node_key_free(key);
	len = file_read(data, sizeof(data));
	data[13] = 0xff; /* first byte of the memory limit */
	CHECK(file_write(data, len));
	CHECK_EQ(node_key_load(path, "p", &loaded), WEFT_EMALFORMED);
	dir_remove();
}

int main(void)
{
	RUN(test_key_of_a_seed_signs_as_the_rfc_says);
	RUN(test_altered_signature_is_refused);
	RUN(test_all_encodings_of_small_order_are_unsound);
	RUN(test_saved_key_is_loaded);
	RUN(test_sealed_key_is_loaded_with_its_passphrase);
	RUN(test_sealed_key_needs_its_passphrase);
	RUN(test_key_file_others_may_read_is_refused);
	RUN(test_symlink_as_key_file_is_refused);
	RUN(test_damaged_key_file_is_refused);
	RUN(test_altered_sealing_cost_is_refused_before_it_is_paid);
	return check_done();
}
