/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tree grows with the hashes of leaves that are served, for nothing; several links serve by turns, so what comes a little before its turn
 * is kept until then. Leaves that nobody asked for, because the other side has them, are read and hashed by jobs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "transfer/item_internal.h"
#include "transfer/leaf.h"

#define JOB_MOST 128 /* leaves: some 12 ms, and as much as is told at a time of what is read */
#define AHEAD    256 /* leaves before the tree that are kept: what is asked for at once on all links */
#define AT_ONCE                                                                                    \
    4 /* leaves that are not worth the way to a thread and back: a thousand small files each go it */

/* A ring: leaf i stands at i % AHEAD. */
struct sh_item_ahead {
    bool have[AHEAD];
    uint8_t hashes[AHEAD][SH_HASH_SIZE];
};

/* It may outlive the item. */
struct sh_item_job {
    struct sh_job job;
    struct sh_item *item; /* NULL: nobody asks any more */
    const uint8_t *
        bytes; /* NULL: a file, with a descriptor of its own; memory is only read where its owner is */
    int fd;
    struct source source;
    uint64_t size, from, end; /* leaves */
    enum sh_read read;
    int error;
    enum sh_cause cause; /* of hashing */
    uint8_t hashes[][SH_HASH_SIZE];
};

void sh_item_seal_drop(struct sh_item *item)
{
    if (item->job)
        item->job->item = NULL;
    item->job = NULL;
    item->job_cause = SH_OK;
    item->job_read = SH_READ_FINE;
    free(item->ahead);
    item->ahead = NULL;
    sh_hashtree_init(&item->tree);
}

void sh_item_set_worker(struct sh_item *item, struct sh_worker *worker)
{
    if (item->job) /* begins anew where it is needed again */
        sh_item_seal_drop(item);
    item->worker = worker;
}

/* ---- the tree ---- */

/* The next one. */
static enum sh_cause append(struct sh_item *item, const uint8_t hash[SH_HASH_SIZE])
{
    if (item->ahead)
        item->ahead->have[item->tree.leaves % AHEAD] = false;
    return sh_hashtree_append(&item->tree, hash);
}

/* Where there is no memory for it a job hashes the leaf once more. */
static void keep_ahead(struct sh_item *item, uint64_t index, const uint8_t hash[SH_HASH_SIZE])
{
    if (index < item->tree.leaves || index - item->tree.leaves >= AHEAD)
        return;
    if (!item->ahead)
        item->ahead = calloc(1, sizeof(*item->ahead));
    if (!item->ahead)
        return;
    item->ahead->have[index % AHEAD] = true;
    memcpy(item->ahead->hashes[index % AHEAD], hash, SH_HASH_SIZE);
}

static enum sh_cause take_ahead(struct sh_item *item)
{
    while (item->ahead && item->ahead->have[item->tree.leaves % AHEAD])
        SH_TRY(append(item, item->ahead->hashes[item->tree.leaves % AHEAD]));
    if (sh_item_sealed(item)) {
        free(item->ahead);
        item->ahead = NULL;
    }
    return SH_OK;
}

/* ---- a job ---- */

static enum sh_cause read_on(struct sh_item_job *job)
{
    sh_autofree uint8_t *buffer = job->bytes ? NULL : malloc(SH_LEAF_SIZE);
    if (!job->bytes && !buffer)
        return SH_ENV_NO_MEMORY;
    for (uint64_t leaf = job->from; leaf < job->end; leaf++) {
        uint64_t offset = leaf * SH_LEAF_SIZE;
        uint32_t length = sh_leaf_length(job->size, leaf);
        if (!job->bytes) {
            job->read = sh_source_read(job->fd, &job->source, offset, buffer, length);
            job->error = errno;
        }
        if (job->read != SH_READ_FINE)
            return SH_OK;
        const uint8_t *data = job->bytes ? job->bytes + offset : buffer;
        SH_TRY(sh_leaf_hash(SH_BYTES(data, length), job->hashes[leaf - job->from]));
    }
    return SH_OK;
}

static void run_job(struct sh_job *base)
{
    struct sh_item_job *job = (struct sh_item_job *)base;
    job->cause = read_on(job);
}

/* Leaves that were served meanwhile are in the tree already. */
static enum sh_cause take_over(struct sh_item *item, const struct sh_item_job *job)
{
    item->job_read = job->read;
    item->job_error = job->error;
    if (job->cause != SH_OK || job->read != SH_READ_FINE)
        return job->cause;
    for (uint64_t leaf = SH_MAX(item->tree.leaves, job->from); leaf < job->end; leaf++)
        SH_TRY(append(item, job->hashes[leaf - job->from]));
    return take_ahead(item);
}

static void end_job(struct sh_job *base, bool lost SH_UNUSED)
{
    struct sh_item_job *job = (struct sh_item_job *)base;
    if (job->item) {
        job->item->job = NULL;
        job->item->job_cause = take_over(job->item, job);
    }
    sh_closep(&job->fd);
    free(job);
}

/* A descriptor for a job, which may outlive ours. */
static enum sh_cause open_for_job(struct sh_item *item, int *ret_fd)
{
    if (item->bytes)
        return SH_OK;
    SH_TRY(sh_item_wake(item));
    *ret_fd = fcntl(item->fd, F_DUPFD_CLOEXEC, 0);
    return *ret_fd >= 0 ? SH_OK : sh_item_read_cause(item, SH_READ_FAILED, errno);
}

/* What is in memory goes when its owner does. */
static enum sh_cause give_job(struct sh_item *item, uint64_t most)
{
    uint64_t from = item->tree.leaves;
    uint64_t end = SH_MIN(from + SH_MIN(most, (uint64_t)JOB_MOST), sh_leaf_count(item->size));
    sh_autoclose int fd = -1;
    SH_TRY(open_for_job(item, &fd));
    struct sh_item_job *job = calloc(1, sizeof(*job) + (end - from) * SH_HASH_SIZE);
    if (!job)
        return SH_ENV_NO_MEMORY;
    job->job = (struct sh_job){.run = run_job, .end = end_job};
    job->item = item;
    job->bytes = item->bytes;
    job->fd = fd;
    job->source = item->source;
    job->size = item->size;
    job->from = from;
    job->end = end;
    fd = -1;
    item->job = job;
    bool here = item->bytes || end - from <= AT_ONCE;
    sh_worker_give(here ? NULL : item->worker, &job->job, false);
    return SH_OK;
}

/* What failed is said once, and begins anew. */
static enum sh_cause check(struct sh_item *item)
{
    enum sh_cause cause = item->job_cause;
    if (cause == SH_OK)
        cause = sh_item_read_cause(item, item->job_read, item->job_error);
    if (cause != SH_OK)
        sh_item_seal_drop(item);
    return cause;
}

/* ---- from outside ---- */

enum sh_cause sh_item_seal_feed(struct sh_item *item, uint64_t index, const uint8_t hash[32])
{
    if (item->job)
        sh_worker_take(item->worker);
    if (index == item->tree.leaves && !sh_item_sealed(item)) {
        SH_TRY(append(item, hash));
        SH_TRY(take_ahead(item));
    } else {
        keep_ahead(item, index, hash);
    }
    return check(item);
}

enum sh_cause sh_item_seal_work(struct sh_item *item, unsigned leaves, bool *ret_done)
{
    if (item->job)
        sh_worker_take(item->worker);
    SH_TRY(check(item));
    if (!item->job && !sh_item_sealed(item))
        SH_TRY(give_job(item, item->worker && !item->bytes ? JOB_MOST : leaves));
    SH_TRY(check(item));
    *ret_done = sh_item_sealed(item);
    return SH_OK;
}

bool sh_item_seal_waits(const struct sh_item *item)
{
    return item->job != NULL;
}

bool sh_item_sealed(const struct sh_item *item)
{
    return item->tree.leaves == sh_leaf_count(item->size);
}

uint64_t sh_item_hashed(const struct sh_item *item)
{
    return SH_MIN(item->tree.leaves * SH_LEAF_SIZE, item->size);
}

enum sh_cause sh_item_root(const struct sh_item *item, uint8_t out[32])
{
    if (!sh_item_sealed(item))
        return sh_fail(SH_INTERNAL_BUG, "%s is not sealed", item->name);
    return sh_hashtree_root(&item->tree, out);
}
