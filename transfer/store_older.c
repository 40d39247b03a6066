/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transfer/leaf.h"
#include "transfer/store_internal.h"

#define PARTS_MOST 4096 /* of a file, that are counted */

/* Held by who compares, too. */
struct sh_store_copies {
    atomic_uint holders;
    int fd[SH_STORE_OLDER]; /* -1: none */
};

/* -1: not a plain file that can be read. */
static int open_plain(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        return fd;
    }
    close(fd);
    return -1;
}

enum sh_cause sh_store_older_open(char *const paths[SH_STORE_OLDER],
                                  struct sh_store_older *ret_older)
{
    struct sh_store_copies *copies = calloc(1, sizeof(*copies));
    if (!copies)
        return SH_ENV_NO_MEMORY;
    copies->holders = 1;
    for (size_t i = 0; i < SH_STORE_OLDER; i++)
        copies->fd[i] = paths[i] ? open_plain(paths[i]) : -1;
    *ret_older = (struct sh_store_older){.copies = copies};
    return SH_OK;
}

void sh_store_older_close(struct sh_store_older *older)
{
    sh_store_copies_let_go(older->copies);
    older->copies = NULL;
}

struct sh_store_copies *sh_store_copies_hold(struct sh_store_copies *copies)
{
    atomic_fetch_add(&copies->holders, 1);
    return copies;
}

void sh_store_copies_let_go(struct sh_store_copies *copies)
{
    if (!copies || atomic_fetch_sub(&copies->holders, 1) > 1)
        return;
    for (size_t i = 0; i < SH_STORE_OLDER; i++)
        sh_closep(&copies->fd[i]);
    free(copies);
}

/* Where the file system does not tell data from holes all of a file is data. */
uint64_t sh_store_older_octets(const char *path)
{
    sh_autoclose int fd = open_plain(path);
    off_t data = 0, hole = 0, octets = 0;
    for (unsigned i = 0; fd >= 0 && i < PARTS_MOST; i++) {
        data = lseek(fd, hole, SEEK_DATA);
        hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
        if (hole <= data)
            break;
        octets += hole - data;
    }
    return (uint64_t)octets;
}

/* A copy may be shorter, and become so at any time. */
static bool read_leaf(int fd, uint64_t leaf, uint8_t *buffer, uint32_t length)
{
    uint32_t done = 0;
    while (fd >= 0 && done < length) {
        ssize_t got = pread(fd, buffer + done, length - done, (off_t)(leaf * SH_LEAF_SIZE + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        done += (uint32_t)got;
    }
    return done == length;
}

enum sh_cause sh_store_copies_find(const struct sh_store_copies *copies, uint64_t leaf,
                                   const uint8_t hash[SH_HASH_SIZE], uint8_t *buffer, uint32_t n,
                                   bool *ret_found)
{
    uint8_t found[SH_HASH_SIZE];
    *ret_found = false;
    for (size_t i = 0; i < SH_STORE_OLDER && !*ret_found; i++) {
        if (!read_leaf(copies->fd[i], leaf, buffer, n))
            continue;
        SH_TRY(sh_leaf_hash(SH_BYTES(buffer, n), found));
        *ret_found = memcmp(found, hash, SH_HASH_SIZE) == 0;
    }
    return SH_OK;
}

static enum sh_cause check_awake(const struct sh_store_item *item)
{
    return item->part_fd >= 0 ? SH_OK : sh_fail(SH_INTERNAL_BUG, "%s is at rest", item->name);
}

enum sh_cause sh_store_item_expect(struct sh_store_item *item, uint64_t first,
                                   const uint8_t *hashes, unsigned count)
{
    SH_TRY(check_awake(item));
    if (first > item->journal.leaves || count > item->journal.leaves - first)
        return sh_fail(SH_INTERNAL_BUG, "%s has no such leaves", item->name);
    return sh_journal_expect(&item->journal, first, hashes, count);
}

enum sh_cause sh_store_item_take_over(struct sh_store_item *item, struct sh_store_older *older,
                                      uint64_t end, unsigned leaves)
{
    uint8_t expected[SH_HASH_SIZE];
    bool known = false;
    SH_TRY(check_awake(item));
    for (unsigned i = 0; i < leaves; i++) {
        uint64_t leaf = sh_store_item_next_missing(item, older->next);
        older->next = SH_MIN(leaf + 1, end);
        if (leaf >= end)
            break;
        SH_TRY(sh_journal_expected(&item->journal, leaf, expected, &known));
        if (!known)
            memset(expected, 0, sizeof(expected)); /* of no leaf */
        SH_TRY(sh_store_give_compare(item, leaf, expected, older->copies));
    }
    return SH_OK;
}
