/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An item on the anchor's side: a named sequence of bytes with a kind, read from a file or from
 * memory. Its id is derived from anchor, name, size and what identifies the source's state (device,
 * inode, mtime in ns; for memory the content's hash), so the same unchanged source has the same id
 * after a restart, and a changed one another.
 */
#ifndef SIMHOP_TRANSFER_ITEM_H
#define SIMHOP_TRANSFER_ITEM_H

#include "proto/msg.h"

#define SH_ITEM_ID_SIZE  16
#define SH_ITEM_NAME_MAX 255
#define SH_ITEMS_MAX     1024
#define SH_ITEM_SIZE_MAX ((uint64_t)1 << 44) /* 16 TiB */

/* May this become a file's name in a folder? 1 to 255 octets of UTF-8, no '/', no NUL, no
 * control character (nor one that turns the direction of text), not "." or "..", no leading "."
 * (hidden files are ours). Fails with store.bad-name. */
SH_MUST_USE enum sh_cause sh_item_name_check(const char *name);

struct sh_item; /* a source that was found readable */

/* Looks at a regular file (O_NOFOLLOW is not asked for: the person named it; a FIFO, folder or
 * device is refused). name NULL = the path's last part. The descriptor is opened by the first
 * read, so many items cost few descriptors; what is found then must be the same file in the same
 * state. Fails with source.unreadable, store.bad-name, env.no-memory. */
SH_MUST_USE enum sh_cause sh_item_open_file(const char *name, const char *path,
                                            const uint8_t anchor_id[16], struct sh_item **ret_item);
/* Copies the bytes. */
SH_MUST_USE enum sh_cause sh_item_open_memory(const char *name, int kind, struct sh_bytes bytes,
                                              const uint8_t anchor_id[16],
                                              struct sh_item **ret_item);
/* Is the file another one now, or in another state? Then the item becomes that, with another id. Nobody may be using it. What
 * is not there or cannot be read leaves it as it is. Fails as opening does. */
SH_MUST_USE enum sh_cause sh_item_renew(struct sh_item *item, const uint8_t anchor_id[16]);
void sh_item_free(struct sh_item *item);
void sh_item_freep(struct sh_item **item);

const uint8_t *sh_item_id(const struct sh_item *item);
const char *sh_item_name(const struct sh_item *item);
int sh_item_kind(const struct sh_item *item); /* Simhop__ItemKind */
uint64_t sh_item_size(const struct sh_item *item);

/* Closes the descriptor until the next read. */
void sh_item_rest(struct sh_item *item);

/* Reads leaf `index` into out (SH_LEAF_SIZE octets). Fails with transfer.source-changed (shorter
 * than it was, or its mtime or size differ now), source.unreadable, internal.bug. */
SH_MUST_USE enum sh_cause sh_item_read_leaf(struct sh_item *item, uint64_t index, uint8_t *out,
                                            uint32_t *ret_len);

/* The hash (crypto/hashtree.h) of leaf `index`, of which data was read just now: of one that many ask for it is known. Fails with
 * env.crypto. */
SH_MUST_USE enum sh_cause sh_item_leaf_hash(struct sh_item *item, uint64_t index,
                                            struct sh_bytes data, uint8_t out[32]);

/* Sealing: the hash tree grows as leaves are read more or less in order; their hashes are taken from the server's own
 * reading for nothing. feed() is told of each leaf that was served; work() reads up to `leaves` more of those that were not,
 * by the worker if there is one, and says in *ret_done whether all is there; while sealing waits for the worker it does
 * nothing. Both fail as reading does. */
SH_MUST_USE enum sh_cause sh_item_seal_feed(struct sh_item *item, uint64_t index,
                                            const uint8_t hash[32]);
SH_MUST_USE enum sh_cause sh_item_seal_work(struct sh_item *item, unsigned leaves, bool *ret_done);
bool sh_item_seal_waits(const struct sh_item *item);
/* Borrowed; NULL, as at first: all is done at once. To be taken back before the worker goes. */
struct sh_worker;
void sh_item_set_worker(struct sh_item *item, struct sh_worker *worker);
bool sh_item_sealed(const struct sh_item *item);     /* the root is there */
uint64_t sh_item_hashed(const struct sh_item *item); /* octets, from the beginning on */
/* Only when sealed, else internal.bug. */
SH_MUST_USE enum sh_cause sh_item_root(const struct sh_item *item, uint8_t out[32]);

#endif
