/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the secondary keeps what arrives. An item is received into DIR/.simhop/ID.part with
 * ID.leaves beside it (see transfer/store_journal.h), and appears under its name by rename after
 * fsync. Nothing unverified is ever written; nothing verified is removed on an error. Opening an
 * item again goes on from what is there; what belongs to another size or cannot be read as a
 * journal counts as not received and is started anew. Where nothing at all was verified, close
 * removes both files, and the last one out removes .simhop.
 *
 * The space is reserved (fallocate) at open, so a full disk is a cause before the first byte. One
 * process works on an item at a time (a lock on the .leaves file, while the item is not at rest).
 */
#ifndef SIMHOP_TRANSFER_STORE_H
#define SIMHOP_TRANSFER_STORE_H

#include "crypto/hashtree.h"
#include "transfer/item.h"

struct sh_store;      /* one target folder */
struct sh_store_item; /* one item on its way in */

/* The folder is made (0700) if absent. Fails with env.permission, store.read-only,
 * store.io-error. */
SH_MUST_USE enum sh_cause sh_store_open(const char *dir, struct sh_store **ret_store);
void sh_store_close(struct sh_store *store);
void sh_store_closep(struct sh_store **store);

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

/* Writes a leaf whose hash was checked. A leaf that is there already is not written again
 * (*ret_new = false). Fails with store.*, internal.bug (wrong index or length). */
SH_MUST_USE enum sh_cause sh_store_item_put(struct sh_store_item *item, uint64_t leaf,
                                            struct sh_bytes data, const uint8_t hash[32],
                                            bool *ret_new);

/* The SHA-256 of the whole content is taken while leaves come in order. What could not be taken
 * then is read again: up to `leaves` of it here, so that the loop is not held for long, and the
 * rest in finish. Fails with store.*, env.crypto. */
SH_MUST_USE enum sh_cause sh_store_item_work(struct sh_store_item *item, unsigned leaves,
                                             bool *ret_done);

/* All leaves are there: checks the root, fsync, rename, fsync of the folder. *ret_path
 * (malloc'ed) is the finished file, mode 0600. The item then is done, only close is left. Fails
 * with transfer.root-mismatch (the leaves are then forgotten, so that the next try fetches them
 * anew), store.target-exists (somebody made it meanwhile; what was received is kept), store.*. */
SH_MUST_USE enum sh_cause sh_store_item_finish(struct sh_store_item *item, const uint8_t root[32],
                                               char **ret_path);
/* SHA-256 of the whole content, once finished; valid until close. */
const uint8_t *sh_store_item_sha256(const struct sh_store_item *item);

#endif
