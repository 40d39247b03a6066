/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The digest belongs to the jobs: the SHA-256 of the whole content is taken from leaves that are put in its order, while they are in
 * memory. What came before its turn is read again.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/log.h"
#include "transfer/leaf.h"
#include "transfer/store_internal.h"

#define WRITE_EVERY (8u << 20) /* octets until the kernel is told to begin writing them */
#define LOOK_MOST   64         /* leaves a job */
#define SETTLE_MS   1000
#define SPARES      48
#define RESERVE_BY  (UINT64_C(256) << 20) /* octets: whoever writes waits meanwhile, a moment */

struct sh_store_hands {
    atomic_uint holders;
    int data_fd,
        journal_fd; /* its own: a copy of the journal's would hold the lock for as long as the disk hangs */
    uint64_t size;
    struct sh_digest digest;
    uint64_t run_first, run_end; /* what was put last, one after the other */
    uint32_t unwritten;
};

struct sh_store_put {
    struct sh_job job;
    struct sh_store_hands *hands;
    struct sh_store_item *item; /* NULL: nobody asks any more */
    struct sh_store_put *next;
    bool ended;
    struct sh_store_news news;
    uint64_t digested;
    char *detail; /* of a failure */
    uint8_t hash[SH_HASH_SIZE];
    struct sh_store_copies *copies; /* to compare; NULL: the data is here */
    uint32_t n;
    uint8_t data[];
};

struct sh_store_look {
    struct sh_job job;
    struct sh_store_hands *hands;
    struct sh_store_item *item;
    uint64_t from, to;
    uint64_t bad; /* UINT64_MAX: none was */
    uint64_t digested;
    enum sh_cause cause;
    char *detail;
    bool check[LOOK_MOST]; /* an earlier session's */
    uint8_t hashes[LOOK_MOST][SH_HASH_SIZE];
};

struct sh_store_sync {
    struct sh_job job;
    struct sh_store_hands *hands;
    struct sh_store_item *item;
    bool last;   /* everything is there: then the root is found, too, */
    bool rooted; /* and this is it */
    uint8_t root[SH_HASH_SIZE];
    int error; /* errno */
};

struct sh_store_reserve {
    struct sh_job job;
    struct sh_store_hands *hands;
    struct sh_store_item *item;
    uint64_t next; /* octets that are reserved */
    int error;     /* errno */
};

/* ---- the hands ---- */

static struct sh_store_hands *hold(struct sh_store_hands *hands)
{
    atomic_fetch_add(&hands->holders, 1);
    return hands;
}

static void let_go(struct sh_store_hands *hands)
{
    if (!hands || atomic_fetch_sub(&hands->holders, 1) > 1)
        return;
    sh_closep(&hands->data_fd);
    sh_closep(&hands->journal_fd);
    sh_digest_reset(&hands->digest);
    free(hands);
}

enum sh_cause sh_store_jobs_begin(struct sh_store_item *item)
{
    struct sh_store_hands *hands = calloc(1, sizeof(*hands));
    if (!hands)
        return SH_ENV_NO_MEMORY;
    hands->holders = 1;
    hands->size = item->size;
    hands->data_fd = fcntl(item->part_fd, F_DUPFD_CLOEXEC, 0);
    hands->journal_fd =
        openat(item->store->work_fd, item->leaves, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    item->hands = hands;
    item->last_put = &item->puts;
    item->digested = 0;
    item->queued = calloc(1, (size_t)(item->journal.leaves / 8 + 1));
    if (!item->queued)
        return SH_ENV_NO_MEMORY;
    return hands->data_fd < 0 || hands->journal_fd < 0 ? sh_cause_of_errno(errno, item->leaves)
                                                       : SH_OK;
}

/* Room for a leaf is used again, the last one first: what malloc gives back to the kernel it would have to clear for us anew. */
static struct sh_store_put *new_put(struct sh_store *store)
{
    struct sh_store_put *put = store->spare;
    if (!put)
        return malloc(sizeof(*put) + SH_LEAF_SIZE);
    store->spare = put->next;
    store->spares--;
    return put;
}

static void free_put(struct sh_store *store, struct sh_store_put *put)
{
    let_go(put->hands);
    sh_store_copies_let_go(put->copies);
    free(put->detail);
    if (!store || store->spares == SPARES) {
        free(put);
        return;
    }
    put->next = store->spare;
    store->spare = put;
    store->spares++;
}

void sh_store_free_spares(struct sh_store *store)
{
    while (store->spare) {
        struct sh_store_put *put = store->spare;
        store->spare = put->next;
        free(put);
    }
}

static void drop_puts(struct sh_store_item *item)
{
    while (item->puts) {
        struct sh_store_put *put = item->puts;
        item->puts = put->next;
        put->item = NULL;
        if (put->ended)
            free_put(item->store, put);
    }
    item->last_put = &item->puts;
    item->compares = 0;
}

void sh_store_jobs_end(struct sh_store_item *item)
{
    if (!item->hands)
        return;
    struct sh_store_news news;
    if ((item->puts || item->look) && !item->store->hangs)
        sh_worker_await(item->store->worker, SETTLE_MS);
    while (sh_store_item_take(item, &news)) /* recorded they are, whoever hears of it */
        ;
    item->store->hangs = item->store->hangs || item->puts;
    item->empty = item->empty && !item->puts;
    drop_puts(item);
    if (item->look)
        item->look->item = NULL;
    if (item->sync)
        item->sync->item = NULL;
    if (item->reserve)
        item->reserve->item = NULL;
    item->look = NULL;
    item->sync = NULL;
    item->reserve = NULL;
    free(item->queued);
    item->queued = NULL;
    let_go(item->hands);
    item->hands = NULL;
}

void sh_store_jobs_take(struct sh_store_item *item)
{
    sh_worker_take(item->store->worker);
    sh_worker_take(item->store->syncer);
}

/* ---- leaves ---- */

static enum sh_cause add_run(struct sh_store_hands *hands, const struct sh_store_put *put)
{
    uint64_t leaf = put->news.leaf;
    if (leaf != hands->run_end)
        hands->run_first = leaf;
    hands->run_end = leaf + 1;
    return leaf == hands->digest.leaves ? sh_digest_add(&hands->digest, SH_BYTES(put->data, put->n))
                                        : SH_OK;
}

static enum sh_cause check(const struct sh_store_put *put)
{
    uint8_t found[SH_HASH_SIZE];
    SH_TRY(sh_leaf_hash(SH_BYTES(put->data, put->n), found));
    return memcmp(found, put->hash, sizeof(found)) == 0 ? SH_OK : SH_TRANSFER_LEAF_MISMATCH;
}

static enum sh_cause compare(struct sh_store_put *put)
{
    bool found = false;
    SH_TRY(sh_store_copies_find(put->copies, put->news.leaf, put->hash, put->data, put->n, &found));
    put->news.differs = !found;
    return SH_OK;
}

static enum sh_cause check_and_write(struct sh_store_put *put)
{
    struct sh_store_hands *hands = put->hands;
    SH_TRY(put->copies ? compare(put) : check(put));
    if (put->news.differs)
        return SH_OK;
    SH_TRY(sh_write_at(hands->data_fd, put->data, put->n, put->news.leaf * SH_LEAF_SIZE));
    SH_TRY(sh_journal_write_record(hands->journal_fd, put->news.leaf, put->hash));
    SH_TRY(add_run(hands, put));
    hands->unwritten += put->n;
    if (hands->unwritten >= WRITE_EVERY) { /* begun now, the sync at the end is short */
        (void)sync_file_range(hands->data_fd, 0, 0, SYNC_FILE_RANGE_WRITE);
        hands->unwritten = 0;
    }
    return SH_OK;
}

static void run_put(struct sh_job *job)
{
    struct sh_store_put *put = (struct sh_store_put *)job;
    put->news.cause = check_and_write(put);
    if (put->news.cause != SH_OK)
        put->detail = strdup(sh_detail());
    put->digested = put->hands->digest.leaves;
}

static void end_put(struct sh_job *job, bool lost SH_UNUSED)
{
    struct sh_store_put *put = (struct sh_store_put *)job;
    put->ended = true;
    if (!put->item)
        free_put(NULL, put);
}

/* Its data is the caller's to fill, before it is given to the worker. */
static struct sh_store_put *add_put(struct sh_store_item *item, uint64_t leaf,
                                    const struct sh_store_from *from)
{
    struct sh_store_put *put = new_put(item->store);
    uint32_t n = sh_leaf_length(item->size, leaf);
    if (!put)
        return NULL;
    *put = (struct sh_store_put){.job = {.run = run_put, .end = end_put},
                                 .hands = hold(item->hands),
                                 .item = item,
                                 .news = {.leaf = leaf, .octets = n, .from = *from},
                                 .n = n};
    *item->last_put = put;
    item->last_put = &put->next;
    item->queued[leaf / 8] |= (uint8_t)(1u << (leaf % 8));
    return put;
}

enum sh_cause sh_store_item_put(struct sh_store_item *item, uint64_t leaf, struct sh_bytes data,
                                const uint8_t hash[32], const struct sh_store_from *from)
{
    if (item->part_fd < 0 || data.n == 0 || data.n != sh_leaf_length(item->size, leaf))
        return sh_fail(SH_INTERNAL_BUG, "leaf %" PRIu64 " of %zu octets does not fit %s", leaf,
                       data.n, item->name);
    if (sh_store_item_has(item, leaf))
        return SH_OK;
    struct sh_store_put *put = add_put(item, leaf, from);
    if (!put)
        return SH_ENV_NO_MEMORY;
    memcpy(put->hash, hash, SH_HASH_SIZE);
    memcpy(put->data, data.p, data.n);
    sh_worker_give(item->store->worker, &put->job, from->more);
    return SH_OK;
}

enum sh_cause sh_store_give_compare(struct sh_store_item *item, uint64_t leaf,
                                    const uint8_t hash[SH_HASH_SIZE],
                                    struct sh_store_copies *copies)
{
    static const struct sh_store_from here = {.link = 0};
    struct sh_store_put *put = add_put(item, leaf, &here);
    if (!put)
        return SH_ENV_NO_MEMORY;
    put->copies = sh_store_copies_hold(copies);
    memcpy(put->hash, hash, SH_HASH_SIZE);
    item->compares++;
    sh_worker_give(item->store->worker, &put->job, false);
    return SH_OK;
}

/* It is written, and counts from now on; or it differs. */
static enum sh_cause count_put(struct sh_store_item *item, const struct sh_store_put *put)
{
    uint64_t leaf = put->news.leaf;
    item->queued[leaf / 8] &= (uint8_t) ~(1u << (leaf % 8));
    item->digested = put->digested;
    if (put->news.cause == SH_TRANSFER_LEAF_MISMATCH)
        return sh_fail(SH_TRANSFER_LEAF_MISMATCH, "leaf %" PRIu64 " of %s", leaf, item->name);
    if (put->news.cause != SH_OK)
        return sh_fail(put->news.cause, "%s: %s", item->name, put->detail ? put->detail : "");
    if (put->news.differs)
        return SH_OK;
    sh_journal_mark(&item->journal, leaf);
    item->empty = item->durable = false;
    item->unmarked += put->n;
    if (item->reserved == 0)
        sh_store_keep_promise(item, put->n);
    if (item->unreserved) { /* not before: to write to the file waits while it does that */
        item->unreserved = false;
        SH_TRY(sh_store_begin_reserve(item));
    }
    /* Not by much behind, or what has to be read again is not in memory any more. */
    bool behind = !item->look && sh_journal_is_fresh(&item->journal, item->digested);
    return behind ? sh_store_read_on(item, LOOK_MOST) : SH_OK;
}

bool sh_store_item_take(struct sh_store_item *item, struct sh_store_news *ret_news)
{
    if (!item->puts)
        return false;
    if (!item->puts->ended)
        sh_worker_take(item->store->worker);
    struct sh_store_put *put = item->puts;
    if (!put->ended)
        return false;
    item->puts = put->next;
    if (!item->puts)
        item->last_put = &item->puts;
    item->compares -= put->copies != NULL;
    *ret_news = put->news;
    ret_news->cause = count_put(item, put);
    free_put(item->store, put);
    return true;
}

bool sh_store_item_is_behind(const struct sh_store_item *item)
{
    return item->puts != NULL;
}

unsigned sh_store_item_compares(const struct sh_store_item *item)
{
    return item->compares;
}

void sh_store_item_hurry(struct sh_store_item *item)
{
    if (item->puts)
        sh_worker_hurry(item->store->worker);
}

/* ---- the digest ---- */

static enum sh_cause digest_leaf(const struct sh_store_look *look, uint8_t *buffer, bool *ret_good)
{
    struct sh_digest *digest = &look->hands->digest;
    uint64_t leaf = digest->leaves;
    struct sh_bytes data = SH_BYTES(buffer, sh_leaf_length(look->hands->size, leaf));
    uint8_t found[SH_HASH_SIZE];
    bool check = leaf < look->to && look->check[leaf - look->from];
    enum sh_cause cause = sh_read_at(look->hands->data_fd, buffer, data.n, leaf * SH_LEAF_SIZE);
    *ret_good = !(check && sh_is_dead_sector(cause)); /* as one that bent */
    if (!*ret_good)
        return SH_OK;
    SH_TRY(cause);
    if (check) {
        SH_TRY(sh_leaf_hash(data, found));
        *ret_good = memcmp(found, look->hashes[leaf - look->from], sizeof(found)) == 0;
    }
    return *ret_good ? sh_digest_add(digest, data) : SH_OK;
}

/* What was put before this job's turn follows, so that the next leaf is the digest's next one too. */
static bool has_next(const struct sh_store_look *look)
{
    const struct sh_store_hands *hands = look->hands;
    uint64_t next = hands->digest.leaves;
    return next < look->to || (next >= hands->run_first && next < hands->run_end);
}

static enum sh_cause read_on(struct sh_store_look *look)
{
    sh_autofree uint8_t *buffer = malloc(SH_LEAF_SIZE);
    bool good = true;
    if (!buffer)
        return SH_ENV_NO_MEMORY;
    while (has_next(look)) {
        SH_TRY(digest_leaf(look, buffer, &good));
        if (!good) {
            look->bad = look->hands->digest.leaves;
            break;
        }
    }
    return SH_OK;
}

static void run_look(struct sh_job *job)
{
    struct sh_store_look *look = (struct sh_store_look *)job;
    look->cause = read_on(look);
    if (look->cause != SH_OK)
        look->detail = strdup(sh_detail());
    look->digested = look->hands->digest.leaves;
}

static void end_look(struct sh_job *job, bool lost SH_UNUSED)
{
    struct sh_store_look *look = (struct sh_store_look *)job;
    struct sh_store_item *item = look->item;
    if (item) {
        item->look = NULL;
        item->looked = true;
        item->digested = look->digested;
        if (look->cause != SH_OK)
            item->look_cause = sh_fail(look->cause, "%s", look->detail ? look->detail : "");
        if (look->bad != UINT64_MAX) {
            sh_log("store: leaf %" PRIu64 " of %s is damaged on the disk", look->bad, item->name);
            item->look_cause = sh_journal_clear(&item->journal, look->bad);
        }
    }
    let_go(look->hands);
    free(look->detail);
    free(look);
}

enum sh_cause sh_store_read_on(struct sh_store_item *item, unsigned most)
{
    sh_autofree struct sh_store_look *look = calloc(1, sizeof(*look));
    if (!look)
        return SH_ENV_NO_MEMORY;
    look->job = (struct sh_job){.run = run_look, .end = end_look};
    look->item = item;
    look->bad = UINT64_MAX;
    look->from = look->to = item->digested;
    most = SH_MIN(most, (unsigned)LOOK_MOST);
    for (unsigned i = 0; i < most && sh_journal_has(&item->journal, look->to); i++, look->to++) {
        look->check[i] = !sh_journal_is_fresh(&item->journal, look->to);
        if (look->check[i])
            SH_TRY(sh_journal_hash(&item->journal, look->to, look->hashes[i]));
    }
    if (look->to == look->from)
        return SH_OK;
    look->hands = hold(item->hands);
    item->look = look;
    struct sh_job *job = &look->job;
    look = NULL;
    sh_worker_give(item->store->worker, job, false);
    return SH_OK;
}

void sh_store_drop_digest(struct sh_store_item *item)
{
    sh_digest_reset(&item->hands->digest);
    item->hands->run_first = item->hands->run_end = 0;
    item->digested = 0;
}

enum sh_cause sh_store_end_digest(struct sh_store_item *item)
{
    SH_TRY(sh_digest_end(&item->hands->digest));
    memcpy(item->sha256, item->hands->digest.value, sizeof(item->sha256));
    return SH_OK;
}

/* ---- syncs ---- */

static void run_sync(struct sh_job *job)
{
    struct sh_store_sync *sync = (struct sh_store_sync *)job;
    /* The journal goes in a moment when everything is there: what it had not noted for good would only be hashed once more. */
    /* waits: for the disk, on this thread; whoever takes the result has a deadline */
    bool failed = fdatasync(sync->hands->data_fd) < 0;
    if (!failed && !sync->last)
        /* waits: the same */
        failed = fdatasync(sync->hands->journal_fd) < 0;
    if (failed)
        sync->error = errno;
    else if (sync->last)
        sync->rooted = sh_journal_root(sync->hands->journal_fd, sh_leaf_count(sync->hands->size),
                                       sync->root) == SH_OK;
}

static void end_sync(struct sh_job *job, bool lost SH_UNUSED)
{
    struct sh_store_sync *sync = (struct sh_store_sync *)job;
    struct sh_store_item *item = sync->item;
    if (item) {
        item->sync = NULL;
        item->durable = sync->last && sync->error == 0 && item->unmarked == 0;
        item->rooted = item->durable && sync->rooted;
        memcpy(item->root, sync->root, sizeof(item->root));
        item->sync_cause = sync->error != 0 ? sh_cause_of_errno(sync->error, "fdatasync")
                           : sync->last     ? SH_OK
                                            : sh_journal_set_synced(&item->journal, item->to_mark);
    }
    let_go(sync->hands);
    free(sync);
}

enum sh_cause sh_store_begin_sync(struct sh_store_item *item)
{
    struct sh_store_sync *sync = calloc(1, sizeof(*sync));
    if (!sync)
        return SH_ENV_NO_MEMORY;
    *sync = (struct sh_store_sync){
        .job = {.run = run_sync, .end = end_sync}, .hands = hold(item->hands), .item = item};
    item->to_mark = sh_journal_next_missing(&item->journal, 0);
    sync->last = item->to_mark == item->journal.leaves;
    item->unmarked = 0;
    item->sync = sync;
    sh_worker_give(item->store->syncer, &sync->job, false);
    return SH_OK;
}

/* ---- space ---- */

/* Ends early when nobody holds on to the hands any more. */
static void run_reserve(struct sh_job *job)
{
    struct sh_store_reserve *reserve = (struct sh_store_reserve *)job;
    const struct sh_store_hands *hands = reserve->hands;
    while (reserve->next < hands->size && atomic_load(&hands->holders) > 1) {
        uint64_t n = SH_MIN(RESERVE_BY, hands->size - reserve->next);
        if (fallocate(hands->data_fd, 0, (off_t)reserve->next, (off_t)n) == 0)
            reserve->next += n;
        else if (errno != EINTR) {
            reserve->error = errno;
            return;
        }
    }
}

static void end_reserve(struct sh_job *job, bool lost SH_UNUSED)
{
    struct sh_store_reserve *reserve = (struct sh_store_reserve *)job;
    struct sh_store_item *item = reserve->item;
    if (item) {
        item->reserve = NULL;
        sh_store_keep_promise(item, reserve->next - item->reserved);
        if (reserve->error != 0 && item->sync_cause == SH_OK)
            item->sync_cause = sh_store_not_reserved(item, reserve->error);
    }
    let_go(reserve->hands);
    free(reserve);
}

enum sh_cause sh_store_begin_reserve(struct sh_store_item *item)
{
    struct sh_store_reserve *reserve = calloc(1, sizeof(*reserve));
    if (!reserve)
        return SH_ENV_NO_MEMORY;
    *reserve = (struct sh_store_reserve){.job = {.run = run_reserve, .end = end_reserve},
                                         .hands = hold(item->hands),
                                         .item = item,
                                         .next = item->reserved};
    item->reserve = reserve;
    sh_worker_give(item->store->syncer, &reserve->job, false);
    return SH_OK;
}
