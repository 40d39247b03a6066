/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the secondary keeps what arrives. An item is received into DIR/.simhop/ID.part with
 * ID.leaves beside it (see transfer/store_journal.h), and appears under its name by rename after
 * fsync. Nothing unverified is ever written; nothing verified is removed on an error. Opening an
 * item again goes on from what is there; what belongs to another size or cannot be read as a
 * journal counts as not received and is started anew. Where nothing at all was verified, close
 * removes both files, and the last one out removes .simhop.
 *
 * The space is reserved (fallocate) at open, so a full disk is a cause before the first byte; of what is large and works in the
 * background SH_STORE_RESERVE_FIRST is reserved, whether the rest is free is looked at, and it is reserved behind the first piece. One
 * process works on an item at a time (a lock on the .leaves file, while the item is not at rest).
 */
#ifndef SIMHOP_TRANSFER_STORE_H
#define SIMHOP_TRANSFER_STORE_H

#include "crypto/hashtree.h"
#include "system/worker.h"
#include "transfer/item.h"

#define SH_STORE_RESERVE_FIRST (UINT64_C(64) << 20)

struct sh_store;      /* one target folder */
struct sh_store_item; /* one item on its way in */

/* The folder is made (0700) if absent. Fails with env.permission, store.read-only,
 * store.io-error. */
SH_MUST_USE enum sh_cause sh_store_open(const char *dir, struct sh_store **ret_store);
/* From now on leaves are checked, written and hashed by worker and synced by syncer, and how far that is is marked. Both are
 * borrowed and must outlive the store. */
void sh_store_in_background(struct sh_store *store, struct sh_worker *worker,
                            struct sh_worker *syncer);
/* Does not wait for the disk. */
void sh_store_close(struct sh_store *store);
void sh_store_closep(struct sh_store **store);

/* Removes from DIR/.simhop what a kill left behind and nobody can use: journals without data; with `all` whatever nobody works
 * on (bundles, which are issued anew each time). Fails silently; the next time is as good. */
void sh_store_sweep(const char *dir, bool all);

/* Begins or goes on with an item. replace: the target may exist and is replaced in the end
 * (bundles); else store.target-exists, before anything is written. Fails also with
 * store.bad-name, store.no-space (detail: needed and free; or over the limit of file sizes),
 * store.read-only, env.permission, store.busy, store.damaged (something that is not a plain file
 * of ours stands where one should), store.io-error, env.no-memory. The store must outlive the
 * item. */
SH_MUST_USE enum sh_cause sh_store_item_open(struct sh_store *store,
                                             const uint8_t id[SH_ITEM_ID_SIZE], const char *name,
                                             uint64_t size, bool replace,
                                             struct sh_store_item **ret_item);
/* Closes; what is verified stays for the next time. */
void sh_store_item_close(struct sh_store_item *item);
void sh_store_item_closep(struct sh_store_item **item);

/* Gives descriptors, lock and bitmap back and keeps the reserved space, so that a thousand items
 * can be reserved at once; wake takes them again (same causes as open) and does nothing on an
 * item that is awake. At rest only wake, verified and close have a meaning. */
void sh_store_item_rest(struct sh_store_item *item);
SH_MUST_USE enum sh_cause sh_store_item_wake(struct sh_store_item *item);

bool sh_store_item_has(const struct sh_store_item *item, uint64_t leaf);
/* The first leaf at or after `from` that is missing; the leaf count if none. */
uint64_t sh_store_item_next_missing(const struct sh_store_item *item, uint64_t from);
uint64_t sh_store_item_verified(const struct sh_store_item *item); /* octets */

/* Whence a leaf comes; given back as it is. */
struct sh_store_from {
    unsigned link; /* sh_link_id, 0: none */
    int kind;      /* Simhop__LinkKind */
    bool more;     /* others come soon: it may wait for them, or for sh_store_item_hurry */
};

/* Takes a leaf, whose data is copied: it is held against its hash, written, and recorded. It counts once sh_store_item_take
 * says so. A leaf that is there already, or on its way, is passed over, and nothing is said of it. Fails with internal.bug (wrong
 * index or length), env.no-memory. */
SH_MUST_USE enum sh_cause sh_store_item_put(struct sh_store_item *item, uint64_t leaf,
                                            struct sh_bytes data, const uint8_t hash[32],
                                            const struct sh_store_from *from);
/* What became of the next leaf that was put or compared, in their order; false: nothing yet. Its cause is SH_OK,
 * transfer.leaf-mismatch, store.*, env.crypto. */
struct sh_store_news {
    uint64_t leaf;
    uint32_t octets;
    struct sh_store_from from; /* no link: it was compared */
    bool differs;              /* and stands in no older copy: it is missing as before */
    enum sh_cause cause;
};
bool sh_store_item_take(struct sh_store_item *item, struct sh_store_news *ret_news);
/* Leaves were put, or given to be compared, and nothing was said of them. */
bool sh_store_item_is_behind(const struct sh_store_item *item);
/* How many of these are compared. */
unsigned sh_store_item_compares(const struct sh_store_item *item);
void sh_store_item_hurry(struct sh_store_item *item);

/* Older copies of an item, other files that are only read: of the same name, or of the same name once and cut off. What did
 * not change since stands at the same place in them. One that cannot be opened or read is of no use, and no failure. Fails with
 * env.no-memory. */
#define SH_STORE_OLDER 2
struct sh_store_copies;
struct sh_store_older {
    struct sh_store_copies *copies; /* NULL: closed */
    uint64_t next;                  /* what was missing before it was given to be compared */
};
SH_MUST_USE enum sh_cause sh_store_older_open(char *const paths[SH_STORE_OLDER],
                                              struct sh_store_older *ret_older);
/* What is still compared has them until then. */
void sh_store_older_close(struct sh_store_older *older);
/* How many octets stand in it: what is only reserved is none. 0 where it cannot be opened. */
uint64_t sh_store_older_octets(const char *path);

/* The anchor says that these are the hashes of `count` leaves from `first` on. Fails with store.*, internal.bug (behind the
 * end, or at rest). */
SH_MUST_USE enum sh_cause sh_store_item_expect(struct sh_store_item *item, uint64_t first,
                                               const uint8_t *hashes, unsigned count);
/* Gives up to `leaves` more of those that are missing, before leaf `end`, to be compared: one that stands in an older copy with the
 * hash that is expected is written, and counts once sh_store_item_take says so. What is compared is what was just read, and that is
 * what is written. Until it is told it counts as there. Fails with store.*, env.*, internal.bug (at rest). */
SH_MUST_USE enum sh_cause sh_store_item_take_over(struct sh_store_item *item,
                                                  struct sh_store_older *older, uint64_t end,
                                                  unsigned leaves);

/* Makes what was put so far durable in the background, at most each SH_STORE_MARK_OCTETS or SH_STORE_MARK_MS, and notes in the
 * journal how far that is; also takes the result of the last one. To be called now and then. Does nothing on an item at
 * rest or without sh_store_in_background. Fails with store.* (a sync failed). */
#define SH_STORE_MARK_OCTETS (UINT64_C(64) << 20)
#define SH_STORE_MARK_MS     2000
SH_MUST_USE enum sh_cause sh_store_item_mark(struct sh_store_item *item, sh_ms now);

/* What is left to do before the end. The SHA-256 of the whole content is taken while leaves come in order. What could not be
 * taken then, all that an earlier session left among it, is read again, up to `leaves` of it at a time,
 * and held against its record: a leaf that is damaged on the disk is not there any more. Then everything
 * is synced. Both are done by the workers if there are any. Fails with store.*, env.crypto, env.no-memory. */
enum sh_store_state {
    SH_STORE_MORE,  /* call again */
    SH_STORE_WAITS, /* for what is done in the background */
    SH_STORE_LACKS, /* a leaf is missing: see next_missing */
    SH_STORE_READY  /* seal may be called */
};
SH_MUST_USE enum sh_cause sh_store_item_work(struct sh_store_item *item, unsigned leaves,
                                             enum sh_store_state *ret_state);

/* Ready: checks the root and tells what the finished file will be, so that it can be remembered before it appears; a kill in
 * between leaves something that can be gone on with, not a file that nobody knows. path is malloc'ed. Fails with
 * transfer.root-mismatch (the leaves are then forgotten, so that the next try fetches them anew), internal.bug (not
 * ready), store.*, env.*. */
struct sh_store_sealed {
    char *path;
    int64_t mtime_ns;
};
SH_MUST_USE enum sh_cause sh_store_item_seal(struct sh_store_item *item, const uint8_t root[32],
                                             struct sh_store_sealed *ret_sealed);
/* SHA-256 of the whole content, once sealed; valid until close. */
const uint8_t *sh_store_item_sha256(const struct sh_store_item *item);

/* Sealed: rename, fsync of the folder. The item then is done, only close is left. Fails with store.target-exists
 * (somebody made it meanwhile; what was received is kept), store.*. */
SH_MUST_USE enum sh_cause sh_store_item_publish(struct sh_store_item *item);

#endif
