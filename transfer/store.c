/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "transfer/digest.h"
#include "transfer/leaf.h"
#include "transfer/store_journal.h"

#define WORK       ".simhop"
#define SYNC_EVERY (8u << 20) /* octets until the kernel is told to begin writing them */

struct sh_store {
    char *dir;
    int dir_fd;
    int work_fd;       /* DIR/.simhop, -1 until the first item */
    uint64_t promised; /* to items whose space could not be reserved in truth */
};

struct sh_store_item {
    struct sh_store *store;
    char name[SH_ITEM_NAME_MAX + 1];
    char part[2 * SH_ITEM_ID_SIZE + sizeof(".part")];
    char leaves[2 * SH_ITEM_ID_SIZE + sizeof(".leaves")];
    uint64_t size;
    bool replace;
    bool empty;  /* nothing verified is in the files: close removes them */
    int part_fd; /* -1: at rest, or finished */
    struct sh_journal journal;
    struct sh_digest digest;
    uint64_t promised;
    uint32_t unsynced;
};

/* ---- the folder ---- */

static enum sh_cause open_folder(struct sh_store *store, const char *dir)
{
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return sh_cause_of_errno(errno, dir);
    store->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->dir_fd < 0 || faccessat(store->dir_fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
        return sh_cause_of_errno(errno, dir);
    return SH_OK;
}

enum sh_cause sh_store_open(const char *dir, struct sh_store **ret_store)
{
    SH_CLEANUP(sh_store_closep) struct sh_store *store = calloc(1, sizeof(*store));
    if (!store)
        return SH_ENV_NO_MEMORY;
    store->dir_fd = store->work_fd = -1;
    store->dir = strdup(dir);
    if (!store->dir)
        return SH_ENV_NO_MEMORY;
    SH_TRY(open_folder(store, dir));
    *ret_store = store;
    store = NULL;
    return SH_OK;
}

void sh_store_close(struct sh_store *store)
{
    if (!store)
        return;
    if (store->work_fd >= 0)
        (void)unlinkat(store->dir_fd, WORK, AT_REMOVEDIR); /* stays if anything is in it */
    sh_closep(&store->work_fd);
    sh_closep(&store->dir_fd);
    free(store->dir);
    free(store);
}

void sh_store_closep(struct sh_store **store)
{
    sh_store_close(*store);
    *store = NULL;
}

static bool is_gone(int fd)
{
    struct stat st;
    return fd < 0 || fstat(fd, &st) < 0 || st.st_nlink == 0;
}

/* Another process may remove the empty folder at any time. */
static enum sh_cause open_work(struct sh_store *store)
{
    if (!is_gone(store->work_fd))
        return SH_OK;
    sh_closep(&store->work_fd);
    store->work_fd = -1;
    if (mkdirat(store->dir_fd, WORK, 0700) < 0 && errno != EEXIST)
        return sh_cause_of_errno(errno, store->dir);
    store->work_fd = openat(store->dir_fd, WORK, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (store->work_fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return sh_fail(SH_STORE_DAMAGED, "%s/" WORK ": not a folder", store->dir);
    if (store->work_fd < 0)
        return sh_cause_of_errno(errno, store->dir);
    return SH_OK;
}

/* ---- beginning an item ---- */

static enum sh_cause target_exists(const struct sh_store_item *item)
{
    return sh_fail(SH_STORE_TARGET_EXISTS, "%s/%s", item->store->dir, item->name);
}

static enum sh_cause check_target(const struct sh_store_item *item)
{
    struct stat st;
    if (fstatat(item->store->dir_fd, item->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? SH_OK : sh_cause_of_errno(errno, item->name);
    return item->replace && !S_ISDIR(st.st_mode) ? SH_OK : target_exists(item);
}

/* Over the limit the kernel would not only fail but send SIGXFSZ. */
static enum sh_cause check_limit(const struct sh_store_item *item)
{
    struct rlimit limit;
    uint64_t largest = SH_MAX(item->size, sh_journal_length(&item->journal));
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        largest > limit.rlim_cur)
        return sh_fail(SH_STORE_NO_SPACE,
                       "%s needs %" PRIu64 " octets, the limit of a file's size is %" PRIu64,
                       item->name, largest, (uint64_t)limit.rlim_cur);
    return SH_OK;
}

static uint64_t free_space(const struct sh_store *store)
{
    struct statvfs fs;
    if (fstatvfs(store->dir_fd, &fs) < 0)
        return 0;
    if (fs.f_blocks == 0) /* it does not count */
        return UINT64_MAX;
    return (uint64_t)fs.f_bavail * fs.f_frsize;
}

static enum sh_cause no_space(const struct sh_store_item *item, uint64_t available)
{
    return sh_fail(SH_STORE_NO_SPACE, "%s: %s needs %" PRIu64 " octets, %" PRIu64 " are free",
                   item->store->dir, item->name, item->size - item->journal.verified, available);
}

/* The file system cannot reserve: compares with what is free and not promised to other items. */
static enum sh_cause promise(struct sh_store_item *item)
{
    struct sh_store *store = item->store;
    uint64_t needed = item->size - item->journal.verified;
    uint64_t available = free_space(store);
    available -= SH_MIN(available, store->promised);
    if (needed > available)
        return no_space(item, available);
    if (ftruncate(item->part_fd, (off_t)item->size) < 0)
        return sh_cause_of_errno(errno, item->part);
    store->promised += needed;
    item->promised += needed;
    return SH_OK;
}

/* So many octets are on the disk now, or will not come. */
static void keep_promise(struct sh_store_item *item, uint64_t octets)
{
    uint64_t kept = SH_MIN(octets, item->promised);
    item->promised -= kept;
    item->store->promised -= kept;
}

static enum sh_cause reserve(struct sh_store_item *item)
{
    (void)fallocate(item->journal.fd, 0, 0, (off_t)sh_journal_length(&item->journal));
    while (item->size > 0 && fallocate(item->part_fd, 0, 0, (off_t)item->size) < 0) {
        if (errno == EINTR)
            continue;
        if (errno == EOPNOTSUPP || errno == ENOSYS)
            return promise(item);
        if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)
            return no_space(item, free_space(item->store));
        return sh_cause_of_errno(errno, item->part);
    }
    return SH_OK;
}

static enum sh_cause open_part(struct sh_store_item *item, bool *ret_kept)
{
    struct stat st;
    item->part_fd = openat(item->store->work_fd, item->part,
                           O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (item->part_fd < 0 && errno != ELOOP && errno != EISDIR && errno != ENXIO)
        return sh_cause_of_errno(errno, item->part);
    if (item->part_fd < 0 || fstat(item->part_fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        st.st_nlink > 1)
        return sh_fail(SH_STORE_DAMAGED, "%s/" WORK "/%s: not a plain file", item->store->dir,
                       item->part);
    *ret_kept = (uint64_t)st.st_size == item->size;
    if (!*ret_kept && ftruncate(item->part_fd, 0) < 0)
        return sh_cause_of_errno(errno, item->part);
    return SH_OK;
}

static enum sh_cause attach(struct sh_store_item *item)
{
    bool is_new = false, kept = false;
    enum sh_cause cause = SH_OK;
    SH_TRY(check_target(item));
    for (unsigned i = 0; i < 4; i++) {
        SH_TRY(open_work(item->store));
        cause = sh_journal_open(&item->journal, item->store->work_fd, item->leaves, item->size,
                                &is_new);
        if (cause == SH_OK || !is_gone(item->store->work_fd))
            break;
    }
    SH_TRY(cause);
    item->empty = is_new;
    SH_TRY(check_limit(item));
    SH_TRY(open_part(item, &kept));
    SH_TRY(sh_journal_load(&item->journal, item->part_fd, kept));
    item->empty = item->journal.have == 0;
    return reserve(item);
}

enum sh_cause sh_store_item_open(struct sh_store *store, const uint8_t id[SH_ITEM_ID_SIZE],
                                 const char *name, uint64_t size, bool replace,
                                 struct sh_store_item **ret_item)
{
    SH_CLEANUP(sh_store_item_closep) struct sh_store_item *item = NULL;
    char hex[2 * SH_ITEM_ID_SIZE + 1];
    SH_TRY(sh_item_name_check(name));
    if (size > SH_ITEM_SIZE_MAX)
        return sh_fail(SH_STORE_NO_SPACE, "%s: %" PRIu64 " octets are over the limit", name, size);
    item = calloc(1, sizeof(*item));
    if (!item)
        return SH_ENV_NO_MEMORY;
    item->store = store;
    item->size = size;
    item->replace = replace;
    item->part_fd = item->journal.fd = -1;
    memcpy(item->name, name, strlen(name) + 1);
    sh_hex(id, SH_ITEM_ID_SIZE, hex);
    snprintf(item->part, sizeof(item->part), "%s.part", hex);
    snprintf(item->leaves, sizeof(item->leaves), "%s.leaves", hex);
    SH_TRY(attach(item));
    *ret_item = item;
    item = NULL;
    return SH_OK;
}

void sh_store_item_rest(struct sh_store_item *item)
{
    sh_closep(&item->part_fd);
    item->part_fd = -1;
    sh_journal_close(&item->journal); /* the lock last */
}

enum sh_cause sh_store_item_wake(struct sh_store_item *item)
{
    if (item->part_fd >= 0)
        return SH_OK;
    keep_promise(item, item->promised);
    sh_digest_reset(&item->digest);
    enum sh_cause cause = attach(item);
    if (cause != SH_OK)
        sh_store_item_rest(item);
    return cause;
}

/* Files without anything verified in them would only hold space. Needs the lock. */
static void remove_empty(struct sh_store_item *item)
{
    bool is_new = false;
    if (item->journal.fd < 0) {
        if (sh_journal_open(&item->journal, item->store->work_fd, item->leaves, item->size,
                            &is_new) != SH_OK)
            return;
    }
    (void)unlinkat(item->store->work_fd, item->part, 0);
    (void)unlinkat(item->store->work_fd, item->leaves, 0);
}

void sh_store_item_close(struct sh_store_item *item)
{
    if (!item)
        return;
    if (item->empty && item->store->work_fd >= 0)
        remove_empty(item);
    sh_store_item_rest(item);
    keep_promise(item, item->promised);
    sh_digest_reset(&item->digest);
    free(item);
}

void sh_store_item_closep(struct sh_store_item **item)
{
    sh_store_item_close(*item);
    *item = NULL;
}

/* ---- its leaves ---- */

bool sh_store_item_has(const struct sh_store_item *item, uint64_t leaf)
{
    return sh_journal_has(&item->journal, leaf);
}

uint64_t sh_store_item_next_missing(const struct sh_store_item *item, uint64_t from)
{
    return sh_journal_next_missing(&item->journal, from);
}

uint64_t sh_store_item_verified(const struct sh_store_item *item)
{
    return item->journal.verified;
}

enum sh_cause sh_store_item_put(struct sh_store_item *item, uint64_t leaf, struct sh_bytes data,
                                const uint8_t hash[32], bool *ret_new)
{
    if (item->part_fd < 0 || data.n == 0 || data.n != sh_leaf_length(item->size, leaf))
        return sh_fail(SH_INTERNAL_BUG, "leaf %" PRIu64 " of %zu octets does not fit %s", leaf,
                       data.n, item->name);
    if (sh_journal_has(&item->journal, leaf)) {
        *ret_new = false;
        return SH_OK;
    }
    SH_TRY(sh_write_at(item->part_fd, data.p, data.n, leaf * SH_LEAF_SIZE));
    SH_TRY(sh_journal_record(&item->journal, leaf, hash));
    item->empty = false;
    keep_promise(item, data.n);
    if (leaf == item->digest.leaves)
        SH_TRY(sh_digest_add(&item->digest, data));
    item->unsynced += (uint32_t)data.n;
    if (item->unsynced >= SYNC_EVERY) { /* begun now, the sync at the end is short */
        (void)sync_file_range(item->part_fd, 0, 0, SYNC_FILE_RANGE_WRITE);
        item->unsynced = 0;
    }
    *ret_new = true;
    return SH_OK;
}

enum sh_cause sh_store_item_work(struct sh_store_item *item, unsigned leaves, bool *ret_done)
{
    sh_autofree uint8_t *buffer = NULL;
    for (unsigned i = 0; i < leaves && sh_journal_has(&item->journal, item->digest.leaves); i++) {
        uint32_t length = sh_leaf_length(item->size, item->digest.leaves);
        if (!buffer && !(buffer = malloc(SH_LEAF_SIZE)))
            return SH_ENV_NO_MEMORY;
        SH_TRY(sh_read_at(item->part_fd, buffer, length, item->digest.leaves * SH_LEAF_SIZE));
        SH_TRY(sh_digest_add(&item->digest, SH_BYTES(buffer, length)));
    }
    *ret_done = item->digest.leaves == item->journal.leaves;
    return SH_OK;
}

const uint8_t *sh_store_item_sha256(const struct sh_store_item *item)
{
    return item->digest.value;
}

static enum sh_cause end_digest(struct sh_store_item *item)
{
    bool done = false;
    while (!done)
        SH_TRY(sh_store_item_work(item, UINT32_MAX, &done));
    return sh_digest_end(&item->digest);
}

/* ---- the end ---- */

static enum sh_cause check_root(struct sh_store_item *item, const uint8_t root[32])
{
    uint8_t found[SH_HASH_SIZE];
    if (item->part_fd < 0 || item->journal.have != item->journal.leaves)
        return sh_fail(SH_INTERNAL_BUG, "%s is not complete", item->name);
    SH_TRY(sh_journal_root(&item->journal, found));
    if (memcmp(found, root, SH_HASH_SIZE) == 0)
        return SH_OK;
    SH_TRY(sh_journal_forget(&item->journal));
    sh_digest_reset(&item->digest);
    item->empty = true;
    return sh_fail(SH_TRANSFER_ROOT_MISMATCH, "%s", item->name);
}

/* For file systems without renameat2: a hard link does not replace either; where there are none,
 * a look before the rename is the best there is. */
static enum sh_cause rename_by_link(const struct sh_store_item *item)
{
    const struct sh_store *store = item->store;
    if (linkat(store->work_fd, item->part, store->dir_fd, item->name, 0) == 0) {
        (void)unlinkat(store->work_fd, item->part, 0);
        return SH_OK;
    }
    if (errno == EEXIST)
        return target_exists(item);
    SH_TRY(check_target(item));
    if (renameat(store->work_fd, item->part, store->dir_fd, item->name) < 0)
        return sh_cause_of_errno(errno, item->name);
    return SH_OK;
}

static enum sh_cause rename_part(const struct sh_store_item *item)
{
    const struct sh_store *store = item->store;
    unsigned flags = item->replace ? 0 : RENAME_NOREPLACE;
    if (renameat2(store->work_fd, item->part, store->dir_fd, item->name, flags) == 0)
        return SH_OK;
    if (errno == EEXIST || errno == EISDIR || errno == ENOTEMPTY)
        return target_exists(item);
    if (!item->replace && (errno == EINVAL || errno == ENOSYS))
        return rename_by_link(item);
    return sh_cause_of_errno(errno, item->name);
}

static enum sh_cause make_durable(const struct sh_store_item *item)
{
    const struct sh_store *store = item->store;
    if (fdatasync(item->part_fd) < 0 || fchmod(item->part_fd, 0600) < 0)
        return sh_cause_of_errno(errno, item->part);
    SH_TRY(rename_part(item));
    if (fsync(store->dir_fd) < 0 || fsync(store->work_fd) < 0)
        return sh_cause_of_errno(errno, store->dir);
    return SH_OK;
}

enum sh_cause sh_store_item_finish(struct sh_store_item *item, const uint8_t root[32],
                                   char **ret_path)
{
    size_t n = strlen(item->store->dir) + 1 + strlen(item->name) + 1;
    SH_TRY(check_root(item, root));
    sh_autofree char *path = malloc(n);
    if (!path)
        return SH_ENV_NO_MEMORY;
    snprintf(path, n, "%s/%s", item->store->dir, item->name);
    SH_TRY(end_digest(item));
    SH_TRY(make_durable(item));
    (void)unlinkat(item->store->work_fd, item->leaves, 0);
    item->empty = false;
    sh_store_item_rest(item);
    *ret_path = path;
    path = NULL;
    return SH_OK;
}
