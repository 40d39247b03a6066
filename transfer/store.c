/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "transfer/leaf.h"
#include "transfer/store_internal.h"

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

void sh_store_in_background(struct sh_store *store, struct sh_worker *worker,
                            struct sh_worker *syncer)
{
    store->worker = worker;
    store->syncer = syncer;
}

void sh_store_close(struct sh_store *store)
{
    if (!store)
        return;
    if (store->work_fd >= 0)
        (void)unlinkat(store->dir_fd, SH_STORE_WORK, AT_REMOVEDIR); /* stays if anything is in it */
    sh_store_free_spares(store);
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
    if (mkdirat(store->dir_fd, SH_STORE_WORK, 0700) < 0 && errno != EEXIST)
        return sh_cause_of_errno(errno, store->dir);
    store->work_fd =
        openat(store->dir_fd, SH_STORE_WORK, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (store->work_fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return sh_fail(SH_STORE_DAMAGED, "%s/" SH_STORE_WORK ": not a folder", store->dir);
    if (store->work_fd < 0)
        return sh_cause_of_errno(errno, store->dir);
    return SH_OK;
}

/* ---- beginning an item ---- */

enum sh_cause sh_store_target_exists(const struct sh_store_item *item)
{
    return sh_fail(SH_STORE_TARGET_EXISTS, "%s/%s", item->store->dir, item->name);
}

enum sh_cause sh_store_check_target(const struct sh_store_item *item)
{
    struct stat st;
    if (fstatat(item->store->dir_fd, item->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? SH_OK : sh_cause_of_errno(errno, item->name);
    return item->replace && !S_ISDIR(st.st_mode) ? SH_OK : sh_store_target_exists(item);
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

void sh_store_keep_promise(struct sh_store_item *item, uint64_t octets)
{
    uint64_t kept = SH_MIN(octets, item->promised);
    item->promised -= kept;
    item->store->promised -= kept;
}

enum sh_cause sh_store_not_reserved(const struct sh_store_item *item, int error)
{
    if (error == ENOSPC || error == EDQUOT || error == EFBIG)
        return no_space(item, free_space(item->store));
    return sh_cause_of_errno(error, item->part);
}

/* The first piece of what is large does not wait until space for all of it is reserved, but for a look whether it is there. */
static enum sh_cause reserve(struct sh_store_item *item)
{
    bool rest =
        item->store->syncer && item->journal.have == 0 && item->size > SH_STORE_RESERVE_FIRST;
    uint64_t first = rest ? SH_STORE_RESERVE_FIRST : item->size;
    item->reserved = 0;
    (void)fallocate(item->journal.fd, 0, 0, (off_t)sh_journal_length(&item->journal));
    if (rest)
        SH_TRY(promise(item));
    while (first > 0 && fallocate(item->part_fd, 0, 0, (off_t)first) < 0) {
        if (errno == EINTR)
            continue;
        if (errno == EOPNOTSUPP || errno == ENOSYS)
            return rest ? SH_OK : promise(item);
        return sh_store_not_reserved(item, errno);
    }
    if (!rest)
        return SH_OK;
    item->reserved = first;
    sh_store_keep_promise(item, first);
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
        return sh_fail(SH_STORE_DAMAGED, "%s/" SH_STORE_WORK "/%s: not a plain file",
                       item->store->dir, item->part);
    *ret_kept = (uint64_t)st.st_size == item->size;
    if (!*ret_kept && ftruncate(item->part_fd, 0) < 0)
        return sh_cause_of_errno(errno, item->part);
    return SH_OK;
}

static enum sh_cause attach(struct sh_store_item *item)
{
    bool is_new = false, kept = false;
    enum sh_cause cause = SH_OK;
    SH_TRY(sh_store_check_target(item));
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
    SH_TRY(reserve(item));
    item->unreserved = item->reserved > 0;
    return sh_store_jobs_begin(item);
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
    sh_store_jobs_end(item);
    sh_closep(&item->part_fd);
    item->part_fd = -1;
    item->durable = false;
    sh_journal_close(&item->journal); /* the lock last */
}

enum sh_cause sh_store_item_wake(struct sh_store_item *item)
{
    if (item->part_fd >= 0)
        return SH_OK;
    sh_store_keep_promise(item, item->promised);
    enum sh_cause cause = attach(item);
    if (cause != SH_OK)
        sh_store_item_rest(item);
    return cause;
}

/* Files without anything verified in them would only hold space. Needs the lock; and while it was let go somebody else may have come. */
static void remove_empty(struct sh_store_item *item)
{
    bool is_new = false;
    if (item->journal.fd < 0) {
        if (sh_journal_open(&item->journal, item->store->work_fd, item->leaves, item->size,
                            &is_new) != SH_OK ||
            sh_store_has_records(item->journal.fd, item->size))
            return;
    }
    (void)unlinkat(item->store->work_fd, item->part, 0);
    (void)unlinkat(item->store->work_fd, item->leaves, 0);
}

void sh_store_item_close(struct sh_store_item *item)
{
    if (!item)
        return;
    sh_store_jobs_end(item);
    if (item->empty && item->store->work_fd >= 0)
        remove_empty(item);
    sh_store_item_rest(item);
    sh_store_keep_promise(item, item->promised);
    free(item);
}

void sh_store_item_closep(struct sh_store_item **item)
{
    sh_store_item_close(*item);
    *item = NULL;
}

/* ---- its leaves ---- */

static bool is_queued(const struct sh_store_item *item, uint64_t leaf)
{
    return item->puts && leaf < item->journal.leaves && (item->queued[leaf / 8] >> (leaf % 8) & 1);
}

bool sh_store_item_has(const struct sh_store_item *item, uint64_t leaf)
{
    return sh_journal_has(&item->journal, leaf) || is_queued(item, leaf);
}

uint64_t sh_store_item_next_missing(const struct sh_store_item *item, uint64_t from)
{
    uint64_t leaf = sh_journal_next_missing(&item->journal, from);
    while (is_queued(item, leaf))
        leaf = sh_journal_next_missing(&item->journal, leaf + 1);
    return leaf;
}

uint64_t sh_store_item_verified(const struct sh_store_item *item)
{
    return item->journal.verified;
}
