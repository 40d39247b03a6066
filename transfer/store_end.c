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

#define CATCH_UP                                                                                   \
    3 /* leaves, for each that is put: sooner or later the digest is where the newest leaf is */

/* ---- marks ---- */

/* A sync that ended belongs to whichever item began it. */
static enum sh_cause take_sync(struct sh_store *store)
{
    void *owner = NULL;
    enum sh_cause cause = SH_OK;
    if (!sh_syncer_take(store->syncer, &owner, &cause) || !owner)
        return SH_OK;
    struct sh_store_item *item = owner;
    item->durable = item->sync_is_last && cause == SH_OK && item->unmarked == 0;
    item->sync_cause = cause;
    return cause == SH_OK ? sh_journal_set_synced(&item->journal, item->to_mark) : SH_OK;
}

static enum sh_cause begin_sync(struct sh_store_item *item)
{
    item->to_mark = sh_journal_next_missing(&item->journal, 0);
    item->sync_is_last = item->to_mark == item->journal.leaves;
    item->unmarked = 0;
    /* Opened by its name: a copy of our descriptor would hold the lock for as long as the disk hangs. */
    sh_autoclose int journal_fd =
        openat(item->store->work_fd, item->leaves, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int data_fd = journal_fd < 0 ? -1 : fcntl(item->part_fd, F_DUPFD_CLOEXEC, 0);
    if (data_fd < 0)
        return sh_cause_of_errno(errno, item->part);
    sh_syncer_begin(item->store->syncer, data_fd, journal_fd, item);
    journal_fd = -1;
    return SH_OK;
}

enum sh_cause sh_store_item_mark(struct sh_store_item *item, sh_ms now)
{
    struct sh_store *store = item->store;
    if (!store->syncer || item->part_fd < 0)
        return SH_OK;
    SH_TRY(take_sync(store));
    SH_TRY(item->sync_cause);
    if (item->marked_at == 0 || item->unmarked == 0)
        item->marked_at = now;
    if (item->unmarked == 0 || !sh_syncer_is_idle(store->syncer) ||
        (item->unmarked < SH_STORE_MARK_OCTETS && now < item->marked_at + SH_STORE_MARK_MS))
        return SH_OK;
    item->marked_at = now;
    return begin_sync(item);
}

/* ---- what was not seen in order ---- */

/* The next leaf of the digest, read again. */
static enum sh_cause look_again(struct sh_store_item *item, uint8_t *buffer, bool *ret_good)
{
    uint8_t found[SH_HASH_SIZE], recorded[SH_HASH_SIZE];
    uint64_t leaf = item->digest.leaves;
    struct sh_bytes data = SH_BYTES(buffer, sh_leaf_length(item->size, leaf));
    SH_TRY(sh_read_at(item->part_fd, buffer, data.n, leaf * SH_LEAF_SIZE));
    *ret_good = true;
    if (sh_journal_is_fresh(&item->journal, leaf))
        return sh_digest_add(&item->digest, data);
    SH_TRY(sh_leaf_hash(data, found));
    SH_TRY(sh_journal_hash(&item->journal, leaf, recorded));
    *ret_good = memcmp(found, recorded, SH_HASH_SIZE) == 0;
    if (*ret_good)
        return sh_digest_add(&item->digest, data);
    sh_log("store: leaf %" PRIu64 " of %s is damaged on the disk", leaf, item->name);
    return sh_journal_clear(&item->journal, leaf);
}

enum sh_cause sh_store_catch_up(struct sh_store_item *item)
{
    sh_autofree uint8_t *buffer = NULL;
    bool good = true;
    for (unsigned i = 0; i < CATCH_UP && sh_journal_is_fresh(&item->journal, item->digest.leaves);
         i++) {
        if (!buffer && !(buffer = malloc(SH_LEAF_SIZE)))
            return SH_ENV_NO_MEMORY;
        SH_TRY(look_again(item, buffer, &good));
    }
    return SH_OK;
}

static enum sh_cause sync_all(struct sh_store_item *item, enum sh_store_state *ret_state)
{
    struct sh_store *store = item->store;
    *ret_state = SH_STORE_WAITS;
    if (!store->syncer) {
        /* waits: for the disk; only without sh_store_in_background */
        if (!item->durable && fdatasync(item->part_fd) < 0)
            return sh_cause_of_errno(errno, item->part);
        item->durable = true;
    } else {
        SH_TRY(take_sync(store));
        SH_TRY(item->sync_cause);
        if (!item->durable && sh_syncer_is_idle(store->syncer))
            SH_TRY(begin_sync(item));
    }
    if (item->durable)
        *ret_state = SH_STORE_READY;
    return SH_OK;
}

enum sh_cause sh_store_item_work(struct sh_store_item *item, unsigned leaves,
                                 enum sh_store_state *ret_state)
{
    sh_autofree uint8_t *buffer = NULL;
    bool good = true;
    for (unsigned i = 0; i < leaves && good && sh_journal_has(&item->journal, item->digest.leaves);
         i++) {
        if (!buffer && !(buffer = malloc(SH_LEAF_SIZE)))
            return SH_ENV_NO_MEMORY;
        SH_TRY(look_again(item, buffer, &good));
    }
    *ret_state = SH_STORE_LACKS;
    if (item->journal.have < item->journal.leaves)
        return SH_OK;
    if (item->digest.leaves == item->journal.leaves)
        return sync_all(item, ret_state);
    *ret_state = SH_STORE_MORE;
    return SH_OK;
}

const uint8_t *sh_store_item_sha256(const struct sh_store_item *item)
{
    return item->digest.value;
}

/* ---- the end ---- */

static enum sh_cause check_root(struct sh_store_item *item, const uint8_t root[32])
{
    uint8_t found[SH_HASH_SIZE];
    if (item->part_fd < 0 || !item->durable || item->digest.leaves != item->journal.leaves)
        return sh_fail(SH_INTERNAL_BUG, "%s is not complete", item->name);
    SH_TRY(sh_journal_root(&item->journal, found));
    if (memcmp(found, root, SH_HASH_SIZE) == 0)
        return SH_OK;
    SH_TRY(sh_journal_forget(&item->journal));
    sh_digest_reset(&item->digest);
    item->empty = true;
    return sh_fail(SH_TRANSFER_ROOT_MISMATCH, "%s", item->name);
}

enum sh_cause sh_store_item_seal(struct sh_store_item *item, const uint8_t root[32],
                                 struct sh_store_sealed *ret_sealed)
{
    struct stat st;
    size_t n = strlen(item->store->dir) + 1 + strlen(item->name) + 1;
    SH_TRY(check_root(item, root));
    if (!item->digest.ended)
        SH_TRY(sh_digest_end(&item->digest));
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
