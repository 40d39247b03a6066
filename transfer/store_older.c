/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transfer/leaf.h"
#include "transfer/store_internal.h"

#define PARTS_MOST 4096 /* of a file, that are counted */

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

void sh_store_older_open(char *const paths[SH_STORE_OLDER], struct sh_store_older *ret_older)
{
    for (size_t i = 0; i < SH_STORE_OLDER; i++)
        ret_older->fd[i] = paths[i] ? open_plain(paths[i]) : -1;
    ret_older->next = ret_older->differing = 0;
}

void sh_store_older_close(struct sh_store_older *older)
{
    for (size_t i = 0; i < SH_STORE_OLDER; i++) {
        sh_closep(&older->fd[i]);
        older->fd[i] = -1;
    }
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

static enum sh_cause take_leaf(struct sh_store_item *item, struct sh_store_older *older,
                               uint64_t leaf, uint8_t *buffer)
{
    uint8_t expected[SH_HASH_SIZE], found[SH_HASH_SIZE];
    struct sh_bytes data = SH_BYTES(buffer, sh_leaf_length(item->size, leaf));
    static const struct sh_store_from here = {.checked = true};
    bool known = false;
    SH_TRY(sh_journal_expected(&item->journal, leaf, expected, &known));
    for (size_t i = 0; known && i < SH_STORE_OLDER; i++) {
        if (!read_leaf(older->fd[i], leaf, buffer, (uint32_t)data.n))
            continue;
        SH_TRY(sh_leaf_hash(data, found));
        if (memcmp(found, expected, SH_HASH_SIZE) == 0)
            return sh_store_item_put(item, leaf, data, found, &here);
    }
    older->differing += data.n;
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
    sh_autofree uint8_t *buffer = malloc(SH_LEAF_SIZE);
    if (!buffer)
        return SH_ENV_NO_MEMORY;
    SH_TRY(check_awake(item));
    for (unsigned i = 0; i < leaves; i++) {
        uint64_t leaf = sh_store_item_next_missing(item, older->next);
        older->next = SH_MIN(leaf + 1, end);
        if (leaf >= end)
            break;
        SH_TRY(take_leaf(item, older, leaf, buffer));
    }
    return SH_OK;
}
