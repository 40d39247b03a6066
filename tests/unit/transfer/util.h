/* SPDX-License-Identifier: GPL-3.0-or-later */
/* cmocka, causes compared by name, folders that go away, and bytes that no two leaves share. */
#ifndef SIMHOP_TESTS_TRANSFER_UTIL_H
#define SIMHOP_TESTS_TRANSFER_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/hashtree.h"
#include "proto/msg.h"

#define assert_cause(call, cause)                                                                  \
    assert_string_equal(sh_cause_info(call)->name, sh_cause_info(cause)->name)
#define assert_ok(call) assert_cause(call, SH_OK)

#define PATH_SIZE 512

SH_UNUSED static int remove_one(const char *path, const struct stat *st SH_UNUSED,
                                int type SH_UNUSED, struct FTW *at SH_UNUSED)
{
    return remove(path);
}

SH_UNUSED static void remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

SH_UNUSED static void make_folder(char out[PATH_SIZE])
{
    snprintf(out, PATH_SIZE, "/tmp/simhop-test-XXXXXX");
    assert_non_null(mkdtemp(out));
}

SH_UNUSED static const char *in_folder(const char *folder, const char *name)
{
    static char path[4][2 * PATH_SIZE];
    static unsigned turn;
    char *out = path[turn++ % 4];
    snprintf(out, 2 * PATH_SIZE, "%s/%s", folder, name);
    return out;
}

/* The octet at an offset of content number `seed`. */
SH_UNUSED static uint8_t octet_at(unsigned seed, uint64_t offset)
{
    uint64_t x = (offset + 1) * 0x9e3779b97f4a7c15u + seed * 0xd1342543de82ef95u;
    return (uint8_t)(x >> 56 ^ x >> 24);
}

SH_UNUSED static uint8_t *content(unsigned seed, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i++)
        bytes[i] = octet_at(seed, i);
    return bytes;
}

SH_UNUSED static void write_file(const char *path, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_true(n == 0 || write(fd, bytes, n) == (ssize_t)n);
    close(fd);
}

SH_UNUSED static void write_at(const char *path, off_t offset, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, offset), n);
    close(fd);
}

SH_UNUSED static bool file_is(const char *path, const uint8_t *bytes, size_t n)
{
    uint8_t *found = malloc(n + 1);
    int fd = open(path, O_RDONLY);
    assert_non_null(found);
    bool same = fd >= 0 && read(fd, found, n + 1) == (ssize_t)n && memcmp(found, bytes, n) == 0;
    if (fd >= 0)
        close(fd);
    free(found);
    return same;
}

SH_UNUSED static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* The root of RFC 9162 section 2.1.1, written down a second time, from the definition. */
SH_UNUSED static void reference_root(const uint8_t *bytes, size_t size, uint8_t out[32])
{
    uint8_t zero = 0, one = 1, left[32], right[32];
    size_t leaves = (size + SH_LEAF_SIZE - 1) / SH_LEAF_SIZE;
    if (leaves <= 1) {
        struct sh_bytes leaf[] = {SH_BYTES(&zero, 1), SH_BYTES(bytes, size)};
        assert_ok(sh_sha256(leaf, leaves == 0 ? 0 : 2, out));
        return;
    }
    size_t split = 1;
    while (split * 2 < leaves)
        split *= 2;
    reference_root(bytes, split * SH_LEAF_SIZE, left);
    reference_root(bytes + split * SH_LEAF_SIZE, size - split * SH_LEAF_SIZE, right);
    struct sh_bytes node[] = {SH_BYTES(&one, 1), SH_BYTES(left, 32), SH_BYTES(right, 32)};
    assert_ok(sh_sha256(node, 3, out));
}

SH_UNUSED static unsigned count_entries(const char *folder)
{
    unsigned count = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (dir)
        closedir(dir);
    return count;
}

#endif
