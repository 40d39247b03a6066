/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Private to the store's files: store.c (the folder, an item's beginning and rest, its leaves), store_jobs.c (what a worker does for
 * an item: check, compare and write leaves, read for the digest, sync), store_end.c (marks of what is synced, the look at what an earlier
 * session left, the end), store_older.c (what is taken over from older copies).
 */
#ifndef SIMHOP_TRANSFER_STORE_INTERNAL_H
#define SIMHOP_TRANSFER_STORE_INTERNAL_H

#include "system/worker.h"
#include "transfer/digest.h"
#include "transfer/store.h"
#include "transfer/store_journal.h"

#define SH_STORE_WORK ".simhop"

struct sh_store {
    char *dir;
    int dir_fd;
    int work_fd;                       /* DIR/.simhop, -1 until the first item */
    uint64_t promised;                 /* to items whose space could not be reserved in truth */
    struct sh_worker *worker, *syncer; /* NULL: all is done at once, and there are no marks */
    struct sh_store_put *spare;
    unsigned spares;
    bool hangs; /* the worker was waited for in vain: not again for each item */
};

/* What jobs have of an item that is awake. They hold on to it, so it may outlive the item where a disk hangs. */
struct sh_store_hands;
struct sh_store_put;
struct sh_store_look;
struct sh_store_sync;
struct sh_store_reserve;

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
    uint64_t promised;
    uint64_t
        reserved; /* octets: so much before the first piece, a job does the rest; 0: no job does */
    bool unreserved; /* and it has not begun yet */

    struct sh_store_hands *hands;
    struct sh_store_put *puts, **last_put; /* not yet taken, in order */
    unsigned compares;                     /* of these */
    uint8_t *queued;                       /* a bit a leaf: in puts */
    struct sh_store_look *look;            /* under way */
    uint64_t digested;                     /* leaves that are in the digest, as far as is known */
    bool looked;                           /* one ended since sh_store_item_work asked last */
    enum sh_cause look_cause;

    struct sh_store_reserve *reserve; /* under way */
    struct sh_store_sync *sync;       /* under way */
    uint64_t unmarked;                /* octets since the last sync was begun */
    sh_ms marked_at;                  /* when that was; 0: never looked */
    uint64_t to_mark;                 /* leading leaves that the running sync covers */
    bool durable;                     /* all that was put is on the disk, */
    bool rooted;                      /* and its root was found with the last sync */
    uint8_t root[SH_HASH_SIZE];
    enum sh_cause sync_cause; /* of a sync that failed */

    bool sealed;
    uint8_t sha256[32]; /* once sealed */
};

/* store.c */
/* store.target-exists with the path. */
enum sh_cause sh_store_target_exists(const struct sh_store_item *item);
/* store.no-space, or what else errno of fallocate means. */
SH_MUST_USE enum sh_cause sh_store_not_reserved(const struct sh_store_item *item, int error);
/* Is the target's name still free, or a file that may be replaced? */
SH_MUST_USE enum sh_cause sh_store_check_target(const struct sh_store_item *item);
/* So many octets are on the disk now, or will not come. */
void sh_store_keep_promise(struct sh_store_item *item, uint64_t octets);

/* store_jobs.c */
/* The item's files are open. Fails with env.no-memory, store.*, env.permission. */
SH_MUST_USE enum sh_cause sh_store_jobs_begin(struct sh_store_item *item);
/* Waits a moment for what is under way; what then still is ends without the item. */
void sh_store_jobs_end(struct sh_store_item *item);
void sh_store_free_spares(struct sh_store *store);
/* A leaf that is missing: does an older copy have it? */
SH_MUST_USE enum sh_cause sh_store_give_compare(struct sh_store_item *item, uint64_t leaf,
                                                const uint8_t hash[SH_HASH_SIZE],
                                                struct sh_store_copies *copies);
/* Takes over what ended. */
void sh_store_jobs_take(struct sh_store_item *item);
/* Reads leaves for the digest, from the first that is not in it on, at most `most` and as far as they are there. One of an
 * earlier session is held against its record; one that is damaged is not there any more. Needs that no look is under way. */
SH_MUST_USE enum sh_cause sh_store_read_on(struct sh_store_item *item, unsigned most);
/* Nothing is under way: the digest begins anew, or ends into sha256. */
void sh_store_drop_digest(struct sh_store_item *item);
SH_MUST_USE enum sh_cause sh_store_end_digest(struct sh_store_item *item);
/* Data, then journal, in the background. */
SH_MUST_USE enum sh_cause sh_store_begin_sync(struct sh_store_item *item);
/* Reserves what lies behind item->reserved, by the syncer. What fails is a sync that failed. */
SH_MUST_USE enum sh_cause sh_store_begin_reserve(struct sh_store_item *item);

/* store_list.c */
/* Does a journal of an item of this size record a leaf, or can it not be told? */
bool sh_store_has_records(int journal_fd, uint64_t size);

/* store_older.c, on any thread */
struct sh_store_copies *sh_store_copies_hold(struct sh_store_copies *copies);
void sh_store_copies_let_go(struct sh_store_copies *copies); /* NULL is fine */
/* Reads the leaf, of n octets, of each copy into buffer until one has that hash. Fails with env.crypto. */
SH_MUST_USE enum sh_cause sh_store_copies_find(const struct sh_store_copies *copies, uint64_t leaf,
                                               const uint8_t hash[SH_HASH_SIZE], uint8_t *buffer,
                                               uint32_t n, bool *ret_found);

#endif
