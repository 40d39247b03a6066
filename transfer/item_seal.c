/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The tree grows with the hashes of leaves that are served, for nothing; several links serve by turns, so what comes a little before its turn
 * is kept until then. The digest, the SHA-256 of the whole, follows the tree in jobs that read the source again, while that is still in the
 * memory of the machine: who serves waits for it. A job that comes to leaves that are not in the tree hashes them too.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "transfer/digest.h"
#include "transfer/item_internal.h"
#include "transfer/leaf.h"

#define FOLLOW_AT 32   /* leaves behind the tree */
#define JOB_MOST  512  /* leaves: some 50 ms */
#define BEHIND    1024 /* leaves behind the tree: enough, twice a job */
#define AHEAD     256 /* leaves before the tree that are kept: what is asked for at once on all links */
#define AT_ONCE                                                                                    \
    4 /* leaves that are not worth the way to a thread and back: a thousand small files each go it */

/* What jobs have of an item; they hold on to it. */
struct sh_item_hands {
    atomic_uint holders;
    const uint8_t *bytes; /* NULL: a file */
    struct source source;
    uint64_t size;
    struct sh_digest digest; /* touched by jobs alone while one is under way */
};

/* A ring: leaf i stands at i % AHEAD. */
struct sh_item_ahead {
    bool have[AHEAD];
    uint8_t hashes[AHEAD][SH_HASH_SIZE];
};

struct sh_item_job {
    struct sh_job job;
    struct sh_item *item; /* NULL: nobody asks any more */
    struct sh_item_hands *hands;
    int fd; /* of the file, its own; -1: none */
    uint64_t end;
    uint64_t hashed; /* leaves from here on are hashed */
    enum sh_read read;
    int error;
    enum sh_cause cause; /* of hashing */
    uint8_t hashes[][SH_HASH_SIZE];
};

static void let_go(struct sh_item_hands *hands)
{
    if (!hands || atomic_fetch_sub(&hands->holders, 1) > 1)
        return;
    sh_digest_reset(&hands->digest);
    free(hands);
}

void sh_item_seal_drop(struct sh_item *item)
{
    if (item->job)
        item->job->item = NULL;
    item->job = NULL;
    let_go(item->hands);
    item->hands = NULL;
    item->job_cause = SH_OK;
    item->job_read = SH_READ_FINE;
    item->digested = 0;
    item->ended = false;
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

static void free_job(struct sh_item_job *job)
{
    let_go(job->hands);
    sh_closep(&job->fd);
    free(job);
}

static enum sh_cause add_leaf(struct sh_item_job *job, uint64_t leaf, struct sh_bytes data)
{
    if (leaf >= job->hashed)
        SH_TRY(sh_leaf_hash(data, job->hashes[leaf - job->hashed]));
    return sh_digest_add(&job->hands->digest, data);
}

static enum sh_cause read_on(struct sh_item_job *job)
{
    struct sh_item_hands *hands = job->hands;
    sh_autofree uint8_t *buffer = hands->bytes ? NULL : malloc(SH_LEAF_SIZE);
    if (!hands->bytes && !buffer)
        return SH_ENV_NO_MEMORY;
    while (hands->digest.leaves < job->end) {
        uint64_t leaf = hands->digest.leaves, offset = leaf * SH_LEAF_SIZE;
        uint32_t length = sh_leaf_length(hands->size, leaf);
        if (!hands->bytes) {
            job->read = sh_source_read(job->fd, &hands->source, offset, buffer, length);
            job->error = errno;
        }
        if (job->read != SH_READ_FINE)
            return SH_OK;
        const uint8_t *data = hands->bytes ? hands->bytes + offset : buffer;
        SH_TRY(add_leaf(job, leaf, SH_BYTES(data, length)));
    }
    return job->end == sh_leaf_count(hands->size) ? sh_digest_end(&hands->digest) : SH_OK;
}

static void run_job(struct sh_job *base)
{
    struct sh_item_job *job = (struct sh_item_job *)base;
    job->cause = read_on(job);
}

/* Leaves that were served meanwhile are in the tree already. */
static enum sh_cause take_over(struct sh_item *item, const struct sh_item_job *job)
{
    const struct sh_digest *digest = &job->hands->digest;
    item->job_read = job->read;
    item->job_error = job->error;
    if (job->cause != SH_OK || job->read != SH_READ_FINE)
        return job->cause;
    item->digested = digest->leaves;
    for (uint64_t leaf = SH_MAX(item->tree.leaves, job->hashed); leaf < job->end; leaf++)
        SH_TRY(append(item, job->hashes[leaf - job->hashed]));
    SH_TRY(take_ahead(item));
    item->ended = digest->ended;
    if (item->ended)
        memcpy(item->sha256, digest->value, sizeof(item->sha256));
    return SH_OK;
}

static void end_job(struct sh_job *base, bool lost SH_UNUSED)
{
    struct sh_item_job *job = (struct sh_item_job *)base;
    if (job->item) {
        job->item->job = NULL;
        job->item->job_cause = take_over(job->item, job);
    }
    free_job(job);
}

static enum sh_cause take_hands(struct sh_item *item)
{
    if (item->hands)
        return SH_OK;
    struct sh_item_hands *hands = calloc(1, sizeof(*hands));
    if (!hands)
        return SH_ENV_NO_MEMORY;
    *hands = (struct sh_item_hands){
        .holders = 1, .bytes = item->bytes, .source = item->source, .size = item->size};
    item->hands = hands;
    return SH_OK;
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
    uint64_t leaves = sh_leaf_count(item->size);
    uint64_t end = SH_MIN(item->digested + SH_MIN(most, (uint64_t)JOB_MOST), leaves);
    uint64_t hashed = SH_MAX(item->tree.leaves, item->digested);
    uint64_t hashes = end > hashed ? end - hashed : 0;
    sh_autoclose int fd = -1;
    SH_TRY(take_hands(item));
    SH_TRY(open_for_job(item, &fd));
    struct sh_item_job *job = calloc(1, sizeof(*job) + hashes * SH_HASH_SIZE);
    if (!job)
        return SH_ENV_NO_MEMORY;
    job->fd = fd;
    fd = -1;
    job->job = (struct sh_job){.run = run_job, .end = end_job};
    job->item = item;
    job->end = end;
    job->hashed = hashed;
    job->hands = item->hands;
    atomic_fetch_add(&item->hands->holders, 1);
    item->job = job;
    bool here = item->bytes || end - item->digested <= AT_ONCE;
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
    SH_TRY(check(item));
    if (item->job || item->tree.leaves < item->digested + FOLLOW_AT)
        return SH_OK;
    return give_job(item, item->tree.leaves - item->digested);
}

enum sh_cause sh_item_seal_work(struct sh_item *item, unsigned leaves, bool *ret_done)
{
    if (item->job)
        sh_worker_take(item->worker);
    SH_TRY(check(item));
    if (!item->job && !item->ended)
        SH_TRY(give_job(item, item->worker && !item->bytes ? JOB_MOST : leaves));
    SH_TRY(check(item));
    *ret_done = item->ended;
    return SH_OK;
}

bool sh_item_seal_waits(const struct sh_item *item)
{
    return item->job != NULL;
}

static bool is_behind(const struct sh_item *item)
{
    return item->job && item->tree.leaves > item->digested + BEHIND;
}

bool sh_item_seal_behind(struct sh_item *item)
{
    if (is_behind(item))
        sh_worker_take(item->worker);
    return is_behind(item);
}

bool sh_item_sealed(const struct sh_item *item)
{
    return item->tree.leaves == sh_leaf_count(item->size);
}

bool sh_item_digested(const struct sh_item *item)
{
    return item->ended;
}

enum sh_cause sh_item_root(const struct sh_item *item, uint8_t out[32])
{
    if (!sh_item_sealed(item))
        return sh_fail(SH_INTERNAL_BUG, "%s is not sealed", item->name);
    return sh_hashtree_root(&item->tree, out);
}

enum sh_cause sh_item_sha256(const struct sh_item *item, uint8_t out[32])
{
    if (!item->ended)
        return sh_fail(SH_INTERNAL_BUG, "%s is not read to its end", item->name);
    memcpy(out, item->sha256, sizeof(item->sha256));
    return SH_OK;
}
