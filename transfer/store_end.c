/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/log.h"
#include "transfer/leaf.h"
#include "transfer/store_internal.h"

/* ---- marks ---- */

enum sh_cause sh_store_item_mark(struct sh_store_item *item, sh_ms now)
{
    if (!item->store->syncer || item->part_fd < 0)
        return SH_OK;
    sh_store_jobs_take(item);
    SH_TRY(item->sync_cause);
    SH_TRY(item->look_cause);
    if (item->marked_at == 0 || item->unmarked == 0)
        item->marked_at = now;
    if (item->unmarked == 0 || item->sync ||
        (item->unmarked < SH_STORE_MARK_OCTETS && now < item->marked_at + SH_STORE_MARK_MS))
        return SH_OK;
    item->marked_at = now;
    return sh_store_begin_sync(item);
}

/* ---- what was not seen in order, and the last sync ---- */

static enum sh_cause sync_all(struct sh_store_item *item, enum sh_store_state *ret_state)
{
    *ret_state = SH_STORE_WAITS;
    if (!item->store->syncer) {
        /* waits: for the disk; only without sh_store_in_background */
        if (!item->durable && fdatasync(item->part_fd) < 0)
            return sh_cause_of_errno(errno, item->part);
        item->durable = true;
    } else if (!item->durable && !item->sync) {
        SH_TRY(sh_store_begin_sync(item));
    }
    if (item->durable)
        *ret_state = SH_STORE_READY;
    return SH_OK;
}

enum sh_cause sh_store_item_work(struct sh_store_item *item, unsigned leaves,
                                 enum sh_store_state *ret_state)
{
    sh_store_jobs_take(item);
    SH_TRY(item->sync_cause);
    if (!item->look && !item->puts && item->look_cause == SH_OK)
        SH_TRY(sh_store_read_on(item, leaves));
    SH_TRY(item->look_cause);
    *ret_state = item->looked ? SH_STORE_MORE : SH_STORE_WAITS;
    item->looked = false;
    if (item->look || item->puts)
        return SH_OK;
    bool more = sh_journal_has(&item->journal, item->digested);
    *ret_state = more ? SH_STORE_MORE : SH_STORE_LACKS;
    if (more || item->journal.have < item->journal.leaves)
        return SH_OK;
    return sync_all(item, ret_state);
}

const uint8_t *sh_store_item_sha256(const struct sh_store_item *item)
{
    return item->sha256;
}

/* ---- the end ---- */

static enum sh_cause check_root(struct sh_store_item *item, const uint8_t root[32])
{
    uint8_t found[SH_HASH_SIZE];
    if (item->part_fd < 0 || !item->durable || item->digested != item->journal.leaves)
        return sh_fail(SH_INTERNAL_BUG, "%s is not complete", item->name);
    if (item->rooted)
        memcpy(found, item->root, sizeof(found));
    else
        SH_TRY(sh_journal_root(item->journal.fd, item->journal.leaves, found));
    if (memcmp(found, root, SH_HASH_SIZE) == 0)
        return SH_OK;
    SH_TRY(sh_journal_forget(&item->journal));
    sh_store_drop_digest(item);
    item->empty = true;
    return sh_fail(SH_TRANSFER_ROOT_MISMATCH, "%s", item->name);
}

enum sh_cause sh_store_item_seal(struct sh_store_item *item, const uint8_t root[32],
                                 struct sh_store_sealed *ret_sealed)
{
    struct stat st;
    size_t n = strlen(item->store->dir) + 1 + strlen(item->name) + 1;
    SH_TRY(check_root(item, root));
    SH_TRY(sh_store_end_digest(item));
    if (fchmod(item->part_fd, 0600) < 0 || fstat(item->part_fd, &st) < 0)
        return sh_cause_of_errno(errno, item->part);
    char *path = malloc(n);
    if (!path)
        return SH_ENV_NO_MEMORY;
    snprintf(path, n, "%s/%s", item->store->dir, item->name);
    item->sealed = true;
    *ret_sealed = (struct sh_store_sealed){
        .path = path, .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec};
    return SH_OK;
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
        return sh_store_target_exists(item);
    SH_TRY(sh_store_check_target(item));
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
        return sh_store_target_exists(item);
    if (!item->replace && (errno == EINVAL || errno == ENOSYS))
        return rename_by_link(item);
    return sh_cause_of_errno(errno, item->name);
}

enum sh_cause sh_store_item_publish(struct sh_store_item *item)
{
    const struct sh_store *store = item->store;
    if (!item->sealed)
        return sh_fail(SH_INTERNAL_BUG, "%s is not sealed", item->name);
    SH_TRY(rename_part(item));
    /* waits: for the disk, which has the data already: two folders */
    if (fsync(store->dir_fd) < 0 || fsync(store->work_fd) < 0)
        return sh_cause_of_errno(errno, store->dir);
    (void)unlinkat(store->work_fd, item->leaves, 0);
    item->empty = false;
    sh_store_item_rest(item);
    return SH_OK;
}
